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
    /// Parameters that actions read as `{{ .params.<name> }}`. Limit: at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Vec<Parameter>>,
    /// What a failed action means for those after it: FailFast skips them, Continue runs them; the workflow
    /// fails either way. Stop means FailFast. Default: FailFast. Values: FailFast, Stop, Continue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_policy: Option<String>,
    /// Namespaces other than its own whose plans may use this workflow. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<Vec<String>>,
    /// Actions, in the order they run. Required. Limit: 1 to 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<Action>>,
    /// Reserved: what runs the actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor: Option<Executor>,
}

/// A declared parameter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    /// Its name. Required. Limit: a letter or _, then letters, digits, _ and -, at most 63.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What values convert to. Default: string. Values: string, int, integer, number, bool, boolean.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// True: a plan or an execution must supply a value unless there is a default. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// The value where none is supplied. Type: string, number or boolean. Default: empty. Limit: at most 8 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<AnyShape>,
    /// What the parameter is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// False: an execution may not supply a value, only the plan. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overridable: Option<bool>,
    /// Reads the value where none is supplied from a Secret or ConfigMap of the plan's namespace when it is sent. Such a
    /// value may go into a request's query, headers and body, and into data and stringData of a Secret only. Excludes
    /// default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueFrom>,
}

/// A value supplied for a parameter, in a plan or an execution.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParameterValue {
    /// The parameter's name. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The value; what stands in it is never a template. Type: string, number or boolean. Required, this or
    /// valueFrom. Limit: 8 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<AnyShape>,
    /// Reads the value from a Secret or ConfigMap of the plan's namespace when it is sent; see docs/templates.md. Not in
    /// an execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueFrom>,
}

/// Where a value is read from when it is sent: one of the two.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValueFrom {
    /// A key of a Secret in the plan's namespace. The ServiceAccount of the plan needs the right to get it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// A key of a ConfigMap in the plan's namespace. The ServiceAccount of the plan needs the right to get it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
}

/// A key of a Secret or ConfigMap. Neither is a template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRef {
    /// The object's name. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The key in its data. Required. Limit: the value has at most 8 KiB, in bodyFrom 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What runs the actions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Executor {
    /// Argo is not supported yet. Default: Native. Values: Native.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}
