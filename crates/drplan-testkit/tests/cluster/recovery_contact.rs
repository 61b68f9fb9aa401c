//! The API server is gone for a while, or an answer of it is.

use std::time::Duration;

use drplan_testkit::{
    Answer, Component, ControlPlane, Direction, OperatorLaunch, Proxy, ProxyMode, TestNamespace,
};

use crate::fixtures::{
    action_of, annotate, apply_plan, create, event, events, execution, execution_until, execution_where,
    executions, job, job_recorded, ours, phases, plans, post, released, second_attempt, text, write_given_up,
};
use crate::{options, shared};

#[derive(Clone, Copy, Debug)]
enum Outage {
    /// Nothing answers, connections stay.
    Hangs,
    /// Connections break and are refused.
    Dies,
}

#[tokio::test]
async fn runs_outlive_an_api_server_that_is_gone_and_repeat_nothing() -> anyhow::Result<()> {
    // One of its own: the others need theirs.
    let control_plane = ControlPlane::start(options().await?).await?;
    for outage in [Outage::Hangs, Outage::Dies] {
        let test = async |t: &TestNamespace| outlive(t, outage).await;
        control_plane.with_namespace("contact-gone", test).await?;
    }
    Ok(())
}

async fn outlive(t: &TestNamespace, outage: Outage) -> anyhow::Result<()> {
    let url = |path: &str| t.stand_in.url(path);
    t.stand_in.script("/call", [Answer::ok().held()]);
    t.stand_in.script("/wait", [Answer::status(503), Answer::ok()]);
    apply_plan(
        t,
        "call",
        &[post("call", &url("/call")), post("next", &url("/after-call"))],
    )
    .await?;
    apply_plan(
        t,
        "job",
        &[job("job").told("seconds", "3"), post("next", &url("/after-job"))],
    )
    .await?;
    apply_plan(
        t,
        "wait",
        &[
            post("wait", &url("/wait")).retried(3, "2s"),
            post("next", &url("/after-wait")),
        ],
    )
    .await?;
    let operator = t.start_operator().await?;
    for plan in ["call", "job", "wait"] {
        create(t, &execution(plan, plan)).await?;
    }
    t.stand_in.wait_for("/call", 1).await?;
    job_recorded(t, "job", "main/job[0]/job").await?;
    second_attempt(t, "wait", "main/wait[0]/wait").await?;

    match outage {
        Outage::Hangs => t.control_plane.pause(Component::ApiServer)?,
        Outage::Dies => {
            // One that starts forbids what it has not read the roles for yet.
            t.expect_refusals();
            t.control_plane.kill(Component::ApiServer)?;
        }
    }
    t.stand_in.release("/call");
    write_given_up(&operator).await?;
    for path in ["/after-call", "/after-job", "/after-wait"] {
        assert_eq!(t.stand_in.requests(path).len(), 0, "{path} while {outage:?}");
    }
    // Its time may have come, but nobody can tell whose run it is.
    assert_eq!(t.stand_in.requests("/wait").len(), 1);
    match outage {
        Outage::Hangs => t.control_plane.resume(Component::ApiServer)?,
        Outage::Dies => t.control_plane.restart(Component::ApiServer).await?,
    }

    for plan in ["call", "job", "wait"] {
        let done = execution_until(t, plan, "Succeeded").await?;
        let called = action_of(&done, "main/call[0]/call");
        assert!(
            plan != "call" || called["outputs"]["statusCode"] == 200,
            "{called}"
        );
        released(t, plan).await?;
        let told = events(t, plan).await?;
        assert!(
            !told.iter().any(|event| event.starts_with("ActionRepeated")),
            "{told:?}"
        );
    }
    for (path, count) in [
        ("/call", 1),
        ("/after-call", 1),
        ("/after-job", 1),
        ("/wait", 2),
        ("/after-wait", 1),
    ] {
        let counts = t.stand_in.count_by_key(path);
        assert_eq!(
            counts.values().copied().collect::<Vec<_>>(),
            [count],
            "{path}: {counts:?}"
        );
    }
    let jobs = t.audit().resource("jobs").verb("create").code(201).entries()?;
    assert_eq!(jobs.len(), 1);

    create(t, &execution("afterwards", "call")).await?;
    t.stand_in.wait_for("/call", 2).await?;
    t.stand_in.release("/call");
    execution_until(t, "afterwards", "Succeeded").await.map(drop)
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_read_before_its_effect() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        for write in ["before-intent", "before-result", "before-end"] {
            lose_an_answer(t, write).await?;
        }
        Ok(())
    };
    control_plane.with_namespace("contact-answer", test).await
}

