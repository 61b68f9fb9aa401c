//! The moments between check and use.

use drplan_testkit::{Answer, Seen, eventually};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use super::town::{Town, in_town, in_town_with};
use crate::fixtures::{Manifest, action_of, execution, plan, post, resource, text, workflow};

/// A workflow that makes a ConfigMap in this namespace, after a call.
fn map_in(town: &Town<'_>, namespace: &str) -> Manifest {
    let manifest =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: made\n  namespace: {namespace}\n");
    workflow("shop")
        .action(post("call", &town.t.stand_in.url("/call")))
        .action(resource("map", "Create", &manifest))
}

#[tokio::test]
async fn what_is_edited_after_the_check_of_the_plan_is_checked_when_it_runs() -> anyhow::Result<()> {
    in_town("attack-edit", async |town| {
        town.author_applies(&map_in(town, &town.t.name).0).await?;
        let used = plan("shop").with("serviceAccountName", "dr".into());
        town.author_applies(&used.stage("main", &["shop"]).0).await?;
        town.grant_what_is_printed("shop").await?;
        town.plan_until("shop", "Ready", "").await?;
        town.author_applies(&map_in(town, &town.other.name).0).await?;
        town.runner_creates(&execution("run", "shop").0).await?;
        let lack = format!("may not create configmaps in {}", town.other.name);
        town.refused_for("run", "RightsMissing", &lack).await?;
        assert_eq!(town.t.stand_in.all().len(), 0);
        town.never_reached_the_other(&town.dr())
    })
    .await
}

/// The operator stands still after it has checked, and before it stores what it will run.
#[tokio::test]
async fn what_is_edited_after_the_check_of_the_run_does_not_reach_it() -> anyhow::Result<()> {
    in_town_with("attack-moment", "before-snapshot=stop", async |town| {
        town.author_applies(&map_in(town, &town.t.name).0).await?;
        let used = plan("shop").with("serviceAccountName", "dr".into());
        town.author_applies(&used.stage("main", &["shop"]).0).await?;
        town.grant_what_is_printed("shop").await?;
        town.plan_until("shop", "Ready", "").await?;
        town.runner_creates(&execution("run", "shop").0).await?;
        let operator = town.operator()?;
        operator.stopped().await?;
        // With rights in both, it would go through.
        town.account_with_all(town.other, "strong").await?;
        town.author_applies(&map_in(town, &town.other.name).0).await?;
        let other = plan("shop").with("serviceAccountName", "strong".into());
        town.author_applies(&other.stage("main", &["shop"]).0).await?;
        operator.cont()?;
        let done = town.ended("run", "Succeeded").await?;
        assert_eq!(text(&done, "/status/serviceAccountName"), "dr");
        town.t.api::<ConfigMap>().get("made").await?;
        town.never_reached_the_other(&town.dr())
    })
    .await
}

#[tokio::test]
async fn a_right_that_is_taken_away_in_mid_run_fails_the_action_that_needs_it_once() -> anyhow::Result<()> {
    in_town("attack-revoked", async |town| {
        let reads =
            json!([{"name": "X-Token", "valueFrom": {"secretKeyRef": {"name": "token", "key": "t"}}}]);
        let flow = workflow("shop")
            .action(post("first", &town.t.stand_in.url("/first")))
            .action(
                post("second", &town.t.stand_in.url("/second"))
                    .doing("headersFrom", reads)
                    .retried(3, "1ms"),
            );
        town.author_applies(&flow.0).await?;
        let used = plan("shop").with("serviceAccountName", "dr".into());
        town.author_applies(&used.stage("main", &["shop"]).0).await?;
        town.grant_what_is_printed("shop").await?;
        town.plan_until("shop", "Ready", "").await?;
        town.t.stand_in.script("/first", [Answer::ok().held()]);
        town.runner_creates(&execution("run", "shop").0).await?;
        town.t.stand_in.wait_for("/first", 1).await?;
        let role = format!("drplan:{}:shop", town.t.name);
        town.admin_runs(&["delete", "rolebinding", &role, "-n", &town.t.name])
            .await?;
        until_forbidden(town).await?;
        town.t.stand_in.release("/first");
        let failed = town.ended("run", "Failed").await?;
        let action = action_of(&failed, "main/shop[0]/second");
        assert_eq!(
            text(action, "/message"),
            format!(
                "secret:token/t cannot be read: give {} a Role with the verb get on secrets token in {}",
                town.dr(),
                town.t.name
            )
        );
        assert_eq!(
            (&action["attempts"], town.t.stand_in.requests("/second").len()),
            (&json!(1), 0)
        );
        Ok(())
    })
    .await
}

/// Waits until the API server knows that the account may not read Secrets any more.
async fn until_forbidden(town: &Town<'_>) -> anyhow::Result<()> {
    let reviews: Api<SubjectAccessReview> = Api::all(town.t.client.clone());
    let review: SubjectAccessReview = serde_json::from_value(json!({"metadata": {}, "spec": {
        "user": town.dr(),
        "resourceAttributes": {"verb": "get", "resource": "secrets", "name": "token", "namespace": town.t.name},
    }}))?;
    eventually("the right to be taken away", async || {
        let answer = reviews.create(&PostParams::default(), &review).await?;
        let allowed = answer.status.is_some_and(|status| status.allowed);
        Ok(Seen::when((!allowed).then_some(()), || "not yet".into()))
    })
    .await
}
