//! `toYaml`, as Helm has it with sigs.k8s.io/yaml: block style, keys in natural order.

use std::cmp::Ordering;

use crate::buffer::Buffer;
use crate::json;
use crate::number::{parse_int, parse_uint};
use crate::quote;
use crate::unicode;
use crate::val::{Bytes, Map, Val};

mod resolve;

pub(crate) use resolve::resolves_to_string;

/// Writes the value as YAML without the last line break; nothing where Go gives up.
pub(crate) fn write(value: &Val<'_>, buffer: &mut Buffer) {
    if !json::is_writable(value, &mut buffer.limit()) {
        return;
    }
    if !is_readable(value, &mut buffer.limit()) {
        return;
    }
    let mut text = Buffer::new(buffer.limit());
    node(value, 0, Place::Root, &mut text);
    if text.is_full() {
        buffer.overflow();
    }
    let text = text.into_bytes();
    buffer.push(text.strip_suffix(b"\n").unwrap_or(&text));
}

/// Whether the JSON of the value can be read as YAML, which is the way it goes in Go.
fn is_readable(value: &Val<'_>, budget: &mut usize) -> bool {
    *budget = budget.saturating_sub(1);
    if *budget == 0 {
        return true;
    }
    let fits = |bytes: &[u8]| {
        quote::characters(bytes).flatten().all(|character| {
            !matches!(character, '\u{7F}'..='\u{84}' | '\u{86}'..='\u{9F}' | '\u{FFFE}' | '\u{FFFF}')
        })
    };
    match value {
        Val::Text(text) => fits(text.bytes.as_slice()),
        Val::List(list) => list.iter().all(|element| is_readable(&element, budget)),
        Val::Map(map) => map
            .entries()
            .iter()
            .all(|(key, element)| fits(key.as_slice()) && is_readable(element, budget)),
        _ => true,
    }
}

/// What a node stands behind, which decides about spaces and line breaks before it.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    /// Behind `key:`
    Key,
    /// Behind `-`
    Dash,
}

/// Writes a node and the line break behind it. `indent` is the column of the collection that it would be.
fn node(value: &Val<'_>, indent: usize, place: Place, buffer: &mut Buffer) {
    if buffer.is_full() {
        return;
    }
    match value {
        Val::List(list) if list.len() > 0 => {
            for (index, element) in list.iter().enumerate() {
                // A list in a map is not indented; one in a list begins behind its dash.
                begin(indent, place, index == 0, buffer);
                buffer.push_str("-");
                node(&element, indent + 2, Place::Dash, buffer);
            }
        }
        Val::Map(map) if map.len() > 0 => {
            for (index, (key, element)) in sorted(map).iter().enumerate() {
                begin(indent, place, index == 0, buffer);
                if is_simple_key(key.as_slice()) {
                    scalar(key.as_slice(), indent, true, buffer);
                } else {
                    buffer.push_str("? ");
                    scalar(key.as_slice(), indent + 2, false, buffer);
                    buffer.push_str("\n");
                    buffer.fill(b' ', indent);
                }
                buffer.push_str(":");
                let inner = if matches!(element, Val::List(_)) {
                    indent
                } else {
                    indent + 2
                };
                node(element, inner, Place::Key, buffer);
            }
        }
        leaf => {
            if place != Place::Root {
                buffer.push_str(" ");
            }
            match leaf {
                Val::List(_) => buffer.push_str("[]"),
                Val::Map(_) => buffer.push_str("{}"),
                Val::Text(text) => {
                    let indent = if place == Place::Root { 2 } else { indent };
                    scalar(text.bytes.as_slice(), indent, false, buffer);
                }
                Val::Float(number) => buffer.push_str(&float(*number)),
                other => json::write(other, buffer),
            }
            buffer.push_str("\n");
        }
    }
}

/// Writes what comes before the first or a further entry of a collection.
fn begin(indent: usize, place: Place, first: bool, buffer: &mut Buffer) {
    match (place, first) {
        (Place::Dash, true) => buffer.push_str(" "),
        (Place::Key, true) => {
            buffer.push_str("\n");
            buffer.fill(b' ', indent);
        }
        (Place::Root, true) => {}
        _ => buffer.fill(b' ', indent),
    }
}

