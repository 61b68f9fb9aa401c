//! What the demo prints: headings, lines, and colours where there is a terminal.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stdout};
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

/// Columns that sentences take at most, where the terminal has them.
const WIDTH_MAX: usize = 100;
/// Columns where nobody says how many there are.
const WIDTH: usize = 80;

/// The terminal, or the file that the output goes to.
#[derive(Debug)]
pub(super) struct Screen {
    is_terminal: bool,
    coloured: bool,
    /// How many parts there have been.
    parts: std::sync::atomic::AtomicUsize,
    /// When the run was created. Times are counted from here.
    zero: OnceLock<Timestamp>,
}

/// How a word is shown. Only colours that are legible on black and on white, and nothing that colour alone says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// As it is.
    Plain,
    /// A heading.
    Bold,
    /// What matters less.
    Dim,
    /// What went well.
    Green,
    /// What is to be noticed.
    Magenta,
    /// What went wrong, or was broken on purpose.
    Red,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Green => "32",
            Self::Magenta => "35",
            Self::Red => "1;31",
        }
    }
}

impl Screen {
    /// Colours where standard output is a terminal that has not asked for none (`NO_COLOR`, `TERM=dumb`).
    pub(super) fn new() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            is_terminal: stdout().is_terminal(),
            coloured: stdout().is_terminal() && !refused,
            parts: 0.into(),
            zero: OnceLock::new(),
        }
    }

    /// Gives a person this many seconds to read; nobody waits where there is no terminal.
    pub(super) async fn pause(&self, seconds: f64) {
        if self.is_terminal {
            sleep(Duration::from_secs_f64(seconds)).await;
        }
    }

    /// The text in a colour.
    pub(super) fn ink(&self, ink: Ink, text: impl Display) -> String {
        if self.coloured && ink != Ink::Plain {
            format!("\x1b[{}m{text}\x1b[0m", ink.code())
        } else {
            text.to_string()
        }
    }

    /// Begins a part of the demo.
    pub(super) fn heading(&self, text: &str) {
        let number = self.parts.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        self.line("");
        self.line(self.ink(Ink::Bold, format!("{number}. {text}")));
    }

    /// One line.
    pub(super) fn line(&self, text: impl Display) {
        let mut out = stdout().lock();
        // A reader that has gone, such as `head`, is no reason to stop: the exit code is still wanted.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// Sentences, in as many lines as they take. They hold no colours.
    pub(super) fn say(&self, text: &str) {
        for line in wrap(text, self.width() - 2) {
            self.line(format!("  {line}"));
        }
    }

    /// A name and what belongs to it.
    pub(super) fn entry(&self, name: &str, text: impl Display) {
        self.line(format!("  {}  {text}", self.ink(Ink::Dim, format!("{name:<18}"))));
    }

    /// A word, and sentences beside it.
    pub(super) fn item(&self, ink: Ink, word: &str, text: &str) {
        let mut word = self.ink(ink, format!("{word:<7}"));
        for line in wrap(text, self.width() - 11) {
            self.line(format!("  {word}  {line}"));
            word = " ".repeat(7);
        }
    }

    /// A command that a person could type.
    pub(super) fn command(&self, text: &str) {
        self.line(format!(
            "  {} {}",
            self.ink(Ink::Dim, "$"),
            self.ink(Ink::Bold, text)
        ));
    }

    /// Lines as a program printed them.
    pub(super) fn quote(&self, text: &str) {
        for line in text.trim_end().lines() {
            self.line(format!("  {line}"));
        }
    }

    /// Counts times from here on.
    pub(super) fn start_clock(&self, zero: Timestamp) {
        // Only the first call counts.
        let _ = self.zero.set(zero);
    }

    /// One line of the run with the time that it speaks of, in seconds from the beginning of the run.
    pub(super) fn at(&self, then: Timestamp, text: impl Display) {
        let seconds = self.since_start(then);
        self.line(format!(
            "  {}  {text}",
            self.ink(Ink::Dim, format!("{seconds:>5.2} s"))
        ));
    }

    /// Seconds from the beginning of the run to this time; 0 before it.
    pub(super) fn since_start(&self, then: Timestamp) -> f64 {
        let zero = self.zero.get().copied().unwrap_or(then);
        seconds(zero, then).max(0.0)
    }

    fn width(&self) -> usize {
        let size = rustix::termios::tcgetwinsize(stdout()).ok();
        let columns = size
            .map(|size| usize::from(size.ws_col))
            .filter(|columns| *columns > 0);
        columns.unwrap_or(WIDTH).clamp(20, WIDTH_MAX)
    }
}

/// Seconds from one time to another.
pub(super) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// `text` in lines of at most `columns`, unless a word is longer.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_broken_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("one", 2), ["one"]);
        assert_eq!(wrap("", 2), [""]);
    }
}
