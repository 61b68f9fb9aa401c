//! Which values Go accepts for a parameter of a function.

use crate::error::Mistake;
use crate::functions::{Function, Parameter};
use crate::node::{Number, OperandKind};
use crate::val::{Map, Text, Val};

/// The value as the parameter takes it.
pub(crate) fn fits<'a>(function: Function, parameter: Parameter, value: Val<'a>) -> Result<Val<'a>, Mistake> {
    let accepted = match (parameter, &value) {
        (Parameter::Reflect | Parameter::Any, _)
        | (Parameter::String, Val::Text(_))
        | (Parameter::Int, Val::Int(_))
        | (Parameter::Bool, Val::Bool(_))
        | (Parameter::Map, Val::Map(Map::Data(_) | Map::Any(_)) | Val::Nil) => true,
        (Parameter::String | Parameter::Int | Parameter::Bool | Parameter::Map, _) => false,
    };
    if accepted {
        return Ok(value);
    }
    Err(wrong(function, parameter, value.type_name()))
}

/// The constant as the parameter takes it; `None` if the operand is no constant.
pub(crate) fn constant_for<'a>(
    function: Function,
    parameter: Parameter,
    operand: &'a OperandKind,
) -> Option<Result<Val<'a>, Mistake>> {
    let any = matches!(parameter, Parameter::Any | Parameter::Reflect);
    let value = match operand {
        OperandKind::Nil if any || parameter == Parameter::Map => Ok(Val::Nil),
        OperandKind::Nil => Err(wrong(function, parameter, "nil")),
        OperandKind::Bool(truth) if any || parameter == Parameter::Bool => Ok(Val::Bool(*truth)),
        OperandKind::Bool(_) => Err(wrong(function, parameter, "bool")),
        OperandKind::String(bytes) if any || parameter == Parameter::String => {
            Ok(Val::Text(Text::borrowed(bytes)))
        }
        OperandKind::String(_) => Err(wrong(function, parameter, "string")),
        OperandKind::Number(number) if any => untyped(number),
        // A float that is a whole number will do for Go, as in `trunc 3.0`.
        OperandKind::Number(Number { int: Some(int), .. }) if parameter == Parameter::Int => {
            Ok(Val::Int(*int))
        }
        OperandKind::Number(_) => Err(wrong(function, parameter, "number")),
        OperandKind::Dot
        | OperandKind::Field(_)
        | OperandKind::Variable(..)
        | OperandKind::Function(_)
        | OperandKind::Pipeline(_)
        | OperandKind::Chain(..) => return None,
    };
    Some(value)
}

/// What Go makes of a number where it does not know the type.
pub(crate) fn untyped<'a>(number: &Number) -> Result<Val<'a>, Mistake> {
    match *number {
        Number {
            complex: Some((real, imaginary)),
            ..
        } => Ok(Val::Complex(real, imaginary)),
        Number {
            looks_float: true,
            float: Some(float),
            ..
        } => Ok(Val::Float(float)),
        Number { int: Some(int), .. } => Ok(Val::Int(int)),
        Number { uint, .. } => Err(Mistake::NumberTooLarge(
            uint.map_or_else(String::new, |uint| uint.to_string()),
        )),
    }
}

fn wrong(function: Function, parameter: Parameter, found: &'static str) -> Mistake {
    let expected = match parameter {
        Parameter::Reflect | Parameter::Any => "any value",
        Parameter::String => "string",
        Parameter::Int => "int",
        Parameter::Bool => "bool",
        Parameter::Map => "map",
    };
    Mistake::ArgumentType {
        function: function.name(),
        expected,
        found,
    }
}