/// A float that went through JSON: a whole one that fits is an integer there.
fn float(number: f64) -> String {
    let text = json::float(number);
    match (parse_int(&text), parse_uint(&text)) {
        (None, None) => crate::number::format_float(number, b'g', None),
        _ => text,
    }
}

/// The entries in the order of go-yaml: numbers in names count as numbers.
fn sorted<'a>(map: &Map<'a>) -> Vec<(Bytes<'a>, Val<'a>)> {
    let mut entries = map.entries();
    entries.sort_by(|(left, _), (right, _)| natural(&text(left.as_slice()), &text(right.as_slice())));
    entries
}

fn text(bytes: &[u8]) -> Vec<char> {
    String::from_utf8_lossy(bytes).chars().collect()
}

fn natural(left: &[char], right: &[char]) -> Ordering {
    let Some(at) = left.iter().zip(right).position(|(left, right)| left != right) else {
        return left.len().cmp(&right.len());
    };
    let letters = (unicode::is_letter(left[at]), unicode::is_letter(right[at]));
    match letters {
        (true, true) => return left[at].cmp(&right[at]),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let mut base = 0i64;
    if left[at] == '0' || right[at] == '0' {
        let digits = left[..at]
            .iter()
            .rev()
            .take_while(|character| unicode::is_digit(**character));
        base = i64::from(digits.into_iter().any(|digit| *digit != '0'));
    }
    let number = |text: &[char]| {
        let digits = text[at..]
            .iter()
            .take_while(|character| unicode::is_digit(**character));
        digits.fold((base, 0usize), |(number, length), digit| {
            let digit = i64::from(u32::from(*digit)) - i64::from(b'0');
            (number.wrapping_mul(10).wrapping_add(digit), length + 1)
        })
    };
    let ((left_number, left_length), (right_number, right_length)) = (number(left), number(right));
    left_number
        .cmp(&right_number)
        .then(left_length.cmp(&right_length))
        .then(left[at].cmp(&right[at]))
}

/// Whether a key can stand before its `:` on one line.
fn is_simple_key(key: &[u8]) -> bool {
    /// libyaml's limit.
    const LONGEST: usize = 128;
    key.len() <= LONGEST
        && !String::from_utf8_lossy(key).contains(['\r', '\n', '\u{85}', '\u{2028}', '\u{2029}'])
}

/// Writes a string in the style that go-yaml chooses. `indent` is where its further lines begin.
fn scalar(bytes: &[u8], indent: usize, is_key: bool, buffer: &mut Buffer) {
    let text = String::from_utf8_lossy(bytes);
    let shape = Shape::of(&text);
    let plain = resolves_to_string(&text);
    if text.contains('\n') && shape.block_allowed && !is_key {
        literal(&text, indent, buffer);
    } else if plain && !text.contains('\n') && shape.plain_allowed && !(text.is_empty() && is_key) {
        folded(&text, indent, is_key, buffer);
    } else if plain && !text.contains('\n') && shape.single_allowed {
        buffer.push_str("'");
        folded(&text.replace('\'', "''"), indent, is_key, buffer);
        buffer.push_str("'");
    } else {
        double_quoted(&text, indent, is_key, buffer);
    }
}

fn literal(text: &str, indent: usize, buffer: &mut Buffer) {
    buffer.push_str("|");
    if text.starts_with([' ', '\n', '\u{85}', '\u{2028}', '\u{2029}']) {
        buffer.push_str("2");
    }
    let is_break = |character: char| matches!(character, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut backwards = text.chars().rev();
    let last = backwards.next().is_some_and(is_break);
    let before = backwards.next();
    if !last {
        buffer.push_str("-");
    } else if before.is_none_or(is_break) {
        buffer.push_str("+");
    }
    let mut after_break = true;
    buffer.push_str("\n");
    let body = text.strip_suffix('\n').unwrap_or(text);
    for character in body.chars() {
        if is_break(character) {
            buffer.push_char(character);
            after_break = true;
        } else {
            if after_break {
                buffer.fill(b' ', indent);
            }
            buffer.push_char(character);
            after_break = false;
        }
    }
}

/// libyaml breaks lines at the first single space beyond this column.
const WIDTH: usize = 80;

/// Writes text without line breaks, broken into lines where it is long.
fn folded(text: &str, indent: usize, is_key: bool, buffer: &mut Buffer) {
    let mut column = buffer.column();
    let mut after_space = false;
    let mut characters = text.chars().peekable();
    let mut first = true;
    while let Some(character) = characters.next() {
        let next = characters.peek();
        let breaks = character == ' ' && !is_key && !after_space && column > WIDTH && !first;
        if breaks && next.is_some_and(|next| *next != ' ') {
            buffer.push_str("\n");
            buffer.fill(b' ', indent);
            column = indent;
        } else {
            buffer.push_char(character);
            column += 1;
        }
        after_space = character == ' ';
        first = false;
    }
}

fn double_quoted(text: &str, indent: usize, is_key: bool, buffer: &mut Buffer) {
    buffer.push_str("\"");
    let mut after_space = false;
    let mut characters = text.chars().peekable();
    let mut first = true;
    while let Some(character) = characters.next() {
        let breaks = character == ' ' && !is_key && !after_space && !first;
        after_space = character == ' ';
        first = false;
        if breaks && characters.peek().is_some() && buffer.column() > WIDTH {
            buffer.push_str("\n");
            buffer.fill(b' ', indent);
            if characters.peek() == Some(&' ') {
                buffer.push_str("\\");
            }
            continue;
        }
        match character {
            '"' => buffer.push_str("\\\""),
            '\\' => buffer.push_str("\\\\"),
            '\0' => buffer.push_str("\\0"),
            '\u{07}' => buffer.push_str("\\a"),
            '\u{08}' => buffer.push_str("\\b"),
            '\t' => buffer.push_str("\\t"),
            '\n' => buffer.push_str("\\n"),
            '\u{0B}' => buffer.push_str("\\v"),
            '\u{0C}' => buffer.push_str("\\f"),
            '\r' => buffer.push_str("\\r"),
            '\u{1B}' => buffer.push_str("\\e"),
            '\u{85}' => buffer.push_str("\\N"),
            '\u{2028}' => buffer.push_str("\\L"),
            '\u{2029}' => buffer.push_str("\\P"),
            // libyaml takes every character for a byte order mark if the first one is.
            plain if is_yaml_printable(plain) && !text.starts_with('\u{FEFF}') => buffer.push_char(plain),
            other => {
                let code = u32::from(other);
                buffer.push_str(&match code {
                    0..=0xFF => format!("\\x{code:02X}"),
                    0x100..=0xFFFF => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                });
            }
        }
    }
    buffer.push_str("\"");
}

/// What go-yaml takes for printable; characters beyond the basic plane are not.
fn is_yaml_printable(character: char) -> bool {
    matches!(character, '\n' | ' '..='~' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}')
        && character != '\u{FEFF}'
}

/// Which styles can hold a text, by the rules of libyaml.
struct Shape {
    plain_allowed: bool,
    single_allowed: bool,
    block_allowed: bool,
}

impl Shape {
    fn of(text: &str) -> Shape {
        if text.is_empty() {
            return Shape {
                plain_allowed: true,
                single_allowed: true,
                block_allowed: false,
            };
        }
        let characters: Vec<char> = text.chars().collect();
        let is_break =
            |character: char| matches!(character, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}');
        let is_blank = |index: usize| {
            characters
                .get(index)
                .is_none_or(|next| matches!(next, ' ' | '\t'))
        };
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut breaks, mut break_space, mut space_break) = (false, false, false, false);
        for (index, character) in characters.iter().enumerate() {
            let followed = is_blank(index + 1);
            let before = index.checked_sub(1).map(|before| characters[before]);
            indicators |= match (index, character) {
                (
                    0,
                    '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                    | '`',
                ) => true,
                (0, '?' | '-') | (_, ':') => followed,
                (_, '#') => before.is_some_and(|before| matches!(before, ' ' | '\t') || is_break(before)),
                _ => false,
            };
            special |= !is_yaml_printable(*character);
            breaks |= is_break(*character);
            break_space |= *character == ' ' && before.is_some_and(is_break);
            space_break |= is_break(*character) && before == Some(' ');
        }
        let at_edge = |edge: Option<&char>| edge.is_some_and(|edge| *edge == ' ' || is_break(*edge));
        let edges = at_edge(characters.first()) || at_edge(characters.last());
        let unfit = space_break || special;
        Shape {
            plain_allowed: !(edges || break_space || unfit || breaks || indicators),
            single_allowed: !(break_space || unfit),
            block_allowed: !(unfit || characters.last() == Some(&' ')),
        }
    }
}
