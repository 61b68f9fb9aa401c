//! Components that stand still.

use std::time::Duration;

use drplan_testkit::{Answer, Component, ControlPlane, Seen, TestNamespace, eventually};
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use tokio::time::Instant;

use super::{assert_not_told, assert_received};
use crate::fixtures::{
    Action, annotate, apply_plan, create, event, events, execution, execution_until, execution_where,
    executions, job, job_recorded, ours, phases, plans, post, released, second_attempt, text, write_given_up,
};
use crate::options;

/// An API server that stands still for a minute. Within the partition timeout the user sees runs that stay Running and
/// then go on, and no event about it. Beyond it they see Unknown with what was in flight, the event `ExecutionUnknown` and
/// a plan that is held, until somebody resumes or cancels.
#[tokio::test]
async fn an_api_server_that_stands_still_for_a_minute_is_waited_for_or_told_of() -> anyhow::Result<()> {
    let control_plane = ControlPlane::start(options().await?).await?;
    let test = async |patient: &TestNamespace| {
        let beside = async |wary: &TestNamespace| stand_still(patient, wary).await;
        control_plane.with_namespace("faults-wary", beside).await
    };
    control_plane.with_namespace("faults-patient", test).await
}

async fn stand_still(patient: &TestNamespace, wary: &TestNamespace) -> anyhow::Result<()> {
    let operator = patient.start_operator().await?;
    begin_runs(patient, &["call"]).await?;
    apply_plan(
        patient,
        "job",
        &[job("job").told("seconds", "3"), after(patient, "job")],
    )
    .await?;
    let retried = post("wait", &patient.stand_in.url("/wait")).retried(3, "2s");
    patient
        .stand_in
        .script("/wait", [Answer::status(503), Answer::ok()]);
    apply_plan(patient, "wait", &[retried, after(patient, "wait")]).await?;
    for name in ["job", "wait"] {
        create(patient, &execution(name, name)).await?;
    }
    job_recorded(patient, "job", "main/job[0]/job").await?;
    second_attempt(patient, "wait", "main/wait[0]/wait").await?;
    let launch = wary.operator_launch()?.arg("--partition-timeout=20s");
    wary.launch_operator(launch).await?.ready().await?;
    begin_runs(wary, &["resumed", "cancelled"]).await?;

    let control_plane = &patient.control_plane;
    control_plane.pause(Component::ApiServer)?;
    let end = Instant::now() + Duration::from_secs(60);
    patient.stand_in.release("/call");
    write_given_up(&operator).await?;
    tokio::time::sleep_until(end).await;
    for (t, path) in [
        (patient, "/after-call"),
        (patient, "/after-job"),
        (patient, "/after-wait"),
        (wary, "/after-resumed"),
    ] {
        assert_eq!(t.stand_in.requests(path).len(), 0, "{path}");
    }
    assert_eq!(patient.stand_in.requests("/wait").len(), 1);
    control_plane.resume(Component::ApiServer)?;

    for (name, path, count) in [
        ("call", "/call", 1),
        ("job", "/after-job", 1),
        ("wait", "/wait", 2),
    ] {
        execution_until(patient, name, "Succeeded").await?;
        released(patient, name).await?;
        assert_not_told(patient, name, &["ActionRepeated", "ExecutionUnknown"]).await?;
        assert_received(patient, path, count);
        assert_received(patient, &format!("/after-{name}"), 1);
    }
    let jobs = patient.api::<Job>().list(&ListParams::default()).await?.items;
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    decide(wary).await
}

