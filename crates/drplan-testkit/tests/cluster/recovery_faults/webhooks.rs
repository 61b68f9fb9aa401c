//! Somebody else's admission webhook that refuses what a run writes, or that must be asked and is down.

use drplan_testkit::{Answer, TestNamespace};
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use serde_json::json;

use super::{
    assert_not_told, assert_received,
    foreign::{NAMED, OF_PLAN, WORDS, Webhook, Webhooks, ours, rule},
    silence::begin_runs,
};
use crate::fixtures::{
    action_of, apply_plan, create, event, events, execution, execution_until, execution_where, job, phases,
    plans, post, released, text,
};
use crate::shared;

/// Each webhook is about the objects of one plan, which has its name. What the user sees of one that refuses and of one
/// that is down and must be asked:
///
/// - **Jobs**: refused, the action fails at once with the webhook's words; down, attempts go on as `retryPolicy` says,
///   and the events `ActionRetrying` name the webhook.
/// - **The record of a run**: it stands still, Running, and begins nothing; the event `StatusRefused` has the words,
///   once.
/// - **The plan**: what is created is Pending and its message has the words; a run that is under way ends, and its plan
///   is held until the end can be entered there. The events `ReleaseRefused` on the execution and `StatusRefused` on the
///   plan have the words, once.
///
/// Once the webhooks are gone, all go on by themselves.
#[tokio::test]
async fn foreign_webhooks_that_refuse_or_are_down_are_named_and_waited_for() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let calling = post("call", &t.stand_in.url("/refused-job-call"));
        apply_plan(t, "refused-job", &[calling, job("work").retried(3, "1ms")]).await?;
        let policy = json!({"limit": 50, "interval": "500ms", "backoffMultiplier": 1});
        let next = post("next", &t.stand_in.url("/down-job-next"));
        apply_plan(t, "down-job", &[job("work").with("retryPolicy", policy), next]).await?;
        for name in ["refused-plan", "down-plan"] {
            apply_plan(t, name, &[post("call", &t.stand_in.url(&format!("/{name}")))]).await?;
        }
        begin_runs(t, &["refused-status", "down-status", "refused-end", "down-end"]).await?;
        let webhooks = Webhooks::install(t, &webhooks(), "refused-plan").await?;

        for name in ["refused-job", "down-job", "refused-plan", "down-plan"] {
            create(t, &execution(name, name)).await?;
        }
        for name in ["refused-status", "down-status", "refused-end", "down-end"] {
            t.stand_in.release(&format!("/{name}"));
        }
        jobs_are_refused(t).await?;
        records_are_refused(t).await?;
        plans_are_refused(t).await?;
        webhooks.remove().await?;
        everything_goes_on(t).await
    };
    control_plane.with_namespace("faults-webhooks", test).await
}

fn webhooks() -> [Webhook; 8] {
    let refusal = || Some(Answer::refusal(WORDS));
    let jobs = rule("batch", "v1", &["jobs"], "CREATE");
    let records = ours(&["drplanexecutions/status"]);
    let plans_too = ours(&["drplans", "drplans/status"]);
    [
        Webhook::new("refused-job", refusal(), &jobs, OF_PLAN),
        Webhook::new("down-job", None, &jobs, OF_PLAN),
        Webhook::new("refused-status", refusal(), &records, NAMED),
        Webhook::new("down-status", None, &records, NAMED),
        Webhook::new("refused-plan", refusal(), &plans_too, NAMED),
        Webhook::new("down-plan", None, &plans_too, NAMED),
        Webhook::new("refused-end", refusal(), &plans_too, NAMED),
        Webhook::new("down-end", None, &plans_too, NAMED),
    ]
}

async fn jobs_are_refused(t: &TestNamespace) -> anyhow::Result<()> {
    let failed = execution_until(t, "refused-job", "Failed").await?;
    let action = action_of(&failed, "main/refused-job[0]/work");
    let message = text(action, "/message");
    let refusal = format!("admission webhook \"refused-job.faults.example.com\" denied the request: {WORDS}");
    assert!(message.contains(&refusal), "{message}");
    assert_eq!(action["attempts"], 1);
    let told = event(t, "refused-job", "ActionFailed").await?;
    assert!(told.contains(&refusal), "{told}");
    released(t, "refused-job").await?;
    assert_received(t, "/refused-job-call", 1);

    execution_where(t, "down-job", "a third attempt", |seen| {
        let attempts = action_of(seen, "main/down-job[0]/work")["attempts"].as_u64()?;
        (attempts >= 3).then_some(())
    })
    .await?;
    let told = event(t, "down-job", "ActionRetrying").await?;
    assert!(
        told.contains("failed calling webhook \"down-job.faults.example.com\""),
        "{told}"
    );
    assert_eq!(t.stand_in.requests("/down-job-next").len(), 0);
    Ok(())
}

