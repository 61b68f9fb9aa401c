//! A minimal shell: decide, persist, perform, wait. Between any two of these it may die.

use drplan_api::{
    Time,
    status::{DRPlanExecutionStatus, ExecutionPhase},
};
use drplan_engine::{
    ActionIndex, CancelWish, InFlight, Inquiry, Observed, Run, Step, WaitingOn, action_status, advance,
    effect::{ActionEffect, Command, Failure, FailureKind, Observation, Outcome},
    explain,
};

use crate::{
    fates::UNDO,
    faults::Faults,
    objects::Request,
    plans,
    process::{Looking, Performed, Process},
    undoing::Target,
    world::World,
};

/// Passes after which a run counts as stuck: more than any random plan needs.
const PASSES_MAX: u32 = 3000;
/// Passes with faults; then they stop, and the run must end.
const FAULTY_PASSES: u32 = 60;
/// Every how manieth pass is decided twice, to see that the same arguments give the same step.
const TWIN_EVERY: u32 = 7;

/// One run, carried by one process after the other.
pub(crate) struct Shell {
    pub(crate) run: Run,
    pub(crate) stored: DRPlanExecutionStatus,
    /// The execution that is undone, of a Revert.
    pub(crate) target: Option<Target>,
    pub(crate) world: World,
    pub(crate) faults: Faults,
    pub(crate) process: Process,
    pub(crate) processes: u32,
    pub(crate) now: i64,
    pub(crate) start: i64,
    pub(crate) passes: u32,
    pub(crate) wake_at: Option<i64>,
    waits_for_place: bool,
}

impl Shell {
    /// Before anything of `run` has begun.
    pub(crate) fn new(run: Run, world: World, start: Time, faults: Faults) -> Self {
        Self {
            stored: run.initial_status(),
            run,
            target: None,
            world,
            faults,
            process: Process::default(),
            processes: 0,
            now: start.as_millis(),
            start: start.as_millis(),
            passes: 0,
            wake_at: Some(start.as_millis()),
            waits_for_place: false,
        }
    }

    pub(crate) fn status(&self) -> &DRPlanExecutionStatus {
        &self.stored
    }

    /// 0 Succeeded, 1 Failed, 2 Cancelled.
    pub(crate) fn ended_as(&self) -> usize {
        match self.stored.phase {
            ExecutionPhase::Succeeded => 0,
            ExecutionPhase::Failed => 1,
            ExecutionPhase::Cancelled => 2,
            other => panic!("{other:?} is no end"),
        }
    }

    /// Until the run has ended.
    pub(crate) fn play(&mut self) {
        for pass in 0..PASSES_MAX {
            self.passes = pass;
            if self.stored.phase.is_terminal() {
                match self.target {
                    None => self.check_end(),
                    Some(_) => self.check_end_of_revert(),
                }
                return;
            }
            if pass == FAULTY_PASSES {
                self.faults.stop();
            }
            self.wait(pass > FAULTY_PASSES);
            self.pass(pass > FAULTY_PASSES);
        }
        panic!("stuck: {:#?}", explain(&self.stored, &[]));
    }

    pub(crate) fn time(&self) -> Time {
        Time::from_millis(self.now)
    }

    fn crashes(&mut self) -> bool {
        let crashes = self.faults.dice.percent(self.faults.crash);
        if crashes {
            self.processes += 1;
            let read: DRPlanExecutionStatus =
                serde_json::from_str(&serde_json::to_string(&self.stored).unwrap()).unwrap();
            assert_eq!(read, self.stored, "the record is the same when read back");
            self.process = Process::successor(&self.stored, self.time());
            self.wake_at = Some(self.now);
            // Whoever comes next may come late.
            self.now += i64::try_from(self.faults.dice.below(40)).unwrap() * 1000;
        }
        crashes
    }

