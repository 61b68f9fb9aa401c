//! What must hold of every decision, and of a run that has ended.

use std::collections::BTreeSet;

use drplan_api::{
    canonical::{Operation, Work},
    status::{ActionStatus, ExecutionPhase, ObjectRef, StepPhase},
};
use drplan_engine::{
    ActionIndex, InFlight, Observed, Step, WaitingOn, action_indices, action_status, advance,
    effect::{ActionEffect, Command},
    explain,
    object::{Before, ObjectCommand, ObjectOutcome},
};

use crate::shell::Shell;

/// After every how manieth pass the engine is asked again, to see that it is at rest.
const REST_EVERY: u32 = 3;
/// Every how manieth step's counts and sentences are read.
const TOLD_EVERY: u32 = 4;
/// How old, in milliseconds, a look may be that an intent rests on.
const LOOK_AGE_MAX: u64 = 5_000;

impl Shell {
    /// What must hold of every decision.
    pub(crate) fn check_step(&self, seen: &Observed, step: &Step) {
        let mut commanded = BTreeSet::new();
        for (at, effect) in &step.effects {
            assert!(commanded.insert(*at), "{} has two effects", self.run.path(*at));
            self.check_effect(seen, step, *at, effect);
        }
        for at in action_indices(&self.stored) {
            let (old, new) = (
                action_status(&self.stored, at).unwrap(),
                action_status(&step.status, at).unwrap(),
            );
            self.check_action(old, new);
            self.check_object(seen, at, old, new);
        }
        self.check_looks(seen, step);
        if self.passes.is_multiple_of(TOLD_EVERY) {
            check_told(step);
        }
    }

    fn check_effect(&self, seen: &Observed, step: &Step, at: ActionIndex, effect: &ActionEffect) {
        let path = self.run.path(at);
        let recorded = action_status(&step.status, at).unwrap();
        assert_eq!(
            recorded.phase,
            StepPhase::Running,
            "{path} has an effect without intent"
        );
        assert_eq!(
            recorded.attempts, effect.attempt,
            "{path} has an effect of another attempt"
        );
        let attempt = action_status(&self.stored, at).unwrap().attempts;
        let answered = seen
            .results
            .get(&at)
            .is_some_and(|result| result.attempt == attempt);
        let in_flight = seen.in_flight.get(&at).filter(|_| !answered);
        assert!(
            in_flight.is_none_or(|kind| *kind == InFlight::Await),
            "{path} has {effect:?} while {in_flight:?}"
        );
        let sends = matches!(
            effect.command,
            Command::Call(_) | Command::CreateJob(_) | Command::Object(_)
        );
        assert!(
            !(sends && self.is_stopping(step)),
            "{path} is sent though nothing new may start"
        );
        assert!(
            step.status.phase != ExecutionPhase::Unknown || !sends,
            "{path} is sent in Unknown"
        );
        if let Command::Object(command) = &effect.command {
            self.check_command(at, recorded, command);
        }
    }

    /// A command about an object goes by what is recorded: the object, and what stood there before the intent.
    fn check_command(&self, at: ActionIndex, recorded: &ActionStatus, command: &ObjectCommand) {
        let name = &recorded.name;
        // What an action recorded that it made is deleted without a look.
        let before = recorded.before.as_deref().or_else(|| self.made_uid(at));
        let before = before.unwrap_or_else(|| panic!("nobody looked before {name} began"));
        let target = match command {
            ObjectCommand::Look(look) => panic!("a look is no effect: {look:?}"),
            ObjectCommand::Write(write) => {
                assert_eq!(text(&write.before), before, "{name} goes by another look");
                &write.target
            }
            ObjectCommand::Delete(deletion) => {
                let uid = deletion.target.uid.as_deref();
                assert_eq!(uid.unwrap_or("absent"), before, "{name} deletes another object");
                &deletion.target
            }
        };
        let object = object_of(recorded).unwrap_or_else(|| panic!("{name} records no object"));
        assert_eq!((&object.kind, &object.name), (&target.kind, &target.name));
    }

