//! What `charts/drplan` renders, on the real API server, and an operator with no rights but those of the chart.

use std::collections::BTreeSet;

use drplan_testkit::chart::{Chart, objects};
use drplan_testkit::{Kubectl, Seen, TestNamespace, eventually, object_until};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::fixtures::{apply_plan, create, execution, execution_until, job, post, released};
use crate::rights::until_allowed;
use crate::shared;

/// The repository's `deploy`.
const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");

/// The chart under names of the test's own, since what has no namespace is shared.
fn chart(t: &TestNamespace) -> Chart {
    let name = format!("\"{}\"", t.name);
    Chart::in_namespace(&t.name)
        .with(format!("name={name}"))
        .with(format!("priorityClass.name={name}"))
        // They are there, and not Helm's.
        .with("crds.install=false")
}

async fn rendered(chart: Chart) -> anyhow::Result<String> {
    tokio::task::spawn_blocking(move || chart.render()).await?
}

/// Lets the API server judge it, strictly, without storing it.
async fn judge(t: &TestNamespace, yaml: &str) -> anyhow::Result<String> {
    let kubectl = Kubectl::new(&t.control_plane, &t.name);
    let args = [
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "--force-conflicts",
        "-f",
        "-",
    ];
    kubectl.run_with(&args, yaml).await
}

#[tokio::test]
async fn what_the_chart_renders_is_taken_by_the_api_server() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let scoped = format!("namespaces=[\"{}\"]", t.name);
        let impersonate = format!("rbac.impersonate=[\"{}/dr\", \"*/default\"]", t.name);
        let installations: [&[&str]; 4] = [
            &[],
            &[&scoped, &impersonate],
            &[
                "operator.triggerAnnotations=true",
                r#"operator.http.caConfigMap="ca""#,
                r#"tolerations=[{"operator":"Exists"}]"#,
            ],
            &[
                "webhook.enabled=false",
                "metrics.port=0",
                "replicas=1",
                r#"networkPolicy.egress=[{"to":[{"ipBlock":{"cidr":"10.0.0.0/8"}}]}]"#,
            ],
        ];
        for values in installations {
            let chart = values.iter().fold(chart(t), |chart, value| chart.with(*value));
            let yaml = rendered(chart).await?;
            let judged = judge(t, &yaml).await?;
            assert_eq!(
                judged.lines().count(),
                objects(&yaml)?.len(),
                "{values:?}: {judged}"
            );
        }
        // The definitions too.
        judge(
            t,
            &rendered(Chart::in_namespace(&t.name).only("crds.yaml")).await?,
        )
        .await?;
        Ok(())
    };
    control_plane.with_namespace("chart", test).await
}

#[tokio::test]
async fn its_pods_run_where_only_restricted_ones_may() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let kubectl = Kubectl::new(&control_plane, &t.name);
        let level = "pod-security.kubernetes.io/enforce=restricted";
        kubectl.run(&["label", "namespace", &t.name, level]).await?;
        // Without the roles for people, which another test needs.
        let objects: Vec<Value> = objects(&rendered(chart(t)).await?)?
            .into_iter()
            .filter(|object| {
                !object["metadata"]["name"]
                    .as_str()
                    .is_some_and(|name| name.starts_with("drplan-"))
            })
            .collect();
        let yaml = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        kubectl
            .run_with(&["apply", "--server-side", "-f", "-"], &yaml)
            .await?;
        object_until(&t.api::<Deployment>(), &t.name, "has two Pods", |deployment| {
            (deployment?.status.as_ref()?.ready_replicas == Some(2)).then_some(())
        })
        .await?;
        let pods = t
            .api::<Pod>()
            .list(&ListParams::default().labels("app=drplan-controller"))
            .await?;
        assert_eq!(pods.items.len(), 2);
        let priority = pods.items[0].spec.as_ref().and_then(|spec| spec.priority);
        assert_eq!(priority, Some(1_000_000));
        kubectl
            .run_with(&["delete", "-f", "-", "--wait=false"], &yaml)
            .await?;
        Ok(())
    };
    control_plane.with_namespace("chart-pods", test).await
}

#[tokio::test]
async fn one_file_and_a_kustomize_base_hold_the_same() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let kubectl = Kubectl::without_namespace(&control_plane);
    let built = objects(&kubectl.run(&["kustomize", DEPLOY]).await?)?;
    let written = objects(&std::fs::read_to_string(format!("{DEPLOY}/install.yaml"))?)?;
    let sorted = |objects: Vec<Value>| -> BTreeSet<String> { objects.iter().map(Value::to_string).collect() };
    assert_eq!(sorted(built), sorted(written));
    Ok(())
}

