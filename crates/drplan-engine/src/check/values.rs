//! Problems inside a workflow that the values of a run reveal.

use drplan_api::{
    GoDuration, Problem, ProblemKind, Problems, Severity, Time,
    canonical::{Doing, Parameter, Work},
    limits::{RETRIES_MAX, TIMEOUT_SECONDS_MAX},
    names::{HTTP_METHODS, is_dns_label},
    status::DRPlanExecutionStatus,
};
use drplan_template::{Template, Value};

use super::{sealed_problem, template_problem};
use crate::{
    data::data,
    fields,
    kept::{Facts, Kept},
    object_render::render_object,
    run::Run,
    sealed::SealedParameters,
    texts::{Place, Text, texts},
};

/// Problems that the values of a run reveal: numbers and durations that are none, names and namespaces that cannot
/// be, and texts that would not render. The latter are errors where an execution supplies the values: it would fail
/// there for sure, and better before its first effect. A plan alone is warned, as executions may supply others.
pub(crate) fn check_values(run: &Run, served_namespaces: Option<&[String]>, problems: &mut Problems) {
    let is_execution = !run.snapshot.execution_uid.is_empty();
    // Only what outputs do not decide is known now; the record is empty, so they are not there.
    let (status, kept) = (DRPlanExecutionStatus::default(), Kept::new());
    let facts = Facts {
        run,
        status: &status,
        kept: &kept,
    };
    for at in run.graph.actions() {
        let used = run.workflow(at);
        let object = format!(
            "DRWorkflow {}/{} as spec.stages[{}].workflows[{}]",
            used.namespace, used.name, at.stage, at.workflow
        );
        let data = data(facts, at, Time::from_millis(0));
        let action = run.action(at);
        let sealed = run.sealed_parameters(at);
        let doings = [
            ("", Some(&action.doing), is_execution),
            // A rollback that would not render is no reason to refuse a failover.
            (".rollback", action.rollback.as_ref(), false),
        ];
        for (below, doing, is_fatal) in doings {
            let values = Values {
                data: &data,
                sealed: &sealed,
                parameters: &used.spec.parameters,
                namespace: &run.snapshot.namespace,
                served: served_namespaces,
                unrenderable: if is_fatal {
                    Severity::Error
                } else {
                    Severity::Warning
                },
                at: format!("spec.actions[{}]{below}", at.action),
            };
            let found = doing.into_iter().flat_map(|doing| values.check(doing));
            problems.extend(found.map(|problem| problem.of(&object)));
        }
    }
}

/// The values of one use of a workflow.
struct Values<'a> {
    data: &'a Value,
    /// The parameters whose values are not among them.
    sealed: &'a SealedParameters,
    /// All that the workflow declares.
    parameters: &'a [Parameter],
    /// Of the plan.
    namespace: &'a str,
    served: Option<&'a [String]>,
    /// How bad a text is that does not render to what it must be.
    unrenderable: Severity,
    /// The field of the action or rollback.
    at: String,
}

