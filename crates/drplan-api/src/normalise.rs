//! The one way from what a user wrote to the canonical form. Reports everything that is wrong in one go.
//!
//! Decided here: spellings, shapes, required fields, closed sets, names, ranges and limits, all that one object
//! shows by itself. Templates are kept as text ([`canonical::Deferred`]) and never evaluated; references between
//! stages, to workflows and to parameters are the engine's.

mod action;
mod attempts;
mod execution;
mod http;
mod job;
mod localization;
mod override_text;
mod parameters;
mod plan;
mod report;
mod resource;
mod scalar;
mod source;
mod subscription;
mod workflow;

use crate::{
    DRPlanExecutionSpec, DRPlanSpec, DRWorkflowSpec, Problems, canonical,
    names::too_long_for_label,
    normalise::report::{Place, Report},
};

/// The canonical form of an object and what is to be said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalised<T> {
    /// The canonical form; none exactly if a problem is an error.
    pub value: Option<T>,
    /// Errors and warnings, in the order of the fields.
    pub problems: Problems,
}

/// The canonical form of a workflow.
pub fn normalise_workflow(spec: &DRWorkflowSpec) -> Normalised<canonical::Workflow> {
    let mut report = Report::default();
    let value = workflow::workflow(&mut report, &Place::new("spec"), spec);
    report.finish(value)
}

/// The canonical form of a plan of `namespace`.
pub fn normalise_plan(spec: &DRPlanSpec, namespace: &str) -> Normalised<canonical::Plan> {
    let mut report = Report::default();
    let value = plan::plan(&mut report, &Place::new("spec"), spec, namespace);
    report.finish(value)
}

/// The canonical form of an execution of `namespace`.
pub fn normalise_execution(spec: &DRPlanExecutionSpec, namespace: &str) -> Normalised<canonical::Request> {
    normalise_execution_named(spec, namespace, None)
}

/// The canonical form of an execution of `namespace`; with its `name`, that is checked too, and a message that shows
/// the right manifest shows it complete.
pub fn normalise_execution_named(
    spec: &DRPlanExecutionSpec,
    namespace: &str,
    name: Option<&str>,
) -> Normalised<canonical::Request> {
    let mut report = Report::default();
    report.extend(name.and_then(|name| too_long_for_label("metadata.name", name)));
    let value = execution::request(&mut report, &Place::new("spec"), spec, namespace, name);
    report.finish(value)
}
