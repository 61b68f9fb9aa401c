//! What the ServiceAccount of a plan needs, from what the plan does.

#![expect(clippy::unwrap_used, reason = "a test harness: a panic is how it tells")]

use std::collections::BTreeMap;

use drplan_api::{normalise_plan, normalise_workflow, problem::any_error};
use drplan_engine::{
    ExecutionSource, PlanSource, Purpose, Run, WorkflowSource, compile,
    rights::{Kind, Served, needs},
};
use serde_json::{Value, json};

/// The run of a plan of namespace `shop` with one workflow of these actions, for an execution or not.
fn run(actions: Value, executed: bool) -> Run {
    let parameters = json!([{"name": "site", "default": "b"}, {"name": "far", "default": "far"}]);
    let spec = json!({"parameters": parameters, "actions": actions});
    let found = normalise_workflow(&serde_json::from_value(spec).unwrap());
    assert!(!any_error(&found.problems), "{:?}", found.problems);
    let workflow = WorkflowSource::Known(found.value.unwrap());
    let workflows = BTreeMap::from([(("shop".to_owned(), "flow".to_owned()), workflow)]);
    let spec = json!({"stages": [{"name": "main", "workflows": [{"workflowRef": {"name": "flow"}}]}]});
    let plan = normalise_plan(&serde_json::from_value(spec).unwrap(), "shop")
        .value
        .unwrap();
    let source = PlanSource {
        namespace: "shop",
        name: "failover",
        plan: &plan,
        workflows: &workflows,
        service_account_name: Some("dr"),
        served_namespaces: None,
    };
    let execution = match executed {
        false => ExecutionSource::default(),
        true => ExecutionSource {
            name: "failover-1",
            uid: "uid-1",
            params: &[],
        },
    };
    Run::new(compile(&source, &execution).unwrap().snapshot)
}

fn served(kind: &Kind) -> Option<Served> {
    let known = [
        ("Job", "jobs", true),
        ("Pod", "pods", true),
        ("ConfigMap", "configmaps", true),
        ("Secret", "secrets", true),
        ("Namespace", "namespaces", false),
        ("Localization", "localizations", true),
        ("Subscription", "subscriptions", true),
    ];
    let found = known.iter().find(|(name, ..)| *name == kind.kind)?;
    Some(Served {
        resource: found.1.to_owned(),
        namespaced: found.2,
    })
}

/// `Action: create jobs.batch in shop`, and `open: …` for what is left to the run.
fn told(run: &Run) -> Vec<String> {
    let rights = needs(run).rights(served);
    let mut by_purpose: Vec<_> = rights
        .needed
        .iter()
        .map(|(right, purpose)| (*purpose, right))
        .collect();
    by_purpose.sort();
    let needed = by_purpose
        .iter()
        .map(|(purpose, right)| format!("{purpose:?}: {right}"));
    needed
        .chain(
            rights
                .open
                .iter()
                .map(|(path, why)| format!("open: {path} {why}")),
        )
        .collect()
}

#[track_caller]
fn check(actions: Value, expected: &[&str]) {
    assert_eq!(told(&run(actions, false)), expected);
}

fn config_map(name: &str, operation: &str) -> Value {
    let manifest = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata: {{}}");
    json!({"name": "map", "type": "KubernetesResource", "resource": {"operation": operation, "manifest": manifest}})
}

