//! What stays when records go: every object that an action made, and the snapshot that a Revert rests on.

use anyhow::Context;
use drplan_testkit::{Answer, TestNamespace, object_until};
use k8s_openapi::api::{apps::v1::ControllerRevision, batch::v1::Job, core::v1::ConfigMap};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    fixtures::{
        Action, apply_plan, call, clusternet, clusternet_api, config_map, create, execution, execution_until,
        executions, job, our_api, plans, post, released, resource, revert, text,
    },
    shared,
};

/// One action of each type that makes an object.
fn makers() -> [Action; 5] {
    let feed = json!({"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web"});
    let overrides = json!([{"name": "replicas", "type": "JSONPatch", "value": "[1]"}]);
    let place = json!({"name": "made", "overridePolicy": "ApplyNow", "feed": feed, "overrides": overrides});
    let subscribers = json!([{"clusterAffinity": {"matchLabels": {"site": "b"}}}]);
    let spread = json!({"name": "made", "feeds": [feed], "subscribers": subscribers});
    [
        job("work"),
        clusternet("place", "Localization", "Create", place),
        clusternet("spread", "Subscription", "Apply", spread),
        resource("make", "Create", &config_map("made", "a: b")),
        resource("apply", "Apply", &config_map("applied", "a: b")),
    ]
}

/// All objects that our actions made and that nobody deletes: `"Job/<uid>"`.
async fn made(t: &TestNamespace) -> anyhow::Result<Vec<String>> {
    let ours = ListParams::default().labels("dr.bkbcs.tencent.com/plan");
    let mut made = Vec::new();
    let mut tell = |kind: &str, object: Value| {
        assert_eq!(object["metadata"]["ownerReferences"], Value::Null, "{kind}");
        if object["metadata"]["deletionTimestamp"].is_null() {
            made.push(format!("{kind}/{}", text(&object, "/metadata/uid")));
        }
    };
    for job in t.api::<Job>().list(&ours).await? {
        tell("Job", serde_json::to_value(job)?);
    }
    for map in t.api::<ConfigMap>().list(&ours).await? {
        tell("ConfigMap", serde_json::to_value(map)?);
    }
    for kind in ["Localization", "Subscription"] {
        for object in clusternet_api(t, kind).list(&ours).await? {
            tell(kind, serde_json::to_value(object)?);
        }
    }
    Ok(made)
}

async fn remove(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<()> {
    api.delete(name, &DeleteParams::default()).await?;
    object_until(api, name, "is gone", |object| object.is_none().then_some(())).await
}

/// The name of the execution's snapshot.
async fn snapshot(t: &TestNamespace, execution: &str) -> anyhow::Result<String> {
    let found = executions(t).get(execution).await?.data;
    let name = text(&found, "/status/snapshot/name");
    anyhow::ensure!(!name.is_empty(), "{execution} names no snapshot: {found}");
    Ok(name.to_owned())
}

/// Waits until the garbage collector has taken the snapshot.
async fn collected(t: &TestNamespace, name: &str) -> anyhow::Result<()> {
    object_until(&t.api::<ControllerRevision>(), name, "is collected", |object| {
        object.is_none().then_some(())
    })
    .await
}

/// Waits until this execution is the snapshot's only owner: the garbage collector has seen that another is gone.
async fn owned_by_alone(t: &TestNamespace, name: &str, owner: &str) -> anyhow::Result<()> {
    object_until(&t.api::<ControllerRevision>(), name, "has one owner", |object| {
        let owners = object?.metadata.owner_references.as_deref().unwrap_or_default();
        matches!(owners, [one] if one.name == owner).then_some(())
    })
    .await
}

#[tokio::test]
async fn what_actions_made_outlives_every_record_of_them() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        apply_plan(t, "shop", &makers()).await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        let before = made(t).await?;
        assert_eq!(before.len(), 5, "{before:?}");
        let snapshot = snapshot(t, "run").await?;
        remove(&plans(t), "shop").await?;
        remove(&our_api(t, "DRWorkflow"), "shop").await?;
        remove(&executions(t), "run").await?;
        collected(t, &snapshot).await?;
        assert_eq!(made(t).await?, before);
        Ok(())
    };
    shared().await?.with_namespace("left-run", test).await
}

#[tokio::test]
async fn what_rollbacks_made_outlives_the_revert_and_its_target() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let url = t.stand_in.url("/tell");
        let actions = makers().map(|maker| {
            let name = text(&maker.0, "/name").to_owned();
            post(&name, &url).undone_by(maker)
        });
        apply_plan(t, "shop", &actions).await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        create(t, &revert("back", "shop", "run")).await?;
        execution_until(t, "back", "Succeeded").await?;
        released(t, "back").await?;
        let before = made(t).await?;
        assert_eq!(before.len(), 5, "{before:?}");
        let (of_run, of_back) = (snapshot(t, "run").await?, snapshot(t, "back").await?);
        assert_ne!(of_run, of_back);

        remove(&executions(t), "run").await?;
        owned_by_alone(t, &of_run, "back").await?;
        remove(&plans(t), "shop").await?;
        remove(&executions(t), "back").await?;
        collected(t, &of_run).await?;
        collected(t, &of_back).await?;
        assert_eq!(made(t).await?, before);
        Ok(())
    };
    shared().await?.with_namespace("left-revert", test).await
}

#[tokio::test]
async fn a_revert_goes_on_after_its_target_was_deleted() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        let operator = t.start_operator().await?;
        let url = |path: &str| t.stand_in.url(path);
        let there = json!({"metadata": {"name": "patched"}, "data": {"mode": "normal"}});
        let there: ConfigMap = serde_json::from_value(there)?;
        t.api::<ConfigMap>()
            .create(&PostParams::default(), &there)
            .await?;
        let actions = [
            resource("make", "Create", &config_map("made", "a: b")),
            resource("patch", "Patch", &config_map("patched", "mode: dr")).undone_by(resource(
                "",
                "Patch",
                &config_map("patched", "mode: \"{{ .executionName }}\""),
            )),
            post("call", &url("/call")).undone_by(call("", "PUT", &url("/back"))),
        ];
        apply_plan(t, "shop", &actions).await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        let of_run = snapshot(t, "run").await?;
        t.stand_in.script("/back", [Answer::ok().held()]);
        create(t, &revert("back", "shop", "run")).await?;
        t.stand_in.wait_for("/back", 1).await?;
        remove(&executions(t), "run").await?;
        owned_by_alone(t, &of_run, "back").await?;
        // The successor has nothing but what is stored.
        operator.kill9().await?;
        t.start_operator().await?;
        t.stand_in.wait_for("/back", 2).await?;
        t.stand_in.release("/back");
        let undone = execution_until(t, "back", "Succeeded").await?;
        released(t, "back").await?;
        let uid = text(&undone, "/status/reverts/uid");
        assert_eq!(
            t.stand_in.count_by_key("/back"),
            [(format!("{uid}/main/shop[0]/call/undo"), 2)].into()
        );
        let maps = t.api::<ConfigMap>();
        assert!(maps.get_opt("made").await?.is_none());
        let patched = maps.get("patched").await?.data.context("it has data")?;
        assert_eq!(patched["mode"], "run");
        Ok(())
    };
    shared().await?.with_namespace("left-target", test).await
}
