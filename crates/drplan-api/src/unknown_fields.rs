//! Fields that an API server would prune: typing mistakes, for a check without server.

use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::Value;

use crate::{Problem, ProblemKind, Problems, crds};

static CRDS: LazyLock<Vec<CustomResourceDefinition>> = LazyLock::new(crds);

/// An error for every field of `object`, one of the three kinds, that its schema does not have. None for other kinds.
pub fn unknown_fields(object: &Value) -> Problems {
    let mut problems = Vec::new();
    for crd in CRDS.iter() {
        if object.get("kind").and_then(Value::as_str) != Some(&crd.spec.names.kind) {
            continue;
        }
        let schema = crd
            .spec
            .versions
            .iter()
            .find_map(|version| version.schema.as_ref());
        if let Some(schema) = schema.and_then(|schema| schema.open_api_v3_schema.as_ref()) {
            look(&mut problems, "", object, schema);
        }
    }
    problems
}

fn look(problems: &mut Problems, path: &str, value: &Value, schema: &JSONSchemaProps) {
    if schema.x_kubernetes_preserve_unknown_fields == Some(true) {
        return;
    }
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                let properties = schema.properties.as_ref();
                match (
                    properties.and_then(|properties| properties.get(key)),
                    &schema.additional_properties,
                ) {
                    (Some(schema), _) => look(problems, &path, value, schema),
                    (None, Some(JSONSchemaPropsOrBool::Schema(schema))) => {
                        look(problems, &path, value, schema)
                    }
                    (None, Some(JSONSchemaPropsOrBool::Bool(true))) => {}
                    (None, Some(JSONSchemaPropsOrBool::Bool(false)) | None) => {
                        // The schema leaves metadata and what identifies the kind to Kubernetes.
                        if !path.starts_with("metadata") && path != "apiVersion" && path != "kind" {
                            problems.push(unknown(&path, key, schema));
                        }
                    }
                }
            }
        }
        Value::Array(items) => {
            if let Some(JSONSchemaPropsOrArray::Schema(schema)) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    look(problems, &format!("{path}[{index}]"), item, schema);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn unknown(path: &str, key: &str, schema: &JSONSchemaProps) -> Problem {
    let existing = schema.properties.iter().flat_map(|properties| properties.keys());
    let nearest = existing.clone().map(|name| (distance(key, name), name)).min();
    let suggestion = match nearest {
        Some((0..=2, name)) => format!("; write `{name}`?"),
        Some(_) => format!("; existing: {}", existing.cloned().collect::<Vec<_>>().join(", ")),
        None => String::new(),
    };
    Problem::error(
        path,
        ProblemKind::Unknown {
            what: "field",
            name: key.to_owned(),
            suggestion,
        },
    )
}

/// How many letters must change (Levenshtein), case aside.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.to_lowercase().chars().collect();
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let change = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[other.len()]
}
