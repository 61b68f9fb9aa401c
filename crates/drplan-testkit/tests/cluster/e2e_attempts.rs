//! Attempts of an action: how they are repeated, how time ends them, and what is told of those that fail.

use drplan_testkit::{Answer, Outcome, TestNamespace};
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use serde_json::json;

use crate::fixtures::{
    action_of, apply_plan, create, event, execution, execution_until, job, post, text, told_events,
};
use crate::shared;

/// Covers US5.2, FR-002, FR-006.
#[tokio::test]
async fn attempts_are_repeated_as_the_policy_says_under_one_key() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let busy = Answer::status(503).header("Retry-After", "1");
        t.stand_in.script("/busy", [busy, Answer::reset(), Answer::ok()]);
        t.stand_in.script("/down", [Answer::status(500)]);
        t.stand_in.script("/gone", [Answer::status(404)]);
        t.stand_in.script("/odd", [Answer::status(409), Answer::ok()]);
        let call = |name: &str| post("call", &t.stand_in.url(&format!("/{name}"))).retried(3, "10ms");
        apply_plan(t, "busy", &[call("busy")]).await?;
        apply_plan(t, "down", &[call("down").retried(1, "1ms")]).await?;
        apply_plan(t, "gone", &[call("gone")]).await?;
        let policy = json!({"limit": 3, "interval": "1ms", "codes": [409]});
        apply_plan(t, "odd", &[call("odd").with("retryPolicy", policy)]).await?;
        for name in ["busy", "down", "gone", "odd"] {
            create(t, &execution(name, name)).await?;
        }

        let done = execution_until(t, "busy", "Succeeded").await?;
        assert_eq!(action_of(&done, "main/busy[0]/call")["attempts"], 3);
        let calls = t.stand_in.requests("/busy");
        assert_eq!(calls.len(), 3);
        assert_eq!(t.stand_in.count_by_key("/busy").len(), 1);
        let key = format!("{}/main/busy[0]/call", text(&done, "/metadata/uid"));
        assert_eq!(calls[0].idempotency_key(), Some(key.as_str()));
        // What the server asked for is a lower bound, whatever the policy's interval.
        let waited = calls[1].arrived.duration_since(calls[0].arrived);
        assert!(waited.as_millis() >= 900, "{waited:?}");
        event(t, "busy", "ExecutionSucceeded").await?;
        let told = told_events(t, "busy").await?;
        let retrying: Vec<&String> = told
            .iter()
            .filter(|event| event.contains(" ActionRetrying: "))
            .collect();
        assert!(
            matches!(&retrying[..], [first, second]
                if first.starts_with("Warning ActionRetrying: Action call retrying (1/3): POST ") && first.contains("503")
                && second.starts_with("Warning ActionRetrying: Action call retrying (2/3): POST ")),
            "{told:#?}"
        );

        let ended = execution_until(t, "down", "Failed").await?;
        assert_eq!(action_of(&ended, "main/down[0]/call")["attempts"], 2);
        assert_eq!(t.stand_in.requests("/down").len(), 2);
        let told = event(t, "down", "ActionFailed").await?;
        assert!(
            told.starts_with("Action call failed: POST ") && told.contains("500"),
            "{told}"
        );

        let ended = execution_until(t, "gone", "Failed").await?;
        assert_eq!(action_of(&ended, "main/gone[0]/call")["attempts"], 1);
        execution_until(t, "odd", "Succeeded").await?;
        assert_eq!(t.stand_in.requests("/odd").len(), 2);
        Ok(())
    };
    control_plane.with_namespace("retries", test).await
}

/// Covers US5.3, US6.3, FR-002, FR-003, FR-006, FR-027.
#[tokio::test]
async fn a_timeout_ends_the_attempt_of_a_call_and_of_a_job() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        t.stand_in.script("/hung", [Answer::ok().held()]);
        apply_plan(
            t,
            "call",
            &[post("call", &t.stand_in.url("/hung")).timeout("200ms")],
        )
        .await?;
        apply_plan(t, "job", &[job("work").told("hang", "true").timeout("1s")]).await?;
        for name in ["call", "job"] {
            create(t, &execution(name, name)).await?;
        }
        let ended = execution_until(t, "call", "Failed").await?;
        let message = text(action_of(&ended, "main/call[0]/call"), "/message");
        assert!(message.contains("no answer within 0.2s"), "{message}");
        t.stand_in
            .wait_until("the call's end", |all| {
                (all[0].outcome == Outcome::ClientGone).then_some(())
            })
            .await?;

        let ended = execution_until(t, "job", "Failed").await?;
        let message = text(action_of(&ended, "main/job[0]/work"), "/message");
        assert!(
            message.contains("did not end in time and was deleted"),
            "{message}"
        );
        let left = t.api::<Job>().list(&ListParams::default()).await?.items;
        assert!(
            left.iter().all(|job| job.metadata.deletion_timestamp.is_some()),
            "{left:?}"
        );
        Ok(())
    };
    control_plane.with_namespace("timeouts", test).await
}

#[tokio::test]
async fn a_failed_job_is_told_with_its_exit_code_and_the_next_one_has_the_next_name() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let named = job("work").doing("name", "load".into());
        apply_plan(t, "shop", &[named.told("fail", "7").retried(1, "1ms")]).await?;
        create(t, &execution("run", "shop")).await?;
        let ended = execution_until(t, "run", "Failed").await?;
        let action = action_of(&ended, "main/shop[0]/work");
        assert_eq!(
            (
                action["attempts"].as_u64(),
                action["outputs"]["exitCode"].as_i64()
            ),
            (Some(2), Some(7))
        );
        let jobs = t
            .api::<Job>()
            .list(&ListParams::default().labels("dr.bkbcs.tencent.com/execution=run"))
            .await?;
        let names: Vec<String> = jobs
            .items
            .into_iter()
            .filter_map(|job| job.metadata.name)
            .collect();
        assert_eq!(names, ["load", "load-2"]);
        Ok(())
    };
    control_plane.with_namespace("job-retried", test).await
}
