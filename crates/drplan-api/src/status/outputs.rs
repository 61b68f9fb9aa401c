//! What actions bring forth.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an action brought forth, for later templates and for its undo.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Outputs {
    /// HTTP: the status code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>")]
    pub status_code: Option<u16>,
    /// HTTP: how long the call took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// HTTP: the response body, if asked or referred to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// HTTP: the ControllerRevision that holds the response body, where the status has no room for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_stored_in: Option<String>,
    /// Job: the Job of the newest attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_ref: Option<Box<ObjectRef>>,
    /// Job: the exit code of the first container that failed, 0 on success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Job: the end of a failed container's log, at most 4 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Job: the ControllerRevision that holds the end of the log, where the status has no room for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_stored_in: Option<String>,
    /// Localization: the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub localization_ref: Option<Box<ObjectRef>>,
    /// Subscription: the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_ref: Option<Box<ObjectRef>>,
    /// KubernetesResource: the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_ref: Option<Box<ObjectRef>>,
}

impl Outputs {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An object that an action made or changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectRef {
    /// Its apiVersion; may be left out for a Job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Its kind; may be left out for a Job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its name.
    pub name: String,
    /// Its namespace, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its UID, once the API server's answer is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// The outputs of one action, in the flat list of a plan of one workflow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NamedOutputs {
    /// The action's name.
    pub action_name: String,
    /// Its outputs.
    #[serde(flatten)]
    pub outputs: Outputs,
}
