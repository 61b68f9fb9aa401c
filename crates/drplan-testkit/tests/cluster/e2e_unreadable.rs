//! Objects of our kinds that cannot be read, stored behind the API server's back.

use drplan_testkit::{Answer, TestNamespace, etcd_key, object_until};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::fixtures::{
    apply_plan, create, event, execution, execution_until, execution_where, executions, our_api, plans, post,
    released, text,
};
use crate::shared;

/// Stores an object with this spec and status.
async fn store(t: &TestNamespace, kind: &str, name: &str, spec: Value, status: Value) -> anyhow::Result<()> {
    let plural = format!("{}s", kind.to_lowercase());
    // Unique enough: a namespace has a name of its own, and so has each of its objects.
    let uid = format!("unreadable-{}-{plural}-{name}", t.name);
    let object = json!({
        "apiVersion": "dr.bkbcs.tencent.com/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name, "namespace": t.name, "uid": uid, "generation": 1,
            "creationTimestamp": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        },
        "spec": spec,
        "status": status,
    });
    let key = etcd_key("dr.bkbcs.tencent.com", &plural, Some(&t.name), name);
    t.control_plane.etcd_put(&key, &object).await
}

/// One of each kind that cannot be read and has not begun.
async fn store_each(t: &TestNamespace, suffix: &str) -> anyhow::Result<()> {
    let name = |what: &str| format!("{what}-{suffix}");
    let request = json!({"planRef": "shop", "operationType": "Execute"});
    let pending = json!({"phase": "Pending", "stageStatuses": 7});
    store(t, "DRWorkflow", &name("flow"), json!({"actions": "x"}), json!({})).await?;
    store(t, "DRPlan", &name("plan"), json!({"stages": 7}), json!({})).await?;
    store(
        t,
        "DRPlanExecution",
        &name("spec"),
        json!({"planRef": "shop", "params": "x"}),
        json!({}),
    )
    .await?;
    store(t, "DRPlanExecution", &name("text"), json!("x"), json!({})).await?;
    store(t, "DRPlanExecution", &name("status"), request, pending).await?;
    Ok(())
}

async fn judged(t: &TestNamespace, suffix: &str) -> anyhow::Result<()> {
    let name = |what: &str| format!("{what}-{suffix}");
    for (kind, what, path) in [
        ("DRWorkflow", "flow", "spec.actions"),
        ("DRPlan", "plan", "spec.stages"),
    ] {
        object_until(&our_api(t, kind), &name(what), "phase Invalid", |object| {
            let data = &object?.data;
            (text(data, "/status/phase") == "Invalid" && text(data, "/status/message").contains(path))
                .then_some(())
        })
        .await?;
    }
    for (what, path) in [
        ("spec", "spec.params"),
        ("text", "spec"),
        ("status", "status.stageStatuses"),
    ] {
        let ended = execution_until(t, &name(what), "Failed").await?;
        let message = text(&ended, "/status/message");
        assert!(message.contains(path), "{what}: {message}");
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_never_hides_the_rest_and_says_where_it_is_wrong() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        store_each(t, "before").await?;
        apply_plan(t, "shop", &[post("a", &t.stand_in.url("/a"))]).await?;
        t.start_operator().await?;
        create(t, &execution("one", "shop")).await?;
        execution_until(t, "one", "Succeeded").await?;
        judged(t, "before").await?;

        store_each(t, "during").await?;
        judged(t, "during").await?;
        released(t, "one").await?;
        create(t, &execution("two", "shop")).await?;
        execution_until(t, "two", "Succeeded").await?;
        // A plan that cannot be read cannot be run, and says why.
        create(t, &execution("three", "plan-during")).await?;
        let ended = execution_until(t, "three", "Failed").await?;
        assert!(text(&ended, "/status/message").contains("spec.stages"), "{ended}");
        assert_eq!(t.stand_in.requests("/a").len(), 2);
        Ok(())
    };
    control_plane.with_namespace("unreadable", test).await
}

