//! Values of Secrets: where they may go, what is decided and recorded without them, and what is sent.

#![expect(clippy::unwrap_used, reason = "a test harness: a panic is how it tells")]

mod places;

use std::collections::BTreeMap;

use drplan_api::{
    Source, SourceKey, Time, normalise_execution, normalise_plan, normalise_workflow, problem::any_error,
    status::DRPlanExecutionStatus,
};
use drplan_engine::{
    Compiled, ExecutionSource, Facts, Kept, PlanSource, Run, Snapshot, Values, WorkflowSource,
    action_indices, compile,
    effect::{Command, HttpCall},
    object::{ObjectCommand, ObjectWrite, WriteHow},
    render::{Attempt, render},
    snapshot::sha256_hex,
};
use serde_json::{Value, json};

/// A secret that changes the structure of everything it lands in raw.
const VALUE: &str = "s3cret\" }, x: [1]\n'&b=1#/%\u{e9}";

fn secret() -> Source {
    Source::Secret(SourceKey {
        name: "db".to_owned(),
        key: "password".to_owned(),
    })
}

fn from_secret() -> Value {
    json!({"secretKeyRef": {"name": "db", "key": "password"}})
}

fn compiled(parameters: Value, params: Value, action: Value) -> Result<Compiled, Vec<String>> {
    let actions = if action.is_array() {
        action
    } else {
        json!([action])
    };
    let workflow = json!({"parameters": parameters, "actions": actions});
    let workflow = normalise_workflow(&serde_json::from_value(workflow).unwrap());
    let source = match workflow.value {
        Some(known) => WorkflowSource::Known(known),
        None => WorkflowSource::Invalid(workflow.problems),
    };
    let plan = json!({"globalParams": params, "workflowRef": {"name": "w"}});
    let plan = normalise_plan(&serde_json::from_value(plan).unwrap(), "shop");
    let plan = plan.value.unwrap_or_else(|| panic!("{:?}", plan.problems));
    let workflows = BTreeMap::from([(("shop".to_owned(), "w".to_owned()), source)]);
    let source = PlanSource {
        namespace: "shop",
        name: "failover",
        plan: &plan,
        workflows: &workflows,
        service_account_name: None,
        served_namespaces: None,
    };
    let execution = ExecutionSource {
        name: "failover-1",
        uid: "uid-1",
        params: &[],
    };
    compile(&source, &execution).map_err(|problems| {
        assert!(any_error(&problems));
        problems.iter().map(ToString::to_string).collect()
    })
}

/// Compiled with the parameter `s`, which the plan reads from a Secret, and a plain one.
fn with_secret(action: Value) -> Result<Compiled, Vec<String>> {
    compiled(
        json!([{"name": "s"}, {"name": "plain"}]),
        json!([{"name": "s", "valueFrom": from_secret()}, {"name": "plain", "value": "p"}]),
        action,
    )
}

/// What the first attempt of the only action is.
fn command(snapshot: Snapshot) -> Command {
    let run = Run::new(snapshot);
    let status = DRPlanExecutionStatus {
        start_time: Some(Time::from_millis(0)),
        ..run.initial_status()
    };
    let kept = Kept::new();
    let facts = Facts {
        run: &run,
        status: &status,
        kept: &kept,
    };
    let now = Time::from_millis(0);
    let attempt = Attempt {
        number: 1,
        time: now,
        counts_from: now,
        first_start: now,
    };
    render(facts, action_indices(&status)[0], attempt)
        .unwrap()
        .command
}

fn call(http: Value) -> Value {
    json!({"name": "call", "type": "HTTP", "http": http})
}

fn called(http: Value) -> HttpCall {
    let snapshot = with_secret(call(http))
        .unwrap_or_else(|problems| panic!("{problems:#?}"))
        .snapshot;
    let command = command(snapshot);
    let Command::Call(call) = command else {
        panic!("{command:?}")
    };
    call
}

fn opened(http: Value) -> HttpCall {
    called(http)
        .opened(&Values::from([(secret(), VALUE.to_owned())]))
        .unwrap()
}

fn resource(operation: &str, manifest: &str) -> Value {
    json!({"name": "make", "type": "KubernetesResource", "resource": {"operation": operation, "manifest": manifest},
           "rollback": {"type": "HTTP", "http": {"url": "http://a/"}}})
}

fn written(manifest: &str) -> ObjectWrite {
    let snapshot =
        with_secret(resource("Apply", manifest)).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let command = command(snapshot.snapshot);
    let Command::Object(ObjectCommand::Write(write)) = command else {
        panic!("{command:?}")
    };
    write
}

