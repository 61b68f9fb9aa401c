//! The policy that keeps stamps honest, also while no webhook answers. The API server itself evaluates it.

use drplan_api::labels;
use serde_json::{Value, json};

use super::stamp::{EXECUTION_COMMANDS, PLAN_COMMANDS};

/// The spec of a ValidatingAdmissionPolicy that lets nobody but `operator` write another name than their own.
pub fn spec(operator: &str, namespace_selector: Option<&Value>) -> Value {
    let mut constraints = json!({"resourceRules": [{
        "apiGroups": [drplan_api::GROUP],
        "apiVersions": [drplan_api::VERSION],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["drplans", "drplanexecutions"],
        "scope": "Namespaced",
    }]});
    if let Some(selector) = namespace_selector {
        constraints["namespaceSelector"] = selector.clone();
    }
    let commands = EXECUTION_COMMANDS.iter().chain(&PLAN_COMMANDS);
    let mut validations: Vec<Value> = commands
        .map(|(command, stamp)| of_command(command, stamp))
        .collect();
    validations.push(of_creator());
    validations.extend([labels::TRIGGER_ACCEPTED, labels::TRIGGER_ACCEPTED_FOR].map(of_operator));
    json!({
        "failurePolicy": "Fail",
        "matchConstraints": constraints,
        "matchConditions": [not_by(operator)],
        "validations": validations,
    })
}

/// A match condition: the request is not the operator's own, which may pass on in whose name it acts.
pub fn not_by(operator: &str) -> Value {
    json!({
        "name": "not-by-the-operator",
        "expression": format!("request.userInfo.username != {}", literal(operator)),
    })
}

/// The annotation `name` of `object` or of `oldObject`: `=` and its value; empty if there is none.
pub fn annotation(object: &str, name: &str) -> String {
    let found = format!("{object}.metadata.?annotations[?{}]", literal(name));
    let read = format!("({found}.hasValue() ? '=' + {found}.value() : '')");
    match object {
        "oldObject" => format!("(oldObject == null ? '' : {read})"),
        _ => read,
    }
}

/// `text` as a string of CEL.
pub fn literal(text: &str) -> String {
    // JSON's escapes are among those of CEL.
    Value::from(text).to_string()
}

const USER: &str = "('=' + request.userInfo.username)";

fn of_command(command: &str, stamp: &str) -> Value {
    let [new, old] = ["object", "oldObject"].map(|object| annotation(object, command));
    let [signed, before] = ["object", "oldObject"].map(|object| annotation(object, stamp));
    let expression = format!(
        "{signed} == '' ? ({before} == '' || {new} != {old}) : ({new} != '' && \
         (({signed} == {USER} && {new} != {old}) || ({signed} == {before} && {old} != '')))"
    );
    refuse(
        &expression,
        &format!(
            "metadata.annotations[{stamp}]: tells who wrote {command}, and is written with it by admission; leave it \
             as it is, and take it off together with {command}"
        ),
    )
}

fn of_creator() -> Value {
    let [new, old] = ["object", "oldObject"].map(|object| annotation(object, labels::CREATED_BY));
    let expression = format!("oldObject == null ? ({new} == '' || {new} == {USER}) : {new} == {old}");
    refuse(
        &expression,
        &format!(
            "metadata.annotations[{}]: tells who created the execution, and is written by admission; take it out of a \
             new object, leave it on an old one",
            labels::CREATED_BY
        ),
    )
}

fn of_operator(name: &str) -> Value {
    let [new, old] = ["object", "oldObject"].map(|object| annotation(object, name));
    refuse(
        &format!("{new} == '' || {new} == {old}"),
        &format!("metadata.annotations[{name}]: only the operator writes it; take it out"),
    )
}

fn refuse(expression: &str, message: &str) -> Value {
    json!({"expression": expression, "message": message, "reason": "Forbidden"})
}
