//! Finds everything that is wrong in manifests, without a cluster.
//!
//! The rules are the operator's: unknown fields, shapes, normalisation, what is inside workflows, plans compiled with
//! the workflows of the same files, executions with the plans. What is added is YAML's own: text that is no YAML,
//! repeated keys, and values that YAML reads as something else than what seems to be written, also in the manifests of
//! actions.

mod files;
mod locate;
mod manifests;
mod objects;
mod report;
mod surprises;
mod together;
mod yaml;

use std::{collections::BTreeMap, ops::Range};

use drplan_api::{
    Problem, ProblemKind, Severity,
    canonical::{Plan, Workflow},
};

pub use self::{
    files::SourceFile,
    report::{json, text},
};
use self::{
    objects::{Body, Found, Kind, Object},
    yaml::{Node, Yaml},
};
pub(crate) use files::read as read_files;

/// Something to tell about a place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, by its index.
    pub file: usize,
    /// Where, in bytes.
    pub span: Range<usize>,
    /// How bad it is.
    pub severity: Severity,
    /// The object: `DRPlan default/shop`.
    pub object: Option<String>,
    /// The field: `spec.actions[1].http.url`; empty for a whole object, and for what is no YAML.
    pub path: String,
    /// What it is, and what to write instead.
    pub message: String,
    /// Where the object is used, if only that use shows it.
    pub used_by: Option<String>,
}

/// What a check has found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// In the order of files and places.
    pub findings: Vec<Finding>,
    /// How many DRWorkflows, DRPlans and DRPlanExecutions there are.
    pub objects: [usize; 3],
    /// How many objects of other kinds were passed over.
    pub foreign: usize,
}

impl Checked {
    /// How many findings are of that severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    }
}

/// Checks `files` together. Objects that name no namespace are in `namespace`.
pub fn check(files: &[SourceFile], namespace: &str) -> Checked {
    let mut checked = Checked::default();
    let mut objects = Vec::new();
    for (index, file) in files.iter().enumerate() {
        read_file(index, file, namespace, &mut objects, &mut checked);
    }
    for object in &objects {
        checked.objects[match object.kind() {
            Kind::Workflow => 0,
            Kind::Plan => 1,
            Kind::Execution => 2,
        }] += 1;
    }
    let mut found: Vec<together::Placed> = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        found.extend(object.problems.iter().map(|problem| (index, problem.clone())));
        found.extend(surprises::surprises(&files[object.file].text, &objects, index));
        found.extend(
            manifests::surprises(object)
                .into_iter()
                .map(|problem| (index, problem)),
        );
    }
    found.extend(together::check(&objects));
    let placed = found
        .into_iter()
        .map(|(index, problem)| finding(files, &objects[index], problem));
    checked.findings.extend(placed);
    checked.findings = in_order(checked.findings);
    checked
}

/// Something by its namespace and name.
pub(crate) type Named<T> = BTreeMap<(String, String), T>;

/// The plans and workflows of `files` that can be used; of those written twice the last.
pub(crate) fn plans_and_workflows(files: &[SourceFile], namespace: &str) -> (Named<Plan>, Named<Workflow>) {
    let mut objects = Vec::new();
    for (index, file) in files.iter().enumerate() {
        read_file(index, file, namespace, &mut objects, &mut Checked::default());
    }
    let (mut plans, mut workflows) = (BTreeMap::new(), BTreeMap::new());
    for object in objects {
        let key = (object.namespace, object.name);
        match object.body {
            Body::Plan(reading) => {
                let is_whole = reading.is_whole();
                if let Some(plan) = reading.value.filter(|_| is_whole) {
                    plans.insert(key, plan);
                }
            }
            Body::Workflow(Some(workflow)) => drop(workflows.insert(key, workflow)),
            Body::Workflow(None) | Body::Execution(_) => {}
        }
    }
    (plans, workflows)
}

fn read_file(
    index: usize,
    file: &SourceFile,
    namespace: &str,
    objects: &mut Vec<Object>,
    checked: &mut Checked,
) {
    if let Some(at) = file.not_utf8 {
        let message = "is no UTF-8; save the file in that encoding".to_owned();
        checked.findings.push(of_yaml(index, at..at, message));
    }
    for range in files::documents(&file.text) {
        let text = &file.text[range.clone()];
        match yaml::read(text) {
            Err(mut error) => {
                yaml::shift(&mut error.span, range.start);
                checked.findings.push(of_yaml(index, error.span, error.message));
            }
            Ok(mut root) => {
                for mut repeated in yaml::repeated_keys(text, &root) {
                    yaml::shift(&mut repeated.span, range.start);
                    checked
                        .findings
                        .push(of_yaml(index, repeated.span, repeated.message));
                }
                root.shift(range.start);
                for manifest in manifests(root) {
                    take(index, file, manifest, namespace, objects, checked);
                }
            }
        }
    }
}

