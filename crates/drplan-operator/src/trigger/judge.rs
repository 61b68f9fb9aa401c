//! Whether a trigger creates an execution, and which run a Revert undoes.

use std::{collections::BTreeSet, sync::Arc};

use drplan_api::{
    DRPlanStatus, GoDuration, Time, canonical::RunOperation, labels, limits::OBJECT_NAME_MAX,
    status::ExecutionPhase,
};
use kube::{Api, api::ListParams};
use serde_json::Value;

use crate::{
    clock,
    commands::Answer,
    context::Context,
    index::{Card, Key, PlanEntry},
    says,
    store::{StoreError, bounded, names},
    trigger::{Wish, accepted::revert_of},
    written::written,
};

/// What is made of a trigger.
pub(super) enum Verdict {
    /// This is to be created.
    Accept(RunOperation),
    /// This is to be told.
    Refuse(Answer),
}

/// Judges a trigger by what the plan itself shows and by its executions, read live. What else may keep a plan from
/// running is found by the execution, at its start.
pub(super) async fn judge(context: &Context, plan: &PlanEntry, wish: Wish) -> Result<Verdict, StoreError> {
    let refuse = |why: &str| Ok(Verdict::Refuse(refused(wish, why)));
    if let Some(answer) = too_old(context, plan, labels::TRIGGER, wish) {
        return Ok(Verdict::Refuse(answer));
    }
    if plan.meta.deletion_timestamp.is_some() {
        return refuse("the plan is being deleted");
    }
    match plan.plan() {
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

/// That nothing is created, and why.
pub(super) fn refused(wish: Wish, why: &str) -> Answer {
    Answer::warning("TriggerRefused", format!("{wish} is refused: {why}"))
}

/// Why what annotation `name` asks for may not be meant any more: it is old, or a copy of the plan brought it along.
pub(super) fn too_old(context: &Context, plan: &PlanEntry, name: &str, wish: Wish) -> Option<Answer> {
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
pub(super) async fn runs_of(context: &Context, key: &Key) -> Result<Vec<Arc<Card>>, StoreError> {
    if key.1.len() > OBJECT_NAME_MAX {
        // It cannot stand in a label, so no execution of that plan has begun; the API server takes none and says why.
        return Ok(Vec::new());
    }
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
pub(super) async fn last_success(
    context: &Context,
    runs: &[Arc<Card>],
) -> Result<Option<String>, StoreError> {
    let succeeded = runs.iter().filter(|run| {
        run.phase() == Some(ExecutionPhase::Succeeded) && run.status.operation.as_deref() == Some("Execute")
    });
    let ended = |run: &Card| -> Option<Time> { run.status.completion_time.as_ref()?.parse().ok() };
    let mut newest_first: Vec<&Arc<Card>> = succeeded.collect();
    newest_first.sort_by_key(|run| std::cmp::Reverse(ended(run)));
    for run in newest_first {
        let (namespace, name) = names(&run.metadata);
        let live = context.stores.executions.get(namespace, name).await?;
        let live = live.filter(|live| live.metadata.uid == run.metadata.uid);
        if live.is_some_and(|live| live.status.pointer("/undone/wholly") != Some(&Value::Bool(true))) {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}