/// What a person who finds two runs Unknown sees, and does: resumes one, cancels the other.
async fn decide(t: &TestNamespace) -> anyhow::Result<()> {
    for name in ["resumed", "cancelled"] {
        let doubted = execution_until(t, name, "Unknown").await?;
        let message = text(&doubted, "/status/message");
        assert!(
            message.contains(&format!("main/{name}[0]/call (no result yet)")),
            "{message}"
        );
        event(t, name, "ExecutionUnknown").await?;
        let plan = plans(t).get(name).await?;
        assert_eq!(text(&plan.data, "/status/currentExecution/name"), name);
    }
    annotate(&executions(t), "resumed", &ours("resume"), Some("true")).await?;
    execution_until(t, "resumed", "Running").await?;
    event(t, "resumed", "ExecutionResumed").await?;
    t.stand_in.release("/resumed");
    execution_until(t, "resumed", "Succeeded").await?;
    released(t, "resumed").await?;
    assert_received(t, "/resumed", 1);
    assert_received(t, "/after-resumed", 1);

    annotate(&executions(t), "cancelled", &ours("cancel"), Some("true")).await?;
    execution_where(t, "cancelled", "that it is cancelled", |seen| {
        seen["status"]["cancellation"].is_object().then_some(())
    })
    .await?;
    t.stand_in.release("/cancelled");
    let ended = execution_until(t, "cancelled", "Cancelled").await?;
    assert_eq!(phases(&ended), "call Succeeded, next Skipped");
    released(t, "cancelled").await?;
    event(t, "cancelled", "ExecutionCancelled").await?;
    assert_received(t, "/cancelled", 1);
    assert_eq!(t.stand_in.requests("/after-cancelled").len(), 0);
    Ok(())
}

/// An etcd that stands still behind an API server that answers, for longer than the partition timeout. The user sees
/// runs that stay Running and go on afterwards, never Unknown: there is contact, nothing is decided. The log and
/// `drplan_status_write_failures_total` tell of the writes.
pub(super) async fn etcd_pauses(t: &TestNamespace) -> anyhow::Result<()> {
    let launch = t.operator_launch()?.arg("--partition-timeout=8s");
    let operator = t.launch_operator(launch).await?;
    operator.ready().await?;
    begin_runs(t, &["call"]).await?;

    t.control_plane.pause(Component::Etcd)?;
    t.stand_in.release("/call");
    // A request is given up after ten seconds.
    let failures = r#"drplan_status_write_failures_total{kind="execution",reason="Unanswered"} "#;
    eventually("a write that was given up", async || {
        let metrics = operator.metrics().await?;
        let line = metrics.lines().find(|line| line.starts_with(failures));
        let count = line.and_then(|line| line[failures.len()..].parse::<f64>().ok());
        Ok(Seen::when(count.filter(|count| *count >= 1.0), || {
            format!("{line:?}")
        }))
    })
    .await?;
    assert_eq!(t.stand_in.requests("/after-call").len(), 0);
    t.control_plane.resume(Component::Etcd)?;

    let done = execution_until(t, "call", "Succeeded").await?;
    assert_eq!(phases(&done), "call Succeeded, next Succeeded");
    released(t, "call").await?;
    event(t, "call", "ExecutionSucceeded").await?;
    assert_not_told(
        t,
        "call",
        &["ActionRepeated", "ExecutionUnknown", "StatusRefused"],
    )
    .await?;
    let ends = events(t, "call").await?;
    let ends = ends
        .iter()
        .filter(|event| event.starts_with("ExecutionSucceeded:"));
    assert_eq!(ends.count(), 1);
    assert_received(t, "/call", 1);
    assert_received(t, "/after-call", 1);
    Ok(())
}

/// Starts runs of a plan of their name each, and waits until the first call of each is in flight.
pub(super) async fn begin_runs(t: &TestNamespace, names: &[&str]) -> anyhow::Result<()> {
    for name in names {
        let path = format!("/{name}");
        t.stand_in.script(&path, [Answer::ok().held(), Answer::ok()]);
        let call = post("call", &t.stand_in.url(&path)).timeout("10m");
        apply_plan(t, name, &[call, after(t, name)]).await?;
        create(t, &execution(name, name)).await?;
        t.stand_in.wait_for(&path, 1).await?;
    }
    Ok(())
}

/// The call that comes after the one that the test is about.
fn after(t: &TestNamespace, name: &str) -> Action {
    post("next", &t.stand_in.url(&format!("/after-{name}")))
}
