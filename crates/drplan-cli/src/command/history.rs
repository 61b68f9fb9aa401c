//! `history`: the runs of a plan.

use anyhow::{Context, bail};
use drplan_api::labels;
use kube::api::ListParams;
use serde_json::Value;

use crate::{
    cluster::{Cluster, answer},
    exit::Exit,
    history, screen, watch,
};

/// Prints the runs of `plan`, newest first: those its status remembers, and the executions that exist.
pub(super) async fn history(cluster: &Cluster, plan: &str) -> anyhow::Result<Exit> {
    let found = answer(cluster.plans().get_opt(plan)).await;
    let found = found.with_context(|| format!("failed to read plan `{plan}`"))?;
    let label = ListParams::default().labels(&format!("{}={plan}", labels::PLAN));
    let executions = answer(cluster.executions().list(&label)).await;
    let executions = executions.with_context(|| format!("failed to list the executions of plan `{plan}`"))?;
    if found.is_none() && executions.items.is_empty() {
        let namespace = &cluster.namespace;
        bail!(
            "there is no plan `{plan}` in namespace {namespace}; kubectl get drp -n {namespace} lists them"
        );
    }
    let status = found
        .and_then(|plan| serde_json::to_value(plan).ok())
        .unwrap_or_default();
    let executions: Vec<Value> = executions
        .items
        .iter()
        .filter_map(|object| serde_json::to_value(object).ok())
        .collect();
    let columns = screen::is_terminal().then(|| screen::size().0);
    let lines = history::lines(&status["status"], &executions, watch::now(), columns);
    if lines.is_empty() {
        screen::line(&format!("{plan} has never run"));
    }
    for line in lines {
        screen::line(&line);
    }
    Ok(Exit::Done)
}
