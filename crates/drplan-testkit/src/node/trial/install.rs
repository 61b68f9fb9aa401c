//! Installing, and what there is then.

use std::path::Path;

use anyhow::{Context, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio::time::Instant;

use super::process::Process;
use super::shop::SHOP;
use super::{NAMESPACE, Trial, seen};
use crate::chart::{CHART, run_helm};
use crate::eventually::{Seen, eventually, object_until};

/// The image as the chart names it unless told otherwise.
const IMAGE: &str = concat!("localhost/drplan-operator:", env!("CARGO_PKG_VERSION"));
/// The same under the name of a later release.
const NEXT: &str = "localhost/drplan-operator:next";
/// What an administrator decides: whom the operator trusts when it calls, and as whom plans may act.
const VALUES: [&str; 2] = [
    r#"operator.http.caConfigMap="sites""#,
    r#"rbac.impersonate=["*/default", "production/ecommerce-dr"]"#,
];

impl Trial<'_> {
    /// The first installation.
    pub(super) async fn installed(&self, image: &Path) -> anyhow::Result<()> {
        self.node.import(image).await?;
        self.node.tag(IMAGE, NEXT).await?;
        let level = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let sites = json!({"ca.crt": self.authority.certificate()});
        self.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": level}},
            // The chart gives rights in it.
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SHOP}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sites", "namespace": NAMESPACE}, "data": sites},
        ]}))
        .await?;
        self.install().await?;
        let pods = self.pods().await?;
        ensure!(pods.len() == 2, "there are {} Pods", pods.len());
        for pod in &pods {
            seen(format!(
                "{}: {}",
                pod.name_any(),
                start_of(pod).context("the Pod tells no times")?
            ));
        }
        self.restricted(&pods).await?;
        let budgets: Api<PodDisruptionBudget> = Api::namespaced(self.client.clone(), NAMESPACE);
        let allowed = |budget: Option<&PodDisruptionBudget>| {
            (budget?.status.as_ref()?.disruptions_allowed == Some(1)).then_some(())
        };
        object_until(&budgets, "drplan-operator", "lets one of two Pods go", allowed).await?;
        seen(format!(
            "{} leads; the budget lets one of two Pods go",
            self.leader().await?
        ));
        Ok(())
    }

    /// `helm install`, and all of its Pods are ready.
    pub(super) async fn install(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut args = vec!["install", "drplan", CHART, "--namespace", NAMESPACE];
        for value in VALUES {
            args.extend(["--set-json", value]);
        }
        self.helm(&args).await?;
        self.rolled_out().await?;
        let seconds = begun.elapsed().as_secs_f64();
        seen(format!(
            "helm install, and both Pods are ready after {seconds:.1} s"
        ));
        // The leader registers them.
        eventually("the webhooks to be registered", async || {
            let names = ["get", "validatingwebhookconfigurations", "drplan-operator"];
            self.kubectl.run(&names).await.map(Seen::Done)
        })
        .await
        .map(drop)
    }

    /// `helm upgrade` as the documentation has it, to the image of the later release.
    pub(super) async fn upgrade(&self) -> anyhow::Result<()> {
        let args = [
            "upgrade",
            "drplan",
            CHART,
            "--namespace",
            NAMESPACE,
            "--reuse-values",
        ];
        self.helm(&[&args[..], &["--set", "image.tag=next"]].concat())
            .await
    }

    /// `helm uninstall`, and its Pods are gone.
    pub(super) async fn uninstall(&self) -> anyhow::Result<()> {
        self.helm(&["uninstall", "drplan", "--namespace", NAMESPACE])
            .await?;
        eventually("the Pods to be gone", async || {
            let left = self.pods().await?.len();
            Ok(Seen::when((left == 0).then_some(()), || format!("{left} Pods")))
        })
        .await
    }

    async fn helm(&self, args: &[&str]) -> anyhow::Result<()> {
        let kubeconfig = self.node.control_plane.kubeconfig().display().to_string();
        let mut all: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        all.extend(["--kubeconfig".to_owned(), kubeconfig]);
        tokio::task::spawn_blocking(move || run_helm(all)).await??;
        Ok(())
    }

    /// Waits until the Deployment has only new Pods, all of them ready.
    pub(super) async fn rolled_out(&self) -> anyhow::Result<()> {
        let deployment = ["rollout", "status", "deployment/drplan-operator"];
        let args = [&deployment[..], &["--namespace", NAMESPACE, "--timeout=180s"]].concat();
        self.kubectl.run(&args).await.map(drop)
    }

    /// The operator's Pods, those that end too.
    pub(super) async fn pods(&self) -> anyhow::Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        Ok(pods
            .list(&ListParams::default().labels("app=drplan-controller"))
            .await?
            .items)
    }

    /// The name of the Pod that leads.
    pub(super) async fn leader(&self) -> anyhow::Result<String> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), NAMESPACE);
        eventually("a Pod to lead", async || {
            let holder = leases.get("drplan-operator").await?.spec;
            let holder = holder.and_then(|spec| spec.holder_identity).unwrap_or_default();
            let pods = self.pods().await?;
            let leader = pods
                .iter()
                .map(ResourceExt::name_any)
                .find(|name| holder.starts_with(&format!("{name}_")));
            Ok(Seen::when(leader, || format!("the lease is held by `{holder}`")))
        })
        .await
    }

    /// That the namespace takes restricted Pods only, and what the kernel says of ours.
    async fn restricted(&self, pods: &[Pod]) -> anyhow::Result<()> {
        let pod = [
            "run",
            "root",
            "--image=busybox:1",
            "--dry-run=server",
            "--namespace",
            NAMESPACE,
        ];
        let refused = self.kubectl.run(&pod).await;
        let refused = refused
            .err()
            .map(|error| format!("{error:#}"))
            .unwrap_or_default();
        ensure!(
            refused.contains("violates PodSecurity \"restricted"),
            "an ordinary Pod is not refused in {NAMESPACE}: {refused:?}"
        );
        for pod in pods {
            let process = Process::of(pod)?;
            let facts = process.facts(&["Uid", "CapEff", "NoNewPrivs", "Seccomp"])?;
            ensure!(
                facts == ["65532", "0000000000000000", "1", "2"],
                "the operator's user, capabilities, privileges and seccomp are {facts:?}"
            );
        }
        seen("its namespace enforces `restricted`; user 65532, no capabilities, no new privileges, seccomp");
        Ok(())
    }
}

/// How long the Pod took, by its own record, in whole seconds.
fn start_of(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let container = status.container_statuses.as_ref()?.first()?;
    let started = container.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0;
    let conditions = status.conditions.as_ref()?;
    let time = |kind: &str| {
        let condition = conditions.iter().find(|condition| condition.type_ == kind)?;
        Some(condition.last_transition_time.as_ref()?.0)
    };
    let since = |from: jiff::Timestamp, to: jiff::Timestamp| to.duration_since(from).as_secs();
    let scheduled = time("PodScheduled")?;
    Some(format!(
        "its container runs {} s after it was scheduled, and is Ready {} s later",
        since(scheduled, started),
        since(started, time("Ready")?)
    ))
}
