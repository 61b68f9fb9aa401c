//! Deletion of what runs, of what has run, and of the namespace around it.

use drplan_testkit::{Answer, Outcome, Recorded, TestNamespace, object_until};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;

use crate::fixtures::{
    action_of, apply, apply_plan, create, event, execution, execution_until, execution_where, executions,
    job, phases, plan, plans, post, released, text, workflow,
};
use crate::shared;

#[tokio::test]
async fn a_running_execution_that_is_deleted_is_cancelled_and_goes_when_its_call_has_ended()
-> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
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
        let uid = create(t, &execution("run", "shop"))
            .await?
            .metadata
            .uid
            .unwrap_or_default();
        t.stand_in.wait_for("/slow", 1).await?;
        executions(t).delete("run", &DeleteParams::default()).await?;
        let seen = execution_where(t, "run", "the rest skipped", |run| {
            (phases(run) == "slow Running, after Skipped").then(|| run.clone())
        })
        .await?;
        assert_eq!(text(&seen, "/status/phase"), "Running");
        t.stand_in.release("/slow");
        object_until(&executions(t), "run", "is gone", |run| {
            run.is_none().then_some(())
        })
        .await?;
        let plan = object_until(&plans(t), "shop", "no lock", |plan| {
            let plan = plan?;
            plan.data
                .pointer("/status/currentExecution")
                .is_none()
                .then(|| plan.clone())
        })
        .await?;
        assert_eq!(text(&plan.data, "/status/executionHistory/0/uid"), uid);
        assert_eq!(text(&plan.data, "/status/executionHistory/0/phase"), "Cancelled");
        assert_eq!(
            event(t, "run", "ExecutionCancelled").await?,
            "Execution cancelled by deletion"
        );
        assert_eq!(t.stand_in.requests("/slow")[0].outcome, Outcome::Answered);
        assert_eq!(t.stand_in.requests("/after").len(), 0);
        Ok(())
    };
    control_plane.with_namespace("deleted-run", test).await
}

#[tokio::test]
async fn a_namespace_deleted_mid_run_goes_with_a_hanging_job_and_a_hanging_call() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        // Roles in the namespace would go before the executions.
        let operator = t
            .launch_operator(t.operator_launch()?.rights_everywhere())
            .await?;
        operator.ready().await?;
        t.stand_in.script("/hung", [Answer::ok().held()]);
        apply(
            t,
            &workflow("calls").action(post("hung", &t.stand_in.url("/hung"))),
        )
        .await?;
        apply(t, &workflow("works").action(job("work").told("hang", "true"))).await?;
        let stages =
            plan("shop").stage_with("main", &["calls", "works"], serde_json::json!({"parallel": true}));
        apply(t, &stages).await?;
        apply_plan(
            t,
            "waits",
            &[post("down", "http://127.0.0.1:1/").retried(9, "5m")],
        )
        .await?;
        create(t, &execution("run", "shop")).await?;
        create(t, &execution("waits", "waits")).await?;
        create(t, &execution("missing", "nowhere")).await?;
        t.stand_in.wait_for("/hung", 1).await?;
        execution_where(t, "run", "a Job", |run| {
            action_of(run, "main/works[1]/work")["outputs"]["jobRef"]["uid"]
                .as_str()
                .map(drop)
        })
        .await?;
        let namespaces: Api<Namespace> = Api::all(t.client.clone());
        namespaces.delete(&t.name, &DeleteParams::default()).await?;
        object_until(&namespaces, &t.name, "is gone", |namespace| {
            namespace.is_none().then_some(())
        })
        .await?;
        let left = |all: &[Recorded]| (all[0].outcome == Outcome::ClientGone).then_some(());
        t.stand_in.wait_until("the call's end", left).await
    };
    control_plane.with_namespace("going", test).await
}

#[tokio::test]
async fn a_finished_execution_that_is_deleted_goes_at_once_and_stays_in_the_history() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        apply_plan(t, "shop", &[post("a", &t.stand_in.url("/a"))]).await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        executions(t).delete("run", &DeleteParams::default()).await?;
        object_until(&executions(t), "run", "is gone", |run| {
            run.is_none().then_some(())
        })
        .await?;
        // No Execute that exists has succeeded.
        let plan = object_until(&plans(t), "shop", "phase Ready", |plan| {
            let plan = plan?;
            (text(&plan.data, "/status/phase") == "Ready").then(|| plan.clone())
        })
        .await?;
        assert_eq!(text(&plan.data, "/status/executionHistory/0/name"), "run");
        assert_eq!(text(&plan.data, "/status/executionHistory/0/phase"), "Succeeded");
        assert_eq!(text(&plan.data, "/status/lastSuccessfulExecution/name"), "run");
        Ok(())
    };
    control_plane.with_namespace("deleted-end", test).await
}

#[tokio::test]
async fn an_execution_deleted_while_it_waits_goes_and_leaves_its_place() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.launch_operator(t.operator_launch()?.arg("--max-running=1"))
            .await?
            .ready()
            .await?;
        apply_plan(t, "shop", &[post("a", &t.stand_in.url("/a"))]).await?;
        create(t, &execution("waits", "nowhere")).await?;
        execution_where(t, "waits", "that it waits", |run| {
            text(run, "/status/message").contains("nowhere").then_some(())
        })
        .await?;
        executions(t).delete("waits", &DeleteParams::default()).await?;
        object_until(&executions(t), "waits", "is gone", |run| {
            run.is_none().then_some(())
        })
        .await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        Ok(())
    };
    control_plane.with_namespace("deleted-waiting", test).await
}
