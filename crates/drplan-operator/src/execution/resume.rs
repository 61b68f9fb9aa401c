//! Claims a run that another process left, before anything is done for it.

use std::{collections::BTreeMap, sync::Arc};

use drplan_api::{
    DRPlanExecutionStatus, Problem, is_denial, labels,
    status::{ExecutionPhase, StepPhase},
};
use drplan_engine::{SnapshotError, action_indices, action_status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;
use tokio::{sync::watch, time::Instant};

use crate::{
    clock,
    context::Context,
    events::EventNote,
    execution::{
        drive::{Drive, mark_unknown},
        snapshots::{self, Lost},
        start::EDITS_MAX,
        unsupported,
    },
    fault,
    index::{Card, Key},
    record::{Progress, Record, Recorded, finalizers},
    store::{StoreError, names},
};

/// What became of a claim.
pub enum Claimed {
    /// The run is this process's.
    Ours(Box<Drive>),
    /// There is nothing to claim: it ended, is gone, belongs to a process with a later lease, or cannot be read. The
    /// version on which that was seen, if another look at it would see the same.
    Not(Option<String>),
}

/// Claims the run `key` with `uid` from the process `from`, from one of an earlier term, or from this very process.
///
/// # Errors
/// [`StoreError`]; to be tried again.
///
/// # Guarantees
/// The claim is stored by compare-and-swap before this returns `Ours`; from then on no other process can persist an
/// intent. A run that a third process has claimed meanwhile is left to it.
pub async fn claim(
    context: &Arc<Context>,
    key: &Key,
    uid: &str,
    from: Option<&str>,
    cards: watch::Receiver<Arc<Card>>,
) -> Result<Claimed, StoreError> {
    let read = context.stores.executions.get(&key.0, &key.1).await?;
    let Some(raw) = read.filter(|raw| raw.metadata.uid.as_deref() == Some(uid)) else {
        return Ok(Claimed::Not(None));
    };
    let record = Record::of(raw);
    let found = match &record.status {
        Recorded::Started(status) if !status.phase.is_terminal() => status.clone(),
        Recorded::Unreadable {
            progress: Progress::Started,
            problem,
        } => {
            return leave_unreadable(context, &record, problem)
                .await
                .map(Claimed::Not);
        }
        Recorded::Unreadable { problem, .. } if record.is_deleting() => {
            return leave_unreadable(context, &record, problem)
                .await
                .map(Claimed::Not);
        }
        Recorded::UnsupportedFormat(format) => {
            unsupported::tell(context, &record, "status", *format);
            return Ok(Claimed::Not(record.meta.resource_version));
        }
        // Its end is still to be entered with its plan, which another look does.
        Recorded::Started(_) => return Ok(Claimed::Not(None)),
        Recorded::NotStarted(_) | Recorded::Unreadable { .. } => {
            return Ok(Claimed::Not(record.meta.resource_version));
        }
    };
    let mut status = (*found).clone();
    if let Some(epoch) = &status.epoch
        && !context.leadership.may_claim(epoch, from)
    {
        tracing::info!(
            plan = status.plan,
            namespace = key.0,
            execution = key.1,
            execution_uid = uid,
            "the run is left to process {}",
            epoch.process
        );
        return Ok(Claimed::Not(record.meta.resource_version));
    }
    let run = match snapshots::load_run(context, &record, &status).await? {
        Ok(run) => Ok(run),
        Err(Lost::Unusable {
            source: SnapshotError::UnsupportedFormat { found, .. },
            ..
        }) => {
            unsupported::tell(context, &record, "snapshot", found);
            return Ok(Claimed::Not(record.meta.resource_version));
        }
        Err(lost) => Err(lost.to_string()),
    };
    let mut is_doubted = false;
    let run = match run {
        Ok(run) => Some(run),
        Err(why) => {
            let ends = record.is_deleting()
                || record.annotation(labels::CANCEL).is_some()
                || status.cancellation.is_some();
            if !ends && status.phase != ExecutionPhase::Unknown {
                mark_unknown(&mut status, &why);
                is_doubted = true;
            }
            None
        }
    };
    let kept = snapshots::load_outputs(context, &record, &status, run.as_ref()).await?;
    doubt_running_effects(&mut status);
    status.epoch = Some(context.leadership.epoch_after(status.epoch.as_ref()));
    fault::point("before-claim").await;
    let (mut record, meta, asked) = store(context, record, &found, &status).await?;
    fault::point("after-claim").await;
    record.meta = meta;
    if is_doubted {
        let message = status.message.clone();
        context.events.push(EventNote::execution(
            &record.meta,
            true,
            "ExecutionUnknown",
            message,
        ));
    }
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
        kept,
        place,
        cards,
        asked,
    ))))
}