async fn records_are_refused(t: &TestNamespace) -> anyhow::Result<()> {
    for (name, words) in [
        ("refused-status", format!("denied the request: {WORDS}")),
        (
            "down-status",
            "failed calling webhook \"down-status.faults.example.com\"".to_owned(),
        ),
    ] {
        let told = event(t, name, "StatusRefused").await?;
        assert!(
            told.starts_with("the status cannot be written, so nothing new begins") && told.contains(&words),
            "{told}"
        );
        let seen = crate::fixtures::executions(t).get(name).await?;
        assert_eq!(text(&seen.data, "/status/phase"), "Running");
        assert_eq!(phases(&seen.data), "call Running, next Pending");
        assert_eq!(t.stand_in.requests(&format!("/after-{name}")).len(), 0);
    }
    Ok(())
}

async fn plans_are_refused(t: &TestNamespace) -> anyhow::Result<()> {
    for (name, words) in [
        ("refused-end", format!("denied the request: {WORDS}")),
        (
            "down-end",
            "failed calling webhook \"down-end.faults.example.com\"".to_owned(),
        ),
    ] {
        execution_until(t, name, "Succeeded").await?;
        let told = event(t, name, "ReleaseRefused").await?;
        let begins =
            told.starts_with("the run has ended, but its plan is held until that can be entered there; ");
        assert!(begins && told.contains(&words), "{told}");
        let told = event(t, name, "StatusRefused").await?;
        let begins = told.starts_with("the plan cannot be brought up to date; ");
        assert!(begins && told.contains(&words), "{told}");
        let plan = plans(t).get(name).await?;
        assert_eq!(text(&plan.data, "/status/currentExecution/name"), name);
    }
    create(t, &execution("another", "refused-end")).await?;
    for (name, words) in [
        ("refused-plan", format!("denied the request: {WORDS}")),
        ("another", format!("denied the request: {WORDS}")),
        (
            "down-plan",
            "failed calling webhook \"down-plan.faults.example.com\"".to_owned(),
        ),
    ] {
        let waiting = execution_where(t, name, "why it waits", |seen| {
            let is_told = text(seen, "/status/message").contains(&words);
            is_told.then(|| seen.clone())
        })
        .await?;
        assert_eq!(text(&waiting, "/status/phase"), "Pending");
        let message = text(&waiting, "/status/message");
        assert!(message.starts_with("cannot begin yet: "), "{message}");
    }
    for name in ["refused-plan", "down-plan"] {
        assert_eq!(t.stand_in.requests(&format!("/{name}")).len(), 0, "{name}");
    }
    Ok(())
}

async fn everything_goes_on(t: &TestNamespace) -> anyhow::Result<()> {
    for name in [
        "down-job",
        "refused-status",
        "down-status",
        "refused-plan",
        "down-plan",
        "another",
        "refused-end",
        "down-end",
    ] {
        execution_until(t, name, "Succeeded").await?;
        released(t, name).await?;
        assert_not_told(t, name, &["ActionRepeated", "ExecutionUnknown"]).await?;
    }
    for name in ["refused-status", "down-status"] {
        assert_received(t, &format!("/{name}"), 1);
        assert_received(t, &format!("/after-{name}"), 1);
        let told = events(t, name).await?;
        let refusals = told.iter().filter(|event| event.starts_with("StatusRefused:"));
        assert_eq!(refusals.count(), 1, "{told:?}");
    }
    // One of the run and one of its plan, which has its name.
    for name in ["refused-end", "down-end"] {
        let told = events(t, name).await?;
        for reason in ["ReleaseRefused:", "StatusRefused:"] {
            let refusals = told.iter().filter(|event| event.starts_with(reason));
            assert_eq!(refusals.count(), 1, "{name}: {told:?}");
        }
    }
    for path in ["/refused-plan", "/down-plan", "/down-job-next"] {
        assert_received(t, path, 1);
    }
    // One run of it met the webhook at its end, another at its beginning.
    assert_eq!(t.stand_in.requests("/after-refused-end").len(), 2);
    let jobs = t.api::<Job>().list(&ListParams::default()).await?.items;
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    Ok(())
}
