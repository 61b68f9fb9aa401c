//! What a user got wrong, or should know: reported all at once, each with its place and what to write instead.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    GROUP, VERSION,
    duration::{DurationError, GoDuration},
    rights::{Account, Grant, Right},
};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// The object is refused, or Invalid.
    Error,
    /// The object works; the user should know.
    Warning,
}

/// One mistake or warning, with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The object it is in, if that is not the object that was asked about: `DRWorkflow shop/mysql`.
    pub object: Option<String>,
    /// The field: `spec.actions[1].http.url`; empty for the whole object.
    pub path: String,
    /// What it is, and what to write instead.
    pub kind: ProblemKind,
}

/// All problems of one object, in the order of its fields.
pub type Problems = Vec<Problem>;

impl Problem {
    /// A mistake at `path`.
    pub fn error(path: impl Into<String>, kind: ProblemKind) -> Self {
        Self {
            severity: Severity::Error,
            object: None,
            path: path.into(),
            kind,
        }
    }

    /// A warning at `path`.
    pub fn warning(path: impl Into<String>, kind: ProblemKind) -> Self {
        Self {
            severity: Severity::Warning,
            object: None,
            path: path.into(),
            kind,
        }
    }

    /// The same problem, said of another object than the one asked about.
    #[must_use]
    pub fn of(mut self, object: &str) -> Self {
        self.object = Some(object.to_owned());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.kind)
    }
}

