use drplan_api::{limits, problem::any_error};
use serde_json::{Value, json};

use crate::{lines, read};

/// `at_most` is accepted; `beyond` is refused with the figure.
fn check(at_most: &Value, beyond: &Value, path: &str, figure: usize) {
    let accepted = read(at_most);
    assert!(
        !any_error(&accepted.problems),
        "{path}: {}",
        lines(&accepted.problems)
    );
    let refused = read(beyond);
    let said = lines(&refused.problems);
    assert!(said.starts_with(&format!("Error {path}: ")), "{said}");
    assert!(said.contains(&format!("at most {figure} is possible")), "{said}");
}

fn workflow(spec: Value) -> Value {
    json!({"kind": "DRWorkflow", "metadata": {"name": "w"}, "spec": spec})
}

fn plan(spec: Value) -> Value {
    json!({"kind": "DRPlan", "metadata": {"name": "p"}, "spec": spec})
}

/// `count` entries, each made from its number.
fn list(count: usize, entry: impl Fn(usize) -> Value) -> Value {
    (0..count).map(entry).collect()
}

fn action(number: usize, http: Value) -> Value {
    let mut action =
        json!({"name": format!("a{number}"), "type": "HTTP", "http": {"url": "https://x.example.com"}});
    for (key, value) in http.as_object().into_iter().flatten() {
        action["http"][key] = value.clone();
    }
    action
}

/// Covers SC-003.
#[test]
fn counts_are_refused_one_beyond_the_limit() {
    let actions = |count| workflow(json!({"actions": list(count, |i| action(i, json!({})))}));
    let max = limits::ACTIONS_MAX;
    check(&actions(max), &actions(max + 1), "spec.actions", max);

    let parameters = |count| {
        let parameters = list(count, |i| json!({"name": format!("p{i}")}));
        workflow(json!({"parameters": parameters, "actions": [action(0, json!({}))]}))
    };
    let values = |count| {
        let values = list(count, |i| json!({"name": format!("p{i}"), "value": i}));
        plan(json!({"globalParams": values, "workflowRef": {"name": "w"}}))
    };
    let max = limits::PARAMETERS_MAX;
    check(&parameters(max), &parameters(max + 1), "spec.parameters", max);
    check(&values(max), &values(max + 1), "spec.globalParams", max);

    let used = || json!({"workflowRef": {"name": "w"}});
    let stages = |count| {
        plan(json!({"stages": list(count, |i| json!({"name": format!("s{i}"), "workflows": [used()]}))}))
    };
    let max = limits::STAGES_MAX;
    check(&stages(max), &stages(max + 1), "spec.stages", max);

    let workflows = |count| plan(json!({"stages": [{"name": "s", "workflows": list(count, |_| used())}]}));
    let max = limits::WORKFLOWS_IN_STAGE_MAX;
    check(
        &workflows(max),
        &workflows(max + 1),
        "spec.stages[0].workflows",
        max,
    );
}

#[test]
fn texts_are_refused_one_byte_beyond_the_limit() {
    let body = |bytes| workflow(json!({"actions": [action(0, json!({"body": "x".repeat(bytes)}))]}));
    let max = limits::BODY_BYTES_MAX;
    check(&body(max), &body(max + 1), "spec.actions[0].http.body", max);

    let manifest = |bytes| {
        let resource = json!({"operation": "Create", "manifest": "x".repeat(bytes)});
        workflow(json!({"actions": [{"name": "a", "type": "KubernetesResource", "resource": resource}]}))
    };
    let max = limits::MANIFEST_BYTES_MAX;
    check(
        &manifest(max),
        &manifest(max + 1),
        "spec.actions[0].resource.manifest",
        max,
    );

    let value = |bytes| {
        let values = json!([{"name": "p", "value": "x".repeat(bytes)}]);
        plan(json!({"globalParams": values, "workflowRef": {"name": "w"}}))
    };
    let max = limits::VALUE_BYTES_MAX;
    check(&value(max), &value(max + 1), "spec.globalParams[0].value", max);
}

#[test]
fn templated_numbers_and_durations_wait_for_their_values() {
    let template = "{{ .params.x }}";
    let pod = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]});
    let manifest = workflow(json!({"actions": [{
        "name": "a",
        "type": "Job",
        "timeout": template,
        "retryPolicy": {"limit": template, "interval": template, "backoff": template, "maxInterval": template},
        "job": {"backoffLimit": template, "ttlSecondsAfterFinished": template, "template": {"spec": pod}},
    }]}));
    let read = read(&manifest);
    assert_eq!(lines(&read.problems), "");
    let action = &read.value.unwrap()["actions"][0];
    let deferred = json!({"template": template});
    assert_eq!(action["timeout"], deferred);
    for field in ["limit", "interval", "backoffMultiplier", "maxInterval"] {
        assert_eq!(action["retry"][field], deferred, "{field}");
    }
    assert_eq!(action["work"]["Job"]["ttlSecondsAfterFinished"], deferred);
    assert_eq!(action["work"]["Job"]["spec"]["backoffLimit"], template);
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let manifest = workflow(json!({
        "parameters": [{"name": "p"}],
        "actions": [{"name": "a", "type": "HTTP", "retry": {"limit": 3}, "http": {"url": "https://x.example.com"}}],
    }));
    let expect = json!({
        "parameters": [{"name": "p", "type": "string", "required": false, "overridable": true}],
        "failurePolicy": "FailFast",
        "actions": [{
            "name": "a",
            "retry": {
                "limit": {"value": 3},
                "interval": {"value": "5s"},
                "backoffMultiplier": {"value": 1.0},
                "maxInterval": {"value": "5m0s"},
                "onTimeout": false,
            },
            "work": {"HTTP": {
                "url": "https://x.example.com",
                "method": "GET",
                "followRedirects": false,
                "insecureSkipVerify": false,
                "saveBody": false,
                "onInterrupted": "Repeat",
            }},
        }],
    });
    assert_eq!(read(&manifest).value, Some(expect));
}