    fn check_action(&self, old: &ActionStatus, new: &ActionStatus) {
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

    /// What is recorded of an object is true.
    fn check_object(&self, seen: &Observed, at: ActionIndex, old: &ActionStatus, new: &ActionStatus) {
        let path = || self.run.identity(at).path;
        match (&old.before, &new.before) {
            (None, Some(recorded)) => {
                let path = path();
                let looked = seen.looks.get(&at).expect("somebody looked");
                let Ok(ObjectOutcome::Found { before, .. }) = &looked.answer else {
                    panic!("{path} records what no look found: {looked:?}");
                };
                let age = self.time().millis_since(looked.asked_at);
                assert!(age <= LOOK_AGE_MAX, "{path} rests on a look of {age} ms ago");
                assert_eq!(recorded, text(before), "{path} records what no look found");
            }
            (old, new) => assert_eq!(old, new, "{}: what stood there does not change", path()),
        }
        if new.created && !old.created {
            let path = path();
            let uid = object_of(new).and_then(|object| object.uid.as_deref());
            let uid = uid.unwrap_or_else(|| panic!("{path} made an object of which it knows no UID"));
            assert!(
                self.world.objects.made_by(uid, path.as_str()),
                "{path} claims what a stranger made"
            );
        }
    }

    /// Looks are asked for what is to begin, or was cut off, once.
    fn check_looks(&self, seen: &Observed, step: &Step) {
        for (at, inquiry) in &step.inquiries {
            let path = self.run.path(*at);
            assert_eq!(inquiry.identity, self.run.identity(*at));
            assert!(!seen.looking.contains(at), "{path} looks twice at once");
            let asked = action_status(&step.status, *at).unwrap();
            assert!(!asked.phase.is_ended(), "{path} looks though it has ended");
            assert!(
                asked.phase == StepPhase::Running || !self.is_stopping(step),
                "{path} looks though nothing new may start"
            );
            assert_ne!(
                step.status.phase,
                ExecutionPhase::Unknown,
                "{path} looks in Unknown"
            );
            assert!(step.waiting_on.contains(&WaitingOn::Look(path)));
        }
    }

    fn is_stopping(&self, step: &Step) -> bool {
        let deadline = step.status.deadline;
        step.status.cancellation.is_some() || deadline.is_some_and(|deadline| deadline <= self.time())
    }

    /// Asked again at once with nothing new, the engine has nothing to do.
    pub(crate) fn check_rest(&self, step: &Step) {
        if self.wake_at.is_some_and(|wake| wake <= self.now) || !self.passes.is_multiple_of(REST_EVERY) {
            return;
        }
        let seen = self.observed();
        let again = advance(Some(&self.run), &self.stored, &seen, self.time()).unwrap();
        assert_eq!(again.status, step.status, "asked again it records something else");
        assert!(
            again.effects.is_empty(),
            "asked again it wants {:?}",
            again.effects
        );
        assert!(
            again.inquiries.is_empty(),
            "asked again it asks {:?}",
            again.inquiries
        );
        assert!(again.announcements.is_empty());
        assert_eq!(again.waiting_on, step.waiting_on);
        assert_eq!(again.wake_at, step.wake_at);
    }

    /// What must hold of a run that has ended.
    pub(crate) fn check_end(&self) {
        let mut cut_short = self.stored.cancellation.is_some();
        for at in self.run.graph.actions() {
            let action = action_status(&self.stored, at).unwrap();
            let (path, name) = (self.run.path(at), &action.name);
            let objects = &self.world.objects;
            let called = self.world.touched.get(name).copied().unwrap_or(false);
            let touched = called || objects.is_touched_by(path.as_str());
            assert!(action.phase.is_ended());
            let operation = operation(&self.run.action(at).doing.work);
            let had_nothing_to_delete =
                operation == Some(Operation::Delete) && action.before.as_deref() == Some("absent");
            let made = operation == Some(Operation::Create) && action.phase == StepPhase::Succeeded;
            assert!(
                action.created || !made,
                "{name} made an object, and its undo would be forgotten"
            );
            cut_short |= action.message == "the plan's timeout has passed";
            match action.phase {
                StepPhase::Failed => assert!(
                    action.effect_possible || !touched,
                    "{name} touched the world, and its undo would be forgotten"
                ),
                StepPhase::Skipped => assert!(!touched, "{name} was skipped but touched the world"),
                _ => assert!(
                    called || objects.is_done(path.as_str()) || had_nothing_to_delete,
                    "{name} succeeded without having been done"
                ),
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

/// The counts add up, and there is always something to say.
fn check_told(step: &Step) {
    let says = explain(&step.status, &step.waiting_on);
    assert!(
        !says.is_empty() && says.iter().all(|line| !line.is_empty() && !line.contains('\n')),
        "{says:?}"
    );
    let counts = serde_json::to_value(step.status.summary.as_ref().unwrap()).unwrap();
    for group in ["Stages", "Workflows", "Actions"] {
        let of = |phase: &str| counts[format!("{phase}{group}")].as_u64().unwrap();
        let phases = ["completed", "running", "pending", "failed", "skipped"];
        let sum: u64 = phases.iter().map(|phase| of(phase)).sum();
        assert_eq!(of("total"), sum);
    }
}

pub(crate) fn operation(work: &Work) -> Option<Operation> {
    match work {
        Work::Localization(localization) => Some(localization.operation),
        Work::Subscription(subscription) => Some(subscription.operation),
        Work::KubernetesResource(resource) => Some(resource.operation),
        Work::Http(_) | Work::Job(_) => None,
    }
}

fn text(before: &Before) -> &str {
    match before {
        Before::Absent => "absent",
        Before::Present(uid) => uid,
    }
}

fn object_of(action: &ActionStatus) -> Option<&ObjectRef> {
    let outputs = &action.outputs;
    let clusternet = outputs
        .localization_ref
        .as_deref()
        .or(outputs.subscription_ref.as_deref());
    clusternet.or(outputs.resource_ref.as_deref())
}
