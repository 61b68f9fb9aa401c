//! `history`: the runs of a plan.

use anyhow::{Context, bail};
use drplan_api::{GoDuration, Time, labels};
use kube::api::ListParams;
use serde_json::Value;

use crate::{
    cluster::{Cluster, answer},
    exit::Exit,
    screen::{clean, line, pad, width},
    view::RunView,
    watch,
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
    let mut runs: Vec<Run> = executions
        .items
        .iter()
        .filter_map(|object| serde_json::to_value(object).ok())
        .map(|object| Run::of_execution(&object))
        .collect();
    let entries = status["status"]["executionHistory"].as_array();
    for entry in entries.into_iter().flatten().map(Run::of_entry) {
        match runs.iter_mut().find(|run| run.uid == entry.uid) {
            Some(run) => run.by = entry.by,
            None => runs.push(entry),
        }
    }
    runs.sort_by(|one, other| other.start.cmp(&one.start).then(one.name.cmp(&other.name)));
    if runs.is_empty() {
        line(&format!("{plan} has never run"));
    } else {
        table(&runs, watch::now());
    }
    Ok(Exit::Done)
}

struct Run {
    uid: String,
    name: String,
    operation: String,
    phase: String,
    start: Option<Time>,
    end: Option<Time>,
    by: String,
    is_gone: bool,
}

impl Run {
    fn of_execution(object: &Value) -> Self {
        let view = RunView::read(object);
        let created = text(&object["metadata"], "creationTimestamp").parse().ok();
        Self {
            uid: view.uid,
            name: view.name,
            operation: view.operation,
            phase: view.phase.as_str().to_owned(),
            start: view.start.or(created),
            end: view.end,
            by: String::new(),
            is_gone: false,
        }
    }

    fn of_entry(entry: &Value) -> Self {
        Self {
            uid: text(entry, "uid"),
            name: text(entry, "name"),
            operation: text(entry, "operationType"),
            phase: text(entry, "phase"),
            start: text(entry, "startTime").parse().ok(),
            end: text(entry, "completionTime").parse().ok(),
            by: text(entry, "requestedBy"),
            is_gone: true,
        }
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().map(clean).unwrap_or_default()
}

fn table(runs: &[Run], now: Time) {
    let mut rows: Vec<[String; 6]> =
        vec![["NAME", "OPERATION", "PHASE", "STARTED (UTC)", "TOOK", "BY"].map(str::to_owned)];
    for run in runs {
        let took = run.start.filter(|_| run.phase != "Pending").map(|start| {
            let end = run.end.unwrap_or(now);
            GoDuration::from_millis(end.millis_since(start) / 1000 * 1000).to_string()
        });
        let start = run.start.map(|start| start.to_string()).unwrap_or_default();
        let phase = if run.is_gone {
            format!("{} (deleted)", run.phase)
        } else {
            run.phase.clone()
        };
        rows.push([
            run.name.clone(),
            run.operation.clone(),
            phase,
            // To the second.
            start.get(..19).unwrap_or(&start).replace('T', " "),
            took.unwrap_or_default(),
            run.by.clone(),
        ]);
    }
    let widths: Vec<usize> = (0..6)
        .map(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0))
        .collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| pad(cell, *width));
        line(cells.collect::<Vec<_>>().join("   ").trim_end());
    }
}
