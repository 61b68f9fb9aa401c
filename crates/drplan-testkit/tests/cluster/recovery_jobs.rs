//! Jobs that end, fail, vanish or hang, whether the operator looks or not.

use drplan_testkit::{TestNamespace, object_until};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, ListParams, PropagationPolicy};
use serde_json::Value;

use crate::fixtures::{
    Action, action_of, apply_plan, create, execution, execution_until, execution_where, job, phases, post,
    released, text,
};
use crate::shared;

/// Applies a plan of this Job and a call after it, runs it, and returns the Job's name once its UID is recorded.
async fn begin(t: &TestNamespace, name: &str, work: Action) -> anyhow::Result<String> {
    apply_plan(
        t,
        name,
        &[work, post("next", &t.stand_in.url(&format!("/{name}")))],
    )
    .await?;
    create(t, &execution(name, name)).await?;
    execution_where(t, name, "a Job", |seen| {
        let made = &job_of(seen, name)["outputs"]["jobRef"];
        made["uid"].is_string().then(|| text(made, "/name").to_owned())
    })
    .await
}

fn job_of<'a>(execution: &'a Value, plan: &str) -> &'a Value {
    action_of(execution, &format!("main/{plan}[0]/work"))
}

/// Waits until the run has failed at its Job, for this reason, without anything after it.
async fn fails(t: &TestNamespace, name: &str, reason: &str) -> anyhow::Result<Value> {
    let failed = execution_until(t, name, "Failed").await?;
    assert_eq!(phases(&failed), "work Failed, next Skipped", "{name}");
    let message = text(job_of(&failed, name), "/message");
    assert!(message.contains(reason), "{name}: {message}");
    assert_eq!(t.stand_in.requests(&format!("/{name}")).len(), 0);
    released(t, name).await?;
    Ok(failed)
}

fn jobs_ever_made(t: &TestNamespace) -> anyhow::Result<usize> {
    Ok(t.audit()
        .resource("jobs")
        .verb("create")
        .code(201)
        .entries()?
        .len())
}

/// Deletes a Job as somebody does who wants it gone at once.
async fn delete(t: &TestNamespace, name: &str) -> anyhow::Result<()> {
    let at_once = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    t.api::<Job>().delete(name, &at_once).await?;
    object_until(&t.api::<Job>(), name, "is gone", |job| {
        job.is_none().then_some(())
    })
    .await
}

/// Covers US6.2, EC-1.
#[tokio::test]
async fn what_became_of_a_job_while_nobody_looked_is_found() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = t.start_operator().await?;
        let completes = begin(t, "completes", job("work").told("seconds", "2")).await?;
        let fails_ = begin(t, "fails", job("work").told("seconds", "2").told("fail", "7")).await?;
        let vanishes = begin(t, "vanishes", job("work").told("hang", "true")).await?;
        let goes_on = begin(t, "goes-on", job("work").told("seconds", "4")).await?;
        operator.kill9().await?;
        crate::jobs::until(t, &completes, "Complete").await?;
        crate::jobs::until(t, &fails_, "Failed").await?;
        delete(t, &vanishes).await?;

        operator.restart().await?;
        let done = execution_until(t, "completes", "Succeeded").await?;
        assert_eq!(job_of(&done, "completes")["outputs"]["exitCode"], 0);
        let failed = fails(t, "fails", "exited with 7").await?;
        assert_eq!(job_of(&failed, "fails")["outputs"]["exitCode"], 7);
        fails(t, "vanishes", "JobLost").await?;
        let done = execution_until(t, "goes-on", "Succeeded").await?;
        assert_eq!(text(job_of(&done, "goes-on"), "/outputs/jobRef/name"), goes_on);
        // None of them was made again, and what failed stays for those who look.
        assert_eq!(jobs_ever_made(t)?, 4);
        assert_eq!(t.api::<Job>().list(&ListParams::default()).await?.items.len(), 3);
        Ok(())
    };
    control_plane.with_namespace("jobs-unseen", test).await
}

#[tokio::test]
async fn a_job_that_somebody_deletes_is_lost_and_not_made_again() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let made = begin(t, "lost", job("work").told("hang", "true").retried(2, "1s")).await?;
        delete(t, &made).await?;
        fails(t, "lost", "JobLost").await?;
        assert_eq!(jobs_ever_made(t)?, 1);
        Ok(())
    };
    control_plane.with_namespace("jobs-deleted", test).await
}

/// Covers US6.3.
#[tokio::test]
async fn a_job_that_hangs_is_deleted_with_its_pods_at_its_timeout() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = t.start_operator().await?;
        // Its pod takes long to go, so the Job is seen while it waits for it.
        let hangs = || {
            job("work")
                .told("hang", "true")
                .told("stop-seconds", "60")
                .timeout("3s")
        };
        let made = begin(t, "hangs", hangs()).await?;
        fails(t, "hangs", "JobTimedOut").await?;
        is_going_in_foreground(t, &made).await?;

        // Its deadline does not begin anew with the process.
        let made = begin(t, "restarted", hangs()).await?;
        operator.restart().await?;
        let failed = fails(t, "restarted", "JobTimedOut").await?;
        assert_eq!(job_of(&failed, "restarted")["attempts"], 1);
        is_going_in_foreground(t, &made).await?;
        assert_eq!(jobs_ever_made(t)?, 2);
        Ok(())
    };
    control_plane.with_namespace("jobs-hang", test).await
}

async fn is_going_in_foreground(t: &TestNamespace, name: &str) -> anyhow::Result<()> {
    object_until(&t.api::<Job>(), name, "is deleted in the foreground", |job| {
        let meta = &job?.metadata;
        let foreground = meta
            .finalizers
            .iter()
            .flatten()
            .any(|finalizer| finalizer == "foregroundDeletion");
        (meta.deletion_timestamp.is_some() && foreground).then_some(())
    })
    .await
}
