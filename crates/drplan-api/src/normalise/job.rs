//! The block `job`: one canonical JobSpec from a Pod template or a Job template.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    AnyShape, action as written,
    any_shape::shape_name,
    canonical::{Deferred, Job, JobName, RetryPolicy},
    normalise::{
        report::{Place, Report},
        scalar::{self, bad_name, is_template, text, whole},
    },
};

/// The Job that `written` describes, in the action `action`.
pub(super) fn job(
    report: &mut Report,
    at: &Place,
    written: &written::Job,
    action: &str,
    retry: Option<&RetryPolicy>,
) -> Option<Job> {
    let template = template(report, &at.field("template"), written.template.as_ref());
    // Without a template the fields beside it are checked all the same.
    let Template {
        metadata,
        mut spec,
        is_job,
    } = template.clone().unwrap_or_default();
    let metadata = if is_job { metadata } else { Metadata::default() };
    let namespace = [
        ("namespace", text(written.namespace.as_ref())),
        ("template.metadata.namespace", metadata.namespace.as_deref()),
    ];
    let namespace = agreed_text(report, at, namespace);
    let namespace = scalar::namespace(report, &at.field("namespace"), namespace.as_ref(), true);
    let name = name(report, at, written, &metadata, action, retry);
    let mut both = |field: &'static str, written: Option<&AnyShape>| {
        let inside = spec.remove(field).map(AnyShape);
        let inside_path = format!("template.spec.{field}");
        let inside_at = inside_path
            .split('.')
            .fold(at.clone(), |at, field| at.field(field));
        let range = (0, i64::from(i32::MAX));
        let read = [
            (
                field.to_owned(),
                whole(report, &at.field(field), written, "the number", range),
            ),
            (
                inside_path,
                whole(report, &inside_at, inside.as_ref(), "the number", range),
            ),
        ];
        report.agreed(at, read)
    };
    let backoff_limit = both("backoffLimit", written.backoff_limit.as_ref());
    let ttl = both(
        "ttlSecondsAfterFinished",
        written.ttl_seconds_after_finished.as_ref(),
    );
    match backoff_limit {
        Some(Deferred::Value(limit)) => spec.insert("backoffLimit".to_owned(), json!(limit)),
        Some(Deferred::Template(limit)) => spec.insert("backoffLimit".to_owned(), json!(limit)),
        None => None,
    };
    template?;
    Some(Job {
        namespace,
        name: name?,
        labels: metadata.labels,
        annotations: metadata.annotations,
        spec: Value::Object(spec),
        ttl_seconds_after_finished: ttl.map(|ttl| match ttl {
            Deferred::Value(seconds) => Deferred::Value(i32::try_from(seconds).unwrap_or(i32::MAX)),
            Deferred::Template(template) => Deferred::Template(template),
        }),
    })
}

/// Where the Job's name comes from.
fn name(
    report: &mut Report,
    at: &Place,
    written: &written::Job,
    metadata: &Metadata,
    action: &str,
    retry: Option<&RetryPolicy>,
) -> Option<JobName> {
    let fixed = [
        ("name", text(written.name.as_ref())),
        ("template.metadata.name", metadata.name.as_deref()),
    ];
    let fixed = agreed_text(report, at, fixed);
    let prefix = [
        ("generateName", text(written.generate_name.as_ref())),
        (
            "template.metadata.generateName",
            metadata.generate_name.as_deref(),
        ),
    ];
    let prefix = agreed_text(report, at, prefix);
    match (fixed, prefix) {
        (Some(_), Some(_)) => {
            let remedy = "keep `name` for a name of your own, or `generateName` for a new name in every run";
            report.exclusive(at, "name", "generateName", remedy);
            None
        }
        (Some(name), None) => fixed_name(report, &at.field("name"), name, retry),
        (None, Some(prefix)) => {
            let at = at.field("generateName");
            if !is_template(&prefix) && !is_prefix(&prefix) {
                bad_name(
                    report,
                    &at,
                    &prefix,
                    "lower-case letters, digits, - and ., beginning with a letter or digit",
                );
                return None;
            }
            Some(JobName::Prefix(prefix))
        }
        (None, None) => Some(JobName::Prefix(format!("{action}-"))),
    }
}

