//! What may leave a process: requests and calls, each only on an intent that was stored.

use std::time::Duration;

use drplan_api::status::{ExecutionPhase, StepPhase};
use serde_json::Value;
use tokio::time::Instant;

use super::{Rules, Run, is_undo, made_by, path_of};
use crate::{
    api::{Kind, Request, Verb, text},
    scenario::Fault,
};

/// How old the proof may be on which a call is sent.
const PROOF_AGE_MAX: Duration = Duration::from_secs(5);

impl Rules {
    /// A request leaves a process.
    pub(crate) fn sent(&mut self, by: &str, request: &Request) -> Option<String> {
        match (request.kind, request.verb) {
            (Kind::Job, Verb::Create) => self.sent_job(by, request),
            (Kind::Job, Verb::Delete) => self.sent_deletion(by, request),
            (kind, Verb::Delete) if kind.is_object() => self.sent_deletion(by, request),
            (kind, Verb::Create | Verb::Patch | Verb::Replace) if kind.is_object() => {
                self.sent_object(by, request)
            }
            _ => None,
        }
    }

    /// Nothing is written but by an action that runs.
    fn sent_object(&mut self, by: &str, request: &Request) -> Option<String> {
        let manager = request.query.get("fieldManager").cloned().unwrap_or_default();
        let Some(path) = self.managers.get(&manager).cloned() else {
            return Some(format!("{by} writes {} as {manager:?}", request.shown()));
        };
        let keys = self.runs.iter().map(|(uid, run)| run.key(uid, &path));
        let mut keys: Vec<String> = keys.collect();
        keys.sort();
        keys.dedup();
        let found = keys
            .into_iter()
            .find(|key| self.check_intent(by, key, None).is_none());
        match found {
            Some(key) => {
                self.effects.entry(key).or_default().was_sent = true;
                None
            }
            None => Some(format!(
                "{by} does {path} ({}) without an intent",
                request.shown()
            )),
        }
    }

    /// Nothing is deleted but by an action that runs and names it.
    fn sent_deletion(&mut self, by: &str, request: &Request) -> Option<String> {
        let targets = |run: &Run, key: &str| {
            let action = run.action(key);
            action.is_some_and(|action| {
                let outputs = &action.outputs;
                let refs = [
                    outputs.job_ref.as_deref(),
                    outputs.resource_ref.as_deref(),
                    outputs.localization_ref.as_deref(),
                    outputs.subscription_ref.as_deref(),
                ];
                refs.into_iter()
                    .flatten()
                    .any(|object| object.name == request.name)
            })
        };
        let intended = self.runs.values().any(|run| {
            let mut intents = run.intents.iter().filter(|(who, ..)| who == by);
            // A Job that is late is deleted by who waits for it, also while a person is asked what to do.
            let is_late = request.kind == Kind::Job && run.status.phase == ExecutionPhase::Unknown;
            intents.any(|(_, key, _)| {
                targets(run, key) && (is_late || self.check_intent(by, key, None).is_none())
            })
        });
        (!intended).then(|| format!("{by} deletes {} without an intent", request.name))
    }

    fn sent_job(&mut self, by: &str, request: &Request) -> Option<String> {
        let job: Value = serde_json::from_slice(&request.body).unwrap();
        let (key, attempt) = made_by(&job)?;
        let run = self.run_of(&key)?;
        let action = run.action(&key)?;
        if let Some(broken) = self.check_intent(by, &key, Some(attempt)) {
            return Some(broken);
        }
        let recorded = action.outputs.job_ref.as_ref().map(|job| job.name.as_str());
        let is_current = action.attempts == attempt && action.phase == StepPhase::Running;
        (is_current && recorded != Some(text(&job, "/metadata/name")))
            .then(|| format!("{by} creates a Job for {key} whose name is not recorded: {recorded:?}"))
    }

    /// A call leaves a process.
    pub(crate) fn called(&mut self, by: &str, key: &str) -> Option<String> {
        if let Some(broken) = self.check_intent(by, key, None) {
            return Some(broken);
        }
        let (attempt, resumable) = {
            let run = self.run_of(key)?;
            let proof = self.proofs.get(&(by.to_owned(), run.name.clone()));
            if proof.is_none_or(|proof| proof.elapsed() > PROOF_AGE_MAX) {
                return Some(format!(
                    "{by} does {key} on a proof of {:?}",
                    proof.map(Instant::elapsed)
                ));
            }
            let action = run.action(key)?;
            let stale = run
                .intents
                .iter()
                .filter(|(who, what, _)| who == by && what == key);
            let known = stale.map(|(_, _, attempt)| *attempt).max();
            let is_own = run.process() == by;
            (
                if is_own {
                    action.attempts
                } else {
                    known.unwrap_or(action.attempts)
                },
                is_own,
            )
        };
        let fails_if_interrupted = self
            .scenario
            .plan
            .action(path_of(key))
            .is_some_and(|action| action.fails_if_interrupted && !is_undo(key));
        let effect = self.effects.entry(key.to_owned()).or_default();
        let sent = effect.attempts.entry(attempt).or_default();
        *sent.sent.entry(by.to_owned()).or_default() += 1;
        let total: u64 = sent.sent.values().sum();
        let allowed = 1 + sent.repeats;
        if total > 1 {
            self.figures[3] += 1;
        }
        if !resumable {
            self.figures[4] += 1;
        }
        if total > allowed {
            return Some(format!(
                "attempt {attempt} of {key} is sent {total} times, {allowed} are recorded"
            ));
        }
        // When a retry is due is told by a wall clock; of two that differ nobody can tell whether it was sent.
        let clocks_differ = attempt > 1
            && self
                .scenario
                .faults
                .iter()
                .any(|fault| matches!(fault, Fault::Clock { .. }));
        (total > 1 && fails_if_interrupted && !clocks_differ)
            .then(|| format!("{key} is sent again, which its author forbade"))
    }

    /// No effect without a stored intent; none under a stale epoch beyond the one stored before; none of what has
    /// ended.
    fn check_intent(&self, by: &str, key: &str, attempt: Option<u32>) -> Option<String> {
        let Some(run) = self.run_of(key) else {
            return Some(format!("{by} does {key}, of which nothing is recorded"));
        };
        let Some(action) = run.action(key) else {
            return Some(format!("{by} does {key}, which no record lists"));
        };
        if run.process() != by {
            let stored = run.intents.iter().any(|(who, what, number)| {
                who == by && what == key && attempt.is_none_or(|attempt| attempt == *number)
            });
            return (!stored).then(|| {
                format!(
                    "{by} does {key} without an intent of its own; {} acts on {}",
                    run.process(),
                    run.name
                )
            });
        }
        if action.phase != StepPhase::Running {
            return Some(format!(
                "{by} does {key}, which is recorded as {:?}",
                action.phase
            ));
        }
        if attempt.is_some_and(|attempt| attempt != action.attempts) {
            return Some(format!(
                "{by} does attempt {attempt:?} of {key}, recorded is {}",
                action.attempts
            ));
        }
        (run.status.phase != ExecutionPhase::Running)
            .then(|| format!("{by} does {key} while {} is {:?}", run.name, run.status.phase))
    }
}
