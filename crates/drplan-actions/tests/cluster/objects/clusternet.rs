//! Localizations and Subscriptions, by our own small definitions and by Clusternet's where they are at hand.

use std::path::Path;

use drplan_api::canonical::PatchType;
use drplan_engine::{
    effect::FailureKind,
    object::{Before, Deletion, ObjectOutcome},
};
use drplan_testkit::{ControlPlane, Options, TestNamespace};
use kube::{
    Api,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{Action, assert_says, deleted, failed, written};
use crate::attempt::in_namespace;

/// Where Clusternet's definitions may be; nothing depends on it.
const REAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/clusternet-crds");

/// A control plane with Clusternet's own definitions, if they are at hand.
async fn real() -> anyhow::Result<Option<&'static ControlPlane>> {
    static REAL_ONE: OnceCell<Option<ControlPlane>> = OnceCell::const_new();
    let start = async || {
        if !Path::new(REAL).is_dir() {
            return Ok(None);
        }
        let text = |kind: &str| std::fs::read_to_string(format!("{REAL}/apps.clusternet.io_{kind}.yaml"));
        let crds = [text("localizations")?, text("subscriptions")?];
        let control_plane = ControlPlane::start(Options::api_only().with_crds(crds)).await?;
        anyhow::Ok(Some(control_plane))
    };
    Ok(REAL_ONE.get_or_try_init(start).await?.as_ref())
}

/// Runs the test with our definitions, and with the real ones where they are at hand; it is told which.
async fn with_both(
    name: &str,
    test: impl AsyncFn(&TestNamespace, bool) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    in_namespace(name, async |t| test(t, false).await).await?;
    match real().await? {
        Some(real) => real.with_namespace(name, async |t| test(t, true).await).await,
        None => Ok(()),
    }
}

fn clusternet(t: &TestNamespace, kind: &str) -> Action {
    Action::new(t)
        .kind("apps.clusternet.io/v1alpha1", kind)
        .name("shop")
}

async fn spec(t: &TestNamespace, kind: &str, plural: &str) -> anyhow::Result<Value> {
    let kind = GroupVersionKind::gvk("apps.clusternet.io", "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    let objects: Api<DynamicObject> = Api::namespaced_with(t.client.clone(), &t.name, &resource);
    Ok(objects.get("shop").await?.data["spec"].clone())
}

fn overriding(value: &str) -> Value {
    json!([{"name": "replicas", "type": "JSONPatch", "value": value}])
}

/// Covers US7.2.
#[tokio::test]
async fn a_patch_of_a_localization_brings_in_no_default() -> anyhow::Result<()> {
    with_both("loc-patch", async |t, _| {
        let action = clusternet(t, "Localization");
        let feed = json!({"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web"});
        let all = json!({"spec": {
            "overridePolicy": "ApplyNow", "priority": 700, "feed": feed, "overrides": overriding("[]"),
        }});
        written(action.create(all).await)?;
        let patching = action.clone().action("patching");
        written(
            patching
                .merge(json!({"spec": {"overrides": overriding("[1]")}}))
                .await,
        )?;
        let found = spec(t, "Localization", "localizations").await?;
        assert_eq!(found["priority"], 700);
        assert_eq!(found["overridePolicy"], "ApplyNow");
        assert_eq!(found["feed"], feed);
        assert_eq!(found["overrides"], overriding("[1]"));
        let strategic = patching.patch(json!({"spec": {}}), PatchType::Strategic).await;
        assert_says(
            &failed(strategic, FailureKind::Invalid)?,
            &["Localization", "use patchType Merge or JSON"],
        );
        Ok(())
    })
    .await
}

/// Covers US7.3.
#[tokio::test]
async fn a_localization_is_applied_found_again_and_deleted() -> anyhow::Result<()> {
    with_both("loc-apply", async |t, real| {
        let action = clusternet(t, "Localization");
        let object = |value: &str| json!({"spec": {"overrides": overriding(value)}});
        let (uid, created) = written(action.apply(object("[]"), Before::Absent).await)?;
        assert!(created);
        let again = action.apply(object("[]"), Before::Absent).await;
        assert_eq!(written(again)?, (uid.clone(), true));
        let later = action.clone().execution("7777");
        let applied = later.apply(object("[2]"), Before::Present(uid.clone())).await;
        assert_eq!(written(applied)?, (uid.clone(), false));
        let found = spec(t, "Localization", "localizations").await?;
        assert_eq!(found["overrides"], overriding("[2]"));
        if real {
            assert_eq!(
                found["overridePolicy"], "ApplyLater",
                "the default is Clusternet's, not ours"
            );
            let wrong = json!({"spec": {"overridePolicy": "Whenever"}});
            let refused = action.clone().name("wrong").create(wrong).await;
            assert_says(&failed(refused, FailureKind::Invalid)?, &["spec.overridePolicy"]);
        }
        assert_eq!(deleted(action.delete(Some(&uid), true).await)?, Deletion::Deleted);
        Ok(())
    })
    .await
}

/// Covers US8.2.
#[tokio::test]
async fn the_lists_of_a_subscription_that_a_patch_replaces_are_told_before() -> anyhow::Result<()> {
    with_both("sub-patch", async |t, _| {
        let action = clusternet(t, "Subscription");
        let feed =
            |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "namespace": "shop", "name": name});
        let subscribers = json!([{"clusterAffinity": {"matchLabels": {"site": "a"}}, "weight": 1}]);
        let all = json!({"spec": {
            "schedulingStrategy": "Replication", "feeds": [feed("a"), feed("b")], "subscribers": subscribers,
        }});
        let (uid, _) = written(action.create(all).await)?;
        let Ok(ObjectOutcome::Found { before, lists, .. }) = action.look(false, &["/spec/feeds"]).await
        else {
            anyhow::bail!("it is there")
        };
        assert_eq!(before, Before::Present(uid));
        assert_eq!(lists, [("/spec/feeds".to_owned(), json!([feed("a"), feed("b")]))]);
        written(action.merge(json!({"spec": {"feeds": [feed("c")]}})).await)?;
        let found = spec(t, "Subscription", "subscriptions").await?;
        assert_eq!(found["feeds"], json!([feed("c")]));
        assert_eq!(found["subscribers"], subscribers);
        Ok(())
    })
    .await
}
