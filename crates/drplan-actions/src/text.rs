//! Text for people: one line, bounded; and the ends of longer texts.

/// `text` on one line, without control characters, at most `bytes_max` bytes of it and then `…`.
pub(crate) fn one_line(text: &str, bytes_max: usize) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let head = head(&line, bytes_max);
    if head.len() < line.len() {
        format!("{head}…")
    } else {
        line
    }
}

/// The longest beginning of `text` of at most `bytes_max` bytes that ends between characters.
pub(crate) fn head(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The longest end of `text` of at most `bytes_max` bytes that begins between characters.
pub(crate) fn tail(text: &str, bytes_max: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes_max))..]
}

/// The first `bytes_max` bytes of a text as a string, what is no UTF-8 replaced; `cut` tells whether more followed,
/// so that a character cut in two at the end is left out.
pub(crate) fn lossy_head(bytes: &[u8], bytes_max: usize, cut: bool) -> String {
    let whole = match std::str::from_utf8(bytes) {
        Err(error) if cut && error.error_len().is_none() => &bytes[..error.valid_up_to()],
        Ok(_) | Err(_) => bytes,
    };
    let text = String::from_utf8_lossy(whole);
    head(&text, bytes_max).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(head("aäb", 2), "a");
        assert_eq!(head("aäb", 3), "aä");
        assert_eq!(tail("aäb", 2), "b");
        assert_eq!(tail("aäb", 3), "äb");
        assert_eq!(tail("ab", 9), "ab");
        assert_eq!(one_line(" a\nb\u{1b}[1m \t c ", 99), "a b [1m c");
        assert_eq!(one_line("abcdef", 3), "abc…");
    }

    #[test]
    fn bytes_become_text_of_bounded_size() {
        assert_eq!(lossy_head("aä".as_bytes(), 9, false), "aä");
        assert_eq!(lossy_head(&"aä".as_bytes()[..2], 9, true), "a");
        assert_eq!(lossy_head(&"aä".as_bytes()[..2], 9, false), "a\u{fffd}");
        assert_eq!(lossy_head(&[0xff; 4], 6, true), "\u{fffd}\u{fffd}");
        assert_eq!(lossy_head(b"", 4, true), "");
    }
}
