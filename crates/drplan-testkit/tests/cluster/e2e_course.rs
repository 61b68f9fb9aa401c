//! The course of things: order, failure policies, the plan's time, outputs, and what is recorded and told of them.

use drplan_testkit::{Answer, TestNamespace};
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::fixtures::{
    apply, apply_plan, create, event, execution, execution_until, execution_where, executions, get, phases,
    plan, post, released, text, told_events, workflow,
};
use crate::shared;

/// The value of a condition: its status and reason.
fn condition<'a>(object: &'a Value, kind: &str) -> (&'a str, &'a str) {
    let all = object["status"]["conditions"].as_array();
    let found = all.and_then(|all| all.iter().find(|condition| condition["type"] == kind));
    found.map_or(("", ""), |found| (text(found, "/status"), text(found, "/reason")))
}

/// Panics unless each total of the summary is the sum of its phases.
fn assert_adds_up(execution: &Value) {
    let summary = &execution["status"]["summary"];
    for kind in ["Stages", "Workflows", "Actions"] {
        let of = |phase: &str| summary[format!("{phase}{kind}")].as_u64().unwrap_or_default();
        let parts = ["completed", "running", "pending", "failed", "skipped"].map(of);
        assert_eq!(of("total"), parts.iter().sum::<u64>(), "{kind} of {summary}");
    }
}

/// The paths that were asked for, in order of arrival.
fn asked(t: &TestNamespace) -> Vec<String> {
    t.stand_in.all().into_iter().map(|request| request.path).collect()
}

/// Covers US4a.1, US4a.3, US4a.4, US4a.5, US4a.6, US5.1, US10.1, US10.3, US10.4, EC-7, FR-009, FR-010,
/// FR-018, FR-019, FR-020, FR-023b, FR-024, FR-025, FR-026, FR-027, FR-027a, FR-027b, FR-029, FR-029a,
/// FR-031, SC-006.
#[tokio::test]
async fn stages_run_in_order_workflows_together_and_later_templates_see_outputs() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let at = |path: &str| t.stand_in.url(path);
        for name in ["one", "two", "left", "right"] {
            apply(t, &workflow(name).action(post("call", &at(&format!("/{name}"))))).await?;
            t.stand_in.script(&format!("/{name}"), [Answer::ok().held()]);
        }
        let body = r#"{"code": {{ .outputs.look.statusCode }}, "said": "{{ .outputs.look.body }}", "run": "{{ .executionName }}", "site": "{{ .params.site }}"}"#;
        let tell = post("tell", &at("/tell")).doing("body", body.into());
        let last = workflow("last").parameter(json!({"name": "site", "overridable": true}));
        apply(t, &last.action(get("look", &at("/look"))).action(tell)).await?;
        t.stand_in
            .script("/look", [Answer::ok().body("a \"quoted\"\nanswer")]);
        let plan = plan("shop")
            .with("globalParams", json!([{"name": "site", "value": "a"}]))
            .stage("third", &["last"])
            .stage_with(
                "second",
                &["left", "right"],
                json!({"parallel": true, "dependsOn": ["first"]}),
            )
            .stage("first", &["one", "two"]);
        // The order is that of the dependencies, not of the list.
        let mut plan = plan;
        plan.0["spec"]["stages"][0]["dependsOn"] = json!(["second"]);
        apply(t, &plan).await?;
        let run = execution("run", "shop").with("params", json!([{"name": "site", "value": "b"}]));
        create(t, &run).await?;

        t.stand_in.wait_for("/one", 1).await?;
        let seen = execution_until(t, "run", "Running").await?;
        assert_eq!(
            phases(&seen),
            "look Pending, tell Pending, call Pending, call Pending, call Running, call Pending"
        );
        assert_ne!(condition(&seen, "Complete").0, "True");
        assert_adds_up(&seen);
        t.stand_in.release("/one");
        t.stand_in.wait_for("/two", 1).await?;
        assert_eq!(asked(t), ["/one", "/two"]);
        t.stand_in.release("/two");
        // Both are held: neither waited for the other.
        t.stand_in.wait_for("/left", 1).await?;
        t.stand_in.wait_for("/right", 1).await?;
        t.stand_in.release("/left");
        t.stand_in.release("/right");

        let done = execution_until(t, "run", "Succeeded").await?;
        let told = t.stand_in.requests("/tell")[0].json()?;
        let expected = json!({"code": 200, "said": "a \"quoted\"\nanswer", "run": "run", "site": "b"});
        assert_eq!(told, expected);
        assert_eq!(asked(t)[4..], ["/look", "/tell"]);
        assert_status_is_complete(&done);

        let (_, plan) = released(t, "run").await?;
        assert_plan_knows(&plan, &done);
        let told = event(t, "run", "ExecutionSucceeded").await?;
        assert!(told.starts_with("Execution completed successfully in "), "{told}");
        assert_events_of_a_plan_with_stages(&told_events(t, "run").await?);
        let by_label = ListParams::default().labels("drplan=shop");
        assert_eq!(executions(t).list(&by_label).await?.items.len(), 1);
        Ok(())
    };
    control_plane.with_namespace("course", test).await
}

