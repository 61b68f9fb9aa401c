//! Values of parameters: which one counts, and what is wrong with them.

use serde_json::{Value, json};

use crate::{calls, given, with_parameters};

/// Covers US4.1, US4a.6, FR-008, FR-020, FR-020a.
#[test]
fn values_override_each_other_from_default_to_execution() {
    let workflow = with_parameters(
        json!([
            {"name": "default", "default": "workflow"}, {"name": "global", "default": "workflow"},
            {"name": "stage", "default": "workflow"}, {"name": "execution", "default": "workflow"},
            {"name": "none"}, {"name": "number", "type": "integer", "default": "7"}, {"name": "yes", "type": "boolean", "default": true},
        ]),
        "http://x",
    );
    let value = |name: &str, value: &str| json!({"name": name, "value": value});
    let plan = json!({
        "globalParams": [value("global", "plan"), value("stage", "plan"), value("execution", "plan")],
        "stages": [{"name": "a", "workflows": [{"workflowRef": {"name": "w"}, "params": [
            value("stage", "stage"), value("execution", "stage"),
        ]}]}],
    });
    let given = given(plan)
        .workflow("w", workflow)
        .executed(json!([value("execution", "execution")]));
    assert_eq!(
        given.values(),
        json!({
            "default": "workflow", "global": "plan", "stage": "stage", "execution": "execution",
            "none": "", "number": 7, "yes": true,
        })
    );
    given.says(&[]);
}

/// Covers US2.2, US4.2, EC-8, FR-008, FR-021.
#[test]
fn values_that_are_missing_do_not_convert_or_may_not_be_set_are_told_together() {
    let workflow = with_parameters(
        json!([
            {"name": "must", "required": true},
            {"name": "fine", "required": true, "default": "x"},
            {"name": "count", "type": "int"},
            {"name": "flag", "type": "bool"},
            {"name": "fixed", "overridable": false},
        ]),
        "http://x",
    );
    let plan = json!({
        "workflowRef": {"name": "w"},
        "globalParams": [{"name": "count", "value": "many"}],
        "params": [{"name": "flag", "value": "yes"}],
    });
    given(plan)
        .workflow("w", workflow)
        .executed(json!([{"name": "fixed", "value": "x"}]))
        .says(&[
            "spec.stages[0].workflows[0]: parameter `must` of workflow `shop/w` is required and has no value; add it \
             to params or globalParams",
            "spec.globalParams[0].value: the value of parameter `count` is not of its type; write a whole number of 64 bits, such as 3",
            "spec.stages[0].workflows[0].params[0].value: the value of parameter `flag` is not of its type; write true or false",
            "execution: spec.params[0]: parameter `fixed` of workflow `shop/w` may not be set by an execution \
             (overridable: false); set it in the plan",
        ]);
}

/// Covers US2.2, FR-021, FR-021a.
#[test]
fn a_required_value_is_given_by_the_plan_or_by_the_stage() {
    let value = json!([{"name": "site", "value": "b"}]);
    let plan = |global: &Value, stage: &Value| {
        let used = json!({"workflowRef": {"name": "w"}, "params": stage});
        let plan = json!({"globalParams": global, "stages": [{"name": "s", "workflows": [used]}]});
        let workflow = with_parameters(json!([{"name": "site", "required": true}]), "http://x");
        given(plan).workflow("w", workflow)
    };
    let none = json!([]);
    plan(&value, &none).says(&[]);
    plan(&none, &value).says(&[]);
    plan(&none, &none).says(&[
        "spec.stages[0].workflows[0]: parameter `site` of workflow `shop/w` is required and has no value; add it to \
         params or globalParams",
    ]);
}

/// Covers US4.3.
#[test]
fn values_that_no_workflow_declares_are_warned_of() {
    let plan = json!({
        "globalParams": [{"name": "a", "value": 1}],
        "stages": [{"name": "s", "workflows": [{"workflowRef": {"name": "w"}, "params": [{"name": "b", "value": 1}]}]}],
    });
    let unused =
        |name: &str| format!("no workflow of this plan declares parameter `{name}`; the value is not used");
    given(plan)
        .workflow("w", calls("http://x"))
        .executed(json!([{"name": "c", "value": 1}]))
        .says(&[
            &format!("warning: spec.globalParams[0]: {}", unused("a")),
            &format!("warning: execution: spec.params[0]: {}", unused("c")),
            &format!("warning: spec.stages[0].workflows[0].params[0]: {}", unused("b")),
        ]);
}

/// Covers EC-9.
#[test]
fn values_never_refer_to_others_and_are_never_evaluated() {
    let workflow = with_parameters(json!([{"name": "a"}, {"name": "b"}]), "http://x");
    let plan = json!({"workflowRef": {"name": "w"}, "globalParams": [
        {"name": "a", "value": "{{ .params.b }}"}, {"name": "b", "value": "secret"},
    ]});
    assert_eq!(
        given(plan).workflow("w", workflow).values()["a"],
        "{{ .params.b }}"
    );
}
