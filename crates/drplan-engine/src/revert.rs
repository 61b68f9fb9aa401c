//! A Revert: the run of the undos of an execution that has ended, in reverse order.
//!
//! It has the stages, workflows and actions of the execution it undoes, under the same paths and with the same values.
//! What differs is what is done for an action, and under which identity.

use std::collections::BTreeSet;

use drplan_api::{
    Time,
    status::{
        ActionStatus, DRPlanExecutionStatus, ExecutionPhase, SnapshotRef, StepPhase, Undone, UndoneAction,
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    graph::ActionIndex,
    run::{action_indices, action_status},
    settle::path_text,
    snapshot::{Snapshot, SnapshotError, checked_value},
};

/// The execution that a Revert undoes, as it was when the Revert began. Stored as the Revert's own snapshot; stages,
/// workflows and values stay in that of the execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reverted {
    /// The format; read before anything else.
    pub format_version: u32,
    /// The name of the execution that is undone.
    pub execution: String,
    /// Its UID.
    pub execution_uid: String,
    /// When it began: `.executionStartTime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// Where its snapshot is.
    pub snapshot: SnapshotRef,
    /// Its actions, by stage and workflow, in plan order.
    pub stages: Vec<Vec<Vec<RevertedAction>>>,
}

/// One action of the execution that is undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevertedAction {
    /// What it did.
    pub recorded: ActionStatus,
    /// What earlier Reverts did about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<UndoneAction>,
}

impl Reverted {
    /// The execution `name` with `uid`, which has ended with `status`; none if that names no snapshot.
    pub fn new(name: &str, uid: &str, status: &DRPlanExecutionStatus) -> Option<Self> {
        let undone = status.undone.as_ref();
        let action = |at: ActionIndex, recorded: &ActionStatus| {
            let path = path_text(status, at);
            let earlier = undone.and_then(|undone| undone.actions.iter().find(|action| action.path == path));
            RevertedAction {
                recorded: recorded.clone(),
                undone: earlier.cloned(),
            }
        };
        let stages = status.stage_statuses.iter().enumerate().map(|(stage, recorded)| {
            let workflows = recorded.workflow_executions.iter().enumerate();
            let actions = workflows.map(|(workflow, recorded)| {
                let actions = recorded.action_statuses.iter().enumerate();
                actions
                    .map(|(index, recorded)| {
                        let at = ActionIndex {
                            stage,
                            workflow,
                            action: index,
                        };
                        action(at, recorded)
                    })
                    .collect()
            });
            actions.collect()
        });
        Some(Self {
            format_version: drplan_api::status::FORMAT_VERSION,
            execution: name.to_owned(),
            execution_uid: uid.to_owned(),
            start_time: status.start_time,
            snapshot: status.snapshot.clone()?,
            stages: stages.collect(),
        })
    }

    /// The action at `at`; none if the execution had none there.
    pub fn action(&self, at: ActionIndex) -> Option<&RevertedAction> {
        self.stages.get(at.stage)?.get(at.workflow)?.get(at.action)
    }

    /// The actions of the workflow of `at` up to it.
    pub(crate) fn up_to(&self, at: ActionIndex) -> &[RevertedAction] {
        let workflow = self
            .stages
            .get(at.stage)
            .and_then(|workflows| workflows.get(at.workflow));
        let actions = workflow.map_or(&[][..], Vec::as_slice);
        &actions[..actions.len().min(at.action + 1)]
    }

    /// Whether this is the record of a run of `snapshot`.
    pub fn fits(&self, snapshot: &Snapshot) -> bool {
        self.execution_uid == snapshot.execution_uid
            && self.stages.len() == snapshot.stages.len()
            && self.stages.iter().zip(&snapshot.stages).all(|(recorded, stage)| {
                recorded.len() == stage.uses.len()
                    && recorded.iter().zip(&stage.uses).all(|(recorded, used)| {
                        let actions = &snapshot.workflows[used.workflow].spec.actions;
                        let names = recorded.iter().map(|action| action.recorded.name.as_str());
                        names.eq(actions.iter().map(|action| action.name.as_str()))
                    })
            })
    }

    /// The bytes to store. Maps are ordered, so they are the same each time.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("it has no map with keys other than strings")
    }

    /// Reads what [`Reverted::to_text`] wrote, if `sha256` is its digest.
    ///
    /// # Errors
    /// [`SnapshotError`]: altered, of an unknown format, or unreadable.
    pub fn from_text(text: &str, sha256: &str) -> Result<Self, SnapshotError> {
        let value = checked_value(text, sha256)?;
        serde_json::from_value(value).map_err(|source| SnapshotError::Unreadable { source })
    }
}

/// What has been undone of an execution once the Revert `name` stands at `status`, `before` being what earlier ones did.
///
/// # Guarantees
/// It follows from its arguments alone, so writing it again after a crash changes nothing. What earlier Reverts did stays,
/// even of actions that somebody took out of the record.
pub fn undone_by(name: &str, status: &DRPlanExecutionStatus, before: Option<&Undone>) -> Undone {
    let earlier = |path: &str| {
        let actions = before.iter().flat_map(|undone| &undone.actions);
        actions.clone().find(|action| action.path == path)
    };
    let actions = action_indices(status).into_iter().filter_map(|at| {
        let action = action_status(status, at)?;
        let path = path_text(status, at);
        let earlier = earlier(&path);
        let done = match action.phase {
            StepPhase::Succeeded => true,
            StepPhase::Running | StepPhase::Failed => false,
            StepPhase::Pending | StepPhase::Skipped => return earlier.cloned(),
        };
        let in_doubt = match action.attempts {
            _ if done => false,
            0 => earlier.is_some_and(|earlier| earlier.in_doubt),
            _ => action.in_doubt || action.phase == StepPhase::Running,
        };
        let job_ref = match action.attempts {
            0 => earlier.and_then(|earlier| earlier.job_ref.clone()),
            _ => action.outputs.job_ref.as_deref().cloned(),
        };
        Some(UndoneAction {
            done,
            // One that failed before its first intent has tried nothing.
            attempts: action.attempts.max(earlier.map_or(0, |earlier| earlier.attempts)),
            in_doubt,
            job_ref: job_ref.filter(|_| in_doubt),
            start_time: earlier
                .and_then(|earlier| earlier.start_time)
                .or(action.start_time),
            by: name.to_owned(),
            path,
        })
    });
    let listed: BTreeSet<String> = action_indices(status)
        .into_iter()
        .map(|at| path_text(status, at))
        .collect();
    let unlisted = before.iter().flat_map(|undone| &undone.actions);
    let unlisted = unlisted.filter(|action| !listed.contains(&action.path));
    Undone {
        wholly: status.phase == ExecutionPhase::Succeeded,
        actions: actions.chain(unlisted.cloned()).collect(),
    }
}
