//! Follows one execution by a watch.

use std::collections::BTreeMap;
use std::pin::pin;

use anyhow::Context;
use drplan_api::DRPlanExecution;
use drplan_api::status::{ActionStatus, DRPlanExecutionStatus, StageStatus};
use futures::StreamExt;
use kube::Api;
use kube::runtime::{WatchStreamExt, watcher, watcher::watch_object};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::eventually::DEADLINE;

/// An execution as last seen, and the task that looks.
#[derive(Debug)]
pub(super) struct Follower {
    seen: watch::Receiver<DRPlanExecutionStatus>,
    task: JoinHandle<()>,
}

impl Follower {
    /// Watches the execution `name`.
    pub(super) fn start(executions: Api<DRPlanExecution>, name: &str) -> Self {
        let (sender, seen) = watch::channel(DRPlanExecutionStatus::default());
        let name = name.to_owned();
        let task = tokio::spawn(async move {
            let mut states =
                pin!(watch_object(executions, &name).backoff(watcher::DefaultBackoff::default()));
            while let Some(state) = states.next().await {
                if let Ok(Some(DRPlanExecution {
                    status: Some(status), ..
                })) = state
                {
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
    in_order(status).into_iter().collect()
}

/// Every action with its path, in the order of the plan.
pub(crate) fn in_order(status: &DRPlanExecutionStatus) -> Vec<(String, ActionStatus)> {
    status.stage_statuses.iter().flat_map(actions_of).collect()
}

fn actions_of(stage: &StageStatus) -> Vec<(String, ActionStatus)> {
    let mut actions = Vec::new();
    for (index, workflow) in stage.workflow_executions.iter().enumerate() {
        for action in &workflow.action_statuses {
            let used = &workflow.workflow_ref.name;
            let path = format!("{}/{used}[{index}]/{}", stage.name, action.name);
            actions.push((path, action.clone()));
        }
    }
    actions
}
