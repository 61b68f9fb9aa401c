//! DRWorkflow as a user writes it.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{action::Action, any_shape::AnyShape, status::DRWorkflowStatus};

/// A reusable list of actions with parameters.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "dr.bkbcs.tencent.com",
    version = "v1alpha1",
    kind = "DRWorkflow",
    plural = "drworkflows",
    shortname = "drwf",
    category = "drplan-all",
    namespaced,
    status = "DRWorkflowStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "A reusable list of actions with parameters, run by the plans that refer to it.",
    printcolumn = r#"{"name":"Actions","type":"integer","jsonPath":".status.actionCount"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct DRWorkflowSpec {
    /// What the workflow is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Parameters that actions read as `{{ .params.<name> }}`; at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Vec<Parameter>>,
    /// What a failed action means for those after it: FailFast (default; Stop means the same) skips them,
    /// Continue runs them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_policy: Option<String>,
    /// Namespaces other than its own whose plans may use this workflow; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<Vec<String>>,
    /// Actions, in the order they run; at least one, at most 200. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<Action>>,
    /// What runs the actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor: Option<Executor>,
}

/// A declared parameter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    /// Name: a letter or _, then letters, digits, _ and -, at most 63. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What values convert to: string (default), int (or integer, number), bool (or boolean).
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// True: a plan must supply a value unless there is a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// The value where none is supplied: text, a number, true or false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<AnyShape>,
    /// What the parameter is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// False: an execution may not supply a value. True by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overridable: Option<bool>,
    /// Reserved: reads the value from a Secret or ConfigMap. Not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<AnyShape>,
}

/// A value supplied for a parameter, in a plan or an execution.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParameterValue {
    /// The parameter's name. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Text, a number, true or false. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<AnyShape>,
    /// Reserved: reads the value from a Secret or ConfigMap. Not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<AnyShape>,
}

/// What runs the actions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Executor {
    /// Native (default). Argo is reserved and not supported yet.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}
