//! A minimal shell: decide, persist, perform, wait. Between any two of these it may die.

use std::collections::{BTreeMap, BTreeSet};

use drplan_api::{
    Time,
    status::{DRPlanExecutionStatus, ExecutionPhase, StepPhase},
};
use drplan_engine::{
    ActionIndex, CancelWish, InFlight, Observed, Run, Step, WaitingOn, action_indices, action_status,
    advance,
    effect::{ActionEffect, Command, Failure, FailureKind, Observation, Outcome},
    explain,
};

use crate::{
    plans,
    random_plan::{Dice, RandomPlan},
    world::{End, World},
};

/// Passes after which a run counts as stuck: more than any random plan needs.
const PASSES_MAX: u32 = 3000;
/// Passes with faults; then they stop, and the run must end.
const FAULTY_PASSES: u32 = 60;

/// Every how manieth pass is decided twice, to see that the same arguments give the same step.
const TWIN_EVERY: u32 = 7;
/// After every how manieth pass the engine is asked again, to see that it is at rest.
const REST_EVERY: u32 = 3;

/// What goes wrong, and how often in a hundred passes.
pub(crate) struct Faults {
    dice: Dice,
    crash: u64,
    command: u64,
    lost_contact: u64,
    lost_answer: u64,
    http_places: usize,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self {
            dice: Dice::new(0),
            crash: 0,
            command: 0,
            lost_contact: 0,
            lost_answer: 0,
            http_places: usize::MAX,
        }
    }

    pub(crate) fn some(seed: u64) -> Self {
        let mut dice = Dice::new(!seed);
        Self {
            crash: dice.below(8),
            command: dice.below(5),
            lost_contact: dice.below(5),
            lost_answer: dice.below(10),
            http_places: 1 + usize::try_from(dice.below(4)).unwrap(),
            dice,
        }
    }

    fn stop(&mut self) {
        let places = self.http_places;
        *self = Self {
            http_places: places,
            ..Self::none()
        };
    }
}

/// A command that a process performs.
struct Performed {
    kind: InFlight,
    attempt: u32,
    end: End,
}

/// What a process holds and loses when it dies.
#[derive(Default)]
struct Process {
    in_flight: BTreeMap<ActionIndex, Performed>,
    results: BTreeMap<ActionIndex, Observation>,
    fresh: BTreeSet<ActionIndex>,
}

pub(crate) struct Shell {
    run: Run,
    stored: DRPlanExecutionStatus,
    world: World,
    faults: Faults,
    process: Process,
    processes: u32,
    now: i64,
    start: i64,
    passes: u32,
    wake_at: Option<i64>,
    waits_for_place: bool,
}

impl Shell {
    pub(crate) fn new(plan: &RandomPlan, seed: u64, faults: Faults) -> Self {
        let run = plan.run();
        let start: Time = "2026-01-30T10:00:00Z".parse().unwrap();
        Self {
            stored: run.initial_status(),
            run,
            world: World::new(seed),
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
                self.check_end();
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

    fn time(&self) -> Time {
        Time::from_millis(self.now)
    }

    fn crashes(&mut self) -> bool {
        let crashes = self.faults.dice.percent(self.faults.crash);
        if crashes {
            self.processes += 1;
            self.process = Process::default();
            let read: DRPlanExecutionStatus =
                serde_json::from_str(&serde_json::to_string(&self.stored).unwrap()).unwrap();
            assert_eq!(read, self.stored, "the record is the same when read back");
            let now = self.time();
            let early = |at: &ActionIndex| {
                let time = action_status(&self.stored, *at).and_then(|action| action.attempt_time);
                time.is_some_and(|time| time > now)
            };
            self.process.fresh = action_indices(&self.stored).into_iter().filter(early).collect();
            self.wake_at = Some(self.now);
            // Whoever comes next may come late.
            self.now += i64::try_from(self.faults.dice.below(40)).unwrap() * 1000;
        }
        crashes
    }

    /// Until the next result or timer; results of one moment come together.
    fn wait(&mut self, at_rest: bool) {
        let ends = self.process.in_flight.values().map(|performed| performed.end.0);
        let next = ends.chain(self.wake_at).min();
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
                let job = action_status(&self.stored, at)
                    .unwrap()
                    .outputs
                    .job_ref
                    .clone()
                    .unwrap();
                self.world.jobs.get_mut(&job.name).unwrap().deleted = true;
            }
            let attempt = performed.attempt;
            self.process.results.insert(at, Observation { attempt, outcome });
        }
    }

