//! kill -9 and SIGSTOP between the steps of a trigger: it makes exactly one execution.

use anyhow::{Context, ensure};
use drplan_testkit::{OperatorLaunch, TestNamespace};
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::e2e_trigger::{answered, start_operator, trigger, triggered};
use crate::fixtures::{
    annotate, apply_plan, create, event, execution, execution_until, execution_where, executions, ours,
    plans, post, released, text,
};
use crate::shared;

/// One life after another of the operator: each is told where to die, then one lives.
const CASES: &[&[&str]] = &[
    &["before-trigger-accepted"],
    &["after-trigger-accepted"],
    &["after-trigger-created"],
    &["after-trigger-taken-off"],
    &["before-trigger-accepted", "after-trigger-accepted"],
    &["after-trigger-accepted", "after-trigger-created"],
    &[
        "after-trigger-accepted",
        "after-trigger-created",
        "after-trigger-created",
        "after-trigger-taken-off",
    ],
];

fn with_fault(t: &TestNamespace, fault: &str) -> anyhow::Result<OperatorLaunch> {
    let launch = t.operator_launch()?.arg("--trigger-annotations");
    Ok(launch.env("DRPLAN_FAULT", fault))
}

/// Lets one operator after another die at `faults`.
async fn die_at(t: &TestNamespace, faults: &[&str]) -> anyhow::Result<()> {
    for fault in faults {
        let fault = format!("{fault}=kill");
        let operator = t.launch_operator(with_fault(t, &fault)?).await?;
        let code = operator
            .ended()
            .await
            .with_context(|| format!("it does not pass {fault}"))?;
        ensure!(code == 128 + 9, "it ends with {code} instead of dying at {fault}");
    }
    Ok(())
}

/// The one execution that triggers have made, by what there is and by what was ever created.
async fn the_one(t: &TestNamespace) -> anyhow::Result<Value> {
    let mut made = triggered(t).await?;
    ensure!(made.len() == 1, "{} executions were made: {made:?}", made.len());
    let created = t
        .audit()
        .user(&format!("operator:{}", t.name))
        .resource("drplanexecutions")
        .subresource("")
        .verb("create")
        .code(201)
        .wait_for(1)
        .await?;
    ensure!(created.len() == 1, "{} executions were created", created.len());
    Ok(made.remove(0))
}

#[tokio::test]
async fn killed_between_the_steps_of_a_trigger_it_still_makes_one_execution() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    for (number, faults) in CASES.iter().enumerate() {
        let test = async |t: &TestNamespace| {
            apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
            trigger(t, "shop", "execute").await?;
            die_at(t, faults).await?;
            start_operator(t).await?;
            answered(t, "shop").await?;
            let made = the_one(t).await?;
            let name = text(&made, "/metadata/name");
            execution_until(t, name, "Succeeded").await?;
            released(t, name).await?;
            the_one(t).await?;
            ensure!(t.stand_in.requests("/call").len() == 1, "{:?}", t.stand_in.all());
            Ok(())
        };
        let outcome = control_plane
            .with_namespace(&format!("trigger-killed-{number}"), test)
            .await;
        outcome.with_context(|| format!("killed at {}", faults.join(" then ")))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_revert_that_was_accepted_keeps_its_target() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
        let first = start_operator(t).await?;
        create(t, &execution("one", "shop")).await?;
        execution_until(t, "one", "Succeeded").await?;
        released(t, "one").await?;
        first.kill9().await?;
        trigger(t, "shop", "revert").await?;
        die_at(t, &["after-trigger-accepted"]).await?;
        // Somebody runs the plan before the Revert is there.
        let dies = with_fault(t, "after-trigger-created=kill")?;
        create(t, &execution("two", "shop")).await?;
        let operator = t.launch_operator(dies).await?;
        ensure!(operator.ended().await? == 128 + 9, "it dies");
        start_operator(t).await?;
        execution_where(t, "two", "an end", |run| {
            run["status"]["completionTime"].as_str().map(drop)
        })
        .await?;
        answered(t, "shop").await?;
        let mut made = triggered(t).await?;
        ensure!(made.len() == 1, "{made:?}");
        let made = made.remove(0);
        let expected = json!({"planRef": "shop", "operationType": "Revert", "revertExecutionRef": "one"});
        ensure!(made["spec"] == expected, "{made}");
        Ok(())
    };
    control_plane.with_namespace("trigger-target", test).await
}

