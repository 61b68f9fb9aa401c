//! Several operators of which the lease lets one act: it dies, gives way, stands still, loses the lease, finds none.

use std::sync::Arc;

use anyhow::{Context, ensure};
use drplan_testkit::{Answer, OperatorLaunch, OperatorProcess, TestNamespace, object_until};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::fixtures::{
    apply_plan, create, execution, execution_until, execution_where, executions, logged, phases, post,
    released, text,
};
use crate::shared;

const LEASE: &str = "drplan-operator";

#[tokio::test]
async fn a_leader_that_is_killed_in_mid_call_is_followed_by_one_that_repeats_the_call() -> anyhow::Result<()>
{
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        follow(t, async |leader| leader.kill9().await).await?;
        Ok(())
    };
    control_plane.with_namespace("lease-killed", test).await
}

#[tokio::test]
async fn a_follower_does_nothing_and_a_leader_that_ends_gives_the_lease_back() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        apply_two(t).await?;
        let leader = t.launch_operator(candidate(t, "a")?).await?;
        holder(t, |holder| holder.starts_with("a_")).await?;
        let follower = t.launch_operator(candidate(t, "b")?).await?;
        follower.ready().await?;
        create(t, &execution("one", "shop")).await?;
        let done = execution_until(t, "one", "Succeeded").await?;
        released(t, "one").await?;
        let first = epoch(&done).context("it ran")?;

        ensure!(leader.terminate().await? == 0, "it ends well");
        logged(&leader, "the lease is given back").await?;
        holder(t, |holder| holder.starts_with("b_")).await?;
        create(t, &execution("two", "shop")).await?;
        let done = execution_until(t, "two", "Succeeded").await?;
        let second = epoch(&done).context("it ran")?;
        ensure!(
            second.0 != first.0 && second.1 > first.1,
            "{second:?} follows {first:?}"
        );
        let claims = follower
            .log()?
            .into_iter()
            .filter(|line| line["reason"] == "ExecutionClaimed");
        ensure!(claims.count() == 0, "a run that had ended was claimed");
        ensure!(
            t.stand_in.count_by_key("/first").values().eq([&1, &1]),
            "each was sent once"
        );
        Ok(())
    };
    control_plane.with_namespace("lease-term", test).await
}

#[tokio::test]
async fn a_leader_that_stood_still_past_its_lease_begins_nothing_and_writes_nothing() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.stand_in
            .script("/first", [Answer::ok().held(), Answer::status(204)]);
        t.stand_in.script("/last", [Answer::ok().held()]);
        apply_two(t).await?;
        let stopped = t.launch_operator(candidate(t, "a")?).await?;
        holder(t, |holder| holder.starts_with("a_")).await?;
        let successor = t.launch_operator(candidate(t, "b")?).await?;
        successor.ready().await?;
        create(t, &execution("run", "shop")).await?;
        t.stand_in.wait_for("/first", 1).await?;
        stopped.stop()?;
        holder(t, |holder| holder.starts_with("b_")).await?;
        t.stand_in.wait_for("/last", 1).await?;
        let claimed = epoch_now(t).await?;
        // Its answer waits for it.
        t.stand_in.release("/first");

        let user = user_of(t, "a");
        let since = t.control_plane.audit().from_now().user(&user);
        stopped.cont()?;
        logged(&stopped, "the run is dropped").await?;
        let writes = ["create", "update", "patch", "delete"];
        let query = writes.iter().fold(since.clone(), |query, verb| query.verb(verb));
        let wrote = query.entries()?.into_iter().filter(|entry| entry.code() < 300);
        let wrote: Vec<String> = wrote.map(|entry| entry.request_uri).collect();
        ensure!(
            wrote.iter().all(|uri| uri.contains("/events")),
            "after it went on it wrote {wrote:?}"
        );
        t.stand_in.release("/last");
        let done = execution_until(t, "run", "Succeeded").await?;
        ensure!(epoch(&done) == Some(claimed), "another process has claimed it");
        ensure_sent(t, 2)
    };
    control_plane.with_namespace("lease-stopped", test).await
}