    /// Decide, persist, perform.
    fn pass(&mut self, at_rest: bool) {
        if self.crashes() {
            return;
        }
        let seen = self.observe(at_rest);
        let step = self.decide(&seen);
        if self.crashes() {
            return;
        }
        let before = std::mem::take(&mut self.stored);
        self.stored = step.status.clone();
        self.wake_at = step.wake_at.map(Time::as_millis);
        self.waits_for_place = step
            .waiting_on
            .iter()
            .any(|wait| matches!(wait, WaitingOn::HttpPlace(_)));
        self.process.results.clear();
        self.note_intents(&before);
        if self.crashes() {
            return;
        }
        if self.faults.dice.percent(self.faults.lost_answer) {
            // The write arrived but its answer was lost: the record is read again, and everything decided anew.
            self.wake_at = Some(self.now);
            return;
        }
        for (at, effect) in &step.effects {
            self.perform(*at, effect);
            if self.crashes() {
                return;
            }
        }
        self.check_rest(&step);
    }

    fn observe(&mut self, at_rest: bool) -> Observed {
        let calls = self
            .process
            .in_flight
            .values()
            .filter(|performed| performed.kind == InFlight::Call)
            .count();
        let mut seen = Observed {
            execution_uid: plans::UID.to_owned(),
            results: self.process.results.clone(),
            in_flight: self
                .process
                .in_flight
                .iter()
                .map(|(at, one)| (*at, one.kind))
                .collect(),
            fresh: self.process.fresh.clone(),
            http_places: self.faults.http_places.saturating_sub(calls),
            ..Observed::default()
        };
        let dice = &mut self.faults.dice;
        if dice.percent(self.faults.command) {
            seen.cancel = dice.percent(50).then(|| CancelWish {
                now: dice.percent(30),
                reason: "by user".to_owned(),
            });
            seen.resume = dice.percent(70);
        }
        if dice.percent(self.faults.lost_contact) {
            seen.lost_contact_millis = Some(121_000);
        }
        if dice.percent(self.faults.lost_answer) {
            self.add_stale_result(&mut seen);
        }
        seen.resume |= at_rest && self.stored.phase == ExecutionPhase::Unknown;
        seen
    }

    /// A result of an attempt that is over, as a process that was thought dead may bring.
    fn add_stale_result(&self, seen: &mut Observed) {
        let retried = self.run.graph.actions().find(|at| {
            let action = action_status(&self.stored, *at).unwrap();
            action.attempts > 1 && !seen.results.contains_key(at)
        });
        if let Some(at) = retried {
            let stale = Observation {
                attempt: action_status(&self.stored, at).unwrap().attempts - 1,
                outcome: Outcome::Failed(Failure::new(FailureKind::Tls, "stale")),
            };
            seen.results.insert(at, stale);
        }
    }

    fn decide(&self, seen: &Observed) -> Step {
        let step = advance(Some(&self.run), &self.stored, seen, self.time()).unwrap();
        if self.passes.is_multiple_of(TWIN_EVERY) {
            let twin = advance(Some(&self.run), &self.stored, seen, self.time()).unwrap();
            assert_eq!((&step.status, &step.effects), (&twin.status, &twin.effects));
        }
        self.check_step(seen, &step);
        step
    }

    /// Intents that were just stored are fresh until they are acted on; what has ended is dropped.
    fn note_intents(&mut self, before: &DRPlanExecutionStatus) {
        for at in action_indices(&self.stored) {
            let (old, new) = (
                action_status(before, at).unwrap(),
                action_status(&self.stored, at).unwrap(),
            );
            if new.phase != StepPhase::Running {
                self.process.in_flight.remove(&at);
                self.process.fresh.remove(&at);
            } else if old.attempts < new.attempts {
                self.process.fresh.insert(at);
            }
        }
    }

