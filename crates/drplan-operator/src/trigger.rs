//! `trigger=execute|revert` on a plan, for operators started with `--trigger-annotations`.
//!
//! A trigger is replaced by `trigger-accepted`, which holds the name of an execution; that execution is created; the
//! acceptance is taken off. A process that dies in between leaves the acceptance, and the next one creates the same
//! execution under the same name, or finds that it exists: so one trigger makes one execution.
//!
//! The acceptance is no command: the lock is given while it stands, since the execution may begin before it is off. A
//! run that somebody else creates meanwhile may win the lock; then the one that was triggered ends Failed and says so.

mod accepted;
mod judge;

use std::fmt;

use drplan_api::{DRPlanExecution, DRPlanExecutionSpec, GROUP, VERSION, canonical::RunOperation, labels};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

use self::{
    accepted::{Accepted, name_of},
    judge::{Verdict, judge, last_success, refused, runs_of, too_old},
};
use crate::{
    clock,
    commands::{Answer, annotate, ask_to_end, cancel, tell},
    context::Context,
    fault,
    index::PlanEntry,
    record::{annotation, execution_labels, who},
    store::{StoreError, bounded},
};

/// What a trigger asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Run the plan.
    Execute,
    /// Undo the last successful Execute of it that is not undone.
    Revert,
}

impl Wish {
    /// The wish that the annotation's value stands for.
    pub fn of(command: &str) -> Option<Self> {
        match command.trim() {
            "execute" => Some(Self::Execute),
            "revert" => Some(Self::Revert),
            _ => None,
        }
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Execute => "trigger=execute",
            Self::Revert => "trigger=revert",
        })
    }
}

/// Accepts the trigger on `plan`, which was read live, and carries it out, or refuses it by an event.
///
/// # Errors
/// [`StoreError`]; the trigger or its acceptance still stands and is answered again.
pub async fn accept(context: &Context, plan: &PlanEntry, wish: Wish) -> Result<(), StoreError> {
    let same = |newer: &PlanEntry| asks_the_same(newer, plan);
    let operation = match judge(context, plan, wish).await? {
        Verdict::Accept(operation) => operation,
        Verdict::Refuse(answer) => {
            let off = json!({labels::TRIGGER: null, labels::TRIGGERED_BY_USER: null});
            if annotate(context, plan, &off, same).await?.is_some() {
                tell(context, plan, answer);
            }
            return Ok(());
        }
    };
    let accepted = Accepted {
        execution: name_of(plan, clock::now()),
        operation,
    };
    fault::point("before-trigger-accepted").await;
    let replaced = json!({
        labels::TRIGGER: null,
        labels::TRIGGERED_BY_USER: null,
        labels::TRIGGER_ACCEPTED: accepted.to_string(),
        labels::TRIGGER_ACCEPTED_FOR: who(&plan.meta, labels::TRIGGERED_BY_USER, &context.settings),
    });
    let Some(plan) = annotate(context, plan, &replaced, same).await? else {
        return Ok(());
    };
    fault::point("after-trigger-accepted").await;
    carry_out(context, &plan, &accepted.to_string()).await
}

/// Whether what was decided about `plan` holds for a newer version of it: only labels and the like were edited.
fn asks_the_same(newer: &PlanEntry, plan: &PlanEntry) -> bool {
    let asks = |plan: &PlanEntry| {
        let commands = [labels::TRIGGER, labels::TRIGGER_ACCEPTED]
            .map(|name| annotation(&plan.meta, name).map(str::to_owned));
        (
            commands,
            plan.meta.generation,
            plan.meta.deletion_timestamp.is_some(),
        )
    };
    asks(newer) == asks(plan) && newer.status == plan.status
}

/// Creates the execution of an accepted trigger unless it exists, then takes the acceptance off `plan`, which was read
/// live. A `trigger=cancel` beside it was written after the acceptance and ends that execution.
///
/// # Errors
/// [`StoreError`]; the acceptance still stands and is carried out again.
pub async fn carry_out(context: &Context, plan: &PlanEntry, written: &str) -> Result<(), StoreError> {
    let command = annotation(&plan.meta, labels::TRIGGER);
    let cancelled = command.is_some_and(|command| command.trim() == "cancel");
    let answer = match Accepted::parse(written) {
        Some(accepted) => create(context, plan, &accepted, cancelled).await?,
        None => {
            let message = format!("trigger-accepted={written} is not the operator's and is taken off");
            Answer::warning("UnknownTrigger", message)
        }
    };
    fault::point("after-trigger-created").await;
    let mut off = json!({labels::TRIGGER_ACCEPTED: null, labels::TRIGGER_ACCEPTED_FOR: null});
    if cancelled {
        // Somebody else's run may have won the lock meanwhile.
        cancel(context, plan).await?;
        off[labels::TRIGGER] = Value::Null;
        off[labels::TRIGGERED_BY_USER] = Value::Null;
    }
    // A command that comes between is seen together with the acceptance.
    let same = |newer: &PlanEntry| {
        annotation(&newer.meta, labels::TRIGGER_ACCEPTED) == Some(written)
            && annotation(&newer.meta, labels::TRIGGER) == command
    };
    if annotate(context, plan, &off, same).await?.is_some() {
        fault::point("after-trigger-taken-off").await;
        tell(context, plan, answer);
    }
    Ok(())
}

