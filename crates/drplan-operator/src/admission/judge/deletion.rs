//! What must not be deleted now: a workflow that a plan refers to, and what runs.

use std::collections::BTreeSet;

use drplan_api::{DRPlan, DRPlanExecution, DRWorkflow, labels};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::ListParams};

use super::text;
use crate::{
    admission::answer::Verdict,
    context::Context,
    desk::{Run, rival},
    index::{Key, PlanEntry, key_of},
    raw::Raw,
    store::{StoreError, bounded, names},
};

/// Plans in one page of a list, at up to some 100 KiB each.
const PAGE_SIZE: u32 = 100;
/// Plans that a message names.
const LISTED_MAX: usize = 5;

/// Whether the namespace is being deleted, or gone.
pub(super) async fn namespace_ends(context: &Context, namespace: &str) -> Result<bool, StoreError> {
    let api: Api<Namespace> = Api::all(context.client.clone());
    match bounded(api.get(namespace)).await {
        Ok(namespace) => Ok(namespace.metadata.deletion_timestamp.is_some()),
        Err(StoreError::Gone) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Plans that are being deleted themselves do not count.
pub(super) async fn workflow(context: &Context, old: &Raw<DRWorkflow>) -> Result<Verdict, StoreError> {
    let key = key_of(&old.metadata);
    let users = users_of(context, &key).await?;
    if users.is_empty() {
        return Ok(Verdict::allow());
    }
    let named: Vec<String> = users
        .iter()
        .take(LISTED_MAX)
        .map(|(namespace, name)| format!("{namespace}/{name}"))
        .collect();
    let more = match users.len().saturating_sub(LISTED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let plans = if users.len() == 1 { "DRPlan" } else { "DRPlans" };
    Ok(Verdict::forbid(format!(
        "DRWorkflow {}/{} is used by {plans} {}{more}; delete the plan, or take the reference out of its stages first",
        key.0,
        key.1,
        named.join(", ")
    )))
}

/// The plans that refer to workflow `key`: those of its namespace by a live list; those of others, which the index knows,
/// each read live.
async fn users_of(context: &Context, key: &Key) -> Result<BTreeSet<Key>, StoreError> {
    let uses =
        |plan: &PlanEntry| plan.meta.deletion_timestamp.is_none() && plan.workflow_keys().contains(key);
    let mut users = BTreeSet::new();
    let api: Api<Raw<DRPlan>> = Api::namespaced(context.client.clone(), &key.0);
    let mut page = ListParams::default().limit(PAGE_SIZE);
    loop {
        let listed = bounded(api.list(&page)).await?;
        let plans = listed.items.into_iter().map(PlanEntry::of);
        users.extend(plans.filter(uses).map(|plan| plan.key()));
        match listed.metadata.continue_.filter(|more| !more.is_empty()) {
            Some(more) => page = page.continue_token(&more),
            None => break,
        }
    }
    let elsewhere = context
        .index
        .plans_using(key)
        .into_iter()
        .filter(|plan| plan.0 != key.0);
    for (namespace, name) in elsewhere {
        let plan = context
            .stores
            .plans
            .get(&namespace, &name)
            .await?
            .map(PlanEntry::of);
        users.extend(plan.filter(uses).map(|plan| plan.key()));
    }
    Ok(users)
}

pub(super) async fn plan(context: &Context, old: &Raw<DRPlan>) -> Result<Verdict, StoreError> {
    let (namespace, name) = names(&old.metadata);
    let live = context.stores.plans.get(namespace, name).await?;
    let Some(live) = live.filter(|live| live.metadata.uid == old.metadata.uid) else {
        return Ok(Verdict::allow());
    };
    let nobody = Run {
        namespace: namespace.to_owned(),
        name: String::new(),
        uid: String::new(),
        plan: name.to_owned(),
        operation: String::new(),
        requested_by: String::new(),
    };
    Ok(match rival(context, &PlanEntry::of(live), &nobody).await? {
        None => Verdict::allow(),
        Some(run) => Verdict::forbid(format!(
            "execution `{run}` of plan `{name}` is running; cancel it first and wait for its end: {}",
            cancel(&run, namespace)
        )),
    })
}

pub(super) async fn execution(context: &Context, old: &Raw<DRPlanExecution>) -> Result<Verdict, StoreError> {
    let (namespace, name) = names(&old.metadata);
    let live = context.stores.executions.get(namespace, name).await?;
    let Some(live) = live.filter(|live| live.metadata.uid == old.metadata.uid) else {
        return Ok(Verdict::allow());
    };
    let phase = text(&live.status, "/phase");
    if !matches!(phase, "Running" | "Unknown") {
        return Ok(Verdict::allow());
    }
    let is_cancelled = live.status.pointer("/cancellation").is_some();
    Ok(Verdict::forbid(if is_cancelled {
        format!(
            "execution `{name}` is being cancelled; delete it when it has ended, or make it wait for nothing: \
             kubectl annotate --overwrite drpe {name} -n {namespace} {}=now",
            labels::CANCEL
        )
    } else {
        format!(
            "execution `{name}` is {phase}; cancel it first and wait for its end: {}",
            cancel(name, namespace)
        )
    }))
}

fn cancel(execution: &str, namespace: &str) -> String {
    format!(
        "kubectl annotate drpe {execution} -n {namespace} {}=true",
        labels::CANCEL
    )
}
