//! Rights that plans need: printed by `kubectl drplan rbac`, reviewed by the operator, and enough.

mod reviews;

use std::collections::BTreeSet;
use std::process::Output;

use anyhow::{Context, ensure};
use drplan_testkit::{ControlPlane, Seen, TestNamespace, cli_binary, eventually, object_until};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::e2e_examples::{EXAMPLES, ON_A_HUB, granted_by, manifests, used_exactly};
use crate::fixtures::{
    apply, apply_plan, config_map, create, event, execution, execution_until, job, plan, plans, post,
    released, resource, text, workflow,
};
use crate::guide;
use crate::hub::{Hub, Without, with_hub};
use crate::rights::until_allowed;
use crate::shared;

/// Runs `kubectl drplan` as the administrator.
async fn drplan(control_plane: &ControlPlane, args: &[&str]) -> anyhow::Result<Output> {
    let program = tokio::task::spawn_blocking(cli_binary).await??;
    let output = Command::new(program)
        .args(["--kubeconfig".as_ref(), control_plane.kubeconfig().as_os_str()])
        .args(args)
        .output()
        .await?;
    Ok(output)
}

/// What it prints; an error unless it succeeds.
async fn printed(control_plane: &ControlPlane, args: &[&str]) -> anyhow::Result<String> {
    let output = drplan(control_plane, args).await?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kubectl drplan {args:?}: {error}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Waits until the plan has this phase, and returns its message.
async fn plan_until(t: &TestNamespace, name: &str, phase: &str) -> anyhow::Result<String> {
    object_until(&plans(t), name, &format!("phase {phase}"), |plan| {
        let plan = plan?;
        (text(&plan.data, "/status/phase") == phase).then(|| text(&plan.data, "/status/message").to_owned())
    })
    .await
}

async fn service_account(t: &TestNamespace, name: &str) -> anyhow::Result<()> {
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    t.api().create(&PostParams::default(), &account).await?;
    Ok(())
}

#[tokio::test]
async fn every_example_runs_and_is_undone_with_exactly_the_rights_that_are_printed_for_its_plan()
-> anyhow::Result<()> {
    let mut texts = String::new();
    for (directory, ..) in ON_A_HUB {
        for (_, manifest) in manifests(directory)? {
            texts.push_str(&manifest.to_string());
        }
    }
    let test = async |hub: &Hub<'_>| {
        for (directory, namespace, plan, _) in ON_A_HUB {
            grant_what_is_printed(hub, directory, namespace, plan).await?;
        }
        the_operator_itself_kept_to_its_own(hub)
    };
    with_hub(
        "printed-rights",
        &[],
        &guide::hosts(&texts),
        Without::AsDefault,
        test,
    )
    .await
}

/// What the operator asked for without impersonating anybody is about its own records alone.
fn the_operator_itself_kept_to_its_own(hub: &Hub<'_>) -> anyhow::Result<()> {
    let user = format!("operator:{}", hub.t.name);
    let asked = hub
        .t
        .control_plane
        .audit()
        .query()
        .user(&user)
        .impersonated("")
        .entries()?;
    let asked: BTreeSet<(String, String)> = asked
        .iter()
        .filter_map(|entry| {
            let object = entry.object_ref.as_ref()?;
            let is_read = matches!(entry.verb.as_str(), "list" | "watch");
            let verb = if object.resource == "jobs" && is_read {
                "watch "
            } else {
                ""
            };
            Some((object.api_group.clone(), format!("{verb}{}", object.resource)))
        })
        .collect();
    let own = [
        ("", "events"),
        ("apps", "controllerrevisions"),
        ("authorization.k8s.io", "subjectaccessreviews"),
        ("batch", "watch jobs"),
        ("dr.bkbcs.tencent.com", "drplanexecutions"),
        ("dr.bkbcs.tencent.com", "drplans"),
        ("dr.bkbcs.tencent.com", "drworkflows"),
    ];
    let own = own.map(|(group, resource)| (group.to_owned(), resource.to_owned()));
    assert_eq!(asked, own.into());
    Ok(())
}

