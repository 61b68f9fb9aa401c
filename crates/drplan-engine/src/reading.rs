//! From a spec as it is written to its canonical form, and to everything that is wrong with it at once.
//!
//! Decoding stops at the first value of a wrong shape, and normalising gives no form of a spec with mistakes. Here what is
//! wrong is told, then left out, so that the rest can be looked at as well. Admission, the controllers and
//! `kubectl drplan check` all read through it.

mod stand_ins;

use drplan_api::{
    DRPlanExecutionSpec, DRPlanSpec, DRWorkflowSpec, Normalised, Problem, ProblemKind, Problems, Severity,
    canonical::{Plan, Request, Workflow},
    decode, normalise_execution_named, normalise_plan, normalise_workflow,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::check::check_workflow;

/// Wrong shapes that are told of in one object.
const WRONG_SHAPES_MAX: usize = 100;

/// A spec as far as it can be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading<T> {
    /// Its canonical form, without what is left out; none if too little is left.
    pub value: Option<T>,
    /// What is left out because it is wrong: `spec.stages[1].name`. Empty exactly if the form is all of it.
    pub left_out: Vec<String>,
    /// What the spec by itself shows, in the order of its fields.
    pub problems: Problems,
}

impl<T> Reading<T> {
    /// Whether the canonical form is all of the spec.
    pub fn is_whole(&self) -> bool {
        self.left_out.is_empty() && self.value.is_some()
    }

    /// What was `found` about the canonical form, without what may come of that which is left out.
    pub fn sound(&self, mut found: Problems) -> Problems {
        found.retain(|problem| problem.object.is_some() || !may_come_of(&self.left_out, problem));
        found
    }
}

/// A workflow's spec, with what is inside its actions.
pub fn read_workflow(spec: Value) -> Reading<Workflow> {
    let mut reading = read::<DRWorkflowSpec, _>(spec, normalise_workflow, stand_ins::in_workflow);
    let inside = reading.value.as_ref().map(check_workflow).unwrap_or_default();
    let inside = reading.sound(inside);
    reading.problems.extend(inside);
    reading
}

/// The spec of a plan of `namespace`. What it shows together with its workflows, [`compile`](crate::compile()) tells.
pub fn read_plan(spec: Value, namespace: &str) -> Reading<Plan> {
    let normalise = |spec: &DRPlanSpec| normalise_plan(spec, namespace);
    read(spec, normalise, stand_ins::in_plan)
}

/// The spec of an execution of `namespace`, with its `name` where it is known.
pub fn read_execution(spec: Value, namespace: &str, name: Option<&str>) -> Reading<Request> {
    let normalise = |spec: &DRPlanExecutionSpec| normalise_execution_named(spec, namespace, name);
    read(spec, normalise, |_, _, _| {})
}

/// Whether `problem` may come of something that is left out, and not of what is written.
fn may_come_of(left_out: &[String], problem: &Problem) -> bool {
    // Whether an item of that list, or its name, is left out.
    let lacks = |list: &str| {
        left_out.iter().any(|path| {
            let item = path
                .strip_prefix("spec.")
                .and_then(|path| path.strip_prefix(list)?.strip_prefix('['));
            let rest = item.and_then(|item| item.split_once(']'));
            rest.is_some_and(|(_, rest)| rest.is_empty() || rest == ".name")
        })
    };
    if is_below(left_out, &problem.path) {
        return true;
    }
    if let ProblemKind::Unknown {
        what: "workflow",
        name,
        ..
    } = &problem.kind
    {
        return name.rsplit('/').next() == Some(stand_ins::UNREADABLE);
    }
    if let ProblemKind::Template { message } = &problem.kind {
        return message.contains("is not declared") && lacks("parameters")
            || message.contains("`.outputs.") && lacks("actions");
    }
    if let ProblemKind::Unknown { what: "stage", .. } = &problem.kind {
        return lacks("stages");
    }
    let is_of_values = matches!(
        problem.kind,
        ProblemKind::MissingValue { .. } | ProblemKind::UnusedValue { .. }
    );
    is_of_values && !left_out.is_empty()
}

