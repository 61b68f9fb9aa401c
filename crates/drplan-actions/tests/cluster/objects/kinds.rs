//! Kinds that come, change and have no namespace.

use drplan_engine::{
    effect::FailureKind,
    object::{Before, Deletion, ObjectOutcome},
};
use drplan_testkit::{TestNamespace, object_until};
use k8s_openapi::{
    api::scheduling::v1::PriorityClass,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

use super::{Action, assert_says, deleted, failed, written};
use crate::attempt::in_namespace;

/// Installs the kind Kite under this plural, and does not wait until it is served.
async fn install_kite(t: &TestNamespace, plural: &str) -> anyhow::Result<()> {
    let definition = json!({
        "metadata": {"name": format!("{plural}.kites.drplan")},
        "spec": {
            "group": "kites.drplan",
            "scope": "Namespaced",
            "names": {"kind": "Kite", "plural": plural},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            }}}],
        },
    });
    let definitions: Api<CustomResourceDefinition> = Api::all(t.client.clone());
    definitions
        .create(&PostParams::default(), &serde_json::from_value(definition)?)
        .await?;
    Ok(())
}

async fn remove_kite(t: &TestNamespace, plural: &str) -> anyhow::Result<()> {
    let name = format!("{plural}.kites.drplan");
    let definitions: Api<CustomResourceDefinition> = Api::all(t.client.clone());
    definitions.delete(&name, &DeleteParams::default()).await?;
    object_until(&definitions, &name, "is gone", |definition| {
        definition.is_none().then_some(())
    })
    .await
}

/// Covers US9.7, FR-004d.
#[tokio::test]
async fn kinds_are_found_that_were_installed_after_the_start_also_under_another_plural() -> anyhow::Result<()>
{
    in_namespace("kinds-new", async |t| {
        let action = Action::new(t).kind("kites.drplan/v1", "Kite").name("red");
        let early = action.clone().hasty().create(json!({})).await;
        let message = failed(early, FailureKind::Invalid)?;
        assert_says(
            &message,
            &["the cluster does not serve kites.drplan/v1, of which Kite is wanted"],
        );

        install_kite(t, "kites").await?;
        let (first, _) = written(action.create(json!({"tail": 1})).await)?;
        let wrong = action.clone().kind("kites.drplan/v1", "Kiet").hasty();
        let message = failed(wrong.look(false, &[]).await, FailureKind::Invalid)?;
        assert_says(&message, &["the cluster has no kind Kiet in kites.drplan/v1"]);

        remove_kite(t, "kites").await?;
        install_kite(t, "dragons").await?;
        let (second, created) = written(action.apply(json!({"tail": 2}), Before::Absent).await)?;
        assert!(created && second != first);
        remove_kite(t, "dragons").await
    })
    .await
}

#[tokio::test]
async fn objects_without_a_namespace_ignore_that_of_their_target() -> anyhow::Result<()> {
    in_namespace("kinds-cluster", async |t| {
        let name = t.name.as_str();
        let action = Action::new(t)
            .kind("scheduling.k8s.io/v1", "PriorityClass")
            .name(name);
        let manifest = json!({"metadata": {"namespace": t.name}, "value": 7, "description": "one"});
        let (uid, created) = written(action.create(manifest.clone()).await)?;
        assert!(created);
        let applied = json!({"metadata": {"namespace": t.name}, "value": 7, "description": "two"});
        let before = || Before::Present(uid.clone());
        let other = action.clone().action("other");
        assert_eq!(
            written(other.apply(applied, before()).await)?,
            (uid.clone(), false)
        );
        let patch = json!({"metadata": {"namespace": t.name}, "description": "three"});
        written(action.merge(patch).await)?;
        let classes: Api<PriorityClass> = Api::all(t.client.clone());
        assert_eq!(classes.get(name).await?.description.as_deref(), Some("three"));
        assert!(matches!(
            action.look(true, &[]).await,
            Ok(ObjectOutcome::Found { before: Before::Present(seen), .. }) if seen == uid
        ));
        let refused = action.clone().execution("0000").create(manifest).await;
        let message = failed(refused, FailureKind::AlreadyExists)?;
        assert_says(&message, &[&format!("PriorityClass {name} exists")]);
        assert_eq!(deleted(action.delete(Some(&uid), true).await)?, Deletion::Deleted);
        Ok(())
    })
    .await
}
