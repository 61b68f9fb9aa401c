//! The functions of sprig, with the results of version 3.3.

use std::collections::BTreeMap;
use std::rc::Rc;

use sha2::Digest as _;

use crate::base64_text;
use crate::buffer::Buffer;
use crate::builtin::made;
use crate::format;
use crate::functions::Task;
use crate::number::{float_to_int, parse_int};
use crate::quote;
use crate::unicode;
use crate::val::{Bytes, List, Map, Origin, Text, Val};

/// Calls one of sprig's functions with arguments that fit it.
pub(crate) fn call<'a>(task: Task, arguments: &[Val<'a>], buffer: &mut Buffer) -> Result<Val<'a>, String> {
    match (task, arguments) {
        (Task::Default, [default, given @ ..]) => Ok(given
            .first()
            .filter(|given| given.is_true())
            .unwrap_or(default)
            .clone()),
        (Task::Empty, [value]) => Ok(Val::Bool(!value.is_true())),
        (Task::Coalesce, values) => Ok(values
            .iter()
            .find(|value| value.is_true())
            .cloned()
            .unwrap_or(Val::NilAny)),
        (Task::Ternary, [yes, no, Val::Bool(which)]) => Ok(if *which { yes.clone() } else { no.clone() }),
        (Task::Quote | Task::Squote, values) => Ok(quoted(task, values, buffer)),
        (Task::Add, values) => Ok(Val::Int64(
            values
                .iter()
                .fold(0, |sum, value| sum.wrapping_add(to_int(value))),
        )),
        (Task::Add1, [value]) => Ok(Val::Int64(to_int(value).wrapping_add(1))),
        (Task::Sub, [left, right]) => Ok(Val::Int64(to_int(left).wrapping_sub(to_int(right)))),
        (Task::Mul, [first, rest @ ..]) => {
            let product = rest.iter().fold(to_int(first), |product, value| {
                product.wrapping_mul(to_int(value))
            });
            Ok(Val::Int64(product))
        }
        (Task::Div | Task::Mod, [left, right]) => {
            let (left, right) = (to_int(left), to_int(right));
            if right == 0 {
                return Err("the divisor is zero".to_owned());
            }
            Ok(Val::Int64(if task == Task::Div {
                left.wrapping_div(right)
            } else {
                left.wrapping_rem(right)
            }))
        }
        (Task::Int, [value]) => Ok(Val::Int(to_int(value))),
        (Task::ToString, [value]) => Ok(Val::Text(text_of(value, buffer))),
        (Task::Join, [Val::Text(separator), value]) => {
            for (index, part) in strings(value, buffer).iter().enumerate() {
                if index > 0 {
                    buffer.push(separator.bytes.as_slice());
                }
                buffer.push(part.as_slice());
            }
            Ok(made(buffer))
        }
        (Task::Trunc, [Val::Int(length), Val::Text(text)]) => Ok(truncated(*length, text)),
        (Task::Indent | Task::Nindent, [Val::Int(spaces), Val::Text(text)]) => {
            indented(*spaces, text, task == Task::Nindent, buffer)
        }
        (_, [Val::Text(text)]) => one_text(task, text, buffer),
        (_, [Val::Text(first), Val::Text(second)]) => Ok(two_texts(task, &first.bytes, &second.bytes)),
        (Task::Replace, [Val::Text(old), Val::Text(new), Val::Text(text)]) => {
            replace(
                old.bytes.as_slice(),
                new.bytes.as_slice(),
                text.bytes.as_slice(),
                buffer,
            );
            Ok(made(buffer))
        }
        _ => Err("it takes other arguments".to_owned()),
    }
}

