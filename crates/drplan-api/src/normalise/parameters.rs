//! Declared parameters and supplied values.

use serde_json::Value;

use crate::{
    AnyShape, ParameterName, ProblemKind, Source,
    any_shape::shape_name,
    canonical::{Parameter, ParameterType, ParameterValue, Supplied},
    limits::{PARAMETERS_MAX, VALUE_BYTES_MAX},
    normalise::{
        report::{Place, Report},
        scalar::{bad_name, choice, text},
        source::source,
    },
    workflow,
};

const NAME_RULE: &str = "a letter or _, then letters, digits, _ and -, at most 63 characters";
const SCALAR: &str = "text, a number, true or false";

/// Parameters as a workflow declares them.
pub(super) fn declared(
    report: &mut Report,
    at: &Place,
    written: Option<&Vec<workflow::Parameter>>,
) -> Vec<Parameter> {
    let written = written.map(Vec::as_slice).unwrap_or_default();
    bound(report, at, written.len());
    let mut names = Names::default();
    let parameters = written.iter().enumerate().map(|(index, parameter)| {
        let at = at.item(index);
        let name = names.next(report, &at.field("name"), parameter.name.as_ref());
        let kind = match text(parameter.kind.as_ref()) {
            None => Some(ParameterType::default()),
            Some(kind) => choice(
                report,
                &at.field("type"),
                kind,
                &[
                    ("string", ParameterType::String),
                    ("int", ParameterType::Int),
                    ("integer", ParameterType::Int),
                    ("number", ParameterType::Int),
                    ("bool", ParameterType::Bool),
                    ("boolean", ParameterType::Bool),
                ],
                "string, int or bool",
            ),
        };
        let default = parameter
            .default
            .as_ref()
            .and_then(|default| scalar(report, &at.field("default"), default));
        let value_from = read_from(
            report,
            &at,
            "default",
            default.is_some(),
            parameter.value_from.as_ref(),
        );
        Some(Parameter {
            name: name?,
            kind: kind?,
            required: parameter.required.unwrap_or(false),
            default,
            value_from,
            overridable: parameter.overridable.unwrap_or(true),
        })
    });
    parameters.collect::<Vec<_>>().into_iter().flatten().collect()
}

/// Whether values may be read from Secrets and ConfigMaps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// A plan says what is read.
    Allowed,
    /// An execution does not: whoever may run a plan would choose which Secret it reads.
    Refused,
}

/// Values as a plan or an execution supplies them.
pub(super) fn supplied(
    report: &mut Report,
    at: &Place,
    written: Option<&Vec<workflow::ParameterValue>>,
    reading: Reading,
) -> Vec<ParameterValue> {
    let written = written.map(Vec::as_slice).unwrap_or_default();
    bound(report, at, written.len());
    let mut names = Names::default();
    let values = written.iter().enumerate().map(|(index, supplied)| {
        let at = at.item(index);
        let name = names.next(report, &at.field("name"), supplied.name.as_ref());
        let value = supplied
            .value
            .as_ref()
            .and_then(|value| scalar(report, &at.field("value"), value));
        let from = match (supplied.value_from.as_ref(), reading) {
            (Some(_), Reading::Refused) => {
                report.note(
                    &at.field("valueFrom"),
                    "an execution does not choose what is read from Secrets and ConfigMaps; write it in the plan, or `value` here",
                );
                None
            }
            (from, _) => read_from(report, &at, "value", supplied.value.is_some(), from),
        };
        if supplied.value.is_none() && supplied.value_from.is_none() {
            let or = match reading {
                Reading::Allowed => ", or valueFrom",
                Reading::Refused => "",
            };
            report.missing(&at.field("value"), format!("write {SCALAR}{or}"));
        }
        Some(ParameterValue {
            name: name?,
            supplied: match from {
                Some(source) => Supplied::From(source),
                None => Supplied::Value(value?),
            },
        })
    });
    values.collect::<Vec<_>>().into_iter().flatten().collect()
}

/// Where a value is read from, which excludes the field `other` with the value itself.
fn read_from(
    report: &mut Report,
    at: &Place,
    other: &str,
    has_other: bool,
    written: Option<&workflow::ValueFrom>,
) -> Option<Source> {
    let written = written?;
    if has_other {
        report.exclusive(at, other, "valueFrom", "keep one of them");
        return None;
    }
    source(report, &at.field("valueFrom"), written)
}

fn bound(report: &mut Report, at: &Place, found: usize) {
    report.bound(
        at,
        "the number of parameters",
        found,
        PARAMETERS_MAX,
        "split the workflow or drop some",
    );
}

/// A scalar as written, not too long.
fn scalar(report: &mut Report, at: &Place, written: &AnyShape) -> Option<Value> {
    match &written.0 {
        Value::Null => None,
        Value::String(text) => {
            report.bound(
                at,
                "the number of bytes of the value",
                text.len(),
                VALUE_BYTES_MAX,
                "put long text into a ConfigMap that the action reads",
            );
            Some(written.0.clone())
        }
        Value::Bool(_) | Value::Number(_) => Some(written.0.clone()),
        Value::Array(_) | Value::Object(_) => {
            report.wrong_shape(at, shape_name(&written.0), SCALAR);
            None
        }
    }
}

/// The names of one list, each unique.
#[derive(Default)]
struct Names(Vec<(String, Place)>);

impl Names {
    fn next(&mut self, report: &mut Report, at: &Place, written: Option<&String>) -> Option<ParameterName> {
        let Some(written) = text(written) else {
            report.missing(at, "write the parameter's name");
            return None;
        };
        let Some(name) = ParameterName::new(written) else {
            bad_name(report, at, written, NAME_RULE);
            return None;
        };
        if let Some((_, first)) = self.0.iter().find(|(name, _)| name == written) {
            report.error(
                at,
                ProblemKind::DuplicateName {
                    name: written.to_owned(),
                    first: first.as_str().to_owned(),
                },
            );
            return None;
        }
        self.0.push((written.to_owned(), at.clone()));
        Some(name)
    }
}
