//! What the product records: the status of the three kinds.
//!
//! A status is read back after a crash and is then the only memory of a run, so every field that a decision
//! needs is here. Fields that only people read (progress, summary, the flat lists) are derived when it is written.

mod condition;
mod outputs;
mod plan;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Time;

pub use condition::{Condition, set_condition};
pub use outputs::{NamedOutputs, ObjectRef, Outputs};
pub use plan::{
    CurrentExecution, DRPlanStatus, DRWorkflowStatus, HistoryEntry, PlanPhase, SuccessfulExecution,
    WorkflowPhase,
};

/// The format of the records this release writes. A record of another format is never written to.
pub const FORMAT_VERSION: u32 = 1;

/// Who did what nobody was authenticated for: no webhook was asked, or could be.
pub const UNKNOWN_USER: &str = "unknown user";

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// Where an execution stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExecutionPhase {
    /// Nothing has begun.
    #[default]
    Pending,
    /// Actions run, or are about to.
    Running,
    /// Everything succeeded. Final.
    Succeeded,
    /// Something failed, or it must not start. Final.
    Failed,
    /// It was cancelled and has come to rest. Final.
    Cancelled,
    /// A person must look: what was in flight is not known. Holds the plan's lock until resumed or cancelled.
    Unknown,
}

impl ExecutionPhase {
    /// Whether it never changes again.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
            Self::Pending | Self::Running | Self::Unknown => false,
        }
    }

    /// As written in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Unknown => "Unknown",
        }
    }
}

/// Where a stage, a workflow of a stage, or an action stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StepPhase {
    /// Not begun.
    #[default]
    Pending,
    /// Begun and not ended; for an action: its intent is recorded.
    Running,
    /// Ended well. Final.
    Succeeded,
    /// Ended badly. Final.
    Failed,
    /// Will not begin. Final.
    Skipped,
}

impl StepPhase {
    /// Whether it never changes again.
    pub fn is_ended(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Skipped => true,
            Self::Pending | Self::Running => false,
        }
    }
}

/// The status of a DRPlanExecution: one run, with a record of every step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DRPlanExecutionStatus {
    /// The format of this record. One of a later format is never written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>")]
    pub format_version: Option<u32>,
    /// Where it stands. Values: Pending, Running, Succeeded, Failed, Cancelled, Unknown.
    #[schemars(with = "String")]
    pub phase: ExecutionPhase,
    /// One line: path, cause, next command to type.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The plan's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub plan: String,
    /// What it does. Values: Execute, Revert.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operation_type: String,
    /// Who created it, as the API server knows them; `unknown user` where no webhook was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// Who last resumed it from Unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed_by: Option<String>,
    /// Actions that have ended, of all, such as `3/22`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub progress: String,
    /// The process that acts on this run. No other writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// What the run was started with: a ControllerRevision in its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotRef>,
    /// The ServiceAccount that its actions run as, in its namespace; none: the operator itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// From begin to end, such as `5m30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// When the plan's timeout ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// Since when its state is Unknown; no deadline runs meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_since: Option<Time>,
    /// The cancellation that was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<Cancellation>,
    /// Parameter values used plan-wide, as strings.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resolved_params: BTreeMap<String, String>,
    /// Counts of stages, workflows and actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// One entry per stage, in plan order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stage_statuses: Vec<StageStatus>,
    /// The same as in stageStatuses, for a plan of one workflow with at most 50 actions. Until the run has ended, names
    /// and phases of what is no longer pending, and the rest only of what failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub action_statuses: Vec<ActionStatus>,
    /// What the actions in actionStatuses brought forth, once the run has ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<NamedOutputs>,
    /// What Reverts have undone of this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undone: Option<Undone>,
    /// A Revert: the execution that it undoes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverts: Option<Reverts>,
    /// Complete, Succeeded and Cancelling, as kubectl wait reads them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// The execution that a Revert undoes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Reverts {
    /// Its name, in the Revert's namespace.
    pub name: String,
    /// Its UID: half of the identity of every undo.
    pub uid: String,
}

/// What Reverts have undone of a run. The only part of a terminal status that changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Undone {
    /// True once a Revert succeeded: nothing is left to undo, whatever it skipped.
    #[serde(skip_serializing_if = "is_false")]
    pub wholly: bool,
    /// The actions whose undo has begun, in plan order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<UndoneAction>,
}

/// How far the undo of one action has come, over all Reverts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UndoneAction {
    /// The action's path.
    pub path: String,
    /// True once it is undone.
    #[serde(skip_serializing_if = "is_false")]
    pub done: bool,
    /// Attempts so far: the next Revert goes on counting.
    #[schemars(with = "i64")]
    pub attempts: u32,
    /// True if nobody knows how the last attempt ended: the next Revert repeats it under its number.
    #[serde(skip_serializing_if = "is_false")]
    pub in_doubt: bool,
    /// The Job that this attempt may have made: the next Revert asks for it under its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_ref: Option<ObjectRef>,
    /// When the first attempt began; `.timestamp` in the rollback's templates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// The name of the Revert that tried last.
    pub by: String,
}

