//! `trigger=execute|revert` on a plan, for operators started with `--trigger-annotations`.
//!
//! A trigger is replaced by `trigger-accepted`, which holds the name of an execution; that execution is created; the
//! acceptance is taken off. A process that dies in between leaves the acceptance, and the next one creates the same
//! execution under the same name, or finds that it exists: so one trigger makes one execution.
//!
//! The acceptance is no command: the lock is given while it stands, since the execution may begin before it is off. A
//! run that somebody else creates meanwhile may win the lock; then the one that was triggered ends Failed and says so.

use std::{collections::BTreeSet, fmt, sync::Arc};

use drplan_api::{
    DRPlanExecution, DRPlanExecutionSpec, DRPlanStatus, GROUP, GoDuration, Time, VERSION,
    canonical::RunOperation, labels, limits::OBJECT_NAME_MAX, names::is_dns_subdomain,
    status::ExecutionPhase,
};
use drplan_engine::snapshot::sha256_hex;
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    clock,
    commands::{Answer, annotate, ask_to_end, cancel, tell},
    context::Context,
    fault,
    index::{Card, Key, PlanEntry},
    record::{annotation, execution_labels},
    says,
    store::{StoreError, bounded},
    written::written,
};

/// Digits that tell executions triggered within one second apart, those of other plans included whose names are cut.
const NAME_DIGITS: usize = 5;

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

/// A trigger that was accepted: which execution carries it out. A Revert's target is part of it, so that a repeat after
/// a crash undoes what was the last success when somebody asked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Accepted {
    execution: String,
    operation: RunOperation,
}

impl Accepted {
    /// Reads `Execute/<execution>` or `Revert/<execution>/<target>`.
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.trim().split('/').collect();
        let (execution, operation) = match parts.as_slice() {
            ["Execute", execution] => (execution, RunOperation::Execute),
            ["Revert", execution, target] => (execution, revert_of(target)),
            _ => return None,
        };
        let is_name = |name: &&str| name.len() <= OBJECT_NAME_MAX && is_dns_subdomain(name);
        parts.iter().skip(1).all(is_name).then(|| Self {
            execution: (*execution).to_owned(),
            operation,
        })
    }

    fn wish(&self) -> Wish {
        match self.operation {
            RunOperation::Execute => Wish::Execute,
            RunOperation::Revert { .. } => Wish::Revert,
        }
    }
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.operation.name(), self.execution)?;
        match &self.operation {
            RunOperation::Execute => Ok(()),
            RunOperation::Revert { target, .. } => write!(f, "/{target}"),
        }
    }
}