/// Makes sure that the execution exists, and returns what is to be told.
async fn create(
    context: &Context,
    plan: &PlanEntry,
    accepted: &Accepted,
    cancelled: bool,
) -> Result<Answer, StoreError> {
    let executions = &context.stores.executions;
    let (namespace, _) = plan.key();
    let (name, wish) = (accepted.execution.as_str(), accepted.wish());
    let mut found = executions.get(&namespace, name).await?;
    if found.is_none() {
        if let Some(answer) = not_any_more(context, plan, wish).await? {
            return Ok(answer);
        }
        let api: Api<DRPlanExecution> = Api::namespaced(context.client.clone(), &namespace);
        let execution = execution(context, plan, accepted, cancelled);
        match bounded(api.create(&PostParams::default(), &execution)).await {
            Ok(_) => return Ok(created(accepted)),
            Err(StoreError::Refused { message, .. }) => return Ok(refused(wish, &message)),
            // It exists by now.
            Err(StoreError::Conflict) => found = executions.get(&namespace, name).await?,
            Err(error) => return Err(error),
        }
    }
    let Some(raw) = found else {
        return Err(StoreError::silence(format!("execution {name} comes and goes")));
    };
    if annotation(&raw.metadata, labels::TRIGGERED_BY) != plan.meta.uid.as_deref() {
        let why = format!("an execution named {name} exists and is not its own; annotate the plan again");
        return Ok(refused(wish, &why));
    }
    if cancelled {
        let uid = raw.metadata.uid.unwrap_or_default();
        let user = who(&plan.meta, labels::TRIGGERED_BY_USER, &context.settings);
        ask_to_end(context, (&namespace, name, &uid), &user).await?;
    }
    Ok(created(accepted))
}

fn created(accepted: &Accepted) -> Answer {
    let wish = accepted.wish();
    let message = match &accepted.operation {
        RunOperation::Execute => format!("{wish} created execution {}", accepted.execution),
        RunOperation::Revert { target, .. } => {
            format!(
                "{wish} created execution {}, which undoes {target}",
                accepted.execution
            )
        }
    };
    Answer {
        warning: false,
        reason: "TriggerAccepted",
        message,
    }
}

/// Why a trigger that was accepted is not carried out after all.
async fn not_any_more(context: &Context, plan: &PlanEntry, wish: Wish) -> Result<Option<Answer>, StoreError> {
    if !context.settings.trigger_annotations {
        return removed(context, plan, wish).await.map(Some);
    }
    if plan.meta.deletion_timestamp.is_some() {
        return Ok(Some(refused(wish, "the plan is being deleted")));
    }
    Ok(too_old(context, plan, labels::TRIGGER_ACCEPTED, wish))
}

fn execution(context: &Context, plan: &PlanEntry, accepted: &Accepted, cancelled: bool) -> DRPlanExecution {
    let (namespace, name) = plan.key();
    let operation = accepted.operation.name();
    let labels = execution_labels(&name, operation);
    let mut spec = DRPlanExecutionSpec {
        plan_ref: Some(Value::from(name).into()),
        operation_type: Some(operation.to_owned()),
        ..DRPlanExecutionSpec::default()
    };
    if let RunOperation::Revert { target, .. } = &accepted.operation {
        spec.revert_execution_ref = Some(Value::from(target.as_str()).into());
    }
    let who = |stamp: &str| who(&plan.meta, stamp, &context.settings);
    let mut annotations = vec![
        (labels::TRIGGERED_BY, plan.meta.uid.clone().unwrap_or_default()),
        (labels::CREATED_BY, who(labels::TRIGGER_ACCEPTED_FOR)),
    ];
    if cancelled {
        annotations.push((labels::CANCEL, "true".to_owned()));
        annotations.push((labels::CANCELLED_BY, who(labels::TRIGGERED_BY_USER)));
    }
    let owned = |(name, value): (&str, String)| (name.to_owned(), value);
    let mut execution = DRPlanExecution::new(&accepted.execution, spec);
    execution.metadata.namespace = Some(namespace);
    execution.metadata.labels = Some(labels.into_iter().map(owned).collect());
    execution.metadata.annotations = Some(annotations.into_iter().map(owned).collect());
    execution
}

/// What an operator that takes no triggers answers: the manifest that does the same, in one line, to be created.
///
/// # Errors
/// [`StoreError`].
pub async fn removed(context: &Context, plan: &PlanEntry, wish: Wish) -> Result<Answer, StoreError> {
    let (namespace, name) = plan.key();
    let spec = match wish {
        Wish::Execute => format!("{{planRef: {name}, operationType: Execute}}"),
        Wish::Revert => {
            let runs = runs_of(context, &plan.key()).await?;
            let target = last_success(context, &runs).await?;
            let target = target.as_deref().unwrap_or("NAME-OF-THE-EXECUTION");
            format!("{{planRef: {name}, operationType: Revert, revertExecutionRef: {target}}}")
        }
    };
    let message = format!(
        "{wish} was removed on 2026-02-03; create this instead, with kubectl create -f -: \
         {{apiVersion: {GROUP}/{VERSION}, kind: DRPlanExecution, \
         metadata: {{generateName: {name}-, namespace: {namespace}}}, spec: {spec}}}"
    );
    Ok(Answer::warning("TriggerRemoved", message))
}
