//! What happened, for people.

use serde_json::Value;

use crate::api::{Change, Kind, field, text};

/// A write in one line.
pub(crate) fn of_change(by: &str, change: &Change) -> String {
    let (_, _, kind) = change.key.0.names();
    let name = &change.key.2;
    let Some(after) = &change.after else {
        return format!("  {kind} {name} is gone ({by})");
    };
    let version = text(after, "/metadata/resourceVersion");
    let what = match change.key.0 {
        Kind::Execution => of_execution(after),
        Kind::Plan => format!(
            "lock {}, history {}",
            field(after, "/status/currentExecution/name"),
            field(after, "/status/executionHistory")
                .as_array()
                .map_or(0, Vec::len)
        ),
        Kind::Job => field(after, "/status/conditions/0/type").to_string(),
        Kind::Lease => format!(
            "{} {}",
            field(after, "/spec/holderIdentity"),
            field(after, "/spec/leaseTransitions")
        ),
        _ => String::new(),
    };
    let deleting = match field(after, "/metadata/deletionTimestamp") {
        Value::Null => "",
        _ => ", being deleted",
    };
    format!("  {kind} {name} v{version} by {by}: {what}{deleting}")
}

fn of_execution(execution: &Value) -> String {
    let mut actions = Vec::new();
    for stage in field(execution, "/status/stageStatuses")
        .as_array()
        .into_iter()
        .flatten()
    {
        for workflow in stage["workflowExecutions"].as_array().into_iter().flatten() {
            for action in workflow["actionStatuses"].as_array().into_iter().flatten() {
                let phase = text(action, "/phase");
                let attempts = action["attempts"].as_u64().unwrap_or(0);
                actions.push(format!("{}={phase}#{attempts}", text(action, "/name")));
            }
        }
    }
    let epoch = field(execution, "/status/epoch");
    format!(
        "{} {} epoch {}/{} {}",
        text(execution, "/status/phase"),
        actions.join(" "),
        epoch["process"],
        epoch["leaseTransitions"],
        text(execution, "/status/message"),
    )
}
