//! What may be printed, how wide it is, and whether there is a terminal.

use std::io::{self, IsTerminal, Write};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` without control characters: what a server or a manifest says must not steer the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Characters without width that change how the others are shown: directions, joiners, marks of order.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Columns that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// `text` in at most `columns`, with `…` (or what `cut` is) where something is left out.
pub(crate) fn fit(text: &str, columns: usize, cut: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(width(cut));
    let mut fitting = head(text, room).to_owned();
    if columns >= width(cut) {
        fitting.push_str(cut);
    }
    fitting
}

/// The beginning of `text` that takes at most `columns`.
pub(crate) fn head(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += c.width().unwrap_or(0);
        if taken > columns {
            return &text[..at];
        }
    }
    text
}

/// `text` in lines of at most `columns`, broken between words, and between characters that stand for words.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(8);
    let mut lines = Vec::new();
    let mut line = String::new();
    for (blank, piece) in text.split_whitespace().flat_map(pieces) {
        let mut piece = piece;
        let blank = blank && !line.is_empty();
        if !line.is_empty() && width(&line) + usize::from(blank) + width(piece) > columns {
            lines.push(std::mem::take(&mut line));
        } else if blank {
            line.push(' ');
        }
        while width(&line) + width(piece) > columns {
            let part = head(piece, columns - width(&line));
            line.push_str(part);
            piece = &piece[part.len()..];
            lines.push(std::mem::take(&mut line));
        }
        line.push_str(piece);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// The parts of `word` that a line may end behind, each with whether a blank stands before it. A wide character is a
/// part of its own, with the closing marks behind it: these do not begin a line.
fn pieces(word: &str) -> Vec<(bool, &str)> {
    let is_mark = |c: char| "、。，：；！？）》」』”’…".contains(c);
    let mut starts = vec![0];
    let mut before: Option<char> = None;
    for (at, c) in word.char_indices() {
        let is_wide = |c: char| c.width() == Some(2);
        if before.is_some_and(|before| (is_wide(before) || is_wide(c)) && !is_mark(c)) {
            starts.push(at);
        }
        before = Some(c);
    }
    let ends = starts.iter().skip(1).copied().chain([word.len()]);
    let parts = starts.iter().zip(ends);
    parts
        .map(|(start, end)| (*start == 0, &word[*start..end]))
        .collect()
}

/// `text` with blanks up to `columns`.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let blanks = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(blanks))
}

/// Whether standard output is a terminal that colours are wanted on (`NO_COLOR`, `TERM=dumb` say no).
pub(crate) fn wants_colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    is_terminal() && !refused
}

/// Whether standard output is a terminal that understands more than lines.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether the environment says that the terminal shows more than ASCII.
pub(crate) fn shows_unicode() -> bool {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Columns and rows of the terminal at standard output.
pub(crate) fn size() -> (usize, usize) {
    let set = |name: &str| {
        std::env::var(name)
            .ok()?
            .parse()
            .ok()
            .filter(|number| *number > 0)
    };
    let asked = rustix::termios::tcgetwinsize(io::stdout()).ok();
    let columns = asked
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0);
    let rows = asked
        .map(|size| usize::from(size.ws_row))
        .filter(|rows| *rows > 0);
    (
        columns.or_else(|| set("COLUMNS")).unwrap_or(80),
        rows.or_else(|| set("LINES")).unwrap_or(24),
    )
}

/// Prints to standard output. A reader that has gone, such as `head`, is no reason to stop.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a line to standard output.
pub(crate) fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// Tells something beside the result, to standard error.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_are_counted_and_never_halved() {
        assert_eq!(fit("数据库切换", 7, "…"), "数据库…");
        assert_eq!(fit("数据库切换", 6, "…"), "数据…");
        assert_eq!(fit("abc", 3, "…"), "abc");
        assert_eq!(pad("数据", 6), "数据  ");
        assert_eq!(fit("abc", 0, "…"), "");
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("数据库切换失败了啊", 8), ["数据库切", "换失败了", "啊"]);
        assert_eq!(
            wrap("返回 503：主库仍有未完成的，请等", 12),
            ["返回 503：主", "库仍有未完成", "的，请等"]
        );
        assert_eq!(wrap("", 8), Vec::<String>::new());
        assert_eq!(clean("a\x1b[31mb\u{202e}c\nd"), "a [31mbc d");
    }
}
