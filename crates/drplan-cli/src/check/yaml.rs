//! YAML as a tree in which every key and value knows where it stands.

use std::{fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::{
    Location, Spanned,
    options::{DuplicateKeyPolicy, Options},
};

/// A value and the bytes it is written in.
#[derive(Clone, Debug)]
pub(crate) struct Yaml {
    /// Of a scalar all of its bytes, quotes included; of a list or an object at least its beginning.
    pub(crate) span: Range<usize>,
    /// What it is.
    pub(crate) node: Node,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Text, a number, true, false or null.
    Scalar(Value),
    /// A list.
    List(Vec<Yaml>),
    /// An object, its keys in the order they are written, repeated ones included.
    Object(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// As written.
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) key_span: Range<usize>,
    /// The value.
    pub(crate) value: Yaml,
}

/// What keeps a text from being YAML, or from meaning what it seems to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct YamlError {
    /// Where, in bytes.
    pub(crate) span: Range<usize>,
    /// What, in one sentence.
    pub(crate) message: String,
}

/// Reads one document.
///
/// # Errors
/// The first thing that is no YAML: a parser cannot tell what comes after it.
pub(crate) fn read(text: &str) -> Result<Yaml, YamlError> {
    let spanned: Spanned<RawNode> =
        serde_saphyr::from_str_with_options(text, options(DuplicateKeyPolicy::LastWins))
            .map_err(|error| yaml_error(text, &error))?;
    Ok(place(spanned))
}

/// The keys that stand twice in one object, as strict clients refuse them: where each stands again.
pub(crate) fn repeated_keys(text: &str, root: &Yaml) -> Vec<YamlError> {
    let mut found = Vec::new();
    gather_repeated(text, root, &mut found);
    if found.is_empty() {
        // Keys such as 11 and 0xB are one key, which only the reader can tell.
        let strict: Result<Spanned<RawNode>, _> =
            serde_saphyr::from_str_with_options(text, options(DuplicateKeyPolicy::Error));
        found.extend(strict.err().map(|error| yaml_error(text, &error)));
    }
    found
}

fn gather_repeated(text: &str, yaml: &Yaml, found: &mut Vec<YamlError>) {
    match &yaml.node {
        Node::Scalar(_) => {}
        Node::List(items) => items.iter().for_each(|item| gather_repeated(text, item, found)),
        Node::Object(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                if let Some(first) = entries[..index].iter().find(|first| first.key == entry.key) {
                    let line = 1 + text[..first.key_span.start].matches('\n').count();
                    found.push(YamlError {
                        span: entry.key_span.clone(),
                        message: format!(
                            "key `{}` stands twice in one object (first on line {line}); keep one of them",
                            entry.key
                        ),
                    });
                }
                gather_repeated(text, &entry.value, found);
            }
        }
    }
}

impl Yaml {
    /// The value as JSON. Of a repeated key the last one counts.
    pub(crate) fn to_json(&self) -> Value {
        match &self.node {
            Node::Scalar(value) => value.clone(),
            Node::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Node::Object(entries) => {
                let pairs = entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_json()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    /// The entry of that key, of a repeated one the last.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.node {
            Node::Object(entries) => entries.iter().rev().find(|entry| entry.key == key),
            Node::Scalar(_) | Node::List(_) => None,
        }
    }

    /// The value of that key.
    pub(crate) fn get(&self, key: &str) -> Option<&Yaml> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Yaml] {
        match &self.node {
            Node::List(items) => items,
            Node::Scalar(_) | Node::Object(_) => &[],
        }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.node {
            Node::Scalar(value) => value.as_str(),
            Node::List(_) | Node::Object(_) => None,
        }
    }

    /// Moves every place `by` bytes on.
    pub(crate) fn shift(&mut self, by: usize) {
        shift(&mut self.span, by);
        match &mut self.node {
            Node::Scalar(_) => {}
            Node::List(items) => items.iter_mut().for_each(|item| item.shift(by)),
            Node::Object(entries) => entries.iter_mut().for_each(|entry| {
                shift(&mut entry.key_span, by);
                entry.value.shift(by);
            }),
        }
    }
}

/// Moves `span` `by` bytes on.
pub(crate) fn shift(span: &mut Range<usize>, by: usize) {
    span.start += by;
    span.end += by;
}

fn options(duplicate_keys: DuplicateKeyPolicy) -> Options {
    serde_saphyr::options! {
        duplicate_keys: duplicate_keys,
        // As kubectl reads them: 0644 is 420.
        legacy_octal_numbers: true,
    }
}

fn yaml_error(text: &str, error: &serde_saphyr::Error) -> YamlError {
    let error = error.without_snippet();
    let span = error.location().map_or(0..0, |location| {
        let at = offset_of(text, location.line(), location.column());
        // An error points at a place; its character is what can be shown.
        let length = text[at..].chars().next().map_or(0, char::len_utf8);
        at..at + length
    });
    // The place is told beside the message.
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    let message = message
        .rsplit_once("\n -->")
        .map_or(message, |(message, _)| message);
    YamlError {
        span,
        message: message.trim().to_owned(),
    }
}

