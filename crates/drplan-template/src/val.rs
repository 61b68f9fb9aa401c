//! The values of a running template. They know Go's types, since those decide what Go accepts and prints.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::value::Value;

/// A value while a template runs; it borrows from the data and the template where it can.
#[derive(Clone, Debug)]
pub(crate) enum Val<'a> {
    /// No value at all: Go's invalid `reflect.Value`, as of a null that was read.
    Nil,
    /// A null that was found in a list or map and is still an `interface{}` to Go.
    NilAny,
    Bool(bool),
    /// `int`, as literals, `len` and `int` have it.
    Int(i64),
    /// `int64`, as data and the sums of sprig have it.
    Int64(i64),
    /// `uint8`, as `index` has it from a string.
    Byte(u8),
    Float(f64),
    Complex(f64, f64),
    Text(Text<'a>),
    List(List<'a>),
    Map(Map<'a>),
}

/// A string of Go's: bytes that need not be UTF-8.
#[derive(Clone, Debug)]
pub(crate) struct Text<'a> {
    pub(crate) bytes: Bytes<'a>,
    /// What the text was made of, where that decides how it is placed into YAML.
    pub(crate) origin: Option<Rc<Origin<'a>>>,
}

/// What functions that write YAML, JSON or quotes were given.
#[derive(Debug)]
pub(crate) enum Origin<'a> {
    /// `toJson` and `toYaml`.
    Tree(Val<'a>),
    /// `quote` and `squote` of one value: its text without the quotes.
    Quoted(Bytes<'a>),
    /// `urlquery` and `pathEscape`.
    Escaped,
    /// `indent` and `nindent`.
    Indented {
        spaces: usize,
        newline: bool,
        of: Text<'a>,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Bytes<'a> {
    Borrowed(&'a [u8]),
    Shared(Rc<[u8]>),
}

#[derive(Clone, Debug)]
pub(crate) enum List<'a> {
    Data(&'a [Value]),
    /// `[]interface{}`
    Any(Nested<Vec<Val<'a>>>),
    /// `[]string`
    Strings(Rc<Vec<Bytes<'a>>>),
}

#[derive(Clone, Debug)]
pub(crate) enum Map<'a> {
    Data(&'a BTreeMap<String, Value>),
    /// `map[string]interface{}`
    Any(Nested<BTreeMap<Bytes<'a>, Val<'a>>>),
    /// `map[string]string`
    Strings(Rc<BTreeMap<Bytes<'a>, Bytes<'a>>>),
}

/// A collection, and how deep collections are nested in it, itself included.
#[derive(Debug)]
pub(crate) struct Nested<T> {
    pub(crate) items: Rc<T>,
    pub(crate) depth: u32,
}

impl<T> Clone for Nested<T> {
    fn clone(&self) -> Self {
        Nested {
            items: Rc::clone(&self.items),
            depth: self.depth,
        }
    }
}

impl<'a> Val<'a> {
    /// The value as Go sees it in the data.
    pub(crate) fn of(value: &'a Value) -> Val<'a> {
        match value {
            Value::Null => Val::NilAny,
            Value::Bool(truth) => Val::Bool(*truth),
            Value::Int(number) => Val::Int64(*number),
            Value::Float(number) => Val::Float(*number),
            Value::String(text) => Val::Text(Text::borrowed(text.as_bytes())),
            Value::List(list) => Val::List(List::Data(list)),
            Value::Map(map) => Val::Map(Map::Data(map)),
        }
    }

    pub(crate) fn text(bytes: impl Into<Rc<[u8]>>) -> Val<'a> {
        Val::Text(Text {
            bytes: Bytes::Shared(bytes.into()),
            origin: None,
        })
    }

    pub(crate) fn is_nil(&self) -> bool {
        matches!(self, Val::Nil | Val::NilAny)
    }

    /// What Go takes for true.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Val::Nil | Val::NilAny => false,
            Val::Bool(truth) => *truth,
            Val::Int(number) | Val::Int64(number) => *number != 0,
            Val::Byte(number) => *number != 0,
            Val::Float(number) => *number != 0.0,
            Val::Complex(real, imaginary) => *real != 0.0 || *imaginary != 0.0,
            Val::Text(text) => !text.bytes.is_empty(),
            Val::List(list) => list.len() > 0,
            Val::Map(map) => map.len() > 0,
        }
    }

    /// Go's name for the type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Val::Nil => "nil",
            Val::NilAny => "interface {}",
            Val::Bool(_) => "bool",
            Val::Int(_) => "int",
            Val::Int64(_) => "int64",
            Val::Byte(_) => "uint8",
            Val::Float(_) => "float64",
            Val::Complex(..) => "complex128",
            Val::Text(_) => "string",
            Val::List(List::Strings(_)) => "[]string",
            Val::List(List::Data(_) | List::Any(_)) => "[]interface {}",
            Val::Map(Map::Strings(_)) => "map[string]string",
            Val::Map(Map::Data(_) | Map::Any(_)) => "map[string]interface {}",
        }
    }

    /// How deep collections are nested in it.
    pub(crate) fn depth(&self) -> u32 {
        match self {
            Val::List(List::Any(list)) => list.depth,
            Val::Map(Map::Any(map)) => map.depth,
            Val::List(_) | Val::Map(_) => 1,
            Val::Nil
            | Val::NilAny
            | Val::Bool(_)
            | Val::Int(_)
            | Val::Int64(_)
            | Val::Byte(_)
            | Val::Float(_)
            | Val::Complex(..)
            | Val::Text(_) => 0,
        }
    }

    pub(crate) fn list(items: Vec<Val<'a>>) -> Val<'a> {
        let depth = 1 + items.iter().map(Val::depth).max().unwrap_or(0);
        Val::List(List::Any(Nested {
            items: Rc::new(items),
            depth,
        }))
    }

    pub(crate) fn map(items: BTreeMap<Bytes<'a>, Val<'a>>) -> Val<'a> {
        let depth = 1 + items.values().map(Val::depth).max().unwrap_or(0);
        Val::Map(Map::Any(Nested {
            items: Rc::new(items),
            depth,
        }))
    }
}

impl<'a> Text<'a> {
    pub(crate) fn borrowed(bytes: &'a [u8]) -> Text<'a> {
        Text {
            bytes: Bytes::Borrowed(bytes),
            origin: None,
        }
    }
}

impl<'a> List<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            List::Data(list) => list.len(),
            List::Any(list) => list.items.len(),
            List::Strings(list) => list.len(),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<Val<'a>> {
        match self {
            List::Data(list) => list.get(index).map(Val::of),
            List::Any(list) => list.items.get(index).cloned(),
            List::Strings(list) => list.get(index).map(Bytes::to_val),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Val<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl<'a> Map<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Map::Data(map) => map.len(),
            Map::Any(map) => map.items.len(),
            Map::Strings(map) => map.len(),
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Val<'a>> {
        let shared = || Bytes::Shared(Rc::from(key));
        match self {
            Map::Data(map) => map.get(std::str::from_utf8(key).ok()?).map(Val::of),
            Map::Any(map) => map.items.get(&shared()).cloned(),
            Map::Strings(map) => map.get(&shared()).map(Bytes::to_val),
        }
    }

    /// The entries in the order of the keys.
    pub(crate) fn entries(&self) -> Vec<(Bytes<'a>, Val<'a>)> {
        match self {
            Map::Data(map) => map
                .iter()
                .map(|(key, value)| (Bytes::Borrowed(key.as_bytes()), Val::of(value)))
                .collect(),
            Map::Any(map) => map
                .items
                .iter()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            Map::Strings(map) => map
                .iter()
                .map(|(key, value)| (key.clone(), value.to_val()))
                .collect(),
        }
    }
}

impl<'a> Bytes<'a> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Borrowed(bytes) => bytes,
            Bytes::Shared(bytes) => bytes,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    pub(crate) fn to_val(&self) -> Val<'a> {
        Val::Text(Text {
            bytes: self.clone(),
            origin: None,
        })
    }

    /// The part from `start` to `end`, without a copy where the data or the template has it.
    pub(crate) fn part(&self, start: usize, end: usize) -> Bytes<'a> {
        match self {
            Bytes::Borrowed(bytes) => Bytes::Borrowed(&bytes[start..end]),
            Bytes::Shared(bytes) => Bytes::Shared(Rc::from(&bytes[start..end])),
        }
    }
}

impl PartialEq for Bytes<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Bytes<'_> {}

impl PartialOrd for Bytes<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bytes<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}
