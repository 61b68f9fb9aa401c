//! Everything there is before the plan runs: a cluster, the services that the plan calls, an operator.

use std::time::Duration;

use anyhow::bail;
use drplan_api::status::PlanPhase;
use drplan_api::{DRPlan, DRPlanExecution};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;
use tokio::time::Instant;

use super::cli::Cli;
use super::failure::within;
use super::screen::{Ink, Screen};
use super::services::{Journals, Service};
use crate::audit::Audit;
use crate::authority::Authority;
use crate::binaries::Binaries;
use crate::control_plane::{CLUSTERNET_KINDS, ControlPlane, Options};
use crate::eventually::{Seen, eventually, object_until};
use crate::kubectl::Kubectl;
use crate::operator::{OperatorLaunch, OperatorProcess, operator_crds};
use crate::stand_in::Answer;

/// The plan's namespace, as the example has it.
pub(super) const NAMESPACE: &str = "production";
/// The plan.
pub(super) const PLAN: &str = "ecommerce-dr-plan";
/// As whom the operator talks to the API server.
pub(super) const OPERATOR: &str = "drplan-operator";
/// As whom the plan acts.
pub(super) const SERVICE_ACCOUNT: &str = "system:serviceaccount:production:ecommerce-dr";
/// The action whose call is in flight when the operator is killed.
pub(super) const HELD: &str = "infrastructure/mysql-failover[0]/switch-mysql";
/// Where it calls, as another action of its stage does.
pub(super) const SWITCH: &str = "/failover";

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/ecommerce");
/// What the plan's actions begin with in each namespace, to know that their rights are in force.
const RIGHTS: [(&str, &str, &str); 3] = [
    ("batch", "jobs", NAMESPACE),
    ("apps.clusternet.io", "subscriptions", NAMESPACE),
    ("apps.clusternet.io", "localizations", "clusternet-dr-shanghai"),
];
/// How long a service takes to answer: long enough that a reader sees the call under way.
const ANSWER_AFTER: Duration = Duration::from_millis(300);
/// How long the pod of a Job takes: long enough that a Job can end while nobody looks.
const POD_SECONDS: f64 = 3.0;

/// A cluster with an operator, and services.
pub(super) struct Scene {
    pub(super) client: Client,
    pub(super) cli: Cli,
    pub(super) kubectl: Kubectl,
    pub(super) audit: Audit,
    pub(super) databases: Service,
    pub(super) on_call: Service,
    pub(super) operator: OperatorProcess,
    // The last to go.
    pub(super) control_plane: ControlPlane,
}

impl Scene {
    pub(super) async fn set(screen: &Screen) -> anyhow::Result<Self> {
        screen.heading("A cluster of its own, and the services that the plan calls");
        let mut crds = tokio::task::spawn_blocking(operator_crds).await??;
        crds.push(CLUSTERNET_KINDS.into());
        let begun = Instant::now();
        let mut options = Options::default().with_crds(crds);
        options.pod_seconds = POD_SECONDS;
        let control_plane = ControlPlane::start(options).await?;
        let client = control_plane.client()?;
        let version = client.apiserver_version().await?.git_version;
        screen.entry(
            "control plane",
            format!(
                "Kubernetes {version}, up after {:.1} s",
                begun.elapsed().as_secs_f64()
            ),
        );
        screen.entry(
            "node",
            "played by KWOK: Jobs run and complete, without containers",
        );

        screen.entry(
            "kinds",
            "those of drplan, and two of Clusternet's without its controllers",
        );

        let authority = Authority::generate()?;
        let databases = Service::start(&authority, "database admin API", "db-admin-api.example.com").await?;
        let on_call = Service::start(&authority, "on-call webhook", "oncall.example.com").await?;
        for service in [&databases, &on_call] {
            screen.entry(service.name, format!("a stand-in for https://{}", service.host));
        }
        let certificate = control_plane.dir().join("services.pem");
        std::fs::write(&certificate, authority.certificate())?;

        let begun = Instant::now();
        let kubeconfig = control_plane.kubeconfig_for(OPERATOR, Some("system:masters"))?;
        let launch = OperatorLaunch::new(kubeconfig)
            .default_identity()
            .arg(format!("--http-ca={}", certificate.display()));
        let launch = on_call.found_by(databases.found_by(launch));
        let operator = OperatorProcess::start(launch, control_plane.dir().join("operator.log")).await?;
        screen.entry(
            "operator",
            format!(
                "process {}, ready after {:.1} s",
                operator.pid()?,
                begun.elapsed().as_secs_f64()
            ),
        );
        screen.pause(1.5).await;
        let cli = Cli::find(control_plane.binaries())?.on(control_plane.kubeconfig(), control_plane.dir());
        Ok(Self {
            cli,
            kubectl: Kubectl::without_namespace(&control_plane),
            audit: control_plane.audit(),
            client,
            databases,
            on_call,
            operator,
            control_plane,
        })
    }

    /// The executions of the plan's namespace.
    pub(super) fn executions(&self) -> Api<DRPlanExecution> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// What the services have seen.
    pub(super) fn journals(&self) -> Journals {
        Journals::of(&[&self.databases, &self.on_call])
    }

