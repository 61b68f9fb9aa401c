//! URLs and headers.

use super::{Placed, printed};
use crate::buffer::Buffer;
use crate::error::Mistake;
use crate::escape;
use crate::limits::Limits;
use crate::output::{Hole, Output};
use crate::val::{Origin, Text, Val};

/// A URL. A value at the very start may be any prefix of one; elsewhere it cannot have characters that separate the
/// parts of a URL unless they are escaped, and it cannot make a segment `.` or `..` of the path.
///
/// The values of expressions at the offsets for which `encoded` holds are percent-encoded.
pub(super) fn url(output: &Output<'_>, limits: Limits, encoded: &dyn Fn(usize) -> bool) -> Placed<String> {
    let mut url = Vec::new();
    let mut at = 0;
    let mut values = Vec::new();
    for hole in output.holes.iter().flatten() {
        url.extend_from_slice(&output.bytes[at..hole.place]);
        let mut value = printed(&hole.value, limits).map_err(|kind| (hole.offset, kind))?;
        if encoded(hole.offset) {
            if !is_escaped(hole) {
                let mut buffer = Buffer::new(limits.output);
                escape::url_query(value.as_bytes(), &mut buffer);
                if buffer.is_full() {
                    return Err((hole.offset, Mistake::TooLong(limits.output)));
                }
                value =
                    String::from_utf8(buffer.into_bytes()).map_err(|_| (hole.offset, Mistake::NotUtf8))?;
            }
        } else if let Some(character) = refused(hole, &value, &url) {
            return Err((hole.offset, Mistake::UrlCharacter(character)));
        }
        if hole.place > 0 {
            values.push((url.len(), url.len() + value.len(), hole.offset));
        }
        url.extend_from_slice(value.as_bytes());
        at = hole.place + 1;
    }
    url.extend_from_slice(&output.bytes[at..]);
    for (start, end, offset) in values {
        if is_dots(&url, start, end) {
            return Err((offset, Mistake::UrlDots));
        }
    }
    String::from_utf8(url).map_err(|_| (0, Mistake::NotUtf8))
}

/// The first character of the value that cannot stand behind `before`.
fn refused(hole: &Hole<'_>, value: &str, before: &[u8]) -> Option<char> {
    let escaped = is_escaped(hole);
    // pathEscape leaves `@` as it is, which in the authority separates the user from the host.
    let in_authority = match before.windows(3).position(|window| window == b"://") {
        Some(scheme) => !before[scheme + 3..].iter().any(|byte| b"/?#".contains(byte)),
        None => false,
    };
    value.chars().find(|character| {
        character.is_control()
            || match character {
                _ if hole.place == 0 => false,
                '@' => !escaped || in_authority,
                '/' | '?' | '#' | '\\' | '%' => !escaped,
                _ => false,
            }
    })
}

/// Whether the value was piped through `urlquery` or `pathEscape`.
fn is_escaped(hole: &Hole<'_>) -> bool {
    matches!(&hole.value, Val::Text(Text { origin: Some(origin), .. })
        if matches!(origin.as_ref(), Origin::Escaped))
}

/// Whether the segment of the path that a value is in has nothing but one or two dots.
fn is_dots(url: &[u8], start: usize, end: usize) -> bool {
    let separates = |byte: &u8| b"/?#\\".contains(byte);
    let path_end = url
        .iter()
        .position(|byte| b"?#".contains(byte))
        .unwrap_or(url.len());
    if start > path_end {
        return false;
    }
    let from = url[..start].iter().rposition(separates).map_or(0, |at| at + 1);
    let to = url[end..]
        .iter()
        .position(separates)
        .map_or(url.len(), |at| end + at);
    matches!(&url[from..to], b"." | b"..")
}

/// A header's value: no value in it can end it.
pub(super) fn header(output: &Output<'_>, limits: Limits) -> Placed<String> {
    let mut header = Vec::new();
    let mut at = 0;
    for hole in output.holes.iter().flatten() {
        header.extend_from_slice(&output.bytes[at..hole.place]);
        let value = printed(&hole.value, limits).map_err(|kind| (hole.offset, kind))?;
        if let Some(character) = value.chars().find(|character| character.is_control()) {
            return Err((hole.offset, Mistake::HeaderCharacter(character)));
        }
        header.extend_from_slice(value.as_bytes());
        at = hole.place + 1;
    }
    header.extend_from_slice(&output.bytes[at..]);
    String::from_utf8(header).map_err(|_| (0, Mistake::NotUtf8))
}
