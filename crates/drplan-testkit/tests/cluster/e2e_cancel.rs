//! Cancellation, and the other commands by annotation.

use std::sync::Arc;

use drplan_testkit::{Answer, OperatorProcess, Outcome, TestNamespace, object_until};
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};

use crate::fixtures::{
    Action, Manifest, action_of, annotate, apply_plan, create, event, events, execution, execution_until,
    execution_where, executions, job, ours, phases, plans, post, released, second_attempt, text, told_events,
};
use crate::shared;

/// Starts an operator and a run of these actions and one more behind them, `after`.
async fn run_of(t: &TestNamespace, action: Action) -> anyhow::Result<Arc<OperatorProcess>> {
    let operator = t.start_operator().await?;
    apply_plan(t, "shop", &[action, post("after", &t.stand_in.url("/after"))]).await?;
    create(t, &execution("run", "shop")).await?;
    Ok(operator)
}

async fn cancel(t: &TestNamespace, name: &str, value: &str) -> anyhow::Result<()> {
    annotate(&executions(t), name, &ours("cancel"), Some(value)).await
}

fn is_cancelling(run: &Value) -> bool {
    let conditions = run["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|one| one["type"] == "Cancelling" && one["status"] == "True")
}

/// Waits until the object has no such annotation.
async fn taken_off(api: &Api<DynamicObject>, name: &str, annotation: &str) -> anyhow::Result<()> {
    let annotation = ours(annotation);
    object_until(api, name, "the annotation is off", |object| {
        let annotations = object?.metadata.annotations.clone().unwrap_or_default();
        (!annotations.contains_key(&annotation)).then_some(())
    })
    .await
}

/// Waits for the cancelled end and looks at what is always true of it.
async fn cancelled(t: &TestNamespace, expected: &str) -> anyhow::Result<Value> {
    let end = execution_until(t, "run", "Cancelled").await?;
    assert_eq!(phases(&end), expected);
    assert_eq!(
        text(&end, "/status/message"),
        "Execution cancelled by unknown user"
    );
    assert_eq!(t.stand_in.requests("/after").len(), 0);
    let (run, plan) = released(t, "run").await?;
    assert!(run["metadata"]["annotations"][ours("cancel")].is_null(), "{run}");
    assert_eq!(text(&plan, "/status/executionHistory/0/phase"), "Cancelled");
    assert_eq!(text(&plan, "/status/phase"), "Ready");
    event(t, "run", "ExecutionCancelled").await?;
    event(t, "run", "CancelRequested").await?;
    // Whatever was told before this is there by now.
    annotate(&executions(t), "run", &ours("resume"), Some("true")).await?;
    event(t, "run", "NothingToResume").await?;
    let told = told_events(t, "run").await?;
    assert!(
        told.contains(&"Normal ExecutionCancelled: Execution cancelled by unknown user".to_owned()),
        "{told:#?}"
    );
    assert!(
        !told.iter().any(|event| event.contains("NothingToCancel")),
        "{told:#?}"
    );
    Ok(end)
}

/// Covers US13.1, US13.2, US13.3, FR-037, FR-039, FR-040, FR-041.
#[tokio::test]
async fn cancel_during_a_call_waits_for_its_real_result_and_skips_the_rest_at_once() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.stand_in.script("/slow", [Answer::ok().held()]);
        run_of(t, post("slow", &t.stand_in.url("/slow"))).await?;
        t.stand_in.wait_for("/slow", 1).await?;
        cancel(t, "run", "true").await?;
        // In the very write that records the cancellation.
        let seen = execution_where(t, "run", "Cancelling", |run| {
            is_cancelling(run).then(|| run.clone())
        })
        .await?;
        assert_eq!(phases(&seen), "slow Running, after Skipped");
        assert_eq!(text(&seen, "/status/phase"), "Running");
        assert_eq!(
            text(&seen, "/status/message"),
            "cancelling: waiting for main/shop[0]/slow"
        );
        taken_off(&executions(t), "run", "cancel").await?;
        let plan = plans(t).get("shop").await?;
        assert_eq!(text(&plan.data, "/status/currentExecution/name"), "run");
        t.stand_in.release("/slow");
        let end = cancelled(t, "slow Succeeded, after Skipped").await?;
        assert_eq!(action_of(&end, "main/shop[0]/slow")["outputs"]["statusCode"], 200);
        let stage = &end["status"]["stageStatuses"][0];
        assert_eq!(
            (text(stage, "/phase"), text(stage, "/message")),
            ("Failed", "cancelled")
        );
        // Nothing is left of it.
        create(t, &execution("next", "shop")).await?;
        t.stand_in.wait_for("/slow", 2).await?;
        t.stand_in.release("/slow");
        execution_until(t, "next", "Succeeded").await?;
        Ok(())
    };
    control_plane.with_namespace("cancel-call", test).await
}