fn assert_status_is_complete(done: &Value) {
    let status = &done["status"];
    assert_adds_up(done);
    assert_eq!(status["summary"]["completedActions"], 6);
    assert_eq!(
        (text(status, "/plan"), text(status, "/operationType")),
        ("shop", "Execute")
    );
    assert_eq!(text(status, "/progress"), "6/6");
    assert_eq!(condition(done, "Complete"), ("True", "Succeeded"));
    assert_eq!(condition(done, "Succeeded").0, "True");
    assert_eq!(status["resolvedParams"]["site"], "b");
    assert!(
        text(status, "/message").starts_with("6 actions succeeded in "),
        "{status}"
    );
    let labels = &done["metadata"]["labels"];
    for (label, value) in [
        ("dr.bkbcs.tencent.com/plan", "shop"),
        ("drplan", "shop"),
        ("dr.bkbcs.tencent.com/operation", "Execute"),
    ] {
        assert_eq!(labels[label], value, "{labels}");
    }
    assert_eq!(
        done["metadata"]["annotations"]["dr.bkbcs.tencent.com/started-uid"],
        done["metadata"]["uid"]
    );
    let has_times = |step: &Value| {
        for field in ["startTime", "completionTime"] {
            let time = text(step, &format!("/{field}"));
            assert!(
                time.ends_with('Z') && time.contains('.'),
                "milliseconds in {field} of {step}"
            );
        }
    };
    has_times(status);
    for stage in status["stageStatuses"].as_array().into_iter().flatten() {
        assert_eq!(stage["phase"], "Succeeded");
        assert!(!text(stage, "/duration").is_empty(), "{stage}");
        has_times(stage);
        for used in stage["workflowExecutions"].as_array().into_iter().flatten() {
            assert_eq!(used["phase"], "Succeeded");
            let count = used["actionStatuses"].as_array().map_or(0, Vec::len);
            assert_eq!(used["progress"], format!("{count}/{count} actions completed"));
            assert!(
                used["currentAction"].is_null() && !text(used, "/duration").is_empty(),
                "{used}"
            );
            has_times(used);
            for action in used["actionStatuses"].as_array().into_iter().flatten() {
                assert_eq!(
                    (action["phase"].as_str(), action["attempts"].as_u64()),
                    (Some("Succeeded"), Some(1))
                );
                assert_eq!(action["outputs"]["statusCode"], 200);
                assert!(text(action, "/outputs/duration").ends_with('s'), "{action}");
                assert_eq!(action["message"], "HTTP request completed with status 200");
                has_times(action);
            }
        }
    }
    assert_eq!(status["stageStatuses"][1]["parallel"], true);
    assert_eq!(status["stageStatuses"][1]["dependsOn"], json!(["first"]));
    assert!(
        status["actionStatuses"].is_null(),
        "the flat list is of plans of one workflow"
    );
}

