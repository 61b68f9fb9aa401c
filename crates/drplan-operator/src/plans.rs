//! The controller of DRPlans: checks each plan, has its commands answered, keeps its lock honest.

use drplan_api::{
    DRPlanStatus, Problems,
    problem::any_error,
    status::{ExecutionPhase, PlanPhase, set_condition},
};
use drplan_engine::WorkflowSource;

use crate::{
    clock, commands,
    context::Context,
    desk::{EndOf, drop_finalizer, end_of, enter_end, release_stale},
    events::EventNote,
    index::{Key, PlanEntry},
    reviews::{Reviewed, not_reviewed, review_needs},
    says,
    store::StoreError,
};

/// Brings plan `key` up to date: its command, its lock, its phase.
///
/// # Errors
/// [`StoreError`]; to be tried again.
pub async fn reconcile(context: &Context, key: &Key) -> Result<(), StoreError> {
    let _writing = context.plan_locks.hold(key).await;
    let Some(entry) = context.index.plan(key) else {
        return Ok(());
    };
    let uid = entry.meta.uid.as_deref().unwrap_or_default();
    match bring_up_to_date(context, &entry).await {
        Ok(()) => context.refusals.over(uid),
        // The newer version is on its way through the watch.
        Err(StoreError::Conflict | StoreError::Gone) => {}
        Err(error) => {
            if context.refusals.meets(uid, &error) {
                let message = format!("the plan cannot be brought up to date; it is tried again: {error}");
                let note = EventNote::plan(&entry.meta, true, "StatusRefused", message);
                context.events.push(note);
            }
            return Err(error);
        }
    }
    Ok(())
}

async fn bring_up_to_date(context: &Context, entry: &PlanEntry) -> Result<(), StoreError> {
    if commands::is_commanded(&entry.meta) {
        return commands::answer(context, &entry.key()).await;
    }
    let Ok(before) = &entry.status else {
        tracing::warn!(
            plan = entry.key().1,
            namespace = entry.key().0,
            "the plan's status cannot be read and is left alone"
        );
        return Ok(());
    };
    let mut status = before.clone();
    let stale = check_lock(context, entry, &mut status).await?;
    set_phase(context, entry, &mut status).await;
    let mut meta = entry.meta.clone();
    if status != *before {
        meta = context.stores.plans.put_status(&meta, &status).await?;
    }
    if let Some(note) = stale {
        context.events.push(note);
    }
    // A run that is about to begin has just set it, or will.
    let runs = context.index.executions_of(&entry.key());
    if runs.iter().all(|run| run.is_terminal()) {
        drop_finalizer(context, &meta, &status).await?;
    }
    Ok(())
}

/// A lock whose run has ended gives way once that is entered; one whose run does not exist gives way at once, which is
/// told once it is written.
async fn check_lock(
    context: &Context,
    entry: &PlanEntry,
    status: &mut DRPlanStatus,
) -> Result<Option<EventNote>, StoreError> {
    let Some(current) = status.current_execution.clone() else {
        return Ok(None);
    };
    let known = context
        .index
        .execution(&(current.namespace.clone(), current.name.clone()));
    if known.is_some_and(|card| card.metadata.uid.as_deref() == Some(&current.uid) && !card.is_terminal()) {
        return Ok(None);
    }
    match end_of(context, &current.namespace, &current.name, &current.uid).await? {
        EndOf::Runs => {}
        EndOf::Ended(end) => enter_end(status, &end),
        EndOf::Gone => return Ok(Some(release_stale(&entry.meta, status, &current))),
    }
    Ok(None)
}

