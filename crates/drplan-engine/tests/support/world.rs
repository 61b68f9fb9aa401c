//! What the world answers, and what it remembers: requests that arrived, Jobs and objects that exist.

use std::collections::{BTreeMap, BTreeSet};

use drplan_engine::{
    effect::{Failure, FailureKind, Outcome},
    object::{Before, Deletion, Look, Marks, ObjectCommand, ObjectOutcome},
};

use crate::{
    fates::{Fates, UNDO},
    objects::{Objects, Request},
    plans,
};

/// The timeout of every action: longer than calls take, shorter than some Jobs.
pub(crate) const TIMEOUT_SECONDS: u64 = 60;

/// A Job that exists or existed.
#[derive(Clone, Debug)]
pub(crate) struct WorldJob {
    pub(crate) action: String,
    /// The path in its annotations.
    path: String,
    pub(crate) attempt: u32,
    /// Its end in milliseconds, if it ends by itself.
    pub(crate) ends: Option<i64>,
    pub(crate) failure: Option<FailureKind>,
    pub(crate) deleted: bool,
}

impl WorldJob {
    /// Whether attempt `attempt` at `action` takes it for its own: it or an earlier one made it.
    fn is_of(&self, action: &str, attempt: u32) -> bool {
        self.action == action && self.attempt <= attempt
    }

    fn runs(&self, now: i64) -> bool {
        !self.deleted && self.ends.is_none_or(|ends| ends > now)
    }
}

/// What outlives every process.
pub(crate) struct World {
    pub(crate) fates: Fates,
    /// Requests sent, by action and attempt: by which process, how often.
    pub(crate) calls: BTreeMap<(String, u32), Vec<u32>>,
    /// Actions of which a request arrived or a Job was made.
    pub(crate) touched: BTreeMap<String, bool>,
    /// By name.
    pub(crate) jobs: BTreeMap<String, WorldJob>,
    pub(crate) objects: Objects,
    creations: BTreeMap<(String, u32), u32>,
}

/// The end of a command: when, and what it brings.
pub(crate) type End = (i64, Outcome);

pub(crate) fn failed(kind: FailureKind) -> Outcome {
    let mut failure = Failure::new(kind, format!("{kind:?}"));
    if kind == FailureKind::HttpStatus {
        failure.status_code = Some(503);
    }
    Outcome::Failed(failure)
}

impl World {
    /// `objects` are those that anything is done to.
    pub(crate) fn new(seed: u64, objects: BTreeSet<String>, start: i64) -> Self {
        let fates = Fates(seed);
        Self {
            fates,
            objects: Objects::new(fates, objects, start),
            calls: BTreeMap::new(),
            touched: BTreeMap::new(),
            jobs: BTreeMap::new(),
            creations: BTreeMap::new(),
        }
    }

    pub(crate) fn call(&mut self, action: &str, attempt: u32, process: u32, now: i64) -> End {
        let sent = self.calls.entry((action.to_owned(), attempt)).or_default();
        assert!(
            !sent.contains(&process),
            "{action}#{attempt} is sent twice by one process"
        );
        let fate = self
            .fates
            .call(action, attempt, u32::try_from(sent.len()).unwrap());
        sent.push(process);
        let unreached = matches!(fate.failure, Some(FailureKind::NotConnected | FailureKind::Tls));
        *self.touched.entry(action.to_owned()).or_default() |= !unreached;
        let outcome = match fate.failure {
            Some(kind) => failed(kind),
            None => Outcome::Answered {
                status_code: 200,
                duration_millis: fate.millis,
                body: None,
            },
        };
        (now + millis(fate.millis), outcome)
    }

    /// Whether the creation of a Job that failed by `failure` makes one all the same.
    pub(crate) fn arrives_late(fates: &Fates, failure: FailureKind) -> bool {
        failure == FailureKind::ApiUnavailable && fates.0.is_multiple_of(7)
    }

    pub(crate) fn create(&mut self, job: &str, path: &str, action: &str, attempt: u32, now: i64) -> End {
        let key = (action.to_owned(), attempt);
        let sent = *self
            .creations
            .entry(key.clone())
            .and_modify(|sent| *sent += 1)
            .or_insert(0);
        let fate = self.fates.creation(action, attempt, sent);
        let end = now + millis(fate.millis);
        if let Some(found) = self.jobs.get(job) {
            let ours = found.is_of(action, attempt);
            return (
                end,
                if ours {
                    created(job)
                } else {
                    failed(FailureKind::AlreadyExists)
                },
            );
        }
        // A request whose answer is lost may have made the Job, and one that seemed to fail may arrive late.
        let makes = fate.failure.is_none_or(|failure| {
            failure == FailureKind::OutcomeUnknown || Self::arrives_late(&self.fates, failure)
        });
        if makes {
            let beside = self
                .jobs
                .values()
                .find(|other| other.action == action && other.runs(now));
            assert!(beside.is_none(), "{job} is made while {beside:?} runs");
            self.touched.insert(action.to_owned(), true);
            let ending = self.fates.job(action, attempt);
            let made = WorldJob {
                action: action.to_owned(),
                path: path.to_owned(),
                attempt,
                ends: ending.as_ref().map(|fate| end + millis(fate.millis * 3)),
                failure: ending.and_then(|fate| fate.failure),
                deleted: false,
            };
            self.jobs.insert(job.to_owned(), made);
        }
        (end, fate.failure.map_or_else(|| created(job), failed))
    }