fn assert_plan_knows(plan: &Value, done: &Value) {
    let status = &plan["status"];
    assert_eq!(
        (text(status, "/phase"), text(status, "/lastExecutionRef")),
        ("Executed", "run")
    );
    assert_eq!(condition(plan, "Executed").0, "True");
    assert_eq!(condition(plan, "Ready").0, "True");
    assert_eq!(
        (&status["stageCount"], &status["actionCount"]),
        (&json!(3), &json!(6))
    );
    let end = &done["status"]["completionTime"];
    let last = &status["lastSuccessfulExecution"];
    let expected = json!({"name": "run", "namespace": plan["metadata"]["namespace"], "completionTime": end});
    assert_eq!(last, &expected);
    assert_eq!(&status["lastExecutionTime"], end);
    let history = &status["executionHistory"];
    assert_eq!(history.as_array().map(Vec::len), Some(1));
    assert_eq!(history[0]["uid"], done["metadata"]["uid"]);
    assert_eq!(
        (
            &history[0]["name"],
            &history[0]["operationType"],
            &history[0]["phase"],
            &history[0]["completionTime"]
        ),
        (&json!("run"), &json!("Execute"), &json!("Succeeded"), end)
    );
}

fn assert_events_of_a_plan_with_stages(told: &[String]) {
    let has = |beginning: &str| {
        assert!(
            told.iter().any(|event| event.starts_with(beginning)),
            "{beginning}: {told:#?}"
        )
    };
    has("Normal ExecutionStarted: Execution started for plan shop");
    has("Normal StageStarted: Stage first started");
    has("Normal ActionStarted: Action first/two[1]/call started");
    has("Normal ActionSucceeded: Action second/right[1]/call completed successfully in ");
    has("Normal StageSucceeded: Stage third succeeded");
    has("Normal ExecutionSucceeded: Execution completed successfully in ");
    assert!(
        !told.iter().any(|event| event.starts_with("Warning")),
        "{told:#?}"
    );
}

/// Covers US10.5, US12.2, FR-001, FR-007, FR-027.
#[tokio::test]
async fn failure_policies_decide_what_still_runs() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        t.stand_in.script("/bad", [Answer::status(400)]);
        let ok = |name: &str| post(name, &t.stand_in.url("/ok"));
        apply(t, &workflow("good").action(ok("next"))).await?;
        for (of_workflow, of_plan, expected) in [
            ("FailFast", "Stop", "bad Failed, after Skipped, next Skipped"),
            ("Continue", "Stop", "bad Failed, after Succeeded, next Skipped"),
            (
                "FailFast",
                "Continue",
                "bad Failed, after Skipped, next Succeeded",
            ),
            (
                "Continue",
                "Continue",
                "bad Failed, after Succeeded, next Succeeded",
            ),
        ] {
            let name = format!("{of_workflow}-{of_plan}").to_lowercase();
            let flow = workflow(&name).with("failurePolicy", of_workflow.into());
            apply(
                t,
                &flow
                    .action(post("bad", &t.stand_in.url("/bad")))
                    .action(ok("after")),
            )
            .await?;
            let staged = plan(&name)
                .with("failurePolicy", of_plan.into())
                .stage("one", &[&name])
                .stage("two", &["good"]);
            apply(t, &staged).await?;
            create(t, &execution(&name, &name)).await?;
            let ended = execution_until(t, &name, "Failed").await?;
            assert_eq!(phases(&ended), expected, "{name}");
            assert_adds_up(&ended);
            assert_eq!(condition(&ended, "Complete"), ("True", "Failed"));
            let message = text(&ended, "/status/message");
            let cause = format!("Action 'one/{name}[0]/bad' failed: POST ");
            assert!(
                message.starts_with(&cause) && message.contains("400"),
                "{message}"
            );
            let used = &ended["status"]["stageStatuses"][0]["workflowExecutions"][0];
            assert_eq!(
                (text(used, "/phase"), text(used, "/message")),
                ("Failed", "1 of 2 actions failed")
            );
            let (_, plan) = released(t, &name).await?;
            assert_eq!(text(&plan, "/status/phase"), "Ready");
            assert_eq!(text(&plan, "/status/executionHistory/0/phase"), "Failed");
            let told = event(t, &name, "ExecutionFailed").await?;
            assert!(
                told.starts_with(&format!("Execution failed at action one/{name}[0]/bad: ")),
                "{told}"
            );
        }
        Ok(())
    };
    control_plane.with_namespace("policies", test).await
}

