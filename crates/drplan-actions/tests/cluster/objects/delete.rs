//! Delete, as an action and as an undo.

use drplan_engine::{
    effect::FailureKind,
    object::{Before, Deletion},
};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{Api, api::ListParams};
use serde_json::json;

use super::{Action, FINALIZER, Somebody, assert_says, deleted, failed, in_going_namespace, with, written};
use crate::attempt::in_namespace;

#[tokio::test]
async fn what_is_absent_is_told_to_be() -> anyhow::Result<()> {
    in_namespace("delete-absent", async |t| {
        let action = Action::new(t);
        let gone = Some("00000000-0000-0000-0000-000000000000");
        for (uid, await_gone) in [(None, false), (None, true), (gone, true)] {
            assert_eq!(
                deleted(action.delete(uid, await_gone).await)?,
                Deletion::WasAbsent
            );
        }
        Ok(())
    })
    .await
}

/// Covers US9.3.
#[tokio::test]
async fn what_is_there_is_deleted_also_when_somebody_changed_it() -> anyhow::Result<()> {
    in_namespace("delete-there", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        somebody.makes("k", "theirs").await?;
        assert_eq!(deleted(action.delete(None, true).await)?, Deletion::Deleted);
        assert!(somebody.maps.get_opt("settings").await?.is_none());
        let (ours, _) = written(action.apply(with("k", "v"), Before::Absent).await)?;
        somebody.changes("k", "changed").await?;
        assert_eq!(
            deleted(action.delete(Some(&ours), true).await)?,
            Deletion::Deleted
        );
        assert!(somebody.maps.get_opt("settings").await?.is_none());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_somebody_made_in_its_place_is_left_alone() -> anyhow::Result<()> {
    in_namespace("delete-recreated", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        let (ours, _) = written(action.create(with("k", "v")).await)?;
        somebody.removes().await?;
        somebody.makes("k", "theirs").await?;
        assert_eq!(
            deleted(action.delete(Some(&ours), true).await)?,
            Deletion::WasReplaced
        );
        assert_eq!(somebody.reads().await?["k"], "theirs");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_a_finalizer_holds_is_accepted_at_once_and_awaited_by_an_undo() -> anyhow::Result<()> {
    in_namespace("delete-held", async |t| {
        let (action, somebody) = (Action::new(t), Somebody::new(t));
        let (ours, _) = written(action.create(with("k", "v")).await)?;
        somebody.holds(true).await?;
        assert_eq!(
            deleted(action.delete(Some(&ours), false).await)?,
            Deletion::Deleted
        );
        let late = action.clone().hasty().delete(Some(&ours), true).await;
        let expect = format!(
            "ConfigMap {}/settings is still being deleted: held by finalizers: {FINALIZER}",
            t.name
        );
        assert_eq!(failed(late, FailureKind::Timeout)?, expect);

        let reads = t.audit().verb("get").resource("configmaps").name("settings");
        let so_far = reads.entries()?.len();
        let release = async {
            // The second read is that of the wait.
            reads.wait_for(so_far + 2).await?;
            somebody.holds(false).await
        };
        let (gone, released) = tokio::join!(action.delete(Some(&ours), true), release);
        released?;
        assert_eq!(deleted(gone)?, Deletion::Deleted);
        let requests = t.audit().verb("delete").resource("configmaps").name("settings");
        assert_eq!(
            requests.wait_for(1).await?.len(),
            1,
            "it is deleted once and then awaited"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn in_a_namespace_that_is_being_deleted_an_object_is_awaited() -> anyhow::Result<()> {
    in_namespace("delete-going", async |t| {
        in_going_namespace(t, async |namespace, somebody, uid| {
            let action = Action::new(t).namespace(namespace);
            let late = action.clone().hasty().delete(Some(&uid), true).await;
            assert_says(&failed(late, FailureKind::Timeout)?, &[FINALIZER]);
            somebody.holds(false).await?;
            deleted(action.delete(Some(&uid), true).await)?;
            assert!(somebody.maps.get_opt("settings").await?.is_none());
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_job_is_gone_after_its_pods() -> anyhow::Result<()> {
    in_namespace("delete-job", async |t| {
        let action = Action::new(t).kind("batch/v1", "Job").name("migrate");
        let job = json!({"spec": {"template": {
            "metadata": {"annotations": {"testkit.drplan/hang": "true"}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]},
        }}});
        let (uid, created) = written(action.create(job).await)?;
        assert!(created);
        assert_eq!(deleted(action.delete(Some(&uid), true).await)?, Deletion::Deleted);
        let jobs: Api<Job> = t.api();
        assert!(jobs.get_opt("migrate").await?.is_none());
        let pods = t.api::<Pod>().list(&ListParams::default()).await?;
        assert!(pods.items.is_empty(), "{:?}", pods.items);
        Ok(())
    })
    .await
}
