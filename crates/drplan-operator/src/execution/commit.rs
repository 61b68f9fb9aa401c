//! Writing a run's status: always on the version that this process last wrote or read, never blindly.

use drplan_api::DRPlanExecutionStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{
    context::Context,
    record::{Record, Recorded},
    store::StoreError,
};

/// What became of a write.
pub enum Written {
    /// It is stored; the object has this metadata now.
    Stored(Box<ObjectMeta>),
    /// Nothing is known: read before anything else.
    InDoubt(StoreError),
    /// The object changed or is gone; nothing was written.
    Overtaken,
}

/// Writes `status` if the object still has the version of `meta`.
pub async fn write(context: &Context, meta: &ObjectMeta, status: &DRPlanExecutionStatus) -> Written {
    match context.stores.executions.put_status(meta, status).await {
        Ok(mut meta) => {
            meta.managed_fields = None;
            Written::Stored(Box::new(meta))
        }
        Err(StoreError::Conflict | StoreError::Gone) => Written::Overtaken,
        Err(error @ (StoreError::Refused { .. } | StoreError::Unanswered { .. })) => Written::InDoubt(error),
    }
}

/// What a read shows of a run that this process acts on.
pub enum Reread {
    /// It is still this process's; this is what is stored.
    Ours(Box<Record>, Box<DRPlanExecutionStatus>),
    /// Another process acts on it, or it is gone, or nobody can read it.
    Lost(String),
}

/// Reads the run `record` again.
///
/// # Errors
/// [`StoreError`] if there is no answer.
pub async fn reread(context: &Context, meta: &ObjectMeta) -> Result<Reread, StoreError> {
    let (namespace, name) = crate::store::names(meta);
    let Some(raw) = context.stores.executions.get(namespace, name).await? else {
        return Ok(Reread::Lost("the execution is gone".to_owned()));
    };
    if raw.metadata.uid != meta.uid {
        return Ok(Reread::Lost("another execution has its name".to_owned()));
    }
    let record = Record::of(raw);
    let status = match &record.status {
        Recorded::Started(status) => status.clone(),
        // The first write has not happened; it is this process's if nobody else's.
        Recorded::NotStarted(status) => status.clone(),
        Recorded::Unreadable { problem, .. } => return Ok(Reread::Lost(problem.to_string())),
        Recorded::UnsupportedFormat(format) => {
            return Ok(Reread::Lost(format!("its status has format {format}")));
        }
    };
    match &status.epoch {
        // Another process, beside this one, ended it before it began.
        None if matches!(record.status, Recorded::Started(_)) => {
            Ok(Reread::Lost("another process has written its end".to_owned()))
        }
        Some(epoch) if epoch.process != context.leadership.process() => {
            Ok(Reread::Lost(format!("process {} acts on it now", epoch.process)))
        }
        Some(_) | None => Ok(Reread::Ours(Box::new(record), status)),
    }
}
