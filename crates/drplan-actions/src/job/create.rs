//! Creating an attempt's Job, exactly once.

use std::time::Duration;

use drplan_engine::effect::{Failure, FailureKind, JobCreation, Outcome};

use super::{
    Access, Maker,
    find::{Found, look_until_known, never_created, unknown},
    server, shown,
};
use crate::{ApiError, deadline::Deadline, job_watch::SlimJob};

/// The pause between two looks at a namesake that is being deleted.
const NAMESAKE_PAUSE: Duration = Duration::from_secs(1);

/// Creates the Job of `creation`, or adopts it if this attempt made it before, or an earlier one that went by its name.
///
/// A namesake that is being deleted is waited for until the deadline. A request whose answer is lost is followed by
/// a look: the outcome says whether there is a Job. After the deadline nothing is created, only found.
pub(crate) async fn create(access: &Access, maker: &Maker<'_>, creation: &JobCreation) -> Outcome {
    let target = &creation.target;
    let annotations = &creation.manifest["metadata"]["annotations"];
    if maker.marked(|key| annotations.get(key)?.as_str()) != Some(maker.attempt) {
        // Unmarked it could not be told from a stranger's after a crash.
        let message = format!(
            "Job {} does not carry the annotations of its attempt",
            shown(target)
        );
        return Outcome::Failed(Failure::new(FailureKind::Render, message));
    }
    let deadline = Deadline::at(creation.deadline);
    while !deadline.passed() {
        let answer = server::create(
            &access.client,
            target,
            &creation.manifest,
            &creation.field_manager,
            deadline.remaining(),
        )
        .await;
        let error = match answer {
            Ok(made) => return created(made),
            Err(error) => error,
        };
        if error.kind != FailureKind::AlreadyExists {
            return not_answered(access, maker, creation, &error).await;
        }
        match look_until_known(access, maker, target).await {
            Ok(Found::Ours(made)) => return created(made),
            Ok(Found::Foreign(other)) if other.metadata.deletion_timestamp.is_some() => {}
            Ok(Found::Foreign(_)) => return foreign(maker, creation),
            // Gone between the two requests.
            Ok(Found::Absent) => {}
            Err(error) => return unknown(target, &error),
        }
        tokio::time::sleep(NAMESAKE_PAUSE.min(deadline.remaining())).await;
    }
    match look_until_known(access, maker, target).await {
        Ok(Found::Ours(made)) => created(made),
        Ok(Found::Foreign(other)) if other.metadata.deletion_timestamp.is_some() => {
            let finalizers = other.metadata.finalizers.unwrap_or_default().join(", ");
            exists(
                creation,
                &format!("and is still being deleted (finalizers: {finalizers})"),
            )
        }
        Ok(Found::Foreign(_)) => foreign(maker, creation),
        Ok(Found::Absent) => never_created(target),
        Err(error) => unknown(target, &error),
    }
}

/// The outcome of a creation that ended with `error`: certain where nothing can have happened, else by a look.
async fn not_answered(
    access: &Access,
    maker: &Maker<'_>,
    creation: &JobCreation,
    error: &ApiError,
) -> Outcome {
    let target = &creation.target;
    let failure = error.failure(&format!("create Job {}", shown(target)));
    if !error.may_have_happened {
        return Outcome::Failed(failure);
    }
    match look_until_known(access, maker, target).await {
        Ok(Found::Ours(made)) => created(made),
        Ok(Found::Foreign(_) | Found::Absent) => Outcome::Failed(failure),
        Err(error) => unknown(target, &error),
    }
}

fn created(job: SlimJob) -> Outcome {
    Outcome::JobCreated {
        uid: job.metadata.uid.unwrap_or_default(),
    }
}

/// A namesake stays.
fn foreign(maker: &Maker<'_>, creation: &JobCreation) -> Outcome {
    let instead = if maker.identity.is_undo() {
        ""
    } else {
        ", or give the Job another name"
    };
    exists(
        creation,
        &format!("and was not made by this attempt: delete it{instead}"),
    )
}

fn exists(creation: &JobCreation, how: &str) -> Outcome {
    let message = format!("Job {} exists {how}", shown(&creation.target));
    Outcome::Failed(Failure::new(FailureKind::AlreadyExists, message))
}
