//! A control plane as the user guide has it: its namespaces by their real names, Clusternet's kinds, and a site that
//! answers for every host that is called.

use anyhow::Context;
use drplan_testkit::{
    Authority, CLUSTERNET_KINDS, ControlPlane, HttpStandIn, Kubectl, OperatorProcess, TestNamespace,
    object_until,
};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::Value;
use std::sync::Arc;

use crate::fixtures::text;
use crate::{options, toys};

/// Clusternet's kinds that actions write.
pub(crate) const LOCALIZATION: (&str, &str) = ("apps.clusternet.io/v1alpha1", "Localization");
/// See [`LOCALIZATION`].
pub(crate) const SUBSCRIPTION: (&str, &str) = ("apps.clusternet.io/v1alpha1", "Subscription");
const JOB: (&str, &str) = ("batch/v1", "Job");

/// A control plane of the test's own, with an operator for all of its namespaces.
pub(crate) struct Hub<'a> {
    /// The test's namespace there.
    pub(crate) t: &'a TestNamespace,
    /// What answers HTTPS for all hosts.
    pub(crate) site: HttpStandIn,
    /// A person's way to it, in no particular namespace.
    pub(crate) kubectl: Kubectl,
    _operator: Arc<OperatorProcess>,
}

/// How actions of plans without a ServiceAccount run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Without {
    /// As the operator itself.
    AsOperator,
    /// As the ServiceAccount `default`.
    AsDefault,
}

/// Where Clusternet's own definitions may be; nothing depends on it.
const REAL_KINDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/clusternet-crds");

/// Clusternet's own definitions where they are at hand, else ours, which the other tests run with.
fn clusternet_kinds() -> anyhow::Result<Vec<String>> {
    let text = |kind: &str| std::fs::read_to_string(format!("{REAL_KINDS}/apps.clusternet.io_{kind}.yaml"));
    match std::path::Path::new(REAL_KINDS).is_dir() {
        true => Ok(vec![text("localizations")?, text("subscriptions")?]),
        false => Ok(vec![CLUSTERNET_KINDS.into()]),
    }
}

/// Runs the test on a hub with these namespaces where these hosts are called.
pub(crate) async fn with_hub(
    name: &str,
    namespaces: &[&str],
    hosts: &[String],
    without: Without,
    test: impl AsyncFnOnce(&Hub<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let options = options().await?;
    let options = options
        .with_crds(clusternet_kinds()?)
        .with_crds([toys::BACKUP_POLICIES.into()]);
    let control_plane = ControlPlane::start(options).await?;
    let run = async |t: &TestNamespace| {
        for namespace in namespaces {
            t.beside(namespace).await?;
        }
        let hub = Hub::start(t, hosts, without).await?;
        let result = test(&hub).await;
        if result.is_err() {
            for call in hub.site.all() {
                let host = call.header("host").unwrap_or_default();
                eprintln!(
                    "--- request {} https://{host}{}: {:?}",
                    call.method, call.path, call.outcome
                );
            }
        }
        result
    };
    control_plane.with_namespace(name, run).await
}

impl<'a> Hub<'a> {
    async fn start(t: &'a TestNamespace, hosts: &[String], without: Without) -> anyhow::Result<Self> {
        let authority = Authority::generate()?;
        let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let site = HttpStandIn::start_secure(&authority.server(&names)?).await?;
        let file = t.control_plane.dir().join(format!("{}-ca.pem", t.name));
        std::fs::write(&file, authority.certificate())?;
        let mut launch = t.operator_launch()?.arg(format!("--http-ca={}", file.display()));
        launch.namespace = None;
        for host in hosts {
            launch = launch.arg(format!("--http-resolve={host}:443:{}", site.address()));
        }
        if without == Without::AsDefault {
            launch = launch.default_identity();
        }
        let operator = t.launch_operator(launch).await?;
        operator.ready().await?;
        Ok(Self {
            t,
            site,
            kubectl: Kubectl::without_namespace(&t.control_plane),
            _operator: operator,
        })
    }

    /// The objects of a kind, given as API version and kind.
    pub(crate) fn api(&self, (api_version, kind): (&str, &str), namespace: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.t.client.clone(), namespace, &resource)
    }

    /// The objects of one of our kinds.
    fn ours(&self, kind: &str, namespace: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk("dr.bkbcs.tencent.com", "v1alpha1", kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, &format!("{}s", kind.to_lowercase()));
        Api::namespaced_with(self.t.client.clone(), namespace, &resource)
    }

    /// An object as JSON.
    pub(crate) async fn object(
        &self,
        kind: (&str, &str),
        namespace: &str,
        name: &str,
    ) -> anyhow::Result<Value> {
        let object = self.api(kind, namespace).get(name).await;
        Ok(serde_json::to_value(
            object.with_context(|| format!("{} {name}", kind.1))?,
        )?)
    }

    /// Applies the text as it stands; unknown fields are errors.
    pub(crate) async fn apply(&self, manifest: &str) -> anyhow::Result<String> {
        let strictly = ["apply", "--validate=strict", "-f", "-"];
        let applied = self.kubectl.run_with(&strictly, manifest).await;
        applied.with_context(|| format!("failed to apply:\n{manifest}"))
    }

    /// Waits until a workflow or plan is Ready, or a plan Executed.
    pub(crate) async fn ready(&self, kind: &str, namespace: &str, name: &str) -> anyhow::Result<()> {
        object_until(&self.ours(kind, namespace), name, "phase Ready", |object| {
            let phase = text(&object?.data, "/status/phase");
            matches!(phase, "Ready" | "Executed").then_some(())
        })
        .await
    }

    /// Waits until the execution has ended, and returns it; `phase` is the end that it must have.
    pub(crate) async fn ended(&self, namespace: &str, name: &str, phase: &str) -> anyhow::Result<Value> {
        let executions = self.ours("DRPlanExecution", namespace);
        let ended = object_until(&executions, name, "its end", |object| {
            let object = object?;
            let phase = text(&object.data, "/status/phase");
            let is_end = matches!(phase, "Succeeded" | "Failed" | "Cancelled");
            is_end.then(|| object.clone())
        })
        .await?;
        let ended = serde_json::to_value(ended)?;
        anyhow::ensure!(
            text(&ended, "/status/phase") == phase,
            "{name} is not {phase}: {}",
            ended["status"]
        );
        // The plan is free once its end is entered there.
        object_until(&executions, name, "no finalizer", |object| {
            let finalizers = object?.metadata.finalizers.iter().flatten().count();
            (finalizers == 0).then_some(())
        })
        .await?;
        Ok(ended)
    }

    /// What the actions of an execution made and still is there: `"Job production/health-check-…"`.
    pub(crate) async fn made_by(&self, execution: &str) -> anyhow::Result<Vec<String>> {
        let ours = ListParams::default().labels(&format!("dr.bkbcs.tencent.com/execution={execution}"));
        let mut made = Vec::new();
        for kind in [LOCALIZATION, SUBSCRIPTION, JOB] {
            let (group, version) = kind.0.split_once('/').unwrap_or_default();
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind.1));
            let all: Api<DynamicObject> = Api::all_with(self.t.client.clone(), &resource);
            for object in all.list(&ours).await? {
                let namespace = object.metadata.namespace.unwrap_or_default();
                let name = object.metadata.name.unwrap_or_default();
                made.push(format!("{} {namespace}/{name}", kind.1));
            }
        }
        Ok(made)
    }
}
