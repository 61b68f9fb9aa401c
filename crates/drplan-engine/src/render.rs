//! From an action and its data to the command that is sent.

use std::collections::BTreeMap;

use drplan_api::{
    GoDuration, Time,
    canonical::{Deferred, Doing, Http, Job, JobName, Work},
    labels,
    limits::TIMEOUT_SECONDS_MAX,
    status::{ObjectRef, Outputs},
};
use drplan_template::{Template, Value};
use serde_json::{Value as Json, json};

use crate::{
    effect::{Command, EffectIdentity, HttpCall, JobCreation},
    fields,
    graph::ActionIndex,
    job_name,
    kept::Facts,
    object::{Before, Look, ObjectCommand, ObjectDeletion, field_manager},
    object_render::{RenderedObject, render_object},
    run::{Run, action_status},
    sealed::{Sealed, SealedParameters},
    snapshot::Snapshot,
    task::Task,
    undo::{ABSENT, Undo},
};

/// The bound of one attempt of a Job where none is written.
pub(crate) const JOB_TIMEOUT: GoDuration = GoDuration::from_secs(60 * 60);

/// The bound of one attempt where none is written.
pub fn default_timeout(work: &Work) -> GoDuration {
    match work {
        Work::Http(_) => GoDuration::from_secs(60),
        Work::Job(_) => JOB_TIMEOUT,
        Work::Localization(_) | Work::Subscription(_) | Work::KubernetesResource(_) => {
            GoDuration::from_secs(5 * 60)
        }
    }
}

/// Why an action cannot be rendered: the field and what is wrong with it, without any value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct RenderError {
    /// The field below the action.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

impl RenderError {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// An attempt of an action, rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// What to send.
    pub command: Command,
    /// What it makes, known before it is made: a Job's name and namespace.
    pub target: Option<ObjectRef>,
}

/// The command of attempt `attempt` of the action at `at`.
///
/// A Job goes by the name that its intent recorded. An attempt after one that failed before there was a Job keeps the
/// name: should the lost request still arrive, the API server lets only one of them be.
///
/// # Errors
/// [`RenderError`] for the first text that does not render, or renders to what it must not be.
pub fn render(facts: Facts<'_>, at: ActionIndex, attempt: Attempt) -> Result<Rendered, RenderError> {
    let Facts { run, status, .. } = facts;
    let data = crate::data::data(facts, at, attempt.first_start);
    let task = run.task(at);
    let timeout = task.timeout(&data)?;
    let before = match action_status(status, at).and_then(|action| action.before.as_deref()) {
        None | Some(ABSENT) => Before::Absent,
        Some(uid) => Before::Present(uid.to_owned()),
    };
    let doing = match task {
        Task::Written(doing) => doing,
        Task::Delete { undo, .. } => {
            let deadline = attempt.counts_from.plus_millis(timeout.as_millis());
            return deletion(undo, before, deadline);
        }
        Task::Nothing(why) => return Err(RenderError::new("rollback", why)),
    };
    match &doing.work {
        Work::Http(http) => {
            let params = run.sealed_parameters(at);
            let mut call = http_call(http, &data, timeout, run.keeps_body(at), &params)?;
            call.sealed = Sealed::of(params, doing, &run.snapshot.namespace, &data)?;
            Ok(Rendered {
                command: Command::Call(call),
                target: None,
            })
        }
        Work::Job(job) => {
            let deadline = attempt.counts_from.plus_millis(timeout.as_millis());
            let recorded = action_status(status, at).and_then(|action| action.outputs.job_ref.as_deref());
            let recorded = recorded.filter(|job| job.uid.is_none());
            let creation = job_creation(run, job, &data, at, attempt.number, deadline, recorded)?;
            Ok(Rendered {
                target: Some(creation.target.clone()),
                command: Command::CreateJob(creation),
            })
        }
        Work::Localization(_) | Work::Subscription(_) | Work::KubernetesResource(_) => {
            let deadline = attempt.counts_from.plus_millis(timeout.as_millis());
            let object = object_of(run, doing, &data)?;
            let target = Some(object.target.clone());
            let sealed = Sealed::of(run.sealed_parameters(at), doing, &run.snapshot.namespace, &data)?;
            let command = object.command(run, at, attempt.number, before, deadline, sealed);
            Ok(Rendered {
                command: Command::Object(command),
                target,
            })
        }
    }
}