/// The process that acts on a run. Written by compare-and-swap before it acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Epoch {
    /// A UUID, new in every process.
    pub process: String,
    /// How often the lease had changed hands when this process got it.
    #[schemars(with = "i64")]
    pub lease_transitions: u64,
}

/// Where the snapshot of a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotRef {
    /// The ControllerRevision's name, in the execution's namespace.
    pub name: String,
    /// Hexadecimal SHA-256 of the stored data.
    pub sha256: String,
}

/// A recorded wish to end the run early.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cancellation {
    /// True: running actions are not awaited.
    #[serde(default, skip_serializing_if = "is_false")]
    pub now: bool,
    /// When it was recorded.
    pub time: Time,
    /// Why, for the message: `by user alice`, `by unknown user`, `by deletion`.
    pub reason: String,
}

/// Counts that add up: total = completed + running + pending + failed + skipped, each for stages, workflows, actions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = plain_integers)]
#[expect(
    missing_docs,
    reason = "the fifteen names say it: what is counted and in which phase"
)]
pub struct Summary {
    pub total_stages: u32,
    pub completed_stages: u32,
    pub running_stages: u32,
    pub pending_stages: u32,
    pub failed_stages: u32,
    pub skipped_stages: u32,
    pub total_workflows: u32,
    pub completed_workflows: u32,
    pub running_workflows: u32,
    pub pending_workflows: u32,
    pub failed_workflows: u32,
    pub skipped_workflows: u32,
    pub total_actions: u32,
    pub completed_actions: u32,
    pub running_actions: u32,
    pub pending_actions: u32,
    pub failed_actions: u32,
    pub skipped_actions: u32,
}

/// `format: uint32` is not a format that Kubernetes knows.
fn plain_integers(schema: &mut schemars::Schema) {
    if let Some(properties) = schema.get_mut("properties").and_then(|p| p.as_object_mut()) {
        for property in properties.values_mut().filter_map(|p| p.as_object_mut()) {
            property.remove("format");
            property.remove("minimum");
        }
    }
}

/// One stage of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StageStatus {
    /// The stage's name.
    pub name: String,
    /// Where it stands. Values: Pending, Running, Succeeded, Failed, Skipped.
    #[schemars(with = "String")]
    pub phase: StepPhase,
    /// Whether its workflows run together.
    #[serde(skip_serializing_if = "is_false")]
    pub parallel: bool,
    /// The stages it waits for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// When its first action began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When its last action ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// From begin to end, such as `5m30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Why it failed or was skipped.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// One entry per workflow of the stage, in plan order.
    pub workflow_executions: Vec<WorkflowExecution>,
}

/// One use of a workflow in a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkflowExecution {
    /// The workflow.
    pub workflow_ref: WorkflowRef,
    /// Where it stands. Values: Pending, Running, Succeeded, Failed, Skipped.
    #[schemars(with = "String")]
    pub phase: StepPhase,
    /// Actions that have succeeded, of all, such as `2/3 actions completed`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub progress: String,
    /// The name of the action that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_action: Option<String>,
    /// When its first action began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When its last action ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// From begin to end, such as `5m30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Why it failed or was skipped.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Parameter values where they differ from the plan-wide ones.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resolved_params: BTreeMap<String, String>,
    /// One entry per action, in workflow order.
    pub action_statuses: Vec<ActionStatus>,
}

/// A workflow by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WorkflowRef {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

/// One action of a run: what it is doing and all that a successor needs to go on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ActionStatus {
    /// The action's name.
    pub name: String,
    /// Where it stands. Values: Pending, Running, Succeeded, Failed, Skipped.
    #[schemars(with = "String")]
    pub phase: StepPhase,
    /// When its first attempt began; `.timestamp` in its templates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// The number of the newest attempt whose intent is recorded, from 1; 0: none.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(with = "i64")]
    pub attempts: u32,
    /// When the newest attempt may begin; later than now while it waits for a retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_time: Option<Time>,
    /// Result or cause, at most 256 bytes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// True once an attempt may have changed something without succeeding: a Revert of a Failed action owes an
    /// undo only then.
    #[serde(skip_serializing_if = "is_false")]
    pub effect_possible: bool,
    /// True if it failed and nobody knows how its last attempt ended.
    #[serde(skip_serializing_if = "is_false")]
    pub in_doubt: bool,
    /// What stood at its object's place when its intent was recorded: `absent`, or a UID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The ControllerRevision that holds the lists which its Patch replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_stored_in: Option<String>,
    /// True if it made its object.
    #[serde(skip_serializing_if = "is_false")]
    pub created: bool,
    /// True on a Skipped action of a Revert that had nothing to undo.
    #[serde(skip_serializing_if = "is_false")]
    pub nothing_to_undo: bool,
    /// What it brought forth.
    #[serde(skip_serializing_if = "Outputs::is_empty")]
    pub outputs: Outputs,
}

impl ActionStatus {
    /// Whether the running attempt may have been sent by `now`, by whichever process: all but a retry that is not due.
    /// A first attempt is sent as soon as it is stored, so a time of it that is yet to come only says that somebody
    /// else's clock is ahead.
    pub fn may_have_been_sent(&self, now: Time) -> bool {
        self.attempts <= 1 || self.attempt_time.is_none_or(|time| time <= now)
    }
}