/// The byte of a line and column, both from 1; the end of the text if there is no such place.
fn offset_of(text: &str, line: u64, column: u64) -> usize {
    let line = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    let column = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut start = 0;
    for (number, content) in text.split_inclusive('\n').enumerate() {
        if number == line {
            let of_column = content.char_indices().nth(column);
            return start + of_column.map_or(content.trim_end_matches(['\n', '\r']).len(), |(at, _)| at);
        }
        start += content.len();
    }
    text.len()
}

fn bytes_of(location: Location) -> Range<usize> {
    let span = location.span();
    let start = span.byte_offset().unwrap_or(0) as usize;
    start..start + span.byte_len().unwrap_or(0) as usize
}

/// A value as the reader hands it over, with places in the reader's terms.
enum RawNode {
    Scalar(Value),
    List(Vec<Spanned<RawNode>>),
    Object(Vec<(Spanned<String>, Spanned<RawNode>)>),
}

fn place(spanned: Spanned<RawNode>) -> Yaml {
    let span = bytes_of(spanned.referenced);
    let node = match spanned.value {
        RawNode::Scalar(value) => Node::Scalar(value),
        RawNode::List(items) => Node::List(items.into_iter().map(place).collect()),
        RawNode::Object(entries) => {
            let entries = entries.into_iter().map(|(key, value)| Entry {
                key_span: bytes_of(key.referenced),
                key: key.value,
                value: place(value),
            });
            Node::Object(entries.collect())
        }
    };
    Yaml { span, node }
}

impl<'de> Deserialize<'de> for RawNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawNode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawNode, E> {
        Ok(RawNode::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawNode, E> {
        Ok(RawNode::Scalar(value.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<RawNode, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<RawNode, E> {
        // What kubectl sends for 1.0 is 1. Up to 2^53 every whole number has a float of its own.
        if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 {
            return self.visit_i64(value as i64);
        }
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number that JSON does not have"))?;
        Ok(RawNode::Scalar(Value::Number(number)))
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<RawNode, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<RawNode, E> {
        self.visit_f64(value as f64)
    }

    fn visit_str<E>(self, value: &str) -> Result<RawNode, E> {
        Ok(RawNode::Scalar(value.into()))
    }

    fn visit_bytes<E: serde::de::Error>(self, value: &[u8]) -> Result<RawNode, E> {
        let text = std::str::from_utf8(value).map_err(|_| E::custom("binary data that is no text"))?;
        Ok(RawNode::Scalar(text.into()))
    }

    fn visit_unit<E>(self) -> Result<RawNode, E> {
        Ok(RawNode::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<RawNode, E> {
        Ok(RawNode::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawNode, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawNode, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(RawNode::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawNode, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            if entries.len() >= ENTRIES_MAX {
                return Err(A::Error::custom("an object of too many keys"));
            }
            entries.push(entry);
        }
        Ok(RawNode::Object(entries))
    }
}

/// Looking for repeated keys takes the square of their number.
const ENTRIES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scalar_knows_its_bytes() {
        let text = "a: {b: [x, 'y z', 0644]}\nn: no\nü: \"q\"\nblock: |\n  one\n  two\nlast: 1\n";
        let yaml = read(text).unwrap();
        let a = yaml.get("a").unwrap().get("b").unwrap();
        let written: Vec<&str> = a.items().iter().map(|item| &text[item.span.clone()]).collect();
        assert_eq!(written, ["x", "'y z'", "0644"]);
        assert_eq!(&text[yaml.get("n").unwrap().span.clone()], "no");
        assert_eq!(&text[yaml.get("ü").unwrap().span.clone()], "\"q\"");
        assert!(text[yaml.get("block").unwrap().span.clone()].contains("two"));
        assert_eq!(&text[yaml.entry("last").unwrap().key_span.clone()], "last");
        assert_eq!(
            yaml.to_json(),
            serde_json::json!({"a": {"b": ["x", "y z", 420]}, "n": false, "ü": "q", "block": "one\ntwo\n", "last": 1})
        );
    }

    #[test]
    fn every_repeated_key_is_found() {
        let text = "a: 1\nb:\n  c: 1\n  c: 2\na: 2\n";
        let yaml = read(text).unwrap();
        let found = repeated_keys(text, &yaml);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].message.contains("`c`") && found[1].message.contains("first on line 1"));
        let text = "11: a\n0xB: b\n";
        assert_eq!(repeated_keys(text, &read(text).unwrap()).len(), 1);
        let text = "x: &x {a: 1}\ny: {<<: *x, a: 2}\n";
        assert_eq!(repeated_keys(text, &read(text).unwrap()), []);
    }

    #[test]
    fn what_is_no_yaml_has_a_place() {
        let error = read("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.span.start > 5, "{error:?}");
        assert!(!error.message.contains("line"), "{error:?}");
    }
}
