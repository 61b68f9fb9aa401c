//! What an execution and a plan do about things that are not there, not allowed or too large.

use drplan_testkit::{Seen, TestNamespace, eventually, object_until};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject};
use serde_json::{Value, json};

use crate::fixtures::{
    Action, Manifest, annotate, apply, clusternet, config_map, create, event, execution, execution_until,
    execution_where, executions, our_api, plan, plans, post, resource, text, workflow,
};
use crate::shared;

/// Waits until the plan or workflow has this phase and returns its message.
async fn phase_until(api: &Api<DynamicObject>, name: &str, phase: &str) -> anyhow::Result<String> {
    object_until(api, name, &format!("phase {phase}"), |object| {
        let data = &object?.data;
        let is_current = data.pointer("/status/observedGeneration")?.as_i64() == object?.metadata.generation;
        (is_current && text(data, "/status/phase") == phase).then(|| text(data, "/status/message").to_owned())
    })
    .await
}

/// Waits until the execution says that it waits for something with this in its name.
async fn waits_for(t: &TestNamespace, name: &str, what: &str) -> anyhow::Result<()> {
    execution_where(t, name, &format!("that it waits for {what}"), |run| {
        let message = text(run, "/status/message");
        let waits = message.starts_with("waiting: ") && message.contains(what);
        (waits && text(run, "/status/phase") == "Pending").then_some(())
    })
    .await
}

/// Covers FR-022.
#[tokio::test]
async fn an_execution_waits_for_its_plan_and_workflow_and_runs_once_they_are_there() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        // Nothing here is found by the re-list.
        t.launch_operator(t.operator_launch()?.arg("--reconcile-interval=1h"))
            .await?
            .ready()
            .await?;
        create(t, &execution("run", "shop")).await?;
        waits_for(t, "run", "`shop` does not exist").await?;
        apply(t, &plan("shop").stage("main", &["flow"])).await?;
        waits_for(t, "run", "flow").await?;
        let message = phase_until(&plans(t), "shop", "Invalid").await?;
        assert!(
            message.contains("spec.stages[0].workflows[0]") && message.contains("flow"),
            "{message}"
        );
        apply(t, &workflow("flow").action(post("a", &t.stand_in.url("/a")))).await?;
        execution_until(t, "run", "Succeeded").await?;
        assert_eq!(t.stand_in.requests("/a").len(), 1);
        Ok(())
    };
    control_plane.with_namespace("missing", test).await
}

#[tokio::test]
async fn what_does_not_come_within_thirty_seconds_fails_the_execution() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        apply(t, &plan("shop").stage("main", &["nowhere"])).await?;
        create(t, &execution("of-a-plan", "shop")).await?;
        create(t, &execution("of-none", "never")).await?;
        waits_for(t, "of-a-plan", "nowhere").await?;
        waits_for(t, "of-none", "never").await?;
        for (name, missing) in [("of-a-plan", "nowhere"), ("of-none", "never")] {
            let ended = execution_until(t, name, "Failed").await?;
            let message = text(&ended, "/status/message");
            assert!(
                message.starts_with("Missing: ") && message.contains(missing),
                "{message}"
            );
            assert_eq!(event(t, name, "ExecutionFailed").await?, message);
            assert!(ended["metadata"]["labels"]["drplan"].is_string(), "{ended}");
        }
        assert!(plans(t).get("shop").await?.data["status"]["executionHistory"].is_null());
        Ok(())
    };
    control_plane.with_namespace("never-there", test).await
}

/// Covers US4a.2, FR-023c, FR-030.
#[tokio::test]
async fn a_suspended_plan_and_an_invalid_one_refuse_their_executions() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        apply(t, &workflow("flow").action(post("a", &t.stand_in.url("/a")))).await?;
        apply(
            t,
            &plan("asleep")
                .with("suspend", true.into())
                .stage("main", &["flow"]),
        )
        .await?;
        let circle = plan("circle")
            .stage_with("one", &["flow"], json!({"dependsOn": ["two"]}))
            .stage_with("two", &["flow"], json!({"dependsOn": ["one"]}));
        apply(t, &circle).await?;
        for (name, beginning) in [
            ("asleep", "PlanSuspended: plan `asleep` is suspended"),
            ("circle", "PlanInvalid: "),
        ] {
            create(t, &execution(name, name)).await?;
            let ended = execution_until(t, name, "Failed").await?;
            let message = text(&ended, "/status/message");
            assert!(message.starts_with(beginning), "{message}");
            assert!(ended["metadata"]["finalizers"].is_null(), "{ended}");
        }
        let message = phase_until(&plans(t), "circle", "Invalid").await?;
        assert!(message.contains("one") && message.contains("two"), "{message}");
        phase_until(&plans(t), "asleep", "Ready").await?;
        assert_eq!(t.stand_in.all().len(), 0);
        Ok(())
    };
    control_plane.with_namespace("refused", test).await
}

