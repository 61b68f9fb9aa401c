//! The canonical form of the three kinds: one spelling of everything, names validated, closed sets as enums.
//!
//! Made by [`crate::normalise`] alone, stored in snapshots, read by everything else. Text fields may still be
//! templates; a [`Deferred`] number or duration may be one too and is checked once a plan supplies the values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ActionName, GoDuration, ParameterName, Source, StageName};

/// A workflow: parameters and actions, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workflow {
    /// Parameters, in the order they are declared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// What a failed action means for those after it.
    pub failure_policy: WorkflowFailurePolicy,
    /// Namespaces other than its own whose plans may use it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_namespaces: Vec<String>,
    /// Actions, in the order they run.
    pub actions: Vec<Action>,
}

/// What a failed action means for the rest of its workflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkflowFailurePolicy {
    /// The rest is skipped.
    #[default]
    FailFast,
    /// The rest runs; the workflow still ends Failed.
    Continue,
}

/// A declared parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    /// Its name.
    pub name: ParameterName,
    /// What its values convert to.
    #[serde(rename = "type")]
    pub kind: ParameterType,
    /// Whether a plan must supply a value if there is no default.
    pub required: bool,
    /// The value where none is supplied: any YAML scalar, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Where the value is read from where none is supplied, instead of `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<Source>,
    /// Whether an execution may supply a value.
    pub overridable: bool,
}

/// What a parameter's values convert to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterType {
    /// Text.
    #[default]
    String,
    /// A whole number of 64 bits.
    Int,
    /// `true` or `false`.
    Bool,
}

/// A value supplied for a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterValue {
    /// The parameter's name.
    pub name: ParameterName,
    /// The value, or where it is read from.
    #[serde(flatten)]
    pub supplied: Supplied,
}

/// What is supplied for a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Supplied {
    /// Any YAML scalar, as written.
    #[serde(rename = "value")]
    Value(Value),
    /// Where the value is read from when it is sent.
    #[serde(rename = "valueFrom")]
    From(Source),
}

/// One action of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// Its name, unique in the workflow.
    pub name: ActionName,
    /// What it does, and how often it is tried.
    #[serde(flatten)]
    pub doing: Doing,
    /// What a Revert does instead of the default undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Doing>,
}

/// What an action or a rollback does, and how often it is tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Doing {
    /// The bound of one attempt; the default depends on the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Deferred<GoDuration>>,
    /// Retries; none means one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// The work itself.
    pub work: Work,
}

/// The work of an action, by type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Work {
    /// One HTTP request.
    #[serde(rename = "HTTP")]
    Http(Http),
    /// A Kubernetes Job.
    Job(Job),
    /// A Clusternet Localization.
    Localization(Localization),
    /// A Clusternet Subscription.
    Subscription(Subscription),
    /// Any Kubernetes object.
    KubernetesResource(Resource),
}

impl Work {
    /// The type as written in manifests.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Http(_) => "HTTP",
            Self::Job(_) => "Job",
            Self::Localization(_) => "Localization",
            Self::Subscription(_) => "Subscription",
            Self::KubernetesResource(_) => "KubernetesResource",
        }
    }
}

/// A number or duration that may be written as a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deferred<T> {
    /// The value itself.
    #[serde(rename = "value")]
    Value(T),
    /// A template that renders to one.
    #[serde(rename = "template")]
    Template(String),
}

/// How often an action is tried again, and after how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub limit: Deferred<u32>,
    /// The wait before the first retry.
    pub interval: Deferred<GoDuration>,
    /// What each wait is multiplied by for the next, at least 1.
    pub backoff_multiplier: Deferred<f64>,
    /// The longest wait.
    pub max_interval: Deferred<GoDuration>,
    /// HTTP status codes that are retried besides the standing ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<u16>,
    /// Whether a Job that timed out is retried.
    pub on_timeout: bool,
}

/// One HTTP request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    /// Template.
    pub url: String,
    /// Template; `GET` where none is written.
    pub method: String,
    /// Header names and value templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Headers whose values are read when the request is sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers_from: Vec<HeaderFrom>,
    /// Template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Where the body is read from when the request is sent, instead of `body`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_from: Option<Source>,
    /// The status codes that mean success; empty: 200–299.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub success_codes: Vec<u16>,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// PEM certificates trusted besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
    /// Whether the server's certificate is left unverified.
    pub insecure_skip_verify: bool,
    /// Whether the response body is kept as an output.
    pub save_body: bool,
    /// What happens to a call that a crash cut off.
    pub on_interrupted: OnInterrupted,
}

/// A header whose value is read when the request is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderFrom {
    /// Its name.
    pub name: String,
    /// Where its value is read from.
    pub value_from: Source,
}