/// Covers US4a.7, FR-023f.
#[tokio::test]
async fn a_failed_workflow_keeps_others_of_its_stage_from_starting_and_running_ones_finish()
-> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        t.stand_in.script("/bad", [Answer::status(400)]);
        t.stand_in.script("/slow", [Answer::ok().held()]);
        for name in ["bad", "slow", "good"] {
            apply(
                t,
                &workflow(name).action(post(name, &t.stand_in.url(&format!("/{name}")))),
            )
            .await?;
        }
        apply(t, &plan("sequence").stage("one", &["bad", "good"])).await?;
        apply(
            t,
            &plan("together")
                .stage_with("one", &["bad", "slow"], json!({"parallel": true}))
                .stage("two", &["good"]),
        )
        .await?;
        for name in ["sequence", "together"] {
            create(t, &execution(name, name)).await?;
        }
        let ended = execution_until(t, "sequence", "Failed").await?;
        assert_eq!(phases(&ended), "bad Failed, good Skipped");

        execution_where(t, "together", "a failure beside a running call", |run| {
            (phases(run).starts_with("bad Failed, slow Running") && run["status"]["phase"] == "Running")
                .then_some(())
        })
        .await?;
        t.stand_in.wait_for("/slow", 1).await?;
        t.stand_in.release("/slow");
        let ended = execution_until(t, "together", "Failed").await?;
        assert_eq!(phases(&ended), "bad Failed, slow Succeeded, good Skipped");
        assert_eq!(
            text(&ended, "/status/stageStatuses/0/message"),
            "1 of 2 workflows failed"
        );
        assert_eq!(t.stand_in.requests("/good").len(), 0);
        Ok(())
    };
    control_plane.with_namespace("siblings", test).await
}

#[tokio::test]
async fn at_the_plans_timeout_nothing_new_starts_and_the_run_fails() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        t.stand_in.script("/slow", [Answer::ok().held()]);
        let actions = [
            post("slow", &t.stand_in.url("/slow")),
            post("after", &t.stand_in.url("/after")),
        ];
        apply_plan(t, "shop", &actions).await?;
        apply(
            t,
            &plan("shop").with("timeout", "1s".into()).stage("main", &["shop"]),
        )
        .await?;
        create(t, &execution("run", "shop")).await?;
        execution_where(t, "run", "the end of the plan's time", |run| {
            (phases(run) == "slow Running, after Skipped").then_some(())
        })
        .await?;
        t.stand_in.release("/slow");
        let ended = execution_until(t, "run", "Failed").await?;
        assert_eq!(phases(&ended), "slow Succeeded, after Skipped");
        let message = text(&ended, "/status/message");
        assert!(message.starts_with("PlanTimeout: "), "{message}");
        assert_eq!(t.stand_in.requests("/after").len(), 0);
        Ok(())
    };
    control_plane.with_namespace("plan-timeout", test).await
}

/// That it happens; how fast is measured by `make bench`.
///
/// Covers EC-1, SC-002, SC-004, SC-005.
#[tokio::test]
async fn a_run_begins_is_recorded_and_goes_on_after_a_restart() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = t.start_operator().await?;
        let names = ["first", "second"];
        for name in names {
            t.stand_in.script(&format!("/{name}"), [Answer::ok().held()]);
        }
        let calls = names.map(|name| post(name, &t.stand_in.url(&format!("/{name}"))));
        apply_plan(t, "shop", &calls).await?;

        create(t, &execution("run", "shop")).await?;
        t.stand_in.wait_for("/first", 1).await?;

        t.stand_in.release("/first");
        execution_where(t, "run", "the result", |run| {
            (phases(run) == "first Succeeded, second Running").then_some(())
        })
        .await?;

        t.stand_in.wait_for("/second", 1).await?;
        operator.kill9().await?;
        operator.restart().await?;
        t.stand_in.wait_for("/second", 2).await?;
        t.stand_in.release("/second");
        execution_until(t, "run", "Succeeded").await?;
        Ok(())
    };
    control_plane.with_namespace("goes-on", test).await
}
