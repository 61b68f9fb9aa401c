//! The actions of a DRWorkflow as a user writes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    any_shape::{AnyObject, AnyShape},
    workflow::{KeyRef, ValueFrom},
};

/// One action: a name, a type and the block of that type.
// `Undo` is what stands in `rollback`: a `Rollback` in an action, anything in a rollback, which may not have one, as a
// schema cannot be recursive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Action<Undo = Rollback> {
    /// Its name, unique in the workflow. Required, but not in a rollback, which has none. Limit: lower-case
    /// letters, digits and -, at most 63.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the action does; the block of that type says the rest. Required. Values: HTTP, Job, Localization,
    /// Subscription, KubernetesResource.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What the action is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The longest that one attempt may take. Type: duration or template, such as 30s. Default: 1m for HTTP,
    /// 1h for Job, 5m for the others. Limit: above 0, at most 24h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<AnyShape>,
    /// How often the action is tried again, and after how long. Without it there is one attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Another spelling of retryPolicy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// The request. Required for type HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// The Job. Required for type Job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<Job>,
    /// The Localization. Required for type Localization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub localization: Option<Localization>,
    /// The Subscription. Required for type Subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Subscription>,
    /// The object. Required for type KubernetesResource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
    /// What a Revert does instead of the default undo: an action without a name and without a rollback of its
    /// own. The default undo deletes what the action created. Required for operation Patch, which has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Undo>,
    /// Reserved: actions that must have ended before this one starts. Not supported yet; actions run in the
    /// order they are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<AnyShape>,
    /// Reserved: a condition under which the action runs. Not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<AnyShape>,
    /// Reserved: values to keep from the result. Not supported yet; every type has its standing outputs.
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
    /// Attempts after the first. Type: whole number or template. Required. Limit: 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<AnyShape>,
    /// The wait before the first retry. Type: duration or template. Default: 5s. Limit: at most 24h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<AnyShape>,
    /// What each wait is multiplied by for the next. Type: number or template. Default: 1. Limit: 1 or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_multiplier: Option<AnyShape>,
    /// Another spelling of backoffMultiplier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<AnyShape>,
    /// The longest wait, also where a server asks for a longer one by Retry-After. Type: duration or
    /// template. Default: 5m, or interval if that is longer. Limit: at least interval, at most 24h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_interval: Option<AnyShape>,
    /// For type HTTP: status codes that are retried besides 408, 425, 429 and 5xx. Limit: 100 to 599.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codes: Option<Vec<i64>>,
    /// For type Job: true retries a Job that timed out. Every other type is retried after a timeout anyway.
    /// Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<bool>,
}

/// One HTTP request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    /// Where the request goes. A value in it cannot change its structure; see docs/templates.md. Required.
    /// Limit: http:// or https://.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The method. Default: GET. Values: GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Header names and values. Idempotency-Key is added unless it is written here; it is the same in every
    /// attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
    /// Headers whose values are read from Secrets or ConfigMaps of the plan's namespace when the request is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers_from: Option<Vec<HeaderFrom>>,
    /// The body. If it is JSON, values are encoded for the place they stand in. Limit: at most 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body, read from a Secret or ConfigMap of the plan's namespace when the request is sent and sent as it is
    /// there. Excludes body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_from: Option<BodyFrom>,
    /// Status codes that mean success. Default: 200 to 299. Limit: 100 to 599.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_codes: Option<Vec<i64>>,
    /// Another spelling of successCodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_status_codes: Option<Vec<i64>>,
    /// True: up to 5 redirects are followed; another origin gets none of the headers that may be credentials.
    /// False: a redirect is an answer like any other. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_redirects: Option<bool>,
    /// Certificates (PEM) trusted besides the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
    /// True: the server's certificate is not verified. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,
    /// True: the response body is kept in the action's outputs, its first 4 KiB. A body that a later template
    /// refers to is kept anyway. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub save_body: Option<bool>,
    /// What happens to a call that a crash of the operator cut off. Repeat sends it again under the same
    /// Idempotency-Key, Fail fails the action. Default: Repeat. Values: Repeat, Fail.
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

