//! Claims a run that another process left, before anything is done for it.

use std::sync::Arc;

use drplan_api::{
    DRPlanExecutionStatus,
    status::{ExecutionPhase, StepPhase},
};
use drplan_engine::{Run, action_indices, action_status};
use tokio::sync::watch;

use crate::{
    clock,
    context::Context,
    events::EventNote,
    execution::{
        drive::{Drive, mark_unknown},
        snapshots,
    },
    fault,
    index::{Card, Key},
    record::{Record, Recorded},
    store::StoreError,
};

/// What became of a claim.
pub enum Claimed {
    /// The run is this process's.
    Ours(Box<Drive>),
    /// There is nothing to claim: it ended, is gone, or belongs to a process with a later lease.
    Not,
}

/// Claims the run `key` with `uid`.
///
/// # Errors
/// [`StoreError`]; to be tried again.
///
/// # Guarantees
/// The claim is stored by compare-and-swap before this returns `Ours`; from then on no other process can persist an
/// intent.
pub async fn claim(
    context: &Arc<Context>,
    key: &Key,
    uid: &str,
    cards: watch::Receiver<Arc<Card>>,
) -> Result<Claimed, StoreError> {
    let found = context.stores.executions.get(&key.0, &key.1).await?;
    let Some(raw) = found.filter(|raw| raw.metadata.uid.as_deref() == Some(uid)) else {
        return Ok(Claimed::Not);
    };
    let mut record = Record::of(raw);
    let mut status = match &record.status {
        Recorded::Started(status) if !status.phase.is_terminal() => (**status).clone(),
        Recorded::Unreadable {
            started: true,
            problem,
        } => {
            let why = problem.to_string();
            mark_unreadable(context, &record, &why).await?;
            return Ok(Claimed::Not);
        }
        Recorded::Started(_)
        | Recorded::NotStarted(_)
        | Recorded::Unreadable { .. }
        | Recorded::UnsupportedFormat(_) => {
            return Ok(Claimed::Not);
        }
    };
    if status
        .epoch
        .as_ref()
        .is_some_and(|epoch| epoch.lease_transitions > context.epoch.lease_transitions)
    {
        return Ok(Claimed::Not);
    }
    let run = match &status.snapshot {
        None => Err("SnapshotLost: the status names no snapshot".to_owned()),
        Some(reference) => snapshots::load(context, &record, reference)
            .await?
            .map(Run::new)
            .map_err(|lost| lost.to_string()),
    };
    let run = match run {
        Ok(run) => Some(run),
        Err(why) => {
            let ends =
                record.is_deleting() || record.cancel_wish().is_some() || status.cancellation.is_some();
            if !ends && status.phase != ExecutionPhase::Unknown {
                mark_unknown(&mut status, &why);
                context.events.push(EventNote::execution(
                    &record.meta,
                    true,
                    "ExecutionUnknown",
                    status.message.clone(),
                ));
            }
            None
        }
    };
    doubt_running_effects(&mut status);
    status.epoch = Some(context.epoch.clone());
    fault::point("before-claim").await;
    let raw = context
        .stores
        .executions
        .put_status(&record.meta, &status)
        .await?;
    fault::point("after-claim").await;
    record.meta = raw.metadata;
    tracing::info!(
        plan = status.plan,
        namespace = key.0,
        execution = key.1,
        execution_uid = uid,
        reason = "ExecutionClaimed",
        "the run goes on in this process"
    );
    let place = Arc::clone(&context.running_places).try_acquire_owned().ok();
    Ok(Claimed::Ours(Box::new(Drive::go_on(
        Arc::clone(context),
        record,
        status,
        run,
        place,
        cards,
    ))))
}

/// What was in flight may have had its effect, whatever becomes of the repeat.
fn doubt_running_effects(status: &mut DRPlanExecutionStatus) {
    let now = clock::now();
    for at in action_indices(status) {
        let in_flight = action_status(status, at).is_some_and(|action| {
            action.phase == StepPhase::Running && action.attempt_time.is_none_or(|time| time <= now)
        });
        if in_flight {
            let stage = &mut status.stage_statuses[at.stage];
            stage.workflow_executions[at.workflow].action_statuses[at.action].effect_possible = true;
        }
    }
}

/// Makes a run Unknown whose status cannot be read, leaving the rest of it as it is for those who look.
async fn mark_unreadable(context: &Context, record: &Record, why: &str) -> Result<(), StoreError> {
    let message =
        format!("the record cannot be read: {why}; mend it, or cancel the execution by deleting it");
    let operations = vec![
        serde_json::json!({"op": "add", "path": "/status/phase", "value": "Unknown"}),
        serde_json::json!({"op": "add", "path": "/status/message", "value": message}),
    ];
    context.events.push(EventNote::execution(
        &record.meta,
        true,
        "ExecutionUnknown",
        message,
    ));
    match context
        .stores
        .executions
        .patch_status(&record.meta, operations)
        .await
    {
        // The API server will not take it either; the event and the log say it.
        Err(StoreError::Refused { message, .. }) => {
            tracing::error!(
                execution = record.name(),
                "an unreadable run could not be marked Unknown: {message}"
            );
            Ok(())
        }
        outcome => outcome.map(drop),
    }
}
