//! What it costs to create a plan under admission, beside hundreds of others.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use drplan_api::{DRPlan, DRWorkflow};
use futures::{TryStreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::bench::figures::Figures;
use crate::bench::objects::make;
use crate::eventually::{Seen, eventually};
use crate::namespace::TestNamespace;
use crate::port::free_port;

/// Plans that are stored.
pub(super) const STORED: usize = 500;
/// Plans that are judged, one after another.
const JUDGED: usize = 300;
/// Requests of the benchmark's own under way at once while it sets up.
const SETTING_UP: usize = 16;
/// The namespace where the shop's Jobs run. The benchmark's control plane is its own, so there is none yet.
const SITE: &str = "production";
const ECOMMERCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/ecommerce");

/// The creation of the e-commerce plan.
#[derive(Debug, Default)]
pub(super) struct Admission {
    /// From a review to its answer, on one connection to the webhook.
    pub(super) reviewed: Figures,
    /// From a creation to its answer, as a dry run: stored it is not.
    pub(super) created: Figures,
    /// The same where no webhook is asked.
    pub(super) unasked: Figures,
}

/// Stores 500 e-commerce plans, and measures the admission of another.
pub(super) async fn admission(t: &TestNamespace) -> anyhow::Result<Admission> {
    let port = free_port()?;
    let namespaces: Api<Namespace> = Api::all(t.client.clone());
    let site: Namespace = serde_json::from_value(json!({"metadata": {"name": SITE}}))?;
    namespaces.create(&PostParams::default(), &site).await?;
    let launch = t
        .operator_launch()?
        .arg(format!("--namespace={SITE}"))
        .arg(format!("--webhook-bind=127.0.0.1:{port}"))
        .arg(format!("--webhook-url=https://127.0.0.1:{port}"))
        .arg(format!("--webhook-secret={}/webhook", t.name));
    t.launch_operator(launch).await?.ready().await?;
    let mut plan = Value::Null;
    for file in [
        "mysql-failover.yaml",
        "service-failover.yaml",
        "notification-workflow.yaml",
        "plan.yaml",
    ] {
        for document in documents(&Path::new(ECOMMERCE).join(file))? {
            let name = document["metadata"]["name"].as_str().context("it has a name")?;
            match document["kind"].as_str() {
                Some("DRWorkflow") => drop(make::<DRWorkflow>(t, name, document["spec"].clone()).await?),
                Some("DRPlan") => plan = document["spec"].clone(),
                _ => {}
            }
        }
    }
    let plans: Api<DRPlan> = t.api();
    let named = |name: &str| -> anyhow::Result<DRPlan> {
        Ok(serde_json::from_value(json!({
            "apiVersion": "dr.bkbcs.tencent.com/v1alpha1", "kind": "DRPlan",
            "metadata": {"name": name, "namespace": t.name}, "spec": plan,
        }))?)
    };
    stream::iter((0..STORED).map(anyhow::Ok))
        .try_for_each_concurrent(SETTING_UP, async |number| {
            plans
                .create(&PostParams::default(), &named(&format!("stored-{number}"))?)
                .await?;
            Ok(())
        })
        .await?;
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    eventually("the webhooks to be asked", async || {
        let wrong = serde_json::from_value(json!({"metadata": {"name": "wrong"}, "spec": {}}))?;
        let answer = plans.create(&dry, &wrong).await;
        Ok(Seen::when(answer.is_err().then_some(()), || {
            "it is taken".to_owned()
        }))
    })
    .await?;

    let mut measured = Admission::default();
    let unasked: Api<DRPlan> = Api::namespaced(t.client.clone(), "default");
    for number in 0..JUDGED {
        let name = format!("new-{number}");
        let object = named(&name)?;
        timed(&mut measured.created, async {
            Ok(plans.create(&dry, &object).await?)
        })
        .await?;
        let mut elsewhere = object.clone();
        elsewhere.metadata.namespace = None;
        timed(&mut measured.unasked, async {
            Ok(unasked.create(&dry, &elsewhere).await?)
        })
        .await?;
    }
    let client = reqwest::Client::builder()
        .danger_accept_invalid_certs(true)
        .build()?;
    let url = format!("https://127.0.0.1:{port}/validate/drplans?timeout=5s");
    for number in 0..JUDGED {
        let review = review(&named(&format!("new-{number}"))?, &t.name);
        let answer: Value = timed(&mut measured.reviewed, async {
            let sent = client
                .post(&url)
                .json(&review)
                .timeout(Duration::from_secs(5))
                .send();
            Ok(sent.await?.json().await?)
        })
        .await?;
        anyhow::ensure!(answer["response"]["allowed"] == true, "{answer}");
    }
    Ok(measured)
}

async fn timed<T>(
    figures: &mut Figures,
    request: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    let answer = request.await?;
    figures.add(begun.elapsed());
    Ok(answer)
}

/// What the API server sends about a plan that is created.
fn review(plan: &DRPlan, namespace: &str) -> Value {
    let group = "dr.bkbcs.tencent.com";
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1",
            "kind": {"group": group, "version": "v1alpha1", "kind": "DRPlan"},
            "resource": {"group": group, "version": "v1alpha1", "resource": "drplans"},
            "name": plan.metadata.name,
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": "bench"},
            "object": plan,
        },
    })
}

/// The documents of a file, for any namespace.
fn documents(file: &Path) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    Ok(serde_saphyr::from_multiple(&text)?)
}
