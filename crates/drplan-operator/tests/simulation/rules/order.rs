//! What an action waits for.

use drplan_api::{
    DRPlanExecutionStatus,
    status::{ActionStatus, StageStatus, StepPhase, WorkflowExecution},
};

use super::{Place, at};
use crate::plan::Plan;

/// Why the action at `place`, which begins in `status`, should have waited.
pub(super) fn kept_from(plan: &Plan, status: &DRPlanExecutionStatus, place: Place) -> Option<String> {
    match status.reverts {
        None => kept_forward(plan, status, place),
        Some(_) => kept_back(plan, status, place),
    }
}

fn kept_forward(plan: &Plan, status: &DRPlanExecutionStatus, (s, w, a): Place) -> Option<String> {
    let (stage, workflow) = (&plan.stages[s], &plan.stages[s].workflows[w]);
    if let Some(before) = a.checked_sub(1).and_then(|before| at(status, (s, w, before))) {
        let good = if workflow.fail_fast {
            before.phase == StepPhase::Succeeded
        } else {
            before.phase.is_ended()
        };
        if !good {
            return Some(format!("{} before it is {:?}", before.name, before.phase));
        }
    }
    let recorded = status.stage_statuses.get(s)?;
    if let Some(before) = w.checked_sub(1).filter(|_| !stage.parallel)
        && !recorded.workflow_executions[before]
            .action_statuses
            .iter()
            .all(succeeded)
    {
        return Some(format!("workflow {before} of its stage has not succeeded"));
    }
    for before in &stage.after {
        let before = &status.stage_statuses[*before];
        let good = |action: &ActionStatus| match plan.stop {
            true => succeeded(action),
            false => action.phase.is_ended(),
        };
        if !all(before, good) {
            return Some(format!("stage {} before it is not over, or failed", before.name));
        }
    }
    None
}

/// A Revert goes backwards, and no further than what could be undone.
fn kept_back(plan: &Plan, status: &DRPlanExecutionStatus, (s, w, a): Place) -> Option<String> {
    let passed = |action: &ActionStatus| matches!(action.phase, StepPhase::Succeeded | StepPhase::Skipped);
    let stage = &status.stage_statuses[s];
    let later = stage.workflow_executions[w].action_statuses.iter().skip(a + 1);
    if let Some(later) = later.into_iter().find(|action| !passed(action)) {
        return Some(format!("{} after it is {:?}", later.name, later.phase));
    }
    let passed_all = |workflow: &WorkflowExecution| workflow.action_statuses.iter().all(passed);
    if !plan.stages[s].parallel && !stage.workflow_executions.iter().skip(w + 1).all(passed_all) {
        return Some("a workflow after its own is not undone".to_owned());
    }
    let followers = (0..plan.stages.len()).filter(|other| plan.stages[*other].after.contains(&s));
    for follower in followers {
        let follower = &status.stage_statuses[follower];
        if !all(follower, passed) {
            return Some(format!("stage {} after it is not undone", follower.name));
        }
    }
    None
}

fn succeeded(action: &ActionStatus) -> bool {
    action.phase == StepPhase::Succeeded
}

fn all(stage: &StageStatus, good: impl Fn(&ActionStatus) -> bool) -> bool {
    let workflows = &stage.workflow_executions;
    workflows
        .iter()
        .all(|workflow| workflow.action_statuses.iter().all(&good))
}
