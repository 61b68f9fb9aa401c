//! The actions of a DRWorkflow as a user writes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::any_shape::{AnyObject, AnyShape};

/// One action: a name, a type and the block of that type.
// `Undo` is what stands in `rollback`: a `Rollback` in an action, anything in a rollback, which may not have one, as a
// schema cannot be recursive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Action<Undo = Rollback> {
    /// Name: lower-case letters, digits and -, at most 63, unique in the workflow. Required, but not in a rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the action does: HTTP, Job, Localization, Subscription or KubernetesResource. Required.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What the action is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The bound of one attempt, such as 30s, at most 24h. Default: 1m for HTTP, 1h for Job, 5m for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<AnyShape>,
    /// How often the action is tried again; without it there is one attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Another spelling of retryPolicy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// For type HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// For type Job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<Job>,
    /// For type Localization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub localization: Option<Localization>,
    /// For type Subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Subscription>,
    /// For type KubernetesResource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
    /// What a Revert does instead of the default undo: an action without name and without rollback of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Undo>,
    /// Reserved: actions that must have ended before this one starts. Not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<AnyShape>,
    /// Reserved: a condition under which the action runs. Not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<AnyShape>,
    /// Reserved: values to keep from the result. Not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<AnyShape>,
}

/// What stands in `rollback`.
pub type Rollback = Action<AnyShape>;

impl<Undo> Default for Action<Undo> {
    fn default() -> Self {
        Self {
            name: None,
            kind: None,
            description: None,
            timeout: None,
            retry_policy: None,
            retry: None,
            http: None,
            job: None,
            localization: None,
            subscription: None,
            resource: None,
            rollback: None,
            depends_on: None,
            when: None,
            outputs: None,
        }
    }
}

/// How often an action is tried again, and after how long.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// Attempts after the first, 0 to 100. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<AnyShape>,
    /// The wait before the first retry; 5s by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<AnyShape>,
    /// What each wait is multiplied by for the next, 1 or more; 1 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_multiplier: Option<AnyShape>,
    /// Another spelling of backoffMultiplier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<AnyShape>,
    /// The longest wait; 5m by default, or interval if that is longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_interval: Option<AnyShape>,
    /// HTTP status codes that are retried besides 408, 425, 429 and 5xx.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codes: Option<Vec<i64>>,
    /// True: a Job that timed out is retried too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<bool>,
}

/// One HTTP request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    /// URL, http or https. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Method; GET by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Header names and values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
    /// Reserved: header values from Secrets or ConfigMaps. Not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers_from: Option<AnyShape>,
    /// Body, at most 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Reserved: the body from a Secret or ConfigMap. Not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_from: Option<AnyShape>,
    /// Status codes that mean success; 200 to 299 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_codes: Option<Vec<i64>>,
    /// Another spelling of successCodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_status_codes: Option<Vec<i64>>,
    /// True: redirects are followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_redirects: Option<bool>,
    /// PEM certificates trusted besides the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
    /// True: the server's certificate is not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,
    /// True: the response body is kept in the action's outputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub save_body: Option<bool>,
    /// What happens to a call that a crash of the operator cut off: Repeat (default) sends it again under the same
    /// Idempotency-Key, Fail fails the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_interrupted: Option<String>,
    /// Another place for the action's timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<AnyShape>,
    /// Another place for the action's retryPolicy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Another spelling of retryPolicy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
}

/// A Kubernetes Job to create.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Namespace; the plan's by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The Job's name; a retry appends -2 and so on. Without name and generateName: the action's name and a suffix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the Job's name begins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generate_name: Option<String>,
    /// A Pod template (metadata, spec), or a Job template (spec with a template inside). Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<AnyShape>,
    /// Pods that may fail before the Job has failed; Kubernetes' default is 6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<AnyShape>,
    /// Seconds after which Kubernetes deletes the finished Job; set once its result is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<AnyShape>,
    /// Another place for the action's timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<AnyShape>,
    /// Another place for the action's retryPolicy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Another spelling of retryPolicy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
}

/// A Clusternet Localization.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Localization {
    /// What is done: Create, Apply, Patch or Delete. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The Localization's name. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The ManagedCluster's namespace, such as clusternet-abcde.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Another spelling of namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_namespace: Option<String>,
    /// Precedence among Localizations, 0 to 1000; the higher wins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<AnyShape>,
    /// ApplyNow, or ApplyLater (Clusternet's default: no effect on what is already distributed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_policy: Option<String>,
    /// The object it localizes: apiVersion, kind, name, namespace. Required for Create.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<AnyObject>,
    /// Overrides, in the order they apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Vec<Override>>,
}

/// One override of a Localization: name, type and value, or path and value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// Name of the override.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How value is read: JSONPatch, MergePatch, Helm, FieldJSONPatch or FieldMergePatch.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// With path and value: short for a JSONPatch that replaces what is at this path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// YAML or JSON text; with path: the new value. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<AnyShape>,
}

/// A Clusternet Subscription.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// What is done: Create, Apply, Patch or Delete. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The Subscription's name. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace; the plan's by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Replication or Dividing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling_strategy: Option<String>,
    /// How replicas are divided, as Clusternet reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dividing_scheduling: Option<AnyObject>,
    /// Objects to distribute: apiVersion, kind, name, namespace. Required for Create.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feeds: Option<Vec<AnyObject>>,
    /// Clusters to distribute to: clusterAffinity, weight. Required for Create.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribers: Option<Vec<AnyObject>>,
}

/// Any Kubernetes object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// What is done: Create, Apply, Patch or Delete. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The object as YAML text, at most 128 KiB. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// How a Patch is sent: Merge (default), JSON or Strategic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_type: Option<String>,
    /// True: an Apply takes over fields that another manager holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
}
