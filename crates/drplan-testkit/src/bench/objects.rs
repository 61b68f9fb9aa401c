//! The objects of the benchmark.

use anyhow::Context;
use drplan_api::{DRPlan, DRPlanExecution, DRWorkflow};
use k8s_openapi::NamespaceResourceScope;
use kube::api::PostParams;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::eventually::object_until;
use crate::namespace::TestNamespace;

/// Creates an execution of plan `plan`.
pub(super) async fn execute(t: &TestNamespace, name: &str, plan: &str) -> anyhow::Result<DRPlanExecution> {
    make(t, name, json!({"planRef": plan, "operationType": "Execute"}))
        .await
        .with_context(|| format!("failed to create the execution `{name}`"))
}

/// A workflow and a plan, both `name`, that call these URLs in turn.
pub(super) async fn apply_plan(t: &TestNamespace, name: &str, urls: &[String]) -> anyhow::Result<()> {
    apply_workflow(t, name, urls).await?;
    make::<DRPlan>(t, name, json!({"workflowRef": {"name": name}})).await?;
    Ok(())
}

/// A plan `name` of one stage in which these workflows, each of which calls its URLs in turn, run side by side.
pub(super) async fn apply_side_by_side(
    t: &TestNamespace,
    name: &str,
    workflows: &[Vec<String>],
) -> anyhow::Result<()> {
    let mut used = Vec::new();
    for (number, urls) in workflows.iter().enumerate() {
        let workflow = format!("{name}-{number}");
        apply_workflow(t, &workflow, urls).await?;
        used.push(json!({"workflowRef": {"name": workflow}}));
    }
    let stage = json!({"name": "main", "parallel": true, "workflows": used});
    make::<DRPlan>(t, name, json!({"stages": [stage]})).await?;
    Ok(())
}

async fn apply_workflow(t: &TestNamespace, name: &str, urls: &[String]) -> anyhow::Result<()> {
    let call = |(number, url): (usize, &String)| json!({"name": format!("a{number}"), "type": "HTTP", "http": {"url": url, "method": "POST"}});
    let actions: Vec<Value> = urls.iter().enumerate().map(call).collect();
    make::<DRWorkflow>(t, name, json!({"actions": actions})).await?;
    Ok(())
}

/// Waits until the operator has found the plan ready.
pub(super) async fn looked_at(t: &TestNamespace, plan: &str) -> anyhow::Result<()> {
    object_until(&t.api::<DRPlan>(), plan, "has been looked at", |plan| {
        plan?.status.as_ref()?.phase.map(drop)
    })
    .await
}

/// Waits until nothing is left to do for the execution: its end is recorded, entered with its plan, and its finalizer off.
pub(super) async fn ended(t: &TestNamespace, execution: &str) -> anyhow::Result<()> {
    object_until(&t.api::<DRPlanExecution>(), execution, "has ended", |execution| {
        let execution = execution?;
        let ended = execution.status.as_ref()?.phase.is_terminal();
        (ended && execution.finalizers().is_empty()).then_some(())
    })
    .await
}

/// Waits until the plan's lock is free. It also is before it is taken.
pub(super) async fn released(t: &TestNamespace, plan: &str) -> anyhow::Result<()> {
    object_until(&t.api::<DRPlan>(), plan, "is free", |plan| {
        plan?.status.as_ref()?.current_execution.is_none().then_some(())
    })
    .await
}

pub(super) async fn make<K>(t: &TestNamespace, name: &str, spec: Value) -> anyhow::Result<K>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    K::DynamicType: Default,
{
    Ok(t.api::<K>()
        .create(&PostParams::default(), &object(name, spec)?)
        .await?)
}

pub(super) fn object<K>(name: &str, spec: Value) -> anyhow::Result<K>
where
    K: Resource + DeserializeOwned,
    K::DynamicType: Default,
{
    let dynamic = K::DynamicType::default();
    Ok(serde_json::from_value(json!({
        "apiVersion": K::api_version(&dynamic),
        "kind": K::kind(&dynamic),
        "metadata": {"name": name},
        "spec": spec,
    }))?)
}