/// What a problem is. `Display` says what is wrong and what to write instead; it never shows a parameter's value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A field that must be there is not.
    #[error("is missing; {remedy}")]
    Missing {
        /// What to write.
        remedy: String,
    },
    /// A value outside a closed set.
    #[error("`{found}` is not known; write {expected}")]
    UnknownValue {
        /// What was written.
        found: String,
        /// The values that exist, as a sentence part.
        expected: String,
    },
    /// A name that breaks its pattern.
    #[error("`{found}` is not a valid name; write {rule}")]
    BadName {
        /// What was written.
        found: String,
        /// The rule.
        rule: &'static str,
    },
    /// The same name twice where names are unique.
    #[error("`{name}` is used twice (first at {first}); names are unique, choose another")]
    DuplicateName {
        /// The name.
        name: String,
        /// Where it stands first.
        first: String,
    },
    /// Two spellings of one thing with different values.
    #[error("`{one}` and `{other}` are two spellings of one field and differ; keep one of them")]
    SpellingsDiffer {
        /// One field.
        one: String,
        /// The other.
        other: String,
    },
    /// Two fields that exclude each other.
    #[error("`{one}` and `{other}` exclude each other; {remedy}")]
    Exclusive {
        /// One field.
        one: String,
        /// The other.
        other: String,
        /// What to do.
        remedy: String,
    },
    /// A value of the wrong shape.
    #[error("is {found}; write {expected}")]
    WrongShape {
        /// What is there, such as `a list`.
        found: String,
        /// What should be.
        expected: String,
    },
    /// A duration that is none.
    #[error("{source}")]
    Duration {
        /// Why.
        source: DurationError,
    },
    /// A duration beyond its bound.
    #[error("{found} is too long, at most {max} is possible; write a shorter one")]
    TooLong {
        /// What was written.
        found: GoDuration,
        /// The bound.
        max: GoDuration,
    },
    /// A field that is reserved for a later release.
    #[error("is not supported yet; {remedy}")]
    NotSupported {
        /// What to write instead.
        remedy: &'static str,
    },
    /// A Revert that does not say what to undo.
    #[error("is missing; a Revert names the execution to undo. Write:\n{manifest}")]
    RevertWithoutTarget {
        /// What to apply instead.
        manifest: Box<RevertManifest>,
    },
    /// A number or length beyond its bound.
    #[error("{what} is {found}, at most {max} is possible; {remedy}")]
    TooMany {
        /// What was counted, with its unit.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// The bound.
        max: u64,
        /// What to do.
        remedy: &'static str,
    },
    /// A number below its bound.
    #[error("is below {min}; write {min} or more")]
    TooSmall {
        /// The bound.
        min: i64,
    },
    /// A reference to a name that does not exist.
    #[error("{what} `{name}` does not exist{suggestion}")]
    Unknown {
        /// What kind of thing, such as `stage`.
        what: &'static str,
        /// The name.
        name: String,
        /// `; existing: a, b` or what to do, with its leading punctuation.
        suggestion: String,
    },
    /// Stages that wait for each other.
    #[error("stages wait for each other in a circle: {}; take one of these dependsOn out", cycle.join(" -> "))]
    Cycle {
        /// The stages of the circle, the first again at the end.
        cycle: Vec<String>,
    },
    /// A template that does not parse, or uses what does not exist.
    #[error("template: {message}")]
    Template {
        /// What the template crate says, with line and column.
        message: String,
    },
    /// A required parameter without value.
    #[error(
        "parameter `{parameter}` of workflow `{workflow}` is required and has no value; add it to params or globalParams"
    )]
    MissingValue {
        /// The parameter.
        parameter: String,
        /// The workflow, `namespace/name`.
        workflow: String,
    },
    /// A value that does not convert.
    #[error("the value of parameter `{parameter}` is not of its type; write {expected}")]
    NotConvertible {
        /// The parameter.
        parameter: String,
        /// Such as `a whole number`.
        expected: &'static str,
    },
    /// A value for a parameter that no workflow declares.
    #[error("no workflow of this plan declares parameter `{parameter}`; the value is not used")]
    UnusedValue {
        /// The parameter.
        parameter: String,
    },
    /// A value from an execution for a parameter that the workflow keeps to itself.
    #[error(
        "parameter `{parameter}` of workflow `{workflow}` may not be set by an execution (overridable: false); set it in the plan"
    )]
    NotOverridable {
        /// The parameter.
        parameter: String,
        /// The workflow, `namespace/name`.
        workflow: String,
    },
    /// A workflow of another namespace that does not allow it.
    #[error(
        "workflow `{workflow}` does not allow plans of namespace `{namespace}`; add it to its spec.allowedNamespaces or copy the workflow"
    )]
    NamespaceNotAllowed {
        /// The workflow, `namespace/name`.
        workflow: String,
        /// The plan's namespace.
        namespace: String,
    },
    /// A namespace that this operator does not watch.
    #[error(
        "namespace `{namespace}` is outside the namespaces this operator serves; add --namespace {namespace} to it"
    )]
    NamespaceNotServed {
        /// The namespace.
        namespace: String,
    },
    /// An object outside the namespace that a reference may reach.
    #[error("refers to namespace `{namespace}`; {remedy}")]
    ForeignNamespace {
        /// The namespace.
        namespace: String,
        /// What to do.
        remedy: &'static str,
    },
    /// An object whose record could grow past what is stored.
    #[error("{what} could reach {found} bytes, at most {max} are stored; split the plan")]
    RecordTooLarge {
        /// `the snapshot` or `the status`.
        what: &'static str,
        /// The largest it could be.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// Rights that the ServiceAccount of a plan lacks.
    #[error("{}. Grant what the plan needs there:\n{grant}", lacks(.grant, .missing))]
    MissingRights {
        /// Those that are missing.
        missing: Vec<Right>,
        /// All that the plan needs wherever one is missing, so that applying it takes nothing away.
        grant: Box<Grant>,
    },
    /// Anything else worth telling, reason and remedy in one sentence.
    #[error("{message}")]
    Note {
        /// The sentence.
        message: String,
    },
}

/// Rights that a message names; the rest is counted.
const MISSING_NAMED_MAX: usize = 8;
/// Bytes of manifests in one line; for more the line names the command that prints them.
const GRANT_LINE_BYTES_MAX: usize = 3 * 1024;