/// The phase and what it rests on; left as they are while the API server does not tell of rights.
async fn set_phase(context: &Context, entry: &PlanEntry, status: &mut DRPlanStatus) {
    let now = clock::now();
    let Some(verdict) = check(context, entry).await else {
        return;
    };
    let executed = is_executed(context, entry, status);
    let (valid, message) = match &verdict {
        Ok(warnings) => (true, says::problems(warnings)),
        Err(problems) => (false, says::problems(problems)),
    };
    status.phase = Some(match (valid, executed) {
        (false, _) => PlanPhase::Invalid,
        (true, true) => PlanPhase::Executed,
        (true, false) => PlanPhase::Ready,
    });
    status.message = message;
    status.observed_generation = entry.meta.generation;
    let plan = entry.plan().ok();
    status.stage_count = plan.and_then(|plan| i64::try_from(plan.stages.len()).ok());
    status.action_count = plan.map(|plan| count_actions(context, entry, plan));
    let (reason, why) = if valid {
        ("Valid", "")
    } else {
        ("Invalid", status.message.as_str())
    };
    set_condition(&mut status.conditions, "Ready", valid, reason, why, now);
    let reason = if executed { "Executed" } else { "NotExecuted" };
    set_condition(&mut status.conditions, "Executed", executed, reason, "", now);
}

/// The warnings of a plan that can run, or all of its problems; among them rights that its ServiceAccount lacks. None
/// if these are not known for want of an answer.
async fn check(context: &Context, entry: &PlanEntry) -> Option<Result<Problems, Problems>> {
    let findings = entry.findings(&context.index, &context.settings);
    let sound = match &*findings {
        Ok(sound) => sound,
        Err(problems) => return Some(Err(problems.clone())),
    };
    let mut found = sound.warnings.clone();
    let reviewed = match &sound.actor {
        Some((account, needs)) => review_needs(context, account, &entry.key().1, needs).await,
        None => Reviewed::Asked(Problems::new()),
    };
    let (rights, is_open) = match reviewed {
        Reviewed::Asked(problems) => (Some(problems), false),
        Reviewed::NotAsked(StoreError::Unanswered { .. }) => (None, true),
        Reviewed::NotAsked(error) => (Some(vec![not_reviewed(&error)]), true),
    };
    let lacks = is_open || rights.iter().flatten().next().is_some();
    let interval = context.settings.reconcile_interval;
    if let Some(pause) = context.reviews.look_again(&entry.key(), lacks, interval) {
        context.queues.plans.push_after(entry.key(), pause);
    }
    found.extend(rights?);
    Some(match any_error(&found) {
        true => Err(found),
        false => Ok(found),
    })
}

/// Whether some successful Execute of the plan exists that is not wholly undone. An end that the history holds counts
/// before the watch tells of it.
fn is_executed(context: &Context, entry: &PlanEntry, status: &DRPlanStatus) -> bool {
    context.index.executions_of(&entry.key()).iter().any(|card| {
        let succeeded = card.phase() == Some(ExecutionPhase::Succeeded)
            && card.status.operation.as_deref() == Some("Execute");
        let entered = status.execution_history.iter().any(|entry| {
            card.metadata.uid.as_deref() == Some(&entry.uid)
                && entry.phase == ExecutionPhase::Succeeded
                && entry.operation_type == "Execute"
        });
        (succeeded || entered) && !card.status.is_undone
    })
}

fn count_actions(context: &Context, entry: &PlanEntry, plan: &drplan_api::canonical::Plan) -> i64 {
    let namespace = entry.key().0;
    let uses = plan.stages.iter().flat_map(|stage| &stage.workflows);
    let counts = uses.map(|used| {
        let key = (
            used.namespace.clone().unwrap_or_else(|| namespace.clone()),
            used.name.clone(),
        );
        match context
            .index
            .workflow(&key)
            .as_deref()
            .map(|workflow| &workflow.source)
        {
            Some(WorkflowSource::Known(workflow)) => {
                i64::try_from(workflow.actions.len()).unwrap_or(i64::MAX)
            }
            Some(WorkflowSource::Missing | WorkflowSource::Invalid(_)) | None => 0,
        }
    });
    counts.fold(0, i64::saturating_add)
}