#[tokio::test]
async fn a_leader_that_loses_the_lease_keeps_its_results_and_goes_on_if_nobody_claimed_the_run()
-> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.stand_in.script("/first", [Answer::ok().held(), Answer::ok()]);
        apply_two(t).await?;
        let operator = t.launch_operator(candidate(t, "a")?).await?;
        create(t, &execution("run", "shop")).await?;
        t.stand_in.wait_for("/first", 1).await?;
        let before = epoch_now(t).await?;

        take_lease(t, "somebody", 3600).await?;
        logged(&operator, "this process leads no longer").await?;
        let version = executions(t).get("run").await?.metadata.resource_version;
        t.stand_in.release("/first");
        create(t, &execution("next", "shop")).await?;
        // It has been looked at anew, by the watch or by the re-list, and nothing came of it.
        executions_listed(t).await?;
        ensure!(
            executions(t).get("run").await?.metadata.resource_version == version,
            "it wrote without the lease"
        );
        ensure!(t.stand_in.requests("/last").is_empty(), "it began an action");

        take_lease(t, "", 1).await?;
        let done = execution_until(t, "run", "Succeeded").await?;
        let after = epoch(&done).context("it ran")?;
        ensure!(after.0 == before.0, "another process has claimed it");
        let counts = ["/first", "/last"].map(|path| t.stand_in.count_by_key(path));
        ensure!(
            counts
                .iter()
                .all(|counts| counts.values().all(|count| *count == 1)),
            "{counts:?}"
        );
        execution_where(t, "next", "ends", |next| {
            (!text(next, "/status/completionTime").is_empty()).then_some(())
        })
        .await?;
        Ok(())
    };
    control_plane.with_namespace("lease-lost", test).await
}

#[tokio::test]
async fn runs_outlive_the_lease_and_the_election() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.stand_in.script(
            "/first",
            [
                Answer::ok().held(),
                Answer::ok().held(),
                Answer::ok().held(),
                Answer::ok(),
            ],
        );
        apply_two(t).await?;
        take_lease_anew(t, 41).await?;
        let first = t.launch_operator(candidate(t, "a")?).await?;
        create(t, &execution("run", "shop")).await?;
        t.stand_in.wait_for("/first", 1).await?;
        ensure!(epoch_now(t).await?.1 == 42, "the lease counts on");
        first.kill9().await?;
        // As after an uninstallation: the runs are there, the lease is not.
        t.api::<Lease>().delete(LEASE, &DeleteParams::default()).await?;
        let second = t.launch_operator(candidate(t, "b")?).await?;
        t.stand_in.wait_for("/first", 2).await?;
        let claimed = epoch_now(t).await?;
        ensure!(
            claimed.1 == 43,
            "a new lease counts on from the runs: {claimed:?}"
        );
        second.kill9().await?;
        // Without an election any run that is found is this process's.
        let alone = t.start_operator().await?;
        t.stand_in.wait_for("/first", 3).await?;
        ensure!(epoch_now(t).await?.1 == 43, "the count stays");
        alone.kill9().await?;
        let last = t.launch_operator(candidate(t, "c")?).await?;
        let done = execution_until(t, "run", "Succeeded").await?;
        let end = epoch(&done).context("it ran")?;
        ensure!(end.1 > 43, "{end:?}");
        ensure!(last.terminate().await? == 0, "it ends well");
        Ok(())
    };
    control_plane.with_namespace("lease-anew", test).await
}

#[tokio::test]
async fn a_lease_deleted_under_its_holder_makes_another_go_on_at_once_in_a_later_term() -> anyhow::Result<()>
{
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let leader = follow(t, async |leader| {
            // It is not there to make the lease anew itself.
            leader.stop()?;
            t.api::<Lease>().delete(LEASE, &DeleteParams::default()).await?;
            Ok(())
        })
        .await?;
        leader.cont()?;
        logged(&leader, "this process leads no longer").await
    };
    control_plane.with_namespace("lease-deleted", test).await
}

/// Lets one of two operators lead and the other follow it once `lose` has disturbed the first in mid-call: it repeats
/// that call and carries the run to its end in a later term. Returns the operator that led.
async fn follow(
    t: &TestNamespace,
    lose: impl AsyncFnOnce(&OperatorProcess) -> anyhow::Result<()>,
) -> anyhow::Result<Arc<OperatorProcess>> {
    t.stand_in.script("/first", [Answer::ok().held(), Answer::ok()]);
    apply_two(t).await?;
    let leader = t.launch_operator(candidate(t, "a")?).await?;
    let held_by = holder(t, |holder| holder.starts_with("a_")).await?;
    let follower = t.launch_operator(candidate(t, "b")?).await?;
    follower.ready().await?;
    create(t, &execution("run", "shop")).await?;
    t.stand_in.wait_for("/first", 1).await?;
    let before = epoch_now(t).await?;
    ensure!(
        held_by == format!("a_{}", before.0),
        "{held_by} leads, {before:?} acts"
    );

    lose(&leader).await?;
    let done = execution_until(t, "run", "Succeeded").await?;
    released(t, "run").await?;
    ensure!(phases(&done) == "first Succeeded, last Succeeded", phases(&done));
    let after = epoch(&done).context("it was claimed")?;
    ensure!(
        after.0 != before.0 && after.1 > before.1,
        "{after:?} follows {before:?}"
    );
    holder(t, |holder| holder == format!("b_{}", after.0)).await?;
    ensure_sent(t, 2)?;
    Ok(leader)
}

