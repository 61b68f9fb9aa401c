//! The way there: a run, the kill in the middle of it, and a new operator that goes on.

use std::time::Duration;

use anyhow::{Context, ensure};
use drplan_api::DRPlanExecutionStatus;
use drplan_api::status::StepPhase;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::claims::run::{Evidence, claims};
use super::claims::show;
use super::cli::Shown;
use super::failure::within;
use super::follow::{Follower, actions, in_order};
use super::objects::{Made, asked, made};
use super::scene::{NAMESPACE, PLAN, SERVICE_ACCOUNT, SWITCH, Scene};
use super::screen::{Ink, Screen, seconds};
use super::services::{Journals, about, key};
use crate::eventually::{Seen, eventually, eventually_within, object_until};
use crate::stand_in::{Outcome, Recorded};

/// The action whose Job runs when the operator is killed, and ends while no operator runs.
const UNATTENDED: &str = "infrastructure/service-failover[2]/health-check";
/// The action that makes the same call as the one that is held, for another store.
const ANSWERED: &str = "infrastructure/mysql-failover[1]/switch-mysql";
/// How long the event of the repetition may take. It is posted beside the run, in a fraction of a second.
const EVENT_DEADLINE: Duration = Duration::from_secs(10);

/// A run that has ended.
pub(super) struct Run {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) status: DRPlanExecutionStatus,
    pub(super) journals: Journals,
    pub(super) made: Vec<Made>,
    pub(super) killed: Killed,
    /// When the new process was begun.
    pub(super) restarted: Timestamp,
    /// When the call in flight at the kill arrived again.
    pub(super) went_on: Timestamp,
}

/// What was known when the operator was dead.
pub(super) struct Killed {
    pub(super) at: Timestamp,
    status: DRPlanExecutionStatus,
    /// The action whose call was in flight.
    caller: String,
}

impl Scene {
    /// Runs the plan through a kill of its operator. Returns the run, and whether everything claimed about it is true.
    pub(super) async fn forth(&self, screen: &Screen) -> anyhow::Result<(Run, bool)> {
        screen.heading("The plan runs");
        screen.start_clock(Timestamp::now());
        let shown = self
            .cli
            .start(screen, &format!("run {PLAN} -n {NAMESPACE} --wait"))?;
        let name = within("the execution", self.name_of_run()).await?;
        let follower = Follower::start(self.executions(), &name);
        let middle = self.wait_for_the_middle(screen, &follower);
        let (call, job) = within("the middle of the run", middle).await?;
        let killed = self.kill(screen, shown, &name, &call).await?;
        within("the end of the Job", self.nobody_looks(screen, &killed, &job)).await?;
        let restarted = within("the end of the run", self.go_on(screen, &name, &follower)).await?;

        let run = self.ended(name, killed, restarted).await?;
        screen.heading("What reached the services, by their own journals");
        screen.say(&format!(
            "In seconds since the run began; the operator was killed at {:.2} s.",
            screen.since_start(run.killed.at)
        ));
        run.journals.show(screen);
        run.journals.show_repeated_keys(screen);
        screen.pause(3.5).await;
        screen.heading("Checked by records of the cluster, journals, and the API server's audit log");
        let is_true = show(
            screen,
            &claims(&within("the audit log", self.evidence(&run)).await?),
        );
        screen.pause(3.0).await;
        Ok((run, is_true))
    }

    /// The name that the CLI has given to the run.
    async fn name_of_run(&self) -> anyhow::Result<String> {
        eventually("the execution", async || {
            let found = self.executions().list(&ListParams::default()).await?.items;
            let name = found.first().map(ResourceExt::name_any);
            Ok(Seen::when(name, || "no execution".into()))
        })
        .await
    }

    /// Waits until one store waits for its answer, the other has been moved, and the queue's Job runs. Returns the call
    /// that waits, and the Job's name.
    async fn wait_for_the_middle(
        &self,
        screen: &Screen,
        follower: &Follower,
    ) -> anyhow::Result<(Recorded, String)> {
        self.databases.stand_in.wait_for(SWITCH, 2).await?;
        let what = "one answered call, and the Job that is to end unattended";
        let is_middle = |status: &DRPlanExecutionStatus| {
            let mut actions = actions(status);
            let answered = actions.remove(ANSWERED)?;
            let job = actions.remove(UNATTENDED)?.outputs.job_ref?;
            let is_there = answered.phase == StepPhase::Succeeded && job.uid.is_some();
            is_there.then_some(job.name)
        };
        let job = follower.until(what, is_middle).await?;
        let calls = self.databases.stand_in.requests(SWITCH);
        let call = calls.into_iter().find(|call| call.outcome == Outcome::Pending);
        screen.pause(1.0).await;
        Ok((call.context("no call is in flight")?, job))
    }

