//! Objects as a ServiceAccount.

use drplan_engine::{
    effect::{Failure, FailureKind},
    object::{Before, Deletion, ObjectOutcome},
};
use drplan_testkit::{Seen, TestNamespace, eventually};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::PostParams;
use serde_json::json;

use super::{Action, Somebody, assert_says, deleted, failed, with, written};
use crate::attempt::in_namespace;

/// Gives the ServiceAccount `dr` these rights on ConfigMaps, and waits until it has them.
async fn grant(t: &TestNamespace, action: &Action, verbs: &[&str]) -> anyhow::Result<()> {
    let role = json!({"metadata": {"name": "dr"}, "rules": [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs},
    ]});
    let role: Role = serde_json::from_value(role)?;
    t.api::<Role>().create(&PostParams::default(), &role).await?;
    let binding = json!({
        "metadata": {"name": "dr"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "dr"},
        "subjects": [{"kind": "ServiceAccount", "name": "dr", "namespace": t.name}],
    });
    let binding: RoleBinding = serde_json::from_value(binding)?;
    t.api::<RoleBinding>()
        .create(&PostParams::default(), &binding)
        .await?;
    // The authorizer learns of the binding by a watch of its own.
    eventually("the right to read ConfigMaps", async || {
        let looked = action.look(false, &[]).await;
        let seen = format!("{looked:?}");
        Ok(Seen::when(looked.ok(), || seen))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_missing_right_is_told_with_identity_and_verb() -> anyhow::Result<()> {
    in_namespace("rights-none", async |t| {
        let uid = Somebody::new(t).makes("k", "v").await?;
        let action = Action::new(t).service_account(t, "dr");
        let user = format!("User \"system:serviceaccount:{}:dr\"", t.name);
        let says = |result: Result<ObjectOutcome, Failure>, verb: &str| {
            let message = failed(result, FailureKind::Forbidden)?;
            assert_says(
                &message,
                &[&user, &format!("cannot {verb} resource \"configmaps\"")],
            );
            anyhow::Ok(())
        };
        says(action.look(false, &[]).await, "get")?;
        says(action.create(with("k", "v")).await, "create")?;
        says(action.merge(with("k", "v")).await, "patch")?;
        says(action.delete(Some(&uid), true).await, "get")?;
        grant(t, &action, &["get"]).await?;
        says(action.apply(with("k", "v"), Before::Absent).await, "patch")?;
        says(action.delete(Some(&uid), true).await, "delete")
    })
    .await
}

#[tokio::test]
async fn what_a_service_account_may_do_it_does_under_its_own_name() -> anyhow::Result<()> {
    in_namespace("rights-some", async |t| {
        let (somebody, action) = (Somebody::new(t), Action::new(t).service_account(t, "dr"));
        grant(t, &action, &["get", "create", "patch", "delete", "watch"]).await?;
        let user = format!("system:serviceaccount:{}:dr", t.name);
        let theirs = t.audit().impersonated(&user);
        let refused_before = theirs.clone().code(403).entries()?.len();
        let (uid, _) = written(action.create(with("k", "v")).await)?;
        written(action.merge(with("k", "w")).await)?;
        let other = action.clone().action("other");
        written(other.apply(with("l", "v"), Before::Present(uid.clone())).await)?;
        somebody.holds(true).await?;
        let reads = theirs.clone().verb("get").resource("configmaps");
        let so_far = reads.entries()?.len();
        let release = async {
            reads.wait_for(so_far + 2).await?;
            somebody.holds(false).await
        };
        let (gone, released) = tokio::join!(action.delete(Some(&uid), true), release);
        released?;
        assert_eq!(deleted(gone)?, Deletion::Deleted);
        // The watch ends with the wait and is logged then.
        let watches = theirs.clone().verb("watch").resource("configmaps");
        assert_eq!(watches.wait_for(1).await?[0].code(), 200);
        assert_eq!(theirs.code(403).entries()?.len(), refused_before);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_the_right_to_watch_an_end_is_found_by_reading() -> anyhow::Result<()> {
    in_namespace("rights-unwatched", async |t| {
        let (somebody, action) = (Somebody::new(t), Action::new(t).service_account(t, "dr"));
        grant(t, &action, &["get", "delete"]).await?;
        let uid = somebody.makes("k", "v").await?;
        somebody.holds(true).await?;
        let user = format!("system:serviceaccount:{}:dr", t.name);
        let watches = t.audit().impersonated(&user).verb("watch");
        let release = async {
            watches.wait_for(1).await?;
            somebody.holds(false).await
        };
        let (gone, released) = tokio::join!(action.delete(Some(&uid), true), release);
        released?;
        assert_eq!(deleted(gone)?, Deletion::Deleted);
        Ok(())
    })
    .await
}