/// A header whose value is read when the request is sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderFrom {
    /// The header's name. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where its value is read from. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueFrom>,
    /// Short for valueFrom with secretKeyRef.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// Short for valueFrom with configMapKeyRef.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
}

/// A body that is read when the request is sent: one of the three.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BodyFrom {
    /// A key of a Secret in the plan's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// A key of a ConfigMap in the plan's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
    /// The same with valueFrom around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueFrom>,
}

/// A Kubernetes Job to create.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its namespace. Default: the plan's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name; a retry appends -2 and so on. A fixed name runs once as long as the Job is kept; leave it
    /// out to get a new name in every run. Default: the action's name and a suffix. Limit: at most 63, with the
    /// suffix of the retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What its name begins with, instead of name. Default: the action's name and -.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generate_name: Option<String>,
    /// A Pod template (metadata, spec), or a Job template (a spec with a template inside). Type: object.
    /// Required. Limit: restartPolicy is Never or OnFailure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<AnyShape>,
    /// Pods that may fail before the Job has failed. Type: whole number or template. Default: Kubernetes'
    /// own, 6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<AnyShape>,
    /// Seconds after which Kubernetes deletes the finished Job. Set once the run has ended, so that no result
    /// is lost. Type: whole number or template. Default: it stays.
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
    /// What is done. Required. Values: Create, Apply, Patch, Delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The Localization's name. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The ManagedCluster's namespace on the hub, such as clusternet-abcde. Default: the plan's, where
    /// Clusternet does not read it; a warning says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Another spelling of namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_namespace: Option<String>,
    /// Precedence among Localizations; the higher wins. Type: whole number or template. Limit: 0 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<AnyShape>,
    /// Whether an application that is already distributed changes: ApplyNow does it, ApplyLater has no effect
    /// on it. Default: Clusternet's own, ApplyLater. Values: ApplyNow, ApplyLater.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_policy: Option<String>,
    /// The object it localizes: apiVersion, kind, name, namespace. Required for operation Create.
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
    /// Its name. Required, but not with path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How value is read. Required, but not with path. Values: JSONPatch, MergePatch, Helm, FieldJSONPatch,
    /// FieldMergePatch.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// With value: short for a JSONPatch that replaces what is at this path, such as /spec/replicas.
    /// Clusternet silently skips a path that does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// YAML or JSON text; with path the new value. Type: string; with path any. Required. Limit: at most 128 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<AnyShape>,
}

/// A Clusternet Subscription.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// What is done. Required. Values: Create, Apply, Patch, Delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The Subscription's name. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its namespace. Default: the plan's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Replication puts all of it into every cluster, Dividing divides the replicas. Default: Clusternet's
    /// own. Values: Replication, Dividing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling_strategy: Option<String>,
    /// How replicas are divided, as Clusternet reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dividing_scheduling: Option<AnyObject>,
    /// Objects to distribute: apiVersion, kind, name, namespace. Required for operation Create.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feeds: Option<Vec<AnyObject>>,
    /// Clusters to distribute to: clusterAffinity (a label selector for ManagedClusters) and weight. Required
    /// for operation Create.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribers: Option<Vec<AnyObject>>,
}

/// Any Kubernetes object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// What is done. Required. Values: Create, Apply, Patch, Delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The object as YAML text, also for Patch and Delete: apiVersion, kind, metadata.name. Without a
    /// namespace it is in the plan's. Required. Limit: at most 128 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// For operation Patch. Merge is a JSON merge patch; Strategic is for built-in kinds; JSON takes a list
    /// of operations under patch. Default: Merge. Values: Merge, JSON, Strategic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_type: Option<String>,
    /// For operation Apply: true takes over fields that another manager holds. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
}
