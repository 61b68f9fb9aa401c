//! Places values into texts so that they cannot change the structure they land in.

use std::collections::BTreeMap;

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
pub(crate) fn value(value: &Val<'_>) -> Result<Value, Mistake> {
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
            Origin::Tree(tree) => self::value(tree)?,
            Origin::Quoted(text) => Value::String(utf8(text.as_slice())?),
            Origin::Indented { .. } => Value::String(utf8(bytes.as_slice())?),
        },
        Val::Text(text) => Value::String(utf8(text.bytes.as_slice())?),
        Val::Complex(..) => {
            let mut buffer = Buffer::new(Limits::OUTPUT);
            format::print(value, &mut buffer);
            Value::String(utf8(&buffer.into_bytes())?)
        }
        Val::List(list) => Value::List(
            list.iter()
                .map(|element| self::value(&element))
                .collect::<Result<_, _>>()?,
        ),
        Val::Map(map) => Value::Map(
            map.entries()
                .iter()
                .map(|(key, element)| Ok((utf8(key.as_slice())?, self::value(element)?)))
                .collect::<Result<BTreeMap<_, _>, Mistake>>()?,
        ),
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

/// The text with every hole filled by what `fill` makes of its value.
fn filled(
    output: &Output<'_>,
    limits: Limits,
    fill: impl Fn(usize, &str) -> Result<String, Mistake>,
) -> Placed<String> {
    let mut text = Vec::with_capacity(output.bytes.len());
    let mut at = 0;
    for hole in output.holes.iter().flatten() {
        text.extend_from_slice(&output.bytes[at..hole.place]);
        let value = printed(&hole.value, limits).and_then(|value| fill(hole.place, &value));
        text.extend_from_slice(value.map_err(|kind| (hole.offset, kind))?.as_bytes());
        at = hole.place + 1;
    }
    text.extend_from_slice(&output.bytes[at..]);
    String::from_utf8(text).map_err(|_| (0, Mistake::NotUtf8))
}

/// A URL.
pub(crate) fn url(output: &Output<'_>, limits: Limits) -> Placed<String> {
    filled(output, limits, |_, value| Ok(value.to_owned()))
}

/// A header's value.
pub(crate) fn header(output: &Output<'_>, limits: Limits) -> Placed<String> {
    filled(output, limits, |_, value| Ok(value.to_owned()))
}

/// A YAML or JSON text.
pub(crate) fn yaml(output: &Output<'_>, limits: Limits) -> Placed<String> {
    filled(output, limits, |_, value| Ok(value.to_owned()))
}

/// A request's body.
pub(crate) fn body(output: &Output<'_>, limits: Limits) -> Placed<String> {
    filled(output, limits, |_, value| Ok(value.to_owned()))
}