/// Applies an example without its own rights, grants those that are printed, runs it and undoes it.
async fn grant_what_is_printed(
    hub: &Hub<'_>,
    directory: &str,
    namespace: &str,
    plan: &str,
) -> anyhow::Result<()> {
    let is_access =
        |manifest: &Value| matches!(text(manifest, "/kind"), "ServiceAccount" | "Role" | "RoleBinding");
    let mut account = "default".to_owned();
    for (_, manifest) in manifests(directory)? {
        match text(&manifest, "/kind") {
            "Namespace" => hub.t.beside(text(&manifest, "/metadata/name")).await?,
            "ServiceAccount" => account = text(&manifest, "/metadata/name").to_owned(),
            _ => {}
        }
        if !is_access(&manifest) {
            hub.apply(&manifest.to_string()).await?;
        }
    }
    let control_plane = &hub.t.control_plane;
    let printed_rights = printed(control_plane, &["rbac", plan, "-n", namespace]).await?;
    let path = format!("{EXAMPLES}/{directory}");
    let offline = printed(control_plane, &["rbac", "-f", &path, "-n", namespace]).await?;
    assert_eq!(offline, printed_rights, "{directory}");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&printed_rights)?;
    let granted = granted_by(&documents);
    let check = ["rbac", plan, "-n", namespace, "--check"];
    let before = drplan(control_plane, &check).await?;
    let is_bare = granted.is_empty();
    let code = if is_bare { 0 } else { 3 };
    assert_eq!(before.status.code(), Some(code), "{directory}: {before:?}");
    if !is_bare {
        hub.apply(&printed_rights).await?;
    }
    let user = format!("system:serviceaccount:{namespace}:{account}");
    eventually(&format!("{user} to have its rights"), async || {
        let after = drplan(control_plane, &check).await?;
        let said = || String::from_utf8_lossy(&after.stdout).into_owned();
        Ok(Seen::when(after.status.success().then_some(()), said))
    })
    .await?;
    // It heals by itself: nobody touches it.
    hub.ready("DRPlan", namespace, plan).await?;

    let execution = format!("{EXAMPLES}/{directory}/run/execution.yaml");
    let create = ["create", "--validate=strict", "-o", "name", "-f", &execution];
    let created = hub.kubectl.run(&create).await?;
    let name = created.trim().rsplit('/').next().context("it has a name")?;
    hub.ended(namespace, name, "Succeeded").await?;
    let undo = format!("undo-{name}");
    let revert = json!({
        "apiVersion": "dr.bkbcs.tencent.com/v1alpha1", "kind": "DRPlanExecution",
        "metadata": {"name": undo, "namespace": namespace},
        "spec": {"planRef": plan, "operationType": "Revert", "revertExecutionRef": name},
    });
    hub.apply(&revert.to_string()).await?;
    hub.ended(namespace, &undo, "Succeeded").await?;
    if !is_bare {
        used_exactly(hub, &user, granted).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_plan_without_rights_is_invalid_its_run_has_no_effect_and_the_role_it_is_told_heals_it()
-> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let launch = t
            .operator_launch()?
            .default_identity()
            .arg("--reconcile-interval=2s");
        t.launch_operator(launch).await?.ready().await?;
        service_account(t, "dr").await?;
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call")), job("work")]).await?;
        let used = plan("shop")
            .with("serviceAccountName", "dr".into())
            .stage("main", &["shop"]);
        apply(t, &used).await?;
        let message = plan_until(t, "shop", "Invalid").await?;
        let lack = format!(
            "spec.serviceAccountName: ServiceAccount {0}/dr may not create jobs.batch in {0}, get jobs.batch in {0}. \
             Grant what the plan needs: kubectl drplan rbac shop -n {0} | kubectl apply -f -, or apply {{",
            t.name
        );
        assert!(message.starts_with(&lack), "{message}");

        create(t, &execution("early", "shop")).await?;
        let refused = execution_until(t, "early", "Failed").await?;
        let refusal = text(&refused, "/status/message");
        let wanted = format!("RightsMissing: plan `shop` cannot run: {lack}");
        assert!(refusal.starts_with(&wanted), "{refusal}");
        assert_eq!(
            event(t, "early", "ExecutionFailed")
                .await?
                .split_once(':')
                .map(|(reason, _)| reason),
            Some("RightsMissing")
        );
        assert_eq!(t.stand_in.all().len(), 0);
        assert_eq!(t.audit().resource("jobs").verb("create").entries()?.len(), 0);
        // Looking again and again writes nothing.
        let reviews = t
            .control_plane
            .audit()
            .query()
            .resource("localsubjectaccessreviews")
            .namespace(&t.name);
        let before = reviews.entries()?.len();
        reviews.wait_for(before + 12).await?;
        let writes = t
            .audit()
            .resource("drplans")
            .subresource("status")
            .verb("patch")
            .code(200)
            .entries()?;
        assert!(writes.len() <= 4, "{} writes of the plan's status", writes.len());

        let (_, list) = refusal.split_once("or apply ").context("a manifest")?;
        let kubectl = drplan_testkit::Kubectl::without_namespace(&t.control_plane);
        kubectl
            .run_with(&["apply", "--validate=strict", "-f", "-"], list)
            .await?;
        assert_eq!(plan_until(t, "shop", "Ready").await?, "");
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        let account = format!("system:serviceaccount:{}:dr", t.name);
        assert_eq!(t.audit().impersonated(&account).code(403).entries()?.len(), 0);
        Ok(())
    };
    control_plane.with_namespace("rights-missing", test).await
}

