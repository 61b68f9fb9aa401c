//! The controller of DRPlans: checks each plan, answers its commands, keeps its lock honest.

use drplan_api::{
    DRPlanStatus, Problems, labels,
    status::{ExecutionPhase, PlanPhase, set_condition},
};
use drplan_engine::{ExecutionSource, PlanSource, WorkflowSource, compile, workflow_keys};
use serde_json::json;

use crate::{
    clock,
    context::Context,
    desk::{EndOf, drop_finalizer, end_of, enter_end, release_stale},
    events::EventNote,
    index::{Key, PlanEntry},
    record::annotation,
    says,
    store::StoreError,
};

/// Edits in a row after which a plan is looked at anew.
const EDITS_MAX: usize = 20;

/// Brings plan `key` up to date: its command, its lock, its phase.
///
/// # Errors
/// [`StoreError`]; to be tried again.
pub async fn reconcile(context: &Context, key: &Key) -> Result<(), StoreError> {
    let _writing = context.plan_locks.hold(key).await;
    let Some(entry) = context.index.plan(key) else {
        return Ok(());
    };
    match bring_up_to_date(context, &entry).await {
        // The newer version is on its way through the watch.
        Err(StoreError::Conflict | StoreError::Gone) => Ok(()),
        outcome => outcome,
    }
}

async fn bring_up_to_date(context: &Context, entry: &PlanEntry) -> Result<(), StoreError> {
    if annotation(&entry.meta, labels::TRIGGER).is_some() {
        return answer_command(context, entry).await;
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
    set_phase(context, entry, &mut status);
    let mut meta = entry.meta.clone();
    if status != *before {
        meta = context.stores.plans.put_status(&meta, &status).await?.metadata;
    }
    if let Some(note) = stale {
        context.events.push(note);
    }
    drop_finalizer(context, &meta, &status).await
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

/// The phase and what it rests on.
fn set_phase(context: &Context, entry: &PlanEntry, status: &mut DRPlanStatus) {
    let now = clock::now();
    let verdict = check(context, entry);
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
    let plan = entry.plan.as_ref().ok();
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

/// The warnings of a plan that can run, or all of its problems.
fn check(context: &Context, entry: &PlanEntry) -> Result<Problems, Problems> {
    let plan = entry.plan.as_ref().map_err(Clone::clone)?;
    let (namespace, name) = entry.key();
    let sources = workflow_keys(plan, &namespace).into_iter().map(|key| {
        let source = context
            .index
            .workflow(&key)
            .map_or(WorkflowSource::Missing, |workflow| workflow.source.clone());
        (key, source)
    });
    let workflows = sources.collect();
    let source = PlanSource {
        namespace: &namespace,
        name: &name,
        plan,
        workflows: &workflows,
        service_account_name: plan
            .service_account_name
            .as_deref()
            .or(context.settings.default_service_account.as_deref()),
        served_namespaces: context.settings.served(),
    };
    let compiled = compile(&source, &ExecutionSource::default())?;
    Ok(entry.warnings.iter().cloned().chain(compiled.warnings).collect())
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

/// Answers the annotation `trigger`, takes it off, then tells. `seen` may be an older version, whose command is answered
/// already.
async fn answer_command(context: &Context, seen: &PlanEntry) -> Result<(), StoreError> {
    let (namespace, name) = seen.key();
    let Some(raw) = context.stores.plans.get(&namespace, &name).await? else {
        return Ok(());
    };
    let entry = PlanEntry::of(raw);
    let Some(command) = annotation(&entry.meta, labels::TRIGGER) else {
        return Ok(());
    };
    let note = match command.trim() {
        "cancel" => match pass_on_cancel(context, &entry).await? {
            true => None,
            false => Some((
                "NothingToCancel",
                "no execution of this plan is running".to_owned(),
            )),
        },
        operation @ ("execute" | "revert") => {
            let message = format!(
                "trigger={operation} was removed on 2026-02-03; apply this instead: {}",
                manifest(&entry, operation)
            );
            Some(("TriggerRemoved", message))
        }
        _ => {
            let message = format!("trigger={command} is no command; the annotation takes the value cancel");
            Some(("UnknownTrigger", message))
        }
    };
    take_off(context, &entry, command).await?;
    if let Some((reason, message)) = note {
        context
            .events
            .push(EventNote::plan(&entry.meta, true, reason, message));
    }
    Ok(())
}

/// Takes off the command that was answered. The plan may have been edited meanwhile; as long as it carries the command
/// no run of it begins, so it is still the same.
async fn take_off(context: &Context, entry: &PlanEntry, command: &str) -> Result<(), StoreError> {
    let plans = &context.stores.plans;
    let (namespace, name) = entry.key();
    let mut meta = entry.meta.clone();
    for _ in 0..EDITS_MAX {
        let patch = json!({"annotations": {labels::TRIGGER: null}});
        match plans.merge_metadata(&meta, patch).await {
            Err(StoreError::Conflict) => {}
            outcome => return outcome.map(drop),
        }
        let newer = plans.get(&namespace, &name).await?;
        match newer.filter(|newer| annotation(&newer.metadata, labels::TRIGGER) == Some(command)) {
            Some(newer) => meta = newer.metadata,
            None => return Ok(()),
        }
    }
    Err(StoreError::Conflict)
}

/// Writes `cancel=true` on the execution that holds the lock. No lock is taken while the plan carries the command,
/// so it never reaches one that starts later. False if there is none that has not ended.
async fn pass_on_cancel(context: &Context, entry: &PlanEntry) -> Result<bool, StoreError> {
    let current = entry
        .status
        .as_ref()
        .ok()
        .and_then(|status| status.current_execution.clone());
    if let Some(current) = current {
        let found = context
            .stores
            .executions
            .get(&current.namespace, &current.name)
            .await?;
        let running = found.filter(|raw| raw.metadata.uid.as_deref() == Some(&current.uid));
        let ended = |status: &serde_json::Value| {
            matches!(
                status["phase"].as_str(),
                Some("Succeeded" | "Failed" | "Cancelled")
            )
        };
        if let Some(raw) = running.filter(|raw| !ended(&raw.status)) {
            let patch = json!({"annotations": {labels::CANCEL: "true"}});
            return match context
                .stores
                .executions
                .merge_metadata(&raw.metadata, patch)
                .await
            {
                // Another writer came between; the command is still there and is answered again.
                Err(StoreError::Conflict) => Err(StoreError::Unanswered {
                    message: "the execution is being written".to_owned(),
                }),
                outcome => outcome.map(|_| true),
            };
        }
    }
    Ok(false)
}

/// The manifest that does what the annotation did, in one line.
fn manifest(entry: &PlanEntry, operation: &str) -> String {
    let (namespace, name) = entry.key();
    let spec = match operation {
        "execute" => format!("{{planRef: {name}, operationType: Execute}}"),
        _ => {
            let executed = entry.status.as_ref().ok().and_then(|status| {
                let runs = &mut status.execution_history.iter();
                runs.find(|run| run.operation_type == "Execute" && run.phase == ExecutionPhase::Succeeded)
            });
            let target = executed.map_or("NAME-OF-THE-EXECUTION", |run| run.name.as_str());
            format!("{{planRef: {name}, operationType: Revert, revertExecutionRef: {target}}}")
        }
    };
    format!(
        "{{apiVersion: dr.bkbcs.tencent.com/v1alpha1, kind: DRPlanExecution, \
         metadata: {{name: NEW-NAME, namespace: {namespace}}}, spec: {spec}}}"
    )
}