/// Covers US1.1, US1.2, US4.4, FR-022.
#[tokio::test]
async fn a_plan_heals_when_its_workflow_comes_and_is_not_written_without_need() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.launch_operator(t.operator_launch()?.arg("--reconcile-interval=1h"))
            .await?
            .ready()
            .await?;
        let workflows = our_api(t, "DRWorkflow");
        let flow = workflow("flow").action(post("a", &t.stand_in.url("/a")));
        apply(t, &plan("shop").stage("main", &["flow"])).await?;
        phase_until(&plans(t), "shop", "Invalid").await?;
        apply(t, &flow).await?;
        phase_until(&plans(t), "shop", "Ready").await?;
        apply(t, &workflow("flow")).await?;
        let message = phase_until(&workflows, "flow", "Invalid").await?;
        assert!(message.contains("spec.actions"), "{message}");
        phase_until_any(&plans(t), "shop", "Invalid").await?;
        apply(t, &flow).await?;
        phase_until_any(&plans(t), "shop", "Ready").await?;
        workflows.delete("flow", &DeleteParams::default()).await?;
        phase_until_any(&plans(t), "shop", "Invalid").await?;
        apply(t, &flow).await?;
        phase_until_any(&plans(t), "shop", "Ready").await?;
        phase_until(&workflows, "flow", "Ready").await?;

        // What was written so far is in the log by the time that a later request is.
        let audit = t
            .control_plane
            .audit()
            .from_now()
            .namespace(&t.name)
            .name("shop")
            .verb("patch");
        annotate(&plans(t), "shop", "edited.by/test", Some("first")).await?;
        audit.user("testkit:admin").wait_for(1).await?;
        // Seen, judged, and found as it was before.
        let writes = t
            .control_plane
            .audit()
            .from_now()
            .namespace(&t.name)
            .user(&format!("operator:{}", t.name));
        for number in 0..5 {
            annotate(&plans(t), "shop", "edited.by/test", Some(&number.to_string())).await?;
            annotate(&workflows, "flow", "edited.by/test", Some(&number.to_string())).await?;
        }
        apply(t, &plan("witness").stage("main", &["flow"])).await?;
        phase_until(&plans(t), "witness", "Ready").await?;
        writes.clone().name("witness").verb("update").wait_for(1).await?;
        let others: Vec<String> = writes
            .verb("patch")
            .verb("update")
            .verb("create")
            .entries()?
            .into_iter()
            .map(|entry| entry.request_uri)
            .filter(|uri| !uri.contains("/witness"))
            .collect();
        assert_eq!(others, Vec::<String>::new());
        Ok(())
    };
    control_plane.with_namespace("heals", test).await
}

/// [`phase_until`] of a plan whose own spec is not what changed.
async fn phase_until_any(api: &Api<DynamicObject>, name: &str, phase: &str) -> anyhow::Result<()> {
    eventually(&format!("{name} to be {phase}"), async || {
        let object = api.get(name).await?;
        let seen = text(&object.data, "/status/phase").to_owned();
        Ok(Seen::when((seen == phase).then_some(()), || seen))
    })
    .await
}

/// What a webhook would refuse.
///
/// Covers US1.2, US1.3, US2.2, US2.3, US4.1, US4.2, US7.6, US8.6, US9.6, FR-004a, FR-004c, FR-004h,
/// FR-021, FR-023.
#[tokio::test]
async fn mistakes_of_workflows_and_plans_are_told_in_their_status_until_they_are_mended() -> anyhow::Result<()>
{
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let of = |name: &str, action: Action| workflow(name).action(action);
        let unknown = post("call", &t.stand_in.url("/{{ .params.host }}"));
        let (overrides, feeds) = (json!([{"path": "/spec/replicas", "value": 3}]), json!([]));
        let localization = json!({"name": "x", "namespace": "clusternet-a", "overrides": overrides});
        let subscription = json!({"name": "x", "schedulingStrategy": "Replication", "feeds": feeds});
        let rollback = "spec.actions[0].rollback: is missing";
        for (manifest, told) in [
            (of("undeclared", unknown), "parameter `host` is not declared"),
            (
                of(
                    "localization",
                    clusternet("patch", "Localization", "Patch", localization),
                ),
                rollback,
            ),
            (
                of(
                    "subscription",
                    clusternet("patch", "Subscription", "Patch", subscription),
                ),
                rollback,
            ),
            (
                of("resource", resource("patch", "Patch", &config_map("x", "a: b"))),
                rollback,
            ),
        ] {
            let name = text(&manifest.0, "/metadata/name");
            apply(t, &manifest).await?;
            let message = phase_until(&our_api(t, "DRWorkflow"), name, "Invalid").await?;
            assert!(message.contains(told), "{name}: {message}");
        }
        let host = |fields: Value| {
            workflow("undeclared")
                .action(post("call", "http://{{ .params.host }}"))
                .parameter(fields)
        };
        apply(t, &host(json!({"name": "host", "required": true}))).await?;
        phase_until(&our_api(t, "DRWorkflow"), "undeclared", "Ready").await?;

        apply(t, &plan("shop").stage("main", &["undeclared"])).await?;
        let message = phase_until(&plans(t), "shop", "Invalid").await?;
        assert!(message.contains("parameter `host` of workflow"), "{message}");
        let given = json!([{"name": "host", "value": "dr.example.com"}]);
        apply(
            t,
            &plan("shop")
                .stage("main", &["undeclared"])
                .with("globalParams", given),
        )
        .await?;
        phase_until(&plans(t), "shop", "Ready").await?;
        Ok(())
    };
    control_plane.with_namespace("mistakes", test).await
}