#[tokio::test]
async fn cancel_now_during_a_call_drops_it_as_of_unknown_outcome() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.stand_in.script("/slow", [Answer::ok().held()]);
        run_of(t, post("slow", &t.stand_in.url("/slow"))).await?;
        t.stand_in.wait_for("/slow", 1).await?;
        // A person who waited, and then does not any more.
        cancel(t, "run", "true").await?;
        execution_where(t, "run", "Cancelling", |run| is_cancelling(run).then_some(())).await?;
        taken_off(&executions(t), "run", "cancel").await?;
        cancel(t, "run", "now").await?;
        let end = cancelled(t, "slow Failed, after Skipped").await?;
        let message = text(action_of(&end, "main/shop[0]/slow"), "/message");
        assert!(message.starts_with("OutcomeUnknown: "), "{message}");
        let left = |all: &[drplan_testkit::Recorded]| (all[0].outcome == Outcome::ClientGone).then_some(());
        t.stand_in.wait_until("the call's end", left).await
    };
    control_plane.with_namespace("cancel-call-now", test).await
}

/// Covers US13.2, FR-039.
#[tokio::test]
async fn cancel_during_a_job_waits_for_its_end() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        run_of(t, job("work").told("seconds", "3")).await?;
        execution_where(t, "run", "a Job", |run| {
            action_of(run, "main/shop[0]/work")["outputs"]["jobRef"]["uid"]
                .as_str()
                .map(drop)
        })
        .await?;
        cancel(t, "run", "true").await?;
        let end = cancelled(t, "work Succeeded, after Skipped").await?;
        assert_eq!(action_of(&end, "main/shop[0]/work")["outputs"]["exitCode"], 0);
        Ok(())
    };
    control_plane.with_namespace("cancel-job", test).await
}

#[tokio::test]
async fn cancel_now_during_a_job_deletes_it() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        run_of(t, job("work").told("hang", "true")).await?;
        let name = execution_where(t, "run", "a Job", |run| {
            let job = &action_of(run, "main/shop[0]/work")["outputs"]["jobRef"];
            job["uid"].as_str()?;
            Some(text(job, "/name").to_owned())
        })
        .await?;
        cancel(t, "run", "now").await?;
        cancelled(t, "work Failed, after Skipped").await?;
        object_until(&t.api::<Job>(), &name, "is gone", |job| {
            job.is_none().then_some(())
        })
        .await
    };
    control_plane.with_namespace("cancel-job-now", test).await
}

#[tokio::test]
async fn cancel_while_waiting_for_a_retry_ends_the_action_with_its_last_error() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    for value in ["true", "now"] {
        let test = async |t: &TestNamespace| {
            t.stand_in.script("/down", [Answer::status(503)]);
            run_of(t, post("down", &t.stand_in.url("/down")).retried(5, "4m")).await?;
            second_attempt(t, "run", "main/shop[0]/down").await?;
            cancel(t, "run", value).await?;
            let end = cancelled(t, "down Failed, after Skipped").await?;
            let message = text(action_of(&end, "main/shop[0]/down"), "/message");
            assert!(message.contains("503"), "{message}");
            assert_eq!(t.stand_in.requests("/down").len(), 1);
            Ok(())
        };
        control_plane.with_namespace("cancel-retry", test).await?;
    }
    Ok(())
}

#[tokio::test]
async fn cancel_of_what_waits_for_a_place_ends_it_at_once() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let launch = t.operator_launch()?.arg("--max-running=1");
        t.launch_operator(launch).await?.ready().await?;
        t.stand_in.script("/slow", [Answer::ok().held()]);
        for name in ["first", "second", "third"] {
            apply_plan(t, name, &[post("slow", &t.stand_in.url("/slow"))]).await?;
        }
        create(t, &execution("first", "first")).await?;
        t.stand_in.wait_for("/slow", 1).await?;
        for (name, value) in [("second", "true"), ("third", "now")] {
            create(t, &execution(name, name)).await?;
            execution_where(t, name, "that it waits", |run| {
                let says = text(run, "/status/message").contains("--max-running");
                (says && text(run, "/status/phase") == "Pending").then_some(())
            })
            .await?;
            cancel(t, name, value).await?;
            let end = execution_until(t, name, "Cancelled").await?;
            assert_eq!(
                text(&end, "/status/message"),
                "Execution cancelled by unknown user"
            );
            let (_, plan) = released(t, name).await?;
            assert!(plan["status"]["executionHistory"].is_null(), "{plan}");
            taken_off(&executions(t), name, "cancel").await?;
            assert_eq!(
                event(t, name, "ExecutionCancelled").await?,
                "Execution cancelled by unknown user"
            );
        }
        t.stand_in.release("/slow");
        execution_until(t, "first", "Succeeded").await?;
        assert_eq!(t.stand_in.requests("/slow").len(), 1);
        Ok(())
    };
    control_plane.with_namespace("cancel-pending", test).await
}

