//! Go's strconv.Quote, and the decoding of bytes that may not be UTF-8.

use crate::unicode;

/// The first character of non-empty bytes and its length; `None` and 1 where they are not UTF-8.
pub(crate) fn decode(bytes: &[u8]) -> (Option<char>, usize) {
    let length = match bytes[0] {
        0..0x80 => return (Some(char::from(bytes[0])), 1),
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return (None, 1),
    };
    let character = bytes
        .get(..length)
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .and_then(|text| text.chars().next());
    (character, if character.is_some() { length } else { 1 })
}

/// The number of characters, counting each byte that is none as one.
pub(crate) fn count(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.chars().count(),
        Err(_) => characters(bytes).count(),
    }
}

/// The characters; `Err` with the byte where it is none.
pub(crate) fn characters(bytes: &[u8]) -> impl Iterator<Item = Result<char, u8>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let (character, length) = decode(rest);
        at += length;
        Some(character.ok_or(rest[0]))
    })
}

/// Go's `Quote`, or `QuoteToASCII`.
pub(crate) fn string(bytes: &[u8], ascii: bool) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for character in characters(bytes) {
        match character {
            Ok(character) => escape(character, '"', ascii, &mut quoted),
            Err(byte) => quoted.push_str(&format!("\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

/// Go's `QuoteRune`, or `QuoteRuneToASCII`.
pub(crate) fn character(character: char, ascii: bool) -> String {
    let mut quoted = String::from("'");
    escape(character, '\'', ascii, &mut quoted);
    quoted.push('\'');
    quoted
}

/// Go's `CanBackquote`.
pub(crate) fn can_be_raw(bytes: &[u8]) -> bool {
    characters(bytes).all(|character| match character {
        Ok('\u{FEFF}' | '`' | '\u{7F}') | Err(_) => false,
        Ok(character) => character >= ' ' || character == '\t',
    })
}

/// Whether Go prints the character as it is.
pub(crate) fn is_printable(character: char) -> bool {
    unicode::is_print(character)
}

fn escape(character: char, quote: char, ascii: bool, quoted: &mut String) {
    if character == quote || character == '\\' {
        quoted.push('\\');
        quoted.push(character);
        return;
    }
    if if ascii {
        matches!(character, ' '..='~')
    } else {
        is_printable(character)
    } {
        quoted.push(character);
        return;
    }
    match character {
        '\u{07}' => quoted.push_str("\\a"),
        '\u{08}' => quoted.push_str("\\b"),
        '\u{0C}' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\u{0B}' => quoted.push_str("\\v"),
        '\0'..' ' | '\u{7F}' => quoted.push_str(&format!("\\x{:02x}", u32::from(character))),
        '\u{80}'..='\u{FFFF}' => quoted.push_str(&format!("\\u{:04x}", u32::from(character))),
        _ => quoted.push_str(&format!("\\U{:08x}", u32::from(character))),
    }
}