    /// Applies the example, and waits until the plan may run.
    pub(super) async fn apply(&self, screen: &Screen) -> anyhow::Result<()> {
        screen.heading("The plan is applied");
        screen.command("kubectl apply -f examples/ecommerce");
        screen.quote(&self.kubectl.run(&["apply", "-f", EXAMPLE]).await?);
        let ready = |plan: Option<&DRPlan>| {
            let plan = plan.filter(|plan| {
                let phase = plan.status.as_ref().and_then(|status| status.phase);
                phase == Some(PlanPhase::Ready)
            });
            plan.cloned()
        };
        let plans: Api<DRPlan> = Api::namespaced(self.client.clone(), NAMESPACE);
        let plan = within(
            "a plan that is Ready",
            object_until(&plans, PLAN, "is Ready", ready),
        )
        .await?;
        within("the rights of the plan", self.granted()).await?;
        let status = plan.status.unwrap_or_default();
        screen.line(format!(
            "  {PLAN} is {}: {} stages, {} actions. Nothing runs yet.",
            screen.ink(Ink::Green, "Ready"),
            status.stage_count.unwrap_or_default(),
            status.action_count.unwrap_or_default()
        ));
        for path in [SWITCH, "/revert"] {
            self.databases
                .stand_in
                .script(path, [Answer::ok().after(ANSWER_AFTER)]);
        }
        self.databases.stand_in.hold(HELD);
        self.on_call
            .stand_in
            .script("/drplan-webhook", [Answer::ok().after(ANSWER_AFTER)]);
        screen.pause(2.0).await;
        Ok(())
    }

    /// Waits until the API server knows of the rights that were granted: it learns of them by a watch.
    async fn granted(&self) -> anyhow::Result<()> {
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        for (group, resource, namespace) in RIGHTS {
            let review = serde_json::from_value(json!({"metadata": {}, "spec": {
                "user": SERVICE_ACCOUNT,
                "resourceAttributes": {
                    "verb": "create", "group": group, "resource": resource, "namespace": namespace,
                },
            }}))?;
            eventually(&format!("{SERVICE_ACCOUNT} to create {resource}"), async || {
                let answer = reviews.create(&PostParams::default(), &review).await?;
                let allowed = answer.status.is_some_and(|status| status.allowed);
                Ok(Seen::when(allowed.then_some(()), || "not yet".into()))
            })
            .await?;
        }
        Ok(())
    }

    /// Leaves everything running until Ctrl-C.
    pub(super) async fn keep(&self, screen: &Screen) -> anyhow::Result<()> {
        let [plugins, kubectl] = self.cli.directories().map(|dir| dir.display().to_string());
        screen.heading("The cluster goes on until Ctrl-C. In another terminal:");
        let kubeconfig = self.control_plane.kubeconfig();
        screen.line(format!("  export KUBECONFIG={}", kubeconfig.display()));
        screen.line(format!("  export PATH={plugins}:{kubectl}:$PATH"));
        screen.line(format!("  kubectl get drplan-all -n {NAMESPACE}"));
        screen.line(format!(
            "  kubectl drplan run {PLAN} -n {NAMESPACE} --wait    # once more"
        ));
        screen.line(format!("  kubectl drplan history {PLAN} -n {NAMESPACE}"));
        screen.line(screen.ink(
            Ink::Dim,
            format!("  the operator's log is {}", self.operator.log_file().display()),
        ));
        tokio::signal::ctrl_c().await?;
        Ok(())
    }
}

/// Checks the example without a cluster, and then a copy of it with a mistake. Returns whether both were told.
pub(super) async fn check(screen: &Screen) -> anyhow::Result<bool> {
    /// What is written, and what is written by mistake.
    const MISTAKE: (&str, &str) = ("dependsOn: [infrastructure]", "dependsOn: [infrastucture]");
    screen.heading("The plan is checked, without a cluster");
    let binaries = tokio::task::spawn_blocking(Binaries::get).await??;
    let cli = Cli::find(&binaries)?;
    let as_written = cli.show(screen, "check examples/ecommerce").await?;
    screen.pause(1.5).await;

    let dir = tempfile::tempdir()?;
    let copy = dir.path().join("copy");
    std::fs::create_dir(&copy)?;
    let mut place = None;
    for entry in std::fs::read_dir(EXAMPLE)? {
        let entry = entry?;
        if entry.path().extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path())?;
        if let Some(at) = text.find(MISTAKE.0) {
            let before = &text[..at + "dependsOn: [".len()];
            let line = before.lines().count();
            let column = before.lines().next_back().map_or(0, str::len) + 1;
            let file = format!("copy/{}", entry.file_name().to_string_lossy());
            place = Some(json!({"file": file, "line": line, "column": column}));
        }
        std::fs::write(
            copy.join(entry.file_name()),
            text.replacen(MISTAKE.0, MISTAKE.1, 1),
        )?;
    }
    let Some(place) = place else {
        bail!("`{}` is not in the plan of `{EXAMPLE}` any more", MISTAKE.0);
    };
    screen.line("");
    screen.say("Now a copy in which somebody has left out a letter:");
    let with_mistake = cli.start_in(screen, "check copy", dir.path())?.ended().await?;
    let found: serde_json::Value =
        serde_json::from_str(&cli.quietly("check copy -o json", dir.path()).await?)?;
    let claims = [
        super::claims::Claim::new("the plan has no mistake", as_written == 0, as_written),
        super::claims::Claim::new(
            format!(
                "the mistake is told with its place: line {}, column {}",
                place["line"], place["column"]
            ),
            with_mistake == 3 && is_at(&found, &place),
            found,
        ),
    ];
    let is_true = super::claims::show(screen, &claims);
    screen.pause(3.5).await;
    Ok(is_true)
}

/// Whether the one finding is at that place.
fn is_at(found: &serde_json::Value, place: &serde_json::Value) -> bool {
    let findings = found["problems"].as_array().map_or(&[][..], Vec::as_slice);
    let [finding] = findings else { return false };
    ["file", "line", "column"]
        .iter()
        .all(|field| finding[field] == place[field])
}
