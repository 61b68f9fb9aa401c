//! Create.

use drplan_api::labels;
use drplan_engine::effect::FailureKind;
use kube::ResourceExt;
use serde_json::json;

use super::{Action, FINALIZER, Somebody, assert_says, failed, in_going_namespace, with, written};
use crate::attempt::in_namespace;

/// Covers US9.1.
#[tokio::test]
async fn an_absent_object_is_created_with_our_labels_and_no_owner() -> anyhow::Result<()> {
    in_namespace("create-absent", async |t| {
        let action = Action::new(t);
        let written_by_author = json!({
            "metadata": {"name": "another", "labels": {"app": "shop"}, "annotations": null},
            "data": {"k": "v"},
        });
        let (uid, created) = written(action.create(written_by_author).await)?;
        let made = Somebody::new(t).sees().await?;
        assert_eq!((made.uid(), created), (Some(uid), true));
        assert_eq!(made.labels()["app"], "shop");
        assert_eq!(made.labels()[labels::EXECUTION], "shop-001");
        assert_eq!(made.labels()[labels::PLAN], "shop");
        assert_eq!(made.labels()[labels::PLAN_NAMESPACE], "prod");
        assert_eq!(made.annotations()[labels::EXECUTION_UID], "6f1e");
        assert_eq!(made.annotations()[labels::ACTION_PATH], "db/mysql[0]/settings");
        assert_eq!(made.annotations()[labels::ATTEMPT], "1");
        assert!(made.owner_references().is_empty());
        assert_eq!(made.managed_fields()[0].manager, Some(action.manager()));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_object_that_existed_is_left_alone() -> anyhow::Result<()> {
    in_namespace("create-existed", async |t| {
        let somebody = Somebody::new(t);
        somebody.makes("k", "theirs").await?;
        let action = Action::new(t);
        let message = failed(action.create(with("k", "v")).await, FailureKind::AlreadyExists)?;
        assert_says(&message, &[&format!("ConfigMap {}/settings exists", t.name)]);
        let theirs = somebody.sees().await?;
        assert_eq!(
            theirs.data.as_ref().map(|data| data["k"].as_str()),
            Some("theirs")
        );
        assert!(theirs.labels().is_empty() && theirs.annotations().is_empty());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_this_action_made_is_adopted_also_when_somebody_changed_it() -> anyhow::Result<()> {
    in_namespace("create-ours", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        let first = written(action.create(with("k", "v")).await)?;
        assert_eq!(written(action.create(with("k", "v")).await)?, first);
        somebody.changes("k", "changed").await?;
        assert_eq!(written(action.create(with("k", "v")).await)?, first);
        assert_eq!(somebody.reads().await?["k"], "changed");
        for other in [action.clone().execution("0000"), action.clone().action("other")] {
            failed(other.create(with("k", "v")).await, FailureKind::AlreadyExists)?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_somebody_made_in_place_of_ours_is_not_adopted() -> anyhow::Result<()> {
    in_namespace("create-recreated", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        written(action.create(with("k", "v")).await)?;
        somebody.removes().await?;
        somebody.makes("k", "theirs").await?;
        failed(action.create(with("k", "v")).await, FailureKind::AlreadyExists)?;
        assert_eq!(somebody.reads().await?["k"], "theirs");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_namesake_that_is_being_deleted_is_waited_for_until_the_deadline() -> anyhow::Result<()> {
    in_namespace("create-held", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        let theirs = somebody.makes("k", "theirs").await?;
        somebody.holds(true).await?;
        somebody.deletes().await?;
        let hasty = action.clone().hasty();
        let message = failed(hasty.create(with("k", "v")).await, FailureKind::AlreadyExists)?;
        assert_says(&message, &["is still being deleted", FINALIZER]);

        let met = t.audit().verb("create").resource("configmaps").code(409);
        let so_far = met.entries()?.len();
        let release = async {
            // Only after the creation has met it.
            met.wait_for(so_far + 1).await?;
            somebody.holds(false).await
        };
        let (created, released) = tokio::join!(action.create(with("k", "v")), release);
        released?;
        let (uid, created) = written(created)?;
        assert!(uid != theirs && created);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn in_a_namespace_that_is_being_deleted_nothing_is_created() -> anyhow::Result<()> {
    in_namespace("create-going", async |t| {
        in_going_namespace(t, async |namespace, somebody, _| {
            let action = Action::new(t).namespace(namespace).name("new");
            let message = failed(action.create(with("k", "v")).await, FailureKind::Invalid)?;
            assert_says(
                &message,
                &["being terminated", &format!("create ConfigMap {namespace}/new")],
            );
            assert!(somebody.maps.get_opt("new").await?.is_none());
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_namespace_that_does_not_exist_is_named() -> anyhow::Result<()> {
    in_namespace("create-nowhere", async |t| {
        let action = Action::new(t).namespace("nowhere");
        let message = failed(action.create(with("k", "v")).await, FailureKind::Invalid)?;
        assert_says(&message, &["namespaces \"nowhere\" not found"]);
        Ok(())
    })
    .await
}