async fn lose_an_answer(t: &TestNamespace, write: &str) -> anyhow::Result<()> {
    let url = |action: &str| t.stand_in.url(&format!("/{write}/{action}"));
    apply_plan(
        t,
        write,
        &[post("first", &url("first")), post("last", &url("last"))],
    )
    .await?;
    let (launch, proxy) = behind_a_proxy(t).await?;
    let operator = t
        .launch_operator(launch.env("DRPLAN_FAULT", format!("{write}=stop")))
        .await?;
    operator.ready().await?;
    create(t, &execution(write, write)).await?;
    operator.stopped().await?;

    proxy.set(ProxyMode::Hang(Direction::ToClient)).await?;
    let by_operator = t
        .control_plane
        .audit()
        .from_now()
        .namespace(&t.name)
        .user(PROXIED)
        .name(write);
    let by_operator = by_operator.resource("drplanexecutions");
    operator.cont()?;
    let stored = by_operator
        .clone()
        .subresource("status")
        .verb("update")
        .code(200)
        .wait_for(1)
        .await?;
    proxy.set(ProxyMode::Cut).await?;
    proxy.set(ProxyMode::Pass).await?;

    let done = execution_until(t, write, "Succeeded").await?;
    released(t, write).await?;
    assert_eq!(phases(&done), "first Succeeded, last Succeeded");
    let read = by_operator.verb("get").code(200).wait_for(1).await?;
    for action in ["first", "last"] {
        let requests = t.stand_in.requests(&format!("/{write}/{action}"));
        assert_eq!(requests.len(), 1, "{action} after {write}");
        let arrived = requests[0].arrived;
        let is_after_the_write = arrived > stored[0].request_received_timestamp;
        assert!(
            !is_after_the_write || arrived > read[0].request_received_timestamp,
            "{action} after {write}"
        );
    }
    // What the write made true is told although its answer was lost, and told once.
    event(t, write, "ExecutionSucceeded").await?;
    let told = events(t, write).await?;
    for reason in ["ExecutionStarted", "ActionRepeated", "ExecutionSucceeded"] {
        let count = told
            .iter()
            .filter(|event| event.starts_with(&format!("{reason}:")))
            .count();
        assert_eq!(
            count,
            usize::from(reason != "ActionRepeated"),
            "{reason} after {write}: {told:?}"
        );
    }
    operator.kill9().await
}