/// Stores the claim `status` where `found` is the record. What came before it took longer than the time between two edits
/// of somebody who edits labels or annotations in a loop: such an edit is read and written over, a newer record is not.
/// Returns the execution as read last, what its metadata became, and when the write was asked for: it proves what held
/// then.
async fn store(
    context: &Context,
    mut record: Record,
    found: &DRPlanExecutionStatus,
    status: &DRPlanExecutionStatus,
) -> Result<(Record, ObjectMeta, Instant), StoreError> {
    let executions = &context.stores.executions;
    for _ in 0..EDITS_MAX {
        let asked = Instant::now();
        match executions.put_status(&record.meta, status).await {
            Ok(meta) => return Ok((record, meta, asked)),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
        let (namespace, name) = names(&record.meta);
        let newer = Record::of(executions.get(namespace, name).await?.ok_or(StoreError::Gone)?);
        let is_same = newer.meta.uid == record.meta.uid
            && newer.is_deleting() == record.is_deleting()
            && matches!(&newer.status, Recorded::Started(newer) if **newer == *found);
        if !is_same {
            return Err(StoreError::Conflict);
        }
        record = newer;
    }
    Err(StoreError::Conflict)
}

/// What was in flight may have had its effect, whatever becomes of the repeat.
fn doubt_running_effects(status: &mut DRPlanExecutionStatus) {
    let now = clock::now();
    for at in action_indices(status) {
        let in_flight = action_status(status, at)
            .is_some_and(|action| action.phase == StepPhase::Running && action.may_have_been_sent(now));
        if in_flight {
            let stage = &mut status.stage_statuses[at.stage];
            stage.workflow_executions[at.workflow].action_statuses[at.action].effect_possible = true;
        }
    }
}

/// What becomes of a run that has begun and whose status cannot be read: it is Unknown, or goes if it is being deleted.
/// Returns the version that it has then, if another look at it would see the same.
///
/// # Errors
/// [`StoreError`]; to be tried again.
pub(super) async fn leave_unreadable(
    context: &Context,
    record: &Record,
    problem: &Problem,
) -> Result<Option<String>, StoreError> {
    if record.is_deleting() {
        // Nobody can tell what it did; whoever deletes it has looked. Its plan's lock goes when it is gone.
        let patch = json!({"finalizers": finalizers(&record.meta, false)});
        let executions = &context.stores.executions;
        executions.merge_metadata(&record.meta, patch).await?;
        return Ok(None);
    }
    mark_unreadable(context, record, &problem.to_string()).await
}

/// Makes a run Unknown whose status cannot be read, leaving the rest of it as it is for those who look. Returns the
/// version that it has then.
async fn mark_unreadable(
    context: &Context,
    record: &Record,
    why: &str,
) -> Result<Option<String>, StoreError> {
    let message = format!("the record cannot be read: {why}; mend it, or delete the execution");
    let executions = &context.stores.executions;
    let fields = [("phase", "Unknown"), ("message", message.as_str())];
    let beside =
        fields.map(|(field, value)| json!({"op": "add", "path": format!("/status/{field}"), "value": value}));
    let marked = match executions.patch_status(&record.meta, beside.to_vec()).await {
        // What is no object has no fields to leave as they are. A webhook's denial does not say that it is none.
        Err(StoreError::Refused { message, .. }) if !is_denial(&message) => {
            let whole = BTreeMap::from(fields);
            executions.put_status(&record.meta, &whole).await
        }
        outcome => outcome,
    };
    let version = match marked {
        Ok(meta) => meta.resource_version,
        // The API server will not take it either; the event and the log say it.
        Err(StoreError::Refused { message, .. }) => {
            tracing::error!(
                execution = record.name(),
                "an unreadable run could not be marked Unknown: {message}"
            );
            record.meta.resource_version.clone()
        }
        Err(error) => return Err(error),
    };
    let note = EventNote::execution(&record.meta, true, "ExecutionUnknown", message);
    context.events.push(note);
    Ok(version)
}
