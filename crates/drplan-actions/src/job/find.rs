//! Whether an attempt's Job exists.

use drplan_api::status::ObjectRef;
use drplan_engine::effect::{Failure, FailureKind, Outcome};

use super::{Access, Maker, patience::Patience, server, shown};
use crate::{ApiError, job_watch::SlimJob};

/// Finds this attempt's Job without creating it.
///
/// An API server that does not answer is asked again; if that lasts, the answer is `OutcomeUnknown`.
pub(crate) async fn find(access: &Access, maker: &Maker<'_>, job: &ObjectRef) -> Outcome {
    match look_until_known(access, maker, job).await {
        Ok(Found::Ours(found)) => Outcome::JobCreated {
            uid: found.metadata.uid.unwrap_or_default(),
        },
        Ok(Found::Foreign(_) | Found::Absent) => never_created(job),
        Err(error) => unknown(job, &error),
    }
}

/// What stands under the name of an attempt's Job.
pub(super) enum Found {
    /// This attempt's Job.
    Ours(SlimJob),
    /// Another one.
    Foreign(SlimJob),
    /// Nothing.
    Absent,
}

/// Reads what stands under the name of `job`: by its UID, if that is recorded, else by the annotations.
pub(super) async fn look(access: &Access, maker: &Maker<'_>, job: &ObjectRef) -> Result<Found, ApiError> {
    Ok(match server::read(&access.client, job).await? {
        None => Found::Absent,
        Some(found) if job.uid.is_some() && job.uid == found.metadata.uid => Found::Ours(found),
        Some(found) if job.uid.is_none() && maker.made(&found) => Found::Ours(found),
        Some(found) => Found::Foreign(found),
    })
}

/// The same, asked again until there is an answer or there will be none.
pub(super) async fn look_until_known(
    access: &Access,
    maker: &Maker<'_>,
    job: &ObjectRef,
) -> Result<Found, ApiError> {
    let mut patience = Patience::default();
    loop {
        match look(access, maker, job).await {
            Ok(found) => return Ok(found),
            Err(error) => match patience.after(&error, true) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            },
        }
    }
}

/// The outcome of a Job that was never made.
pub(super) fn never_created(job: &ObjectRef) -> Outcome {
    let message = format!("Job {} was never created", shown(job));
    Outcome::Failed(Failure::new(FailureKind::NotCreated, message))
}

/// The outcome of a Job of which the API server tells no more than `error`.
pub(super) fn unknown(job: &ObjectRef, error: &ApiError) -> Outcome {
    let message = format!("what became of Job {} is not known: {error}", shown(job));
    Outcome::Failed(Failure::new(FailureKind::OutcomeUnknown, message))
}
