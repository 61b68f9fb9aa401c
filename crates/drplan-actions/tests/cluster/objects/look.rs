//! Look.

use drplan_engine::{
    effect::FailureKind,
    object::{Before, ObjectOutcome},
};
use serde_json::json;

use super::{Action, FINALIZER, Somebody, assert_says, failed, with, written};
use crate::attempt::in_namespace;

fn absent() -> ObjectOutcome {
    ObjectOutcome::Found {
        before: Before::Absent,
        marks: None,
        lists: Vec::new(),
    }
}

#[tokio::test]
async fn a_look_tells_what_is_there_and_who_made_it() -> anyhow::Result<()> {
    in_namespace("look", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        assert_eq!(action.look(true, &[]).await, Ok(absent()));
        assert_eq!(
            action.clone().namespace("nowhere").look(true, &[]).await,
            Ok(absent())
        );
        let theirs = somebody.makes("k", "v").await?;
        let found = ObjectOutcome::Found {
            before: Before::Present(theirs),
            marks: None,
            lists: Vec::new(),
        };
        assert_eq!(action.look(true, &["/data/absent"]).await, Ok(found));
        somebody.removes().await?;

        let (ours, _) = written(action.apply(with("k", "v"), Before::Absent).await)?;
        let Ok(ObjectOutcome::Found {
            before,
            marks: Some(marks),
            ..
        }) = action.look(true, &[]).await
        else {
            anyhow::bail!("it carries our marks")
        };
        assert_eq!(before, Before::Present(ours));
        assert!(marks.made_by(&action.identity) && marks.managed_only_by(&action.manager()));
        somebody.changes("other", "v").await?;
        let Ok(ObjectOutcome::Found {
            marks: Some(marks), ..
        }) = action.look(true, &[]).await
        else {
            anyhow::bail!("it carries our marks")
        };
        assert!(marks.made_by(&action.identity) && !marks.managed_only_by(&action.manager()));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn lists_that_a_patch_will_replace_are_part_of_the_answer() -> anyhow::Result<()> {
    in_namespace("look-lists", async |t| {
        let toy = Action::new(t).kind("actions.drplan/v1", "Toy").name("car");
        written(toy.create(json!({"spec": {"wheels": [1, 2], "doors": []}})).await)?;
        let Ok(ObjectOutcome::Found { lists, .. }) = toy.look(false, &["/spec/wheels", "/spec/none"]).await
        else {
            anyhow::bail!("it is there")
        };
        assert_eq!(lists, [("/spec/wheels".to_owned(), json!([1, 2]))]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_object_that_is_being_deleted_is_waited_for_if_that_is_wanted() -> anyhow::Result<()> {
    in_namespace("look-held", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        let theirs = somebody.makes("k", "v").await?;
        somebody.holds(true).await?;
        somebody.deletes().await?;
        let Ok(ObjectOutcome::Found { before, .. }) = action.look(false, &[]).await else {
            anyhow::bail!("it is there")
        };
        assert_eq!(before, Before::Present(theirs));
        let late = action.clone().hasty().look(true, &[]).await;
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
        let (looked, released) = tokio::join!(action.look(true, &[]), release);
        released?;
        assert_eq!(looked, Ok(absent()));
        Ok(())
    })
    .await
}