    /// Until the next result or timer; results of one moment come together.
    fn wait(&mut self, at_rest: bool) {
        let next = self.process.next().into_iter().chain(self.wake_at).min();
        if next.is_none() {
            let excused = self.stored.phase == ExecutionPhase::Unknown || self.waits_for_place;
            assert!(excused, "nothing can happen any more: {:#?}", self.stored);
            assert!(
                !self.waits_for_place || !at_rest,
                "a place is free, but nobody takes it"
            );
        }
        let mut next = next.unwrap_or(self.now + 1000);
        if self.stored.phase == ExecutionPhase::Unknown {
            // Somebody looks every minute.
            next = next.min(self.now + 60_000);
        }
        self.now = self.now.max(next);
        self.strangers();
        self.process.take_looks(&mut self.world, self.now);
        self.take_answers();
    }

    fn take_answers(&mut self) {
        let ended = |performed: &Performed| performed.end.0 <= self.now;
        let ended: Vec<ActionIndex> = self
            .process
            .in_flight
            .iter()
            .filter(|(_, performed)| ended(performed))
            .map(|(at, _)| *at)
            .collect();
        for at in ended {
            let performed = self.process.in_flight.remove(&at).unwrap();
            let outcome = performed.end.1;
            let timed_out = matches!(&outcome, Outcome::Failed(failure)
                if failure.kind == FailureKind::JobTimedOut);
            if timed_out {
                let recorded = action_status(&self.stored, at).unwrap();
                let job = recorded.outputs.job_ref.clone().unwrap();
                self.world.jobs.get_mut(&job.name).unwrap().deleted = true;
            }
            self.world.objects.answered(self.run.identity(at).path.as_str());
            let attempt = performed.attempt;
            self.process.results.insert(at, Observation { attempt, outcome });
        }
    }

    /// Others do something to objects.
    fn strangers(&mut self) {
        if self.faults.dice.percent(self.faults.stranger) {
            self.world.objects.meddle(&mut self.faults.dice, self.now);
        }
    }

    /// Decide, persist, perform.
    fn pass(&mut self, at_rest: bool) {
        if self.crashes() {
            return;
        }
        let wishes = self.wishes(at_rest);
        let step = self.decide(&wishes);
        if self.crashes() {
            return;
        }
        if step.status.phase.is_terminal() && self.target.is_some() {
            self.enter_undone(&step.status);
            if self.crashes() {
                return;
            }
        }
        let before = std::mem::take(&mut self.stored);
        self.stored = step.status.clone();
        self.wake_at = step.wake_at.map(Time::as_millis);
        self.waits_for_place = step
            .waiting_on
            .iter()
            .any(|wait| matches!(wait, WaitingOn::HttpPlace(_)));
        self.process.results.clear();
        self.process.note_intents(&before, &self.stored);
        if self.crashes() {
            return;
        }
        if self.faults.dice.percent(self.faults.lost_answer) {
            // The write arrived but its answer was lost: the record is read again, and everything decided anew.
            self.wake_at = Some(self.now);
            return;
        }
        for (at, effect) in &step.effects {
            self.strangers();
            self.perform(*at, effect);
            if self.crashes() {
                return;
            }
        }
        self.process.drop_looks(&self.stored, self.now);
        self.check_rest(&step);
    }

    /// What people want and what is wrong with the process, without what it sees.
    fn wishes(&mut self, at_rest: bool) -> Observed {
        let mut wishes = Observed::default();
        let dice = &mut self.faults.dice;
        if dice.percent(self.faults.command) {
            wishes.cancel = dice.percent(50).then(|| CancelWish {
                now: dice.percent(30),
                reason: "by user".to_owned(),
            });
            wishes.resume = dice.percent(70);
        }
        if dice.percent(self.faults.lost_contact) {
            wishes.lost_contact_millis = Some(121_000);
        }
        if dice.percent(self.faults.lost_answer) {
            wishes.results.extend(self.stale_result());
        }
        wishes.resume |= at_rest && self.stored.phase == ExecutionPhase::Unknown;
        wishes
    }

    /// A result of an attempt that is over, as a process that was thought dead may bring.
    fn stale_result(&self) -> Option<(ActionIndex, Observation)> {
        let retried = self.run.graph.actions().find(|at| {
            let action = action_status(&self.stored, *at).unwrap();
            action.attempts > 1 && !self.process.results.contains_key(at)
        })?;
        let stale = Observation {
            attempt: action_status(&self.stored, retried).unwrap().attempts - 1,
            outcome: Outcome::Failed(Failure::new(FailureKind::Tls, "stale")),
        };
        Some((retried, stale))
    }