fn job(fields: Value) -> Value {
    let mut job = json!({"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}}});
    job.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    json!({"name": "work", "type": "Job", "job": job})
}

#[test]
fn calls_need_nothing() {
    check(
        json!([{"name": "call", "type": "HTTP", "http": {"url": "https://a.example"}}]),
        &[],
    );
}

#[test]
fn values_are_read_where_they_are_sent() {
    let token = json!({"secretKeyRef": {"name": "token", "key": "t"}});
    let back = json!({"configMapKeyRef": {"name": "texts", "key": "back"}});
    let http = |fields: Value| {
        let mut http = json!({"url": "https://a.example", "method": "POST"});
        http.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        json!({"name": "call", "type": "HTTP", "http": http})
    };
    let mut call = http(json!({"headersFrom": [{"name": "Authorization", "valueFrom": token}]}));
    call["rollback"] = http(json!({"bodyFrom": back}));
    call["rollback"].as_object_mut().unwrap().remove("name");
    check(
        json!([call]),
        &[
            "Action: get secrets token in shop",
            "Undo: get configmaps texts in shop",
        ],
    );
}

#[test]
fn a_job_is_made_and_read_ended_in_trouble_and_deleted_by_its_undo() {
    check(
        json!([job(json!({}))]),
        &[
            "Action: create jobs.batch in shop",
            "Action: get jobs.batch in shop",
            "Trouble: list pods in shop",
            "Trouble: get pods/log in shop",
            "Trouble: delete jobs.batch in shop",
            "Undo: watch jobs.batch in shop",
        ],
    );
}

#[test]
fn a_job_with_a_name_needs_rights_on_its_attempts_alone() {
    let mut work =
        job(json!({"name": "sync", "namespace": "{{ .params.far }}", "ttlSecondsAfterFinished": 60}));
    work["retryPolicy"] = json!({"limit": 1});
    work["rollback"] = json!({"type": "HTTP", "http": {"url": "https://a.example"}});
    check(
        json!([work]),
        &[
            "Action: create jobs.batch in far",
            "Action: get jobs.batch sync in far",
            "Action: get jobs.batch sync-2 in far",
            "Trouble: list pods in far",
            "Trouble: get pods/log in far",
            "Trouble: patch jobs.batch sync in far",
            "Trouble: delete jobs.batch sync in far",
            "Trouble: patch jobs.batch sync-2 in far",
            "Trouble: delete jobs.batch sync-2 in far",
        ],
    );
}

#[test]
fn each_operation_needs_its_verbs_on_its_object() {
    check(
        json!([config_map("a", "Create")]),
        &[
            "Action: create configmaps in shop",
            "Action: get configmaps a in shop",
            "Undo: watch configmaps a in shop",
            "Undo: delete configmaps a in shop",
        ],
    );
    check(
        json!([config_map("a", "Apply")]),
        &[
            "Action: create configmaps in shop",
            "Action: get configmaps a in shop",
            "Action: patch configmaps a in shop",
            "Undo: watch configmaps a in shop",
            "Undo: delete configmaps a in shop",
        ],
    );
    check(
        json!([config_map("a", "Delete")]),
        &[
            "Action: get configmaps a in shop",
            "Action: delete configmaps a in shop",
        ],
    );
    let mut patch = config_map("a", "Patch");
    patch["rollback"] = config_map("b", "Apply");
    patch["rollback"].as_object_mut().unwrap().remove("name");
    check(
        json!([patch]),
        &[
            "Action: get configmaps a in shop",
            "Action: patch configmaps a in shop",
            "Undo: create configmaps in shop",
            "Undo: get configmaps b in shop",
            "Undo: patch configmaps b in shop",
        ],
    );
}

#[test]
fn clusternets_kinds_and_kinds_without_namespace_are_told_apart() {
    let manifest = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: far";
    check(
        json!([
            {"name": "l", "type": "Localization", "localization": {
                "operation": "Patch", "name": "l", "namespace": "{{ .params.far }}", "priority": 1},
                "rollback": {"type": "HTTP", "http": {"url": "https://a.example"}}},
            {"name": "n", "type": "KubernetesResource", "resource": {"operation": "Delete", "manifest": manifest}},
        ]),
        &[
            "Action: get namespaces far",
            "Action: delete namespaces far",
            "Action: get localizations.apps.clusternet.io l in far",
            "Action: patch localizations.apps.clusternet.io l in far",
        ],
    );
}

/// Only the name is left open where only that depends on the run; where even the namespace does, everything is.
#[test]
fn what_only_the_run_tells_is_left_to_it() {
    let call =
        json!({"name": "call", "type": "HTTP", "http": {"url": "https://a.example", "saveBody": true}});
    check(
        json!([call, config_map("m-{{ .outputs.call.body }}", "Delete")]),
        &[
            "Action: get configmaps in shop",
            "Action: delete configmaps in shop",
        ],
    );
    let mut elsewhere = config_map("a", "Delete");
    let manifest =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: n-{{ .outputs.call.body }}";
    elsewhere["resource"]["manifest"] = manifest.into();
    check(
        json!([call, elsewhere]),
        &["open: main/flow[0]/map is about an object whose kind or namespace only the run tells"],
    );
    let named = json!([config_map("m-{{ .executionName }}", "Delete")]);
    check(
        named.clone(),
        &[
            "Action: get configmaps in shop",
            "Action: delete configmaps in shop",
        ],
    );
    assert_eq!(
        told(&run(named, true)),
        [
            "Action: get configmaps m-failover-1 in shop",
            "Action: delete configmaps m-failover-1 in shop"
        ]
    );
    check(
        json!([config_map("m-{{ .timestamp | trunc 4 }}", "Delete")]),
        &[
            "Action: get configmaps in shop",
            "Action: delete configmaps in shop",
        ],
    );
}

#[test]
fn a_kind_that_is_not_served_is_left_to_the_run() {
    let manifest = "apiVersion: a.example/v1\nkind: Gadget\nmetadata:\n  name: g";
    check(
        json!([{"name": "g", "type": "KubernetesResource", "resource": {"operation": "Delete", "manifest": manifest}}]),
        &["open: main/flow[0]/g is about Gadget of a.example/v1, which is not served"],
    );
}

#[test]
fn what_actions_need_counts_more_than_what_undoing_needs() {
    assert!(Purpose::Action < Purpose::Trouble && Purpose::Trouble < Purpose::Undo);
}