    /// Kills the operator and tells what is known of the run then.
    async fn kill(
        &self,
        screen: &Screen,
        shown: Shown,
        name: &str,
        call: &Recorded,
    ) -> anyhow::Result<Killed> {
        let pid = self.operator.pid()?;
        // What is on the screen is what there is at the kill.
        shown.interrupt().await?;
        self.operator.kill9().await?;
        let at = Timestamp::now();
        screen.heading("kill -9, in the middle of a call");
        screen.say("The demo has pressed Ctrl-C, which ends the watching and not the run. Now it kills the operator:");
        let killed = screen.ink(Ink::Red, format!("kill -9 {pid}"));
        screen.at(at, format!("{killed}: the operator is dead"));

        let execution = self.executions().get(name).await?;
        let uid = execution.uid().unwrap_or_default();
        let status = execution.status.unwrap_or_default();
        let caller = key(call).strip_prefix(&format!("{uid}/"));
        let caller = caller
            .context("the call in flight is not of this run")?
            .to_owned();
        let under_way: Vec<String> = in_order(&status)
            .into_iter()
            .filter(|(_, action)| action.phase == StepPhase::Running)
            .map(|(path, _)| path)
            .collect();
        ensure!(
            under_way.contains(&caller),
            "{caller} is not under way; under way are {under_way:?}"
        );
        screen.say(&format!(
            "POST https://{}{} for {} has arrived there, and has not been answered.",
            self.databases.host,
            call.path,
            about(call)
        ));
        screen.say(&format!(
            "Nobody runs the plan now. What is known of it is its record in the cluster: {}, {} actions done, under way",
            status.phase.as_str(),
            status.progress
        ));
        for path in under_way {
            screen.line(format!("    {path}"));
        }
        Ok(Killed { at, status, caller })
    }

    /// Waits until the Job has ended that nobody looks after, and the connection of the dead caller is gone.
    async fn nobody_looks(&self, screen: &Screen, killed: &Killed, job: &str) -> anyhow::Result<()> {
        let complete = |job: Option<&Job>| {
            let conditions = job?.status.as_ref()?.conditions.as_ref()?;
            conditions
                .iter()
                .any(|condition| condition.type_ == "Complete" && condition.status == "True")
                .then_some(())
        };
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), NAMESPACE);
        object_until(&jobs, job, "is Complete", complete).await?;
        screen.at(
            Timestamp::now(),
            format!("Job {job} completes, and nobody notices"),
        );
        let stand_in = &self.databases.stand_in;
        stand_in
            .wait_until("the broken connection", |calls| {
                let gone = |call: &Recorded| {
                    key(call).ends_with(&killed.caller) && call.outcome == Outcome::ClientGone
                };
                calls.iter().any(gone).then_some(())
            })
            .await?;
        screen.pause(2.0).await;
        Ok(())
    }

    /// Starts the operator again while the CLI watches, until the end of the run. Returns when it was started.
    async fn go_on(&self, screen: &Screen, name: &str, follower: &Follower) -> anyhow::Result<Timestamp> {
        screen.heading("A new operator goes on");
        screen.say("The demo starts a new process, as a Deployment would. It knows nothing but what the cluster holds. Whoever watches sees what was done before, and then what is new:");
        let shown = self.cli.start(screen, &format!("watch {name} -n {NAMESPACE}"))?;
        screen.pause(1.0).await;
        let restarted = Timestamp::now();
        self.operator.restart().await?;
        let ready = Timestamp::now();
        let pid = self.operator.pid()?;
        follower
            .until("the end of the run", |status| {
                status.phase.is_terminal().then_some(())
            })
            .await?;
        shown.ended().await?;
        screen.line("");
        screen.at(
            restarted,
            format!(
                "process {pid} was started, and was ready after {:.2} s",
                seconds(restarted, ready)
            ),
        );
        let journals = self.journals();
        for again in journals.calls().iter().filter(|call| call.is_repeat) {
            screen.at(
                again.arrived,
                format!("the call for {} arrived again, under the same key", about(again)),
            );
        }
        screen.pause(2.0).await;
        Ok(restarted)
    }

    async fn ended(&self, name: String, killed: Killed, restarted: Timestamp) -> anyhow::Result<Run> {
        let execution = self.executions().get(&name).await?;
        let journals = self.journals();
        let again = journals.calls().into_iter().find(|call| call.is_repeat);
        Ok(Run {
            uid: execution.uid().unwrap_or_default(),
            status: execution.status.unwrap_or_default(),
            made: made(&self.client, &name).await?,
            went_on: again.map_or(killed.at, |call| call.arrived),
            journals,
            name,
            killed,
            restarted,
        })
    }

    /// Collects what the claims are judged by.
    async fn evidence(&self, run: &Run) -> anyhow::Result<Evidence> {
        // The audit log and events follow a moment later.
        let all = self.audit.query().impersonated(SERVICE_ACCOUNT);
        let creations = all.clone().verb("create").code(201);
        creations.wait_for(run.made.len()).await?;
        let about = format!("involvedObject.name={},reason=ActionRepeated", run.name);
        let about = ListParams::default().fields(&about);
        let events: Api<Event> = Api::namespaced(self.client.clone(), NAMESPACE);
        let told_repeated = eventually_within(EVENT_DEADLINE, "the event ActionRepeated", async || {
            let events = events.list(&about).await?.items;
            let messages: Vec<String> = events.into_iter().filter_map(|event| event.message).collect();
            Ok(Seen::when((!messages.is_empty()).then_some(messages), || {
                "no such event".into()
            }))
        })
        .await
        .unwrap_or_default();
        Ok(Evidence {
            uid: run.uid.clone(),
            at_kill: run.killed.status.clone(),
            end: run.status.clone(),
            calls: run.journals.calls(),
            caller: run.killed.caller.clone(),
            unattended: UNATTENDED.into(),
            made: run.made.clone(),
            asked: asked(all.entries()?),
            told_repeated,
        })
    }
}