/// Covers EC-2.
#[tokio::test]
async fn a_long_silence_while_a_call_is_in_flight_is_for_a_person_to_judge() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let (launch, proxy) = behind_a_proxy(t).await?;
        let operator = t.launch_operator(launch.arg("--partition-timeout=3s")).await?;
        operator.ready().await?;
        // Of each the call is in flight; they differ in what becomes of it and what is decided.
        let runs = ["resumed", "answered", "cancelled", "restarted"];
        for name in runs {
            t.stand_in
                .script(&format!("/{name}"), [Answer::ok().held(), Answer::ok()]);
            let next = t.stand_in.url(&format!("/after-{name}"));
            apply_plan(
                t,
                name,
                &[
                    post("call", &t.stand_in.url(&format!("/{name}"))),
                    post("next", &next),
                ],
            )
            .await?;
            create(t, &execution(name, name)).await?;
            t.stand_in.wait_for(&format!("/{name}"), 1).await?;
        }
        // And of this one nothing is.
        t.stand_in.script("/idle", [Answer::status(503), Answer::ok()]);
        apply_plan(
            t,
            "idle",
            &[post("call", &t.stand_in.url("/idle")).retried(1, "4s")],
        )
        .await?;
        create(t, &execution("idle", "idle")).await?;
        second_attempt(t, "idle", "main/idle[0]/call").await?;

        silence(&proxy, Duration::from_secs(5)).await?;
        for name in runs {
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
        create(t, &execution("second", "resumed")).await?;
        let refused = execution_until(t, "second", "Failed").await?;
        assert_eq!(
            text(&refused, "/status/message"),
            "Plan has an execution in progress: resumed"
        );

        execution_until(t, "idle", "Succeeded").await?;
        let told = events(t, "idle").await?;
        assert!(
            !told.iter().any(|event| event.starts_with("ExecutionUnknown")),
            "{told:?}"
        );

        // It goes on and the call is still awaited.
        annotate(&executions(t), "resumed", &ours("resume"), Some("true")).await?;
        execution_until(t, "resumed", "Running").await?;
        t.stand_in.release("/resumed");
        assert_succeeds(t, "resumed", 1).await?;

        // Its result is kept although nobody has decided yet.
        t.stand_in.release("/answered");
        execution_where(t, "answered", "the result", |seen| {
            (phases(seen) == "call Succeeded, next Pending").then_some(())
        })
        .await?;
        assert_eq!(t.stand_in.requests("/after-answered").len(), 0);
        annotate(&executions(t), "answered", &ours("resume"), Some("true")).await?;
        assert_succeeds(t, "answered", 1).await?;

        annotate(&executions(t), "cancelled", &ours("cancel"), Some("true")).await?;
        execution_where(t, "cancelled", "that it is cancelled", |seen| {
            seen["status"]["cancellation"].is_object().then_some(())
        })
        .await?;
        t.stand_in.release("/cancelled");
        let ended = execution_until(t, "cancelled", "Cancelled").await?;
        assert_eq!(phases(&ended), "call Succeeded, next Skipped");
        released(t, "cancelled").await?;

        // The next process does not know more, and waits as well. What it decides to repeat has the same key.
        operator.restart().await?;
        execution_until(t, "restarted", "Unknown").await?;
        annotate(&executions(t), "restarted", &ours("resume"), Some("true")).await?;
        assert_succeeds(t, "restarted", 2).await
    };
    control_plane.with_namespace("contact-silence", test).await
}

async fn assert_succeeds(t: &TestNamespace, name: &str, calls: usize) -> anyhow::Result<()> {
    let done = execution_until(t, name, "Succeeded").await?;
    assert_eq!(phases(&done), "call Succeeded, next Succeeded", "{name}");
    released(t, name).await?;
    for (path, count) in [(format!("/{name}"), calls), (format!("/after-{name}"), 1)] {
        let counts = t.stand_in.count_by_key(&path);
        assert_eq!(
            counts.values().copied().collect::<Vec<_>>(),
            [count],
            "{path}: {counts:?}"
        );
    }
    Ok(())
}

/// Lets nothing through for so long.
pub(crate) async fn silence(proxy: &Proxy, length: Duration) -> anyhow::Result<()> {
    proxy.set(ProxyMode::Hang(Direction::Both)).await?;
    tokio::time::sleep(length).await;
    proxy.set(ProxyMode::Pass).await
}

/// The user of operators behind a proxy.
const PROXIED: &str = "proxied";

pub(crate) async fn behind_a_proxy(t: &TestNamespace) -> anyhow::Result<(OperatorLaunch, Proxy)> {
    let proxy = Proxy::to_api_server(&t.control_plane).await?;
    let kubeconfig = proxy.kubeconfig_for(&t.control_plane, PROXIED, Some("system:masters"))?;
    Ok((t.operator_launch()?.kubeconfig(kubeconfig), proxy))
}
