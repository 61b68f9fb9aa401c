//! What the API accepts, what it refuses and how it says so.

#[cfg(test)]
mod crds;
#[cfg(test)]
mod guide;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod spellings;

use drplan_api::{
    DRPlan, DRPlanExecution, DRWorkflow, Normalised, Problem, decode, normalise_execution_named,
    normalise_plan, normalise_workflow, unknown_fields,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The canonical form of a manifest of any of the three kinds, with all that `check` would say.
fn read(manifest: &Value) -> Normalised<Value> {
    let namespace = manifest["metadata"]["namespace"].as_str().unwrap_or("default");
    let mut read = match manifest["kind"].as_str() {
        Some("DRWorkflow") => as_kind(manifest, |object: DRWorkflow| normalise_workflow(&object.spec)),
        Some("DRPlan") => as_kind(manifest, |object: DRPlan| normalise_plan(&object.spec, namespace)),
        Some("DRPlanExecution") => as_kind(manifest, |object: DRPlanExecution| {
            normalise_execution_named(&object.spec, namespace, object.metadata.name.as_deref())
        }),
        other => panic!("no kind of ours: {other:?}"),
    };
    read.problems.extend(unknown_fields(manifest));
    read
}

/// Also asserts that the canonical form is the same after it was stored and read.
fn as_kind<K: DeserializeOwned, C: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    manifest: &Value,
    normalise: impl FnOnce(K) -> Normalised<C>,
) -> Normalised<Value> {
    match decode(manifest.clone()) {
        Ok(object) => {
            let Normalised { value, problems } = normalise(object);
            let value = value.map(|value| {
                let stored = serde_json::to_value(&value).expect("canonical forms are JSON");
                assert_eq!(
                    C::deserialize(&stored).expect("canonical forms are read again"),
                    value
                );
                stored
            });
            Normalised { value, problems }
        }
        Err(problem) => Normalised {
            value: None,
            problems: vec![problem],
        },
    }
}

fn lines(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("{:?} {problem}\n", problem.severity))
        .collect()
}