#[tokio::test]
async fn rights_that_only_an_undo_needs_are_a_warning_and_a_revert_without_them_has_no_effect()
-> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.launch_operator(t.operator_launch()?.default_identity())
            .await?
            .ready()
            .await?;
        service_account(t, "dr").await?;
        let flow = workflow("shop")
            .action(resource("map", "Create", &config_map("made", "a: b")))
            .action(post("call", &t.stand_in.url("/call")).undone_by(post("", &t.stand_in.url("/back"))));
        apply(t, &flow).await?;
        let used = plan("shop")
            .with("serviceAccountName", "dr".into())
            .stage("main", &["shop"]);
        apply(t, &used).await?;
        let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get"]}]);
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "some", "namespace": t.name}, "rules": rules,
        });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "some", "namespace": t.name},
            "subjects": [{"kind": "ServiceAccount", "name": "dr", "namespace": t.name}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "some"},
        });
        let kubectl = drplan_testkit::Kubectl::without_namespace(&t.control_plane);
        for manifest in [&role, &binding] {
            kubectl
                .run_with(&["apply", "-f", "-"], &manifest.to_string())
                .await?;
        }
        let user = format!("system:serviceaccount:{}:dr", t.name);
        until_allowed(&t.client, &user, &granted_by([&role])).await?;
        let message = plan_until(t, "shop", "Ready").await?;
        assert!(
            message.starts_with("warning: spec.serviceAccountName: ")
                && message.contains("may not watch configmaps made"),
            "{message}"
        );
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        create(t, &crate::fixtures::revert("back", "shop", "run")).await?;
        let refused = execution_until(t, "back", "Failed").await?;
        let refusal = text(&refused, "/status/message");
        assert!(
            refusal.starts_with("RightsMissing: ") && refusal.contains("delete configmaps made"),
            "{refusal}"
        );
        released(t, "back").await?;
        // Not even what was undone first and needs no right.
        assert_eq!(t.stand_in.requests("/back").len(), 0);
        assert_eq!(t.audit().impersonated(&user).verb("delete").entries()?.len(), 0);
        Ok(())
    };
    control_plane.with_namespace("rights-undo", test).await
}

#[tokio::test]
async fn an_operator_that_may_not_ask_for_rights_warns_and_lets_the_run_tell() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let user = format!("blindfold:{}", t.name);
        let everything = |groups: Value| json!({"apiGroups": groups, "resources": ["*"], "verbs": ["*"]});
        let rules = json!([
            everything(json!(["dr.bkbcs.tencent.com", "apps", "batch", ""])),
            {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]},
        ]);
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "blindfold", "namespace": t.name}, "rules": rules,
        });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "blindfold", "namespace": t.name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "blindfold"},
        });
        let kubectl = drplan_testkit::Kubectl::without_namespace(&t.control_plane);
        for manifest in [&role, &binding] {
            kubectl
                .run_with(&["apply", "-f", "-"], &manifest.to_string())
                .await?;
        }
        let wanted: BTreeSet<_> = granted_by([&role])
            .into_iter()
            .filter(|[verb, ..]| verb != "impersonate")
            .map(|[_, group, _, namespace]| ["list".to_owned(), group, "drplans".to_owned(), namespace])
            .filter(|[_, group, ..]| group == "dr.bkbcs.tencent.com")
            .collect();
        until_allowed(&t.client, &user, &wanted).await?;
        let kubeconfig = t.control_plane.kubeconfig_for(&user, None)?;
        let launch = t.operator_launch()?.kubeconfig(kubeconfig).default_identity();
        t.launch_operator(launch).await?.ready().await?;
        service_account(t, "dr").await?;
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call")), job("work")]).await?;
        let used = plan("shop")
            .with("serviceAccountName", "dr".into())
            .stage("main", &["shop"]);
        apply(t, &used).await?;
        let message = plan_until(t, "shop", "Ready").await?;
        assert!(
            message.contains("whether the ServiceAccount has the rights that the plan needs is not known")
                && message.contains("let the operator create"),
            "{message}"
        );
        create(t, &execution("run", "shop")).await?;
        let failed = execution_until(t, "run", "Failed").await?;
        assert!(
            text(&failed, "/status/message").contains("cannot create"),
            "{failed}"
        );
        assert_eq!(t.stand_in.requests("/call").len(), 1);
        assert_eq!(t.api::<Job>().list(&ListParams::default()).await?.items.len(), 0);
        Ok(())
    };
    control_plane.with_namespace("rights-unasked", test).await
}
