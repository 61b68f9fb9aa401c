//! Inputs of scripts: from words to what commands brought and looks found.

use std::collections::BTreeMap;

use drplan_engine::{
    ActionIndex, Looked,
    effect::{Failure, FailureKind, Observation, Outcome},
    object::{Before, Deletion, Marks, ObjectOutcome, field_manager},
};

use crate::{plans, player::Player, written_plan::duration};

impl Player {
    /// `a ok, b failed status 503`.
    pub(crate) fn read_results(&mut self, text: &str) -> BTreeMap<ActionIndex, Observation> {
        let one = |text: &str| self.read_result(text.trim());
        text.split(',').filter(|text| !text.is_empty()).map(one).collect()
    }

    fn read_result(&mut self, text: &str) -> (ActionIndex, Observation) {
        let (name, outcome) = text.split_once(' ').expect("a result");
        let (name, attempt) = match name.split_once('#') {
            Some((name, attempt)) => (name, Some(attempt.parse().unwrap())),
            None => (name, None),
        };
        let at = self.at(name);
        let current = self.recorded(at).attempts;
        if attempt.is_none_or(|attempt| attempt == current) {
            let in_flight = self.in_flight.remove(&at);
            assert!(
                attempt.is_some() || in_flight.is_some(),
                "nothing is in flight for {name}"
            );
        }
        let recorded = self.recorded(at);
        let is_job = recorded.outputs.job_ref.is_some();
        let was_there = recorded.before.clone().filter(|before| before != "absent");
        let made = match self.target {
            None => format!("uid-of-{name}"),
            Some(_) => format!("uid-of-undo-of-{name}"),
        };
        let outcome = match outcome.split_once(' ').unwrap_or((outcome, "")) {
            ("ok", "") if is_job => Outcome::JobSucceeded,
            ("ok", "") => Outcome::Answered {
                status_code: 200,
                duration_millis: 120,
                body: None,
            },
            ("ok", body) => Outcome::Answered {
                status_code: 200,
                duration_millis: 120,
                body: Some(body_of(body)),
            },
            ("undone", "") => self.undone_well(at, was_there.unwrap_or(made)),
            ("created", "") if is_job => Outcome::JobCreated { uid: made },
            ("created", "") => Outcome::Object(ObjectOutcome::Written {
                uid: made,
                created: true,
            }),
            ("accepted", "") => Outcome::Object(ObjectOutcome::Written {
                uid: was_there.unwrap_or(made),
                created: false,
            }),
            ("deleted", "") => Outcome::Object(ObjectOutcome::Deleted(Deletion::Deleted)),
            ("was", "absent") => Outcome::Object(ObjectOutcome::Deleted(Deletion::WasAbsent)),
            ("was", "replaced") => Outcome::Object(ObjectOutcome::Deleted(Deletion::WasReplaced)),
            ("failed", why) => Outcome::Failed(failure(why)),
            _ => panic!("unknown result {outcome}"),
        };
        let attempt = attempt.unwrap_or(current);
        (at, Observation { attempt, outcome })
    }

    /// `a absent, b present uid-1, c ours, d ours with kubectl, e failed unavailable`.
    pub(crate) fn read_looks(&mut self, text: &str) -> BTreeMap<ActionIndex, Looked> {
        text.split(',').map(|text| self.read_look(text.trim())).collect()
    }

    fn read_look(&mut self, text: &str) -> (ActionIndex, Looked) {
        let (name, found) = text.split_once(' ').expect("what a look found");
        let at = self.at(name);
        let asked_at = self.looking.remove(&at);
        let asked_at = asked_at.unwrap_or_else(|| panic!("nobody looks for {name}"));
        let action = self.action_identity(at);
        let (manager, _) = field_manager(plans::NAMESPACE, &self.status.plan, &action.path);
        // What a Revert deletes carries the identity of the action that made it.
        let (identity, ours) = match self.is_deletion(at) {
            true => (action, format!("uid-of-{name}")),
            false if self.target.is_some() => (self.identity(at), format!("uid-of-undo-of-{name}")),
            false => (action, format!("uid-of-{name}")),
        };
        let marks = |execution_uid: &str, action_path: &str, others: &[&str]| {
            let others = others.iter().map(ToString::to_string);
            Some(Marks {
                execution_uid: execution_uid.to_owned(),
                action_path: action_path.to_owned(),
                managers: std::iter::once(manager.clone()).chain(others).collect(),
            })
        };
        let path = identity.path.as_str();
        let (before, marks) = match found.split(' ').collect::<Vec<_>>().as_slice() {
            ["absent"] => (Before::Absent, None),
            ["present", uid] => (Before::Present((*uid).to_owned()), None),
            ["present", uid, "marked", "as", "ours"] => {
                (Before::Present((*uid).to_owned()), marks(plans::UID, path, &[]))
            }
            ["present", uid, "of", "another", "run"] => {
                (Before::Present((*uid).to_owned()), marks("another", path, &[]))
            }
            ["present", uid, "of", "another", "action"] => (
                Before::Present((*uid).to_owned()),
                marks(plans::UID, "s/w0[0]/another", &[]),
            ),
            ["ours", others @ ..] => (
                Before::Present(ours),
                marks(
                    plans::UID,
                    path,
                    others.strip_prefix(&["with"]).unwrap_or_default(),
                ),
            ),
            ["failed", why @ ..] => {
                let answer = Err(failure(&why.join(" ")));
                return (at, Looked { asked_at, answer });
            }
            _ => panic!("unknown find {found}"),
        };
        let answer = Ok(ObjectOutcome::Found {
            before,
            marks,
            lists: Vec::new(),
        });
        (at, Looked { asked_at, answer })
    }
}

/// Such as `body of 4096`: so many letters.
fn body_of(text: &str) -> String {
    let length = text.strip_prefix("body of ").expect("a body");
    "x".repeat(length.parse().unwrap())
}

/// Such as `refused`, `status 503`, `status 429 retry-after 30s`.
fn failure(text: &str) -> Failure {
    use FailureKind as K;
    let mut words = text.split(' ');
    let word = words.next().expect("a kind of failure");
    let kind = match word {
        "render" => K::Render,
        "refused" => K::NotConnected,
        "reset" => K::ConnectionLost,
        "timeout" => K::Timeout,
        "tls" => K::Tls,
        "status" => K::HttpStatus,
        "garbled" => K::BadAnswer,
        "unavailable" => K::ApiUnavailable,
        "conflict" => K::ApiConflict,
        "exists" => K::AlreadyExists,
        "fields" => K::FieldConflict,
        "forbidden" => K::Forbidden,
        "invalid" => K::Invalid,
        "job" => K::JobFailed,
        "late" => K::JobTimedOut,
        "lost" => K::JobLost,
        "not-created" => K::NotCreated,
        "stopped" => K::Stopped,
        "unknown" => K::OutcomeUnknown,
        other => panic!("unknown kind of failure {other}"),
    };
    let mut failure = Failure::new(kind, word);
    if kind == K::HttpStatus {
        let code = words.next().expect("a status code");
        failure.status_code = Some(code.parse().unwrap());
        failure.message = format!("HTTP {code}");
    }
    if let Some("retry-after") = words.next() {
        failure.retry_after_millis = Some(duration(words.next().unwrap()).as_millis());
    }
    failure
}
