//! Problems inside a workflow that its text alone shows.

mod own_key;
mod values;

use drplan_api::{
    Problem, ProblemKind, Problems,
    canonical::{Action, Doing, Job, JobName, Work, Workflow},
    names::is_dns_label,
};
use drplan_template::Template;
use serde_json::Value as Json;

use crate::{
    data::{FIELDS, OUTPUT_FIELDS},
    parameters::convert,
    sealed::SealedParameters,
    texts::texts,
};

pub(crate) use values::check_values;

/// The problems of a workflow that its text alone shows.
pub fn check_workflow(workflow: &Workflow) -> Problems {
    let mut problems = Problems::new();
    for (index, parameter) in workflow.parameters.iter().enumerate() {
        if let Some(Err(kind)) = parameter
            .default
            .as_ref()
            .map(|default| convert(parameter, default))
        {
            problems.push(Problem::error(format!("spec.parameters[{index}].default"), kind));
        }
    }
    let sealed = SealedParameters::declared(&workflow.parameters);
    for (index, action) in workflow.actions.iter().enumerate() {
        let at = format!("spec.actions[{index}]");
        let doings = [("", Some(&action.doing)), (".rollback", action.rollback.as_ref())];
        for (below, doing) in doings {
            let misused = doing.into_iter().flat_map(|doing| sealed.misused(doing));
            problems.extend(
                misused.map(|(field, message)| sealed_problem(format!("{at}{below}.{field}"), message)),
            );
        }
        check_doing(
            workflow,
            &workflow.actions[..index],
            &action.doing,
            &at,
            &mut problems,
        );
        if let Some(rollback) = &action.rollback {
            let at = format!("{at}.rollback");
            check_doing(
                workflow,
                &workflow.actions[..=index],
                rollback,
                &at,
                &mut problems,
            );
        }
    }
    problems
}

fn check_doing(workflow: &Workflow, earlier: &[Action], doing: &Doing, at: &str, problems: &mut Problems) {
    for text in texts(doing) {
        let path = format!("{at}.{}", text.field);
        match Template::parse(&text.source) {
            Err(error) => problems.push(template_problem(path, error.to_string())),
            Ok(template) => check_references(workflow, earlier, &template, &path, problems),
        }
    }
    match &doing.work {
        Work::Http(http) => {
            let starts_well = ["http://", "https://", "{{"]
                .iter()
                .any(|start| http.url.trim_start().starts_with(start));
            if !starts_well {
                let message = "is not a URL that can be called; write http://… or https://…".to_owned();
                problems.push(Problem::error(
                    format!("{at}.http.url"),
                    ProblemKind::Note { message },
                ));
            }
            own_key::check(http, at, problems);
        }
        Work::Job(job) => check_job(job, at, problems),
        Work::Localization(_) | Work::Subscription(_) | Work::KubernetesResource(_) => {}
    }
}

fn check_job(job: &Job, at: &str, problems: &mut Problems) {
    let (field, name) = match &job.name {
        JobName::Fixed(name) => ("name", name),
        JobName::Prefix(prefix) => ("generateName", prefix),
    };
    let literal = !name.contains("{{");
    if literal && !is_dns_label(name.trim_end_matches('-')) {
        let rule = "lower-case letters, digits and -, at most 63, not starting with -";
        problems.push(Problem::error(
            format!("{at}.job.{field}"),
            ProblemKind::BadName {
                found: name.clone(),
                rule,
            },
        ));
    }
    let pod = job.spec.get("template").and_then(|template| template.get("spec"));
    let containers = pod.and_then(|pod| pod.get("containers")).and_then(Json::as_array);
    if containers.is_none_or(Vec::is_empty) {
        let remedy = "list at least one container with name and image".to_owned();
        problems.push(Problem::error(
            format!("{at}.job.template.spec.containers"),
            ProblemKind::Missing { remedy },
        ));
    }
    let policy = pod
        .and_then(|pod| pod.get("restartPolicy"))
        .and_then(Json::as_str);
    if !matches!(policy, Some("Never" | "OnFailure")) && !policy.is_some_and(|policy| policy.contains("{{")) {
        let expected = "Never or OnFailure, the two that a Job takes".to_owned();
        let kind = match policy {
            None => ProblemKind::Missing {
                remedy: format!("write {expected}"),
            },
            Some(found) => ProblemKind::UnknownValue {
                found: found.to_owned(),
                expected,
            },
        };
        problems.push(Problem::error(
            format!("{at}.job.template.spec.restartPolicy"),
            kind,
        ));
    }
    for (index, container) in containers.into_iter().flatten().enumerate() {
        if passes_parameter_to_shell(container) {
            let message =
                "a parameter lands inside the text of a shell script, where its value is not quoted; \
                           pass it as an environment variable or argument and use \"$NAME\""
                    .to_owned();
            let path = format!("{at}.job.template.spec.containers[{index}]");
            problems.push(Problem::warning(path, ProblemKind::Note { message }));
        }
    }
}

