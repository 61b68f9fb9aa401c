//! The controller of DRWorkflows: checks each and says Ready or Invalid.

use drplan_api::{
    DRWorkflowStatus,
    problem::any_error,
    status::{WorkflowPhase, set_condition},
};
use drplan_engine::WorkflowSource;

use crate::{
    clock,
    context::Context,
    index::{Key, WorkflowEntry},
    says,
    store::StoreError,
};

/// Brings the status of workflow `key` up to date.
///
/// # Errors
/// [`StoreError`]; to be tried again.
pub async fn reconcile(context: &Context, key: &Key) -> Result<(), StoreError> {
    let Some(entry) = context.index.workflow(key) else {
        return Ok(());
    };
    let status = status_of(&entry);
    if status == entry.status || entry.meta.deletion_timestamp.is_some() {
        return Ok(());
    }
    match context.stores.workflows.put_status(&entry.meta, &status).await {
        // The newer version is on its way through the watch.
        Ok(_) | Err(StoreError::Conflict | StoreError::Gone) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The status that `entry` should have.
pub fn status_of(entry: &WorkflowEntry) -> DRWorkflowStatus {
    let mut status = entry.status.clone();
    let problems = &entry.problems;
    let actions = match &entry.source {
        WorkflowSource::Missing | WorkflowSource::Invalid(_) => None,
        WorkflowSource::Known(workflow) => i64::try_from(workflow.actions.len()).ok(),
    };
    let valid = !any_error(problems);
    status.phase = Some(if valid {
        WorkflowPhase::Ready
    } else {
        WorkflowPhase::Invalid
    });
    status.message = says::problems(problems);
    status.observed_generation = entry.meta.generation;
    status.action_count = actions;
    let reason = if valid { "Valid" } else { "Invalid" };
    let message = if valid { "" } else { status.message.as_str() };
    set_condition(
        &mut status.conditions,
        "Ready",
        valid,
        reason,
        message,
        clock::now(),
    );
    status
}