#[tokio::test]
async fn a_process_that_goes_on_where_it_was_stopped_repeats_nothing() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    for fault in [
        "before-trigger-accepted",
        "after-trigger-accepted",
        "after-trigger-created",
    ] {
        let test = async |t: &TestNamespace| {
            apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
            trigger(t, "shop", "execute").await?;
            let stopped = t
                .launch_operator(with_fault(t, &format!("{fault}=stop"))?)
                .await?;
            stopped.stopped().await?;
            let other = start_operator(t).await?;
            answered(t, "shop").await?;
            let name = text(&the_one(t).await?, "/metadata/name").to_owned();
            execution_until(t, &name, "Succeeded").await?;
            released(t, &name).await?;
            other.kill9().await?;
            stopped.cont()?;
            stopped.ready().await?;
            // It has answered whatever it stopped at.
            trigger(t, "shop", "dance").await?;
            event(t, "shop", "UnknownTrigger").await?;
            the_one(t).await?;
            ensure!(t.stand_in.requests("/call").len() == 1, "{:?}", t.stand_in.all());
            Ok(())
        };
        let outcome = control_plane.with_namespace("trigger-stopped", test).await;
        outcome.with_context(|| format!("stopped at {fault}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_second_trigger_beside_an_acceptance_is_refused() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    for fault in ["after-trigger-accepted", "after-trigger-created"] {
        let test = async |t: &TestNamespace| {
            apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
            trigger(t, "shop", "execute").await?;
            die_at(t, &[fault]).await?;
            trigger(t, "shop", "execute").await?;
            start_operator(t).await?;
            answered(t, "shop").await?;
            let name = text(&the_one(t).await?, "/metadata/name").to_owned();
            let message = event(t, "shop", "TriggerRefused").await?;
            ensure!(message.ends_with(&name), "{message}");
            execution_until(t, &name, "Succeeded").await?;
            the_one(t).await?;
            ensure!(t.stand_in.requests("/call").len() == 1, "{:?}", t.stand_in.all());
            Ok(())
        };
        let outcome = control_plane.with_namespace("trigger-twice", test).await;
        outcome.with_context(|| format!("killed at {fault}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn cancel_after_an_acceptance_ends_its_execution_before_it_begins() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    for fault in ["after-trigger-accepted", "after-trigger-created"] {
        let test = async |t: &TestNamespace| {
            apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
            trigger(t, "shop", "execute").await?;
            die_at(t, &[fault]).await?;
            trigger(t, "shop", "cancel").await?;
            start_operator(t).await?;
            answered(t, "shop").await?;
            let name = text(&the_one(t).await?, "/metadata/name").to_owned();
            execution_until(t, &name, "Cancelled").await?;
            ensure!(t.stand_in.all().is_empty(), "{:?}", t.stand_in.all());
            Ok(())
        };
        let outcome = control_plane.with_namespace("trigger-cancelled", test).await;
        outcome.with_context(|| format!("killed at {fault}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn an_operator_without_the_flag_drops_what_one_with_it_accepted() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
        trigger(t, "shop", "execute").await?;
        die_at(t, &["after-trigger-accepted"]).await?;
        let plan = plans(t).get("shop").await?;
        let accepted = plan.metadata.annotations.unwrap_or_default();
        let accepted = accepted
            .get(&ours("trigger-accepted"))
            .cloned()
            .unwrap_or_default();
        ensure!(accepted.starts_with("Execute/shop-2"), "{accepted}");
        t.start_operator().await?;
        answered(t, "shop").await?;
        let message = event(t, "shop", "TriggerRemoved").await?;
        ensure!(
            message.contains("planRef: shop, operationType: Execute"),
            "{message}"
        );
        let left = executions(t).list(&ListParams::default()).await?.items;
        ensure!(left.is_empty(), "{left:?}");
        annotate(&plans(t), "shop", &ours("trigger"), Some("execute")).await?;
        answered(t, "shop").await
    };
    control_plane.with_namespace("trigger-flag", test).await
}