/// The look that precedes the intent of an attempt; none if the action is about no object.
///
/// # Errors
/// As [`render`].
pub(crate) fn look(facts: Facts<'_>, at: ActionIndex, attempt: Attempt) -> Result<Option<Look>, RenderError> {
    let run = facts.run;
    let task = run.task(at);
    let data = || crate::data::data(facts, at, attempt.first_start);
    let deadline = |data: &Value| {
        let timeout = task.timeout(data)?;
        Ok::<_, RenderError>(attempt.counts_from.plus_millis(timeout.as_millis()))
    };
    match task {
        Task::Written(doing) => match doing.work {
            Work::Http(_) | Work::Job(_) => Ok(None),
            Work::Localization(_) | Work::Subscription(_) | Work::KubernetesResource(_) => {
                let data = data();
                Ok(Some(object_of(run, doing, &data)?.look(deadline(&data)?)))
            }
        },
        Task::Delete {
            undo: Undo::DeleteIfOurs { object, .. },
            ..
        } => Ok(Some(Look {
            target: object.clone(),
            await_gone: false,
            lists: Vec::new(),
            deadline: deadline(&data())?,
        })),
        Task::Delete { .. } | Task::Nothing(_) => Ok(None),
    }
}

/// The deletion that undoes what an action made: of the object with the UID that is recorded, or that the look found.
fn deletion(undo: &Undo, before: Before, deadline: Time) -> Result<Rendered, RenderError> {
    let target = match (undo, before) {
        (Undo::Delete(object), _) => object.clone(),
        (Undo::DeleteIfOurs { object, .. }, Before::Present(uid)) => ObjectRef {
            uid: Some(uid),
            ..object.clone()
        },
        (Undo::DeleteIfOurs { .. } | Undo::Rollback | Undo::Nothing(_), _) => {
            return Err(RenderError::new("rollback", "has nothing to delete"));
        }
    };
    let command = Command::Object(ObjectCommand::Delete(ObjectDeletion {
        target: target.clone(),
        await_gone: true,
        deadline,
    }));
    Ok(Rendered {
        command,
        target: Some(target),
    })
}

fn object_of(run: &Run, doing: &Doing, data: &Value) -> Result<RenderedObject, RenderError> {
    let object = render_object(&doing.work, &run.snapshot.namespace, data)?;
    object.ok_or_else(|| RenderError::new("type", "is about no object"))
}

/// Records what an attempt makes where its type keeps it.
pub(crate) fn record_target(outputs: &mut Outputs, task: Task<'_>, target: Option<ObjectRef>) {
    let slot = match task.work() {
        Some(Work::Http(_)) => return,
        Some(Work::Job(_)) => &mut outputs.job_ref,
        Some(Work::Localization(_)) => &mut outputs.localization_ref,
        Some(Work::Subscription(_)) => &mut outputs.subscription_ref,
        // Whatever is deleted is an object: nobody awaits a Job there.
        Some(Work::KubernetesResource(_)) | None => &mut outputs.resource_ref,
    };
    *slot = target.map(Box::new);
}

/// Which attempt is rendered, and its times.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// When it may begin.
    pub time: Time,
    /// What its timeout counts from: its time, but for what is asked of the API server again after a crash.
    pub counts_from: Time,
    /// When the action's first attempt began: `.timestamp`.
    pub first_start: Time,
}

/// The bound of one attempt.
///
/// # Errors
/// [`RenderError`] if it is a template that does not render to a duration of at most 24 h.
pub fn timeout(doing: &Doing, data: &Value) -> Result<GoDuration, RenderError> {
    match &doing.timeout {
        None => Ok(default_timeout(&doing.work)),
        Some(deferred) => duration("timeout", deferred, data),
    }
}

/// A duration, or what its template renders to.
///
/// # Errors
/// [`RenderError`] if that is no duration between 0 and 24 h.
pub fn duration(
    field: &str,
    deferred: &Deferred<GoDuration>,
    data: &Value,
) -> Result<GoDuration, RenderError> {
    let duration = match deferred {
        Deferred::Value(duration) => *duration,
        Deferred::Template(source) => {
            let text = plain(field, source, data)?;
            text.trim()
                .parse()
                .map_err(|error| RenderError::new(field, format!("renders to what is {error}")))?
        }
    };
    if duration > GoDuration::from_secs(TIMEOUT_SECONDS_MAX) {
        return Err(RenderError::new(
            field,
            "renders to more than 24h, the longest possible",
        ));
    }
    Ok(duration)
}

/// A number, or what its template renders to.
///
/// # Errors
/// [`RenderError`] if that does not parse.
pub fn number<T: std::str::FromStr + Copy>(
    field: &str,
    deferred: &Deferred<T>,
    data: &Value,
) -> Result<T, RenderError> {
    match deferred {
        Deferred::Value(value) => Ok(*value),
        Deferred::Template(source) => {
            let text = plain(field, source, data)?;
            text.trim()
                .parse()
                .map_err(|_| RenderError::new(field, "does not render to a number in range"))
        }
    }
}

fn parse(field: &str, source: &str) -> Result<Template, RenderError> {
    Template::parse(source).map_err(|error| RenderError::new(field, error.to_string()))
}

pub(crate) fn plain(field: &str, source: &str, data: &Value) -> Result<String, RenderError> {
    parse(field, source)?
        .render_text(data)
        .map_err(|error| RenderError::new(field, error.to_string()))
}

/// YAML or JSON text with values spliced in.
pub(crate) fn yaml(field: &str, source: &str, data: &Value) -> Result<String, RenderError> {
    parse(field, source)?
        .render_yaml(data)
        .map_err(|error| RenderError::new(field, error.to_string()))
}

