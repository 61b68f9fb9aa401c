//! Apply.

use drplan_api::labels;
use drplan_engine::{effect::FailureKind, object::Before};
use kube::ResourceExt;
use serde_json::json;

use super::{Action, FINALIZER, Somebody, assert_says, failed, in_going_namespace, with, written};
use crate::attempt::in_namespace;

#[tokio::test]
async fn what_was_absent_is_made_with_our_labels_and_stays_made_by_us() -> anyhow::Result<()> {
    in_namespace("apply-absent", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        let (uid, created) = written(action.apply(with("k", "v"), Before::Absent).await)?;
        let made = somebody.sees().await?;
        assert_eq!((made.uid(), created), (Some(uid.clone()), true));
        assert_eq!(made.labels()[labels::EXECUTION], "shop-001");
        assert_eq!(made.annotations()[labels::EXECUTION_UID], "6f1e");
        assert_eq!(made.managed_fields()[0].manager, Some(action.manager()));
        assert_eq!(made.managed_fields()[0].operation.as_deref(), Some("Apply"));

        let again = written(action.apply(with("k", "v"), Before::Absent).await)?;
        assert_eq!(
            again,
            (uid.clone(), true),
            "after a crash the same intent is told the same"
        );
        assert_eq!(somebody.sees().await?.resource_version(), made.resource_version());

        somebody.changes("other", "theirs").await?;
        let shared = written(action.apply(with("k", "v"), Before::Absent).await)?;
        assert_eq!(shared, (uid, false), "somebody else has fields in it by now");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn on_what_was_there_only_the_authors_fields_come() -> anyhow::Result<()> {
    in_namespace("apply-existed", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        let theirs = somebody.makes("k", "theirs").await?;
        let before = [Before::Present(theirs.clone()), Before::Absent];
        for before in before {
            let applied = written(action.apply(with("ours", "v"), before).await)?;
            assert_eq!(applied, (theirs.clone(), false));
            let map = somebody.sees().await?;
            assert!(map.labels().is_empty() && map.annotations().is_empty());
            let data = map.data.unwrap_or_default();
            assert_eq!((data["k"].as_str(), data["ours"].as_str()), ("theirs", "v"));
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn labels_of_an_earlier_execution_stay_as_they_are() -> anyhow::Result<()> {
    in_namespace("apply-earlier", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        let (uid, _) = written(
            action
                .apply(json!({"data": {"k": "v", "old": "v"}}), Before::Absent)
                .await,
        )?;
        let made = somebody.sees().await?;
        let later = [
            action.clone().execution("7777"),
            action.clone().execution("7777").action("another"),
        ];
        for later in later {
            let applied = later.apply(with("k", "v"), Before::Present(uid.clone())).await;
            assert_eq!(written(applied)?, (uid.clone(), false));
            let map = somebody.sees().await?;
            assert_eq!(map.labels(), made.labels());
            assert_eq!(map.annotations(), made.annotations());
            let data = map.data.unwrap_or_default();
            assert_eq!(
                data.keys().collect::<Vec<_>>(),
                ["k"],
                "what is written no more is taken off"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_somebody_made_anew_is_not_counted_as_ours() -> anyhow::Result<()> {
    in_namespace("apply-recreated", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        let (ours, _) = written(action.apply(with("k", "v"), Before::Absent).await)?;
        somebody.removes().await?;
        let theirs = somebody.makes("theirs", "v").await?;
        for before in [Before::Absent, Before::Present(ours)] {
            let applied = written(action.apply(with("k", "v"), before).await)?;
            assert_eq!(applied, (theirs.clone(), false));
            assert!(somebody.sees().await?.annotations().is_empty());
        }
        somebody.removes().await?;
        let (uid, created) = written(action.apply(with("k", "v"), Before::Present(theirs)).await)?;
        assert!(!created, "something was there when the intent was recorded");
        let map = somebody.sees().await?;
        assert_eq!(map.uid(), Some(uid));
        assert!(map.annotations().is_empty());
        Ok(())
    })
    .await
}

/// Covers US9.2.
#[tokio::test]
async fn a_field_of_somebody_else_is_named_and_taken_only_by_force() -> anyhow::Result<()> {
    in_namespace("apply-conflict", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        let (uid, _) = written(action.apply(with("k", "v"), Before::Absent).await)?;
        somebody.changes("k", "theirs").await?;
        let before = || Before::Present(uid.clone());
        let refused = action.apply(with("k", "ours"), before()).await;
        let message = failed(refused, FailureKind::FieldConflict)?;
        let expect = format!(
            "apply ConfigMap {}/settings: .data.k belongs to somebody; set force: true to take over, or leave it \
             out of the manifest",
            t.name
        );
        assert_eq!(message, expect);
        assert_eq!(somebody.reads().await?["k"], "theirs");
        let forced = written(action.force(with("k", "ours"), before()).await)?;
        assert_eq!(forced, (uid.clone(), false));
        assert_eq!(somebody.reads().await?["k"], "ours");

        let other_plan = action.clone().plan("bank");
        let refused = other_plan.apply(with("k", "other"), before()).await;
        let message = failed(refused, FailureKind::FieldConflict)?;
        assert_says(&message, &[&format!(".data.k belongs to {}", action.manager())]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn actions_of_a_plan_keep_each_others_fields_and_take_over_from_each_other() -> anyhow::Result<()> {
    in_namespace("apply-plan", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        let other = action.clone().action("other");
        let (uid, _) = written(action.apply(with("one", "1"), Before::Absent).await)?;
        let before = || Before::Present(uid.clone());
        written(other.apply(with("two", "2"), before()).await)?;
        written(action.apply(with("one", "1b"), before()).await)?;
        let data = somebody.reads().await?;
        assert_eq!((data["one"].as_str(), data["two"].as_str()), ("1b", "2"));

        written(
            other
                .apply(json!({"data": {"two": "2", "one": "from two"}}), before())
                .await,
        )?;
        assert_eq!(somebody.reads().await?["one"], "from two");
        written(action.apply(with("one", "1c"), before()).await)?;
        assert_eq!(somebody.reads().await?["one"], "1c");

        // A foreign one beside one of the plan is not taken over with it.
        somebody.changes("two", "theirs").await?;
        let both = json!({"data": {"one": "x", "two": "x"}});
        let message = failed(other.apply(both, before()).await, FailureKind::FieldConflict)?;
        assert_says(&message, &[".data.two belongs to somebody"]);
        assert!(!message.contains(".data.one"), "{message}");
        assert_eq!(somebody.reads().await?["one"], "1c");

        // Also from an action that wrote it by Patch.
        let patching = action.clone().action("patching");
        written(patching.merge(with("one", "patched")).await)?;
        written(action.apply(with("one", "applied"), before()).await)?;
        assert_eq!(somebody.reads().await?["one"], "applied");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_object_that_is_being_deleted_is_waited_for_and_made_anew() -> anyhow::Result<()> {
    in_namespace("apply-held", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        let theirs = somebody.makes("k", "theirs").await?;
        somebody.holds(true).await?;
        somebody.deletes().await?;
        let before = || Before::Present(theirs.clone());
        let late = action.clone().hasty().apply(with("k", "v"), before()).await;
        assert_says(
            &failed(late, FailureKind::Timeout)?,
            &["is still being deleted", FINALIZER],
        );

        let reads = t.audit().verb("get").resource("configmaps").name("settings");
        let so_far = reads.entries()?.len();
        let release = async {
            // The second read is that of the wait.
            reads.wait_for(so_far + 2).await?;
            somebody.holds(false).await
        };
        let (applied, released) = tokio::join!(action.apply(with("k", "v"), before()), release);
        released?;
        let (uid, created) = written(applied)?;
        assert!(uid != theirs && !created);
        assert_eq!(somebody.reads().await?["k"], "v");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn in_a_namespace_that_is_being_deleted_nothing_is_applied() -> anyhow::Result<()> {
    in_namespace("apply-going", async |t| {
        in_going_namespace(t, async |namespace, somebody, uid| {
            let action = Action::new(t).namespace(namespace);
            let late = action
                .clone()
                .hasty()
                .apply(with("k", "v"), Before::Present(uid.clone()))
                .await;
            let message = failed(late, FailureKind::Timeout)?;
            assert_says(&message, &["is still being deleted", FINALIZER]);
            assert_eq!(somebody.sees().await?.uid(), Some(uid));
            let new = Action::new(t).namespace(namespace).name("new");
            let refused = new.apply(with("k", "v"), Before::Absent).await;
            assert_says(&failed(refused, FailureKind::Invalid)?, &["being terminated"]);
            Ok(())
        })
        .await
    })
    .await
}
