//! The reconcile interval: what a watch has missed is found by the re-list.

use std::sync::Arc;

use drplan_testkit::{Answer, OperatorProcess, TestNamespace, object_until};
use kube::api::DeleteParams;

use crate::fixtures::{
    annotate, apply, apply_plan, create, execution, execution_until, executions, our_api, ours, plan, plans,
    post, text, workflow,
};
use crate::shared;

async fn deaf(t: &TestNamespace, fault: &str) -> anyhow::Result<Arc<OperatorProcess>> {
    let launch = t
        .operator_launch()?
        .arg("--reconcile-interval=2s")
        .env("DRPLAN_FAULT", fault);
    let operator = t.launch_operator(launch).await?;
    operator.ready().await?;
    Ok(operator)
}

/// Waits until the operator has missed this many events.
async fn missed(operator: &OperatorProcess, count: usize) -> anyhow::Result<()> {
    let missed = |operator: &OperatorProcess| {
        let lines = operator.log().unwrap_or_default();
        lines
            .iter()
            .filter(|line| text(line, "/message").contains("a watch event is dropped"))
            .count()
    };
    operator
        .logged("the dropped events", |_| {
            (missed(operator) >= count).then_some(())
        })
        .await
}

async fn plan_until(t: &TestNamespace, name: &str, phase: &str) -> anyhow::Result<()> {
    object_until(&plans(t), name, &format!("phase {phase}"), |plan| {
        (text(&plan?.data, "/status/phase") == phase).then_some(())
    })
    .await
}

#[tokio::test]
async fn an_execution_whose_creation_was_missed_runs() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = deaf(t, "drplanexecutions#1=swallow").await?;
        apply_plan(t, "shop", &[post("a", &t.stand_in.url("/a"))]).await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        missed(&operator, 1).await?;
        assert_eq!(t.stand_in.requests("/a").len(), 1);
        Ok(())
    };
    control_plane.with_namespace("missed-run", test).await
}

#[tokio::test]
async fn a_run_of_which_every_event_is_missed_is_cancelled_and_released() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let all: Vec<String> = (1..200)
            .map(|number| format!("drplanexecutions#{number}=swallow"))
            .collect();
        let operator = deaf(t, &all.join(",")).await?;
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
        annotate(&executions(t), "run", &ours("cancel"), Some("true")).await?;
        crate::fixtures::execution_where(t, "run", "the cancellation", |run| {
            run["status"]["cancellation"].is_object().then_some(())
        })
        .await?;
        t.stand_in.release("/slow");
        execution_until(t, "run", "Cancelled").await?;
        crate::fixtures::released(t, "run").await?;
        missed(&operator, 3).await?;
        // An end is entered without the watch, and the next run begins.
        create(t, &execution("next", "shop")).await?;
        t.stand_in.wait_for("/slow", 2).await?;
        t.stand_in.release("/slow");
        execution_until(t, "next", "Succeeded").await?;
        Ok(())
    };
    control_plane.with_namespace("missed-all", test).await
}

#[tokio::test]
async fn a_plan_whose_creation_was_missed_is_judged() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = deaf(t, "drplans#1=swallow").await?;
        apply(t, &workflow("flow").action(post("a", &t.stand_in.url("/a")))).await?;
        apply(t, &plan("shop").stage("main", &["flow"])).await?;
        missed(&operator, 1).await?;
        plan_until(t, "shop", "Ready").await
    };
    control_plane.with_namespace("missed-plan", test).await
}

#[tokio::test]
async fn a_workflow_whose_creation_or_deletion_was_missed_counts_for_its_plans() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        // The creation; then what the operator itself writes is seen, and the deletion is not.
        let operator = deaf(t, "drworkflows#1=swallow,drworkflows#3=swallow").await?;
        apply(t, &plan("shop").stage("main", &["flow"])).await?;
        plan_until(t, "shop", "Invalid").await?;
        apply(t, &workflow("flow").action(post("a", &t.stand_in.url("/a")))).await?;
        missed(&operator, 1).await?;
        plan_until(t, "shop", "Ready").await?;
        let workflows = our_api(t, "DRWorkflow");
        object_until(&workflows, "flow", "phase Ready", |flow| {
            (text(&flow?.data, "/status/phase") == "Ready").then_some(())
        })
        .await?;
        workflows.delete("flow", &DeleteParams::default()).await?;
        missed(&operator, 2).await?;
        plan_until(t, "shop", "Invalid").await
    };
    control_plane.with_namespace("missed-workflow", test).await
}