fn revert_of(target: &str) -> RunOperation {
    RunOperation::Revert {
        target: target.to_owned(),
        allow_partial: false,
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
            let off = json!({labels::TRIGGER: null});
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
    let replaced = json!({labels::TRIGGER: null, labels::TRIGGER_ACCEPTED: accepted.to_string()});
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

/// What is made of a trigger.
enum Verdict {
    Accept(RunOperation),
    Refuse(Answer),
}

/// Judges a trigger by what the plan itself shows and by its executions, read live. What else may keep a plan from
/// running is found by the execution, at its start.
async fn judge(context: &Context, plan: &PlanEntry, wish: Wish) -> Result<Verdict, StoreError> {
    let refuse = |why: &str| Ok(Verdict::Refuse(refused(wish, why)));
    if let Some(answer) = too_old(context, plan, labels::TRIGGER, wish) {
        return Ok(Verdict::Refuse(answer));
    }
    if plan.meta.deletion_timestamp.is_some() {
        return refuse("the plan is being deleted");
    }
    match &plan.plan {
        Ok(spec) if spec.suspend => {
            return refuse("the plan is suspended; set spec.suspend to false, then annotate it again");
        }
        Err(problems) if wish == Wish::Execute => {
            return refuse(&format!("the plan is invalid: {}", says::problems(problems)));
        }
        Ok(_) | Err(_) => {}
    }
    let runs = runs_of(context, &plan.key()).await?;
    if let Some(run) = runs.iter().find(|run| !run.is_terminal()) {
        let name = run.metadata.name.as_deref().unwrap_or_default();
        return refuse(&format!("Plan has an execution in progress: {name}"));
    }
    match wish {
        Wish::Execute => Ok(Verdict::Accept(RunOperation::Execute)),
        Wish::Revert => match last_success(context, &runs).await? {
            Some(target) => Ok(Verdict::Accept(revert_of(&target))),
            None => refuse("尚未执行预案: no successful Execute of this plan is left to undo"),
        },
    }
}

fn refused(wish: Wish, why: &str) -> Answer {
    Answer::warning("TriggerRefused", format!("{wish} is refused: {why}"))
}

/// Why what annotation `name` asks for may not be meant any more: it is old, or a copy of the plan brought it along.
fn too_old(context: &Context, plan: &PlanEntry, name: &str, wish: Wish) -> Option<Answer> {
    let Some(written) = written(&plan.meta, name) else {
        let why = "metadata.managedFields does not tell when it was written; annotate the plan again";
        return Some(refused(wish, why));
    };
    // Creating a plan drops its status, and the operator answers commands before it writes one.
    if written.at_creation && plan.status == Ok(DRPlanStatus::default()) {
        let why = "the plan was created with it, as from a backup; annotate the plan again if it is wanted";
        return Some(refused(wish, why));
    }
    let deadline = context.settings.start_deadline;
    let millis = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
    (clock::now() > written.time.plus_millis(millis)).then(|| {
        let deadline = GoDuration::from_millis(millis);
        let message = format!(
            "{wish} is dropped: it was written more than {deadline} ago (--start-deadline); annotate the plan again \
             if it is still wanted"
        );
        Answer::warning("TriggerExpired", message)
    })
}

/// The executions of plan `key`. One that is known to have ended is as the watch brought it, since an end is final;
/// the others are read live.
async fn runs_of(context: &Context, key: &Key) -> Result<Vec<Arc<Card>>, StoreError> {
    let api: Api<Card> = Api::namespaced(context.client.clone(), &key.0);
    let selector = ListParams::default().labels(&format!("{}={}", labels::PLAN, key.1));
    let listed = bounded(api.list_metadata(&selector)).await?.items;
    // The label may be missing on one that was just created, or taken off.
    let known = context.index.executions_of(key);
    let known = known
        .iter()
        .map(|card| (card.metadata.name.clone(), card.metadata.uid.clone()));
    let found = listed
        .into_iter()
        .map(|run| (run.metadata.name, run.metadata.uid));
    let mut runs = Vec::new();
    for (name, uid) in found.chain(known).collect::<BTreeSet<_>>() {
        let Some(name) = name else { continue };
        let card = context.index.execution(&(key.0.clone(), name.clone()));
        let run = match card.filter(|card| card.metadata.uid == uid && card.is_terminal()) {
            Some(ended) => Some(ended),
            None => bounded(api.get_opt(&name)).await?.map(Arc::new),
        };
        runs.extend(run.filter(|run| run.plan() == Some(&key.1)));
    }
    Ok(runs)
}

/// The name of the last successful Execute among `runs` that is not wholly undone.
async fn last_success(context: &Context, runs: &[Arc<Card>]) -> Result<Option<String>, StoreError> {
    let succeeded = runs.iter().filter(|run| {
        run.phase() == Some(ExecutionPhase::Succeeded) && run.status.operation.as_deref() == Some("Execute")
    });
    let ended = |run: &Card| -> Option<Time> { run.status.completion_time.as_ref()?.parse().ok() };
    let mut newest_first: Vec<&Arc<Card>> = succeeded.collect();
    newest_first.sort_by_key(|run| std::cmp::Reverse(ended(run)));
    for run in newest_first {
        let (namespace, name) = crate::store::names(&run.metadata);
        let live = context.stores.executions.get(namespace, name).await?;
        let live = live.filter(|live| live.metadata.uid == run.metadata.uid);
        if live.is_some_and(|live| live.status.pointer("/undone/wholly") != Some(&Value::Bool(true))) {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

/// `<plan>-<UTC date>-<UTC time>-<digits>`, the plan's name cut so that it is a label value. The digits follow from the
/// version of the plan that carries the trigger.
fn name_of(plan: &PlanEntry, now: Time) -> String {
    // 2026-01-30T10:00:00.000Z
    let digits: String = now
        .to_string()
        .chars()
        .filter(char::is_ascii_digit)
        .take(14)
        .collect();
    let (date, time) = digits.split_at_checked(8).unwrap_or((&digits, ""));
    let version = format!("{:?}\n{:?}", plan.meta.uid, plan.meta.resource_version);
    let version = &sha256_hex(version.as_bytes())[..NAME_DIGITS];
    let suffix = format!("-{date}-{time}-{version}");
    let kept: String = plan
        .key()
        .1
        .chars()
        .take(OBJECT_NAME_MAX - suffix.len())
        .collect();
    format!("{}{suffix}", kept.trim_end_matches(['-', '.']))
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
    let mut off = json!({labels::TRIGGER_ACCEPTED: null});
    if cancelled {
        // Somebody else's run may have won the lock meanwhile.
        cancel(context, plan).await?;
        off[labels::TRIGGER] = Value::Null;
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
        let execution = execution(plan, accepted, cancelled);
        match bounded(api.create(&PostParams::default(), &execution)).await {
            Ok(_) => return Ok(created(accepted)),
            Err(StoreError::Refused { message, .. }) => return Ok(refused(wish, &message)),
            // It exists by now.
            Err(StoreError::Conflict) => found = executions.get(&namespace, name).await?,
            Err(error) => return Err(error),
        }
    }
    let Some(raw) = found else {
        return Err(StoreError::Unanswered {
            message: format!("execution {name} comes and goes"),
        });
    };
    if annotation(&raw.metadata, labels::TRIGGERED_BY) != plan.meta.uid.as_deref() {
        let why = format!("an execution named {name} exists and is not its own; annotate the plan again");
        return Ok(refused(wish, &why));
    }
    if cancelled {
        let uid = raw.metadata.uid.unwrap_or_default();
        ask_to_end(context, &namespace, name, &uid).await?;
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

fn execution(plan: &PlanEntry, accepted: &Accepted, cancelled: bool) -> DRPlanExecution {
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
    // Who asked has its place here, once the plan tells it.
    let mut annotations = vec![(labels::TRIGGERED_BY, plan.meta.uid.clone().unwrap_or_default())];
    if cancelled {
        annotations.push((labels::CANCEL, "true".to_owned()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::Raw;

    fn plan(name: &str, version: &str) -> PlanEntry {
        let meta = json!({"name": name, "namespace": "shop", "uid": "u1", "resourceVersion": version});
        let raw: Raw<drplan_api::DRPlan> = serde_json::from_value(json!({"metadata": meta})).unwrap();
        PlanEntry::of(raw)
    }

    #[test]
    fn a_name_tells_plan_and_time_differs_by_trigger_and_is_never_too_long() {
        let now: Time = "2026-01-30T10:02:03.456Z".parse().unwrap();
        let name = name_of(&plan("shop", "7"), now);
        assert!(name.starts_with("shop-20260130-100203-"), "{name}");
        assert_eq!(name, name_of(&plan("shop", "7"), now));
        assert_ne!(name, name_of(&plan("shop", "8"), now));
        let long = name_of(&plan(&format!("{}.{}", "a".repeat(40), "b".repeat(22)), "7"), now);
        assert!(long.len() <= OBJECT_NAME_MAX && is_dns_subdomain(&long), "{long}");
        assert!(
            long.starts_with(&format!("{}-20260130-100203-", "a".repeat(40))),
            "{long}"
        );
    }

    #[test]
    fn an_acceptance_is_read_as_it_was_written_and_nothing_else_is() {
        for (text, operation) in [
            ("Execute/shop-1", RunOperation::Execute),
            ("Revert/shop-2/shop-1", revert_of("shop-1")),
        ] {
            let accepted = Accepted::parse(text).unwrap();
            assert_eq!(accepted.operation, operation);
            assert_eq!(accepted.to_string(), text);
        }
        for text in [
            "",
            "true",
            "Execute",
            "Execute/",
            "Execute/A b",
            "Execute/a/b",
            "Revert/a",
            "execute/a",
        ] {
            assert_eq!(Accepted::parse(text), None, "{text}");
        }
    }
}