fn fixed_name(report: &mut Report, at: &Place, name: String, retry: Option<&RetryPolicy>) -> Option<JobName> {
    /// Pods carry the Job's name as a label.
    const JOB_NAME_MAX: usize = 63;
    let name = scalar::object_name(report, at, Some(&name), true, "")?;
    if is_template(&name) {
        return Some(JobName::Fixed(name));
    }
    let suffix = match retry.map(|retry| &retry.limit) {
        Some(Deferred::Value(limit)) if *limit > 0 => format!("-{}", limit + 1).len(),
        Some(Deferred::Value(_) | Deferred::Template(_)) | None => 0,
    };
    report.bound(
        at,
        "the number of characters of the name (with the -2, -3 of its retries)",
        name.len() + suffix,
        JOB_NAME_MAX,
        "choose a shorter name",
    );
    Some(JobName::Fixed(name))
}

fn is_prefix(prefix: &str) -> bool {
    prefix.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && prefix
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
}

/// The text that two places agree on.
fn agreed_text(report: &mut Report, at: &Place, spellings: [(&str, Option<&str>); 2]) -> Option<String> {
    report.agreed(
        at,
        spellings.map(|(path, text)| (path.to_owned(), text.map(str::to_owned))),
    )
}

/// A template, taken apart.
#[derive(Clone, Default)]
struct Template {
    /// Of a Job template: the Job's.
    metadata: Metadata,
    /// The JobSpec.
    spec: Map<String, Value>,
    /// Whether it is a Job template.
    is_job: bool,
}

fn template(report: &mut Report, at: &Place, written: Option<&AnyShape>) -> Option<Template> {
    let Some(written) = written else {
        report.missing(at, "write a Pod template with `metadata` and `spec`");
        return None;
    };
    let outer = object(
        report,
        at,
        Some(&written.0),
        "a Pod template with `metadata` and `spec`",
    )?;
    for key in outer
        .keys()
        .filter(|key| !["apiVersion", "kind", "metadata", "spec", "status"].contains(&key.as_str()))
    {
        let remedy = "a template holds `metadata` and `spec`; put it under `spec`";
        report.note(&at.field(key), format!("is not a field of a template: {remedy}"));
    }
    let spec_at = at.field("spec");
    let spec = object(
        report,
        &spec_at,
        outer.get("spec"),
        "the Pod's spec with `containers`",
    )?;
    let Some(pod) = spec.get("template") else {
        pod_spec(report, &spec_at, spec);
        let mut pod = Map::new();
        if let Some(metadata) = outer.get("metadata").filter(|metadata| !metadata.is_null()) {
            object(
                report,
                &at.field("metadata"),
                Some(metadata),
                "`labels` and `annotations`",
            )?;
            pod.insert("metadata".to_owned(), metadata.clone());
        }
        pod.insert("spec".to_owned(), Value::Object(spec.clone()));
        let mut job_spec = Map::new();
        job_spec.insert("template".to_owned(), Value::Object(pod));
        return Some(Template {
            metadata: Metadata::default(),
            spec: job_spec,
            is_job: false,
        });
    };
    if spec.contains_key("containers") {
        let remedy =
            "`spec.template` makes this a Job template, whose containers are under `spec.template.spec`";
        report.exclusive(&spec_at, "template", "containers", remedy);
    }
    let pod_at = spec_at.field("template");
    let pod = object(
        report,
        &pod_at,
        Some(pod),
        "a Pod template with `metadata` and `spec`",
    )?;
    let inner_at = pod_at.field("spec");
    let inner = object(
        report,
        &inner_at,
        pod.get("spec"),
        "the Pod's spec with `containers`",
    )?;
    pod_spec(report, &inner_at, inner);
    let metadata = metadata(report, &at.field("metadata"), outer.get("metadata"))?;
    Some(Template {
        metadata,
        spec: spec.clone(),
        is_job: true,
    })
}

