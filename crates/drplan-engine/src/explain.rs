//! Why a run does not go on at this moment, in sentences for people.

use drplan_api::status::{
    ActionStatus, DRPlanExecutionStatus, ExecutionPhase, StageStatus, StepPhase, WorkflowExecution,
};

use crate::{
    advance::WaitingOn,
    graph::ActionIndex,
    run::{action_indices, action_status},
    settle::path_text,
};

/// Why nothing more happens now: one line for each reason, what runs before what waits for it.
///
/// `waiting_on` is that of the last [`Step`](crate::Step), where it is known; without it (a command line that sees
/// the status alone) the same follows from the status, but for retries and places, which look like running.
pub fn explain(status: &DRPlanExecutionStatus, waiting_on: &[WaitingOn]) -> Vec<String> {
    match status.phase {
        ExecutionPhase::Pending => vec![or(&status.message, "nothing has begun")],
        ExecutionPhase::Succeeded | ExecutionPhase::Failed | ExecutionPhase::Cancelled => {
            vec![format!(
                "the run has ended: {}",
                or(&status.message, status.phase.as_str())
            )]
        }
        ExecutionPhase::Unknown => {
            let mut lines = vec![or(&status.message, &WaitingOn::Person.to_string())];
            lines.extend(
                status
                    .unknown_since
                    .map(|since| format!("no deadline runs since {since}")),
            );
            lines
        }
        ExecutionPhase::Running => explain_running(status, waiting_on),
    }
}

fn explain_running(status: &DRPlanExecutionStatus, waiting_on: &[WaitingOn]) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(cancellation) = &status.cancellation {
        lines.push(format!(
            "cancelled {} at {}: nothing new begins",
            cancellation.reason, cancellation.time
        ));
    }
    for at in action_indices(status) {
        let Some(action) = action_status(status, at) else {
            continue;
        };
        let path = path_text(status, at);
        let wait = waiting_on.iter().find(|wait| is_about(wait, &path));
        lines.extend(explain_action(status, at, action, wait));
    }
    for stage in &status.stage_statuses {
        lines.extend(explain_stage(status, stage));
    }
    if status.cancellation.is_none() {
        lines.extend(
            status
                .deadline
                .map(|deadline| format!("the plan's timeout ends the run at {deadline}")),
        );
    }
    lines
}

fn is_about(wait: &WaitingOn, path: &str) -> bool {
    match wait {
        WaitingOn::Result(of) | WaitingOn::Look(of) | WaitingOn::Retry(of, _) | WaitingOn::HttpPlace(of) => {
            of.as_str() == path
        }
        WaitingOn::Person => false,
    }
}

fn explain_action(
    status: &DRPlanExecutionStatus,
    at: ActionIndex,
    action: &ActionStatus,
    wait: Option<&WaitingOn>,
) -> Option<String> {
    let path = path_text(status, at);
    let attempt = match action.attempts {
        0 | 1 => String::new(),
        attempt => format!(" (attempt {attempt})"),
    };
    match (wait, action.phase) {
        (Some(WaitingOn::HttpPlace(_) | WaitingOn::Look(_)), _) => {
            wait.map(|wait| format!("{wait}{attempt}"))
        }
        (Some(WaitingOn::Retry(_, time)), _) => Some(format!(
            "{path} is tried again at {time}{attempt}, since: {}",
            action.message
        )),
        (Some(WaitingOn::Result(_) | WaitingOn::Person) | None, StepPhase::Running) => {
            let since = action
                .attempt_time
                .map(|time| format!(" since {time}"))
                .unwrap_or_default();
            Some(format!("{path} is running{since}{attempt}"))
        }
        (
            Some(WaitingOn::Result(_) | WaitingOn::Person) | None,
            StepPhase::Pending | StepPhase::Succeeded | StepPhase::Failed | StepPhase::Skipped,
        ) => None,
    }
}

/// What a stage that has not begun waits for, and what the workflows of one that runs wait for.
fn explain_stage(status: &DRPlanExecutionStatus, stage: &StageStatus) -> Vec<String> {
    let is_open = |name: &&String| {
        let before = status.stage_statuses.iter().find(|other| other.name == **name);
        before.is_some_and(|before| !before.phase.is_ended())
    };
    match stage.phase {
        StepPhase::Pending => {
            let open: Vec<&str> = stage
                .depends_on
                .iter()
                .filter(is_open)
                .map(String::as_str)
                .collect();
            let waits = (!open.is_empty()).then(|| {
                format!(
                    "stage {} waits for the end of stage {}",
                    stage.name,
                    open.join(", ")
                )
            });
            waits.into_iter().collect()
        }
        StepPhase::Running if !stage.parallel => {
            let name = |(index, used): (usize, &WorkflowExecution)| {
                format!("{}/{}[{index}]", stage.name, used.workflow_ref.name)
            };
            let uses = || stage.workflow_executions.iter().enumerate();
            let running = uses()
                .find(|(_, used)| used.phase == StepPhase::Running)
                .map(name);
            let next = uses()
                .find(|(_, used)| used.phase == StepPhase::Pending)
                .map(name);
            let waits = running
                .zip(next)
                .map(|(running, next)| format!("workflow {next} waits for the end of {running}"));
            waits.into_iter().collect()
        }
        StepPhase::Running | StepPhase::Succeeded | StepPhase::Failed | StepPhase::Skipped => Vec::new(),
    }
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise } else { text }.to_owned()
}
