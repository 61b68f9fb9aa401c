//! Localizations and Subscriptions.

use anyhow::{Context, ensure};
use drplan_testkit::{TestNamespace, object_until};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    fixtures::{
        Action, action_of, apply_plan, clusternet, clusternet_api, create, execution, execution_until,
        phases, released, revert, text,
    },
    shared,
};

fn localization(name: &str, operation: &str, fields: Value) -> Action {
    clusternet(name, "Localization", operation, fields)
}

fn subscription(name: &str, operation: &str, fields: Value) -> Action {
    clusternet(name, "Subscription", operation, fields)
}

fn overrides(value: &str) -> Value {
    json!([{"name": "replicas", "type": "JSONPatch", "value": value}])
}

fn feeds(name: &str) -> Value {
    json!([{"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": name}])
}

fn subscribers() -> Value {
    json!([{"clusterAffinity": {"matchLabels": {"site": "b"}}}])
}

/// Somebody makes an object of this kind.
async fn makes(api: &Api<DynamicObject>, kind: &str, name: &str, spec: Value) -> anyhow::Result<Value> {
    let object = json!({
        "apiVersion": "apps.clusternet.io/v1alpha1", "kind": kind,
        "metadata": {"name": name, "labels": {"app": "theirs"}}, "spec": spec,
    });
    let made = api
        .create(&PostParams::default(), &serde_json::from_value(object)?)
        .await?;
    Ok(serde_json::to_value(made)?)
}

async fn sees(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<Option<Value>> {
    let object = api.get_opt(name).await?;
    Ok(object.map(serde_json::to_value).transpose()?)
}

async fn remakes(api: &Api<DynamicObject>, kind: &str, name: &str, spec: Value) -> anyhow::Result<Value> {
    api.delete(name, &DeleteParams::default()).await?;
    object_until(api, name, "is gone", |object| object.is_none().then_some(())).await?;
    makes(api, kind, name, spec).await
}

/// Covers US7.2, FR-013a.
#[tokio::test]
async fn localizations_of_others_are_not_created_over_nor_deleted() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let all = clusternet_api(t, "Localization");
        let spec = || json!({"overridePolicy": "ApplyNow", "priority": 700, "overrides": overrides("[]")});
        let theirs = makes(&all, "Localization", "existed", spec()).await?;
        let feed = feeds("web")[0].clone();
        let written = |name: &str| json!({"name": name, "overridePolicy": "ApplyNow", "feed": feed, "overrides": overrides("[1]")});
        apply_plan(t, "taken", &[localization("make", "Create", written("existed"))]).await?;
        create(t, &execution("taken", "taken")).await?;
        let failed = execution_until(t, "taken", "Failed").await?;
        let message = text(&failed, "/status/message");
        ensure!(
            message.contains("existed exists and was not made by this action"),
            "{message}"
        );
        ensure!(
            sees(&all, "existed").await? == Some(theirs.clone()),
            "it was touched"
        );

        // Patch brings in no default, and its rollback takes back what it wrote and no more.
        let back = json!({"name": "existed", "overrides": overrides("[]")});
        let patch = localization(
            "patch",
            "Patch",
            json!({"name": "existed", "overrides": overrides("[1]")}),
        )
        .undone_by(localization("", "Patch", back));
        let actions = [localization("make", "Create", written("made")), patch];
        apply_plan(t, "shop", &actions).await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        let patched = sees(&all, "existed").await?.context("it is there")?;
        let mut expected = spec();
        expected["overrides"] = overrides("[1]");
        ensure!(patched["spec"] == expected, "{patched}");
        ensure!(
            patched["metadata"]["labels"] == theirs["metadata"]["labels"],
            "{patched}"
        );

        let anew = remakes(&all, "Localization", "made", spec()).await?;
        create(t, &revert("back", "shop", "run")).await?;
        let undone = execution_until(t, "back", "Succeeded").await?;
        let message = text(action_of(&undone, "main/shop[0]/make"), "/message");
        ensure!(
            message == "made is another object by now and was left alone",
            "{message}"
        );
        ensure!(sees(&all, "made").await? == Some(anew), "it was touched");
        let back = sees(&all, "existed").await?.context("it is there")?;
        ensure!(back["spec"] == theirs["spec"], "{back}");
        ensure!(back["metadata"]["uid"] == theirs["metadata"]["uid"], "{back}");
        Ok(())
    };
    shared().await?.with_namespace("states-localization", test).await
}

/// Covers US8.2, FR-013b, FR-013c.
#[tokio::test]
async fn subscriptions_of_others_keep_what_is_theirs() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let all = clusternet_api(t, "Subscription");
        let spec = || json!({"schedulingStrategy": "Replication", "feeds": feeds("web"), "subscribers": subscribers()});
        let theirs = makes(&all, "Subscription", "existed", spec()).await?;
        let written =
            |name: &str| json!({"name": name, "feeds": feeds("shop"), "subscribers": subscribers()});
        let patch = subscription(
            "patch",
            "Patch",
            json!({"name": "existed", "feeds": feeds("shop")}),
        )
        .undone_by(subscription(
            "",
            "Patch",
            json!({"name": "existed", "feeds": feeds("web")}),
        ));
        let actions = [
            subscription("make", "Create", written("made")),
            subscription("apply", "Apply", written("applied")),
            subscription("changed", "Apply", written("changed")),
            patch,
            subscription("delete", "Delete", json!({"name": "absent"})),
        ];
        apply_plan(t, "shop", &actions).await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        let patched = sees(&all, "existed").await?.context("it is there")?;
        ensure!(patched["spec"]["feeds"] == feeds("shop"), "{patched}");
        ensure!(
            patched["spec"]["schedulingStrategy"] == "Replication",
            "{patched}"
        );

        let anew = remakes(&all, "Subscription", "applied", spec()).await?;
        let changed = Patch::Merge(json!({"spec": {"schedulingStrategy": "Dividing"}}));
        all.patch("changed", &PatchParams::default(), &changed).await?;
        create(t, &revert("back", "shop", "run")).await?;
        let undone = execution_until(t, "back", "Succeeded").await?;
        ensure!(
            phases(&undone)
                == "make Succeeded, apply Succeeded, changed Succeeded, patch Succeeded, delete Skipped",
            phases(&undone)
        );
        for gone in ["made", "changed"] {
            ensure!(sees(&all, gone).await?.is_none(), "{gone} is there");
        }
        ensure!(sees(&all, "applied").await? == Some(anew), "it was touched");
        let back = sees(&all, "existed").await?.context("it is there")?;
        ensure!(back["spec"] == theirs["spec"], "{back}");
        ensure!(back["metadata"]["uid"] == theirs["metadata"]["uid"], "{back}");
        Ok(())
    };
    shared().await?.with_namespace("states-subscription", test).await
}