/// Who lacks what, in one line.
fn lacks(grant: &Grant, missing: &[Right]) -> String {
    let Account { namespace, name } = &grant.account;
    let named: Vec<String> = missing
        .iter()
        .take(MISSING_NAMED_MAX)
        .map(Right::to_string)
        .collect();
    let more = match missing.len().saturating_sub(MISSING_NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "ServiceAccount {namespace}/{name} may not {}{more}",
        named.join(", ")
    )
}

/// The complete manifest of a Revert, for a message. `Display` writes YAML of several lines, `{:#}` the same in one.
#[derive(Clone, Debug, PartialEq)]
pub struct RevertManifest {
    /// The execution's name, where it is known.
    pub name: Option<String>,
    /// Its namespace.
    pub namespace: String,
    /// The plan, where it could be read.
    pub plan: Option<String>,
    /// Whether a Failed or Cancelled execution may be undone.
    pub allow_partial: bool,
}

impl fmt::Display for RevertManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("<name of this execution>");
        let plan = self.plan.as_deref().unwrap_or("<name of the plan>");
        let namespace = &self.namespace;
        let target = "<name of the execution to undo>";
        if f.alternate() {
            let partial = if self.allow_partial {
                ", allowPartial: true"
            } else {
                ""
            };
            return write!(
                f,
                "{{apiVersion: {GROUP}/{VERSION}, kind: DRPlanExecution, \
                 metadata: {{name: {name}, namespace: {namespace}}}, \
                 spec: {{planRef: {plan}, operationType: Revert, revertExecutionRef: {target}{partial}}}}}"
            );
        }
        let partial = if self.allow_partial {
            "\n  allowPartial: true"
        } else {
            ""
        };
        write!(
            f,
            "apiVersion: {GROUP}/{VERSION}\nkind: DRPlanExecution\nmetadata:\n  name: {name}\n  \
             namespace: {namespace}\nspec:\n  planRef: {plan}\n  operationType: Revert\n  \
             revertExecutionRef: {target}{partial}"
        )
    }
}

/// Whether any of `problems` is an error.
pub fn any_error(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}

/// The errors of `problems` in one line, separated by `; `.
pub fn one_line(problems: &[Problem]) -> String {
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    errors.map(line).collect::<Vec<_>>().join("; ")
}

/// `text` with control characters, which may stand in what a problem quotes, escaped as in Rust.
pub fn without_controls(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line
}

/// A problem in one line; a manifest in it is still one that can be copied and applied.
pub fn line(problem: &Problem) -> String {
    let message = if let ProblemKind::RevertWithoutTarget { manifest } = &problem.kind {
        format!("is missing; a Revert names the execution to undo. Write: {manifest:#}")
    } else if let ProblemKind::MissingRights { missing, grant } = &problem.kind {
        let manifests = Some(format!("{grant:#}")).filter(|line| line.len() <= GRANT_LINE_BYTES_MAX);
        let (plan, namespace) = (&grant.plan, &grant.account.namespace);
        let command = format!("kubectl drplan rbac {plan} -n {namespace} | kubectl apply -f -");
        let apply = manifests.map_or_else(String::new, |line| format!(", or apply {line}"));
        format!(
            "{}. Grant what the plan needs: {command}{apply}",
            lacks(grant, missing)
        )
    } else {
        return without_controls(&problem.to_string());
    };
    let kind = ProblemKind::Note { message };
    let flat = Problem {
        kind,
        ..problem.clone()
    };
    without_controls(&flat.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_problem_quotes_breaks_no_line() {
        let found = "GET\r\nX: \u{1b}[31m ü".to_owned();
        let expected = "GET".to_owned();
        let problem = Problem::error("method", ProblemKind::UnknownValue { found, expected });
        assert_eq!(
            one_line(&[problem]),
            "method: `GET\\r\\nX: \\u{1b}[31m ü` is not known; write GET"
        );
    }
}
