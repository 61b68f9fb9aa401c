//! The benchmark: how long it takes until a fact is visible, and until the next action begins.
//!
//! One operator on a real control plane, one run at a time, everything else at rest. It prints and asserts nothing.

mod figures;

use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use drplan_api::status::{Condition, StepPhase};
use drplan_api::{DRPlan, DRPlanExecution, DRPlanExecutionStatus, DRWorkflow, labels};
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher, watcher::watch_object};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::control_plane::{ControlPlane, Options};
use crate::eventually::{DEADLINE, object_until};
use crate::namespace::TestNamespace;
use crate::operator::operator_crds;
use crate::stand_in::Answer;

use figures::{Figures, head, row};

/// Actions of the long run: one sample of the status lag and of the step to the next action for each.
const CHAIN: usize = 150;
/// Runs of one action: one sample of the start and one of the cancellation for each.
const RUNS: usize = 100;
/// Bare status writes.
const WRITES: usize = 200;
/// Between two steps, so that each begins with everything at rest.
const REST: Duration = Duration::from_millis(20);

/// Measures and prints the table.
///
/// # Errors
///
/// When something does not happen at all.
#[expect(clippy::print_stdout, reason = "the table is what it is for")]
pub async fn run() -> anyhow::Result<()> {
    let crds = tokio::task::spawn_blocking(operator_crds).await??;
    let control_plane = ControlPlane::start(Options::default().with_crds(crds)).await?;
    let bench = async |t: &TestNamespace| {
        t.start_operator().await?;
        println!("{}", head());
        let show = |name, demand, figures: &Figures| println!("{}", row(name, demand, figures));
        let executions: Api<DRPlanExecution> = Api::namespaced(t.client.clone(), "default");
        let writes = status_writes(&executions, "busy", Duration::ZERO).await?;
        show("one status write after another", "-", &writes);
        let writes = status_writes(&executions, "rested", REST).await?;
        show("one status write after a rest", "-", &writes);
        let chain = chain(t).await?;
        show(
            "answer of the site -> visible in the status",
            "100 ms",
            &chain.visible,
        );
        show("answer of the site -> next call arrives", "-", &chain.next);
        let runs = short_runs(t).await?;
        show("execution created -> first call arrives", "100 ms", &runs.first);
        show("cancel annotated -> Cancelling visible", "1 s", &runs.cancelling);
        show(
            "last answer after a cancel -> Cancelled visible",
            "-",
            &runs.cancelled,
        );
        Ok(())
    };
    control_plane.with_namespace("bench", bench).await
}

/// Writes the status of an execution that no operator acts on: its namespace is not the operator's.
async fn status_writes(
    executions: &Api<DRPlanExecution>,
    name: &str,
    rest: Duration,
) -> anyhow::Result<Figures> {
    let execution = object::<DRPlanExecution>(name, json!({"planRef": "none", "operationType": "Execute"}))?;
    let execution = executions.create(&PostParams::default(), &execution).await?;
    let mut version = execution.resource_version().context("it has a version")?;
    let mut figures = Figures::default();
    for number in 0..WRITES {
        let status = json!({
            "metadata": {"resourceVersion": version},
            "status": {"message": format!("write {number}")},
        });
        tokio::time::sleep(rest).await;
        let begun = Instant::now();
        let written = executions
            .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
            .await
            .context("failed to write the status")?;
        figures.add(begun.elapsed());
        version = written.resource_version().context("it has a version")?;
    }
    Ok(figures)
}

#[derive(Default)]
struct Chain {
    visible: Figures,
    next: Figures,
}

/// A run of one workflow whose calls are answered one by one.
async fn chain(t: &TestNamespace) -> anyhow::Result<Chain> {
    let paths: Vec<String> = (0..CHAIN).map(|number| format!("/chain/{number}")).collect();
    for path in &paths {
        t.stand_in.script(path, [Answer::ok().held()]);
    }
    apply_plan(t, "chain", &paths).await?;
    create(
        t,
        "chain",
        json!({"planRef": "chain", "operationType": "Execute"}),
    )
    .await?;
    let mut seen = Seen::start(t.api(), "chain");
    let mut chain = Chain::default();
    for (number, path) in paths.iter().enumerate() {
        t.stand_in.wait_for(path, 1).await?;
        seen.until("the call is recorded", |status| {
            phase(status, number) == Some(StepPhase::Running)
        })
        .await?;
        tokio::time::sleep(REST).await;
        let (answered, clock) = (Instant::now(), Timestamp::now());
        t.stand_in.release(path);
        let visible = seen
            .until("the answer is recorded", |status| {
                phase(status, number) == Some(StepPhase::Succeeded)
            })
            .await?;
        chain.visible.add(visible.duration_since(answered));
        if let Some(next) = paths.get(number + 1) {
            let arrived = t.stand_in.wait_for(next, 1).await?[0].arrived;
            chain
                .next
                .add(Duration::try_from(arrived.duration_since(clock)).unwrap_or_default());
        }
    }
    seen.until("the end", |status| status.phase.is_terminal()).await?;
    Ok(chain)
}

#[derive(Default)]
struct ShortRuns {
    first: Figures,
    cancelling: Figures,
    cancelled: Figures,
}

