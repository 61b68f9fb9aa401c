//! What Go knows of characters. Its version of Unicode is not that of Rust, so the tables are Go's.

use crate::buffer::Buffer;
use crate::quote;

pub(crate) mod tables;

/// Go's `unicode.IsLetter`.
pub(crate) fn is_letter(character: char) -> bool {
    if character.is_ascii() {
        character.is_ascii_alphabetic()
    } else {
        contains(tables::LETTERS, character)
    }
}

/// Go's `unicode.IsDigit`.
pub(crate) fn is_digit(character: char) -> bool {
    if character.is_ascii() {
        character.is_ascii_digit()
    } else {
        contains(tables::DIGITS, character)
    }
}

/// Go's `unicode.IsSpace`.
pub(crate) fn is_space(character: char) -> bool {
    contains(tables::SPACES, character)
}

/// Go's `strconv.IsPrint`.
pub(crate) fn is_print(character: char) -> bool {
    if character.is_ascii() {
        matches!(character, ' '..='~')
    } else {
        contains(tables::PRINTABLE, character)
    }
}

/// Go's `unicode.ToUpper`.
pub(crate) fn to_upper(character: char) -> char {
    if character.is_ascii() {
        character.to_ascii_uppercase()
    } else {
        shifted(tables::UPPER, character)
    }
}

/// Go's `unicode.ToLower`.
pub(crate) fn to_lower(character: char) -> char {
    if character.is_ascii() {
        character.to_ascii_lowercase()
    } else {
        shifted(tables::LOWER, character)
    }
}

/// Writes the text with every character changed; a byte that is none becomes U+FFFD.
pub(crate) fn map(bytes: &[u8], change: fn(char) -> char, buffer: &mut Buffer) {
    for character in quote::characters(bytes) {
        buffer.push_char(change(character.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
}

/// Go's `strings.Title`: the first letter of every word in title case.
pub(crate) fn title(bytes: &[u8], buffer: &mut Buffer) {
    let mut before = ' ';
    for character in quote::characters(bytes) {
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        let begins = is_separator(before);
        buffer.push_char(if begins {
            shifted(tables::TITLE, character)
        } else {
            character
        });
        before = character;
    }
}

/// Go's rule for the end of a word in `strings.Title`.
fn is_separator(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_alphanumeric() && character != '_';
    }
    !is_letter(character) && !is_digit(character) && is_space(character)
}

fn contains(ranges: &[(u32, u32)], character: char) -> bool {
    let code = u32::from(character);
    let index = ranges.partition_point(|(_, last)| *last < code);
    ranges.get(index).is_some_and(|(first, _)| *first <= code)
}

fn shifted(runs: &[(u32, u32, u32, i32)], character: char) -> char {
    let code = u32::from(character);
    let index = runs.partition_point(|(_, last, _, _)| *last < code);
    match runs.get(index) {
        Some((first, _, step, difference)) if *first <= code && (code - first).is_multiple_of(*step) => code
            .checked_add_signed(*difference)
            .and_then(char::from_u32)
            .unwrap_or(character),
        _ => character,
    }
}
