//! DRPlanExecution as a user writes it.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{any_shape::AnyShape, status::DRPlanExecutionStatus, workflow::ParameterValue};

/// One run of a plan: Execute or Revert.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "dr.bkbcs.tencent.com",
    version = "v1alpha1",
    kind = "DRPlanExecution",
    plural = "drplanexecutions",
    shortname = "drpe",
    category = "drplan-all",
    namespaced,
    status = "DRPlanExecutionStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "One run of a plan: Execute runs it, Revert undoes an earlier run. Its spec never changes.",
    printcolumn = r#"{"name":"Plan","type":"string","jsonPath":".status.plan"}"#,
    printcolumn = r#"{"name":"Operation","type":"string","jsonPath":".status.operationType"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Progress","type":"string","jsonPath":".status.progress"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct DRPlanExecutionSpec {
    /// The plan, in the execution's namespace. Type: name, or an object with name and namespace. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_ref: Option<AnyShape>,
    /// What to do: Execute runs the plan, Revert undoes an earlier run. Required. Values: Execute, Revert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_type: Option<String>,
    /// Another spelling of operationType.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// For Execute: values for parameters that the workflows leave overridable; they win over those of the
    /// plan. Limit: at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Vec<ParameterValue>>,
    /// For Revert: the execution to undo. Type: name, or an object with name and namespace. Required for
    /// Revert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revert_execution_ref: Option<AnyShape>,
    /// For Revert: true also undoes an execution that is Failed or Cancelled. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_partial: Option<bool>,
}
