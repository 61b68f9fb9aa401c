//! Workflows, plans and executions as sentences, and what is asked about them afterwards.

use anyhow::{Context, bail};
use drplan_testkit::{OperatorProcess, Seen, TestNamespace, eventually, object_until};
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

const GROUP: &str = "dr.bkbcs.tencent.com";

/// A label or annotation of ours.
pub(crate) fn ours(name: &str) -> String {
    format!("{GROUP}/{name}")
}

/// An object to apply: kind, name and spec.
#[derive(Debug, Clone)]
pub(crate) struct Manifest(pub(crate) Value);

impl Manifest {
    fn new(kind: &str, name: &str, spec: Value) -> Self {
        Self(json!({
            "apiVersion": format!("{GROUP}/v1alpha1"),
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }))
    }

    /// With this field of the spec.
    #[must_use]
    pub(crate) fn with(mut self, field: &str, value: Value) -> Self {
        self.0["spec"][field] = value;
        self
    }

    /// With this annotation.
    #[must_use]
    pub(crate) fn annotated(mut self, name: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][name] = value.into();
        self
    }

    fn pushed(mut self, list: &str, value: Value) -> Self {
        match self.0["spec"][list].as_array_mut() {
            Some(known) => known.push(value),
            None => self.0["spec"][list] = json!([value]),
        }
        self
    }
}

/// A workflow without actions.
pub(crate) fn workflow(name: &str) -> Manifest {
    Manifest::new("DRWorkflow", name, json!({"actions": []}))
}

impl Manifest {
    /// A workflow with this action after the others.
    #[must_use]
    pub(crate) fn action(self, action: Action) -> Self {
        self.pushed("actions", action.0)
    }

    /// A workflow with this parameter, such as `json!({"name": "x", "type": "int"})`.
    #[must_use]
    pub(crate) fn parameter(self, parameter: Value) -> Self {
        self.pushed("parameters", parameter)
    }
}

/// An action.
#[derive(Debug, Clone)]
pub(crate) struct Action(pub(crate) Value);

/// An HTTP call.
pub(crate) fn call(name: &str, method: &str, url: &str) -> Action {
    Action(json!({"name": name, "type": "HTTP", "http": {"url": url, "method": method}}))
}

/// A POST.
pub(crate) fn post(name: &str, url: &str) -> Action {
    call(name, "POST", url)
}

/// A GET.
pub(crate) fn get(name: &str, url: &str) -> Action {
    call(name, "GET", url)
}

/// A Job that completes at once.
pub(crate) fn job(name: &str) -> Action {
    Action(json!({
        "name": name,
        "type": "Job",
        "job": {"backoffLimit": 0, "template": {
            "metadata": {"annotations": {}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]},
        }},
    }))
}

impl Action {
    /// With this field.
    #[must_use]
    pub(crate) fn with(mut self, field: &str, value: Value) -> Self {
        self.0[field] = value;
        self
    }

    /// With this field of its block `http` or `job`.
    #[must_use]
    pub(crate) fn doing(mut self, field: &str, value: Value) -> Self {
        let block = if self.0["type"] == "HTTP" { "http" } else { "job" };
        self.0[block][field] = value;
        self
    }

    /// With this bound for one attempt.
    #[must_use]
    pub(crate) fn timeout(self, timeout: &str) -> Self {
        self.with("timeout", timeout.into())
    }

    /// Undone by this, an action whose name does not count.
    #[must_use]
    pub(crate) fn undone_by(self, mut rollback: Action) -> Self {
        if let Some(fields) = rollback.0.as_object_mut() {
            fields.remove("name");
        }
        self.with("rollback", rollback.0)
    }

    /// Tried again this often.
    #[must_use]
    pub(crate) fn retried(self, limit: u32, interval: &str) -> Self {
        self.with("retryPolicy", json!({"limit": limit, "interval": interval}))
    }

    /// A Job whose pod is told this, such as `fail` `7`, `hang` `true`, `seconds` `2`.
    #[must_use]
    pub(crate) fn told(mut self, what: &str, value: &str) -> Self {
        self.0["job"]["template"]["metadata"]["annotations"][format!("testkit.drplan/{what}")] = value.into();
        self
    }
}

/// A plan without stages.
pub(crate) fn plan(name: &str) -> Manifest {
    Manifest::new("DRPlan", name, json!({"stages": []}))
}

impl Manifest {
    /// A plan with this stage after the others, of these workflows.
    #[must_use]
    pub(crate) fn stage(self, name: &str, workflows: &[&str]) -> Self {
        self.stage_with(name, workflows, json!({}))
    }

    /// The same with more fields of the stage.
    #[must_use]
    pub(crate) fn stage_with(self, name: &str, workflows: &[&str], fields: Value) -> Self {
        let used: Vec<Value> = workflows
            .iter()
            .map(|name| json!({"workflowRef": {"name": name}}))
            .collect();
        let mut stage = fields;
        stage["name"] = name.into();
        stage["workflows"] = used.into();
        self.pushed("stages", stage)
    }
}

