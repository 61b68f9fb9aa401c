//! Places values into texts so that they cannot change the structure they land in.

use std::collections::BTreeMap;

mod block;
mod holes;
mod json;
mod plain;
mod quoted;
mod splice;
mod url;
mod yaml;

use holes::Holes;

use crate::Value;
use crate::buffer::Buffer;
use crate::error::Mistake;
use crate::format;
use crate::limits::Limits;
use crate::output::Output;
use crate::val::{Origin, Text, Val};

/// An error and the offset of the expression in the source.
pub(crate) type Placed<T> = Result<T, (usize, Mistake)>;

/// The value as the outside knows it.
pub(crate) fn value(value: &Val<'_>, limits: Limits) -> Result<Value, Mistake> {
    outer(value, &mut limits.output.clone(), limits)
}

/// The value, if it has no more than `budget` values in it.
fn outer(value: &Val<'_>, budget: &mut usize, limits: Limits) -> Result<Value, Mistake> {
    *budget = budget.checked_sub(1).ok_or(Mistake::TooLong(limits.output))?;
    Ok(match value {
        Val::Nil | Val::NilAny => Value::Null,
        Val::Bool(truth) => Value::Bool(*truth),
        Val::Int(number) | Val::Int64(number) => Value::Int(*number),
        Val::Byte(number) => Value::Int(i64::from(*number)),
        Val::Float(number) => Value::Float(*number),
        Val::Text(Text {
            origin: Some(origin),
            bytes,
        }) => match origin.as_ref() {
            Origin::Tree(tree) => outer(tree, budget, limits)?,
            Origin::Quoted(text) => Value::String(utf8(text.as_slice())?),
            Origin::Indented { .. } | Origin::Escaped => Value::String(utf8(bytes.as_slice())?),
        },
        Val::Text(text) => Value::String(utf8(text.bytes.as_slice())?),
        Val::Complex(..) => Value::String(printed(value, limits)?),
        Val::List(list) => {
            let elements = list.iter().map(|element| outer(&element, budget, limits));
            Value::List(elements.collect::<Result<_, _>>()?)
        }
        Val::Map(map) => {
            let mut elements = BTreeMap::new();
            for (key, element) in map.entries() {
                elements.insert(utf8(key.as_slice())?, outer(&element, budget, limits)?);
            }
            Value::Map(elements)
        }
    })
}

fn utf8(bytes: &[u8]) -> Result<String, Mistake> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Mistake::NotUtf8)
}

/// The value's text, as Go prints it.
pub(crate) fn printed(value: &Val<'_>, limits: Limits) -> Result<String, Mistake> {
    let mut buffer = Buffer::new(limits.output);
    match value {
        Val::Text(text) => buffer.push(text.bytes.as_slice()),
        other => format::print(other, &mut buffer),
    }
    if buffer.is_full() {
        return Err(Mistake::TooLong(limits.output));
    }
    String::from_utf8(buffer.into_bytes()).map_err(|_| Mistake::NotUtf8)
}

/// A URL; the values of expressions at the offsets for which `encoded` holds are percent-encoded.
pub(crate) fn url(output: &Output<'_>, limits: Limits, encoded: &dyn Fn(usize) -> bool) -> Placed<String> {
    url::url(output, limits, encoded)
}

/// A header's value.
pub(crate) fn header(output: &Output<'_>, limits: Limits) -> Placed<String> {
    url::header(output, limits)
}

/// A YAML or JSON text. What is JSON stays JSON.
pub(crate) fn yaml(output: &Output<'_>, limits: Limits) -> Placed<String> {
    let holes = Holes::of(output, limits)?;
    let first = holes.text.iter().find(|byte| !byte.is_ascii_whitespace());
    let json = match first {
        Some(b'{' | b'[' | b'"') => json::splice(&holes, limits.output),
        _ => None,
    };
    let spliced = json.unwrap_or_else(|| {
        let scan = yaml::scan(&holes)?;
        splice::splice(&holes, &scan, limits.output)
    });
    spliced.map_err(|(place, kind)| (output.source_offset(place), kind))
}

/// A request's body. One that is nothing but an expression has no structure of the author's and is text.
pub(crate) fn body(output: &Output<'_>, limits: Limits) -> Placed<String> {
    let holes = Holes::of(output, limits)?;
    let only = holes.text.trim_ascii().len() <= 1;
    if !only && let Some(spliced) = json::splice(&holes, limits.output) {
        return spliced.map_err(|(place, kind)| (output.source_offset(place), kind));
    }
    text(output, limits)
}

/// The text as Go renders it.
fn text(output: &Output<'_>, limits: Limits) -> Placed<String> {
    let mut text = Vec::new();
    let mut at = 0;
    for hole in output.holes.iter().flatten() {
        text.extend_from_slice(&output.bytes[at..hole.place]);
        let value = printed(&hole.value, limits).map_err(|kind| (hole.offset, kind))?;
        let further = format!("\n{}", " ".repeat(hole.indent.unwrap_or(0)));
        text.extend_from_slice(
            if hole.indent.is_some() {
                value.replace('\n', &further)
            } else {
                value
            }
            .as_bytes(),
        );
        at = hole.place + 1;
        if text.len() > limits.output {
            return Err((hole.offset, Mistake::TooLong(limits.output)));
        }
    }
    text.extend_from_slice(&output.bytes[at..]);
    String::from_utf8(text).map_err(|_| (0, Mistake::NotUtf8))
}