fn of_yaml(file: usize, span: Range<usize>, message: String) -> Finding {
    Finding {
        file,
        span,
        severity: Severity::Error,
        object: None,
        path: String::new(),
        message,
        used_by: None,
    }
}

/// The manifest, or those of a `List`.
fn manifests(root: Yaml) -> Vec<Yaml> {
    let is_list = root.get("kind").and_then(Yaml::text) == Some("List")
        && root.get("apiVersion").and_then(Yaml::text) == Some("v1");
    if is_list && let Some(items) = root.get("items") {
        return items.items().to_vec();
    }
    if matches!(&root.node, Node::Scalar(serde_json::Value::Null)) {
        return Vec::new();
    }
    vec![root]
}

fn take(
    index: usize,
    file: &SourceFile,
    manifest: Yaml,
    namespace: &str,
    objects: &mut Vec<Object>,
    checked: &mut Checked,
) {
    if !matches!(manifest.node, Node::Object(_)) {
        let span = locate::span_of(&file.text, &manifest, "");
        let message = "is no manifest; write an object with apiVersion, kind, metadata and spec";
        checked.findings.push(of_yaml(index, span, message.to_owned()));
        return;
    }
    match objects::read(index, manifest.clone(), namespace) {
        Found::Ours(object) => objects.push(*object),
        Found::Foreign => checked.foreign += 1,
        Found::Nothing(problems) => {
            for problem in problems {
                let (span, _) = locate::locate(&file.text, &manifest, &problem);
                checked.findings.push(Finding {
                    path: problem.path.clone(),
                    ..of_yaml(index, span, problem.kind.to_string())
                });
            }
        }
    }
}

fn finding(files: &[SourceFile], object: &Object, problem: Problem) -> Finding {
    let text = &files[object.file].text;
    let (span, is_in_template) = locate::locate(text, &object.yaml, &problem);
    let mut message = problem.kind.to_string();
    if is_in_template {
        message = without_place(&message);
    }
    let written = text.get(span.clone()).unwrap_or_default();
    // `name: n` says false; what was meant is told best by showing it.
    if let ProblemKind::WrongShape { found, expected } = &problem.kind
        && expected == "text"
        && ["true or false", "a number", "null"].contains(&found.as_str())
        && !written.is_empty()
    {
        message.push_str(&format!(" in quotes: \"{written}\""));
    }
    Finding {
        file: object.file,
        span,
        severity: problem.severity,
        object: Some(object.label()),
        message,
        path: problem.path,
        used_by: problem.object,
    }
}

/// `message` without the line and column in a template: the place in the file is told beside it.
fn without_place(message: &str) -> String {
    let Some((before, rest)) = message.split_once("line ") else {
        return message.to_owned();
    };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let Some(rest) = rest.strip_prefix(", column ") else {
        return message.to_owned();
    };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    match (
        before.strip_suffix(" ("),
        rest.strip_prefix(')'),
        rest.strip_prefix(": "),
    ) {
        (Some(before), Some(rest), _) => format!("{before}{rest}"),
        (None, _, Some(rest)) => format!("{before}{rest}"),
        (_, _, _) => message.to_owned(),
    }
}

/// Sorted by place; of findings that differ in nothing but the use that shows them the first, with a count.
fn in_order(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| (finding.file, finding.span.start));
    let mut kept: Vec<(Finding, usize)> = Vec::new();
    for finding in findings {
        let same = |(other, _): &&mut (Finding, usize)| {
            let used_by = other.used_by.clone();
            Finding {
                used_by,
                ..finding.clone()
            } == *other
        };
        // What is the same stands at the same place.
        match kept.iter_mut().rev().take(50).find(same) {
            Some((_, more)) => *more += 1,
            None => kept.push((finding, 0)),
        }
    }
    let counted = kept.into_iter().map(|(mut finding, more)| {
        if let (Some(used_by), 1..) = (&mut finding.used_by, more) {
            used_by.push_str(&format!(", and {more} more"));
        }
        finding
    });
    counted.collect()
}
