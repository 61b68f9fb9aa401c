//! Values that YAML reads as something else than what seems to be written: `no` is false, `0644` is 420.

use drplan_api::{
    Problem, ProblemKind,
    canonical::{Parameter, ParameterType},
};
use drplan_engine::parameters::{convert, shown};
use serde_json::Value;

use super::{
    objects::{Body, Object},
    together::{Placed, declared_types},
    yaml::{Node, Yaml},
};

/// A warning for every value of a text parameter that becomes another text than the one written.
pub(crate) fn surprises(text: &str, objects: &[Object], index: usize) -> Vec<Placed> {
    let object = &objects[index];
    let Some(spec) = object.yaml.get("spec") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut look = |yaml: &Yaml, path: String, types: Vec<ParameterType>| {
        let is_text = types.is_empty() || types.contains(&ParameterType::String);
        if let Some(problem) = is_text.then(|| surprise(text, yaml, path)).flatten() {
            found.push((index, problem));
        }
    };
    let name = |item: &Yaml| {
        item.get("name")
            .and_then(Yaml::text)
            .unwrap_or_default()
            .to_owned()
    };
    let mut values = |list: Option<&Yaml>, path: &str, used: Option<(usize, usize)>| {
        for (position, item) in list.into_iter().flat_map(Yaml::items).enumerate() {
            if let Some(value) = item.get("value") {
                let types = declared_types(objects, index, used, &name(item));
                look(value, format!("{path}[{position}].value"), types);
            }
        }
    };
    match &object.body {
        Body::Workflow(_) => {
            for (position, item) in spec
                .get("parameters")
                .into_iter()
                .flat_map(Yaml::items)
                .enumerate()
            {
                let kind = match item.get("type").and_then(Yaml::text) {
                    None | Some("" | "string") => ParameterType::String,
                    Some(_) => ParameterType::Int,
                };
                if let Some(default) = item.get("default") {
                    look(
                        default,
                        format!("spec.parameters[{position}].default"),
                        vec![kind],
                    );
                }
            }
        }
        Body::Plan(_) => {
            values(spec.get("globalParams"), "spec.globalParams", None);
            values(spec.get("params"), "spec.params", Some((0, 0)));
            for (stage, of_stage) in spec.get("stages").into_iter().flat_map(Yaml::items).enumerate() {
                let workflows = of_stage.get("workflows").into_iter().flat_map(Yaml::items);
                for (position, used) in workflows.enumerate() {
                    let path = format!("spec.stages[{stage}].workflows[{position}].params");
                    values(used.get("params"), &path, Some((stage, position)));
                }
            }
        }
        Body::Execution(_) => values(spec.get("params"), "spec.params", None),
    }
    found
}

fn surprise(text: &str, yaml: &Yaml, path: String) -> Option<Problem> {
    let Node::Scalar(value @ (Value::Bool(_) | Value::Number(_))) = &yaml.node else {
        return None;
    };
    let written = text.get(yaml.span.clone())?.trim();
    let parameter = Parameter {
        name: drplan_api::ParameterName::new("value")?,
        kind: ParameterType::String,
        required: false,
        default: None,
        value_from: None,
        overridable: true,
    };
    let read = shown(&convert(&parameter, value).ok()?);
    // Behind an alias or a tag stands something else than the value.
    if read == written || written.is_empty() || written.starts_with(['*', '&', '!']) {
        return None;
    }
    let message = format!(
        "YAML reads {written} as {read}, so that is the parameter's text; write \"{written}\" in quotes, or {read} if that is meant"
    );
    Some(Problem::warning(path, ProblemKind::Note { message }))
}
