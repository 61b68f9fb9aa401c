//! `eq`, `lt` and their like, with Go's rules for types.

use crate::val::Val;

/// Whether the value equals one of the others.
pub(crate) fn equal(value: &Val<'_>, others: &[Val<'_>]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("it takes at least two values".to_owned());
    }
    for other in others {
        if pair_equal(value, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn pair_equal(left: &Val<'_>, right: &Val<'_>) -> Result<bool, String> {
    Ok(match (left, right) {
        (Val::Bool(left), Val::Bool(right)) => left == right,
        (Val::Int(left) | Val::Int64(left), Val::Int(right) | Val::Int64(right)) => left == right,
        (Val::Byte(left), Val::Byte(right)) => left == right,
        (Val::Int(number) | Val::Int64(number), Val::Byte(byte))
        | (Val::Byte(byte), Val::Int(number) | Val::Int64(number)) => *number == i64::from(*byte),
        (Val::Float(left), Val::Float(right)) => left == right,
        (Val::Complex(a, b), Val::Complex(c, d)) => a == c && b == d,
        (Val::Text(left), Val::Text(right)) => left.bytes == right.bytes,
        _ if left.is_nil() || right.is_nil() => left.is_nil() && right.is_nil(),
        _ => return Err(incomparable(left, right)),
    })
}

/// Whether the left value comes before the right one.
pub(crate) fn less(left: &Val<'_>, right: &Val<'_>) -> Result<bool, String> {
    Ok(match (left, right) {
        (Val::Int(left) | Val::Int64(left), Val::Int(right) | Val::Int64(right)) => left < right,
        (Val::Byte(left), Val::Byte(right)) => left < right,
        (Val::Int(number) | Val::Int64(number), Val::Byte(byte)) => *number < i64::from(*byte),
        (Val::Byte(byte), Val::Int(number) | Val::Int64(number)) => i64::from(*byte) < *number,
        (Val::Float(left), Val::Float(right)) => left < right,
        (Val::Text(left), Val::Text(right)) => left.bytes < right.bytes,
        _ => return Err(incomparable(left, right)),
    })
}

/// Whether the left value comes before the right one or equals it.
pub(crate) fn less_or_equal(left: &Val<'_>, right: &Val<'_>) -> Result<bool, String> {
    Ok(less(left, right)? || pair_equal(left, right)?)
}

fn incomparable(left: &Val<'_>, right: &Val<'_>) -> String {
    let (left, right) = (left.type_name(), right.type_name());
    let is_number = |name: &str| matches!(name, "int" | "int64" | "float64" | "uint8");
    let advice = match (is_number(left), is_number(right)) {
        (true, true) => "; a number with a fraction is only compared with another one; convert it with `int`",
        (true, false) | (false, true) if left == "string" || right == "string" => {
            "; convert one of them with `int` or `toString`"
        }
        _ => "",
    };
    format!("values of the types {left} and {right} cannot be compared{advice}")
}
