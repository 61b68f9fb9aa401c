//! A workflow.

use crate::{
    DRWorkflowSpec, ProblemKind,
    canonical::{Action, Workflow, WorkflowFailurePolicy},
    limits::ACTIONS_MAX,
    normalise::{
        action, parameters,
        report::{Place, Report},
        scalar::{self, choice, text},
    },
    workflow::Executor,
};

/// The workflow that `spec` describes.
pub(super) fn workflow(report: &mut Report, at: &Place, spec: &DRWorkflowSpec) -> Option<Workflow> {
    let parameters = parameters::declared(report, &at.field("parameters"), spec.parameters.as_ref());
    let failure_policy = match text(spec.failure_policy.as_ref()) {
        None => Some(WorkflowFailurePolicy::default()),
        Some(policy) => choice(
            report,
            &at.field("failurePolicy"),
            policy,
            &[
                ("FailFast", WorkflowFailurePolicy::FailFast),
                ("Stop", WorkflowFailurePolicy::FailFast),
                ("Continue", WorkflowFailurePolicy::Continue),
            ],
            "FailFast (or Stop) or Continue",
        ),
    };
    let allowed_namespaces = allowed_namespaces(report, at, spec);
    executor(report, at, spec.executor.as_ref());
    let actions = actions(report, &at.field("actions"), spec);
    Some(Workflow {
        parameters,
        failure_policy: failure_policy?,
        allowed_namespaces,
        actions,
    })
}

fn allowed_namespaces(report: &mut Report, at: &Place, spec: &DRWorkflowSpec) -> Vec<String> {
    let at = at.field("allowedNamespaces");
    let written = spec.allowed_namespaces.iter().flatten().enumerate();
    written
        .filter_map(|(index, namespace)| {
            let at = at.item(index);
            let checked = scalar::namespace(report, &at, Some(namespace), false);
            if checked.is_none() {
                report.missing(&at, "write a namespace, or take the entry out");
            }
            checked
        })
        .collect()
}

/// Accepts the native executor alone.
pub(super) fn executor(report: &mut Report, at: &Place, written: Option<&Executor>) {
    let at = at.field("executor").field("type");
    match written.and_then(|executor| text(executor.kind.as_ref())) {
        None | Some("Native") => {}
        Some("Argo") => report.error(
            &at,
            ProblemKind::NotSupported {
                remedy: "write Native, or leave `executor` out",
            },
        ),
        Some(found) => report.error(
            &at,
            ProblemKind::UnknownValue {
                found: found.to_owned(),
                expected: "Native, or leave `executor` out".to_owned(),
            },
        ),
    }
}

fn actions(report: &mut Report, at: &Place, spec: &DRWorkflowSpec) -> Vec<Action> {
    let written = spec.actions.as_deref().unwrap_or_default();
    if written.is_empty() {
        report.missing(at, "write at least one action");
    }
    report.bound(
        at,
        "the number of actions",
        written.len(),
        ACTIONS_MAX,
        "split the workflow into several",
    );
    let mut actions = Vec::with_capacity(written.len());
    for (index, action) in written.iter().enumerate() {
        let at = at.item(index);
        let first = text(action.name.as_ref()).and_then(|name| {
            let first = written[..index]
                .iter()
                .position(|other| other.name.as_deref() == Some(name))?;
            Some((name, first))
        });
        if let Some((name, first)) = first {
            report.error(
                &at.field("name"),
                ProblemKind::DuplicateName {
                    name: name.to_owned(),
                    first: format!("spec.actions[{first}].name"),
                },
            );
        }
        actions.extend(action::action(report, &at, action));
    }
    actions
}
