//! DRPlan as a user writes it.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    any_shape::AnyShape,
    status::DRPlanStatus,
    workflow::{Executor, ParameterValue},
};

/// Stages over workflows, with parameter values.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "dr.bkbcs.tencent.com",
    version = "v1alpha1",
    kind = "DRPlan",
    plural = "drplans",
    shortname = "drp",
    category = "drplan-all",
    namespaced,
    status = "DRPlanStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "A recovery plan: stages over workflows, with parameter values. Run by a DRPlanExecution.",
    printcolumn = r#"{"name":"Stages","type":"integer","jsonPath":".status.stageCount"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Current","type":"string","jsonPath":".status.currentExecution.name"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct DRPlanSpec {
    /// What the plan is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The ServiceAccount of the plan's namespace that actions run as. Default: what the operator's
    /// --default-service-account says, default unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// True: no execution of this plan starts; one that is created fails with PlanSuspended. Runs that have
    /// begun go on. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// The bound of a whole run. At its end nothing new starts, what runs is awaited, and the run fails.
    /// Type: duration, such as 2h. Default: none. Limit: above 0, at most 24h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<AnyShape>,
    /// Parameter values for every workflow. Limit: at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global_params: Option<Vec<ParameterValue>>,
    /// What a failed stage means for those that have not started: Stop skips them, Continue runs them, those
    /// that depend on it too. FailFast means Stop. Default: Stop. Values: Stop, FailFast, Continue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_policy: Option<String>,
    /// The stages. Without any dependsOn they run one after another. Required, this or workflowRef. Limit: 1
    /// to 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stages: Option<Vec<Stage>>,
    /// The workflow of a plan without stages: short for one stage, default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_ref: Option<WorkflowRef>,
    /// Parameter values for workflowRef. Limit: at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Vec<ParameterValue>>,
    /// Reserved: what runs the actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor: Option<Executor>,
}

/// One stage of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// Its name, unique in the plan. Required. Limit: lower-case letters, digits and -, at most 63.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the stage is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Stages that must have succeeded (or, with failurePolicy Continue, ended) before this one starts. As
    /// soon as one stage of a plan has it, those without start at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<String>>,
    /// True: the stage's workflows run together. False: one after another. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<bool>,
    /// The workflows of the stage; the same one may be used several times. Required. Limit: 1 to 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflows: Option<Vec<WorkflowUse>>,
}

/// One use of a workflow in a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowUse {
    /// The workflow. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_ref: Option<WorkflowRef>,
    /// Parameter values for this use; they win over globalParams. Limit: at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Vec<ParameterValue>>,
}

/// A workflow by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowRef {
    /// The workflow's name. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The workflow's namespace, which must allow the plan's by allowedNamespaces. Default: the plan's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}
