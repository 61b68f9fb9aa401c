//! Follows one execution by a watch and prints what changes.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use anyhow::Context;
use drplan_api::DRPlanExecution;
use drplan_api::status::{ActionStatus, DRPlanExecutionStatus, ExecutionPhase, StageStatus, StepPhase};
use futures::StreamExt;
use jiff::Timestamp;
use kube::Api;
use kube::runtime::{WatchStreamExt, watcher, watcher::watch_object};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::screen::{Ink, Screen};
use crate::eventually::DEADLINE;

/// An execution as last seen, and the task that looks.
#[derive(Debug)]
pub(super) struct Follower {
    seen: watch::Receiver<DRPlanExecutionStatus>,
    task: JoinHandle<()>,
}

impl Follower {
    /// Watches the execution `name` and prints each transition.
    pub(super) fn start(executions: Api<DRPlanExecution>, name: &str, screen: Arc<Screen>) -> Self {
        let (sender, seen) = watch::channel(DRPlanExecutionStatus::default());
        let name = name.to_owned();
        let task = tokio::spawn(async move {
            let mut states =
                pin!(watch_object(executions, &name).backoff(watcher::DefaultBackoff::default()));
            let mut before = DRPlanExecutionStatus::default();
            while let Some(state) = states.next().await {
                if let Ok(Some(DRPlanExecution {
                    status: Some(status), ..
                })) = state
                {
                    print_changes(&screen, &before, &status);
                    before = status.clone();
                    sender.send_replace(status);
                }
            }
        });
        Self { seen, task }
    }

    /// Waits until `check` returns a value for the status.
    ///
    /// # Errors
    ///
    /// When it does not within [`DEADLINE`].
    pub(super) async fn until<T>(
        &self,
        what: &str,
        mut check: impl FnMut(&DRPlanExecutionStatus) -> Option<T>,
    ) -> anyhow::Result<T> {
        let mut seen = self.seen.clone();
        let mut value = None;
        let found = seen.wait_for(|status| {
            value = check(status);
            value.is_some()
        });
        let waited = timeout(DEADLINE, found).await.map(|found| found.map(drop));
        waited
            .with_context(|| format!("waited {} s for {what}", DEADLINE.as_secs()))?
            .context("the watch of the execution has ended")?;
        value.context("the check was true")
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Every action by its path, `stage/workflow[index]/action`.
pub(super) fn actions(status: &DRPlanExecutionStatus) -> BTreeMap<String, ActionStatus> {
    let of_stage = |stage: &StageStatus| {
        let prefix = stage.name.clone();
        let with_stage =
            move |(path, action): (String, &ActionStatus)| (format!("{prefix}/{path}"), action.clone());
        actions_of(stage).into_iter().map(with_stage).collect::<Vec<_>>()
    };
    status.stage_statuses.iter().flat_map(of_stage).collect()
}

/// The stage's actions in plan order, each with its path within the stage.
fn actions_of(stage: &StageStatus) -> Vec<(String, &ActionStatus)> {
    let mut actions = Vec::new();
    for (index, workflow) in stage.workflow_executions.iter().enumerate() {
        for action in &workflow.action_statuses {
            let used = &workflow.workflow_ref.name;
            actions.push((format!("{used}[{index}]/{}", action.name), action));
        }
    }
    actions
}

fn print_changes(screen: &Screen, before: &DRPlanExecutionStatus, now: &DRPlanExecutionStatus) {
    let known = actions(before);
    let is_revert = now.reverts.is_some();
    let mut stages: Vec<(usize, &StageStatus)> = now.stage_statuses.iter().enumerate().collect();
    if is_revert {
        stages.reverse();
    }
    for (number, stage) in stages {
        let was = before
            .stage_statuses
            .get(number)
            .map_or(StepPhase::Pending, |stage| stage.phase);
        if was != stage.phase && stage.phase == StepPhase::Running {
            let together = if stage.parallel {
                ", its workflows together"
            } else {
                ""
            };
            let begins = format!("stage {}{together}", screen.ink(Ink::Bold, &stage.name));
            screen.at(Timestamp::now(), begins);
        }
        let mut of_stage = actions_of(stage);
        if is_revert {
            of_stage.reverse();
        }
        for (path, action) in of_stage {
            let was = known
                .get(&format!("{}/{path}", stage.name))
                .map_or(StepPhase::Pending, |known| known.phase);
            if was != action.phase {
                let shown = if is_revert { undoing(action) } else { doing(action) };
                print_action(screen, &path, action, shown);
            }
        }
    }
    if before.phase != now.phase && now.phase.is_terminal() {
        let ink = if now.phase == ExecutionPhase::Succeeded {
            Ink::Green
        } else {
            Ink::Red
        };
        let duration = now.duration.as_deref().unwrap_or("an unknown time");
        let what = if is_revert { "Revert" } else { "run" };
        let ended = format!(
            "the {what} has {} after {duration}",
            screen.ink(ink, now.phase.as_str())
        );
        screen.at(Timestamp::now(), ended);
    }
}

fn print_action(screen: &Screen, path: &str, action: &ActionStatus, (ink, word): (Ink, &str)) {
    // Padded before it is coloured: the codes have no width.
    let line = format!("  {path:<28} {}", screen.ink(ink, format!("{word:<9}")));
    screen.at(Timestamp::now(), format!("{line}  {}", action.message).trim_end());
}

/// The word for an action of a Revert.
fn undoing(action: &ActionStatus) -> (Ink, &'static str) {
    match action.phase {
        StepPhase::Pending => (Ink::Plain, "Pending"),
        StepPhase::Running => (Ink::Yellow, "undoing"),
        StepPhase::Succeeded => (Ink::Green, "undone"),
        StepPhase::Failed => (Ink::Red, "undo failed"),
        StepPhase::Skipped if action.nothing_to_undo => (Ink::Dim, "skipped"),
        StepPhase::Skipped => (Ink::Red, "not undone"),
    }
}

/// The word for an action of an Execute.
fn doing(action: &ActionStatus) -> (Ink, &'static str) {
    match action.phase {
        StepPhase::Pending => (Ink::Plain, "Pending"),
        StepPhase::Running => (Ink::Yellow, "Running"),
        StepPhase::Succeeded => (Ink::Green, "Succeeded"),
        StepPhase::Failed => (Ink::Red, "Failed"),
        StepPhase::Skipped => (Ink::Dim, "Skipped"),
    }
}