/// sprig's `toInt64`: what is no number is 0.
fn to_int(value: &Val<'_>) -> i64 {
    match value {
        Val::Int(number) | Val::Int64(number) => *number,
        Val::Byte(number) => i64::from(*number),
        Val::Float(number) => float_to_int(*number),
        Val::Bool(truth) => i64::from(*truth),
        Val::Text(text) => std::str::from_utf8(text.bytes.as_slice())
            .ok()
            .and_then(|text| parse_int(without_zeros(text)))
            .unwrap_or(0),
        Val::Nil | Val::NilAny | Val::Complex(..) | Val::List(_) | Val::Map(_) => 0,
    }
}

/// The text without a fraction of zeros.
fn without_zeros(text: &str) -> &str {
    match text.trim_end_matches('0').strip_suffix('.') {
        Some(whole) if text.ends_with('0') => whole,
        _ => text,
    }
}

/// sprig's `strval`.
fn text_of<'a>(value: &Val<'a>, buffer: &mut Buffer) -> Text<'a> {
    if let Val::Text(text) = value {
        return text.clone();
    }
    format::plain(value, buffer);
    Text {
        bytes: Bytes::Shared(buffer.take().into()),
        origin: None,
    }
}

/// sprig's `strslice`: the values that are not null, as texts.
fn strings<'a>(value: &Val<'a>, buffer: &mut Buffer) -> Vec<Bytes<'a>> {
    match value {
        Val::Nil | Val::NilAny => Vec::new(),
        Val::List(list) => list
            .iter()
            .filter(|element| !element.is_nil())
            .map(|element| text_of(&element, buffer).bytes)
            .collect(),
        other => vec![text_of(other, buffer).bytes],
    }
}

fn quoted<'a>(task: Task, values: &[Val<'a>], buffer: &mut Buffer) -> Val<'a> {
    let texts: Vec<Bytes<'a>> = values
        .iter()
        .filter(|value| !value.is_nil())
        .map(|value| text_of(value, buffer).bytes)
        .collect();
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            buffer.push_str(" ");
        }
        if task == Task::Quote {
            buffer.push_str(&quote::string(text.as_slice(), false));
        } else {
            buffer.push_str("'");
            buffer.push(text.as_slice());
            buffer.push_str("'");
        }
    }
    let origin = match texts.as_slice() {
        [only] => Some(Rc::new(Origin::Quoted(only.clone()))),
        _ => None,
    };
    Val::Text(Text {
        bytes: Bytes::Shared(buffer.take().into()),
        origin,
    })
}

fn truncated<'a>(length: i64, text: &Text<'a>) -> Val<'a> {
    let end = text.bytes.as_slice().len();
    let wanted = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    if wanted >= end {
        return Val::Text(text.clone());
    }
    if length < 0 {
        text.bytes.part(end - wanted, end).to_val()
    } else {
        text.bytes.part(0, wanted).to_val()
    }
}

fn indented<'a>(spaces: i64, text: &Text<'a>, newline: bool, buffer: &mut Buffer) -> Result<Val<'a>, String> {
    let Ok(spaces) = usize::try_from(spaces) else {
        return Err("the number of spaces is negative".to_owned());
    };
    if newline {
        buffer.push_str("\n");
    }
    for (index, line) in text.bytes.as_slice().split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            buffer.push_str("\n");
        }
        buffer.fill(b' ', spaces);
        buffer.push(line);
    }
    let origin = Some(Rc::new(Origin::Indented {
        spaces,
        newline,
        of: text.clone(),
    }));
    Ok(Val::Text(Text {
        bytes: Bytes::Shared(buffer.take().into()),
        origin,
    }))
}

fn one_text<'a>(task: Task, text: &Text<'a>, buffer: &mut Buffer) -> Result<Val<'a>, String> {
    let bytes = text.bytes.as_slice();
    match task {
        Task::Trim => {
            let (start, end) = trimmed(bytes);
            return Ok(text.bytes.part(start, end).to_val());
        }
        Task::Upper => unicode::map(bytes, unicode::to_upper, buffer),
        Task::Lower => unicode::map(bytes, unicode::to_lower, buffer),
        Task::Title => unicode::title(bytes, buffer),
        Task::Base64Encode => base64_text::encode(bytes, buffer),
        Task::Base64Decode => match base64_text::decode(bytes) {
            Ok(decoded) => buffer.push(&decoded),
            Err(at) => buffer.push_str(&format!("illegal base64 data at input byte {at}")),
        },
        Task::Sha256 => {
            for byte in sha2::Sha256::digest(bytes) {
                buffer.push_str(&format!("{byte:02x}"));
            }
        }
        _ => return Err("it takes other arguments".to_owned()),
    }
    Ok(made(buffer))
}

