//! The objects of our kinds in the files, each read as the operator reads it.

use drplan_api::{
    GROUP, Problem, ProblemKind, Problems, VERSION,
    canonical::{Plan, Request, Workflow},
    problem::any_error,
    unknown_fields,
};
use drplan_engine::{Reading, read_execution, read_plan, read_workflow};
use serde_json::Value;

use super::yaml::Yaml;

/// An object of one of the three kinds.
#[derive(Debug)]
pub(crate) struct Object {
    /// The file it stands in, by its index.
    pub(crate) file: usize,
    /// As written, every place counted from the beginning of the file.
    pub(crate) yaml: Yaml,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name; empty if it has none.
    pub(crate) name: String,
    /// What it is.
    pub(crate) body: Body,
    /// What the object itself shows to be wrong.
    pub(crate) problems: Problems,
}

/// The canonical form of an object; none if there is none.
#[derive(Debug)]
pub(crate) enum Body {
    /// A DRWorkflow; none also if it has problems inside.
    Workflow(Option<Workflow>),
    /// A DRPlan, as far as it can be read.
    Plan(Reading<Plan>),
    /// A DRPlanExecution.
    Execution(Option<Request>),
}

/// The three kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Workflow,
    Plan,
    Execution,
}

impl Kind {
    /// As written in manifests.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Workflow => "DRWorkflow",
            Self::Plan => "DRPlan",
            Self::Execution => "DRPlanExecution",
        }
    }
}

impl Object {
    /// Its kind.
    pub(crate) fn kind(&self) -> Kind {
        match self.body {
            Body::Workflow(_) => Kind::Workflow,
            Body::Plan(_) => Kind::Plan,
            Body::Execution(_) => Kind::Execution,
        }
    }

    /// Kind, namespace and name in one.
    pub(crate) fn label(&self) -> String {
        format!("{} {}/{}", self.kind().as_str(), self.namespace, self.name)
    }

    /// Whether `kind` and this name stand for it.
    pub(crate) fn is(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        self.kind() == kind && self.namespace == namespace && self.name == name
    }
}

/// What a document holds.
#[derive(Debug)]
pub(crate) enum Found {
    /// One of ours.
    Ours(Box<Object>),
    /// A manifest of something else.
    Foreign,
    /// No manifest that anything could take.
    Nothing(Problems),
}

/// Reads the manifest `yaml`, which stands in the `file`-th file, in `namespace` unless it names one itself.
pub(crate) fn read(file: usize, yaml: Yaml, namespace: &str) -> Found {
    let value = yaml.to_json();
    let text = |field: &str| {
        value
            .get(field)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let (group, version) = match text("apiVersion").map(|written| written.split_once('/')) {
        Some(Some((group, version))) => (Some(group), version),
        Some(None) => return Found::Foreign,
        None => (None, VERSION),
    };
    let mut problems = Problems::new();
    if group.is_none() {
        problems.push(missing("apiVersion", format!("write `{GROUP}/{VERSION}`")));
    } else if group != Some(GROUP) {
        return Found::Foreign;
    }
    let kind = match text("kind") {
        Some("DRWorkflow") => Kind::Workflow,
        Some("DRPlan") => Kind::Plan,
        Some("DRPlanExecution") => Kind::Execution,
        other => {
            let expected = "DRWorkflow, DRPlan or DRPlanExecution".to_owned();
            problems.push(match other {
                None => missing("kind", format!("write {expected}")),
                Some(found) => unknown("kind", found, expected),
            });
            // Without group or kind of ours it may be anything; that it is no manifest is all that is known.
            return Found::Nothing(problems);
        }
    };
    if version != VERSION {
        problems.push(unknown("apiVersion", version, format!("`{GROUP}/{VERSION}`")));
    }
    let metadata = |field: &str| {
        let metadata = value.get("metadata")?;
        metadata.get(field)?.as_str().filter(|text| !text.is_empty())
    };
    let generated = metadata("generateName").is_some();
    let name = metadata("name").unwrap_or_default().to_owned();
    if name.is_empty() && !generated {
        problems.push(missing("metadata.name", "write the object's name".to_owned()));
    }
    let namespace = metadata("namespace").unwrap_or(namespace).to_owned();
    problems.extend(unknown_fields(&value));
    let spec = value.get("spec").cloned().unwrap_or_default();
    let body = match kind {
        Kind::Workflow => {
            let reading = read_workflow(spec);
            let is_sound = reading.is_whole() && !any_error(&reading.problems);
            problems.extend(reading.problems);
            Body::Workflow(reading.value.filter(|_| is_sound))
        }
        Kind::Plan => {
            let reading = read_plan(spec, &namespace);
            problems.extend_from_slice(&reading.problems);
            Body::Plan(reading)
        }
        Kind::Execution => {
            let known = Some(name.as_str()).filter(|name| !name.is_empty());
            let reading = read_execution(spec, &namespace, known);
            let is_whole = reading.is_whole();
            problems.extend(reading.problems);
            Body::Execution(reading.value.filter(|_| is_whole))
        }
    };
    Found::Ours(Box::new(Object {
        file,
        yaml,
        namespace,
        name,
        body,
        problems,
    }))
}

fn missing(path: &str, remedy: String) -> Problem {
    Problem::error(path, ProblemKind::Missing { remedy })
}

fn unknown(path: &str, found: &str, expected: String) -> Problem {
    let found = found.to_owned();
    Problem::error(path, ProblemKind::UnknownValue { found, expected })
}
