//! Admission by the operator's webhooks, which the API server calls on loopback. Each operator registers for its test's
//! namespace alone, so tests do not meet each other's webhooks.

mod certificates;
mod messages;
mod outage;
mod refusals;
mod stamps;

use std::sync::Arc;

use drplan_testkit::{OperatorLaunch, OperatorProcess, Seen, TestNamespace, eventually, free_port};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    ValidatingWebhookConfiguration,
};
use kube::api::DeleteParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::fixtures::{Manifest, text, workflow};

/// An operator for the test's namespace that serves webhooks, with its Secret beside it.
pub(crate) fn launch(t: &TestNamespace) -> anyhow::Result<OperatorLaunch> {
    Ok(with_webhooks(t.operator_launch()?, free_port()?).arg(format!("--webhook-secret={}/webhook", t.name)))
}

/// An operator that serves webhooks on this port of 127.0.0.1.
fn with_webhooks(launch: OperatorLaunch, port: u16) -> OperatorLaunch {
    launch
        .arg(format!("--webhook-bind=127.0.0.1:{port}"))
        .arg(format!("--webhook-url=https://127.0.0.1:{port}"))
}

/// Starts an operator with webhooks and waits until the API server asks them.
pub(crate) async fn start(t: &TestNamespace) -> anyhow::Result<Arc<OperatorProcess>> {
    let operator = t.launch_operator(launch(t)?).await?;
    operator.ready().await?;
    asked(t).await?;
    Ok(operator)
}

/// Waits until the API server asks the webhooks about this namespace, and the policy holds.
pub(crate) async fn asked(t: &TestNamespace) -> anyhow::Result<()> {
    eventually("the webhooks to be asked", async || {
        let answer = try_create(&t.client, &t.name, &workflow("probe")).await?;
        Ok(Seen::when(
            (answer.code == 422 && answer.message.contains("denied the request")).then_some(()),
            || answer.message,
        ))
    })
    .await?;
    eventually("the policy to hold", async || {
        let forged =
            crate::fixtures::plan("probe").annotated(&crate::fixtures::ours("trigger-accepted"), "x");
        let answer = try_create(&t.client, &t.name, &forged).await?;
        Ok(Seen::when(
            answer
                .message
                .contains("only the operator writes it")
                .then_some(()),
            || answer.message,
        ))
    })
    .await
}

/// Takes away what the operators of this namespace have registered, which would outlive them.
pub(crate) async fn unregister(t: &TestNamespace) -> anyhow::Result<()> {
    for name in registered(t).await? {
        let all = DeleteParams::default();
        Api::<ValidatingWebhookConfiguration>::all(t.client.clone())
            .delete(&name, &all)
            .await?;
        Api::<MutatingWebhookConfiguration>::all(t.client.clone())
            .delete(&name, &all)
            .await?;
        Api::<ValidatingAdmissionPolicyBinding>::all(t.client.clone())
            .delete(&name, &all)
            .await?;
        Api::<ValidatingAdmissionPolicy>::all(t.client.clone())
            .delete(&name, &all)
            .await?;
    }
    Ok(())
}

/// The names of what is registered for this namespace.
async fn registered(t: &TestNamespace) -> anyhow::Result<Vec<String>> {
    let api: Api<ValidatingWebhookConfiguration> = Api::all(t.client.clone());
    let of_namespace = |one: &ValidatingWebhookConfiguration| {
        serde_json::to_string(one).is_ok_and(|text| text.contains(&format!("[\"{}\"]", t.name)))
    };
    let all = api.list(&kube::api::ListParams::default()).await?;
    Ok(all
        .items
        .into_iter()
        .filter(of_namespace)
        .filter_map(|one| one.metadata.name)
        .collect())
}

/// What the API server answers to a request.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) message: String,
    warnings: Vec<String>,
}

impl Answer {
    /// The webhook's own words; of another refusal all of them.
    fn reason(&self) -> &str {
        match self.message.split_once("denied the request: ") {
            Some((_, reason)) => reason,
            None => &self.message,
        }
    }
}

/// Creates the object as `kubectl create` does, with strict validation.
pub(crate) async fn create_as(
    client: &Client,
    namespace: &str,
    manifest: &Manifest,
) -> anyhow::Result<Answer> {
    send(
        client,
        "POST",
        &path(namespace, manifest, "?fieldValidation=Strict"),
        Some(&manifest.0),
    )
    .await
}

/// The same as a dry run: nothing is stored.
pub(crate) async fn try_create(
    client: &Client,
    namespace: &str,
    manifest: &Manifest,
) -> anyhow::Result<Answer> {
    let query = "?fieldValidation=Strict&dryRun=All";
    send(
        client,
        "POST",
        &path(namespace, manifest, query),
        Some(&manifest.0),
    )
    .await
}

/// Merges `patch` into the object of that kind and name.
async fn patch_as(
    client: &Client,
    namespace: &str,
    kind: &str,
    name: &str,
    patch: &Value,
) -> anyhow::Result<Answer> {
    let path = format!("{}/{name}", path_of(namespace, kind));
    send(client, "PATCH", &path, Some(patch)).await
}

/// Sets an annotation of ours, or takes it off.
async fn annotate_as(
    client: &Client,
    namespace: &str,
    kind: &str,
    name: &str,
    annotations: &[(&str, Option<&str>)],
) -> anyhow::Result<Answer> {
    let pairs = annotations
        .iter()
        .map(|(name, value)| (crate::fixtures::ours(name), json!(value)));
    let annotations = Value::Object(pairs.collect());
    patch_as(
        client,
        namespace,
        kind,
        name,
        &json!({"metadata": {"annotations": annotations}}),
    )
    .await
}

/// Deletes the object of that kind and name.
pub(crate) async fn delete_as(
    client: &Client,
    namespace: &str,
    kind: &str,
    name: &str,
) -> anyhow::Result<Answer> {
    send(
        client,
        "DELETE",
        &format!("{}/{name}", path_of(namespace, kind)),
        None,
    )
    .await
}

fn path(namespace: &str, manifest: &Manifest, query: &str) -> String {
    format!("{}{query}", path_of(namespace, text(&manifest.0, "/kind")))
}

fn path_of(namespace: &str, kind: &str) -> String {
    format!(
        "/apis/dr.bkbcs.tencent.com/v1alpha1/namespaces/{namespace}/{}s",
        kind.to_lowercase()
    )
}

async fn send(client: &Client, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
    let content = match method {
        "PATCH" => "application/merge-patch+json",
        _ => "application/json",
    };
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content)
        .body(kube::client::Body::from(
            body.map(serde_json::to_vec).transpose()?.unwrap_or_default(),
        ))?;
    let answer = client.send(request).await?;
    let warnings = answer.headers().get_all("warning").iter().map(|warning| {
        // `299 - "text"`
        let text = String::from_utf8_lossy(warning.as_bytes()).into_owned();
        let text = text
            .split_once('"')
            .map_or(text.clone(), |(_, text)| text.to_owned());
        text.trim_end_matches('"')
            .replace("\\\"", "\"")
            .replace("\\\\", "\\")
    });
    let (code, warnings) = (answer.status().as_u16(), warnings.collect());
    let bytes = answer.into_body().collect_bytes().await?;
    let said: Value = serde_json::from_slice(&bytes)?;
    Ok(Answer {
        code,
        message: text(&said, "/message").to_owned(),
        warnings,
    })
}