/// Covers US13.5, FR-038.
#[tokio::test]
async fn cancel_through_the_plan_reaches_the_run_that_holds_its_lock_and_no_later_one() -> anyhow::Result<()>
{
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.stand_in.script("/slow", [Answer::ok().held()]);
        run_of(t, post("slow", &t.stand_in.url("/slow"))).await?;
        t.stand_in.wait_for("/slow", 1).await?;
        annotate(&plans(t), "shop", &ours("trigger"), Some("cancel")).await?;
        execution_where(t, "run", "Cancelling", |run| is_cancelling(run).then_some(())).await?;
        taken_off(&plans(t), "shop", "trigger").await?;
        t.stand_in.release("/slow");
        cancelled(t, "slow Succeeded, after Skipped").await?;

        annotate(&plans(t), "shop", &ours("trigger"), Some("cancel")).await?;
        event(t, "shop", "NothingToCancel").await?;
        released(t, "run").await?;
        annotate(&executions(t), "run", &ours("cancel"), Some("true")).await?;
        event(t, "run", "NothingToCancel").await?;
        taken_off(&executions(t), "run", "cancel").await?;
        taken_off(&plans(t), "shop", "trigger").await?;
        create(t, &execution("next", "shop")).await?;
        t.stand_in.wait_for("/slow", 2).await?;
        t.stand_in.release("/slow");
        execution_until(t, "next", "Succeeded").await?;
        Ok(())
    };
    control_plane.with_namespace("cancel-plan", test).await
}

/// Covers US13.4, FR-042.
#[tokio::test]
async fn commands_without_effect_are_told_and_taken_off() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.stand_in.script("/slow", [Answer::ok().held()]);
        run_of(t, post("slow", &t.stand_in.url("/slow"))).await?;
        t.stand_in.wait_for("/slow", 1).await?;
        annotate(&executions(t), "run", &ours("resume"), Some("true")).await?;
        event(t, "run", "NothingToResume").await?;
        taken_off(&executions(t), "run", "resume").await?;
        t.stand_in.release("/slow");
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        for (command, reason) in [("cancel", "NothingToCancel"), ("resume", "NothingToResume")] {
            annotate(&executions(t), "run", &ours(command), Some("true")).await?;
            taken_off(&executions(t), "run", command).await?;
            event(t, "run", reason).await?;
        }
        let end = execution_until(t, "run", "Succeeded").await?;
        assert_eq!(phases(&end), "slow Succeeded, after Succeeded");
        Ok(())
    };
    control_plane.with_namespace("nothing-to-do", test).await
}

/// Covers US10.2, US11.2, FR-035.
#[tokio::test]
async fn a_trigger_that_was_removed_yields_the_manifest_to_create_instead() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
        annotate(&plans(t), "shop", &ours("trigger"), Some("execute")).await?;
        let message = event(t, "shop", "TriggerRemoved").await?;
        assert!(
            message.contains("create this instead, with kubectl create -f -: {"),
            "{message}"
        );
        taken_off(&plans(t), "shop", "trigger").await?;
        assert_eq!(executions(t).list(&ListParams::default()).await?.items.len(), 0);
        let manifest = &message[message.find('{').expect("a manifest")..];
        let mut manifest: Value = serde_saphyr::from_str(manifest)?;
        manifest["metadata"]["name"] = "run".into();
        create(t, &Manifest(manifest)).await?;
        execution_until(t, "run", "Succeeded").await?;

        annotate(&plans(t), "shop", &ours("trigger"), Some("revert")).await?;
        taken_off(&plans(t), "shop", "trigger").await?;
        annotate(&plans(t), "shop", &ours("trigger"), Some("dance")).await?;
        let message = event(t, "shop", "UnknownTrigger").await?;
        assert!(message.contains("dance"), "{message}");
        let told = events(t, "shop").await?;
        let revert = told
            .iter()
            .find(|event| event.contains("trigger=revert"))
            .expect("it is told");
        assert!(
            revert.contains("operationType: Revert, revertExecutionRef: run"),
            "{revert}"
        );
        assert_eq!(executions(t).list(&ListParams::default()).await?.items.len(), 1);
        assert_eq!(json!(t.stand_in.requests("/call").len()), 1);
        Ok(())
    };
    control_plane.with_namespace("triggers", test).await
}

#[tokio::test]
async fn a_command_on_a_plan_never_reaches_a_run_that_begins_after_it() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
        annotate(&plans(t), "shop", &ours("trigger"), Some("cancel")).await?;
        create(t, &execution("run", "shop")).await?;
        t.start_operator().await?;
        execution_until(t, "run", "Succeeded").await?;
        event(t, "shop", "NothingToCancel").await?;
        assert_eq!(t.stand_in.requests("/call").len(), 1);
        Ok(())
    };
    control_plane.with_namespace("command-first", test).await
}

#[tokio::test]
async fn an_execution_that_is_created_cancelled_never_begins() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
        create(t, &execution("run", "shop").annotated(&ours("cancel"), "true")).await?;
        let end = execution_until(t, "run", "Cancelled").await?;
        assert_eq!(text(&end, "/metadata/labels/drplan"), "shop");
        taken_off(&executions(t), "run", "cancel").await?;
        let (_, plan) = released(t, "run").await?;
        assert!(plan["status"]["executionHistory"].is_null(), "{plan}");
        assert_eq!(t.stand_in.all().len(), 0);
        Ok(())
    };
    control_plane.with_namespace("born-cancelled", test).await
}