impl Values<'_> {
    fn check(&self, doing: &Doing) -> Problems {
        let misused = self.sealed.misused(doing).into_iter();
        let misused = misused.chain(self.sealed.mislanded(doing, self.namespace, self.data));
        let sealed = misused.map(|(field, message)| sealed_problem(format!("{}.{field}", self.at), message));
        let mut found: Problems = sealed.collect();
        if !found.is_empty() {
            return found;
        }
        for name in self.sealed.host_chosen_by(doing, self.parameters) {
            let message = format!(
                "takes its host from parameter `{name}`, which an execution may set, so whoever runs the plan chooses where \
                 values of Secrets are sent; write overridable: false at the parameter"
            );
            let path = format!("{}.http.url", self.at);
            found.push(Problem::warning(path, ProblemKind::Note { message }));
        }
        let texts = texts(doing);
        found.extend(texts.iter().filter_map(|text| self.check_text(text)));
        // Types and the shape of an object are seen in the whole alone.
        if found.is_empty() && !texts.iter().any(depends_on_outputs) {
            let whole = match &doing.work {
                Work::Http(_) => Ok(()),
                Work::Job(job) => fields::render_job_spec(&job.spec, self.data).map(drop),
                Work::Localization(_) | Work::Subscription(_) | Work::KubernetesResource(_) => {
                    render_object(&doing.work, self.namespace, self.data).map(drop)
                }
            };
            found.extend(
                whole
                    .err()
                    .map(|error| self.unrenderable(&error.field, error.message)),
            );
        }
        found
    }

    fn check_text(&self, text: &Text) -> Option<Problem> {
        if depends_on_outputs(text) {
            return None;
        }
        let template = Template::parse(&text.source).ok()?;
        let rendered = match text.place {
            Place::Url => template.render_url_encoding(self.data, &|name| self.sealed.has(name)),
            Place::Header => template.render_header(self.data),
            Place::Body => template.render_body(self.data),
            Place::Yaml => template.render_yaml(self.data),
            Place::Plain | Place::Field | Place::Duration | Place::Integer | Place::Number => {
                template.render_text(self.data)
            }
        };
        match rendered {
            Ok(rendered) => self.check_rendered(text, rendered.trim()),
            Err(error) => {
                let message = format!("would not render with the values of this plan: {error}");
                Some(self.unrenderable(&text.field, message))
            }
        }
    }

    fn check_rendered(&self, text: &Text, rendered: &str) -> Option<Problem> {
        let wrong = |expected: &str| {
            let path = format!("{}.{}", self.at, text.field);
            Some(template_problem(
                path,
                format!("renders to what is not {expected}"),
            ))
        };
        let unrenderable = |expected: &str| {
            Some(self.unrenderable(&text.field, format!("renders to what is not {expected}")))
        };
        match (text.place, text.field.as_str()) {
            (Place::Duration, field) => match rendered.parse::<GoDuration>() {
                Ok(duration) if duration > GoDuration::from_secs(TIMEOUT_SECONDS_MAX) => wrong("at most 24h"),
                Ok(_) => None,
                Err(source) => {
                    let path = format!("{}.{field}", self.at);
                    Some(Problem::error(path, ProblemKind::Duration { source }))
                }
            },
            (Place::Integer, "retryPolicy.limit") => match rendered.parse::<u32>() {
                Ok(limit) if limit <= RETRIES_MAX => None,
                Ok(_) | Err(_) => wrong(&format!("a whole number from 0 to {RETRIES_MAX}")),
            },
            (Place::Integer, _) if rendered.parse::<i32>().is_err() => wrong("a whole number"),
            (Place::Number, _) => match rendered.parse::<f64>() {
                Ok(number) if number.is_finite() && number >= 1.0 => None,
                Ok(_) | Err(_) => wrong("a number of 1 or more"),
            },
            (Place::Plain, "job.namespace" | "localization.namespace" | "subscription.namespace")
                if rendered.is_empty() =>
            {
                None
            }
            (Place::Plain, "job.namespace")
                if self
                    .served
                    .is_some_and(|served| !served.iter().any(|one| one == rendered)) =>
            {
                let namespace = rendered.to_owned();
                let path = format!("{}.job.namespace", self.at);
                Some(Problem::error(
                    path,
                    ProblemKind::NamespaceNotServed { namespace },
                ))
            }
            (Place::Plain, "job.namespace" | "localization.namespace" | "subscription.namespace")
                if !is_dns_label(rendered) =>
            {
                wrong("a namespace: lower-case letters, digits and -")
            }
            (Place::Plain, "job.name") if !is_dns_label(rendered) => {
                unrenderable("a name: lower-case letters, digits and -, at most 63")
            }
            (Place::Plain, "job.generateName")
                if !rendered.is_empty() && !is_dns_label(rendered.trim_end_matches('-')) =>
            {
                unrenderable("the beginning of a name: lower-case letters, digits and -")
            }
            (Place::Plain, "http.method")
                if !HTTP_METHODS.contains(&rendered.to_ascii_uppercase().as_str()) =>
            {
                unrenderable(&format!("one of {}", HTTP_METHODS.join(", ")))
            }
            (Place::Url, _)
                if !["http://", "https://"]
                    .iter()
                    .any(|start| rendered.starts_with(start)) =>
            {
                unrenderable("a URL that can be called, http://… or https://…")
            }
            (
                Place::Plain
                | Place::Url
                | Place::Header
                | Place::Body
                | Place::Yaml
                | Place::Field
                | Place::Integer,
                _,
            ) => None,
        }
    }

    fn unrenderable(&self, field: &str, message: String) -> Problem {
        Problem {
            severity: self.unrenderable,
            ..template_problem(format!("{}.{field}", self.at), message)
        }
    }
}

/// Whether what a text renders to may depend on outputs, so that nothing can be told before the run.
fn depends_on_outputs(text: &Text) -> bool {
    let Ok(template) = Template::parse(&text.source) else {
        return true;
    };
    let references = template.references();
    !references.outputs.is_empty()
        || references.outputs_dynamic.is_some()
        || references.root_dynamic.is_some()
}
