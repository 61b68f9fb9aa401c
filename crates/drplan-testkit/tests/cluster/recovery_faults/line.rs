//! A line to the API server that is slow, breaks, or loses what goes one way.

use std::time::Duration;

use drplan_testkit::{Answer, Direction, OperatorProcess, Proxy, ProxyMode, TestNamespace};
use futures::future::try_join_all;
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;

use super::{assert_not_told, assert_received};
use crate::fixtures::{
    apply_plan, create, execution, execution_until, job, phases, post, released, write_given_up,
};
use crate::recovery_contact::behind_a_proxy;
use crate::shared;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Everything arrives, late.
    Slow,
    /// Requests do not arrive, until all at once they do, long after they were given up.
    SwallowsRequests,
    /// Requests take effect, their answers come long after they were given up.
    SwallowsAnswers,
    /// Connections break again and again.
    Breaks,
}

/// The user sees a run that takes longer and ends as without the fault: no event tells of it, nothing is repeated and
/// nothing made twice. Also where what was given up arrives after all.
#[tokio::test]
async fn a_line_that_is_slow_breaks_or_swallows_one_way_costs_time_only() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let lines = [
        Line::Slow,
        Line::SwallowsRequests,
        Line::SwallowsAnswers,
        Line::Breaks,
    ];
    let tests = lines.map(|line| {
        let control_plane = &control_plane;
        async move {
            let test = async |t: &TestNamespace| run_over(t, line).await;
            control_plane.with_namespace("faults-line", test).await
        }
    });
    try_join_all(tests).await.map(drop)
}

async fn run_over(t: &TestNamespace, line: Line) -> anyhow::Result<()> {
    let (launch, proxy) = behind_a_proxy(t).await?;
    let operator = t.launch_operator(launch).await?;
    operator.ready().await?;
    t.stand_in.script("/call", [Answer::ok().held()]);
    let actions = [
        post("call", &t.stand_in.url("/call")),
        job("work"),
        post("next", &t.stand_in.url("/next")),
        post("last", &t.stand_in.url("/last")),
    ];
    apply_plan(t, "shop", &actions).await?;
    if line == Line::Slow {
        proxy.set(ProxyMode::Delay(Duration::from_millis(150))).await?;
    }
    create(t, &execution("run", "shop")).await?;
    t.stand_in.wait_for("/call", 1).await?;
    match line {
        Line::Slow => t.stand_in.release("/call"),
        Line::SwallowsRequests => swallow(t, &operator, &proxy, Direction::ToServer).await?,
        Line::SwallowsAnswers => swallow(t, &operator, &proxy, Direction::ToClient).await?,
        Line::Breaks => {
            t.stand_in.release("/call");
            for _ in 0..10 {
                proxy.set(ProxyMode::Cut).await?;
                proxy.set(ProxyMode::Pass).await?;
                proxy.connected(1).await?;
            }
        }
    }

    let done = execution_until(t, "run", "Succeeded").await?;
    assert_eq!(
        phases(&done),
        "call Succeeded, work Succeeded, next Succeeded, last Succeeded",
        "{line:?}"
    );
    released(t, "run").await?;
    assert_not_told(t, "run", &["ActionRepeated", "ExecutionUnknown", "StatusRefused"]).await?;
    for path in ["/call", "/next", "/last"] {
        assert_received(t, path, 1);
    }
    let jobs = t.api::<Job>().list(&ListParams::default()).await?.items;
    assert_eq!(jobs.len(), 1, "{line:?}: {jobs:?}");
    Ok(())
}

/// Holds back what goes this way until a write was given up, while a call gets its answer.
async fn swallow(
    t: &TestNamespace,
    operator: &OperatorProcess,
    proxy: &Proxy,
    direction: Direction,
) -> anyhow::Result<()> {
    proxy.set(ProxyMode::Hang(direction)).await?;
    t.stand_in.release("/call");
    write_given_up(operator).await?;
    for path in ["/next", "/last"] {
        assert_eq!(t.stand_in.requests(path).len(), 0, "{path}");
    }
    proxy.set(ProxyMode::Pass).await
}
