//! What a Revert has undone, entered in the execution it undoes before the Revert ends.

use drplan_api::{DRPlanExecutionStatus, status::Undone};
use drplan_engine::undone_by;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use crate::{
    context::Context,
    execution::commit::{Reread, reread},
    fault,
    record::{Record, Recorded},
    store::{StoreError, names},
};

/// Enters what the Revert with the metadata `meta`, about to end with `status`, has undone in its target's
/// `status.undone`.
///
/// # Errors
/// [`StoreError`]: whose the Revert is must be read before it is tried again.
///
/// # Guarantees
/// A process that no longer acts on the Revert never writes over what its successor entered: the target is read before
/// the proof that the Revert is this process's, and written by compare-and-swap on what was read.
pub(super) async fn enter(
    context: &Context,
    meta: &ObjectMeta,
    status: &DRPlanExecutionStatus,
) -> Result<(), StoreError> {
    let Some(reverts) = &status.reverts else {
        return Ok(());
    };
    let (namespace, name) = names(meta);
    let executions = &context.stores.executions;
    let target = executions.get(namespace, &reverts.name).await?;
    let Some(target) = target.filter(|target| target.metadata.uid.as_ref() == Some(&reverts.uid)) else {
        // Deleted meanwhile: nobody can revert it again.
        return Ok(());
    };
    let target = Record::of(target);
    let before: Option<&Undone> = match &target.status {
        Recorded::Started(recorded) => recorded.undone.as_ref(),
        Recorded::NotStarted(_) | Recorded::Unreadable { .. } | Recorded::UnsupportedFormat(_) => {
            tracing::warn!(
                namespace,
                execution = name,
                "what was undone could not be entered in execution {}: its status cannot be read",
                reverts.name
            );
            return Ok(());
        }
    };
    let undone = undone_by(name, status, before);
    if before == Some(&undone) {
        return Ok(());
    }
    if let Reread::Lost(_) = reread(context, meta).await? {
        return Err(StoreError::Conflict);
    }
    fault::point("before-undone").await;
    let operation = json!({"op": "add", "path": "/status/undone", "value": undone});
    executions.patch_status(&target.meta, vec![operation]).await?;
    fault::point("after-undone").await;
    Ok(())
}