#[test]
fn what_is_decided_and_recorded_shows_where_a_value_comes_from() {
    let http = json!({
        "url": "http://a/?k={{ .params.s }}", "method": "POST", "headers": {"X-S": "{{ .params.s }}"},
        "body": "{\"s\": {{ .params.s }}}",
    });
    let snapshot = with_secret(call(http.clone())).unwrap().snapshot;
    let status = Run::new(snapshot.clone()).initial_status();
    assert_eq!(status.resolved_params["s"], "secret:db/password");
    assert_eq!(status.resolved_params["plain"], "p");
    let text = snapshot.to_text();
    assert!(
        text.contains(r#""sources":{"s":{"secretKeyRef":{"name":"db","key":"password"}}}"#),
        "{text}"
    );
    assert_eq!(
        Snapshot::from_text(&text, &sha256_hex(text.as_bytes())).unwrap(),
        snapshot
    );

    let call = called(http);
    assert_eq!(call.url, "http://a/?k=secret%3Adb%2Fpassword");
    assert_eq!(call.headers["X-S"], "secret:db/password");
    assert_eq!(call.body.as_deref(), Some(r#"{"s": "secret:db/password"}"#));
    let sealed = call.sealed.as_ref().unwrap();
    assert_eq!((sealed.namespace.as_str(), sealed.sources.len()), ("shop", 1));
    assert!(sealed.sources.contains(&secret()));
    assert!(sealed.is_in_body() && sealed.is_in_header("x-s") && !sealed.is_in_header("X-Other"));
}

#[test]
fn a_value_is_encoded_for_the_place_it_stands_in() {
    let call = opened(json!({
        "url": "http://a/p?k={{ .params.s }}&l={{ .params.s | urlquery }}&m={{ .params.plain }}", "method": "POST",
        "body": "{\"s\": {{ .params.s }}, \"t\": \"<{{ .params.s }}>\", \"u\": {{ .params.s | toJson }}}",
    }));
    let encoded = "s3cret%22+%7D%2C+x%3A+%5B1%5D%0A%27%26b%3D1%23%2F%25%C3%A9";
    assert_eq!(call.url, format!("http://a/p?k={encoded}&l={encoded}&m=p"));
    let body: Value = serde_json::from_str(&call.body.unwrap()).unwrap();
    assert_eq!(body, json!({"s": VALUE, "t": format!("<{VALUE}>"), "u": VALUE}));

    let manifest = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  a: {{ .params.s }}\n  \
                    b: 'x {{ .params.s }}'\ndata:\n  c: {{ .params.s | b64enc }}\n";
    let write = written(manifest)
        .opened(&Values::from([(secret(), VALUE.to_owned())]))
        .unwrap();
    let WriteHow::Apply { object, .. } = write.how else {
        panic!()
    };
    assert_eq!(
        object["stringData"],
        json!({"a": VALUE, "b": format!("x {VALUE}")})
    );
    assert_eq!(object["data"]["c"], "czNjcmV0IiB9LCB4OiBbMV0KJyZiPTEjLyXDqQ==");
    let WriteHow::Apply { object, .. } = written(manifest).how else {
        panic!()
    };
    assert_eq!(object["stringData"]["a"], "secret:db/password");
}

#[test]
fn headers_and_bodies_are_read_by_themselves() {
    let http = json!({
        "url": "http://a/", "method": "POST",
        "headersFrom": [{"name": "Authorization", "valueFrom": from_secret()}, {"name": "X-B", "configMapKeyRef": {"name": "c", "key": "k"}}],
        "bodyFrom": from_secret(),
    });
    let sealed = called(http.clone());
    assert_eq!(sealed.headers["Authorization"], "secret:db/password");
    assert_eq!(sealed.headers["X-B"], "configmap:c/k");
    assert_eq!(sealed.body.as_deref(), Some("secret:db/password"));
    let config_map = Source::ConfigMap(SourceKey {
        name: "c".to_owned(),
        key: "k".to_owned(),
    });
    let values = Values::from([
        (secret(), "hunter2".to_owned()),
        (config_map.clone(), "plain".to_owned()),
    ]);
    let call = sealed.opened(&values).unwrap();
    assert_eq!(
        (
            call.headers["Authorization"].as_str(),
            call.headers["X-B"].as_str()
        ),
        ("hunter2", "plain")
    );
    assert_eq!(call.body.as_deref(), Some("hunter2"));

    let values = Values::from([
        (secret(), "two\nlines".to_owned()),
        (config_map, "plain".to_owned()),
    ]);
    let error = sealed.opened(&values).unwrap_err().to_string();
    assert!(
        error.contains("secret:db/password holds a line break") && !error.contains("two"),
        "{error}"
    );
    let missing = sealed.opened(&Values::new()).unwrap_err().to_string();
    assert!(missing.contains("was not read"), "{missing}");
}

#[test]
fn a_header_with_a_line_break_and_a_number_that_is_none_are_refused_without_the_value() {
    let header = called(json!({"url": "http://a/", "headers": {"X-S": "{{ .params.s }}"}}));
    let error = header
        .opened(&Values::from([(secret(), VALUE.to_owned())]))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("http.headers.X-S: ") && !error.contains("s3cret"),
        "{error}"
    );

    let of_type = |kind: &str, value: &str| {
        let parameters = json!([{"name": "s", "type": kind, "valueFrom": from_secret()}]);
        let action = call(json!({"url": "http://a/", "method": "POST", "body": "{\"n\": {{ .params.s }}}"}));
        let snapshot = compiled(parameters, json!([]), action).unwrap().snapshot;
        let Command::Call(call) = command(snapshot) else {
            panic!()
        };
        call.opened(&Values::from([(secret(), value.to_owned())]))
    };
    assert_eq!(of_type("int", "3306\n").unwrap().body.unwrap(), "{\"n\": 3306}");
    assert_eq!(of_type("bool", "true").unwrap().body.unwrap(), "{\"n\": true}");
    let error = of_type("int", "s3cret").unwrap_err().to_string();
    assert_eq!(
        error,
        "parameter `s`: secret:db/password does not hold a value of its type"
    );
}

#[test]
fn a_workflow_that_reads_a_value_by_itself_is_checked_by_itself() {
    let workflow = json!({
        "parameters": [{"name": "s", "valueFrom": from_secret()}],
        "actions": [call(json!({"url": "http://a/", "method": "{{ .params.s }}"}))],
    });
    let workflow = normalise_workflow(&serde_json::from_value(workflow).unwrap())
        .value
        .unwrap();
    let problems = drplan_engine::check_workflow(&workflow);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0]
            .to_string()
            .starts_with("spec.actions[0].http.method: reads parameter `s`"),
        "{}",
        problems[0]
    );
}