/// The request that `http` is with `data`; the values of `sealed` are percent-encoded in its URL.
///
/// # Errors
/// [`RenderError`] for the first text that does not render.
pub(crate) fn http_call(
    http: &Http,
    data: &Value,
    timeout: GoDuration,
    keep_body: bool,
    sealed: &SealedParameters,
) -> Result<HttpCall, RenderError> {
    let url = parse("http.url", &http.url)?
        .render_url_encoding(data, &|name| sealed.has(name))
        .map_err(|error| RenderError::new("http.url", error.to_string()))?;
    let mut headers = BTreeMap::new();
    for (name, source) in &http.headers {
        let field = format!("http.headers.{name}");
        let value = parse(&field, source)?.render_header(data);
        headers.insert(
            name.clone(),
            value.map_err(|error| RenderError::new(field, error.to_string()))?,
        );
    }
    // What is read stands in its place by name until then.
    for header in &http.headers_from {
        headers.insert(header.name.clone(), header.value_from.to_string());
    }
    let body = match &http.body {
        None => http.body_from.as_ref().map(ToString::to_string),
        Some(source) => {
            let body = parse("http.body", source)?.render_body(data);
            Some(body.map_err(|error| RenderError::new("http.body", error.to_string()))?)
        }
    };
    let ca_bundle = http
        .ca_bundle
        .as_ref()
        .map(|source| plain("http.caBundle", source, data))
        .transpose()?;
    Ok(HttpCall {
        url: url.trim().to_owned(),
        method: plain("http.method", &http.method, data)?
            .trim()
            .to_ascii_uppercase(),
        headers,
        body,
        success_codes: http.success_codes.clone(),
        follow_redirects: http.follow_redirects,
        ca_bundle,
        insecure_skip_verify: http.insecure_skip_verify,
        keep_body,
        timeout,
        sealed: None,
    })
}

/// The name and namespace of the Job of attempt `attempt` under `identity`.
fn job_target(
    snapshot: &Snapshot,
    job: &Job,
    data: &Value,
    identity: &EffectIdentity,
    attempt: u32,
) -> Result<(String, String), RenderError> {
    let namespace = match &job.namespace {
        None => snapshot.namespace.clone(),
        Some(source) => match plain("job.namespace", source, data)?.trim() {
            "" => snapshot.namespace.clone(),
            namespace => namespace.to_owned(),
        },
    };
    let name = match &job.name {
        JobName::Fixed(source) => job_name::fixed(plain("job.name", source, data)?.trim(), attempt),
        JobName::Prefix(source) => {
            let prefix = plain("job.generateName", source, data)?;
            job_name::generated(prefix.trim(), &identity.execution_uid, &identity.path, attempt)
        }
    };
    Ok((name, namespace))
}

fn job_creation(
    run: &Run,
    job: &Job,
    data: &Value,
    at: ActionIndex,
    attempt: u32,
    deadline: Time,
    recorded: Option<&ObjectRef>,
) -> Result<JobCreation, RenderError> {
    let snapshot = &run.snapshot;
    let identity = run.identity(at);
    let (name, namespace) = match recorded {
        Some(ObjectRef {
            name,
            namespace: Some(namespace),
            ..
        }) => (name.clone(), namespace.clone()),
        Some(ObjectRef { namespace: None, .. }) | None => {
            job_target(snapshot, job, data, &identity, attempt)?
        }
    };
    let strings = |field: &str, map: &BTreeMap<String, String>| {
        let rendered = map.iter().map(|(key, source)| {
            Ok((
                key.clone(),
                Json::String(plain(&format!("{field}.{key}"), source, data)?),
            ))
        });
        rendered.collect::<Result<serde_json::Map<_, _>, RenderError>>()
    };
    let mut object_labels = strings("job.template.metadata.labels", &job.labels)?;
    object_labels.insert(labels::EXECUTION.into(), snapshot.execution.clone().into());
    object_labels.insert(labels::PLAN.into(), snapshot.plan.clone().into());
    object_labels.insert(labels::PLAN_NAMESPACE.into(), snapshot.namespace.clone().into());
    let mut annotations = strings("job.template.metadata.annotations", &job.annotations)?;
    annotations.insert(labels::EXECUTION_UID.into(), identity.execution_uid.into());
    annotations.insert(labels::ACTION_PATH.into(), identity.path.as_str().into());
    annotations.insert(labels::ATTEMPT.into(), attempt.to_string().into());
    let manifest = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace, "labels": object_labels, "annotations": annotations},
        "spec": fields::render_job_spec(&job.spec, data)?,
    });
    let target = ObjectRef {
        name,
        namespace: Some(namespace),
        ..ObjectRef::default()
    };
    let (field_manager, _) = field_manager(&snapshot.namespace, &snapshot.plan, &run.path(at));
    Ok(JobCreation {
        field_manager,
        target,
        manifest,
        deadline,
    })
}
