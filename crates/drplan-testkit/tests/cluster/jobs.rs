use anyhow::Context;
use drplan_testkit::{Seen, TestNamespace, eventually, object_until};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, LogParams, PostParams};
use serde_json::{Value, json};

use crate::shared;

/// Makes a Job whose pods have these annotations.
pub(crate) async fn make(t: &TestNamespace, name: &str, annotations: Value) -> anyhow::Result<Job> {
    let job = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"annotations": annotations},
                "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]},
            },
        },
    }))?;
    Ok(t.api().create(&PostParams::default(), &job).await?)
}

/// Waits until the Job has this condition, and returns the Job.
pub(crate) async fn until(t: &TestNamespace, name: &str, condition: &str) -> anyhow::Result<Job> {
    object_until(&t.api::<Job>(), name, condition, |job| {
        let conditions = job?.status.as_ref()?.conditions.as_ref()?;
        let has = conditions
            .iter()
            .any(|known| known.type_ == condition && known.status == "True");
        if has { job.cloned() } else { None }
    })
    .await
}

async fn pod(t: &TestNamespace, job: &str, phase: &str) -> anyhow::Result<Pod> {
    eventually(&format!("a pod of {job} to be {phase}"), async || {
        let pods = t
            .api::<Pod>()
            .list(&ListParams::default().labels(&format!("job-name={job}")))
            .await?
            .items;
        let seen: Vec<_> = pods.iter().map(|pod| pod.status.clone()).collect();
        let phase_of = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
        let found = pods
            .into_iter()
            .find(|pod| phase_of(pod).as_deref() == Some(phase));
        Ok(Seen::when(found, || format!("{seen:?}")))
    })
    .await
}

#[tokio::test]
async fn a_job_completes() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        make(t, "plain", json!({})).await?;
        until(t, "plain", "Complete").await?;
        Ok(())
    };
    control_plane.with_namespace("job-completes", test).await
}

#[tokio::test]
async fn a_job_told_to_fail_fails_with_its_exit_code_and_a_log() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        make(t, "bad", json!({"testkit.drplan/fail": "7"})).await?;
        until(t, "bad", "Failed").await?;
        let pod = pod(t, "bad", "Failed").await?;
        let status = serde_json::to_value(&pod.status)?;
        assert_eq!(
            status.pointer("/containerStatuses/0/state/terminated/exitCode"),
            Some(&json!(7))
        );
        let name = pod.metadata.name.unwrap_or_default();
        let log = t
            .api::<Pod>()
            .logs(
                &name,
                &LogParams {
                    tail_lines: Some(1),
                    ..LogParams::default()
                },
            )
            .await?;
        assert_eq!(log, "testkit: this is the last line of the container's log\n");
        Ok(())
    };
    control_plane.with_namespace("job-fails", test).await
}

#[tokio::test]
async fn a_job_told_to_hang_runs_until_it_is_deleted() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        make(t, "hung", json!({"testkit.drplan/hang": "true"})).await?;
        make(t, "witness", json!({})).await?;
        pod(t, "hung", "Running").await?;
        until(t, "witness", "Complete").await?;
        let hung = t.api::<Job>().get("hung").await?;
        assert_eq!(hung.status.and_then(|status| status.active), Some(1));
        t.api::<Job>().delete("hung", &DeleteParams::foreground()).await?;
        object_until(&t.api::<Job>(), "hung", "is gone", |job| {
            job.is_none().then_some(())
        })
        .await
    };
    control_plane.with_namespace("job-hangs", test).await
}

#[tokio::test]
async fn a_job_told_to_take_two_seconds_takes_no_less() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        make(t, "slow", json!({"testkit.drplan/seconds": "2"})).await?;
        let status = until(t, "slow", "Complete").await?.status.unwrap_or_default();
        let start = status.start_time.context("it has started")?;
        let end = status.completion_time.context("it has ended")?;
        // The Job's own clock, in whole seconds.
        assert!(end.0.as_second() - start.0.as_second() >= 1, "{start:?} {end:?}");
        Ok(())
    };
    control_plane.with_namespace("job-slow", test).await
}

#[tokio::test]
async fn a_pod_told_to_stop_slowly_is_seen_stopping() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        make(
            t,
            "stubborn",
            json!({"testkit.drplan/hang": "true", "testkit.drplan/stop-seconds": "60"}),
        )
        .await?;
        let name = pod(t, "stubborn", "Running")
            .await?
            .metadata
            .name
            .context("it has a name")?;
        t.api::<Pod>().delete(&name, &DeleteParams::default()).await?;
        let stopping = t.api::<Pod>().get(&name).await?;
        assert!(stopping.metadata.deletion_timestamp.is_some());
        Ok(())
    };
    control_plane.with_namespace("job-stubborn", test).await
}