    /// Asks the engine, and what it wants to know first; what is answered at once counts in the same step.
    fn decide(&mut self, wishes: &Observed) -> Step {
        loop {
            let mut seen = self.observed();
            seen.cancel = wishes.cancel.clone();
            seen.resume = wishes.resume;
            seen.lost_contact_millis = wishes.lost_contact_millis;
            seen.results.extend(wishes.results.clone());
            let step = advance(Some(&self.run), &self.stored, &seen, self.time()).unwrap();
            if self.passes.is_multiple_of(TWIN_EVERY) {
                let twin = advance(Some(&self.run), &self.stored, &seen, self.time()).unwrap();
                assert_eq!(
                    (&step.status, &step.effects, &step.inquiries),
                    (&twin.status, &twin.effects, &twin.inquiries)
                );
            }
            self.check_step(&seen, &step);
            if step.inquiries.is_empty() {
                return step;
            }
            for (at, inquiry) in &step.inquiries {
                self.look(*at, inquiry);
            }
            self.process.take_looks(&mut self.world, self.now);
        }
    }

    /// What the process sees, commands and faults aside.
    pub(crate) fn observed(&self) -> Observed {
        let mut seen = self.process.observed(self.faults.http_places);
        if let Some(target) = &self.target {
            seen.execution_uid = target.revert.clone();
        }
        seen
    }

    /// What the world calls what is done for an action.
    pub(crate) fn name(&self, at: ActionIndex) -> String {
        let name = self.run.action(at).name.as_str();
        match self.target {
            None => name.to_owned(),
            Some(_) => format!("{name}{UNDO}"),
        }
    }

    fn look(&mut self, at: ActionIndex, inquiry: &Inquiry) {
        let recorded = action_status(&self.stored, at).unwrap();
        let (takes, failure) = self.world.objects.ask(&self.name(at), recorded.attempts.max(1));
        let looking = Looking {
            asked_at: self.now,
            ends: self.now + takes,
            failure,
            look: inquiry.look.clone(),
        };
        self.process.looking.insert(at, looking);
    }

    fn perform(&mut self, at: ActionIndex, effect: &ActionEffect) {
        let (run, now, attempt) = (&self.run, self.now, effect.attempt);
        let action = self.name(at);
        let action = action.as_str();
        assert_eq!(effect.identity, run.identity(at));
        let key = effect.identity.idempotency_key();
        let undo = if self.target.is_some() { UNDO } else { "" };
        assert_eq!(key, format!("{}/{}{undo}", plans::UID, run.path(at)));
        self.check_undo(at, effect);
        let (kind, end) = match &effect.command {
            Command::Call(_) => (
                InFlight::Call,
                self.world.call(action, attempt, self.processes, now),
            ),
            Command::CreateJob(creation) => {
                let name = &creation.target.name;
                (
                    InFlight::FindOrCreate,
                    self.world
                        .create(name, effect.identity.path.as_str(), action, attempt, now),
                )
            }
            Command::AwaitJob(wait) => {
                let deadline = wait.deadline.as_millis();
                (
                    InFlight::Await,
                    self.world.await_end(&wait.job.name, deadline, now),
                )
            }
            Command::Object(command) => {
                let request = Request {
                    identity: &effect.identity,
                    action,
                    attempt,
                    process: self.processes,
                    command,
                    raced: self.faults.dice.percent(self.faults.stranger),
                };
                (InFlight::Object, self.world.perform(&request, now))
            }
            Command::FindJob(job) => (
                InFlight::FindOrCreate,
                self.world.find(&job.name, action, attempt, now),
            ),
            Command::StopJob(job) => (InFlight::Stop, self.world.stop(&job.name, action, attempt, now)),
        };
        self.process.fresh.remove(&at);
        self.process
            .in_flight
            .insert(at, Performed { kind, attempt, end });
    }
}
