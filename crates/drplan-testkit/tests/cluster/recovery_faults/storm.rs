//! Somebody who edits the objects of a run without a pause.

use drplan_testkit::{Answer, TestNamespace};
use futures::future::try_join_all;
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{assert_not_told, assert_received};
use crate::fixtures::{
    Manifest, apply, create, execution, execution_until, executions, job, plan, plans, post, released,
    revert, text, workflow,
};
use crate::shared;

/// Two people each edit labels and annotations of the plan, of a run and of its Revert in a loop, so that most writes
/// meet a newer version, also those of an operator that is started anew meanwhile. The user sees all end as without that,
/// each action after one attempt, and their edits kept; an execution that must wait its turn is refused as ever.
#[tokio::test]
async fn a_run_and_its_revert_end_amid_conflicts_that_never_stop() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = t.start_operator().await?;
        let flows = ["a", "b", "c"];
        for flow in flows {
            let at = |action: &str| t.stand_in.url(&format!("/{flow}-{action}"));
            let undone = |action: &str| {
                post(action, &at(action)).undone_by(post("undo", &at(&format!("{action}-undo"))))
            };
            let flow = workflow(flow).action(undone("first")).action(undone("last"));
            apply(t, &flow).await?;
        }
        apply(t, &workflow("jobs").action(job("work"))).await?;
        t.stand_in.script("/held", [Answer::ok().held(), Answer::ok()]);
        let held = post("held", &t.stand_in.url("/held"));
        apply(t, &workflow("held").action(held)).await?;
        let stages = plan("shop")
            .stage("held", &["held"])
            .stage_with("together", &flows, json!({"parallel": true}))
            .stage("jobs", &["jobs"]);
        apply(t, &stages).await?;

        let meanwhile = async || {
            t.stand_in.wait_for("/held", 1).await?;
            amid_edits(t, execution("second", "shop"), "Failed", async || Ok(())).await?;
            operator.restart().await
        };
        amid_edits(t, execution("run", "shop"), "Succeeded", meanwhile).await?;
        amid_edits(t, revert("undo", "shop", "run"), "Succeeded", async || Ok(())).await?;
        // The call of which the first process knew no answer was sent again.
        assert_received(t, "/held", 2);
        for flow in flows {
            for action in ["first", "last", "first-undo", "last-undo"] {
                assert_received(t, &format!("/{flow}-{action}"), 1);
            }
        }
        let left = t.api::<Job>().list(&ListParams::default()).await?.items;
        assert!(left.is_empty(), "{left:?}");
        Ok(())
    };
    control_plane.with_namespace("faults-storm", test).await
}

/// Creates the execution and sees it end in this phase while it and its plan are edited, and `meanwhile` happens.
async fn amid_edits(
    t: &TestNamespace,
    manifest: Manifest,
    phase: &str,
    meanwhile: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    create(t, &manifest).await?;
    let name = text(&manifest.0, "/metadata/name");
    let stop = CancellationToken::new();
    let (executions, plans) = (executions(t), plans(t));
    let editors = [
        (&executions, name, "x"),
        (&executions, name, "y"),
        (&plans, "shop", "x"),
        (&plans, "shop", "y"),
    ];
    let editing = try_join_all(editors.map(|(api, name, editor)| edit(api, name, editor, &stop)));
    let running = async {
        let _stop = stop.clone().drop_guard();
        meanwhile().await?;
        execution_until(t, name, phase).await?;
        if phase == "Succeeded" {
            released(t, name).await?;
        }
        assert_not_told(t, name, &["ActionRetrying", "ExecutionUnknown", "StatusRefused"]).await
    };
    tokio::try_join!(editing, running)?;
    let labels = executions.get(name).await?.metadata.labels.unwrap_or_default();
    assert!(
        labels.contains_key("edited-x") && labels.contains_key("edited-y"),
        "{labels:?}"
    );
    Ok(())
}

async fn edit(
    api: &Api<DynamicObject>,
    name: &str,
    editor: &str,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut count = 0_u32;
    while !stop.is_cancelled() {
        count += 1;
        let patch = json!({"metadata": {
            "labels": {format!("edited-{editor}"): count.to_string()},
            "annotations": {format!("edited.by/{editor}"): count.to_string()},
        }});
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
    }
    Ok(())
}
