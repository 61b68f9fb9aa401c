//! What a process holds and loses when it dies.

use std::collections::{BTreeMap, BTreeSet};

use drplan_api::{
    Time,
    status::{ActionStatus, DRPlanExecutionStatus, StepPhase},
};
use drplan_engine::{
    ActionIndex, InFlight, Looked, Observed, action_indices, action_status,
    effect::{Failure, FailureKind, Observation},
    object::Look,
};

use crate::{
    plans,
    world::{End, World},
};

/// How long, in milliseconds, the answer to a look is kept.
const LOOK_KEPT: i64 = 5_000;

/// A command that a process performs.
pub(crate) struct Performed {
    pub(crate) kind: InFlight,
    pub(crate) attempt: u32,
    pub(crate) end: End,
}

/// A look under way.
pub(crate) struct Looking {
    pub(crate) asked_at: i64,
    /// When it is answered, or tried again.
    pub(crate) ends: i64,
    pub(crate) failure: Option<FailureKind>,
    pub(crate) look: Look,
}

#[derive(Default)]
pub(crate) struct Process {
    pub(crate) in_flight: BTreeMap<ActionIndex, Performed>,
    pub(crate) results: BTreeMap<ActionIndex, Observation>,
    pub(crate) fresh: BTreeSet<ActionIndex>,
    pub(crate) looking: BTreeMap<ActionIndex, Looking>,
    /// What looks found, and when that came.
    looks: BTreeMap<ActionIndex, (Looked, i64)>,
}

impl Process {
    /// The successor of one that died: what was to begin later has not begun.
    pub(crate) fn successor(stored: &DRPlanExecutionStatus, now: Time) -> Self {
        let early = |at: &ActionIndex| {
            let time = action_status(stored, *at).and_then(|action| action.attempt_time);
            time.is_some_and(|time| time > now)
        };
        Self {
            fresh: action_indices(stored).into_iter().filter(early).collect(),
            ..Self::default()
        }
    }

    /// When something comes by itself.
    pub(crate) fn next(&self) -> Option<i64> {
        let ends = self.in_flight.values().map(|performed| performed.end.0);
        ends.chain(self.looking.values().map(|looking| looking.ends))
            .min()
    }

    /// Takes the answers to looks that have come until `now`.
    pub(crate) fn take_looks(&mut self, world: &mut World, now: i64) {
        let due = |(at, looking): (&ActionIndex, &Looking)| (looking.ends <= now).then_some(*at);
        let due: Vec<ActionIndex> = self.looking.iter().filter_map(due).collect();
        for at in due {
            let looking = self.looking.get_mut(&at).unwrap();
            let answer = match looking.failure {
                Some(kind) => Err(Failure::new(kind, format!("look: {kind:?}"))),
                None => match world.look(&looking.look, now) {
                    Ok(answer) => answer,
                    Err(later) => {
                        looking.ends = later;
                        continue;
                    }
                },
            };
            let asked_at = Time::from_millis(looking.asked_at);
            self.looking.remove(&at);
            self.looks.insert(at, (Looked { asked_at, answer }, now));
        }
    }

    /// What it sees, commands and faults aside.
    pub(crate) fn observed(&self, http_places: usize) -> Observed {
        let is_call = |performed: &&Performed| performed.kind == InFlight::Call;
        let calls = self.in_flight.values().filter(is_call).count();
        let kinds = self.in_flight.iter().map(|(at, one)| (*at, one.kind));
        let looks = self.looks.iter().map(|(at, (looked, _))| (*at, looked.clone()));
        Observed {
            execution_uid: plans::UID.to_owned(),
            results: self.results.clone(),
            looks: looks.collect(),
            looking: self.looking.keys().copied().collect(),
            in_flight: kinds.collect(),
            fresh: self.fresh.clone(),
            http_places: http_places.saturating_sub(calls),
            ..Observed::default()
        }
    }

    /// Intents that were just stored are fresh until they are acted on; what has ended is dropped.
    pub(crate) fn note_intents(&mut self, before: &DRPlanExecutionStatus, stored: &DRPlanExecutionStatus) {
        for at in action_indices(stored) {
            let of = |status| -> &ActionStatus { action_status(status, at).unwrap() };
            let (old, new) = (of(before), of(stored));
            if new.phase != StepPhase::Running {
                self.in_flight.remove(&at);
                self.fresh.remove(&at);
            } else if old.attempts < new.attempts {
                self.fresh.insert(at);
            }
        }
    }

    /// Looks of what has ended are dropped, and answers that nothing may rest on any more.
    pub(crate) fn drop_looks(&mut self, stored: &DRPlanExecutionStatus, now: i64) {
        let open = |at: &ActionIndex| !action_status(stored, *at).unwrap().phase.is_ended();
        self.looking.retain(|at, _| open(at));
        self.looks
            .retain(|at, (_, came)| open(at) && now - *came < LOOK_KEPT);
    }
}
