//! Phases of workflows, stages and the run follow from the phases of their actions.

use drplan_api::status::{
    ActionStatus, DRPlanExecutionStatus, StageStatus, StepPhase, Summary, WorkflowExecution,
};

/// The phase of a workflow of a run. Actions of a Revert that had nothing to undo count only where there is nothing else.
pub(crate) fn workflow_phase(workflow: &WorkflowExecution) -> StepPhase {
    if has_nothing_to_undo(workflow) {
        return StepPhase::Skipped;
    }
    let actions = workflow.action_statuses.iter();
    group_phase(
        actions
            .filter(|action| !action.nothing_to_undo)
            .map(|action| action.phase),
    )
}

/// The phase of a stage of a run. Workflows of a Revert that had nothing to undo count only where there is nothing else.
pub(crate) fn stage_phase(stage: &StageStatus) -> StepPhase {
    let workflows = stage.workflow_executions.iter();
    if !stage.workflow_executions.is_empty() && workflows.clone().all(has_nothing_to_undo) {
        return StepPhase::Skipped;
    }
    group_phase(
        workflows
            .filter(|workflow| !has_nothing_to_undo(workflow))
            .map(workflow_phase),
    )
}

fn has_nothing_to_undo(workflow: &WorkflowExecution) -> bool {
    let actions = &workflow.action_statuses;
    !actions.is_empty() && actions.iter().all(|action| action.nothing_to_undo)
}

/// Whether what comes behind this action's success may begin: in a Revert also behind one that had nothing to undo.
pub(crate) fn has_passed(action: &ActionStatus) -> bool {
    action.phase == StepPhase::Succeeded || action.nothing_to_undo
}

/// Whether anything in it failed, so that it will end Failed.
pub(crate) fn is_doomed(workflow: &WorkflowExecution) -> bool {
    workflow
        .action_statuses
        .iter()
        .any(|action| action.phase == StepPhase::Failed)
}

/// Whether anything in it has begun.
pub(crate) fn has_begun(workflow: &WorkflowExecution) -> bool {
    let begun = |action: &ActionStatus| match action.phase {
        StepPhase::Running | StepPhase::Succeeded | StepPhase::Failed => true,
        StepPhase::Pending | StepPhase::Skipped => false,
    };
    workflow.action_statuses.iter().any(begun)
}

/// A group is Running between its first begin and its last end. Ended, it is Skipped if all of it is, Succeeded if
/// all of it succeeded, and Failed otherwise: a part that was skipped beside one that ran was cut short.
fn group_phase(members: impl Iterator<Item = StepPhase>) -> StepPhase {
    let (mut total, mut pending, mut running, mut succeeded, mut skipped) = (0, 0, 0, 0, 0);
    for phase in members {
        total += 1;
        match phase {
            StepPhase::Pending => pending += 1,
            StepPhase::Running => running += 1,
            StepPhase::Succeeded => succeeded += 1,
            StepPhase::Skipped => skipped += 1,
            StepPhase::Failed => {}
        }
    }
    if running > 0 {
        StepPhase::Running
    } else if pending > 0 {
        if pending + skipped == total {
            StepPhase::Pending
        } else {
            StepPhase::Running
        }
    } else if total > 0 && skipped == total {
        StepPhase::Skipped
    } else if succeeded == total {
        StepPhase::Succeeded
    } else {
        StepPhase::Failed
    }
}

/// The counts of stages, workflows and actions by phase.
pub(crate) fn summarise(status: &DRPlanExecutionStatus) -> Summary {
    let mut summary = Summary::default();
    for stage in &status.stage_statuses {
        summary.total_stages += 1;
        *match stage_phase(stage) {
            StepPhase::Pending => &mut summary.pending_stages,
            StepPhase::Running => &mut summary.running_stages,
            StepPhase::Succeeded => &mut summary.completed_stages,
            StepPhase::Failed => &mut summary.failed_stages,
            StepPhase::Skipped => &mut summary.skipped_stages,
        } += 1;
        for workflow in &stage.workflow_executions {
            summary.total_workflows += 1;
            *match workflow_phase(workflow) {
                StepPhase::Pending => &mut summary.pending_workflows,
                StepPhase::Running => &mut summary.running_workflows,
                StepPhase::Succeeded => &mut summary.completed_workflows,
                StepPhase::Failed => &mut summary.failed_workflows,
                StepPhase::Skipped => &mut summary.skipped_workflows,
            } += 1;
            for action in &workflow.action_statuses {
                summary.total_actions += 1;
                *match action.phase {
                    StepPhase::Pending => &mut summary.pending_actions,
                    StepPhase::Running => &mut summary.running_actions,
                    StepPhase::Succeeded => &mut summary.completed_actions,
                    StepPhase::Failed => &mut summary.failed_actions,
                    StepPhase::Skipped => &mut summary.skipped_actions,
                } += 1;
            }
        }
    }
    summary
}

#[cfg(test)]
mod tests {
    use StepPhase::{Failed, Pending, Running, Skipped, Succeeded};

    use super::*;

    #[test]
    fn a_group_is_what_its_members_are() {
        for (members, expected) in [
            (vec![Pending, Pending], Pending),
            (vec![Succeeded, Pending], Running),
            (vec![Failed, Running], Running),
            (vec![Succeeded, Succeeded], Succeeded),
            (vec![Succeeded, Failed], Failed),
            (vec![Failed, Skipped], Failed),
            (vec![Succeeded, Skipped], Failed),
            (vec![Skipped, Skipped], Skipped),
            (vec![Skipped, Pending], Pending),
        ] {
            assert_eq!(group_phase(members.iter().copied()), expected, "{members:?}");
        }
    }
}
