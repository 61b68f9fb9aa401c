//! What the shell must do, and what it may see: the words between the deciding engine and the acting shell.

use std::collections::BTreeMap;

use drplan_api::{ActionPath, GoDuration, Time, status::ObjectRef};
use serde_json::Value;

use crate::{
    object::{ObjectCommand, ObjectOutcome},
    sealed::Sealed,
};

/// The identity of an effect: the same in every attempt and after every crash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EffectIdentity {
    /// The UID of the execution.
    pub execution_uid: String,
    /// Where the action stands in it; for its undo `/undo` behind that.
    pub path: ActionPath,
}

impl EffectIdentity {
    /// The identity of the undo of what has this one: the same in every Revert.
    pub fn undo(&self) -> Self {
        Self {
            execution_uid: self.execution_uid.clone(),
            path: self.path.undo(),
        }
    }

    /// Whether it is that of an undo. A rollback is stored with its run: nobody can write it anew.
    pub fn is_undo(&self) -> bool {
        self.path.is_undo()
    }

    /// The value of the header `Idempotency-Key`: `<uid>/<path>`.
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}", self.execution_uid, self.path)
    }
}

/// One thing to do for one attempt of one action. Its intent is persisted before it is performed.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionEffect {
    /// Whose effect it is.
    pub identity: EffectIdentity,
    /// The attempt, from 1.
    pub attempt: u32,
    /// What to do.
    pub command: Command,
}

/// What to do for an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Send this request once; answers with `Answered` or `Failed`.
    Call(HttpCall),
    /// Create this Job unless this attempt made it already; answers with `JobCreated` or `Failed`.
    CreateJob(JobCreation),
    /// Wait until this Job has ended; answers with `JobSucceeded`, or `Failed` (`JobFailed`, `JobLost`, `JobTimedOut`,
    /// or `OutcomeUnknown` if the API server does not tell).
    AwaitJob(JobWait),
    /// Find out whether this attempt's Job exists, without creating it; answers with `JobCreated` or `Failed`
    /// (`NotCreated`, or `OutcomeUnknown` if that cannot be found out).
    FindJob(ObjectRef),
    /// Delete this Job (Foreground) and report what became of it: `JobSucceeded` if it had completed before, else
    /// `Failed` (`JobFailed` if it had failed before, else `Stopped`, `NotCreated` if there never was one,
    /// or `OutcomeUnknown`).
    StopJob(ObjectRef),
    /// Do this to an object; answers with `Object` or `Failed`.
    Object(ObjectCommand),
}

/// One HTTP request, rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpCall {
    /// Absolute, `http` or `https`.
    pub url: String,
    /// Upper case.
    pub method: String,
    /// Names as written, values rendered; without `Idempotency-Key`, which is the identity's unless written here.
    pub headers: BTreeMap<String, String>,
    /// Rendered.
    pub body: Option<String>,
    /// Empty: 200–299.
    pub success_codes: Vec<u16>,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// PEM certificates trusted besides the system's.
    pub ca_bundle: Option<String>,
    /// Whether the server's certificate is left unverified.
    pub insecure_skip_verify: bool,
    /// Whether the response body is wanted.
    pub keep_body: bool,
    /// The bound of this attempt, from the moment it is sent.
    pub timeout: GoDuration,
    /// Values that are read first; then [`HttpCall::opened`] is what is sent.
    pub sealed: Option<Box<Sealed>>,
}

/// A Job to create, rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct JobCreation {
    /// Where it goes and what it is called.
    pub target: ObjectRef,
    /// The field manager of the action, `drplan:<hash of the plan>:<hash of the action>`.
    pub field_manager: String,
    /// The complete `batch/v1` Job with our labels and annotations, without `ttlSecondsAfterFinished`.
    pub manifest: Value,
    /// When the attempt is over, wall time; the API server is not tried after it.
    pub deadline: Time,
}

/// A Job to wait for.
#[derive(Clone, Debug, PartialEq)]
pub struct JobWait {
    /// Which, with its UID.
    pub job: ObjectRef,
    /// When it is deleted as timed out, wall time. It is read live before.
    pub deadline: Time,
}

/// What was seen of one attempt of one action.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The attempt it belongs to; one of an older attempt is ignored.
    pub attempt: u32,
    /// What was seen.
    pub outcome: Outcome,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// An HTTP server answered with a status that means success.
    Answered {
        /// The status code.
        status_code: u16,
        /// Milliseconds from sending to the end of the answer.
        duration_millis: u64,
        /// At most 4 KiB of it, if wanted.
        body: Option<String>,
    },
    /// The Job exists and is this attempt's.
    JobCreated {
        /// Its UID.
        uid: String,
    },
    /// The Job's condition Complete is True.
    JobSucceeded,
    /// What was done to an object worked.
    Object(ObjectOutcome),
    /// It did not work.
    Failed(Failure),
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Decides whether it is retried, and whether an undo is owed.
    pub kind: FailureKind,
    /// One line for people, without secrets; cut to 256 bytes when stored.
    pub message: String,
    /// HTTP: the status code, if there was an answer.
    pub status_code: Option<u16>,
    /// Milliseconds that the server asked to wait (Retry-After).
    pub retry_after_millis: Option<u64>,
    /// Job: exit code of the first failed container.
    pub exit_code: Option<i32>,
    /// Job: the end of its log, at most 4 KiB.
    pub log: Option<String>,
}

impl Failure {
    /// A failure of this kind with this message and nothing else.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            status_code: None,
            retry_after_millis: None,
            exit_code: None,
            log: None,
        }
    }
}

/// The kinds of failure: what may be retried, and what had no effect, follows from them alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// A template did not render, or the rendered request is none. Nothing was sent.
    Render,
    /// A value that is read when it is sent could not be read now. Nothing was sent.
    NotRead,
    /// The connection was refused, or no name resolved. Nothing was sent.
    NotConnected,
    /// The connection broke after something was sent.
    ConnectionLost,
    /// No complete answer within the timeout.
    Timeout,
    /// The peer's certificate did not verify. Nothing was sent.
    Tls,
    /// An HTTP answer whose status does not mean success; the code is in `status_code`.
    HttpStatus,
    /// The answer was no HTTP, or broke its rules.
    BadAnswer,
    /// The API server: 429, 5xx, or a timeout of its own.
    ApiUnavailable,
    /// The API server: stale resourceVersion.
    ApiConflict,
    /// The API server: the object exists and is not ours.
    AlreadyExists,
    /// The API server: fields belong to a manager outside the plan.
    FieldConflict,
    /// The API server: the object has another UID than the recorded one.
    OtherObject,
    /// The API server: 401 or 403.
    Forbidden,
    /// The API server refused the object (400, 404, 422, a webhook's refusal).
    Invalid,
    /// The Job's condition Failed is True.
    JobFailed,
    /// The Job did not end in time and was deleted.
    JobTimedOut,
    /// The Job is gone without a result.
    JobLost,
    /// The Job was never created. Nothing was done.
    NotCreated,
    /// The Job was deleted on request; it may have had an effect.
    Stopped,
    /// A call whose result nobody holds.
    OutcomeUnknown,
}
