//! Objects that a tool has kept one by one and creates anew, such as Velero or `kubectl get -o yaml`: they get other UIDs,
//! and no status unless the tool writes that as well.

use anyhow::Context;
use drplan_testkit::{Answer, TestNamespace, etcd_key};
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::Api;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::fixtures::{
    annotate, apply_plan, create, execution, execution_until, executions, our_api, ours, phases, post,
    released, revert, text,
};
use crate::shared;

const KINDS: [&str; 3] = ["DRWorkflow", "DRPlan", "DRPlanExecution"];

/// What a tool has kept of the namespace.
struct Kept {
    ours: Vec<(&'static str, DynamicObject)>,
    revisions: Vec<ControllerRevision>,
}

/// Keeps everything, and loses it: finalizers hold nothing up where a whole cluster is gone.
async fn lose(t: &TestNamespace) -> anyhow::Result<Kept> {
    let all = ListParams::default();
    let mut kept = Kept {
        ours: Vec::new(),
        revisions: t.api::<ControllerRevision>().list(&all).await?.items,
    };
    for kind in KINDS {
        for object in our_api(t, kind).list(&all).await? {
            let plural = format!("{}s", kind.to_lowercase());
            let name = object.metadata.name.clone().context("it has a name")?;
            let key = etcd_key("dr.bkbcs.tencent.com", &plural, Some(&t.name), &name);
            t.control_plane.etcd_delete(&key).await?;
            kept.ours.push((kind, object));
        }
    }
    for revision in &kept.revisions {
        let name = revision.metadata.name.as_deref().unwrap_or_default();
        let key = format!("/registry/controllerrevisions/{}/{name}", t.name);
        t.control_plane.etcd_delete(&key).await?;
    }
    Ok(kept)
}

/// Creates it anew; with statuses if the tool is told to.
async fn put_back(t: &TestNamespace, kept: Kept, with_status: bool) -> anyhow::Result<()> {
    for (kind, mut object) in kept.ours {
        anew(&mut object.metadata);
        let api: Api<DynamicObject> = our_api(t, kind);
        api.create(&PostParams::default(), &object).await?;
        let name = object.metadata.name.clone().unwrap_or_default();
        let status = object.data.get("status").filter(|_| with_status);
        if let Some(status) = status {
            let patch = Patch::Merge(json!({"status": status}));
            api.patch_status(&name, &PatchParams::default(), &patch).await?;
        }
    }
    for mut revision in kept.revisions {
        anew(&mut revision.metadata);
        t.api::<ControllerRevision>()
            .create(&PostParams::default(), &revision)
            .await?;
    }
    Ok(())
}

fn anew(metadata: &mut kube::api::ObjectMeta) {
    metadata.uid = None;
    metadata.resource_version = None;
    metadata.creation_timestamp = None;
    metadata.managed_fields = None;
}

/// A run that has ended, one that is cut off, and everything lost and put back.
async fn restored(t: &TestNamespace, with_status: bool) -> anyhow::Result<()> {
    t.stand_in.script("/held", [Answer::ok().held(), Answer::ok()]);
    apply_plan(t, "one", &[post("call", &t.stand_in.url("/call"))]).await?;
    apply_plan(t, "two", &[post("call", &t.stand_in.url("/held"))]).await?;
    let operator = t.start_operator().await?;
    create(t, &execution("ended", "one")).await?;
    execution_until(t, "ended", "Succeeded").await?;
    released(t, "ended").await?;
    create(t, &execution("running", "two")).await?;
    t.stand_in.wait_for("/held", 1).await?;
    operator.kill9().await?;
    let kept = lose(t).await?;
    put_back(t, kept, with_status).await?;
    operator.restart().await
}

async fn already_ran(t: &TestNamespace, name: &str) -> anyhow::Result<()> {
    let failed = execution_until(t, name, "Failed").await?;
    let message = text(&failed, "/status/message");
    assert!(message.starts_with("AlreadyRan: "), "{message}");
    released(t, name).await?;
    Ok(())
}

#[tokio::test]
async fn executions_that_are_restored_without_their_status_never_run_again() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        restored(t, false).await?;
        for name in ["ended", "running"] {
            already_ran(t, name).await?;
        }
        let sent = [
            t.stand_in.requests("/call").len(),
            t.stand_in.requests("/held").len(),
        ];
        assert_eq!(sent, [1, 1]);
        // What they were is lost with their status: there is nothing to undo. The plans can be run.
        create(
            t,
            &revert("undo", "one", "ended").with("allowPartial", true.into()),
        )
        .await?;
        let refused = execution_until(t, "undo", "Failed").await?;
        let message = text(&refused, "/status/message").to_owned();
        assert!(message.starts_with("RevertTargetNotExecuted: "), "{message}");
        for (name, plan) in [("again-one", "one"), ("again-two", "two")] {
            create(t, &execution(name, plan)).await?;
            execution_until(t, name, "Succeeded").await?;
        }
        Ok(())
    };
    control_plane.with_namespace("restore-bare", test).await
}

/// The snapshot belongs to the execution that was: the garbage collector takes it, and until then it is not used.
#[tokio::test]
async fn executions_that_are_restored_with_their_status_are_not_gone_on_with() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        restored(t, true).await?;
        let doubted = execution_until(t, "running", "Unknown").await?;
        let message = text(&doubted, "/status/message");
        assert!(message.starts_with("SnapshotLost: "), "{message}");
        annotate(&executions(t), "running", &ours("cancel"), Some("true")).await?;
        execution_until(t, "running", "Cancelled").await?;
        released(t, "running").await?;

        let ended = execution_until(t, "ended", "Succeeded").await?;
        assert_eq!(phases(&ended), "call Succeeded");
        create(t, &revert("undo", "one", "ended")).await?;
        let refused = execution_until(t, "undo", "Failed").await?;
        let message = text(&refused, "/status/message");
        assert!(
            message.starts_with("SnapshotLost: ")
                && message.contains("undo by hand what it did: main/one[0]/call"),
            "{message}"
        );
        let sent = [
            t.stand_in.requests("/call").len(),
            t.stand_in.requests("/held").len(),
        ];
        assert_eq!(sent, [1, 1]);
        Ok(())
    };
    control_plane.with_namespace("restore-status", test).await
}