/// The canonical form of `spec` by `normalise`, and all that is wrong in it. What is wrong is told, then left out, so
/// that the rest can be looked at; `stand_in` puts something into the places that must not be empty, given where errors
/// are (the second time: something for each whole part with an error).
fn read<S: DeserializeOwned, T>(
    mut spec: Value,
    normalise: impl Fn(&S) -> Normalised<T>,
    stand_in: impl Fn(&mut Value, &[String], bool),
) -> Reading<T> {
    if spec.is_null() {
        spec = json!({});
    }
    let mut problems = Problems::new();
    let mut left_out: Vec<String> = Vec::new();
    let written: S = loop {
        match decode::<S>(spec.clone()) {
            Ok(written) => break written,
            Err(problem) => {
                let problem = below_spec(problem);
                let again = left_out.contains(&problem.path);
                let within = problem.path.strip_prefix("spec.").unwrap_or_default().to_owned();
                if !again {
                    left_out.push(problem.path.clone());
                    problems.push(problem);
                }
                if left_out.len() > WRONG_SHAPES_MAX || !leave_out(&mut spec, &within, again) {
                    return Reading {
                        value: None,
                        left_out,
                        problems,
                    };
                }
            }
        }
    };
    let normalised = normalise(&written);
    let wrong_shapes = left_out.clone();
    for problem in normalised.problems {
        // Of what was left out it may say that it is missing.
        if is_below(&wrong_shapes, &problem.path) {
            continue;
        }
        if problem.severity == Severity::Error {
            left_out.push(problem.path.clone());
        }
        problems.push(problem);
    }
    if normalised.value.is_some() {
        return Reading {
            value: normalised.value,
            left_out,
            problems,
        };
    }
    for path in &left_out[wrong_shapes.len()..] {
        leave_out(&mut spec, path.strip_prefix("spec.").unwrap_or_default(), false);
    }
    // What stands in may be wrong itself, or leave something wrong: then something stands in for that, too.
    let mut wrong = left_out.clone();
    let rest = [false, true].into_iter().find_map(|whole| {
        stand_in(&mut spec, &wrong, whole);
        let normalised = normalise(&decode::<S>(spec.clone()).ok()?);
        let errors = normalised
            .problems
            .into_iter()
            .filter(|problem| problem.severity == Severity::Error);
        wrong = errors.map(|problem| problem.path).collect();
        normalised.value
    });
    Reading {
        value: rest,
        left_out,
        problems,
    }
}

fn is_below(paths: &[String], path: &str) -> bool {
    paths.iter().any(|above| {
        path.strip_prefix(above.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

fn below_spec(mut problem: Problem) -> Problem {
    problem.path = match problem.path.as_str() {
        "" => "spec".to_owned(),
        path => format!("spec.{path}"),
    };
    problem
}

/// Takes the value at `path` out: a field goes, an item becomes an empty one (an object, if that does not do a text,
/// then the whole list goes), so that the places of the others stay. Returns whether anything changed.
fn leave_out(value: &mut Value, path: &str, again: bool) -> bool {
    match value {
        Value::Object(object) => leave_out_of_object(object, path, again),
        Value::Array(items) => {
            let Some((number, rest)) = path.strip_prefix('[').and_then(|path| path.split_once(']')) else {
                return false;
            };
            let item = number.parse().ok().and_then(|index: usize| items.get_mut(index));
            let Some(item) = item else { return false };
            let rest = rest.trim_start_matches('.');
            if !rest.is_empty() {
                return leave_out(item, rest, again);
            }
            let empty = if again { json!("") } else { json!({}) };
            let changed = *item != empty;
            *item = empty;
            changed
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn leave_out_of_object(object: &mut Map<String, Value>, path: &str, again: bool) -> bool {
    let fits = |key: &&String| {
        path.strip_prefix(key.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let Some(key) = object.keys().filter(fits).max_by_key(|key| key.len()).cloned() else {
        return false;
    };
    let rest = path[key.len()..].trim_start_matches('.');
    if rest.is_empty() {
        return object.remove(&key).is_some();
    }
    if object
        .get_mut(&key)
        .is_some_and(|inner| leave_out(inner, rest, again))
    {
        return true;
    }
    // An item for which nothing else stands in: without the list.
    again && object.remove(&key).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_shape_is_told_and_the_rest_is_looked_at() {
        let spec = json!({
            "suspend": "yes",
            "failurePolicy": 3,
            "stages": [
                7,
                {"name": "Bad Name", "dependsOn": [1, 2], "workflows": [{"workflowRef": {"name": 5}}]},
                {"name": "fine", "parallel": [], "workflows": {}},
            ],
        });
        let Reading { value, problems, .. } = read_plan(spec, "shop");
        assert!(value.is_some(), "stages and workflows stand in");
        let mut told: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        told.sort();
        assert_eq!(
            told,
            [
                "spec.failurePolicy",
                "spec.stages[0]",
                "spec.stages[1].dependsOn[0]",
                "spec.stages[1].dependsOn[1]",
                "spec.stages[1].name",
                "spec.stages[1].workflows[0].workflowRef.name",
                "spec.stages[2].parallel",
                "spec.stages[2].workflows",
                "spec.suspend",
            ],
            "{problems:#?}"
        );
    }
}
