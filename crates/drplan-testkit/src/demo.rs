//! The demo: a plan that goes on where it was when its operator is killed, and is undone.

mod claims;
mod follow;
mod journal;
mod revert;
mod screen;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use drplan_api::status::StepPhase;
use drplan_api::{DRPlan, DRPlanExecution, DRPlanExecutionStatus};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Namespace};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::audit::AuditQuery;
use crate::control_plane::{ControlPlane, Options};
use crate::eventually::{Seen, eventually_within, object_until};
use crate::kubectl::Kubectl;
use crate::operator::{OperatorLaunch, OperatorProcess, operator_crds};
use crate::stand_in::{Answer, HttpStandIn, Outcome, Recorded};

use claims::{Evidence, claims, show};
use follow::{Follower, actions};
use journal::Keys;
use screen::{Ink, Screen};

/// The example that is run, in the workspace.
pub const FIRST_PLAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/first-plan");

const NAMESPACE: &str = "shop";
const PLAN: &str = "shop-failover";
/// As whom the operator talks to the API server.
const OPERATOR: &str = "drplan-operator";
/// The call that is in flight when the operator is killed, and the action that makes it.
const CALL: &str = "/databases/orders/promote";
const CALLER: &str = "promote-databases/promote-database[0]/promote";
/// The action whose Job runs at that moment, and ends while no operator runs.
const UNATTENDED: &str = "promote-databases/promote-database[1]/verify";
/// How long the event of the repetition may take. It is posted beside the run, in a fraction of a second.
const EVENT_DEADLINE: Duration = Duration::from_secs(10);
/// How long the site takes to answer: long enough that a reader sees the call under way.
const ANSWER_AFTER: Duration = Duration::from_millis(300);

/// Runs the demo on a control plane of its own. Returns whether it came to its end and everything that it claims was
/// true.
///
/// With `keep` the cluster, the operator and the site go on until Ctrl-C.
///
/// # Errors
///
/// When there is no cluster to run it on.
pub async fn run(keep: bool) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let screen = Arc::new(Screen::new());
    screen.line(screen.ink(
        Ink::Bold,
        "A plan of HTTP calls and Jobs, an operator that is killed in the middle of it, and the way back",
    ));

    let stage = Stage::set(&screen).await?;
    let result = stage.play(&screen).await;
    screen.line("");
    let seconds = begun.elapsed().as_secs();
    let (ink, verdict) = match &result {
        Ok(true) => (
            Ink::Green,
            format!("Everything claimed above was checked and is true ({seconds} s)."),
        ),
        Ok(false) => (
            Ink::Red,
            "Not everything claimed above is true; see the lines marked FALSE.".to_owned(),
        ),
        Err(error) => (
            Ink::Red,
            format!("The demo has failed: {error:#}\n{}", stage.operator.log_tail(20)),
        ),
    };
    screen.line(screen.ink(ink, verdict));
    if keep {
        stage.keep(&screen).await?;
    }
    Ok(result.unwrap_or(false))
}

/// Everything there is before the plan runs.
struct Stage {
    client: Client,
    kubectl: Kubectl,
    audit: AuditQuery,
    site: HttpStandIn,
    operator: OperatorProcess,
    // The last to go.
    control_plane: ControlPlane,
}

