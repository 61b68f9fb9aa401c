//! Templates: what they may read, and what they render to as far as that is known before a run.

use serde_json::json;

use crate::{calls, given, simple};

/// How the only workflow of a plan is named where what is wrong depends on its values.
const OBJECT: &str = "DRWorkflow shop/w as spec.stages[0].workflows[0]";

#[test]
fn templates_read_only_what_exists() {
    let url = |url: &str| json!({"url": url});
    let workflow = json!({
        "parameters": [{"name": "host", "default": "h"}],
        "actions": [
            {"name": "first", "type": "HTTP", "http": url("http://{{ .params.hots }}/{{ .outputs.second.statusCode }}")},
            {"name": "second", "type": "HTTP", "http": url("http://{{ .planNmae }}/{{ .outputs.first.status }}/{{ .outputs.first.statusCode }}"),
             "rollback": {"type": "HTTP", "http": url("http://h/{{ .outputs.second.statusCode }}{{ .outputs.third.body }}")}},
        ],
    });
    given(simple()).workflow("w", workflow).says(&[
        "DRWorkflow shop/w: spec.actions[0].http.url: template: parameter `hots` is not declared; add it to \
         spec.parameters of the workflow (it declares host) (line 1, column 11)",
        "DRWorkflow shop/w: spec.actions[0].http.url: template: `.outputs.second`: no action of that name runs earlier \
         in this workflow; none does (line 1, column 30)",
        "DRWorkflow shop/w: spec.actions[1].http.url: template: `.outputs.first.status` does not exist; outputs have \
         statusCode, duration, body, jobRef, exitCode, message, localizationRef, subscriptionRef, resourceRef \
         (line 1, column 27)",
        "DRWorkflow shop/w: spec.actions[1].http.url: template: `.planNmae` does not exist; templates see .params, \
         .outputs, .planName, .planNamespace, .executionName, .executionUID, .workflowName, .stageName, .timestamp, \
         .executionStartTime (line 1, column 11)",
        "DRWorkflow shop/w: spec.actions[1].rollback.http.url: template: `.outputs.third`: no action of that name runs \
         earlier in this workflow; those that do: first, second (line 1, column 45)",
    ]);
}

#[test]
fn a_text_that_is_no_template_is_told_where_it_stands() {
    let problems = given(simple())
        .workflow("w", calls("http://{{ .params.host"))
        .compile()
        .unwrap_err();
    let said = problems[0].to_string();
    let place = "DRWorkflow shop/w: spec.actions[0].http.url: template: line 1, column ";
    assert!(problems.len() == 1 && said.starts_with(place), "{said}");
}

#[test]
fn durations_and_numbers_by_template_are_checked_with_the_values() {
    let workflow = |timeout: &str, limit: &str| {
        json!({
            "parameters": [{"name": "timeout", "default": timeout}, {"name": "limit", "type": "int", "default": limit}],
            "actions": [{
                "name": "call", "type": "HTTP", "http": {"url": "http://x"}, "timeout": "{{ .params.timeout }}",
                "retryPolicy": {"limit": "{{ .params.limit }}", "interval": "{{ .params.timeout }}", "backoffMultiplier": "{{ .params.limit }}"},
            }],
        })
    };
    given(simple()).workflow("w", workflow("90s", "3")).says(&[]);
    let said = |field: &str, message: &str| format!("{OBJECT}: spec.actions[0].{field}: {message}");
    given(simple()).workflow("w", workflow("25h", "101")).says(&[
        &said("timeout", "template: renders to what is not at most 24h"),
        &said(
            "retryPolicy.limit",
            "template: renders to what is not a whole number from 0 to 100",
        ),
        &said(
            "retryPolicy.interval",
            "template: renders to what is not at most 24h",
        ),
    ]);
    given(simple()).workflow("w", workflow("soon", "0")).says(&[
        &said(
            "timeout",
            "is not a duration; write a number and a unit, such as 30s, 5m or 1h30m",
        ),
        &said(
            "retryPolicy.interval",
            "is not a duration; write a number and a unit, such as 30s, 5m or 1h30m",
        ),
        &said(
            "retryPolicy.backoffMultiplier",
            "template: renders to what is not a number of 1 or more",
        ),
    ]);
}

#[test]
fn what_would_not_render_warns_a_plan_and_refuses_an_execution() {
    let workflow = || {
        json!({"parameters": [{"name": "url"}, {"name": "n", "default": "x"}], "actions": [
            {"name": "call", "type": "HTTP", "http": {"url": "{{ .params.url }}"}},
            {"name": "job", "type": "Job", "job": {"template": {"spec": {"restartPolicy": "Never",
                "terminationGracePeriodSeconds": "{{ .params.n }}", "containers": [{"name": "c", "image": "i"}]}}}},
        ]})
    };
    let url = format!(
        "{OBJECT}: spec.actions[0].http.url: template: renders to what is not a URL that can be called, http://… or https://…"
    );
    let number = format!(
        "{OBJECT}: spec.actions[1].job.template.spec.terminationGracePeriodSeconds: template: does not render to a \
         whole number, which this field takes"
    );
    given(simple())
        .workflow("w", workflow())
        .says(&[&format!("warning: {url}"), &format!("warning: {number}")]);
    given(simple())
        .workflow("w", workflow())
        .executed(json!([]))
        .says(&[&url, &number]);
    let values = json!([{"name": "url", "value": "https://dr.example"}, {"name": "n", "value": 30}]);
    given(simple())
        .workflow("w", workflow())
        .executed(values)
        .says(&[]);
}

#[test]
fn what_depends_on_outputs_is_left_to_the_run() {
    let workflow = json!({"actions": [
        {"name": "a", "type": "HTTP", "http": {"url": "http://x"}},
        {"name": "b", "type": "HTTP", "http": {"url": "{{ .outputs.a.body }}"}, "timeout": "{{ .outputs.a.statusCode }}s"},
    ]});
    given(simple())
        .workflow("w", workflow)
        .executed(json!([]))
        .says(&[]);
}
