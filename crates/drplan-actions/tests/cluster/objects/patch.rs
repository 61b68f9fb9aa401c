//! Patch.

use drplan_api::canonical::PatchType;
use drplan_engine::{effect::FailureKind, object::Before};
use kube::ResourceExt;
use serde_json::json;

use super::{Action, Somebody, assert_says, failed, in_going_namespace, with, written};
use crate::attempt::in_namespace;

#[tokio::test]
async fn an_absent_object_is_not_patched_and_the_message_says_so() -> anyhow::Result<()> {
    in_namespace("patch-absent", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        for kind in [PatchType::Merge, PatchType::Strategic] {
            let message = failed(action.patch(with("k", "v"), kind).await, FailureKind::Invalid)?;
            let expect = format!("patch ConfigMap {}/settings: it does not exist", t.name);
            assert_says(&message, &[&expect]);
        }
        assert!(somebody.maps.get_opt("settings").await?.is_none());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn only_what_the_author_wrote_changes() -> anyhow::Result<()> {
    in_namespace("patch-existed", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        let theirs = somebody.makes("k", "theirs").await?;
        somebody.changes("other", "theirs").await?;
        let add = json!([{"op": "add", "path": "/data/json", "value": "v"}]);
        let patches = [
            (with("merge", "v"), PatchType::Merge),
            (with("strategic", "v"), PatchType::Strategic),
            (add, PatchType::Json),
        ];
        for (patch, kind) in patches {
            let patched = written(action.patch(patch, kind).await)?;
            assert_eq!(patched, (theirs.clone(), false));
        }
        let map = somebody.sees().await?;
        assert!(map.labels().is_empty() && map.annotations().is_empty());
        let managers: Vec<_> = map
            .managed_fields()
            .iter()
            .filter_map(|entry| entry.manager.clone())
            .collect();
        assert!(managers.contains(&action.manager()), "{managers:?}");
        let data = map.data.unwrap_or_default();
        let keys: Vec<_> = data.keys().map(String::as_str).collect();
        assert_eq!(keys, ["json", "k", "merge", "other", "strategic"]);
        assert_eq!(data["k"], "theirs");

        let test = json!([{"op": "test", "path": "/data/k", "value": "another"}]);
        let message = failed(action.patch(test, PatchType::Json).await, FailureKind::Invalid)?;
        assert_says(&message, &["patch ConfigMap"]);
        // The API server quotes the whole object in this refusal.
        let message = failed(action.merge(json!({"data": ["x"]})).await, FailureKind::Invalid)?;
        assert!(
            message.contains("Invalid value: \"…\"") && !message.contains("theirs"),
            "{message}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_object_of_the_name_is_patched_whoever_made_it_and_its_marks_stay() -> anyhow::Result<()> {
    in_namespace("patch-ours", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        let (ours, _) = written(action.apply(with("k", "v"), Before::Absent).await)?;
        let made = somebody.sees().await?;
        let patched = written(action.merge(with("k", "patched")).await)?;
        assert_eq!(patched, (ours.clone(), false));
        let map = somebody.sees().await?;
        assert_eq!(
            (map.labels(), map.annotations()),
            (made.labels(), made.annotations())
        );

        somebody.removes().await?;
        let theirs = somebody.makes("k", "theirs").await?;
        assert_eq!(written(action.merge(with("k", "v")).await)?, (theirs, false));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_object_that_is_being_deleted_is_patched_and_so_let_go() -> anyhow::Result<()> {
    in_namespace("patch-held", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        let theirs = somebody.makes("k", "theirs").await?;
        somebody.holds(true).await?;
        somebody.deletes().await?;
        let let_go = action.merge(json!({"metadata": {"finalizers": null}})).await;
        assert_eq!(written(let_go)?, (theirs, false));
        assert!(somebody.maps.get_opt("settings").await?.is_none());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn in_a_namespace_that_is_being_deleted_what_is_there_is_patched() -> anyhow::Result<()> {
    in_namespace("patch-going", async |t| {
        in_going_namespace(t, async |namespace, somebody, uid| {
            let action = Action::new(t).namespace(namespace);
            assert_eq!(written(action.merge(with("k", "patched")).await)?, (uid, false));
            assert_eq!(somebody.reads().await?["k"], "patched");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_strategic_patch_of_a_custom_resource_is_refused_with_help() -> anyhow::Result<()> {
    in_namespace("patch-strategic", async |t| {
        let toy = Action::new(t).kind("actions.drplan/v1", "Toy").name("car");
        written(toy.create(json!({"wheels": 4})).await)?;
        let refused = toy.patch(json!({"wheels": 3}), PatchType::Strategic).await;
        let message = failed(refused, FailureKind::Invalid)?;
        assert_says(
            &message,
            &["Strategic is for built-in kinds", "use patchType Merge or JSON"],
        );
        Ok(())
    })
    .await
}