#[test]
fn what_a_plan_supplies_wins_over_what_a_workflow_reads_and_an_execution_reads_nothing() {
    let parameters = json!([{"name": "s", "required": true, "valueFrom": from_secret()}]);
    let action = || call(json!({"url": "http://a/", "headers": {"X-S": "{{ .params.s }}"}}));
    let snapshot = compiled(parameters.clone(), json!([]), action())
        .unwrap()
        .snapshot;
    assert!(snapshot.stages[0].uses[0].sources.contains_key("s"));
    let plain = json!([{"name": "s", "value": "plain"}]);
    let snapshot = compiled(parameters, plain, action()).unwrap().snapshot;
    assert!(snapshot.stages[0].uses[0].sources.is_empty());
    let Command::Call(call) = command(snapshot) else {
        panic!()
    };
    assert_eq!((call.headers["X-S"].as_str(), call.sealed), ("plain", None));

    let execution = json!({"planRef": "p", "operationType": "Execute", "params": [{"name": "s", "valueFrom": from_secret()}]});
    let refused = normalise_execution(&serde_json::from_value(execution).unwrap(), "shop");
    let said: Vec<String> = refused.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "spec.params[0].valueFrom: an execution does not choose what is read from Secrets and ConfigMaps; write it in \
          the plan, or `value` here"
        ]
    );
}

#[test]
fn what_outputs_decide_is_checked_when_it_is_known() {
    let actions = json!([
        call(json!({"url": "http://a/", "saveBody": true})),
        {"name": "second", "type": "HTTP", "http": {"url": "http://a{{ .outputs.call.body }}{{ .params.s }}"}},
    ]);
    let run = Run::new(with_secret(actions).unwrap().snapshot);
    let mut status = run.initial_status();
    let kept = Kept::new();
    let mut rendered = |body: &str| {
        let first = &mut status.stage_statuses[0].workflow_executions[0].action_statuses[0];
        first.phase = drplan_api::status::StepPhase::Succeeded;
        first.outputs.body = Some(body.to_owned());
        let now = Time::from_millis(0);
        let attempt = Attempt {
            number: 1,
            time: now,
            counts_from: now,
            first_start: now,
        };
        let facts = Facts {
            run: &run,
            status: &status,
            kept: &kept,
        };
        render(facts, action_indices(&status)[1], attempt)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    // A body cannot be a `?` in a URL; what is left is the path.
    let error = rendered("b").unwrap_err();
    assert!(
        error.starts_with("http.url: puts a value that is read when it is sent before the `?`"),
        "{error}"
    );
}

#[test]
fn whoever_may_choose_the_host_of_a_value_is_warned_of() {
    let warned = |url: &str, overridable: bool| {
        let parameters = json!([{"name": "s"}, {"name": "host", "overridable": overridable}]);
        let params =
            json!([{"name": "s", "valueFrom": from_secret()}, {"name": "host", "value": "a.example"}]);
        let action = call(json!({"url": url, "headers": {"X-S": "{{ .params.s }}"}}));
        let warnings = compiled(parameters, params, action).unwrap().warnings;
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let said = warned("https://{{ .params.host }}/a", true);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("http.url: takes its host from parameter `host`, which an execution may set"),
        "{said:?}"
    );
    assert_eq!(
        warned("https://{{ .params.host }}/a", false),
        Vec::<String>::new()
    );
    assert_eq!(
        warned("https://b.example/{{ .params.host }}", true),
        Vec::<String>::new()
    );
}