/// Checks that the first call was sent so often under one key, and the last one once.
fn ensure_sent(t: &TestNamespace, first: usize) -> anyhow::Result<()> {
    let counts = ["/first", "/last"].map(|path| t.stand_in.count_by_key(path));
    ensure!(
        counts[0].values().eq([&first]) && counts[1].values().eq([&1]),
        "{counts:?}"
    );
    Ok(())
}

async fn apply_two(t: &TestNamespace) -> anyhow::Result<()> {
    let actions =
        ["first", "last"].map(|name| post(name, &t.stand_in.url(&format!("/{name}"))).timeout("10m"));
    apply_plan(t, "shop", &actions).await
}

/// An operator that stands for election, with a user and a name of its own.
fn candidate(t: &TestNamespace, name: &str) -> anyhow::Result<OperatorLaunch> {
    let kubeconfig = t
        .control_plane
        .kubeconfig_for(&user_of(t, name), Some("system:masters"))?;
    let launch = t.operator_launch()?.kubeconfig(kubeconfig).env("HOSTNAME", name);
    Ok(launch
        .arg("--reconcile-interval=2s")
        .arg("--leader-elect")
        .arg(format!("--leader-elect-resource-namespace={}", t.name))
        .arg("--leader-elect-lease-duration=3s")
        .arg("--leader-elect-renew-deadline=2s")
        .arg("--leader-elect-retry-period=500ms"))
}

fn user_of(t: &TestNamespace, name: &str) -> String {
    format!("{name}:{}", t.name)
}

/// Waits for a holder of the lease that `check` takes.
async fn holder(t: &TestNamespace, check: impl Fn(&str) -> bool) -> anyhow::Result<String> {
    object_until(&t.api::<Lease>(), LEASE, "is held", |lease| {
        let holder = lease?.spec.as_ref()?.holder_identity.clone()?;
        check(&holder).then_some(holder)
    })
    .await
}

/// Gives the lease to `holder`, as if it had been renewed just now.
async fn take_lease(t: &TestNamespace, holder: &str, seconds: u32) -> anyhow::Result<()> {
    let spec = json!({"spec": {"holderIdentity": holder, "leaseDurationSeconds": seconds}});
    t.api::<Lease>()
        .patch(LEASE, &PatchParams::default(), &Patch::Merge(spec))
        .await?;
    Ok(())
}

/// A lease that nobody holds and that has changed hands so often.
async fn take_lease_anew(t: &TestNamespace, transitions: u32) -> anyhow::Result<()> {
    let lease = json!({
        "metadata": {"name": LEASE},
        "spec": {"holderIdentity": "", "leaseDurationSeconds": 1, "leaseTransitions": transitions},
    });
    let lease: Lease = serde_json::from_value(lease)?;
    t.api::<Lease>()
        .create(&kube::api::PostParams::default(), &lease)
        .await?;
    Ok(())
}

/// Waits until the operator has listed all executions twice more.
async fn executions_listed(t: &TestNamespace) -> anyhow::Result<()> {
    let user = user_of(t, "a");
    let lists = t.control_plane.audit().from_now().user(&user).verb("list");
    lists.resource("drplanexecutions").wait_for(2).await?;
    Ok(())
}

/// Who acts on the run, read live, and in which term.
async fn epoch_now(t: &TestNamespace) -> anyhow::Result<(String, u64)> {
    let run = executions(t).get("run").await?;
    epoch(&run.data).context("it was claimed")
}

fn epoch(execution: &Value) -> Option<(String, u64)> {
    let process = text(execution, "/status/epoch/process");
    let transitions = execution.pointer("/status/epoch/leaseTransitions")?.as_u64()?;
    (!process.is_empty()).then(|| (process.to_owned(), transitions))
}