/// What is left without the white space around it.
fn trimmed(bytes: &[u8]) -> (usize, usize) {
    let is_space = |character: &Result<char, u8>| character.is_ok_and(unicode::is_space);
    let width = |character: Result<char, u8>| character.map_or(1, char::len_utf8);
    let start: usize = quote::characters(bytes).take_while(is_space).map(width).sum();
    let mut end = start;
    let mut at = start;
    for character in quote::characters(&bytes[start..]) {
        let is_space = is_space(&character);
        at += width(character);
        if !is_space {
            end = at;
        }
    }
    (start, end)
}

fn two_texts<'a>(task: Task, first: &Bytes<'a>, text: &Bytes<'a>) -> Val<'a> {
    let (pattern, bytes) = (first.as_slice(), text.as_slice());
    match task {
        Task::Contains => Val::Bool(find(bytes, pattern, 0).is_some()),
        Task::HasPrefix => Val::Bool(bytes.starts_with(pattern)),
        Task::HasSuffix => Val::Bool(bytes.ends_with(pattern)),
        Task::TrimPrefix if bytes.starts_with(pattern) => text.part(pattern.len(), bytes.len()).to_val(),
        Task::TrimSuffix if bytes.ends_with(pattern) => text.part(0, bytes.len() - pattern.len()).to_val(),
        Task::SplitList => Val::List(List::Strings(split(pattern, text).into())),
        Task::Split => {
            let parts = split(pattern, text).into_iter().enumerate();
            let map: BTreeMap<_, _> = parts
                .map(|(index, part)| (Bytes::Shared(format!("_{index}").into_bytes().into()), part))
                .collect();
            Val::Map(Map::Strings(Rc::new(map)))
        }
        _ => text.to_val(),
    }
}

fn find(bytes: &[u8], pattern: &[u8], from: usize) -> Option<usize> {
    if pattern.is_empty() {
        return Some(from);
    }
    bytes[from..]
        .windows(pattern.len())
        .position(|window| window == pattern)
        .map(|at| from + at)
}

/// Go's `strings.Split`: without a separator into characters.
fn split<'a>(separator: &[u8], text: &Bytes<'a>) -> Vec<Bytes<'a>> {
    let bytes = text.as_slice();
    let mut parts = Vec::new();
    let mut start = 0;
    if separator.is_empty() {
        while start < bytes.len() {
            let length = quote::decode(&bytes[start..]).1;
            parts.push(text.part(start, start + length));
            start += length;
        }
        return parts;
    }
    while let Some(at) = find(bytes, separator, start) {
        parts.push(text.part(start, at));
        start = at + separator.len();
    }
    parts.push(text.part(start, bytes.len()));
    parts
}

/// Go's `strings.ReplaceAll`: an empty pattern is before every character and at the end.
fn replace(old: &[u8], new: &[u8], bytes: &[u8], buffer: &mut Buffer) {
    let mut start = 0;
    if old.is_empty() {
        buffer.push(new);
        while start < bytes.len() && !buffer.is_full() {
            let length = quote::decode(&bytes[start..]).1;
            buffer.push(&bytes[start..start + length]);
            buffer.push(new);
            start += length;
        }
        return;
    }
    while let Some(at) = find(bytes, old, start).filter(|_| !buffer.is_full()) {
        buffer.push(&bytes[start..at]);
        buffer.push(new);
        start = at + old.len();
    }
    buffer.push(&bytes[start..]);
}
