//! Watches that begin at a version that nobody keeps any more.

use drplan_testkit::{Component, ProxyMode, TestNamespace, object_until};
use kube::api::DeleteParams;

use super::{assert_not_told, assert_received, silence::begin_runs};
use crate::fixtures::{
    annotate, apply_plan, create, execution, execution_until, executions, our_api, ours, phases, plans, post,
    released, text,
};
use crate::recovery_contact::behind_a_proxy;

/// An operator that was cut off while etcd was compacted and the API server restarted: its watches are answered with
/// 410 Gone. The user sees nothing of it but lines in the log: what was created, deleted and commanded meanwhile is found
/// by the list that follows, and runs go on.
pub(super) async fn watches_are_too_old(t: &TestNamespace) -> anyhow::Result<()> {
    // An API server that starts forbids what it has not read the roles for yet.
    t.expect_refusals();
    let (launch, proxy) = behind_a_proxy(t).await?;
    // So that nothing but the watches finds anything.
    let launch = launch.arg("--reconcile-interval=1h");
    let operator = t.launch_operator(launch).await?;
    operator.ready().await?;
    apply_plan(t, "orphan", &[post("call", &t.stand_in.url("/orphan"))]).await?;
    plan_until(t, "orphan", "Ready").await?;
    begin_runs(t, &["shop", "ordered"]).await?;

    proxy.set(ProxyMode::Cut).await?;
    our_api(t, "DRWorkflow")
        .delete("orphan", &DeleteParams::default())
        .await?;
    apply_plan(t, "new", &[post("call", &t.stand_in.url("/new"))]).await?;
    create(t, &execution("new", "new")).await?;
    annotate(&executions(t), "ordered", &ours("cancel"), Some("true")).await?;
    t.stand_in.release("/shop");
    t.control_plane.etcd_compact().await?;
    // Its memory of what came last would hide the compaction.
    t.control_plane.kill(Component::ApiServer)?;
    t.control_plane.restart(Component::ApiServer).await?;
    proxy.set(ProxyMode::Pass).await?;

    for kind in ["drworkflows", "drplans", "drplanexecutions"] {
        operator
            .logged(&format!("that the watch of {kind} is too old"), |line| {
                let is_of_kind = line["kind"] == *kind && line["message"].as_str()?.contains("a watch was");
                let is_gone = line["error"].as_str()?.contains("too old resource version");
                (is_of_kind && is_gone).then_some(())
            })
            .await?;
    }
    plan_until(t, "orphan", "Invalid").await?;
    execution_until(t, "new", "Succeeded").await?;
    let done = execution_until(t, "shop", "Succeeded").await?;
    assert_eq!(phases(&done), "call Succeeded, next Succeeded");
    t.stand_in.release("/ordered");
    let ended = execution_until(t, "ordered", "Cancelled").await?;
    assert_eq!(phases(&ended), "call Succeeded, next Skipped");
    for name in ["new", "shop", "ordered"] {
        released(t, name).await?;
        assert_not_told(t, name, &["ActionRepeated", "ExecutionUnknown"]).await?;
        assert_received(t, &format!("/{name}"), 1);
    }
    assert_received(t, "/after-shop", 1);
    assert_eq!(t.stand_in.requests("/after-ordered").len(), 0);
    Ok(())
}

async fn plan_until(t: &TestNamespace, name: &str, phase: &str) -> anyhow::Result<()> {
    object_until(&plans(t), name, phase, |plan| {
        (text(&plan?.data, "/status/phase") == phase).then_some(())
    })
    .await
}