#[tokio::test]
async fn limits_are_refused_with_the_figure() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let call = |name: String| post(&name, &t.stand_in.url("/a")).0;
        let calls = |count: usize| {
            (0..count)
                .map(|number| call(format!("a{number}")))
                .collect::<Vec<Value>>()
        };
        let flow = |name: &str, actions: Vec<Value>| workflow(name).with("actions", json!(actions));
        let values = |count: usize| {
            (0..count)
                .map(|number| json!({"name": format!("p{number}")}))
                .collect::<Vec<_>>()
        };
        let long = "x".repeat(64);
        let one = || calls(1);
        let http = |field: &str, value: Value| post("a", &t.stand_in.url("/a")).doing(field, value).0;
        let manifests: Vec<(Manifest, &str)> = vec![
            (flow("actions", calls(201)), "201"),
            (
                flow("parameters", one()).with("parameters", json!(values(101))),
                "101",
            ),
            (
                flow("body", vec![http("body", "x".repeat(64 * 1024 + 1).into())]),
                "65537",
            ),
            (flow("timeout", vec![http("timeout", "25h".into())]), "24h"),
            (flow("action-name", vec![call(long.clone())]), "at most 63"),
            (
                flow("retries", vec![post("a", "http://a").retried(101, "1s").0]),
                "101",
            ),
            (plan("stages").with("stages", stages(51, 1)), "51"),
            (plan("workflows").with("stages", stages(1, 51)), "51"),
            (plan("stage-name").stage(&long, &["good"]), "at most 63"),
            (
                plan("value")
                    .stage("main", &["good"])
                    .with("globalParams", large_value()),
                "8193",
            ),
            (plan(&long).stage("main", &["good"]), "is 64, at most 63"),
            (plan("record").with("stages", stages(50, 50)), "524288"),
        ];
        apply(t, &flow("good", calls(3))).await?;
        apply(t, &plan("good").stage("main", &["good"])).await?;
        for (manifest, figure) in manifests {
            apply(t, &manifest).await?;
            let (kind, name) = (text(&manifest.0, "/kind"), text(&manifest.0, "/metadata/name"));
            let message = phase_until(&our_api(t, kind), name, "Invalid").await?;
            assert!(message.contains(figure), "{name}: {message}");
        }
        phase_until(&plans(t), "good", "Ready").await?;
        create(t, &execution(&long, "good")).await?;
        let ended = execution_until(t, &long, "Failed").await?;
        let message = text(&ended, "/status/message");
        assert!(
            message.starts_with("Invalid: metadata.name: ") && message.contains("64"),
            "{message}"
        );
        create(t, &execution("of-long", &long)).await?;
        let ended = execution_until(t, "of-long", "Failed").await?;
        assert!(
            text(&ended, "/status/message").starts_with("Invalid: spec.planRef: "),
            "{ended}"
        );
        // One character less is a name.
        create(t, &execution(&long[1..], "good")).await?;
        execution_until(t, &long[1..], "Succeeded").await?;
        assert_eq!(
            executions(t).get(&long[1..]).await?.metadata.name.as_deref(),
            Some(&long[1..])
        );
        Ok(())
    };
    control_plane.with_namespace("limits", test).await
}

fn stages(count: usize, workflows: usize) -> Value {
    let used: Vec<Value> = (0..workflows)
        .map(|_| json!({"workflowRef": {"name": "good"}}))
        .collect();
    (0..count)
        .map(|number| json!({"name": format!("s{number}"), "workflows": used}))
        .collect()
}

fn large_value() -> Value {
    json!([{"name": "p", "value": "x".repeat(8 * 1024 + 1)}])
}
