//! What the templates of an action see.

use std::collections::BTreeMap;

use drplan_api::{
    Time,
    status::{ObjectRef, Outputs},
};
use drplan_template::Value;

use crate::{
    graph::ActionIndex,
    kept::{Facts, Kept},
    run::action_status,
    snapshot::SnapshotUse,
};

/// The top-level fields of the data, for checks: those a template may name.
pub const FIELDS: [&str; 10] = [
    "params",
    "outputs",
    "planName",
    "planNamespace",
    "executionName",
    "executionUID",
    "workflowName",
    "stageName",
    "timestamp",
    "executionStartTime",
];

/// The fields of an action's outputs, for checks.
pub const OUTPUT_FIELDS: [&str; 9] = [
    "statusCode",
    "duration",
    "body",
    "jobRef",
    "exitCode",
    "message",
    "localizationRef",
    "subscriptionRef",
    "resourceRef",
];

/// The data of the action at `at`, whose first attempt began at `timestamp`. In a Revert that of the execution it undoes,
/// but for the time, which is the first start of the undo in any Revert.
///
/// # Guarantees
/// It depends on the run and on recorded facts alone, so it is the same after a crash.
pub fn data(facts: Facts<'_>, at: ActionIndex, timestamp: Time) -> Value {
    let Facts { run, status, .. } = facts;
    let start = match &run.reverted {
        None => status.start_time,
        Some(reverted) => reverted.start_time,
    };
    let start = start.unwrap_or(timestamp);
    let undone = run.reverted_action(at).and_then(|action| action.undone.as_ref());
    let timestamp = undone.and_then(|undone| undone.start_time).unwrap_or(timestamp);
    let snapshot = &run.snapshot;
    let text = |text: &str| Value::String(text.to_owned());
    let members = [
        ("params", params(run.used(at))),
        ("outputs", outputs(facts, at)),
        ("planName", text(&snapshot.plan)),
        ("planNamespace", text(&snapshot.namespace)),
        ("executionName", text(&snapshot.execution)),
        ("executionUID", text(&snapshot.execution_uid)),
        ("workflowName", text(&run.workflow(at).name)),
        ("stageName", text(snapshot.stages[at.stage].name.as_str())),
        ("timestamp", text(&timestamp.to_string())),
        ("executionStartTime", text(&start.to_string())),
    ];
    Value::Map(
        members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

/// `.params`: values as their parameter's type; in place of those that are read when they are sent, where from.
fn params(used: &SnapshotUse) -> Value {
    let values = used
        .values
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.clone())));
    let sources = used
        .sources
        .iter()
        .map(|(name, source)| (name.clone(), Value::String(source.to_string())));
    Value::Map(values.chain(sources).collect())
}

/// `.outputs`: those of the actions before `at` in its workflow execution that have ended; in a Revert also of the action
/// itself.
fn outputs(facts: Facts<'_>, at: ActionIndex) -> Value {
    let Facts { run, status, kept } = facts;
    if let Some(reverted) = &run.reverted {
        let ended = reverted
            .up_to(at)
            .iter()
            .filter(|action| action.recorded.phase.is_ended());
        let named = ended.map(|action| (action.recorded.name.clone(), one(&action.recorded.outputs, kept)));
        return Value::Map(named.collect());
    }
    let earlier = (0..at.action).map(|action| ActionIndex { action, ..at });
    let ended = earlier.filter_map(|earlier| {
        let recorded = action_status(status, earlier).filter(|recorded| recorded.phase.is_ended())?;
        Some((
            run.action(earlier).name.as_str().to_owned(),
            one(&recorded.outputs, kept),
        ))
    });
    Value::Map(ended.collect())
}

/// A text that is kept elsewhere and not at hand is missing.
fn one(outputs: &Outputs, kept: &Kept) -> Value {
    let text = |here: &Option<String>, elsewhere: &Option<String>| {
        let there = elsewhere.as_ref().and_then(|name| kept.get(name));
        here.clone()
            .or_else(|| there.map(|text| text.to_string()))
            .map(Value::String)
    };
    let mut members = BTreeMap::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    put(
        "statusCode",
        outputs.status_code.map(|code| Value::Int(i64::from(code))),
    );
    put("duration", outputs.duration.clone().map(Value::String));
    put("body", text(&outputs.body, &outputs.body_stored_in));
    put("jobRef", outputs.job_ref.as_deref().map(reference));
    put(
        "exitCode",
        outputs.exit_code.map(|code| Value::Int(i64::from(code))),
    );
    put("message", text(&outputs.message, &outputs.message_stored_in));
    put(
        "localizationRef",
        outputs.localization_ref.as_deref().map(reference),
    );
    put(
        "subscriptionRef",
        outputs.subscription_ref.as_deref().map(reference),
    );
    put("resourceRef", outputs.resource_ref.as_deref().map(reference));
    Value::Map(members)
}

fn reference(object: &ObjectRef) -> Value {
    let members = [
        ("apiVersion", object.api_version.as_ref()),
        ("kind", object.kind.as_ref()),
        ("name", Some(&object.name)),
        ("namespace", object.namespace.as_ref()),
        ("uid", object.uid.as_ref()),
    ];
    let present = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?.clone()))));
    Value::Map(present.collect())
}