#[tokio::test]
async fn with_the_charts_rights_an_operator_leads_runs_and_undoes() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let launch = t
            .operator_launch()?
            .arg("--leader-elect")
            .arg(format!("--leader-elect-resource-namespace={}", t.name));
        let operator = t.launch_operator(launch).await?;
        operator.ready().await?;
        let actions = [post("call", &t.stand_in.url("/call")), job("work")];
        apply_plan(t, "shop", &actions).await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        let lease = t.api::<Lease>().get("drplan-operator").await?;
        assert!(
            lease
                .spec
                .and_then(|spec| spec.holder_identity)
                .is_some_and(|holder| !holder.is_empty())
        );
        // with_namespace fails if anything was forbidden; that something was asked shows that it looked.
        let user = format!("operator:{}", t.name);
        let asked = t
            .audit()
            .user(&user)
            .resource("drplanexecutions")
            .subresource("status")
            .verb("update")
            .verb("patch");
        assert!(!asked.wait_for(2).await?.is_empty());
        Ok(())
    };
    control_plane.with_namespace("chart-rights", test).await
}

#[tokio::test]
async fn who_may_view_edit_or_administer_may_do_so_with_plans() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let kubectl = Kubectl::new(&control_plane, &t.name);
        let roles = rendered(chart(t).only("roles.yaml")).await?;
        kubectl
            .run_with(
                &["apply", "--server-side", "--force-conflicts", "-f", "-"],
                &roles,
            )
            .await?;
        for role in ["view", "edit", "admin"] {
            let user = format!("--user={role}:{}", t.name);
            kubectl
                .run(&[
                    "create",
                    "rolebinding",
                    role,
                    &format!("--clusterrole={role}"),
                    &user,
                ])
                .await?;
        }
        let check =
            async |role: &str, may: &[(&str, &str)], may_not: &[(&str, &str)]| -> anyhow::Result<()> {
                let user = format!("{role}:{}", t.name);
                let right = |(verb, plural): &(&str, &str)| {
                    [verb, "dr.bkbcs.tencent.com", plural, t.name.as_str()].map(str::to_owned)
                };
                until_allowed(&t.client, &user, &may.iter().map(right).collect()).await?;
                for (verb, plural) in may_not {
                    let (plural, part) = plural.split_once('/').unwrap_or((plural, ""));
                    let kind = format!("{plural}.dr.bkbcs.tencent.com");
                    let part = format!("--subresource={part}");
                    let asked = [
                        "auth",
                        "can-i",
                        verb,
                        kind.as_str(),
                        part.as_str(),
                        "--as",
                        user.as_str(),
                    ];
                    let asked = kubectl.run(&asked).await;
                    assert!(asked.is_err(), "{role} may {verb} {plural}");
                }
                Ok(())
            };
        let see = [
            ("get", "drplans"),
            ("watch", "drplanexecutions"),
            ("list", "drworkflows"),
        ];
        let write = [
            ("create", "drplans"),
            ("patch", "drworkflows"),
            ("delete", "drplans"),
        ];
        let run = [("create", "drplanexecutions"), ("patch", "drplanexecutions")];
        check("view", &see, &[&write[..], &run[..]].concat()).await?;
        check("edit", &[&see[..], &write[..]].concat(), &run).await?;
        check(
            "admin",
            &[&see[..], &write[..], &run[..]].concat(),
            &[("patch", "drplans/status")],
        )
        .await
    };
    control_plane.with_namespace("chart-roles", test).await
}

/// What a person would see who allowed too little.
#[tokio::test]
async fn acting_as_a_service_account_that_is_not_allowed_says_so() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let kubectl = Kubectl::new(&control_plane, &t.name);
        t.expect_refusals();
        t.launch_operator(t.operator_launch()?.default_identity())
            .await?
            .ready()
            .await?;
        let role = "drplan-operator";
        let narrowed = rendered(
            Chart::in_namespace(&t.name)
                .with(format!("namespaces=[\"{}\"]", t.name))
                .only("rbac.yaml"),
        );
        let narrowed: Vec<Value> = objects(&narrowed.await?)?
            .into_iter()
            .filter(|object| object["kind"] == "Role" && object["metadata"]["name"] == role)
            .collect();
        kubectl
            .run_with(&["replace", "-f", "-"], &narrowed[0].to_string())
            .await?;
        let user = format!("operator:{}", t.name);
        eventually("the operator to be limited to `default`", async || {
            let subject = format!("serviceaccounts/{}", "other");
            let asked = kubectl
                .run(&["auth", "can-i", "impersonate", &subject, "--as", &user])
                .await;
            Ok(Seen::when(asked.is_err().then_some(()), || {
                "it may impersonate others".into()
            }))
        })
        .await?;
        // It may do all that the plan needs; only that the operator acts as it is not allowed.
        let subject = format!("--serviceaccount={}:other", t.name);
        kubectl.run(&["create", "serviceaccount", "other"]).await?;
        kubectl
            .run(&["create", "rolebinding", "other", "--clusterrole=admin", &subject])
            .await?;
        apply_plan(t, "shop", &[job("work")]).await?;
        kubectl
            .run(&[
                "patch",
                "drplan",
                "shop",
                "--type=merge",
                "-p",
                r#"{"spec":{"serviceAccountName":"other"}}"#,
            ])
            .await?;
        create(t, &execution("run", "shop")).await?;
        let ended = execution_until(t, "run", "Failed").await?;
        let message = ended.to_string();
        assert!(message.contains("cannot impersonate"), "{message}");
        Ok(())
    };
    control_plane.with_namespace("chart-narrow", test).await
}
