//! `run`.

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::create::{Name, create};
use crate::{
    cluster::{Cluster, answer},
    exit::Exit,
};

/// Creates an execution of `plan`.
pub(super) async fn run(
    cluster: &Cluster,
    plan: &str,
    name: Option<String>,
    params: Vec<(String, String)>,
    wait: bool,
) -> anyhow::Result<Exit> {
    let found = answer(cluster.plans().get_opt(plan)).await;
    if found
        .with_context(|| format!("failed to read plan `{plan}`"))?
        .is_none()
    {
        let namespace = &cluster.namespace;
        bail!(
            "there is no plan `{plan}` in namespace {namespace}; kubectl get drp -n {namespace} lists them"
        );
    }
    let params: Vec<Value> = params
        .into_iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    let mut spec = json!({"planRef": plan, "operationType": "Execute"});
    if !params.is_empty() {
        spec["params"] = Value::Array(params);
    }
    let name = name.map_or_else(|| Name::made_of(plan), Name::Given);
    create(cluster, &name, spec, wait).await
}