/// What happens to a call whose result a crash lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnInterrupted {
    /// It is sent again under the same `Idempotency-Key`.
    #[default]
    Repeat,
    /// The action fails.
    Fail,
}

/// A Job to create.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Template; the plan's namespace where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Where its name comes from.
    pub name: JobName,
    /// Labels of the Job, templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Job, templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// A `batch/v1` JobSpec with its `template` (`metadata`, `spec`); strings in it are templates.
    /// Without `ttlSecondsAfterFinished`, which stands below.
    pub spec: Value,
    /// The author's `ttlSecondsAfterFinished`, set on the Job once its result is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<Deferred<i32>>,
}

/// Where a Job's name comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobName {
    /// This very name (template); the n-th attempt appends `-n` from the second on.
    Fixed(String),
    /// This prefix (template) and ten characters that follow from the action's identity and attempt.
    Prefix(String),
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Creates it; one that exists is a failure.
    Create,
    /// Server-side apply.
    Apply,
    /// Sends what the author wrote as a patch.
    Patch,
    /// Deletes it; one that is absent is a success.
    Delete,
}

/// A Clusternet Localization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Localization {
    /// What is done.
    pub operation: Operation,
    /// Template.
    pub name: String,
    /// The ManagedCluster's namespace, template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Precedence among localizations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Deferred<i32>>,
    /// `ApplyNow` or `ApplyLater`, template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_policy: Option<String>,
    /// The object it localizes; strings in it are templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<Value>,
    /// In the order they apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
}

/// One override of a Localization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// Its name.
    pub name: String,
    /// How `value` is read.
    #[serde(rename = "type")]
    pub kind: OverrideType,
    /// YAML or JSON text, a template.
    pub value: String,
}

/// How the value of an override is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OverrideType {
    /// RFC 6902.
    #[serde(rename = "JSONPatch")]
    JsonPatch,
    /// RFC 7386.
    MergePatch,
    /// Helm values.
    Helm,
    /// RFC 6902 within a field.
    #[serde(rename = "FieldJSONPatch")]
    FieldJsonPatch,
    /// RFC 7386 within a field.
    FieldMergePatch,
}

/// A Clusternet Subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// What is done.
    pub operation: Operation,
    /// Template.
    pub name: String,
    /// Template; the plan's namespace where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `Replication` or `Dividing`, template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling_strategy: Option<String>,
    /// As Clusternet reads it; strings in it are templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dividing_scheduling: Option<Value>,
    /// Objects to distribute; strings in them are templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feeds: Vec<Value>,
    /// Clusters to distribute to; strings in them are templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscribers: Vec<Value>,
}

/// Any Kubernetes object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// What is done.
    pub operation: Operation,
    /// YAML text, a template.
    pub manifest: String,
    /// How a Patch is sent.
    pub patch_type: PatchType,
    /// Whether Apply takes over fields that another manager holds.
    pub force: bool,
}

/// How a Patch is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PatchType {
    /// JSON merge patch.
    #[default]
    Merge,
    /// JSON patch.
    #[serde(rename = "JSON")]
    Json,
    /// Strategic merge patch, for built-in kinds.
    Strategic,
}

/// A plan: stages over workflows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The ServiceAccount that actions run as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Whether executions are refused.
    pub suspend: bool,
    /// The bound of a whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// Values for every workflow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub global_params: Vec<ParameterValue>,
    /// What a failed stage means for the others.
    pub failure_policy: PlanFailurePolicy,
    /// Stages, as listed.
    pub stages: Vec<Stage>,
}

/// What a failed stage means for those that have not started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanFailurePolicy {
    /// They are skipped.
    #[default]
    Stop,
    /// They run, dependents too.
    Continue,
}

/// One stage of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// Its name, unique in the plan.
    pub name: StageName,
    /// Stages that must have ended before it starts, as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Whether its workflows run together.
    pub parallel: bool,
    /// In the order they run.
    pub workflows: Vec<WorkflowUse>,
}

/// One use of a workflow in a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowUse {
    /// The workflow's name.
    pub name: String,
    /// The workflow's namespace; the plan's where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Values for this use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<ParameterValue>,
}

/// What an execution asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The plan's name, in the execution's namespace.
    pub plan: String,
    /// What to do.
    pub operation: RunOperation,
    /// Values for overridable parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<ParameterValue>,
}

/// What an execution does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunOperation {
    /// Runs the plan.
    Execute,
    /// Undoes an Execute.
    Revert {
        /// The name of the execution to undo, in the same namespace.
        target: String,
        /// Whether a Failed or Cancelled one may be undone.
        allow_partial: bool,
    },
}

impl RunOperation {
    /// `Execute` or `Revert`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Execute => "Execute",
            Self::Revert { .. } => "Revert",
        }
    }
}
