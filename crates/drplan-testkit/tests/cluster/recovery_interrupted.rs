//! What was under way when the operator died, where the author or somebody else wants something else than a repeat.

use drplan_testkit::{Answer, TestNamespace};
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use serde_json::Value;

use crate::fixtures::{
    Action, action_of, annotate, apply_plan, create, events, execution, execution_until, execution_where,
    executions, get, job, ours, phases, post, released, text,
};
use crate::shared;

/// Applies a plan of this action and a call after it, and starts it with an operator that dies at this point.
async fn interrupt(t: &TestNamespace, name: &str, action: Action, point: &str) -> anyhow::Result<()> {
    apply_plan(t, name, &[action, post("next", &t.stand_in.url("/next"))]).await?;
    let fault = format!("{point}=kill");
    let operator = t
        .launch_operator(t.operator_launch()?.env("DRPLAN_FAULT", fault))
        .await?;
    create(t, &execution(name, name)).await?;
    assert_eq!(operator.ended().await?, 128 + 9);
    Ok(())
}

fn work_of<'a>(execution: &'a Value, plan: &str) -> &'a Value {
    action_of(execution, &format!("main/{plan}[0]/work"))
}

#[tokio::test]
async fn a_call_that_must_not_be_repeated_fails_and_a_harmless_repeat_is_not_told_of() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let once = post("work", &t.stand_in.url("/once")).doing("onInterrupted", "Fail".into());
        interrupt(t, "once", once, "after-effect").await?;
        t.start_operator().await?;
        let failed = execution_until(t, "once", "Failed").await?;
        assert_eq!(phases(&failed), "work Failed, next Skipped");
        let message = text(work_of(&failed, "once"), "/message");
        assert!(
            message.starts_with("OutcomeUnknown") && message.contains("onInterrupted: Fail"),
            "{message}"
        );
        assert_eq!(t.stand_in.requests("/once").len(), 1);
        Ok(())
    };
    control_plane.with_namespace("interrupted-once", test).await?;
    let test = async |t: &TestNamespace| {
        interrupt(t, "read", get("work", &t.stand_in.url("/read")), "after-effect").await?;
        t.start_operator().await?;
        execution_until(t, "read", "Succeeded").await?;
        released(t, "read").await?;
        let counts = t.stand_in.count_by_key("/read");
        assert_eq!(counts.values().copied().collect::<Vec<_>>(), [2], "{counts:?}");
        let told = events(t, "read").await?;
        assert!(
            !told.iter().any(|event| event.starts_with("ActionRepeated")),
            "{told:?}"
        );
        Ok(())
    };
    control_plane.with_namespace("interrupted-read", test).await
}

#[tokio::test]
async fn a_retry_is_waited_for_across_a_restart_and_sent_once() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.stand_in.script("/work", [Answer::status(503), Answer::ok()]);
        // Its result, with the intent and the time of the next attempt, is the last that this one writes.
        let work = post("work", &t.stand_in.url("/work")).retried(3, "2s");
        interrupt(t, "retry", work, "after-result").await?;
        t.start_operator().await?;
        let done = execution_until(t, "retry", "Succeeded").await?;
        assert_eq!(work_of(&done, "retry")["attempts"], 2);
        let requests = t.stand_in.requests("/work");
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].idempotency_key(), requests[1].idempotency_key());
        let waited = requests[1].arrived.duration_since(requests[0].arrived);
        assert!(
            waited.as_millis() >= 2000,
            "the second attempt came after {waited}"
        );
        Ok(())
    };
    control_plane.with_namespace("interrupted-retry", test).await
}

#[tokio::test]
async fn cancelled_while_nobody_ran_it_a_run_sends_nothing_again() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    for (name, point, work_ends, message, jobs) in [
        ("unsent", "before-effect", "Failed", "never created", 0),
        ("created", "after-effect", "Succeeded", "completed", 1),
        ("recorded", "after-result", "Succeeded", "completed", 1),
    ] {
        let test = async |t: &TestNamespace| {
            interrupt(t, name, job("work"), point).await?;
            annotate(&executions(t), name, &ours("cancel"), Some("true")).await?;
            t.start_operator().await?;
            let ended = execution_until(t, name, "Cancelled").await?;
            released(t, name).await?;
            assert_eq!(
                phases(&ended),
                format!("work {work_ends}, next Skipped"),
                "{name}"
            );
            let told = text(work_of(&ended, name), "/message");
            assert!(told.contains(message), "{name}: {told}");
            assert_eq!(
                t.api::<Job>().list(&ListParams::default()).await?.items.len(),
                jobs,
                "{name}"
            );
            assert_eq!(t.stand_in.all().len(), 0);
            Ok(())
        };
        control_plane.with_namespace("interrupted-job", test).await?;
    }
    let test = async |t: &TestNamespace| {
        interrupt(t, "call", post("work", &t.stand_in.url("/work")), "after-effect").await?;
        annotate(&executions(t), "call", &ours("cancel"), Some("true")).await?;
        t.start_operator().await?;
        let ended = execution_until(t, "call", "Cancelled").await?;
        let message = text(work_of(&ended, "call"), "/message");
        assert!(message.starts_with("OutcomeUnknown"), "{message}");
        execution_where(t, "call", "that the command is answered", |seen| {
            seen["metadata"]["annotations"]
                .get(ours("cancel"))
                .is_none()
                .then_some(())
        })
        .await?;
        let counts = ["/work", "/next"].map(|path| t.stand_in.requests(path).len());
        assert_eq!(counts, [1, 0]);
        Ok(())
    };
    control_plane.with_namespace("interrupted-call", test).await
}
