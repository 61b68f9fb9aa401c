//! Stores the runs of this release's format; CONTRIBUTING.md has the command.

use std::collections::BTreeSet;
use std::fs;

use anyhow::ensure;
use drplan_api::status::FORMAT_VERSION;
use drplan_testkit::{Answer, TestNamespace};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

use super::directory;
use crate::e2e_examples::granted_by;
use crate::fixtures::{
    apply, config_map, create, execution, execution_until, job, our_api, plan, post, released, resource,
    text, workflow,
};
use crate::rights::until_allowed;
use crate::shared;

/// The flag by which the site of the stored plans is the stand-in, whose port goes in place of the word.
pub(super) const SITE: &str = "--http-resolve=site.example.com:80:127.0.0.1:PORT";

/// The namespace of the stored runs of a format.
pub(super) fn namespace(format: u32) -> String {
    format!("stored-format-{format}")
}

/// What the site says.
pub(super) fn site(t: &TestNamespace) {
    let first = Answer::ok().body("said \"first\"");
    t.stand_in.script(
        "/first",
        [Answer::status(503), first.clone(), Answer::status(503), first],
    );
}

/// The account that the stored plans name, with its rights.
pub(super) async fn actor(t: &TestNamespace) -> anyhow::Result<()> {
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": "dr"}}))?;
    t.api().create(&PostParams::default(), &account).await?;
    let verbs = ["get", "list", "watch", "create", "patch", "delete"];
    let role = json!({
        "kind": "Role",
        "metadata": {"name": "dr", "namespace": t.name},
        "rules": [{"apiGroups": ["", "batch"], "resources": ["configmaps", "jobs", "pods", "pods/log"], "verbs": verbs}],
    });
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "dr"},
        "subjects": [{"kind": "ServiceAccount", "name": "dr", "namespace": t.name}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "dr"},
    }))?;
    t.api()
        .create(
            &PostParams::default(),
            &serde_json::from_value::<Role>(role.clone())?,
        )
        .await?;
    t.api().create(&PostParams::default(), &binding).await?;
    let user = format!("system:serviceaccount:{}:dr", t.name);
    until_allowed(&t.client, &user, &granted_by([&role])).await
}

/// The workflow of the stored runs, with what a later release might read otherwise: values, outputs, retries, a Job, an
/// object, rollbacks.
async fn apply_plans(t: &TestNamespace) -> anyhow::Result<()> {
    let url = |path: &str| format!("http://site.example.com/{path}");
    let undo = post("", &url("undo-first")).doing(
        "body",
        r#"{"word": "{{ .params.word }}", "status": {{ .outputs.first.statusCode }}}"#.into(),
    );
    let flow = workflow("flow")
        .parameter(json!({"name": "word", "default": "by default"}))
        .action(
            post("first", &url("first"))
                .retried(3, "1ms")
                .undone_by(undo),
        )
        .action(resource("map", "Create", &config_map("{{ .planName }}-made", "mode: dr")))
        .action(job("work"))
        .action(post("held", &url("held")).doing(
            "body",
            r#"{"word": "{{ .params.word }}", "said": "{{ .outputs.first.body }}", "at": "{{ .timestamp }}"}"#.into(),
        ))
        .action(post("last", &url("last")));
    apply(t, &flow).await?;
    for name in ["finished", "running"] {
        let used = plan(name)
            .with("serviceAccountName", "dr".into())
            .with("globalParams", json!([{"name": "word", "value": "stored"}]));
        apply(t, &used.stage("main", &["flow"])).await?;
    }
    Ok(())
}

/// Not a test: writes `stored/format-N` anew.
#[tokio::test]
#[ignore = "writes files; run it when the format of records changes"]
async fn runs_of_this_format_are_stored() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let write = async |t: &TestNamespace| {
        actor(t).await?;
        apply_plans(t).await?;
        site(t);
        let port = t.stand_in.address().port().to_string();
        let launch = t.operator_launch()?.arg(SITE.replace("PORT", &port));
        let operator = t.launch_operator(launch).await?;
        operator.ready().await?;
        create(t, &execution("finished", "finished")).await?;
        execution_until(t, "finished", "Succeeded").await?;
        released(t, "finished").await?;
        t.stand_in.script("/held", [Answer::ok().held()]);
        create(t, &execution("running", "running")).await?;
        t.stand_in.wait_for("/held", 2).await?;
        operator.kill9().await?;

        let directory = directory(FORMAT_VERSION);
        fs::create_dir_all(&directory)?;
        let mut written = BTreeSet::new();
        for object in objects(t).await? {
            let [kind, name] = ["/kind", "/metadata/name"].map(|field| text(&object, field));
            let file = format!("{}-{name}.yaml", kind.to_lowercase());
            let yaml = serde_saphyr::to_string(&object)?;
            ensure!(
                serde_saphyr::from_str::<Value>(&yaml)? == object,
                "{file} is read otherwise:\n{yaml}"
            );
            fs::write(directory.join(&file), yaml)?;
            ensure!(written.insert(file.clone()), "{file} is written twice");
        }
        Ok(())
    };
    control_plane
        .with_namespace_of_name(namespace(FORMAT_VERSION), write)
        .await
}

/// Everything that a release after this one will find, without what the API server adds for itself.
async fn objects(t: &TestNamespace) -> anyhow::Result<Vec<Value>> {
    let all = ListParams::default();
    let mut objects = Vec::new();
    let mut push = |api_version: &str, kind: &str, object: Value| {
        let mut object = object;
        object["apiVersion"] = api_version.into();
        object["kind"] = kind.into();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.retain(|field, _| !["managedFields", "resourceVersion"].contains(&field.as_str()));
        }
        objects.push(object);
    };
    for kind in ["DRWorkflow", "DRPlan", "DRPlanExecution"] {
        for object in our_api(t, kind).list(&all).await? {
            push(
                "dr.bkbcs.tencent.com/v1alpha1",
                kind,
                serde_json::to_value(object)?,
            );
        }
    }
    for object in t.api::<ControllerRevision>().list(&all).await? {
        push("apps/v1", "ControllerRevision", serde_json::to_value(object)?);
    }
    for object in t
        .api::<ConfigMap>()
        .list(&all.clone().labels("dr.bkbcs.tencent.com/plan"))
        .await?
    {
        push("v1", "ConfigMap", serde_json::to_value(object)?);
    }
    Ok(objects)
}
