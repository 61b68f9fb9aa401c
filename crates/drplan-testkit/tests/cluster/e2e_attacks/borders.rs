//! Ways out of a namespace.

use drplan_testkit::Answer;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use serde_json::json;

use super::town::{Town, in_town};
use crate::fixtures::{action_of, execution, get, plan, post, resource, revert, text, workflow};

/// A ConfigMap of this name in this namespace, which may be a template.
fn map_in(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: {namespace}\ndata:\n  a: b\n"
    )
}

async fn maps_elsewhere(town: &Town<'_>) -> anyhow::Result<Vec<String>> {
    let maps = town.other.api::<ConfigMap>().list(&ListParams::default()).await?;
    let names = maps.items.into_iter().filter_map(|map| map.metadata.name);
    // Every namespace has that one.
    Ok(names.filter(|name| name != "kube-root-ca.crt").collect())
}

#[tokio::test]
async fn a_template_reaches_another_namespace_only_with_a_right_there() -> anyhow::Result<()> {
    in_town("attack-template", async |town| {
        let (here, other) = (&town.t.name, &town.other.name);
        // By a parameter, which an execution may set.
        let flow = workflow("param")
            .parameter(json!({"name": "where", "default": here}))
            .action(post("call", &town.t.stand_in.url("/call")))
            .action(resource("map", "Create", &map_in("{{ .params.where }}", "made")));
        town.author_applies(&flow.0).await?;
        let as_dr = |name: &str| {
            plan(name)
                .with("serviceAccountName", "dr".into())
                .stage("main", &[name])
                .0
        };
        town.author_applies(&as_dr("param")).await?;
        town.grant_what_is_printed("param").await?;
        town.plan_until("param", "Ready", "").await?;
        let params = json!([{"name": "where", "value": other}]);
        town.runner_creates(&execution("param", "param").with("params", params).0)
            .await?;
        let lack = format!("ServiceAccount {here}/dr may not create configmaps in {other}");
        town.refused_for("param", "RightsMissing", &lack).await?;
        assert_eq!(town.t.stand_in.all().len(), 0, "not even the call before it");
        town.never_reached_the_other(&town.dr())?;

        // By an answer, which nobody knows before: there the API server refuses.
        town.t
            .stand_in
            .script("/where", [Answer::ok().body(other.as_str()).times(2)]);
        let ask = get("where", &town.t.stand_in.url("/where")).doing("saveBody", true.into());
        let map = resource("map", "Create", &map_in("{{ .outputs.where.body }}", "made")).retried(3, "1ms");
        town.author_applies(&workflow("answer").action(ask).action(map).0)
            .await?;
        town.author_applies(&as_dr("answer")).await?;
        town.plan_until("answer", "Ready", "").await?;
        town.runner_creates(&execution("answer", "answer").0).await?;
        let failed = town.ended("answer", "Failed").await?;
        let action = action_of(&failed, "main/answer[0]/map");
        let message = text(action, "/message");
        let forbidden = format!("User \"{}\" cannot get resource \"configmaps\"", town.dr());
        assert!(message.contains(&forbidden), "{message}");
        assert_eq!(action["attempts"], 1, "Forbidden is never retried");
        let asked = town.other.audit().impersonated(&town.dr()).entries()?;
        assert!(
            !asked.is_empty() && asked.iter().all(|entry| entry.code() == 403),
            "{asked:?}"
        );
        assert_eq!(maps_elsewhere(town).await?, Vec::<String>::new());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_rollback_reaches_another_namespace_only_with_a_right_there() -> anyhow::Result<()> {
    in_town("attack-rollback", async |town| {
        let (here, other) = (&town.t.name, &town.other.name);
        let url = |path: &str| town.t.stand_in.url(path);
        let as_dr = |name: &str| {
            plan(name)
                .with("serviceAccountName", "dr".into())
                .stage("main", &[name])
                .0
        };
        let call = post("call", &url("/call")).undone_by(resource("", "Apply", &map_in(other, "made")));
        town.author_applies(&workflow("known").action(call).0).await?;
        town.author_applies(&as_dr("known")).await?;
        // No reason to refuse a failover: a warning.
        let lack = format!("ServiceAccount {here}/dr may not create configmaps in {other}");
        let warning = town.plan_until("known", "Ready", &lack).await?;
        assert!(warning.starts_with("warning: "), "{warning}");
        town.runner_creates(&execution("known", "known").0).await?;
        town.ended("known", "Succeeded").await?;
        crate::fixtures::released(town.t, "known").await?;
        town.runner_creates(&revert("known-back", "known", "known").0)
            .await?;
        town.refused_for("known-back", "RightsMissing", &lack).await?;
        town.never_reached_the_other(&town.dr())?;

        town.t
            .stand_in
            .script("/where", [Answer::ok().body(other.as_str())]);
        let rollback = resource("", "Apply", &map_in("{{ .outputs.where.body }}", "made"));
        let ask = get("where", &url("/where"))
            .doing("saveBody", true.into())
            .undone_by(rollback);
        town.author_applies(&workflow("answer").action(ask).0).await?;
        town.author_applies(&as_dr("answer")).await?;
        town.plan_until("answer", "Ready", "").await?;
        town.runner_creates(&execution("answer", "answer").0).await?;
        town.ended("answer", "Succeeded").await?;
        crate::fixtures::released(town.t, "answer").await?;
        town.runner_creates(&revert("answer-back", "answer", "answer").0)
            .await?;
        // A Revert knows what was answered, so even this is known before it begins.
        town.refused_for("answer-back", "RightsMissing", &lack).await?;
        town.never_reached_the_other(&town.dr())?;
        assert_eq!(maps_elsewhere(town).await?, Vec::<String>::new());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_workflow_elsewhere_is_used_while_it_allows_it_and_acts_where_the_plan_is() -> anyhow::Result<()> {
    in_town("attack-workflow", async |town| {
        let (here, other) = (&town.t.name, &town.other.name);
        let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: made\n";
        let library = |allowed: serde_json::Value| {
            let mut flow = workflow("library").action(resource("map", "Create", manifest));
            flow = flow.with("allowedNamespaces", allowed);
            flow.0["metadata"]["namespace"] = other.as_str().into();
            flow.0
        };
        town.admin_applies(&library(json!([]))).await?;
        let used = json!([{"workflowRef": {"name": "library", "namespace": other}}]);
        let used = plan("shop")
            .with("serviceAccountName", "dr".into())
            .with("stages", json!([{"name": "main", "workflows": used}]));
        town.author_applies(&used.0).await?;
        let refusal = format!("workflow `{other}/library` does not allow plans of namespace `{here}`");
        town.plan_until("shop", "Invalid", &refusal).await?;
        town.runner_creates(&execution("early", "shop").0).await?;
        town.refused_for("early", "PlanInvalid", &refusal).await?;

        town.admin_applies(&library(json!([here]))).await?;
        town.plan_until("shop", "Invalid", "may not create configmaps")
            .await?;
        town.grant_what_is_printed("shop").await?;
        town.plan_until("shop", "Ready", "").await?;
        town.runner_creates(&execution("run", "shop").0).await?;
        town.ended("run", "Succeeded").await?;
        crate::fixtures::released(town.t, "run").await?;
        town.t.api::<ConfigMap>().get("made").await?;
        assert_eq!(maps_elsewhere(town).await?, Vec::<String>::new());

        // Taken back, and then broken: what is wrong with it is not for the readers of the plan.
        town.admin_applies(&library(json!([]))).await?;
        town.runner_creates(&execution("late", "shop").0).await?;
        town.refused_for("late", "PlanInvalid", &refusal).await?;
        let mut broken = library(json!([]));
        broken["spec"]["actions"][0]["type"] = "hidden-treasure".into();
        town.admin_applies(&broken).await?;
        let message = town
            .plan_until(
                "shop",
                "Invalid",
                "is Invalid; its own status tells what is to be mended",
            )
            .await?;
        assert!(!message.contains("hidden-treasure"), "{message}");
        town.never_reached_the_other(&town.dr())
    })
    .await
}