/// An execution of this plan.
pub(crate) fn execution(name: &str, plan: &str) -> Manifest {
    Manifest::new(
        "DRPlanExecution",
        name,
        json!({"planRef": plan, "operationType": "Execute"}),
    )
}

/// A Revert of this execution.
pub(crate) fn revert(name: &str, plan: &str, target: &str) -> Manifest {
    Manifest::new(
        "DRPlanExecution",
        name,
        json!({"planRef": plan, "operationType": "Revert", "revertExecutionRef": target}),
    )
}

/// An action on the object of `manifest`.
pub(crate) fn resource(name: &str, operation: &str, manifest: &str) -> Action {
    Action(json!({
        "name": name,
        "type": "KubernetesResource",
        "resource": {"operation": operation, "manifest": manifest},
    }))
}

/// An action on a Clusternet object, Localization or Subscription, with these fields of its block.
pub(crate) fn clusternet(name: &str, kind: &str, operation: &str, mut fields: Value) -> Action {
    fields["operation"] = operation.into();
    let block = kind.to_lowercase();
    Action(json!({"name": name, "type": kind, block: fields}))
}

/// A ConfigMap with one line of data.
pub(crate) fn config_map(name: &str, data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  {data}\n")
}

/// The objects of a kind of Clusternet's.
pub(crate) fn clusternet_api(t: &TestNamespace, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("apps.clusternet.io", "v1alpha1", kind);
    Api::namespaced_with(t.client.clone(), &t.name, &ApiResource::from_gvk(&kind))
}

/// The objects of one of our kinds.
pub(crate) fn our_api(t: &TestNamespace, kind: &str) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk(GROUP, "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, &format!("{}s", kind.to_lowercase()));
    Api::namespaced_with(t.client.clone(), &t.name, &resource)
}

/// The executions.
pub(crate) fn executions(t: &TestNamespace) -> Api<DynamicObject> {
    our_api(t, "DRPlanExecution")
}

/// The plans.
pub(crate) fn plans(t: &TestNamespace) -> Api<DynamicObject> {
    our_api(t, "DRPlan")
}

/// Applies the object, as a user does who has no other way.
pub(crate) async fn apply(t: &TestNamespace, manifest: &Manifest) -> anyhow::Result<DynamicObject> {
    let object = &manifest.0;
    let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
    let parameters = PatchParams::apply("a-user");
    let applied = our_api(t, kind)
        .patch(name, &parameters, &Patch::Apply(object))
        .await;
    applied.with_context(|| format!("failed to apply {object}"))
}

/// Creates the object; one of that name must not exist.
pub(crate) async fn create(t: &TestNamespace, manifest: &Manifest) -> anyhow::Result<DynamicObject> {
    let object: DynamicObject = serde_json::from_value(manifest.0.clone())?;
    let api = our_api(t, text(&manifest.0, "/kind"));
    Ok(api.create(&PostParams::default(), &object).await?)
}

/// Applies a workflow of these actions and a plan of one stage over it, both of this name.
pub(crate) async fn apply_plan(t: &TestNamespace, name: &str, actions: &[Action]) -> anyhow::Result<()> {
    let flow = actions.iter().cloned().fold(workflow(name), Manifest::action);
    apply(t, &flow).await?;
    apply(t, &plan(name).stage("main", &[name])).await?;
    Ok(())
}