fn object<'a>(
    report: &mut Report,
    at: &Place,
    value: Option<&'a Value>,
    expected: &str,
) -> Option<&'a Map<String, Value>> {
    match value {
        Some(Value::Object(object)) => Some(object),
        None | Some(Value::Null) => {
            report.missing(at, format!("write {expected}"));
            None
        }
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_))) => {
            report.wrong_shape(at, shape_name(other), expected);
            None
        }
    }
}

/// What Kubernetes asks of a Job's Pod and would tell only when the Job is created.
fn pod_spec(report: &mut Report, at: &Place, spec: &Map<String, Value>) {
    let containers_at = at.field("containers");
    match spec.get("containers") {
        Some(Value::Array(containers)) if !containers.is_empty() => {}
        None | Some(Value::Null | Value::Array(_)) => {
            report.missing(
                &containers_at,
                "write at least one container with `name` and `image`",
            );
        }
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_))) => {
            report.wrong_shape(&containers_at, shape_name(other), "a list of containers");
        }
    }
    let restart_at = at.field("restartPolicy");
    match spec.get("restartPolicy") {
        None | Some(Value::Null) => {
            report.missing(&restart_at, "a Job's Pods need one: write Never or OnFailure");
        }
        Some(Value::String(policy)) if is_template(policy) => {}
        Some(Value::String(policy)) if policy == "Always" => {
            let expected = "Never or OnFailure: the Pods of a Job must end";
            report.wrong_shape(&restart_at, "Always", expected);
        }
        Some(Value::String(policy)) => {
            scalar::choice(
                report,
                &restart_at,
                policy,
                &[("Never", ()), ("OnFailure", ())],
                "Never or OnFailure",
            );
        }
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
            report.wrong_shape(&restart_at, shape_name(other), "Never or OnFailure");
        }
    }
}

/// The metadata of a Job template.
#[derive(Clone, Default)]
struct Metadata {
    name: Option<String>,
    generate_name: Option<String>,
    namespace: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

fn metadata(report: &mut Report, at: &Place, written: Option<&Value>) -> Option<Metadata> {
    let mut read = Metadata::default();
    let Some(written) = written.filter(|metadata| !metadata.is_null()) else {
        return Some(read);
    };
    for (key, value) in object(report, at, Some(written), "`labels` and `annotations`")? {
        let at = at.field(key);
        match (key.as_str(), value) {
            // `kubectl create --dry-run` writes `creationTimestamp: null`.
            (_, Value::Null) => {}
            ("name", Value::String(text)) => read.name = Some(text.clone()),
            ("generateName", Value::String(text)) => read.generate_name = Some(text.clone()),
            ("namespace", Value::String(text)) => read.namespace = Some(text.clone()),
            ("labels", value) => read.labels = texts(report, &at, value)?,
            ("annotations", value) => read.annotations = texts(report, &at, value)?,
            ("name" | "generateName" | "namespace", other) => report.wrong_shape(&at, shape_name(other), "text"),
            _ => report.note(
                &at,
                "is not taken from a Job template; its metadata may hold name, generateName, namespace, labels \
                 and annotations",
            ),
        }
    }
    Some(read)
}

fn texts(report: &mut Report, at: &Place, value: &Value) -> Option<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for (key, value) in object(report, at, Some(value), "names with text values")? {
        match value {
            Value::String(text) => {
                texts.insert(key.clone(), text.clone());
            }
            other
            @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                report.wrong_shape(&at.field(key), shape_name(other), "text, in quotes");
            }
        }
    }
    Some(texts)
}
