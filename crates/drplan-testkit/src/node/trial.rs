//! What is tried on the node: the image and the chart as they are shipped, and the shop of the examples.

mod again;
mod containers;
mod install;
mod mishaps;
mod once;
mod process;
mod refusal;
mod rights;
mod shop;

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use tokio::time::Instant;

use super::Node;
use crate::authority::Authority;
use crate::kubectl::Kubectl;
use crate::stand_in::HttpStandIn;

/// The hosts that the shop's plan calls, and the addresses at which stand-ins play them.
pub(super) const HOSTS: [(&str, &str); 2] = [
    ("10.245.0.2", "db-admin-api.example.com"),
    ("10.245.0.3", "oncall.example.com"),
];
/// Where the operator is installed.
const NAMESPACE: &str = "drplan-system";

/// A node, and what plays the rest of the world.
struct Trial<'a> {
    node: &'a Node,
    client: Client,
    kubectl: Kubectl,
    /// The database admin API.
    databases: HttpStandIn,
    /// The on-call webhook.
    on_call: HttpStandIn,
    /// The certificate that both of them are signed with.
    authority: Authority,
    steps: Cell<usize>,
    /// When the chart was being uninstalled.
    uninstalled: Cell<Option<(Timestamp, Timestamp)>>,
}

/// Runs all steps, in this order: each goes on with what the ones before have left.
///
/// # Errors
///
/// At the first that is not as it should be, after the state of the cluster has been printed.
pub(super) async fn run(node: &Node, image: &Path) -> anyhow::Result<()> {
    let trial = Trial::prepare(node).await?;
    let result = trial.all(image).await;
    if result.is_err() {
        trial.dump().await;
    }
    result
}

impl<'a> Trial<'a> {
    async fn prepare(node: &'a Node) -> anyhow::Result<Self> {
        let authority = Authority::generate()?;
        let play = async |(address, host): (&str, &str)| {
            let address = SocketAddr::new(address.parse()?, 443);
            HttpStandIn::start_secure_at(address, &authority.server(&[host])?).await
        };
        let [databases, on_call] = HOSTS;
        Ok(Self {
            node,
            client: node.control_plane.client()?,
            kubectl: Kubectl::without_namespace(&node.control_plane),
            databases: play(databases).await?,
            on_call: play(on_call).await?,
            authority,
            steps: Cell::new(0),
            uninstalled: Cell::new(None),
        })
    }

    async fn all(&self, image: &Path) -> anyhow::Result<()> {
        self.step(
            "Helm installs two replicas from the archive of the image",
            self.installed(image),
        )
        .await?;
        self.step(
            "a wrong plan is refused, by a webhook behind the Service",
            self.refused(),
        )
        .await?;
        self.step("Jobs run containers", self.containers()).await?;
        let first = self
            .step(
                "the shop fails over, and its leader is killed (SIGKILL)",
                self.killed(),
            )
            .await?;
        self.step(
            "the shop comes back, and the chart is upgraded",
            self.upgraded(&first),
        )
        .await?;
        let second = self
            .step(
                "the shop fails over again, and the Pod of the leader is deleted at once",
                self.deleted(),
            )
            .await?;
        self.step(
            "uninstalled, plans and records stay; installed again, they work",
            self.again(&second),
        )
        .await?;
        self.step("nothing was forbidden to the operator", self.rights())
            .await
    }

    /// Runs one step, and says how long it took.
    async fn step<T>(&self, name: &str, step: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let number = self.steps.get() + 1;
        self.steps.set(number);
        eprintln!("\n{number}. {name}");
        let begun = Instant::now();
        let result = step.await;
        let seconds = begun.elapsed().as_secs_f64();
        match &result {
            Ok(_) => eprintln!("   passed in {seconds:.1} s"),
            Err(error) => eprintln!("   FAILED after {seconds:.1} s: {error:#}"),
        }
        result.with_context(|| format!("step {number}, {name}"))
    }

    /// Applies the object or list.
    async fn apply(&self, object: &Value) -> anyhow::Result<()> {
        self.kubectl
            .run_with(&["apply", "-f", "-"], &object.to_string())
            .await
            .map(drop)
    }

    /// Prints what helps to understand a failure.
    async fn dump(&self) {
        let questions: [&[&str]; 6] = [
            &["get", "pods,jobs,leases,events", "--all-namespaces", "-o", "wide"],
            &["describe", "pods", "--namespace", NAMESPACE],
            &[
                "logs",
                "--namespace",
                NAMESPACE,
                "--selector=app=drplan-controller",
                "--prefix",
                "--tail=60",
            ],
            &[
                "logs",
                "--namespace",
                NAMESPACE,
                "--selector=app=drplan-controller",
                "--prefix",
                "--tail=60",
                "--previous",
            ],
            &[
                "get",
                "drplans,drplanexecutions",
                "--all-namespaces",
                "-o",
                "yaml",
            ],
            &[
                "get",
                "validatingwebhookconfigurations,mutatingwebhookconfigurations",
            ],
        ];
        for question in questions {
            let answer = self.kubectl.run(question).await;
            let answer = answer.unwrap_or_else(|error| format!("{error:#}"));
            eprintln!("--- kubectl {}\n{answer}", question.join(" "));
        }
        for program in ["kubelet", "containerd", "kube-proxy", "coredns"] {
            eprintln!("--- {}", self.node.log_tail(program));
        }
    }
}

/// Tells what was seen in a step.
fn seen(what: impl std::fmt::Display) {
    eprintln!("   {what}");
}