    fn perform(&mut self, at: ActionIndex, effect: &ActionEffect) {
        let (run, now, attempt) = (&self.run, self.now, effect.attempt);
        let action = run.action(at).name.as_str();
        assert_eq!(effect.identity, run.identity(at));
        let key = effect.identity.idempotency_key();
        assert_eq!(key, format!("{}/{}", plans::UID, run.path(at)));
        let (kind, end) = match &effect.command {
            Command::Call(_) => (
                InFlight::Call,
                self.world.call(action, attempt, self.processes, now),
            ),
            Command::CreateJob(creation) => {
                let name = &creation.target.name;
                (
                    InFlight::FindOrCreate,
                    self.world.create(name, action, attempt, now),
                )
            }
            Command::AwaitJob(wait) => {
                let deadline = wait.deadline.as_millis();
                (
                    InFlight::Await,
                    self.world.await_end(&wait.job.name, deadline, now),
                )
            }
            Command::Object(_) => unreachable!("the plans of this shell have no objects"),
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

    /// What must hold of every decision.
    fn check_step(&self, seen: &Observed, step: &Step) {
        let before = &self.stored;
        let mut commanded = BTreeSet::new();
        for (at, effect) in &step.effects {
            let path = self.run.path(*at);
            let recorded = action_status(&step.status, *at).unwrap();
            assert!(commanded.insert(*at), "{path} has two effects");
            assert_eq!(
                recorded.phase,
                StepPhase::Running,
                "{path} has an effect without intent"
            );
            assert_eq!(
                recorded.attempts, effect.attempt,
                "{path} has an effect of another attempt"
            );
            let attempt = action_status(before, *at).unwrap().attempts;
            let answered = seen
                .results
                .get(at)
                .is_some_and(|result| result.attempt == attempt);
            let in_flight = seen.in_flight.get(at).filter(|_| !answered);
            assert!(
                in_flight.is_none_or(|kind| *kind == InFlight::Await),
                "{path} has {effect:?} while {in_flight:?}"
            );
            let sends = matches!(effect.command, Command::Call(_) | Command::CreateJob(_));
            let stops = step.status.cancellation.is_some()
                || step
                    .status
                    .deadline
                    .is_some_and(|deadline| deadline <= self.time());
            assert!(!(sends && stops), "{path} is sent though nothing new may start");
            assert!(
                step.status.phase != ExecutionPhase::Unknown || !sends,
                "{path} is sent in Unknown"
            );
        }
        for at in action_indices(before) {
            let (old, new) = (
                action_status(before, at).unwrap(),
                action_status(&step.status, at).unwrap(),
            );
            if old.phase.is_ended() {
                assert_eq!(old, new, "an ended action never changes");
            }
            assert!(new.attempts >= old.attempts);
            assert!(new.phase != StepPhase::Skipped || new.start_time.is_none());
            assert_eq!(
                new.phase == StepPhase::Succeeded || new.phase == StepPhase::Failed,
                new.completion_time.is_some()
            );
        }
        let counts = serde_json::to_value(step.status.summary.as_ref().unwrap()).unwrap();
        for group in ["Stages", "Workflows", "Actions"] {
            let of = |phase: &str| counts[format!("{phase}{group}")].as_u64().unwrap();
            let sum: u64 = ["completed", "running", "pending", "failed", "skipped"]
                .iter()
                .map(|phase| of(phase))
                .sum();
            assert_eq!(of("total"), sum);
        }
        let says = explain(&step.status, &step.waiting_on);
        assert!(
            !says.is_empty() && says.iter().all(|line| !line.is_empty() && !line.contains('\n')),
            "{says:?}"
        );
    }

    /// Asked again at once with nothing new, the engine has nothing to do.
    fn check_rest(&self, step: &Step) {
        if self.wake_at.is_some_and(|wake| wake <= self.now) || !self.passes.is_multiple_of(REST_EVERY) {
            return;
        }
        let calls = self
            .process
            .in_flight
            .values()
            .filter(|performed| performed.kind == InFlight::Call)
            .count();
        let seen = Observed {
            execution_uid: plans::UID.to_owned(),
            in_flight: self
                .process
                .in_flight
                .iter()
                .map(|(at, one)| (*at, one.kind))
                .collect(),
            fresh: self.process.fresh.clone(),
            http_places: self.faults.http_places.saturating_sub(calls),
            ..Observed::default()
        };
        let again = advance(Some(&self.run), &self.stored, &seen, self.time()).unwrap();
        assert_eq!(again.status, step.status, "asked again it records something else");
        assert!(
            again.effects.is_empty(),
            "asked again it wants {:?}",
            again.effects
        );
        assert!(again.announcements.is_empty());
        assert_eq!(again.waiting_on, step.waiting_on);
        assert_eq!(again.wake_at, step.wake_at);
    }

    /// What must hold of a run that has ended.
    fn check_end(&self) {
        let mut cut_short = self.stored.cancellation.is_some();
        for at in self.run.graph.actions() {
            let action = action_status(&self.stored, at).unwrap();
            let touched = self.world.touched.get(&action.name).copied().unwrap_or(false);
            assert!(action.phase.is_ended());
            cut_short |= action.message == "the plan's timeout has passed";
            match action.phase {
                StepPhase::Failed => assert!(
                    action.effect_possible || !touched,
                    "{} touched the world, and its undo would be forgotten",
                    action.name
                ),
                StepPhase::Skipped => assert!(!touched, "{} was skipped but touched the world", action.name),
                _ => assert!(touched, "{} succeeded without having been done", action.name),
            }
        }
        let failed = self.stored.summary.as_ref().unwrap().failed_actions > 0;
        let expected = match (self.stored.cancellation.is_some(), failed || cut_short) {
            (true, _) => ExecutionPhase::Cancelled,
            (false, true) => ExecutionPhase::Failed,
            (false, false) => ExecutionPhase::Succeeded,
        };
        assert_eq!(self.stored.phase, expected);
        assert!(self.now - self.start < 30 * 24 * 3600 * 1000, "it took for ever");
    }
}
