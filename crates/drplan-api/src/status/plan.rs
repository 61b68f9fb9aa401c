//! The status of DRPlans and DRWorkflows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, ExecutionPhase};
use crate::Time;

/// Where a plan stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanPhase {
    /// It can be executed.
    #[default]
    Ready,
    /// Some successful Execute of it is not wholly undone.
    Executed,
    /// It cannot be executed; the message says why.
    Invalid,
}

/// The status of a DRPlan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DRPlanStatus {
    /// Where it stands. Values: Ready, Executed, Invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub phase: Option<PlanPhase>,
    /// Why it is Invalid, or what to know.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Stages of the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage_count: Option<i64>,
    /// Actions of the plan, over all stages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_count: Option<i64>,
    /// The run that holds the plan: no other starts meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_execution: Option<CurrentExecution>,
    /// The name of the last run that succeeded, Execute or Revert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_execution_ref: Option<String>,
    /// When the last run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_execution_time: Option<Time>,
    /// The last run that succeeded, Execute or Revert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_successful_execution: Option<SuccessfulExecution>,
    /// The last ten runs, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub execution_history: Vec<HistoryEntry>,
    /// Ten hexadecimal digits of SHA-256 of the names of the last 200 runs: a name runs once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub started_names: Vec<String>,
    /// Ready and Executed, as kubectl wait reads them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// The run that holds a plan's lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CurrentExecution {
    /// The execution's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// What it does. Values: Execute, Revert.
    pub operation: String,
    /// When it took the lock.
    pub start_time: Time,
}

/// The last run that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuccessfulExecution {
    /// The execution's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// When it ended.
    pub completion_time: Time,
}

/// One run of a plan's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The execution's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// What it did. Values: Execute, Revert.
    pub operation_type: String,
    /// Its phase when the entry was last written; Unknown also if it vanished while it ran.
    #[schemars(with = "String")]
    pub phase: ExecutionPhase,
    /// When it took the lock.
    pub start_time: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Who asked for it; `unknown user` where no webhook was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
}

/// Where a workflow stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkflowPhase {
    /// It can be used.
    #[default]
    Ready,
    /// It cannot; the message says why.
    Invalid,
}

/// The status of a DRWorkflow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DRWorkflowStatus {
    /// Where it stands. Values: Ready, Invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub phase: Option<WorkflowPhase>,
    /// Why it is Invalid, or what to know.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Actions of the workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_count: Option<i64>,
    /// Ready, as kubectl wait reads it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