    /// The end of waiting for `job` until `deadline`.
    pub(crate) fn await_end(&self, job: &str, deadline: i64, now: i64) -> End {
        let found = &self.jobs[job];
        match found.ends {
            _ if found.deleted => (now, failed(FailureKind::JobLost)),
            Some(ends) if ends <= deadline.max(now) => {
                (ends.max(now), found.failure.map_or(Outcome::JobSucceeded, failed))
            }
            _ => (deadline.max(now), failed(FailureKind::JobTimedOut)),
        }
    }

    pub(crate) fn find(&self, job: &str, action: &str, attempt: u32, now: i64) -> End {
        let ours = self
            .jobs
            .get(job)
            .is_some_and(|found| found.is_of(action, attempt));
        let outcome = if ours {
            created(job)
        } else {
            failed(FailureKind::NotCreated)
        };
        (now + 1000, outcome)
    }

    /// What stands at a place; as [`Objects::look`], which knows no Jobs.
    pub(crate) fn look(&mut self, look: &Look, now: i64) -> Result<Result<ObjectOutcome, Failure>, i64> {
        if look.target.kind.as_deref() != Some("Job") {
            return self.objects.look(look, now);
        }
        let found = self.jobs.get(&look.target.name).filter(|job| !job.deleted);
        let marks = found.map(|job| Marks {
            execution_uid: plans::UID.to_owned(),
            action_path: job.path.clone(),
            managers: Vec::new(),
        });
        let uid = |_| Before::Present(uid_of(&look.target.name));
        let (before, lists) = (found.map_or(Before::Absent, uid), Vec::new());
        Ok(Ok(ObjectOutcome::Found { before, marks, lists }))
    }

    /// The end of a command about an object that arrives now.
    pub(crate) fn perform(&mut self, request: &Request<'_>, now: i64) -> End {
        match request.command {
            ObjectCommand::Delete(deletion) if deletion.target.kind.as_deref() == Some("Job") => {
                self.delete_job(request, &deletion.target.name, now)
            }
            _ => self.objects.perform(request, now),
        }
    }

    fn delete_job(&mut self, request: &Request<'_>, job: &str, now: i64) -> End {
        let key = (request.action.to_owned(), request.attempt);
        let sent = *self
            .creations
            .entry(key)
            .and_modify(|sent| *sent += 1)
            .or_insert(0);
        let (fate, arrives) = self.fates.request(request.action, request.attempt, sent);
        let end = now + millis(fate.millis);
        if fate.failure.is_some() && !arrives {
            return (end, fate.failure.map(failed).unwrap());
        }
        let met = match self.jobs.get_mut(job).filter(|found| !found.deleted) {
            None => Deletion::WasAbsent,
            Some(found) => {
                assert_eq!(
                    request.action,
                    format!("{}{UNDO}", found.action),
                    "deletes another's Job"
                );
                found.deleted = true;
                Deletion::Deleted
            }
        };
        let outcome = Outcome::Object(ObjectOutcome::Deleted(met));
        (end, fate.failure.map_or(outcome, failed))
    }

    pub(crate) fn stop(&mut self, job: &str, action: &str, attempt: u32, now: i64) -> End {
        let found = self.jobs.get_mut(job);
        let outcome = match found.filter(|found| found.is_of(action, attempt)) {
            None => failed(FailureKind::NotCreated),
            Some(found) if !found.deleted && found.ends.is_some_and(|ends| ends <= now) => {
                found.failure.map_or(Outcome::JobSucceeded, failed)
            }
            Some(found) => {
                found.deleted = true;
                failed(FailureKind::Stopped)
            }
        };
        (now + 1000, outcome)
    }
}

fn created(job: &str) -> Outcome {
    Outcome::JobCreated { uid: uid_of(job) }
}

pub(crate) fn uid_of(job: &str) -> String {
    format!("uid-of-{job}")
}

pub(crate) fn millis(span: u64) -> i64 {
    i64::try_from(span).unwrap()
}
