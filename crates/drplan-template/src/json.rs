//! `toJson` and `fromJson`, as Go's encoding/json has them.

use std::collections::BTreeMap;

use crate::buffer::Buffer;
use crate::number::format_float;
use crate::quote;
use crate::val::{Bytes, Val};

/// Writes the value as Go's `json.Marshal`; nothing where Go gives up, for infinities and complex numbers.
pub(crate) fn write(value: &Val<'_>, buffer: &mut Buffer) {
    if is_writable(value, &mut buffer.limit()) {
        write_value(value, true, buffer);
    }
}

/// Writes the value; `html` escapes `<`, `>` and `&` as Go does.
pub(crate) fn write_value(value: &Val<'_>, html: bool, buffer: &mut Buffer) {
    if buffer.is_full() {
        return;
    }
    match value {
        Val::Nil | Val::NilAny | Val::Complex(..) => buffer.push_str("null"),
        Val::Bool(truth) => buffer.push_str(if *truth { "true" } else { "false" }),
        Val::Int(number) | Val::Int64(number) => buffer.push_str(&number.to_string()),
        Val::Byte(number) => buffer.push_str(&number.to_string()),
        Val::Float(number) => buffer.push_str(&float(*number)),
        Val::Text(text) => write_string(text.bytes.as_slice(), html, buffer),
        Val::List(list) => {
            buffer.push_str("[");
            for (index, element) in list.iter().enumerate() {
                if index > 0 {
                    buffer.push_str(",");
                }
                write_value(&element, html, buffer);
            }
            buffer.push_str("]");
        }
        Val::Map(map) => {
            buffer.push_str("{");
            for (index, (key, element)) in map.entries().iter().enumerate() {
                if index > 0 {
                    buffer.push_str(",");
                }
                write_string(key.as_slice(), html, buffer);
                buffer.push_str(":");
                write_value(element, html, buffer);
            }
            buffer.push_str("}");
        }
    }
}

/// Writes a string with its quotes.
pub(crate) fn write_string(bytes: &[u8], html: bool, buffer: &mut Buffer) {
    buffer.push_str("\"");
    for character in quote::characters(bytes) {
        match character {
            Ok('"') => buffer.push_str("\\\""),
            Ok('\\') => buffer.push_str("\\\\"),
            Ok('\u{08}') => buffer.push_str("\\b"),
            Ok('\u{0C}') => buffer.push_str("\\f"),
            Ok('\n') => buffer.push_str("\\n"),
            Ok('\r') => buffer.push_str("\\r"),
            Ok('\t') => buffer.push_str("\\t"),
            Ok(special @ ('<' | '>' | '&')) if html => {
                buffer.push_str(&format!("\\u{:04x}", u32::from(special)));
            }
            Ok(special @ ('\0'..' ' | '\u{2028}' | '\u{2029}')) => {
                buffer.push_str(&format!("\\u{:04x}", u32::from(special)));
            }
            Ok(plain) => buffer.push_char(plain),
            Err(_) => buffer.push_str("\\ufffd"),
        }
    }
    buffer.push_str("\"");
}

/// A float as Go's JSON has it: with an exponent only where it is very large or small.
pub(crate) fn float(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format_float(number, b'e', None);
        // Go shortens e-09 to e-9.
        return match text.split_once("e-0") {
            Some((mantissa, exponent)) => format!("{mantissa}e-{exponent}"),
            None => text,
        };
    }
    format_float(number, b'f', None)
}

/// Whether JSON has such a value. Looks at no more than `budget` values: what has more of them is too long anyway.
pub(crate) fn is_writable(value: &Val<'_>, budget: &mut usize) -> bool {
    *budget = budget.saturating_sub(1);
    if *budget == 0 {
        return true;
    }
    match value {
        Val::Float(number) => number.is_finite(),
        Val::Complex(..) => false,
        Val::List(list) => list.iter().all(|element| is_writable(&element, budget)),
        Val::Map(map) => map
            .entries()
            .iter()
            .all(|(_, element)| is_writable(element, budget)),
        Val::Nil | Val::NilAny | Val::Bool(_) | Val::Int(_) | Val::Int64(_) | Val::Byte(_) | Val::Text(_) => {
            true
        }
    }
}

/// Reads JSON; nil if it is none. All numbers are floats, as Go has it.
pub(crate) fn read<'a>(bytes: &[u8]) -> Val<'a> {
    match serde_json::from_str(&String::from_utf8_lossy(bytes)) {
        Ok(json) => of(json),
        Err(_) => Val::NilAny,
    }
}

fn of<'a>(json: serde_json::Value) -> Val<'a> {
    match json {
        serde_json::Value::Null => Val::NilAny,
        serde_json::Value::Bool(truth) => Val::Bool(truth),
        serde_json::Value::Number(number) => Val::Float(number.as_f64().unwrap_or(0.0)),
        serde_json::Value::String(text) => Val::text(text.into_bytes()),
        serde_json::Value::Array(list) => Val::list(list.into_iter().map(of).collect()),
        serde_json::Value::Object(map) => {
            let entries = map
                .into_iter()
                .map(|(key, value)| (Bytes::Shared(key.into_bytes().into()), of(value)));
            Val::map(entries.collect::<BTreeMap<_, _>>())
        }
    }
}
