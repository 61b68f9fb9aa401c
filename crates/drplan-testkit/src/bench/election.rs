//! How soon another operator goes on where one ends, and how soon one is ready.

use std::sync::Arc;
use std::time::Duration;

use drplan_api::DRPlanExecution;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::DeleteParams;
use tokio::time::{Instant, sleep};

use crate::bench::figures::Figures;
use crate::bench::objects::{apply_plan, ended, execute, looked_at, released};
use crate::eventually::{Seen, eventually};
use crate::namespace::TestNamespace;
use crate::operator::OperatorProcess;
use crate::stand_in::Answer;

/// Processes that are started, one after another, until they are ready.
const STARTS: usize = 10;
/// Leaders with short times that are killed, and leaders that are asked to end.
const ENDS: usize = 5;
/// Between two questions whether a process is ready.
const ASKED_EVERY: Duration = Duration::from_millis(2);
/// The times of an election that docs/operations.md names for who wants a follower sooner.
const FAST: [&str; 3] = [
    "--leader-elect-lease-duration=3s",
    "--leader-elect-renew-deadline=2s",
    "--leader-elect-retry-period=500ms",
];

/// What was measured.
#[derive(Debug, Default)]
pub(super) struct Election {
    /// From the start of a process to its first yes to `/readyz`.
    pub(super) ready: Figures,
    /// From the kill of a leader in mid-call until its follower repeats the call.
    pub(super) killed: Figures,
    /// The same with short times.
    pub(super) killed_fast: Figures,
    /// From SIGTERM, with nothing in flight, until the follower calls for an execution that was created just after.
    pub(super) given_way: Figures,
}

/// Starts, kills and ends operators.
pub(super) async fn election(t: &TestNamespace) -> anyhow::Result<Election> {
    let mut measured = Election::default();
    apply_plan(t, "shop", &[t.stand_in.url("/call")]).await?;
    for _ in 0..STARTS {
        let launch = t.privileged_launch()?;
        let begun = Instant::now();
        let operator = t.launch_operator(launch).await?;
        first_ready(&operator).await?;
        measured.ready.add(begun.elapsed());
        looked_at(t, "shop").await?;
        operator.kill9().await?;
    }
    measured.killed.add(killed(t, "killed", &[]).await?);
    for number in 0..ENDS {
        let name = format!("killed-fast-{number}");
        measured.killed_fast.add(killed(t, &name, &FAST).await?);
    }
    for number in 0..ENDS {
        measured
            .given_way
            .add(given_way(t, &format!("ended-{number}")).await?);
    }
    Ok(measured)
}

/// Kills the leader of two while a call of execution `name` is in flight.
async fn killed(t: &TestNamespace, name: &str, times: &[&str]) -> anyhow::Result<Duration> {
    let [leader, follower] = pair(t, times).await?;
    let before = t.stand_in.requests("/call").len();
    t.stand_in.script("/call", [Answer::ok().held(), Answer::ok()]);
    execute(t, name, "shop").await?;
    t.stand_in.wait_for("/call", before + 1).await?;
    let begun = Instant::now();
    leader.kill9().await?;
    t.stand_in.wait_for("/call", before + 2).await?;
    let goes_on = begun.elapsed();
    end(t, name, &follower).await?;
    Ok(goes_on)
}

/// Ends the leader of two, and creates execution `name`.
async fn given_way(t: &TestNamespace, name: &str) -> anyhow::Result<Duration> {
    let [leader, follower] = pair(t, &[]).await?;
    let before = t.stand_in.requests("/call").len();
    let begun = Instant::now();
    let ending = leader.terminate();
    let called = async {
        execute(t, name, "shop").await?;
        t.stand_in.wait_for("/call", before + 1).await?;
        anyhow::Ok(begun.elapsed())
    };
    let (code, goes_on) = tokio::try_join!(ending, called)?;
    anyhow::ensure!(code == 0, "the leader ended with {code}");
    end(t, name, &follower).await?;
    Ok(goes_on)
}

/// A leader, and another one that is ready to follow it.
async fn pair(t: &TestNamespace, times: &[&str]) -> anyhow::Result<[Arc<OperatorProcess>; 2]> {
    let candidate = async || {
        let launch = t
            .privileged_launch()?
            .arg("--leader-elect")
            .arg(format!("--leader-elect-resource-namespace={}", t.name));
        let launch = times.iter().fold(launch, |launch, time| launch.arg(*time));
        let operator = t.launch_operator(launch).await?;
        operator.ready().await?;
        anyhow::Ok(operator)
    };
    let leader = candidate().await?;
    let leases = t.api::<Lease>();
    eventually("a leader", async || {
        let held = leases
            .list(&<_>::default())
            .await?
            .items
            .into_iter()
            .any(|lease| {
                let holder = lease.spec.and_then(|spec| spec.holder_identity);
                holder.is_some_and(|holder| !holder.is_empty())
            });
        Ok(Seen::when(held.then_some(()), || {
            "nobody holds the lease".to_owned()
        }))
    })
    .await?;
    Ok([leader, candidate().await?])
}

/// Waits for the end of execution `name`, and leaves nobody behind.
async fn end(t: &TestNamespace, name: &str, operator: &OperatorProcess) -> anyhow::Result<()> {
    ended(t, name).await?;
    released(t, "shop").await?;
    operator.kill9().await?;
    t.api::<DRPlanExecution>()
        .delete(name, &DeleteParams::default())
        .await?;
    t.api::<Lease>()
        .delete_collection(&DeleteParams::default(), &<_>::default())
        .await?;
    Ok(())
}

async fn first_ready(operator: &OperatorProcess) -> anyhow::Result<()> {
    let url = operator.health_url("/readyz");
    let http = reqwest::Client::new();
    while !http.get(&url).send().await?.status().is_success() {
        sleep(ASKED_EVERY).await;
    }
    Ok(())
}
