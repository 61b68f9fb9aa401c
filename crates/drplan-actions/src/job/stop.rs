//! Deleting a Job on request.

use drplan_api::status::ObjectRef;
use drplan_engine::effect::{Failure, FailureKind, Outcome};

use super::{
    Access, Maker,
    await_end::ended,
    end_of,
    find::{Found, look, never_created, unknown},
    patience::Patience,
    server, shown,
};

/// Deletes this attempt's Job and its Pods, unless it has ended: then its result counts and it stays.
pub(crate) async fn stop(access: &Access, maker: &Maker<'_>, job: &ObjectRef) -> Outcome {
    let mut patience = Patience::default();
    loop {
        let error = match look(access, maker, job).await {
            Ok(Found::Ours(found)) => match end_of(found.status.as_ref()) {
                Some(end) => return ended(access, job, end).await,
                None => match server::delete(&access.client, job, &found).await {
                    Ok(()) => return stopped(format!("Job {} was deleted on request", shown(job))),
                    Err(error) => error,
                },
            },
            Ok(Found::Foreign(_) | Found::Absent) if job.uid.is_some() => {
                return stopped(format!("Job {} was gone already", shown(job)));
            }
            Ok(Found::Foreign(_) | Found::Absent) => return never_created(job),
            Err(error) => error,
        };
        let pause = match error.is_overtaken() {
            true => Patience::default().after(&error, true),
            false => patience.after(&error, true),
        };
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return unknown(job, &error),
        }
    }
}

fn stopped(message: String) -> Outcome {
    Outcome::Failed(Failure::new(FailureKind::Stopped, message))
}
