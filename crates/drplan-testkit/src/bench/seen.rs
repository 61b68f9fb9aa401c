//! An execution's status as a watch shows it.

use std::pin::pin;

use anyhow::Context;
use drplan_api::status::StepPhase;
use drplan_api::{DRPlanExecution, DRPlanExecutionStatus};
use futures::StreamExt;
use kube::Api;
use kube::runtime::{WatchStreamExt, watcher, watcher::watch_object};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::eventually::DEADLINE;

/// An execution's status as a watch shows it, with the moment at which it did.
pub(super) struct Seen {
    states: watch::Receiver<(Instant, DRPlanExecutionStatus)>,
    task: AbortHandle,
}

impl Seen {
    pub(super) fn start(executions: Api<DRPlanExecution>, name: &str) -> Self {
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
    pub(super) async fn until(
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

/// Where an action of a run of one workflow stands.
pub(super) fn phase(status: &DRPlanExecutionStatus, action: usize) -> Option<StepPhase> {
    let workflow = status.stage_statuses.first()?.workflow_executions.first()?;
    Some(workflow.action_statuses.get(action)?.phase)
}
