//! Runs in the middle of which the leader is taken away.

use std::time::Duration;

use anyhow::{Context, ensure};
use drplan_api::{DRPlanExecution, status::PlanPhase};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};

use super::process::Process;
use super::shop::{Run, SHOP};
use super::{NAMESPACE, Trial, seen};
use crate::eventually::{Seen, eventually, object_until};
use crate::stand_in::{Outcome, Recorded};

/// Actions of the plan's second stage, beside which others run.
const MYSQL: &str = "infrastructure/mysql-failover[0]/switch-mysql";
const REDIS: &str = "infrastructure/mysql-failover[1]/switch-mysql";
const MYSQL_UNDO: &str = "infrastructure/mysql-failover[0]/switch-mysql/undo";

impl Trial<'_> {
    /// The process of the leader is killed while a call of its waits for an answer.
    pub(super) async fn killed(&self) -> anyhow::Result<Run> {
        self.databases.hold(MYSQL);
        let run = self.forth().await?;
        self.call_in_flight(MYSQL).await?;
        self.nothing_beside(&run, MYSQL).await?;
        let leader = self.pod(&self.leader().await?).await?;
        let process = Process::of(&leader)?;
        process.kill()?;
        let killed = Timestamp::now();
        seen(format!(
            "{}: kill -9, while {MYSQL} waits for its answer",
            leader.name_any()
        ));
        self.starts_again(&leader, process).await?;
        self.goes_on(MYSQL, killed).await?;
        self.succeeded(&run, PlanPhase::Executed).await?;
        self.once(&run, &[MYSQL]).await?;
        self.all_ready().await?;
        Ok(run)
    }

    /// The chart is upgraded while a call of an undo waits for its answer: the Pod that sent it is told to end, and
    /// takes the answer.
    pub(super) async fn upgraded(&self, run: &Run) -> anyhow::Result<()> {
        self.databases.hold(MYSQL_UNDO);
        let revert = self.back(run).await?;
        self.call_in_flight(MYSQL_UNDO).await?;
        let before = self.pod(&self.leader().await?).await?;
        self.upgrade().await?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let told = |pod: Option<&Pod>| {
            pod.is_none_or(|pod| pod.metadata.deletion_timestamp.is_some())
                .then_some(())
        };
        object_until(&pods, &before.name_any(), "is told to end", told).await?;
        seen(format!(
            "{} was told to end, while {MYSQL_UNDO} waits for its answer",
            before.name_any()
        ));
        self.databases.release("/revert");
        self.rolled_out().await?;
        self.succeeded(&revert, PlanPhase::Ready).await?;
        self.undone_once(run, &[]).await?;
        eventually("the Pods of before to be gone", async || {
            let pods = self.pods().await?;
            let old = pods
                .iter()
                .filter(|pod| !image_of(pod).ends_with(":next"))
                .count();
            Ok(Seen::when((old == 0 && pods.len() == 2).then_some(()), || {
                format!("{old} old Pods of {}", pods.len())
            }))
        })
        .await?;
        seen(format!(
            "both Pods run the image of the upgrade; {} leads",
            self.leader().await?
        ));
        Ok(())
    }

    /// The Pod of the leader is deleted without grace while a call of its waits for an answer.
    pub(super) async fn deleted(&self) -> anyhow::Result<Run> {
        self.databases.hold(REDIS);
        let run = self.forth().await?;
        self.call_in_flight(REDIS).await?;
        self.nothing_beside(&run, REDIS).await?;
        let leader = self.leader().await?;
        let delete = ["delete", "pod", &leader, "--namespace", NAMESPACE];
        self.kubectl
            .run(&[&delete[..], &["--grace-period=0", "--force"]].concat())
            .await?;
        let deleted = Timestamp::now();
        seen(format!(
            "{leader}: deleted with no grace, while {REDIS} waits for its answer"
        ));
        self.goes_on(REDIS, deleted).await?;
        self.succeeded(&run, PlanPhase::Executed).await?;
        self.once(&run, &[REDIS]).await?;
        self.all_ready().await?;
        ensure!(
            !self.pods().await?.iter().any(|pod| pod.name_any() == leader),
            "{leader} is still there"
        );
        Ok(run)
    }

    /// Waits until the call of the action has arrived, and waits for its answer.
    async fn call_in_flight(&self, path: &str) -> anyhow::Result<()> {
        let is_it = |call: &Recorded| is_of(call, path) && call.outcome == Outcome::Pending;
        self.databases
            .wait_until("the call that is held", |calls| {
                calls.iter().any(is_it).then_some(())
            })
            .await
    }

    /// Waits until all that runs beside the action is recorded, so that nothing else can be cut off.
    async fn nothing_beside(&self, run: &Run, path: &str) -> anyhow::Result<()> {
        let (stage, action) = path.split_once('/').context("a path")?;
        let others_have_ended = |execution: Option<&DRPlanExecution>| {
            let status = execution?.status.as_ref()?;
            let stage = status.stage_statuses.iter().find(|known| known.name == stage)?;
            let workflows = stage.workflow_executions.iter().enumerate();
            let mut others = workflows.filter(|(index, _)| !action.contains(&format!("[{index}]")));
            others.all(|(_, other)| other.phase.is_ended()).then_some(())
        };
        let what = "nothing but the call is under way";
        object_until(&self.executions(SHOP), &run.name, what, others_have_ended).await
    }

    /// Waits until the call of the action has arrived again.
    async fn goes_on(&self, path: &str, since: Timestamp) -> anyhow::Result<()> {
        let again = self
            .databases
            .wait_until("the call to arrive again", |calls| {
                let mut again = calls.iter().filter(|call| is_of(call, path) && call.is_repeat);
                again.next().map(|call| call.arrived)
            })
            .await?;
        let seconds = again.duration_since(since).as_secs_f64();
        seen(format!(
            "the same call arrived again {seconds:.1} s later; {} leads",
            self.leader().await?
        ));
        Ok(())
    }

    /// Waits until the kubelet has started the container again, and tells how soon it is ready.
    async fn starts_again(&self, pod: &Pod, dead: Process) -> anyhow::Result<()> {
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
        let address = address.context("the Pod has no address")?;
        let process = eventually("the container to be started again", async || {
            let process = Process::of(pod)?;
            Ok(Seen::when((process != dead).then_some(process), || {
                "the killed process".into()
            }))
        })
        .await?;
        let client = reqwest::Client::builder()
            .timeout(Duration::from_millis(200))
            .build()?;
        let url = format!("http://{address}:8081/readyz");
        let age = eventually("it to be ready", async || {
            let answer = client.get(&url).send().await?.status();
            let age = process.age()?;
            Ok(Seen::when(answer.is_success().then_some(age), || {
                answer.to_string()
            }))
        })
        .await?;
        seen(format!(
            "its container was started again, and is ready {} ms after",
            age.as_millis()
        ));
        Ok(())
    }

    /// Waits until both Pods are ready, and no other is left.
    async fn all_ready(&self) -> anyhow::Result<()> {
        self.rolled_out().await?;
        eventually("two ready Pods", async || {
            let pods = self.pods().await?;
            let ready = pods.iter().filter(|pod| is_ready(pod)).count();
            Ok(Seen::when((ready == 2 && pods.len() == 2).then_some(()), || {
                format!("{ready} of {} Pods are ready", pods.len())
            }))
        })
        .await
    }

    async fn pod(&self, name: &str) -> anyhow::Result<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        Ok(pods.get(name).await?)
    }
}

fn is_of(call: &Recorded, path: &str) -> bool {
    call.idempotency_key().is_some_and(|key| key.ends_with(path))
}

fn image_of(pod: &Pod) -> &str {
    let containers = pod.spec.as_ref().map_or(&[][..], |spec| &spec.containers);
    let image = containers
        .first()
        .and_then(|container| container.image.as_deref());
    image.unwrap_or_default()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|conditions| {
        conditions
            .iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
    })
}
