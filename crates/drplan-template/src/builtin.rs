//! Calls a function with arguments that fit it.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::buffer::Buffer;
use crate::compare;
use crate::error::Mistake;
use crate::escape;
use crate::format;
use crate::functions::{Function, Task};
use crate::json;
use crate::regexp::Patterns;
use crate::sprig;
use crate::val::{Bytes, List, Map, Origin, Text, Val};
use crate::yaml_text;

/// Calls the function. Text is made in the buffer, which knows how much there may be. `literal` says whether the
/// first argument is written in the template, so that an error may show it.
pub(crate) fn call<'a>(
    function: Function,
    arguments: Vec<Val<'a>>,
    literal: bool,
    patterns: &mut Patterns,
    buffer: &mut Buffer,
) -> Result<Val<'a>, Mistake> {
    let failed = |reason: &str| Mistake::Call {
        function: function.name(),
        reason: reason.to_owned(),
    };
    let first = arguments.first();
    match (function.task(), arguments.as_slice()) {
        (Task::And | Task::Or, _) => Ok(Val::Nil),
        (Task::Not, [value]) => Ok(Val::Bool(!value.is_true())),
        (Task::Call, _) => Err(failed(
            "a template has no functions among its values; write the name of the function alone",
        )),
        (Task::Len, [value]) => length(value).map_err(|reason| failed(&reason)),
        (Task::Index, [of, indexes @ ..]) => index(of, indexes).map_err(|reason| failed(&reason)),
        (Task::Slice, [of, indexes @ ..]) => slice(of, indexes).map_err(|reason| failed(&reason)),
        (Task::Eq, [value, others @ ..]) => compare::equal(value, others)
            .map(Val::Bool)
            .map_err(|reason| failed(&reason)),
        (Task::Ne, [left, right]) => {
            let equal = compare::equal(left, std::slice::from_ref(right));
            equal
                .map(|equal| Val::Bool(!equal))
                .map_err(|reason| failed(&reason))
        }
        (Task::Lt, [left, right]) => compare::less(left, right)
            .map(Val::Bool)
            .map_err(|reason| failed(&reason)),
        (Task::Le, [left, right]) => compare::less_or_equal(left, right)
            .map(Val::Bool)
            .map_err(|reason| failed(&reason)),
        (Task::Gt, [left, right]) => {
            let less = compare::less_or_equal(left, right);
            less.map(|less| Val::Bool(!less))
                .map_err(|reason| failed(&reason))
        }
        (Task::Ge, [left, right]) => {
            let less = compare::less(left, right);
            less.map(|less| Val::Bool(!less))
                .map_err(|reason| failed(&reason))
        }
        (Task::Html, _) => {
            escape::html(&joined(&arguments, buffer), buffer);
            Ok(made(buffer))
        }
        (Task::Js, _) => {
            escape::js(&joined(&arguments, buffer), buffer);
            Ok(made(buffer))
        }
        (Task::UrlQuery, _) => {
            escape::url_query(&joined(&arguments, buffer), buffer);
            Ok(with_origin(made(buffer), Origin::Escaped))
        }
        (Task::PathEscape, [Val::Text(text)]) => {
            escape::url_path(text.bytes.as_slice(), buffer);
            Ok(with_origin(made(buffer), Origin::Escaped))
        }
        (Task::Print, _) => {
            format::sprint(&arguments, buffer);
            Ok(made(buffer))
        }
        (Task::Printf, [Val::Text(format), values @ ..]) => {
            format::sprintf(format.bytes.as_slice(), values, buffer);
            Ok(made(buffer))
        }
        (Task::Println, _) => {
            format::sprintln(&arguments, buffer);
            Ok(made(buffer))
        }
        (Task::Required, [Val::Text(message), value]) => match value {
            Val::Nil | Val::NilAny => Err(Mistake::Required(shown(message, literal))),
            Val::Text(text) if text.bytes.is_empty() => Err(Mistake::Required(shown(message, literal))),
            _ => Ok(value.clone()),
        },
        (Task::Fail, [Val::Text(message)]) => Err(Mistake::Failed(shown(message, literal))),
        (Task::List, _) => Ok(Val::list(arguments)),
        (Task::Dict, _) => Ok(dict(&arguments, buffer)),
        (Task::Get, [Val::Map(map), Val::Text(key)]) => Ok(map
            .get(key.bytes.as_slice())
            .unwrap_or_else(|| Val::Text(Text::borrowed(b"")))),
        (Task::Get, _) => Ok(Val::Text(Text::borrowed(b""))),
        (Task::HasKey, [Val::Map(map), Val::Text(key)]) => {
            Ok(Val::Bool(map.get(key.bytes.as_slice()).is_some()))
        }
        (Task::HasKey, _) => Ok(Val::Bool(false)),
        (Task::Keys, _) => Ok(keys(&arguments)),
        (Task::First | Task::Last, [value]) => match value {
            Val::List(list) if function.task() == Task::First => Ok(list.get(0).unwrap_or(Val::NilAny)),
            Val::List(list) => Ok(list
                .len()
                .checked_sub(1)
                .and_then(|last| list.get(last))
                .unwrap_or(Val::NilAny)),
            other => Err(failed(&format!("it takes a list, not {}", other.type_name()))),
        },
        (Task::ToJson, [value]) => {
            json::write(value, buffer);
            Ok(with_origin(made(buffer), Origin::Tree(value.clone())))
        }
        (Task::FromJson, [Val::Text(text)]) => Ok(json::read(text.bytes.as_slice())),
        (Task::ToYaml, [value]) => {
            yaml_text::write(value, buffer);
            Ok(with_origin(made(buffer), Origin::Tree(value.clone())))
        }
        (Task::RegexMatch, [Val::Text(pattern), Val::Text(text)]) => Ok(Val::Bool(
            patterns.is_match(pattern.bytes.as_slice(), text.bytes.as_slice()),
        )),
        (Task::RegexReplaceAll, [Val::Text(pattern), Val::Text(text), Val::Text(replacement)]) => {
            let (pattern, text) = (pattern.bytes.as_slice(), text.bytes.as_slice());
            if !patterns.replace_all(pattern, text, replacement.bytes.as_slice(), buffer) {
                return Err(failed(
                    "the pattern is not a regular expression as Go (RE2) has them",
                ));
            }
            Ok(made(buffer))
        }
        _ => match first {
            None if !matches!(
                function.task(),
                Task::Coalesce | Task::Quote | Task::Squote | Task::Add
            ) =>
            {
                Err(failed("it takes an argument"))
            }
            _ => sprig::call(function.task(), &arguments, buffer).map_err(|reason| failed(&reason)),
        },
    }
}