/// Sets an annotation, or takes it off.
pub(crate) async fn annotate(
    api: &Api<DynamicObject>,
    name: &str,
    annotation: &str,
    value: Option<&str>,
) -> anyhow::Result<()> {
    let patch = json!({"metadata": {"annotations": {annotation: value}}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await?;
    Ok(())
}

/// Waits until the execution has this phase, and returns it as JSON. Another end than the awaited one fails at once.
pub(crate) async fn execution_until(t: &TestNamespace, name: &str, phase: &str) -> anyhow::Result<Value> {
    let is_end = |phase: &str| matches!(phase, "Succeeded" | "Failed" | "Cancelled");
    let seen = object_until(&executions(t), name, &format!("phase {phase}"), |object| {
        let found = phase_of(object?);
        (found == phase || is_end(found))
            .then(|| object.cloned())
            .flatten()
    })
    .await?;
    if phase_of(&seen) != phase {
        bail!("{name} is {} instead of {phase}: {}", phase_of(&seen), seen.data);
    }
    Ok(serde_json::to_value(seen)?)
}

/// Waits until `check` returns a value for the execution.
pub(crate) async fn execution_where<T>(
    t: &TestNamespace,
    name: &str,
    what: &str,
    check: impl Fn(&Value) -> Option<T>,
) -> anyhow::Result<T> {
    object_until(&executions(t), name, what, |object| {
        check(&serde_json::to_value(object?).unwrap_or_default())
    })
    .await
}

/// Waits until the action at `path` of the execution has recorded which Job it made.
pub(crate) async fn job_recorded(t: &TestNamespace, name: &str, path: &str) -> anyhow::Result<()> {
    execution_where(t, name, "a Job", |seen| {
        action_of(seen, path).pointer("/outputs/jobRef/uid").map(drop)
    })
    .await
}

/// Waits until the action at `path` of the execution has a second attempt, due or not.
pub(crate) async fn second_attempt(t: &TestNamespace, name: &str, path: &str) -> anyhow::Result<()> {
    execution_where(t, name, "a second attempt", |seen| {
        (action_of(seen, path)["attempts"] == 2).then_some(())
    })
    .await
}

/// Waits until the operator has logged a message with these words.
pub(crate) async fn logged(operator: &OperatorProcess, words: &str) -> anyhow::Result<()> {
    operator
        .logged(words, |line| {
            line["message"].as_str()?.contains(words).then_some(())
        })
        .await
}

/// Waits until the operator has given up the write of a run's status: a request is given up after ten seconds.
pub(crate) async fn write_given_up(operator: &OperatorProcess) -> anyhow::Result<()> {
    logged(operator, "the status could not be written").await
}

fn phase_of(object: &DynamicObject) -> &str {
    text(&object.data, "/status/phase")
}

/// Waits until the execution's end is entered: its finalizer is off, and its plan has neither lock nor finalizer.
/// Returns both.
pub(crate) async fn released(t: &TestNamespace, name: &str) -> anyhow::Result<(Value, Value)> {
    let execution = object_until(&executions(t), name, "no finalizer", |object| {
        object?
            .metadata
            .finalizers
            .iter()
            .flatten()
            .next()
            .is_none()
            .then(|| object.cloned())
            .flatten()
    })
    .await?;
    let plan = text(&execution.data, "/spec/planRef").to_owned();
    let plan = object_until(&plans(t), &plan, "neither lock nor finalizer", |object| {
        let object = object?;
        let is_free = object.metadata.finalizers.iter().flatten().next().is_none()
            && object.data.pointer("/status/currentExecution").is_none();
        is_free.then(|| object.clone())
    })
    .await?;
    Ok((serde_json::to_value(execution)?, serde_json::to_value(plan)?))
}

/// A text in an object, empty if there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The record of an action, by its path `stage/workflow[index]/action`.
pub(crate) fn action_of<'a>(execution: &'a Value, path: &str) -> &'a Value {
    let none = &Value::Null;
    let mut parts = path.split('/');
    let (stage, used, action) = (parts.next(), parts.next().unwrap_or_default(), parts.next());
    let index = used
        .split_once('[')
        .and_then(|(_, rest)| rest.trim_end_matches(']').parse::<usize>().ok());
    let named = |list: &'a Value, name: Option<&str>| {
        list.as_array()
            .and_then(|all| all.iter().find(|one| one["name"].as_str() == name))
            .unwrap_or(none)
    };
    let stage = named(&execution["status"]["stageStatuses"], stage);
    named(
        &stage["workflowExecutions"][index.unwrap_or(0)]["actionStatuses"],
        action,
    )
}

/// Each action's name and phase, in plan order: `"call Succeeded, work Running"`.
pub(crate) fn phases(execution: &Value) -> String {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut phases = Vec::new();
    for stage in list(&execution["status"]["stageStatuses"]) {
        for used in list(&stage["workflowExecutions"]) {
            for action in list(&used["actionStatuses"]) {
                phases.push(format!("{} {}", text(&action, "/name"), text(&action, "/phase")));
            }
        }
    }
    phases.join(", ")
}

/// The events about an object so far, `"Reason: message"`, in order of their time.
pub(crate) async fn events(t: &TestNamespace, name: &str) -> anyhow::Result<Vec<String>> {
    let about = ListParams::default().fields(&format!("involvedObject.name={name}"));
    let mut found = t.api::<Event>().list(&about).await?.items;
    found.sort_by_key(|event| event.first_timestamp.clone().map(|time| time.0));
    let told = |event: Event| {
        format!(
            "{}: {}",
            event.reason.unwrap_or_default(),
            event.message.unwrap_or_default()
        )
    };
    Ok(found.into_iter().map(told).collect())
}

/// Waits until there is an event with this reason about the object, and returns its message.
pub(crate) async fn event(t: &TestNamespace, name: &str, reason: &str) -> anyhow::Result<String> {
    eventually(&format!("the event {reason} about {name}"), async || {
        let seen = events(t, name).await?;
        let found = seen
            .iter()
            .find_map(|event| event.strip_prefix(&format!("{reason}: ")).map(str::to_owned));
        Ok(Seen::when(found, || format!("{seen:?}")))
    })
    .await
}

/// The events about an object so far with their type, `"Type Reason: message"`, in the order in which they happened.
pub(crate) async fn told_events(t: &TestNamespace, name: &str) -> anyhow::Result<Vec<String>> {
    let about = ListParams::default().fields(&format!("involvedObject.name={name}"));
    let mut found = t.api::<Event>().list(&about).await?.items;
    // The operator's names of events count milliseconds, their times seconds.
    found.sort_by_key(|event| event.metadata.name.clone());
    let told = |event: Event| {
        format!(
            "{} {}: {}",
            event.type_.unwrap_or_default(),
            event.reason.unwrap_or_default(),
            event.message.unwrap_or_default()
        )
    };
    Ok(found.into_iter().map(told).collect())
}