impl Stage {
    async fn set(screen: &Screen) -> anyhow::Result<Self> {
        screen.heading("1. A cluster of its own");
        let crds = tokio::task::spawn_blocking(operator_crds).await??;
        let begun = Instant::now();
        let control_plane = ControlPlane::start(Options::default().with_crds(crds)).await?;
        let client = control_plane.client()?;
        let version = client.apiserver_version().await?.git_version;
        screen.line(format!(
            "  control plane  Kubernetes {version}, API server on port {}, up after {:.1} s",
            control_plane.apiserver_port(),
            begun.elapsed().as_secs_f64()
        ));
        screen.line("  node           played by KWOK: Jobs complete, no containers run");
        screen.line("  kinds          DRWorkflow, DRPlan, DRPlanExecution");

        let site = HttpStandIn::start().await?;
        let url = site.url("");
        screen.line(format!(
            "  site           {url}, stands in for what HTTP actions call, and keeps a journal"
        ));

        let begun = Instant::now();
        let kubeconfig = control_plane.kubeconfig_for(OPERATOR, Some("system:masters"))?;
        let launch = OperatorLaunch::new(kubeconfig);
        let operator = OperatorProcess::start(launch, control_plane.dir().join("operator.log")).await?;
        screen.line(format!(
            "  operator       pid {}, ready after {:.1} s",
            operator.pid()?,
            begun.elapsed().as_secs_f64()
        ));

        let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces.create(&PostParams::default(), &namespace).await?;
        Ok(Self {
            kubectl: Kubectl::new(&control_plane, NAMESPACE),
            audit: control_plane.audit().query().namespace(NAMESPACE),
            client,
            site,
            operator,
            control_plane,
        })
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    async fn play(&self, screen: &Arc<Screen>) -> anyhow::Result<bool> {
        self.apply_plan(screen).await?;
        let (name, follower) = self.start_run(screen).await?;
        let at_kill = self.kill(screen, &name, &follower).await?;
        self.restart(screen, &follower).await?;
        let evidence = self.gather(&name, at_kill).await?;

        screen.heading("6. The site's journal: every call that arrived, and under which Idempotency-Key");
        let keys = Keys::of(&evidence.journal);
        keys.show(screen, &evidence.journal);
        screen
            .heading("7. Checked against the cluster's records, that journal and the API server's audit log");
        let run_is_true = show(screen, &claims(&evidence));
        let undo_is_true = self.undo(screen, &name, &keys).await?;
        for kind in ["drplans", "drplanexecutions"] {
            screen.line("");
            screen.command(&format!("kubectl get {kind}"));
            screen.quote(&self.kubectl.run(&["get", kind]).await?);
        }
        Ok(run_is_true && undo_is_true)
    }

    async fn apply_plan(&self, screen: &Screen) -> anyhow::Result<()> {
        screen.heading("2. A plan in three stages");
        screen.command("kubectl apply -f examples/first-plan");
        screen.quote(&self.kubectl.run(&["apply", "-f", FIRST_PLAN]).await?);
        let ready = |plan: Option<&DRPlan>| {
            let phase = plan?.status.as_ref()?.phase?;
            (phase == drplan_api::status::PlanPhase::Ready)
                .then(|| plan.cloned())
                .flatten()
        };
        let plan = object_until(&self.api::<DRPlan>(), PLAN, "is Ready", ready).await?;
        let status = plan.status.unwrap_or_default();
        screen.line(format!(
            "  {PLAN} is {}: {} stages, {} actions",
            screen.ink(Ink::Green, "Ready"),
            status.stage_count.unwrap_or_default(),
            status.action_count.unwrap_or_default()
        ));
        Ok(())
    }

    async fn start_run(&self, screen: &Arc<Screen>) -> anyhow::Result<(String, Follower)> {
        self.site
            .script(CALL, [Answer::ok().held(), Answer::ok().after(ANSWER_AFTER)]);
        for path in [
            "/shop/mode",
            "/databases/customers/promote",
            "/databases/customers/demote",
            "/databases/orders/demote",
            "/dns/shop",
            "/announcements",
        ] {
            self.site.script(path, [Answer::ok().after(ANSWER_AFTER)]);
        }
        screen.heading("3. It runs");
        screen.command("kubectl create -f examples/first-plan/run/execution.yaml");
        screen.start_clock(Timestamp::now());
        let name = self.create(&self.execution()?).await?;
        screen.line(format!(
            "  {name}, with the site's URL as the value of the parameter `site`"
        ));
        Ok((
            name.clone(),
            Follower::start(self.api(), &name, Arc::clone(screen)),
        ))
    }

    /// Creates an execution by kubectl and returns its name.
    async fn create(&self, execution: &Value) -> anyhow::Result<String> {
        let created = self
            .kubectl
            .run_with(&["create", "-o", "name", "-f", "-"], &execution.to_string())
            .await?;
        Ok(created.trim().rsplit('/').next().unwrap_or_default().to_owned())
    }

    /// The example's execution, with the site's URL.
    fn execution(&self) -> anyhow::Result<Value> {
        let mut execution = example("run/execution.yaml")?;
        execution["spec"]["params"] = json!([{"name": "site", "value": self.site.url("")}]);
        Ok(execution)
    }

    /// Kills the operator while a call is in flight and a Job runs, and returns what is recorded of the run then.
    async fn kill(
        &self,
        screen: &Screen,
        name: &str,
        follower: &Follower,
    ) -> anyhow::Result<DRPlanExecutionStatus> {
        self.site.wait_for(CALL, 1).await?;
        let job = follower
            .until("the Job that is to end unattended", |status| {
                let action = actions(status).remove(UNATTENDED)?;
                let job = action.outputs.job_ref?;
                job.uid.is_some().then_some(job.name)
            })
            .await?;
        let pid = self.operator.pid()?;
        self.operator.kill9().await?;
        screen.heading("4. kill -9");
        let killed = screen.ink(Ink::Red, format!("kill -9 {pid}"));
        screen.at(Timestamp::now(), format!("{killed}: the operator is dead"));
        let call = screen.ink(Ink::Bold, format!("POST {CALL}"));
        screen.line(format!("             the site has {call} and has not answered"));

        let executions: Api<DRPlanExecution> = self.api();
        let status = executions.get(name).await?.status.unwrap_or_default();
        let under_way: Vec<String> = actions(&status)
            .into_iter()
            .filter(|(_, action)| action.phase == StepPhase::Running)
            .map(|(path, _)| path)
            .collect();
        if !under_way.iter().any(|path| path == CALLER) {
            bail!("{CALLER} is not under way; under way are {under_way:?}");
        }
        screen.line(format!(
            "             nobody runs the plan now; its record says phase {}, {} actions, under way",
            status.phase.as_str(),
            status.progress
        ));
        for path in under_way {
            screen.line(format!("               {path}"));
        }
        let complete = |job: Option<&Job>| {
            let conditions = job?.status.as_ref()?.conditions.as_ref()?;
            conditions
                .iter()
                .any(|condition| condition.type_ == "Complete" && condition.status == "True")
                .then_some(())
        };
        object_until(&self.api::<Job>(), &job, "is Complete", complete).await?;
        screen.at(
            Timestamp::now(),
            format!("Job {job} has completed, and nobody has noticed"),
        );
        self.site
            .wait_until("the broken connection", |calls| {
                let gone = |call: &Recorded| call.path == CALL && call.outcome == Outcome::ClientGone;
                calls.iter().any(gone).then_some(())
            })
            .await?;
        Ok(status)
    }

    /// Starts the operator again and waits for the end of the run.
    async fn restart(&self, screen: &Screen, follower: &Follower) -> anyhow::Result<()> {
        screen.heading("5. The operator is started again");
        screen.at(
            Timestamp::now(),
            "a new process, which knows nothing but what the cluster holds",
        );
        self.operator.restart().await?;
        screen.at(
            Timestamp::now(),
            format!("it is ready, pid {}", self.operator.pid()?),
        );
        follower
            .until("the end of the run", |status| {
                status.phase.is_terminal().then_some(())
            })
            .await
    }

    /// Collects what the claims are judged by.
    async fn gather(&self, name: &str, at_kill: DRPlanExecutionStatus) -> anyhow::Result<Evidence> {
        let executions: Api<DRPlanExecution> = self.api();
        let end = executions.get(name).await?.status.unwrap_or_default();
        let jobs: BTreeSet<String> = self
            .api::<Job>()
            .list(&ListParams::default())
            .await?
            .iter()
            .filter_map(ResourceExt::uid)
            .collect();
        // The audit log and events follow a moment later.
        let creations = self
            .audit
            .clone()
            .user(OPERATOR)
            .resource("jobs")
            .subresource("")
            .verb("create")
            .code(201);
        let jobs_created = creations.wait_for(jobs.len()).await?.len();
        let told_repeated = eventually_within(EVENT_DEADLINE, "the event ActionRepeated", async || {
            let about =
                ListParams::default().fields(&format!("involvedObject.name={name},reason=ActionRepeated"));
            let events = self.api::<Event>().list(&about).await?.items;
            let messages: Vec<String> = events.into_iter().filter_map(|event| event.message).collect();
            Ok(Seen::when((!messages.is_empty()).then_some(messages), || {
                "no such event".into()
            }))
        })
        .await
        .unwrap_or_default();
        Ok(Evidence {
            at_kill,
            end,
            journal: self.site.all(),
            call_in_flight: CALL.into(),
            unattended: UNATTENDED.into(),
            jobs_created,
            jobs,
            told_repeated,
        })
    }

    /// Leaves everything running until Ctrl-C.
    async fn keep(&self, screen: &Screen) -> anyhow::Result<()> {
        let file: PathBuf = self.control_plane.dir().join("again.json");
        std::fs::write(&file, self.execution()?.to_string())?;
        screen.heading("The cluster goes on until Ctrl-C");
        screen.line(format!(
            "  export KUBECONFIG={}",
            self.control_plane.kubeconfig().display()
        ));
        screen.line(format!("  kubectl -n {NAMESPACE} get drplan-all"));
        screen.line(format!(
            "  kubectl -n {NAMESPACE} create -f {}   # runs the plan once more",
            file.display()
        ));
        screen.line(format!("  kubectl -n {NAMESPACE} get drpe --watch"));
        screen.line(screen.ink(
            Ink::Dim,
            format!("  kubectl is {}", self.kubectl.program().display()),
        ));
        screen.line(screen.ink(
            Ink::Dim,
            format!("  the operator's log is {}", self.operator.log_file().display()),
        ));
        tokio::signal::ctrl_c().await?;
        Ok(())
    }
}

/// A manifest of the example that is run.
fn example(file: &str) -> anyhow::Result<Value> {
    let file = Path::new(FIRST_PLAN).join(file);
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("failed to read `{}`", file.display()))?;
    Ok(serde_saphyr::from_str(&text)?)
}
