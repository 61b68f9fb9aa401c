//! What people try who have few rights, and what they see. The API server's audit log is the witness.

mod borders;
mod forgeries;
mod moments;
mod town;

use drplan_testkit::object_until;
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use serde_json::json;

use crate::fixtures::{config_map, execution, job, plan, plans, resource, text, workflow};
use town::in_town;

#[tokio::test]
async fn a_plan_acts_as_any_account_of_its_namespace_and_as_none_elsewhere() -> anyhow::Result<()> {
    in_town("attack-account", async |town| {
        let (here, other) = (town.t.name.as_str(), town.other.name.as_str());
        let flow = workflow("map").action(resource("map", "Create", &config_map("made", "a: b")));
        town.author_applies(&flow.0).await?;
        for name in [
            format!("{other}:strong"),
            format!("system:serviceaccount:{other}:strong"),
            format!("../{other}/strong"),
        ] {
            let used = plan("elsewhere").with("serviceAccountName", name.as_str().into());
            town.author_applies(&used.stage("main", &["map"]).0).await?;
            let message = town.plan_until("elsewhere", "Invalid", &name).await?;
            assert!(
                message.contains("spec.serviceAccountName") && message.contains("is not a valid name"),
                "{message}"
            );
        }
        // Of two accounts of one name that of the plan's own namespace counts, and that has no rights.
        town.account_with_all(town.other, "strong").await?;
        let used = plan("namesake").with("serviceAccountName", "strong".into());
        town.author_applies(&used.stage("main", &["map"]).0).await?;
        let lack = format!("ServiceAccount {here}/strong may not create configmaps in {here}");
        town.plan_until("namesake", "Invalid", &lack).await?;

        // As with Pods: who may write plans may use every account beside them.
        town.account_with_all(town.t, "strong").await?;
        town.plan_until("namesake", "Ready", "").await?;
        town.runner_creates(&execution("run", "namesake").0).await?;
        town.ended("run", "Succeeded").await?;
        let made = town.t.audit().resource("configmaps").verb("create").code(201);
        let strong = format!("system:serviceaccount:{here}:strong");
        assert_eq!(made.impersonated(&strong).wait_for(1).await?.len(), 1);
        let elsewhere = format!("system:serviceaccount:{other}:strong");
        assert_eq!(
            town.t
                .control_plane
                .audit()
                .query()
                .impersonated(&elsewhere)
                .entries()?
                .len(),
            0
        );
        Ok(())
    })
    .await
}

/// Kubernetes lets whoever may create a Job choose the account of its Pods, and so does the product.
#[tokio::test]
async fn a_jobs_pods_run_as_any_account_beside_it_and_a_job_elsewhere_needs_a_right_there()
-> anyhow::Result<()> {
    in_town("attack-job", async |town| {
        let (here, other) = (town.t.name.as_str(), town.other.name.as_str());
        town.account_with_all(town.t, "strong").await?;
        let as_strong = |mut action: crate::fixtures::Action| {
            action.0["job"]["template"]["spec"]["serviceAccountName"] = "strong".into();
            action
        };
        town.author_applies(&workflow("beside").action(as_strong(job("work"))).0)
            .await?;
        let used = plan("beside").with("serviceAccountName", "dr".into());
        town.author_applies(&used.stage("main", &["beside"]).0).await?;
        town.grant_what_is_printed("beside").await?;
        town.plan_until("beside", "Ready", "").await?;
        town.runner_creates(&execution("beside", "beside").0).await?;
        town.ended("beside", "Succeeded").await?;
        let jobs = town.t.api::<Job>().list(&ListParams::default()).await?.items;
        let account = |job: &Job| {
            job.spec
                .as_ref()?
                .template
                .spec
                .as_ref()?
                .service_account_name
                .clone()
        };
        assert_eq!(
            jobs.iter().map(account).collect::<Vec<_>>(),
            [Some("strong".to_owned())]
        );
        let made = town.t.audit().resource("jobs").verb("create").code(201);
        assert_eq!(made.impersonated(&town.dr()).wait_for(1).await?.len(), 1);

        let elsewhere = as_strong(job("work")).doing("namespace", other.into());
        town.author_applies(&workflow("beyond").action(elsewhere).0)
            .await?;
        let used = plan("beyond").with("serviceAccountName", "dr".into());
        town.author_applies(&used.stage("main", &["beyond"]).0).await?;
        let lack = format!("ServiceAccount {here}/dr may not create jobs.batch in {other}");
        town.plan_until("beyond", "Invalid", &lack).await?;
        town.runner_creates(&execution("beyond", "beyond").0).await?;
        town.refused_for("beyond", "RightsMissing", &lack).await?;
        assert_eq!(
            town.other
                .api::<Job>()
                .list(&ListParams::default())
                .await?
                .items
                .len(),
            0
        );
        town.never_reached_the_other(&town.dr())
    })
    .await
}

#[tokio::test]
async fn who_may_only_run_plans_changes_nothing_else_about_them() -> anyhow::Result<()> {
    in_town("attack-runner", async |town| {
        let flow = workflow("map")
            .parameter(json!({"name": "name", "default": "made"}))
            .parameter(json!({"name": "where", "default": town.t.name, "overridable": false}))
            .action(resource(
                "map",
                "Create",
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .params.name }}\n  namespace: {{ .params.where }}\n",
            ));
        town.author_applies(&flow.0).await?;
        let used = plan("map").with("serviceAccountName", "dr".into());
        town.author_applies(&used.stage("main", &["map"]).0).await?;
        town.grant_what_is_printed("map").await?;
        town.plan_until("map", "Ready", "").await?;
        for manifest in [&flow.0, &plan("map").with("serviceAccountName", "strong".into()).stage("main", &["map"]).0] {
            let refused = town.runner.run_with(&["apply", "-f", "-"], &manifest.to_string()).await;
            let refused = format!("{:#}", refused.expect_err("a runner writes no plans"));
            assert!(refused.contains("is forbidden"), "{refused}");
        }
        let with = |name: &str, parameter: &str, value: &str| {
            let params = json!([{"name": parameter, "value": value}]);
            execution(name, "map").with("params", params).0
        };
        town.runner_creates(&with("where", "where", &town.other.name)).await?;
        town.refused_for("where", "PlanInvalid", "may not be set by an execution (overridable: false)").await?;
        // Its Role names the object: another name is another right.
        town.runner_creates(&with("name", "name", "prize")).await?;
        town.refused_for("name", "RightsMissing", &format!("may not get configmaps prize in {}", town.t.name)).await?;
        // A value is no YAML: it stays one name.
        let injected = "made\n  namespace: elsewhere";
        town.runner_creates(&with("injected", "name", injected)).await?;
        town.ended("injected", "Failed").await?;
        let made = town.t.audit().resource("configmaps").verb("create").code(201);
        assert_eq!(made.impersonated(&town.dr()).entries()?.len(), 0);
        object_until(&plans(town.t), "map", "as it was", |plan| {
            (text(&plan?.data, "/spec/serviceAccountName") == "dr").then_some(())
        })
        .await?;
        town.never_reached_the_other(&town.dr())
    })
    .await
}
