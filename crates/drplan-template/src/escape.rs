//! `html`, `js`, `urlquery` and `pathEscape`.

use crate::buffer::Buffer;
use crate::quote;

/// Go's `HTMLEscape`.
pub(crate) fn html(bytes: &[u8], buffer: &mut Buffer) {
    for byte in bytes {
        match byte {
            0 => buffer.push_str("\u{FFFD}"),
            b'"' => buffer.push_str("&#34;"),
            b'\'' => buffer.push_str("&#39;"),
            b'&' => buffer.push_str("&amp;"),
            b'<' => buffer.push_str("&lt;"),
            b'>' => buffer.push_str("&gt;"),
            other => buffer.push(&[*other]),
        }
    }
}

/// Go's `JSEscape`.
pub(crate) fn js(bytes: &[u8], buffer: &mut Buffer) {
    for character in quote::characters(bytes) {
        match character {
            Ok('\\') => buffer.push_str("\\\\"),
            Ok('\'') => buffer.push_str("\\'"),
            Ok('"') => buffer.push_str("\\\""),
            Ok(special @ ('<' | '>' | '&' | '=' | '\0'..' ')) => {
                buffer.push_str(&format!("\\u{:04X}", u32::from(special)));
            }
            Ok(plain) if plain.is_ascii() || quote::is_printable(plain) => buffer.push_char(plain),
            Ok(other) => buffer.push_str(&format!("\\u{:04X}", u32::from(other))),
            // Go takes a stray byte for the replacement character, which is printable, and writes the byte.
            Err(byte) => buffer.push(&[byte]),
        }
    }
}

/// Go's `url.QueryEscape`.
pub(crate) fn url_query(bytes: &[u8], buffer: &mut Buffer) {
    percent(bytes, b"", b' ', buffer);
}

/// Go's `url.PathEscape`.
pub(crate) fn url_path(bytes: &[u8], buffer: &mut Buffer) {
    percent(bytes, b"$&+=:@", 0, buffer);
}

fn percent(bytes: &[u8], also_plain: &[u8], plus: u8, buffer: &mut Buffer) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) || also_plain.contains(byte) {
            buffer.push(&[*byte]);
        } else if *byte == plus && plus != 0 {
            buffer.push_str("+");
        } else {
            buffer.push_str(&format!("%{byte:02X}"));
        }
    }
}
