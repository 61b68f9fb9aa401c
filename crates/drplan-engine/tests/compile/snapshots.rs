//! Snapshots: how large they may be, what they hold, how they are read back, the first record of their run.

use drplan_api::normalise_plan;
use drplan_engine::{Run, Snapshot, SnapshotError, snapshot::sha256_hex, workflow_keys};
use serde_json::{Value, json};

use crate::{Given, calls, given, simple, with_parameters};

#[test]
fn a_plan_whose_record_could_grow_too_large_is_refused_with_the_figure() {
    let actions: Vec<Value> = (0..150)
        .map(|index| json!({"name": format!("a{index}"), "type": "HTTP", "http": {"url": "http://x"}}))
        .collect();
    let plan = |workflows: usize| {
        let uses = vec![json!({"workflowRef": {"name": "w"}}); workflows];
        given(json!({"stages": [{"name": "s", "workflows": uses}]}))
            .workflow("w", json!({ "actions": actions }))
    };
    plan(2).says(&[]);
    let problems = plan(4).compile().unwrap_err();
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("spec.stages: the status could reach "),
        "{said:?}"
    );
    assert!(
        said[0].ends_with(" bytes, at most 524288 are stored; split the plan"),
        "{said:?}"
    );

    let body = "x".repeat(60 * 1024);
    let large: Vec<Value> = (0..10)
        .map(|index| json!({"name": format!("a{index}"), "type": "HTTP", "http": {"url": "http://x", "method": "POST", "body": body}}))
        .collect();
    let problems = given(simple())
        .workflow("w", json!({ "actions": large }))
        .compile()
        .unwrap_err();
    assert!(
        problems[0]
            .to_string()
            .starts_with("spec.stages: the snapshot could reach 61"),
        "{problems:?}"
    );
}

/// A plan that uses one workflow twice and another once.
fn rich() -> Given {
    let plan = json!({
        "timeout": "2h", "failurePolicy": "Continue",
        "globalParams": [{"name": "host", "value": "dr"}],
        "stages": [
            {"name": "a", "parallel": true, "workflows": [{"workflowRef": {"name": "w"}}, {"workflowRef": {"name": "v"}}]},
            {"name": "b", "workflows": [{"workflowRef": {"name": "w", "namespace": "shop"}, "params": [{"name": "host", "value": "other"}]}]},
        ],
    });
    given(plan)
        .workflow(
            "w",
            with_parameters(
                json!([{"name": "host"}, {"name": "port", "type": "int", "default": 80}]),
                "http://{{ .params.host }}",
            ),
        )
        .workflow("v", calls("http://x"))
        .executed(json!([]))
}

#[test]
fn compiling_twice_gives_the_same_bytes_and_each_workflow_once() {
    let (one, two) = (rich().snapshot(), rich().snapshot());
    assert_eq!(one.to_text(), two.to_text());
    assert_eq!(one.workflows.len(), 2);
    assert_eq!(one.service_account_name.as_deref(), Some("dr-shop"));
    let plan = normalise_plan(&serde_json::from_value(rich().plan).unwrap(), "shop")
        .value
        .unwrap();
    let keys: Vec<String> = workflow_keys(&plan, "shop")
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(keys, ["v", "w"]);
}

#[test]
fn a_snapshot_is_read_back_as_it_was_or_not_at_all() {
    let snapshot = rich().snapshot();
    let text = snapshot.to_text();
    let sha256 = sha256_hex(text.as_bytes());
    assert_eq!(Snapshot::from_text(&text, &sha256).unwrap(), snapshot);

    let altered = text.replace("\"dr\"", "\"ev\"");
    assert_ne!(altered, text);
    assert!(matches!(
        Snapshot::from_text(&altered, &sha256),
        Err(SnapshotError::Altered { .. })
    ));

    let read = |text: &str| Snapshot::from_text(text, &sha256_hex(text.as_bytes()));
    let newer = text.replacen("\"formatVersion\":1", "\"formatVersion\":2", 1);
    assert!(matches!(
        read(&newer),
        Err(SnapshotError::UnsupportedFormat { found: 2, known: 1 })
    ));
    assert!(matches!(
        read("{}"),
        Err(SnapshotError::UnsupportedFormat { found: 0, .. })
    ));
    assert!(matches!(
        read("{\"formatVersion\":1}"),
        Err(SnapshotError::Unreadable { .. })
    ));
    assert!(matches!(read("no JSON"), Err(SnapshotError::Unreadable { .. })));
}

/// Covers FR-026.
#[test]
fn the_first_record_shows_every_step_and_the_values_once_where_they_agree() {
    let status = Run::new(rich().snapshot()).initial_status();
    let shown = serde_json::to_value(&status).unwrap();
    assert_eq!(shown["phase"], "Pending");
    assert_eq!(shown["resolvedParams"], json!({"port": "80"}));
    let of = |stage: usize, workflow: usize| &shown["stageStatuses"][stage]["workflowExecutions"][workflow];
    assert_eq!(of(0, 0)["resolvedParams"], json!({"host": "dr"}));
    assert_eq!(of(1, 0)["resolvedParams"], json!({"host": "other"}));
    assert_eq!(of(0, 1)["resolvedParams"], Value::Null);
    assert_eq!(shown["stageStatuses"][1]["dependsOn"], json!(["a"]));
    assert_eq!(
        of(1, 0)["actionStatuses"][0],
        json!({"name": "call", "phase": "Pending"})
    );
}
