//! Records that this release cannot know, and tasks that panic.

use anyhow::Context;
use drplan_testkit::{Answer, AuditQuery, TestNamespace, etcd_key};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::fixtures::{
    annotate, apply_plan, create, event, events, execution, execution_until, executions, ours, phases, post,
    released, text,
};
use crate::recovery_start::{put_snapshot, take_snapshot};
use crate::shared;

/// The stored execution.
async fn stored(t: &TestNamespace, name: &str) -> anyhow::Result<Value> {
    let key = etcd_key("dr.bkbcs.tencent.com", "drplanexecutions", Some(&t.name), name);
    let bytes = t.control_plane.etcd_get(&key).await?.context("it is stored")?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Stores the execution, whatever it says.
async fn store(t: &TestNamespace, name: &str, object: &Value) -> anyhow::Result<()> {
    let key = etcd_key("dr.bkbcs.tencent.com", "drplanexecutions", Some(&t.name), name);
    t.control_plane.etcd_put(&key, object).await
}

fn writes_of(query: AuditQuery) -> anyhow::Result<Vec<String>> {
    let writes = ["create", "update", "patch", "delete"];
    let entries = writes
        .iter()
        .fold(query, |query, verb| query.verb(verb))
        .entries()?;
    Ok(entries
        .iter()
        .map(|entry| format!("{} {}", entry.verb, entry.request_uri))
        .collect())
}

#[tokio::test]
async fn a_record_of_a_later_format_is_told_of_and_left_alone() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let statuses = [
            (
                "pending",
                json!({"formatVersion": 99, "phase": "Pending", "news": [1]}),
            ),
            (
                "running",
                json!({"formatVersion": 99, "phase": "Running", "news": [1]}),
            ),
            ("unheard-of", json!({"formatVersion": 99, "phase": "Dreaming"})),
            ("ended", json!({"formatVersion": 99, "phase": "Succeeded"})),
        ];
        let mut before = Vec::new();
        for (name, status) in &statuses {
            apply_plan(t, name, &[post("call", &t.stand_in.url("/call"))]).await?;
            create(t, &execution(name, name)).await?;
            let mut object = stored(t, name).await?;
            object["status"] = status.clone();
            // Our finalizer alone makes it no work for us.
            object["metadata"]["finalizers"] = json!([ours("running")]);
            object["metadata"]["labels"] = json!({ours("plan"): name});
            store(t, name, &object).await?;
            // The user's commands are the later release's as well.
            annotate(&executions(t), name, &ours("cancel"), Some("true")).await?;
            before.push(stored(t, name).await?);
        }
        // And a run whose record can be read, but not its snapshot.
        t.stand_in.script("/held", [Answer::ok().held(), Answer::ok()]);
        apply_plan(t, "snapshot", &[post("call", &t.stand_in.url("/held"))]).await?;
        let operator = t.start_operator().await?;
        create(t, &execution("snapshot", "snapshot")).await?;
        t.stand_in.wait_for("/held", 1).await?;
        operator.kill9().await?;
        let mut snapshot = take_snapshot(t, "snapshot").await?;
        let data = snapshot.data.as_mut().context("it has data")?;
        let later = text(&data.0, "/snapshot").replace(r#""formatVersion":1"#, r#""formatVersion":99"#);
        let sha256: String = Sha256::digest(&later)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        data.0 = json!({"snapshot": later});
        put_snapshot(t, snapshot).await?;
        let mut object = stored(t, "snapshot").await?;
        object["status"]["snapshot"]["sha256"] = sha256.into();
        store(t, "snapshot", &object).await?;
        before.push(stored(t, "snapshot").await?);

        operator.restart().await?;
        let names = ["pending", "running", "unheard-of", "ended", "snapshot"];
        for name in names {
            let message = event(t, name, "UnsupportedFormat").await?;
            assert!(message.contains("has format 99"), "{message}");
            let logged = |line: &Value| {
                (line["reason"] == "UnsupportedFormat" && line["execution"] == *name).then_some(())
            };
            operator
                .logged(&format!("that {name} is of a later format"), logged)
                .await?;
        }
        // Others go on.
        apply_plan(t, "known", &[post("call", &t.stand_in.url("/known"))]).await?;
        create(t, &execution("known", "known")).await?;
        execution_until(t, "known", "Succeeded").await?;
        released(t, "known").await?;
        for (name, before) in names.iter().zip(&before) {
            assert_eq!(stored(t, name).await?, *before, "{name}");
            let about = t
                .audit()
                .user(&format!("operator:{}", t.name))
                .resource("drplanexecutions")
                .name(name);
            // The one with the snapshot was run before.
            if *name != "snapshot" {
                assert_eq!(writes_of(about)?, Vec::<String>::new(), "{name}");
            }
        }
        // A plan whose run is of a later format is not free.
        create(t, &execution("second", "running")).await?;
        let refused = execution_until(t, "second", "Failed").await?;
        assert_eq!(
            text(&refused, "/status/message"),
            "Plan has an execution in progress: running"
        );
        assert_eq!(
            (
                t.stand_in.requests("/call").len(),
                t.stand_in.requests("/held").len()
            ),
            (0, 1)
        );
        Ok(())
    };
    control_plane.with_namespace("record-later", test).await
}

#[tokio::test]
async fn a_task_that_panics_makes_its_run_unknown_and_the_others_go_on() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        // In the task of the run, in that of the call, and how often the call is made in the end.
        for (point, calls) in [("before-result", 2), ("before-effect", 1), ("after-effect", 2)] {
            let name = &format!("at-{point}");
            let call = post("call", &t.stand_in.url(&format!("/{name}")));
            apply_plan(t, name, &[call, post("next", &t.stand_in.url("/next"))]).await?;
            let operator = t.operator_launch()?.env("DRPLAN_FAULT", format!("{point}=panic"));
            let operator = t.launch_operator(operator).await?;
            operator.ready().await?;
            create(t, &execution(name, name)).await?;
            let doubted = execution_until(t, name, "Unknown").await?;
            let message = text(&doubted, "/status/message");
            assert!(
                message.contains("the operator failed while running it"),
                "{message}"
            );
            event(t, name, "ExecutionUnknown").await?;

            let other = &format!("beside-{point}");
            apply_plan(t, other, &[post("call", &t.stand_in.url("/other"))]).await?;
            create(t, &execution(other, other)).await?;
            execution_until(t, other, "Succeeded").await?;

            annotate(&executions(t), name, &ours("resume"), Some("true")).await?;
            let done = execution_until(t, name, "Succeeded").await?;
            assert_eq!(phases(&done), "call Succeeded, next Succeeded");
            released(t, name).await?;
            let counts = t.stand_in.count_by_key(&format!("/{name}"));
            assert_eq!(
                counts.values().copied().collect::<Vec<_>>(),
                [calls],
                "{point}: {counts:?}"
            );
            assert_eq!(operator.terminate().await?, 0);
        }
        Ok(())
    };
    control_plane.with_namespace("record-panic", test).await
}

#[tokio::test]
async fn a_task_that_panics_before_its_run_began_is_tried_again() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
        let faults = "before-metadata=panic,after-lock=panic,before-intent=panic";
        t.launch_operator(t.operator_launch()?.env("DRPLAN_FAULT", faults))
            .await?
            .ready()
            .await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        assert_eq!(t.stand_in.requests("/call").len(), 1);
        let told = events(t, "run").await?;
        assert!(
            !told.iter().any(|event| event.starts_with("ExecutionUnknown")),
            "{told:?}"
        );
        Ok(())
    };
    control_plane.with_namespace("record-panic-early", test).await
}