/// Whether a container runs `sh -c` (or alike) on a text with a parameter in it.
fn passes_parameter_to_shell(container: &Json) -> bool {
    let words = |field: &str| {
        container
            .get(field)
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
    };
    let all: Vec<&str> = words("command").chain(words("args")).collect();
    let shell = all
        .first()
        .is_some_and(|first| first.rsplit('/').next().is_some_and(|name| name.ends_with("sh")));
    let script = all
        .iter()
        .position(|word| word.starts_with('-') && word.ends_with('c'))
        .and_then(|flag| all.get(flag + 1));
    shell && script.is_some_and(|script| script.contains("{{") && script.contains(".params"))
}

/// A value that is read when it is sent, where it must not be.
fn sealed_problem(path: String, message: String) -> Problem {
    Problem::error(path, ProblemKind::Note { message })
}

fn template_problem(path: impl Into<String>, message: String) -> Problem {
    Problem::error(path, ProblemKind::Template { message })
}

fn check_references(
    workflow: &Workflow,
    earlier: &[Action],
    template: &Template,
    path: &str,
    problems: &mut Problems,
) {
    let references = template.references();
    let mut report = |position: &drplan_template::Position, message: String| {
        problems.push(template_problem(
            path,
            format!("{message} (line {}, column {})", position.line, position.column),
        ));
    };
    let declared: Vec<&str> = workflow
        .parameters
        .iter()
        .map(|parameter| parameter.name.as_str())
        .collect();
    for (name, position) in references
        .params
        .iter()
        .filter(|(name, _)| !declared.contains(&name.as_str()))
    {
        let known = if declared.is_empty() {
            "it declares none".to_owned()
        } else {
            format!("it declares {}", declared.join(", "))
        };
        report(
            position,
            format!(
                "parameter `{name}` is not declared; add it to spec.parameters of the workflow ({known})"
            ),
        );
    }
    for ((action, field), position) in &references.outputs {
        if !earlier.iter().any(|known| known.name.as_str() == action) {
            let known: Vec<&str> = earlier.iter().map(|known| known.name.as_str()).collect();
            let known = match known.is_empty() {
                true => "none does".to_owned(),
                false => format!("those that do: {}", known.join(", ")),
            };
            report(
                position,
                format!("`.outputs.{action}`: no action of that name runs earlier in this workflow; {known}"),
            );
        } else if let Some(field) = field
            .as_ref()
            .filter(|field| !OUTPUT_FIELDS.contains(&field.as_str()))
        {
            report(
                position,
                format!(
                    "`.outputs.{action}.{field}` does not exist; outputs have {}",
                    OUTPUT_FIELDS.join(", ")
                ),
            );
        }
    }
    for (field, position) in references
        .fields
        .iter()
        .filter(|(field, _)| !FIELDS.contains(&field.as_str()))
    {
        report(
            position,
            format!("`.{field}` does not exist; templates see .{}", FIELDS.join(", .")),
        );
    }
}
