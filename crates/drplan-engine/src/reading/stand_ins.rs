//! What stands in for parts that are wrong, so that the rest can be looked at.

use serde_json::{Value, json};

/// Gives names to the actions and parameters of a workflow that have none; with `whole`, something that is fine stands
/// in for each action with an error.
pub(super) fn in_workflow(spec: &mut Value, left_out: &[String], whole: bool) {
    for (index, action) in items(spec, "actions").iter_mut().enumerate() {
        name(action, format!("unreadable-{index}"));
        let at = format!("spec.actions[{index}]");
        let is_wrong = |path: &String| {
            path.strip_prefix(&at)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if whole && left_out.iter().any(is_wrong) {
            *action = json!({"name": action["name"], "type": "HTTP", "http": {"url": "http://localhost"}});
        }
    }
    for (index, parameter) in items(spec, "parameters").iter_mut().enumerate() {
        name(parameter, format!("unreadable_{index}"));
    }
}

/// Gives names to the stages of a plan and to the workflows that it uses, where they have none.
pub(super) fn in_plan(spec: &mut Value, _: &[String], _: bool) {
    values(items(spec, "globalParams"));
    values(items(spec, "params"));
    for (index, stage) in items(spec, "stages").iter_mut().enumerate() {
        name(stage, format!("unreadable-{index}"));
        let has_workflows = stage["workflows"]
            .as_array()
            .is_some_and(|workflows| !workflows.is_empty());
        if !has_workflows && stage.is_object() {
            stage["workflows"] = json!([{}]);
        }
        for used in items(stage, "workflows") {
            if used["workflowRef"]["name"].as_str().is_none() {
                *used = json!({"workflowRef": {"name": UNREADABLE}});
            }
            values(items(used, "params"));
        }
    }
}

/// Gives names and values to parameters that have none.
fn values(values: &mut [Value]) {
    for (index, value) in values.iter_mut().enumerate() {
        name(value, format!("unreadable_{index}"));
        if let Some(value) = value.as_object_mut()
            && !value.contains_key("valueFrom")
        {
            value.entry("value").or_insert_with(|| "".into());
        }
    }
}

/// The workflow that stands in for one whose name cannot be read.
pub(super) const UNREADABLE: &str = "unreadable.unreadable";

fn items<'a>(value: &'a mut Value, field: &str) -> &'a mut [Value] {
    let items = value.get_mut(field).and_then(Value::as_array_mut);
    items.map(Vec::as_mut_slice).unwrap_or_default()
}

fn name(value: &mut Value, stand_in: String) {
    if let Some(object) = value.as_object_mut() {
        let has_name = object
            .get("name")
            .and_then(Value::as_str)
            .is_some_and(|name| !name.is_empty());
        if !has_name {
            object.insert("name".to_owned(), stand_in.into());
        }
    }
}
