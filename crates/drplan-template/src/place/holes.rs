use crate::buffer::Buffer;
use crate::error::Mistake;
use crate::format;
use crate::json;
use crate::limits::Limits;
use crate::output::Output;
use crate::val::{List, Map, Origin, Text, Val};

/// A text of the author's with an inert letter at every place where a value goes.
pub(super) struct Holes<'o> {
    pub(super) text: &'o [u8],
    places: Vec<usize>,
    fillings: Vec<Filling<'o>>,
}

/// What goes into a hole.
pub(super) struct Filling<'o> {
    /// As Go prints it, but without the indentation of `indent` and `nindent`.
    pub(super) text: String,
    /// What it is where it stands alone.
    pub(super) content: Content<'o>,
    /// The indentation that was asked for.
    pub(super) indent: Option<usize>,
}

pub(super) enum Content<'o> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(String),
    List(List<'o>),
    Map(Map<'o>),
}

impl<'o> Holes<'o> {
    /// Takes the values out of a run's output. An error has the offset of its expression.
    pub(super) fn of(output: &'o Output<'o>, limits: Limits) -> Result<Holes<'o>, (usize, Mistake)> {
        let holes = output.holes.as_deref().unwrap_or_default();
        let mut fillings = Vec::with_capacity(holes.len());
        for hole in holes {
            let text = super::printed(&hole.value, limits).map_err(|kind| (hole.offset, kind))?;
            let content = Content::of(&hole.value, &text).map_err(|kind| (hole.offset, kind))?;
            fillings.push(Filling {
                text,
                content,
                indent: hole.indent,
            });
        }
        Ok(Holes {
            text: &output.bytes,
            places: holes.iter().map(|hole| hole.place).collect(),
            fillings,
        })
    }

    /// A text without holes.
    pub(super) fn without(text: &'o [u8]) -> Holes<'o> {
        Holes {
            text,
            places: Vec::new(),
            fillings: Vec::new(),
        }
    }

    /// The filling of the hole at exactly this place.
    pub(super) fn at(&self, place: usize) -> Option<&Filling<'o>> {
        self.places
            .binary_search(&place)
            .ok()
            .map(|index| &self.fillings[index])
    }

    /// The holes in a part of the text, with their places.
    pub(super) fn within(&self, start: usize, end: usize) -> impl Iterator<Item = (usize, &Filling<'o>)> {
        let first = self.places.partition_point(|place| *place < start);
        let last = self.places.partition_point(|place| *place < end);
        (first..last).map(|index| (self.places[index], &self.fillings[index]))
    }

    /// Whether there is a hole in a part of the text.
    pub(super) fn any_within(&self, start: usize, end: usize) -> bool {
        self.within(start, end).next().is_some()
    }
}

impl<'o> Content<'o> {
    fn of(value: &Val<'o>, text: &str) -> Result<Content<'o>, Mistake> {
        Ok(match value {
            Val::Nil | Val::NilAny => Content::Null,
            Val::Bool(truth) => Content::Bool(*truth),
            Val::Int(number) | Val::Int64(number) => Content::Int(*number),
            Val::Byte(number) => Content::Int(i64::from(*number)),
            Val::Float(number) if number.is_finite() => Content::Float(*number),
            Val::Float(_) | Val::Complex(..) => Content::String(text.to_owned()),
            Val::List(list) => Content::List(list.clone()),
            Val::Map(map) => Content::Map(map.clone()),
            Val::Text(Text {
                origin: Some(origin), ..
            }) => match origin.as_ref() {
                Origin::Tree(tree) => {
                    let mut buffer = Buffer::new(Limits::OUTPUT);
                    format::print(tree, &mut buffer);
                    let printed = String::from_utf8(buffer.into_bytes()).map_err(|_| Mistake::NotUtf8)?;
                    return Content::of(tree, &printed);
                }
                Origin::Quoted(text) => Content::String(
                    String::from_utf8(text.as_slice().to_vec()).map_err(|_| Mistake::NotUtf8)?,
                ),
                Origin::Indented { .. } | Origin::Escaped => Content::String(text.to_owned()),
            },
            Val::Text(_) => Content::String(text.to_owned()),
        })
    }

    /// An element of a list or map.
    pub(super) fn of_element(value: &Val<'o>) -> Result<Content<'o>, Mistake> {
        let text = super::printed(value, Limits::default())?;
        Content::of(value, &text)
    }

    /// Whether it is more than one scalar.
    pub(super) fn is_tree(&self) -> bool {
        matches!(self, Content::List(_) | Content::Map(_))
    }

    /// As JSON, in which every string is one for YAML, too.
    pub(super) fn to_json(&self, limit: usize) -> Result<String, Mistake> {
        let mut buffer = Buffer::new(limit);
        match self {
            Content::Null => buffer.push_str("null"),
            Content::Bool(truth) => buffer.push_str(if *truth { "true" } else { "false" }),
            Content::Int(number) => buffer.push_str(&number.to_string()),
            Content::Float(number) => buffer.push_str(&json::float(*number)),
            Content::String(text) => buffer.push_str(&super::quoted::double(text)),
            Content::List(list) => tree(&Val::List(list.clone()), &mut buffer),
            Content::Map(map) => tree(&Val::Map(map.clone()), &mut buffer),
        }
        if buffer.is_full() {
            return Err(Mistake::TooLong(limit));
        }
        String::from_utf8(buffer.into_bytes()).map_err(|_| Mistake::NotUtf8)
    }
}

/// Writes the value as JSON on one line, with all that YAML cannot hold escaped.
fn tree(value: &Val<'_>, buffer: &mut Buffer) {
    if buffer.is_full() {
        return;
    }
    match value {
        Val::List(list) => {
            buffer.push_str("[");
            for (index, element) in list.iter().enumerate() {
                buffer.push_str(if index > 0 { "," } else { "" });
                tree(&element, buffer);
            }
            buffer.push_str("]");
        }
        Val::Map(map) => {
            buffer.push_str("{");
            for (index, (key, element)) in map.entries().iter().enumerate() {
                buffer.push_str(if index > 0 { "," } else { "" });
                buffer.push_str(&super::quoted::double(&String::from_utf8_lossy(key.as_slice())));
                buffer.push_str(": ");
                tree(element, buffer);
            }
            buffer.push_str("}");
        }
        Val::Text(text) => {
            buffer.push_str(&super::quoted::double(&String::from_utf8_lossy(
                text.bytes.as_slice(),
            )));
        }
        Val::Float(number) if !number.is_finite() => buffer.push_str("null"),
        other => json::write_value(other, false, buffer),
    }
}
