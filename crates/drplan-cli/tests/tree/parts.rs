//! Runs as the operator records them, from their parts.

use drplan_api::Time;
use drplan_cli::view::RunView;
use serde_json::{Value, json};

/// Seconds after ten o'clock.
pub(crate) fn at(seconds: f64) -> Time {
    let start: Time = "2026-01-30T10:00:00.000Z".parse().unwrap();
    start.plus_millis((seconds * 1000.0) as u64)
}

/// An action: name, phase, seconds from begin to end, and what is added.
pub(crate) fn action(name: &str, phase: &str, times: (f64, f64), more: Value) -> Value {
    let mut action = json!({"name": name, "phase": phase, "attempts": 1});
    if phase != "Pending" && phase != "Skipped" {
        action["startTime"] = json!(at(times.0));
    }
    if phase == "Succeeded" || phase == "Failed" {
        action["completionTime"] = json!(at(times.1));
    }
    for (key, value) in more.as_object().into_iter().flatten() {
        action[key] = value.clone();
    }
    action
}

pub(crate) fn done(name: &str, from: f64, to: f64) -> Value {
    let message = json!({"message": "HTTP request completed with status 200"});
    action(name, "Succeeded", (from, to), message)
}

pub(crate) fn pending(name: &str) -> Value {
    action(name, "Pending", (0.0, 0.0), json!({}))
}

/// A workflow or a stage over its parts: phase and times follow from them.
pub(crate) fn group(mut group: Value, parts: &[Value], phase: &str) -> Value {
    let of = |field: &'static str| parts.iter().filter_map(move |part| part[field].as_str());
    if let Some(first) = of("startTime").min() {
        group["startTime"] = json!(first);
    }
    if let Some(last) = of("completionTime")
        .max()
        .filter(|_| phase == "Succeeded" || phase == "Failed")
    {
        group["completionTime"] = json!(last);
    }
    group["phase"] = json!(phase);
    group
}

pub(crate) fn workflow(name: &str, phase: &str, actions: Vec<Value>) -> Value {
    let used = json!({"workflowRef": {"name": name, "namespace": "shop"}, "actionStatuses": actions});
    group(used, &actions, phase)
}

pub(crate) fn stage(name: &str, phase: &str, workflows: Vec<Value>, more: Value) -> Value {
    let mut stage = json!({"name": name, "workflowExecutions": workflows});
    for (key, value) in more.as_object().into_iter().flatten() {
        stage[key] = value.clone();
    }
    group(stage, &workflows, phase)
}

/// The name of every Execute here.
pub(crate) const EXECUTE: &str = "shop-failover-20260130-100000";

pub(crate) fn run(phase: &str, stages: Vec<Value>, more: Value) -> RunView {
    let status = json!({"operationType": "Execute"});
    RunView::read(&object(EXECUTE, phase, stages, [status, more]))
}

/// An execution whose status begins at ten o'clock and has what is added.
pub(crate) fn object(name: &str, phase: &str, stages: Vec<Value>, more: [Value; 2]) -> Value {
    let mut status = json!({
        "phase": phase, "plan": "shop-failover", "startTime": at(0.0), "stageStatuses": stages,
    });
    for (key, value) in more.iter().filter_map(Value::as_object).flatten() {
        status[key] = value.clone();
    }
    json!({"metadata": {"name": name, "namespace": "shop", "uid": "u"}, "status": status})
}
