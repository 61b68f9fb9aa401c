//! Values of the wrong shape. Reading stops at the first of them; a check tells of all, and of everything else too.

use drplan_api::{Normalised, Problem, Problems, decode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Wrong shapes that are told of in one object.
const WRONG_SHAPES_MAX: usize = 100;

/// The canonical form of `spec` by `normalise`, and all that is wrong in it. What has the wrong shape is told, then
/// left out for the rest.
pub(crate) fn read<S: DeserializeOwned, T>(
    mut spec: Value,
    problems: &mut Problems,
    normalise: impl FnOnce(&S) -> Normalised<T>,
) -> Option<T> {
    let mut mended: Vec<String> = Vec::new();
    let written: S = loop {
        match decode::<S>(spec.clone()) {
            Ok(written) => break written,
            Err(problem) => {
                let path = problem.path.clone();
                let again = mended.contains(&path);
                if !again {
                    problems.push(below_spec(problem));
                    mended.push(path.clone());
                }
                if mended.len() > WRONG_SHAPES_MAX || !leave_out(&mut spec, &path, again) {
                    return None;
                }
            }
        }
    };
    let mut normalised = normalise(&written);
    // Of what was left out it may say that it is missing.
    normalised.problems.retain(|problem| {
        let path = problem.path.strip_prefix("spec.").unwrap_or_default();
        !mended.iter().any(|mended| {
            path.strip_prefix(mended.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    });
    problems.extend(normalised.problems);
    normalised.value.filter(|_| mended.is_empty())
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
    // An item for which nothing stands in: without the list.
    object.remove(&key).is_some()
}

#[cfg(test)]
mod tests {
    use drplan_api::{DRPlanSpec, normalise_plan};

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
        let mut problems = Problems::new();
        let plan = read(spec, &mut problems, |spec: &DRPlanSpec| {
            normalise_plan(spec, "shop")
        });
        assert!(plan.is_none());
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
