//! A Pod template or a Job template, taken apart and checked for what Kubernetes would tell only later.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    AnyShape,
    any_shape::shape_name,
    normalise::{
        report::{Place, Report},
        scalar::{self, is_template},
    },
};

/// A template, taken apart.
#[derive(Clone, Default)]
pub(super) struct Template {
    /// Of a Job template: the Job's.
    pub(super) metadata: Metadata,
    /// The JobSpec.
    pub(super) spec: Map<String, Value>,
    /// Whether it is a Job template.
    pub(super) is_job: bool,
}

/// The template at `at`.
pub(super) fn template(report: &mut Report, at: &Place, written: Option<&AnyShape>) -> Option<Template> {
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
pub(super) struct Metadata {
    pub(super) name: Option<String>,
    pub(super) generate_name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
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