/// What was written to the buffer.
pub(crate) fn made<'a>(buffer: &mut Buffer) -> Val<'a> {
    Val::text(buffer.take())
}

fn with_origin<'a>(text: Val<'a>, origin: Origin<'a>) -> Val<'a> {
    match text {
        Val::Text(Text { bytes, .. }) => Val::Text(Text {
            bytes,
            origin: Some(Rc::new(origin)),
        }),
        other => other,
    }
}

/// The message of `fail` and `required`, unless it is computed and could hold a value.
fn shown(message: &Text<'_>, literal: bool) -> Option<String> {
    literal.then(|| String::from_utf8_lossy(message.bytes.as_slice()).into_owned())
}

/// The arguments as one text, as Go's escaping functions see them.
fn joined(arguments: &[Val<'_>], buffer: &mut Buffer) -> Vec<u8> {
    if let [Val::Text(text)] = arguments {
        return text.bytes.as_slice().to_vec();
    }
    let no_value = Val::Text(Text::borrowed(b"<no value>"));
    let arguments: Vec<Val<'_>> = arguments
        .iter()
        .map(|value| {
            if value.is_nil() {
                no_value.clone()
            } else {
                value.clone()
            }
        })
        .collect();
    format::sprint(&arguments, buffer);
    buffer.take()
}

fn length<'a>(value: &Val<'a>) -> Result<Val<'a>, String> {
    let length = match value {
        Val::Text(text) => text.bytes.as_slice().len(),
        Val::List(list) => list.len(),
        Val::Map(map) => map.len(),
        other => return Err(format!("a value of type {} has no length", other.type_name())),
    };
    Ok(Val::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index<'a>(of: &Val<'a>, indexes: &[Val<'a>]) -> Result<Val<'a>, String> {
    if of.is_nil() {
        return Err("it takes a list, a map or a string first, not nil".to_owned());
    }
    let mut value = of.clone();
    for index in indexes {
        value = match &value {
            Val::Text(text) => {
                let at = place(index, text.bytes.as_slice().len())?;
                let byte = text.bytes.as_slice().get(at).ok_or("the index is out of range")?;
                Val::Byte(*byte)
            }
            Val::List(list) => list
                .get(place(index, list.len())?)
                .ok_or("the index is out of range")?,
            Val::Map(map) => {
                let Val::Text(key) = index else {
                    return Err(format!(
                        "the keys of a map are strings, not {}",
                        index.type_name()
                    ));
                };
                map.get(key.bytes.as_slice()).unwrap_or(match map {
                    Map::Strings(_) => Val::Text(Text::borrowed(b"")),
                    Map::Data(_) | Map::Any(_) => Val::NilAny,
                })
            }
            other => return Err(format!("a value of type {} cannot be indexed", other.type_name())),
        };
    }
    Ok(value)
}

/// An index that is at most `end`.
fn place(index: &Val<'_>, end: usize) -> Result<usize, String> {
    let number = match index {
        Val::Int(number) | Val::Int64(number) => *number,
        Val::Byte(number) => i64::from(*number),
        other => return Err(format!("an index is a whole number, not {}", other.type_name())),
    };
    match usize::try_from(number) {
        Ok(place) if place <= end => Ok(place),
        _ => Err("the index is out of range".to_owned()),
    }
}

fn slice<'a>(of: &Val<'a>, indexes: &[Val<'a>]) -> Result<Val<'a>, String> {
    let length = match of {
        Val::Text(_) if indexes.len() == 3 => return Err("a string takes two indexes".to_owned()),
        Val::Text(text) => text.bytes.as_slice().len(),
        Val::List(list) => list.len(),
        other => return Err(format!("a value of type {} cannot be sliced", other.type_name())),
    };
    if indexes.len() > 3 {
        return Err("there are more than three indexes".to_owned());
    }
    let mut places = [0, length, length];
    for (at, index) in indexes.iter().enumerate() {
        places[at] = place(index, length)?;
    }
    let [start, end, capacity] = places;
    if start > end || end > capacity {
        return Err("the indexes are not in order".to_owned());
    }
    Ok(match of {
        Val::Text(text) => text.bytes.part(start, end).to_val(),
        Val::List(List::Data(list)) => Val::List(List::Data(&list[start..end])),
        Val::List(List::Strings(list)) => Val::List(List::Strings(list[start..end].to_vec().into())),
        Val::List(List::Any(list)) => Val::list(list.items[start..end].to_vec()),
        other => other.clone(),
    })
}

fn dict<'a>(arguments: &[Val<'a>], buffer: &mut Buffer) -> Val<'a> {
    let mut map = BTreeMap::new();
    for pair in arguments.chunks(2) {
        let key = match &pair[0] {
            Val::Text(text) => text.bytes.clone(),
            other => {
                format::plain(other, buffer);
                Bytes::Shared(buffer.take().into())
            }
        };
        map.insert(
            key,
            pair.get(1)
                .cloned()
                .unwrap_or_else(|| Val::Text(Text::borrowed(b""))),
        );
    }
    Val::map(map)
}

/// The keys in order; Go's order is that of the day.
fn keys<'a>(arguments: &[Val<'a>]) -> Val<'a> {
    let mut keys = Vec::new();
    for argument in arguments {
        if let Val::Map(map) = argument {
            keys.extend(map.entries().into_iter().map(|(key, _)| key));
        }
    }
    Val::List(List::Strings(keys.into()))
}