#[tokio::test]
async fn a_started_run_that_cannot_be_read_is_unknown_holds_its_plan_and_goes_when_it_is_deleted()
-> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let request = json!({"planRef": "shop", "operationType": "Execute"});
        for (name, status) in [
            ("list", json!({"phase": "Running", "stageStatuses": 7})),
            ("phase", json!({"phase": 7})),
            ("none", json!("x")),
        ] {
            store(t, "DRPlanExecution", name, request.clone(), status).await?;
        }
        let finalizer = json!({"metadata": {
            "finalizers": ["dr.bkbcs.tencent.com/running"], "labels": {"dr.bkbcs.tencent.com/plan": "shop"},
        }});
        executions(t)
            .patch("list", &PatchParams::default(), &Patch::Merge(finalizer))
            .await?;
        apply_plan(t, "shop", &[post("a", &t.stand_in.url("/a"))]).await?;
        t.start_operator().await?;
        execution_where(t, "list", "Unknown", |run| {
            (text(run, "/status/phase") == "Unknown"
                && text(run, "/status/message").contains("status.stageStatuses"))
            .then_some(())
        })
        .await?;
        // The rest is as it was, for those who look.
        assert_eq!(
            executions(t).get("list").await?.data["status"]["stageStatuses"],
            7
        );
        execution_where(t, "phase", "Unknown", |run| {
            (text(run, "/status/phase") == "Unknown").then_some(())
        })
        .await?;
        event(t, "list", "ExecutionUnknown").await?;
        // Nothing else of that plan begins while nobody knows what it does.
        create(t, &execution("run", "shop")).await?;
        let ended = execution_until(t, "run", "Failed").await?;
        assert_eq!(
            text(&ended, "/status/message"),
            "Plan has an execution in progress: list"
        );

        executions(t).delete("list", &DeleteParams::default()).await?;
        object_until(&executions(t), "list", "is gone", |run| {
            run.is_none().then_some(())
        })
        .await?;
        create(t, &execution("next", "shop")).await?;
        execution_until(t, "next", "Succeeded").await?;
        Ok(())
    };
    control_plane.with_namespace("unreadable-run", test).await
}

#[tokio::test]
async fn a_run_whose_record_is_broken_while_it_runs_is_unknown_and_begins_nothing_more() -> anyhow::Result<()>
{
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = t.start_operator().await?;
        t.stand_in.script("/slow", [Answer::ok().held()]);
        apply_plan(
            t,
            "shop",
            &[
                post("slow", &t.stand_in.url("/slow")),
                post("after", &t.stand_in.url("/after")),
            ],
        )
        .await?;
        create(t, &execution("run", "shop")).await?;
        t.stand_in.wait_for("/slow", 1).await?;
        let key = etcd_key("dr.bkbcs.tencent.com", "drplanexecutions", Some(&t.name), "run");
        let stored = t.control_plane.etcd_get(&key).await?.unwrap_or_default();
        let mut broken: Value = serde_json::from_slice(&stored)?;
        broken["status"]["stageStatuses"] = 7.into();
        t.control_plane.etcd_put(&key, &broken).await?;
        t.stand_in.release("/slow");
        let seen = execution_where(t, "run", "Unknown", |run| {
            (text(run, "/status/phase") == "Unknown").then(|| run.clone())
        })
        .await?;
        assert!(
            text(&seen, "/status/message").contains("status.stageStatuses"),
            "{seen}"
        );
        assert_eq!(t.stand_in.requests("/after").len(), 0);
        // Told once, though looked at again.
        event(t, "run", "ExecutionUnknown").await?;
        create(t, &execution("other", "shop")).await?;
        execution_until(t, "other", "Failed").await?;
        let told = crate::fixtures::events(t, "run").await?;
        assert_eq!(
            told.iter()
                .filter(|event| event.starts_with("ExecutionUnknown"))
                .count(),
            1,
            "{told:#?}"
        );
        // Mended, it is still Unknown, and goes on when told to.
        let mut mended: Value = serde_json::from_slice(&stored)?;
        mended["status"]["phase"] = "Unknown".into();
        t.control_plane.etcd_put(&key, &mended).await?;
        crate::fixtures::annotate(
            &executions(t),
            "run",
            &crate::fixtures::ours("cancel"),
            Some("true"),
        )
        .await?;
        execution_until(t, "run", "Cancelled").await?;
        let (_, plan) = released(t, "run").await?;
        assert_eq!(text(&plan, "/status/executionHistory/0/phase"), "Cancelled");
        assert!(operator.pid().is_ok());
        Ok(())
    };
    control_plane.with_namespace("broken-run", test).await
}

#[tokio::test]
async fn a_plan_whose_status_cannot_be_read_runs_nothing_and_is_left_as_it_is() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        apply_plan(t, "good", &[post("a", &t.stand_in.url("/a"))]).await?;
        let spec = json!({"workflowRef": {"name": "good"}});
        let status = json!({"phase": "Ready", "executionHistory": 7});
        store(t, "DRPlan", "shop", spec, status.clone()).await?;
        t.start_operator().await?;
        create(t, &execution("run", "shop")).await?;
        let ended = execution_until(t, "run", "Failed").await?;
        assert!(
            text(&ended, "/status/message").contains("status.executionHistory"),
            "{ended}"
        );
        create(t, &execution("other", "good")).await?;
        execution_until(t, "other", "Succeeded").await?;
        assert_eq!(plans(t).get("shop").await?.data["status"], status);
        assert_eq!(t.stand_in.requests("/a").len(), 1);
        Ok(())
    };
    control_plane.with_namespace("unreadable-plan", test).await
}
