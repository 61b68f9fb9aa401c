//! An execution.

use serde_json::Value;

use crate::{
    AnyShape, DRPlanExecutionSpec, ProblemKind,
    any_shape::shape_name,
    canonical::{Request, RunOperation},
    normalise::{
        parameters::{self, Reading},
        report::{Place, Report},
        scalar::{choice, object_name, short_name, text},
    },
    problem::RevertManifest,
};

/// What an execution of `namespace` asks for; `name` is the execution's, for messages.
pub(super) fn request(
    report: &mut Report,
    at: &Place,
    spec: &DRPlanExecutionSpec,
    namespace: &str,
    name: Option<&str>,
) -> Option<Request> {
    let plan_at = at.field("planRef");
    let plan = match &spec.plan_ref {
        Some(written) => reference(report, &plan_at, written, namespace, "a plan"),
        None => {
            report.missing(&plan_at, "write the plan's name");
            None
        }
    };
    let operation = operation(report, at, spec);
    let params = parameters::supplied(
        report,
        &at.field("params"),
        spec.params.as_ref(),
        Reading::Refused,
    );
    let operation = match operation? {
        Operation::Execute => {
            refuse_in_execute(report, at, spec);
            RunOperation::Execute
        }
        Operation::Revert => {
            if !params.is_empty() {
                report.note(
                    &at.field("params"),
                    "has no place in a Revert, which uses the values of the execution it undoes; take it out",
                );
            }
            let target_at = at.field("revertExecutionRef");
            let allow_partial = spec.allow_partial.unwrap_or(false);
            let target = match &spec.revert_execution_ref {
                Some(written) => reference(report, &target_at, written, namespace, "an execution"),
                None => {
                    let manifest = Box::new(RevertManifest {
                        name: name.map(str::to_owned),
                        namespace: namespace.to_owned(),
                        plan: plan.clone(),
                        allow_partial,
                    });
                    report.error(&target_at, ProblemKind::RevertWithoutTarget { manifest });
                    None
                }
            };
            RunOperation::Revert {
                target: target?,
                allow_partial,
            }
        }
    };
    Some(Request {
        plan: plan?,
        operation,
        params,
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Operation {
    Execute,
    Revert,
}

fn operation(report: &mut Report, at: &Place, spec: &DRPlanExecutionSpec) -> Option<Operation> {
    const OPERATIONS: &str = "Execute or Revert";
    let spellings = [
        ("operationType", &spec.operation_type),
        ("operation", &spec.operation),
    ];
    let read = spellings.map(|(field, written)| {
        let operation = text(written.as_ref()).and_then(|written| {
            let choices = [("Execute", Operation::Execute), ("Revert", Operation::Revert)];
            choice(report, &at.field(field), written, &choices, OPERATIONS)
        });
        (field.to_owned(), operation)
    });
    let operation = report.agreed(at, read);
    let written = [&spec.operation_type, &spec.operation];
    if written.iter().all(|written| text(written.as_ref()).is_none()) {
        report.missing(&at.field("operationType"), format!("write {OPERATIONS}"));
    }
    operation
}

fn refuse_in_execute(report: &mut Report, at: &Place, spec: &DRPlanExecutionSpec) {
    let written = [
        ("revertExecutionRef", spec.revert_execution_ref.is_some()),
        ("allowPartial", spec.allow_partial == Some(true)),
    ];
    for (field, written) in written {
        if written {
            report.exclusive(
                &at.field(field),
                "operationType: Execute",
                field,
                "take it out, or write operationType: Revert to undo an execution",
            );
        }
    }
}

/// The name that a reference holds: a name, or an object with `name` and `namespace`. `what` is what it refers to.
fn reference(
    report: &mut Report,
    at: &Place,
    written: &AnyShape,
    namespace: &str,
    what: &'static str,
) -> Option<String> {
    let remedy = if what == "a plan" {
        "write the plan's name"
    } else {
        "write the execution's name"
    };
    let checked = match &written.0 {
        Value::String(name) => {
            object_name(report, at, Some(name), false, remedy).map(|name| (at.clone(), name))
        }
        Value::Object(object) => {
            let name_at = at.field("name");
            let mut field = |name: &str| match object.get(name) {
                Some(Value::String(text)) => Some(text),
                None | Some(Value::Null) => None,
                Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
                    report.wrong_shape(&at.field(name), shape_name(other), "text");
                    None
                }
            };
            let (name, other) = (field("name"), field("namespace"));
            for key in object.keys().filter(|key| *key != "name" && *key != "namespace") {
                report.note(
                    &at.field(key),
                    "is not read; a reference holds `name` and `namespace`, take it out",
                );
            }
            if let Some(other) = text(other).filter(|other| *other != namespace) {
                let remedy = if what == "a plan" {
                    "an execution stands in the namespace of its plan: create it there, and leave namespace out here"
                } else {
                    "an execution undoes one of its own namespace: create it there, and leave namespace out here"
                };
                report.error(
                    &at.field("namespace"),
                    ProblemKind::ForeignNamespace {
                        namespace: other.to_owned(),
                        remedy,
                    },
                );
            }
            object_name(report, &name_at, name, false, remedy).map(|name| (name_at, name))
        }
        Value::Null => {
            report.missing(at, remedy);
            None
        }
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
            report.wrong_shape(at, shape_name(other), "a name, or an object with `name`");
            None
        }
    };
    let (name_at, name) = checked?;
    short_name(report, &name_at, &name);
    Some(name)
}
