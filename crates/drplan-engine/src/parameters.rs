//! Values of parameters: conversion to the declared type, precedence, and what a template sees.

use std::collections::BTreeMap;

use drplan_api::{
    Problem, ProblemKind, Problems, Source,
    canonical::{Parameter, ParameterType, ParameterValue, Supplied, Workflow},
};
use serde_json::Value;

/// One layer of supplied values, with where it stands for problems.
pub struct Layer<'a> {
    /// The field, such as `spec.globalParams`.
    pub path: String,
    /// The values.
    pub values: &'a [ParameterValue],
    /// Whether `overridable: false` keeps a parameter from being set here (an execution's values).
    pub from_execution: bool,
}

/// The parameters of one use of a workflow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolved {
    /// Values, converted to their parameters' types.
    pub values: BTreeMap<String, Value>,
    /// Where the other values are read from when they are sent.
    pub sources: BTreeMap<String, Source>,
}

/// The values of all parameters of `workflow` (called `label` in problems): its defaults, then each of `layers`,
/// later ones over earlier ones. A parameter without value is the empty string.
///
/// `at` is the field of the use, for values that are missing.
pub fn resolve(
    workflow: &Workflow,
    label: &str,
    layers: &[Layer<'_>],
    at: &str,
    problems: &mut Problems,
) -> Resolved {
    let mut resolved = Resolved::default();
    for parameter in &workflow.parameters {
        let name = parameter.name.as_str();
        let mut chosen: Option<(String, &Supplied)> = None;
        for layer in layers {
            let Some(position) = layer.values.iter().position(|value| value.name == parameter.name) else {
                continue;
            };
            let path = format!("{}[{position}]", layer.path);
            if layer.from_execution && !parameter.overridable {
                let kind = ProblemKind::NotOverridable {
                    parameter: name.to_owned(),
                    workflow: label.to_owned(),
                };
                problems.push(Problem::error(path, kind));
                continue;
            }
            chosen = Some((format!("{path}.value"), &layer.values[position].supplied));
        }
        let source = match &chosen {
            Some((_, Supplied::From(source))) => Some(source),
            Some((_, Supplied::Value(_))) => None,
            None => parameter.value_from.as_ref(),
        };
        if let Some(source) = source {
            resolved.sources.insert(name.to_owned(), source.clone());
            continue;
        }
        let converted = match (&chosen, &parameter.default) {
            (Some((_, Supplied::From(_))), _) => continue,
            (Some((path, Supplied::Value(value))), _) => {
                convert(parameter, value).map_err(|kind| Problem::error(path.clone(), kind))
            }
            // A default that does not convert is the workflow's problem, reported there.
            (None, Some(default)) => Ok(convert(parameter, default).unwrap_or(Value::Null)),
            (None, None) if parameter.required => {
                let kind = ProblemKind::MissingValue {
                    parameter: name.to_owned(),
                    workflow: label.to_owned(),
                };
                Err(Problem::error(at, kind))
            }
            (None, None) => Ok(Value::String(String::new())),
        };
        match converted {
            Ok(value) => drop(resolved.values.insert(name.to_owned(), value)),
            Err(problem) => problems.push(problem),
        }
    }
    resolved
}

/// `value` as `parameter`'s type: whole numbers from numbers or their text, booleans from booleans or `true` and
/// `false`, text from any scalar as YAML prints it.
///
/// # Errors
/// [`ProblemKind::NotConvertible`].
pub fn convert(parameter: &Parameter, value: &Value) -> Result<Value, ProblemKind> {
    let not = |expected| ProblemKind::NotConvertible {
        parameter: parameter.name.as_str().to_owned(),
        expected,
    };
    match parameter.kind {
        ParameterType::String => match value {
            Value::String(text) => Ok(Value::String(text.clone())),
            Value::Number(_) | Value::Bool(_) => Ok(Value::String(value.to_string())),
            Value::Null => Ok(Value::String(String::new())),
            Value::Array(_) | Value::Object(_) => Err(not("a text")),
        },
        ParameterType::Int => {
            let number = match value {
                Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
                Value::String(text) => text.trim().parse().ok(),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
            };
            number
                .map(Value::from)
                .ok_or_else(|| not("a whole number of 64 bits, such as 3"))
        }
        ParameterType::Bool => match value {
            Value::Bool(value) => Ok(Value::Bool(*value)),
            Value::String(text) if text.trim() == "true" => Ok(Value::Bool(true)),
            Value::String(text) if text.trim() == "false" => Ok(Value::Bool(false)),
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                Err(not("true or false"))
            }
        },
    }
}

/// The whole number that `float` is, below 2^53 where floats are exact.
fn whole(float: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (float.fract() == 0.0 && float.abs() < EXACT).then_some(float as i64)
}

/// How a value is shown in `resolvedParams`.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use drplan_api::ParameterName;
    use serde_json::json;

    use super::*;

    fn parameter(kind: ParameterType) -> Parameter {
        let name = ParameterName::new("p").unwrap();
        Parameter {
            name,
            kind,
            required: false,
            default: None,
            value_from: None,
            overridable: true,
        }
    }

    /// Covers EC-8.
    #[test]
    fn values_convert_to_the_declared_type_or_are_refused() {
        for (kind, value, expected) in [
            (ParameterType::String, json!("x"), Some(json!("x"))),
            (ParameterType::String, json!(3306), Some(json!("3306"))),
            (ParameterType::String, json!(true), Some(json!("true"))),
            (ParameterType::String, json!([1]), None),
            (ParameterType::Int, json!("5"), Some(json!(5))),
            (ParameterType::Int, json!(5.0), Some(json!(5))),
            (ParameterType::Int, json!(5.5), None),
            (ParameterType::Int, json!("five"), None),
            (ParameterType::Int, json!("99999999999999999999"), None),
            (ParameterType::Bool, json!("true"), Some(json!(true))),
            (ParameterType::Bool, json!(1), None),
            (ParameterType::Bool, json!("yes"), None),
        ] {
            assert_eq!(
                convert(&parameter(kind), &value).ok(),
                expected,
                "{kind:?} {value}"
            );
        }
    }
}
