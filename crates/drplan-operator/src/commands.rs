//! Commands by annotation on a plan: answered, taken off, then told.

use drplan_api::{DRPlan, labels};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use crate::{
    context::Context,
    events::EventNote,
    index::{Key, PlanEntry},
    raw::Raw,
    record::{annotation, who},
    store::StoreError,
    trigger::{self, Wish},
};

/// Edits in a row after which a plan is looked at anew.
const EDITS_MAX: usize = 20;

/// What is told of a command, as an event on its plan, once the command is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Type `Warning`, else `Normal`.
    pub warning: bool,
    /// One word.
    pub reason: &'static str,
    /// One line.
    pub message: String,
}

impl Answer {
    /// What a person should act on or at least read.
    pub fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            warning: true,
            reason,
            message: message.into(),
        }
    }
}

/// Whether a plan with this metadata carries a command, or a trigger that was accepted and is not carried out yet.
pub fn is_commanded(meta: &ObjectMeta) -> bool {
    [labels::TRIGGER, labels::TRIGGER_ACCEPTED]
        .iter()
        .any(|name| annotation(meta, name).is_some())
}

/// Answers the command that plan `key` carries, if it still does: what was seen may be an older version.
///
/// # Errors
/// [`StoreError`]; the command is answered again. After `Conflict` a newer version is on its way through the watch.
pub async fn answer(context: &Context, key: &Key) -> Result<(), StoreError> {
    let Some(raw) = context.stores.plans.get(&key.0, &key.1).await? else {
        return Ok(());
    };
    let plan = read(raw);
    if let Some(accepted) = annotation(&plan.meta, labels::TRIGGER_ACCEPTED) {
        return trigger::carry_out(context, &plan, accepted).await;
    }
    let Some(command) = annotation(&plan.meta, labels::TRIGGER) else {
        return Ok(());
    };
    let takes_triggers = context.settings.trigger_annotations;
    let answer = match (command.trim(), Wish::of(command)) {
        ("cancel", _) => cancel(context, &plan).await?,
        (_, Some(wish)) if takes_triggers => return trigger::accept(context, &plan, wish).await,
        (_, Some(wish)) => Some(trigger::removed(context, &plan, wish).await?),
        (_, None) => {
            let known = if takes_triggers {
                "the values execute, revert and cancel"
            } else {
                "the value cancel"
            };
            let message = format!("trigger={command} is no command; the annotation takes {known}");
            Some(Answer::warning("UnknownTrigger", message))
        }
    };
    // As long as the plan carries the command no run of it begins, so the answer holds whatever else is edited.
    let off = json!({labels::TRIGGER: null, labels::TRIGGERED_BY_USER: null});
    let same = |newer: &PlanEntry| annotation(&newer.meta, labels::TRIGGER) == Some(command);
    annotate(context, &plan, &off, same).await?;
    if let Some(answer) = answer {
        tell(context, &plan, answer);
    }
    Ok(())
}

/// A plan read live, with its managed fields, which the index does without: they tell how old a command is.
fn read(mut raw: Raw<DRPlan>) -> PlanEntry {
    let managed_fields = raw.metadata.managed_fields.take();
    let mut plan = PlanEntry::of(raw);
    plan.meta.managed_fields = managed_fields;
    plan
}

/// Merges `annotations` into those of `plan`, whoever else edits it, as long as `holds` is true of the newer version.
/// Returns it as written; none if it does not hold any more.
///
/// # Errors
/// [`StoreError`].
pub async fn annotate(
    context: &Context,
    plan: &PlanEntry,
    annotations: &Value,
    holds: impl Fn(&PlanEntry) -> bool,
) -> Result<Option<PlanEntry>, StoreError> {
    let plans = &context.stores.plans;
    let (namespace, name) = plan.key();
    let mut latest = plan.clone();
    for _ in 0..EDITS_MAX {
        let patch = json!({"annotations": annotations});
        match plans.merge_metadata(&latest.meta, patch).await {
            Ok(meta) => {
                latest.meta = meta;
                return Ok(Some(latest));
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
        let newer = plans.get(&namespace, &name).await?.map(read);
        match newer.filter(|newer| newer.meta.uid == plan.meta.uid && holds(newer)) {
            Some(newer) => latest = newer,
            None => return Ok(None),
        }
    }
    Err(StoreError::Conflict)
}

/// Logs an answer and posts it as an event on the plan.
pub fn tell(context: &Context, plan: &PlanEntry, answer: Answer) {
    let (namespace, name) = plan.key();
    let Answer {
        warning,
        reason,
        message,
    } = answer;
    tracing::info!(plan = name, namespace, reason, "{message}");
    context
        .events
        .push(EventNote::plan(&plan.meta, warning, reason, message));
}

/// Passes `cancel` on to the execution that holds the lock. No lock is taken while the plan carries the command, so it
/// never reaches one that starts later. Returns what is to be told if there is none that runs.
///
/// # Errors
/// [`StoreError`], never `Conflict`.
pub async fn cancel(context: &Context, plan: &PlanEntry) -> Result<Option<Answer>, StoreError> {
    let current = plan
        .status
        .as_ref()
        .ok()
        .and_then(|status| status.current_execution.as_ref());
    if let Some(current) = current
        && ask_to_end(
            context,
            (&current.namespace, &current.name, &current.uid),
            &who(&plan.meta, labels::TRIGGERED_BY_USER, &context.settings),
        )
        .await?
    {
        return Ok(None);
    }
    let message = "no execution of this plan is running";
    Ok(Some(Answer::warning("NothingToCancel", message)))
}

/// Writes `cancel=true` on an execution, given by namespace, name and UID, in the name of `user`. False if there is none with that UID, or it has ended.
///
/// # Errors
/// [`StoreError`], never `Conflict`.
pub async fn ask_to_end(
    context: &Context,
    (namespace, name, uid): (&str, &str, &str),
    user: &str,
) -> Result<bool, StoreError> {
    let executions = &context.stores.executions;
    let found = executions.get(namespace, name).await?;
    let ended = |status: &Value| {
        matches!(
            status["phase"].as_str(),
            Some("Succeeded" | "Failed" | "Cancelled")
        )
    };
    let running = found.filter(|raw| raw.metadata.uid.as_deref() == Some(uid) && !ended(&raw.status));
    let Some(raw) = running else { return Ok(false) };
    let patch = json!({"annotations": {labels::CANCEL: "true", labels::CANCELLED_BY: user}});
    match executions.merge_metadata(&raw.metadata, patch).await {
        // Another writer came between; the command is still there and is answered again.
        Err(StoreError::Conflict) => Err(StoreError::silence("the execution is being written".to_owned())),
        outcome => outcome.map(|_| true),
    }
}
