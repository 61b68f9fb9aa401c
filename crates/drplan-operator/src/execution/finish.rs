//! After the end of a run: the plan's record, the Jobs' time to live, the finalizer.

use drplan_api::{
    DRPlanExecutionStatus,
    canonical::Work,
    labels,
    status::{ExecutionPhase, StepPhase},
};
use drplan_engine::{Facts, action_status, data, object, render};
use serde_json::json;

use crate::{
    context::{Context, Settings},
    desk::{self, End},
    events::EventNote,
    fault,
    record::{Record, Recorded, annotation, finalizers, has_finalizer},
    store::{StoreError, names},
};

/// Conflicts in a row after which the rest is left to another look.
const CONFLICTS_MAX: usize = 20;

/// Enters the end of the execution `record`, whose status is terminal, with its plan; sets what Jobs live on for;
/// takes commands that came too late and the finalizer off.
///
/// # Errors
/// [`StoreError`]; doing it again goes on where it stopped.
///
/// # Guarantees
/// An execution that needs none of it is not written. A refusal is told by an event, once.
pub async fn finish(context: &Context, record: &Record, run: Option<Facts<'_>>) -> Result<(), StoreError> {
    let Recorded::Started(status) = &record.status else {
        return Ok(());
    };
    if record.has_finalizer() {
        if let Some(run) = run {
            set_ttls(context, run).await;
        }
        fault::point("before-release").await;
        let end = End {
            run: desk_run(record, status),
            phase: status.phase,
            completion_time: status.completion_time,
        };
        let released = desk::release(context, &end).await;
        tell_refusal(
            context,
            record,
            "its plan is held until that can be entered there",
            &released,
        );
        released?;
        fault::point("after-release").await;
    }
    let taken_off = take_off(context, record, status).await;
    tell_refusal(
        context,
        record,
        "its finalizer and its commands cannot be taken off",
        &taken_off,
    );
    if taken_off.is_ok() {
        context.refusals.over(record.uid());
    }
    taken_off
}

/// The record of a run that has ended cannot tell what is not done yet: an event does.
fn tell_refusal(context: &Context, record: &Record, what: &str, outcome: &Result<(), StoreError>) {
    let Err(error) = outcome else { return };
    if context.refusals.meets(record.uid(), error) {
        let message = format!("the run has ended, but {what}; it is tried again: {error}");
        let note = EventNote::execution(&record.meta, true, "ReleaseRefused", message);
        context.events.push(note);
    }
}

/// Takes commands that came too late and the finalizer off the execution `record`, which has ended.
///
/// Whatever comes before it takes longer than the time between two edits of somebody who edits labels or annotations in
/// a loop, so a write that is refused as stale follows a read at once, and nothing else is done in between.
async fn take_off(
    context: &Context,
    record: &Record,
    status: &DRPlanExecutionStatus,
) -> Result<(), StoreError> {
    let executions = &context.stores.executions;
    let mut meta = record.meta.clone();
    for _ in 0..CONFLICTS_MAX {
        let late: Vec<&str> = [labels::CANCEL, labels::RESUME]
            .into_iter()
            .filter(|name| annotation(&meta, name).is_some())
            .collect();
        let had_finalizer = has_finalizer(&meta);
        if late.is_empty() && !had_finalizer {
            return Ok(());
        }
        let stamp = |command: &str| match command {
            labels::CANCEL => labels::CANCELLED_BY,
            _ => labels::RESUMED_BY,
        };
        let annotations: serde_json::Map<_, _> = late
            .iter()
            .flat_map(|command| [*command, stamp(command)])
            .map(|name| (name.to_owned(), serde_json::Value::Null))
            .collect();
        let mut patch = json!({"annotations": annotations});
        if had_finalizer {
            patch["finalizers"] = json!(finalizers(&meta, false));
        }
        fault::point("before-unfinalized").await;
        match executions.merge_metadata(&meta, patch).await {
            Ok(_) => {}
            Err(StoreError::Conflict) => {
                let (namespace, name) = names(&record.meta);
                let found = executions.get(namespace, name).await?;
                let same = found.filter(|found| found.metadata.uid == record.meta.uid);
                meta = same.ok_or(StoreError::Gone)?.metadata;
                continue;
            }
            Err(error) => return Err(error),
        }
        fault::point("after-unfinalized").await;
        // A cancellation that ended the run, or kept it from beginning, is not one that came too late.
        let took_part = had_finalizer || status.start_time.is_none();
        let cancelled = status.phase == ExecutionPhase::Cancelled && took_part;
        tell_late(record, context, status, &late, cancelled);
        return Ok(());
    }
    Err(StoreError::Conflict)
}

/// Says of each command that it came when there was nothing left to do for it.
fn tell_late(
    record: &Record,
    context: &Context,
    status: &DRPlanExecutionStatus,
    late: &[&str],
    cancelled: bool,
) {
    for command in late.iter().filter(|name| **name != labels::CANCEL || !cancelled) {
        let reason = match *command {
            labels::CANCEL => "NothingToCancel",
            _ => "NothingToResume",
        };
        let message = format!("the execution has ended: {}", status.phase.as_str());
        context
            .events
            .push(EventNote::execution(&record.meta, true, reason, message));
    }
}

/// The run as its plan records it.
pub fn desk_run(record: &Record, status: &DRPlanExecutionStatus) -> desk::Run {
    let (namespace, name) = record.key();
    desk::Run {
        namespace,
        name,
        uid: record.uid().to_owned(),
        plan: status.plan.clone(),
        operation: status.operation_type.clone(),
        requested_by: status.requested_by.clone().unwrap_or_default(),
    }
}

/// Lets the Jobs of ended actions go after the time that their author wrote. Nothing depends on it.
async fn set_ttls(context: &Context, facts: Facts<'_>) {
    let Facts { run, status, .. } = facts;
    let identity = Settings::identity(
        &run.snapshot.namespace,
        run.snapshot.service_account_name.as_deref(),
    );
    for at in run.graph.actions() {
        let Some(action) = action_status(status, at).filter(|action| action.phase != StepPhase::Skipped)
        else {
            continue;
        };
        let Some(Work::Job(job)) = run.written(at).map(|doing| &doing.work) else {
            continue;
        };
        let (Some(ttl), Some(made)) = (&job.ttl_seconds_after_finished, &action.outputs.job_ref) else {
            continue;
        };
        let first_start = action.start_time.unwrap_or_else(crate::clock::now);
        let data = data::data(facts, at, first_start);
        let Ok(seconds) = render::number("job.ttlSecondsAfterFinished", ttl, &data) else {
            continue;
        };
        let path = run.path(at);
        let (field_manager, _) = object::field_manager(&run.snapshot.namespace, &run.snapshot.plan, &path);
        let set = context
            .performer
            .set_ttl(&identity, made, &field_manager, seconds)
            .await;
        if let Err(error) = set {
            let job = &made.name;
            tracing::warn!(job, error = %error, "the Job keeps living: its ttlSecondsAfterFinished could not be set");
        }
    }
}
