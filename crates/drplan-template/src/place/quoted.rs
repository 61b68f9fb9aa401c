//! Quoted scalars.

use super::holes::Holes;
use crate::error::Mistake;

/// The text in double quotes, on one line, for JSON and YAML alike.
pub(super) fn double(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    escape(text, &mut quoted);
    quoted.push('"');
    quoted
}

/// Writes text for the inside of double quotes: JSON's escapes, which YAML has, too, for all that YAML cannot hold
/// as it is.
pub(super) fn escape(text: &str, quoted: &mut String) {
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            plain if is_printable(plain) => quoted.push(plain),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    quoted.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
}

/// Whether YAML can hold the character as it is, on one line and in every style.
pub(super) fn is_printable(character: char) -> bool {
    matches!(character, ' '..='~' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
        && !matches!(character, '\u{FEFF}' | '\u{2028}' | '\u{2029}')
}

/// A part of a scalar: the author's text or the hole at a place.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    Text(String),
    Hole(usize),
}

/// The text of a scalar in parts.
#[derive(Debug, Default)]
pub(super) struct Parts(pub(super) Vec<Part>);

impl Parts {
    pub(super) fn push(&mut self, character: char) {
        match self.0.last_mut() {
            Some(Part::Text(text)) => text.push(character),
            _ => self.0.push(Part::Text(character.to_string())),
        }
    }

    pub(super) fn push_hole(&mut self, place: usize) {
        self.0.push(Part::Hole(place));
    }

    /// The text with the values in it.
    pub(super) fn filled(&self, fill: impl Fn(usize) -> String) -> String {
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Hole(place) => fill(*place),
            })
            .collect()
    }
}

/// Reads the inside of a quoted scalar or a plain one over several lines, with YAML's folding of lines.
pub(super) fn decode(holes: &Holes<'_>, start: usize, end: usize, style: Style) -> Result<Parts, Mistake> {
    let mut parts = Parts::default();
    let mut at = start;
    while at < end {
        if holes.at(at).is_some() {
            parts.push_hole(at);
            at += 1;
            continue;
        }
        let rest = &holes.text[at..end];
        let blanks = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        match rest.get(blanks) {
            Some(b'\n' | b'\r') => {
                at += blanks;
                at += fold(&holes.text[at..end], &mut parts);
            }
            _ if blanks > 0 => {
                for byte in &rest[..blanks] {
                    parts.push(char::from(*byte));
                }
                at += blanks;
            }
            Some(b'\'') if style == Style::Single => {
                parts.push('\'');
                at += 2;
            }
            Some(b'\\') if style == Style::Double => {
                at += escaped(holes, at, end, &mut parts)?;
            }
            _ => {
                let (character, length) = crate::quote::decode(rest);
                parts.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
                at += length;
            }
        }
    }
    Ok(parts)
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
}

/// Folds the line breaks at the start of the text and the blanks around them; gives their length.
fn fold(text: &[u8], parts: &mut Parts) -> usize {
    let length = text
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        .count();
    let breaks = line_breaks(&text[..length]);
    if breaks <= 1 {
        parts.push(' ');
    }
    for _ in 1..breaks {
        parts.push('\n');
    }
    length
}

fn line_breaks(text: &[u8]) -> usize {
    let newlines = text.iter().filter(|byte| **byte == b'\n').count();
    let lone_returns = text
        .iter()
        .enumerate()
        .filter(|(at, byte)| **byte == b'\r' && text.get(at + 1) != Some(&b'\n'))
        .count();
    newlines + lone_returns
}

/// Reads an escape; gives its length.
fn escaped(holes: &Holes<'_>, at: usize, end: usize, parts: &mut Parts) -> Result<usize, Mistake> {
    let bad = Mistake::NotYaml("an escape in double quotes is not one of YAML's");
    let letter = *holes.text[at..end].get(1).ok_or_else(|| bad.clone())?;
    if holes.at(at + 1).is_some() {
        return Err(Mistake::Misplaced(
            "an expression stands right behind a backslash in double quotes",
        ));
    }
    let digits = match letter {
        b'x' => 2,
        b'u' => 4,
        b'U' => 8,
        b'\n' | b'\r' => {
            let rest = &holes.text[at + 1..end];
            let newline = if rest.starts_with(b"\r\n") { 2 } else { 1 };
            let blanks = rest[newline..]
                .iter()
                .take_while(|byte| matches!(byte, b' ' | b'\t'))
                .count();
            return Ok(1 + newline + blanks);
        }
        _ => 0,
    };
    if holes.any_within(at, at + 2 + digits) {
        return Err(Mistake::Misplaced(
            "an expression stands inside of an escape in double quotes",
        ));
    }
    let simple = match letter {
        b'0' => '\0',
        b'a' => '\u{07}',
        b'b' => '\u{08}',
        b't' | b'\t' => '\t',
        b'n' => '\n',
        b'v' => '\u{0B}',
        b'f' => '\u{0C}',
        b'r' => '\r',
        b'e' => '\u{1B}',
        b' ' => ' ',
        b'"' => '"',
        b'/' => '/',
        b'\\' => '\\',
        b'N' => '\u{85}',
        b'_' => '\u{A0}',
        b'L' => '\u{2028}',
        b'P' => '\u{2029}',
        b'x' | b'u' | b'U' => {
            let unit = |from: usize| -> Option<u32> {
                let digits = holes
                    .text
                    .get(from..from + digits)
                    .filter(|_| from + digits <= end)?;
                u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
            };
            let first = unit(at + 2).ok_or_else(|| bad.clone())?;
            // JSON writes what is beyond 16 bits as two halves.
            if (0xD800..0xDC00).contains(&first) && holes.text[at + 6..end].starts_with(b"\\u") {
                let second = unit(at + 8).filter(|second| (0xDC00..0xE000).contains(second));
                let code = second.map(|second| 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00));
                parts.push(code.and_then(char::from_u32).ok_or(bad)?);
                return Ok(12);
            }
            parts.push(char::from_u32(first).ok_or(bad)?);
            return Ok(2 + digits);
        }
        _ => return Err(bad),
    };
    parts.push(simple);
    Ok(2)
}
