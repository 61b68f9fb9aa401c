//! The definitions of our kinds are deleted in the middle of a run.

use drplan_testkit::{TestNamespace, object_until, operator_crds};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::DeleteParams;

use super::{assert_received, silence::begin_runs};
use crate::fixtures::{
    apply_plan, create, event, execution, execution_until, execution_where, logged, phases, post, released,
    text,
};

/// Somebody deletes the three definitions. The user sees the run cancelled as by a deletion: it stays, Running with the
/// condition `Cancelling`, until the call in flight has its answer, then it is gone with everything else, and only events
/// and the log tell of it. Once the definitions are back the same operator serves new plans.
pub(super) async fn go_and_come_back(t: &TestNamespace) -> anyhow::Result<()> {
    let launch = t.operator_launch()?.arg("--reconcile-interval=1h");
    let operator = t.launch_operator(launch).await?;
    operator.ready().await?;
    begin_runs(t, &["run"]).await?;

    let definitions: Api<CustomResourceDefinition> = Api::all(t.client.clone());
    let names =
        ["drworkflows", "drplans", "drplanexecutions"].map(|kind| format!("{kind}.dr.bkbcs.tencent.com"));
    for name in &names {
        definitions.delete(name, &DeleteParams::default()).await?;
    }
    let going = execution_where(t, "run", "that it is cancelled", |seen| {
        seen["status"]["cancellation"].is_object().then(|| seen.clone())
    })
    .await?;
    assert_eq!(text(&going, "/status/phase"), "Running");
    assert_eq!(phases(&going), "call Running, next Skipped");
    t.stand_in.release("/run");
    for name in &names {
        object_until(&definitions, name, "is gone", |found| {
            found.is_none().then_some(())
        })
        .await?;
    }
    assert_eq!(
        event(t, "run", "ExecutionCancelled").await?,
        "Execution cancelled by deletion"
    );
    assert_received(t, "/run", 1);
    assert_eq!(t.stand_in.requests("/after-run").len(), 0);
    logged(&operator, "a watch was interrupted").await?;

    let texts = tokio::task::spawn_blocking(operator_crds).await??;
    t.control_plane.install_crds(&texts).await?;
    apply_plan(t, "anew", &[post("call", &t.stand_in.url("/anew"))]).await?;
    create(t, &execution("anew", "anew")).await?;
    execution_until(t, "anew", "Succeeded").await?;
    released(t, "anew").await?;
    assert_received(t, "/anew", 1);
    Ok(())
}