/// Runs of one call each, cancelled while it is in flight.
async fn short_runs(t: &TestNamespace) -> anyhow::Result<ShortRuns> {
    let path = "/short";
    t.stand_in.script(path, [Answer::ok().held()]);
    apply_plan(t, "short", &[path.to_owned()]).await?;
    let executions: Api<DRPlanExecution> = t.api();
    let mut runs = ShortRuns::default();
    for number in 0..RUNS {
        let name = format!("short-{number}");
        // A watch keeps its connection to itself. Whatever is measured begins with one that is open.
        executions.get_opt(&name).await?;
        tokio::time::sleep(REST).await;
        let clock = Timestamp::now();
        create(t, &name, json!({"planRef": "short", "operationType": "Execute"})).await?;
        let arrived = t.stand_in.wait_for(path, number + 1).await?[number].arrived;
        runs.first
            .add(Duration::try_from(arrived.duration_since(clock)).unwrap_or_default());

        let mut seen = Seen::start(t.api(), &name);
        seen.until("it runs", |status| phase(status, 0) == Some(StepPhase::Running))
            .await?;
        executions.get(&name).await?;
        tokio::time::sleep(REST).await;
        let annotated = Instant::now();
        let wish = json!({"metadata": {"annotations": {labels::CANCEL: "true"}}});
        executions
            .patch(&name, &PatchParams::default(), &Patch::Merge(wish))
            .await?;
        let is_cancelling =
            |condition: &Condition| condition.kind == "Cancelling" && condition.status == "True";
        let visible = seen
            .until("Cancelling", |status| status.conditions.iter().any(is_cancelling))
            .await?;
        runs.cancelling.add(visible.duration_since(annotated));

        tokio::time::sleep(REST).await;
        let answered = Instant::now();
        t.stand_in.release(path);
        let ended = seen.until("the end", |status| status.phase.is_terminal()).await?;
        runs.cancelled.add(ended.duration_since(answered));
        // The plan's lock is free again.
        object_until(&t.api::<DRPlan>(), "short", "is free", |plan| {
            plan?.status.as_ref()?.current_execution.is_none().then_some(())
        })
        .await?;
    }
    Ok(runs)
}

/// Where an action of a run of one workflow stands.
fn phase(status: &DRPlanExecutionStatus, action: usize) -> Option<StepPhase> {
    let workflow = status.stage_statuses.first()?.workflow_executions.first()?;
    Some(workflow.action_statuses.get(action)?.phase)
}

async fn create(t: &TestNamespace, name: &str, spec: Value) -> anyhow::Result<DRPlanExecution> {
    make(t, name, spec)
        .await
        .with_context(|| format!("failed to create the execution `{name}`"))
}

/// A plan of one workflow that calls these paths of the stand-in in turn.
async fn apply_plan(t: &TestNamespace, name: &str, paths: &[String]) -> anyhow::Result<()> {
    let call = |(number, path): (usize, &String)| json!({"name": format!("a{number}"), "type": "HTTP", "http": {"url": t.stand_in.url(path), "method": "POST"}});
    let actions: Vec<Value> = paths.iter().enumerate().map(call).collect();
    make::<DRWorkflow>(t, name, json!({"actions": actions})).await?;
    make::<DRPlan>(t, name, json!({"workflowRef": {"name": name}})).await?;
    object_until(&t.api::<DRPlan>(), name, "has been looked at", |plan| {
        plan?.status.as_ref()?.phase.map(drop)
    })
    .await
}

async fn make<K>(t: &TestNamespace, name: &str, spec: Value) -> anyhow::Result<K>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    K::DynamicType: Default,
{
    Ok(t.api::<K>()
        .create(&PostParams::default(), &object(name, spec)?)
        .await?)
}

fn object<K>(name: &str, spec: Value) -> anyhow::Result<K>
where
    K: Resource + DeserializeOwned,
    K::DynamicType: Default,
{
    let dynamic = K::DynamicType::default();
    Ok(serde_json::from_value(json!({
        "apiVersion": K::api_version(&dynamic),
        "kind": K::kind(&dynamic),
        "metadata": {"name": name},
        "spec": spec,
    }))?)
}

/// An execution's status as a watch shows it, with the moment at which it did.
struct Seen {
    states: watch::Receiver<(Instant, DRPlanExecutionStatus)>,
    task: AbortHandle,
}

impl Seen {
    fn start(executions: Api<DRPlanExecution>, name: &str) -> Self {
        let (sender, states) = watch::channel((Instant::now(), DRPlanExecutionStatus::default()));
        let name = name.to_owned();
        let task = tokio::spawn(async move {
            let mut objects =
                pin!(watch_object(executions, &name).backoff(watcher::DefaultBackoff::default()));
            while let Some(object) = objects.next().await {
                if let Ok(Some(DRPlanExecution {
                    status: Some(status), ..
                })) = object
                {
                    sender.send_replace((Instant::now(), status));
                }
            }
        });
        Self {
            states,
            task: task.abort_handle(),
        }
    }

    /// Waits until the status is so, and returns when the watch showed it.
    async fn until(
        &mut self,
        what: &str,
        is_so: impl Fn(&DRPlanExecutionStatus) -> bool,
    ) -> anyhow::Result<Instant> {
        let state = timeout(DEADLINE, self.states.wait_for(|(_, status)| is_so(status))).await;
        let state = state.with_context(|| format!("waited {} s until {what}", DEADLINE.as_secs()))?;
        Ok(state.context("the watch has ended")?.0)
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.task.abort();
    }
}
