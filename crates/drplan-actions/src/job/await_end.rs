//! Waiting for the end of a Job.

use drplan_api::status::ObjectRef;
use drplan_engine::effect::{Failure, FailureKind, JobWait, Outcome};

use super::{
    Access, JobEnd, Maker,
    failed_container::failed,
    find::{Found, look, look_until_known, never_created, unknown},
    patience::Patience,
    server, shown,
};
use crate::{
    ApiError,
    deadline::Deadline,
    job_watch::{SlimJob, Subscription},
};

/// Waits until `wait.job` has ended; at its deadline it is deleted.
///
/// # Guarantees
/// Nothing is concluded without a live read. A Job that has completed has succeeded, however late it is looked at; it
/// is deleted only in the very version that was read as not ended.
pub(crate) async fn await_end(access: &Access, maker: &Maker<'_>, wait: &JobWait) -> Outcome {
    let deadline = Deadline::at(wait.deadline);
    let job = match recorded(access, maker, &wait.job).await {
        Ok(job) => job,
        Err(outcome) => return outcome,
    };
    let uid = job.uid.as_deref().unwrap_or_default();
    // Before the first read, so that nothing can happen between the two unseen.
    let mut notices = access
        .watch
        .subscribe(job.namespace.as_deref().unwrap_or_default(), uid);
    let mut patience = Patience::default();
    loop {
        let pause = match read(access, maker, &job, &notices, deadline).await {
            Ok(Some(outcome)) => return outcome,
            Ok(None) => {
                patience.answered();
                access.relist
            }
            Err(error) => match patience.after(&error, deadline.passed()) {
                Some(pause) => pause,
                None => return unknown(&job, &error),
            },
        };
        // A deadline that is over leaves only the pause: the API server does not answer, or does not delete.
        let pause = if deadline.passed() {
            pause
        } else {
            pause.min(deadline.remaining())
        };
        tokio::select! {
            biased;
            () = notices.notice() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// `job` with its UID: the recorded one, else that of the Job that carries this attempt's annotations.
async fn recorded(access: &Access, maker: &Maker<'_>, job: &ObjectRef) -> Result<ObjectRef, Outcome> {
    if job.uid.is_some() {
        return Ok(job.clone());
    }
    match look_until_known(access, maker, job).await {
        Ok(Found::Ours(found)) => Ok(ObjectRef {
            uid: found.metadata.uid,
            ..job.clone()
        }),
        Ok(Found::Foreign(_) | Found::Absent) => Err(never_created(job)),
        Err(error) => Err(unknown(job, &error)),
    }
}

/// Reads `job` live and concludes what can be concluded.
async fn read(
    access: &Access,
    maker: &Maker<'_>,
    job: &ObjectRef,
    notices: &Subscription,
    deadline: Deadline,
) -> Result<Option<Outcome>, ApiError> {
    let Found::Ours(found) = look(access, maker, job).await? else {
        return Ok(Some(gone(access, job, notices).await));
    };
    match super::end_of(found.status.as_ref()) {
        Some(end) => Ok(Some(ended(access, job, end).await)),
        None if deadline.passed() => delete_late(access, job, &found).await,
        None => Ok(None),
    }
}

/// What became of a Job that has ended.
pub(super) async fn ended(access: &Access, job: &ObjectRef, end: JobEnd) -> Outcome {
    match end {
        JobEnd::Complete => Outcome::JobSucceeded,
        JobEnd::Failed { reason, message } => {
            Outcome::Failed(failed(&access.client, job, &reason, &message).await)
        }
    }
}

/// What became of a Job that is gone: the end that the watch saw, if it saw one.
async fn gone(access: &Access, job: &ObjectRef, notices: &Subscription) -> Outcome {
    match notices.end() {
        Some(end) => ended(access, job, end).await,
        None => {
            let message = format!("JobLost: Job {} is gone without a result", shown(job));
            Outcome::Failed(Failure::new(FailureKind::JobLost, message))
        }
    }
}

/// Deletes a Job that did not end in time; none if it has changed since it was read.
async fn delete_late(access: &Access, job: &ObjectRef, found: &SlimJob) -> Result<Option<Outcome>, ApiError> {
    match server::delete(&access.client, job, found).await {
        Ok(()) => {
            let message = format!(
                "JobTimedOut: Job {} did not end in time and was deleted",
                shown(job)
            );
            Ok(Some(Outcome::Failed(Failure::new(
                FailureKind::JobTimedOut,
                message,
            ))))
        }
        Err(error) if error.is_overtaken() => Err(ApiError {
            kind: FailureKind::ApiConflict,
            ..error
        }),
        Err(error) => Err(error),
    }
}
