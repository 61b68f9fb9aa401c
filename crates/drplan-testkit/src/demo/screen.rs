//! What the demo prints: headings, lines, and colours where there is a terminal.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stdout};
use std::sync::OnceLock;

use jiff::Timestamp;

/// The terminal, or the file that the output goes to.
#[derive(Debug)]
pub(super) struct Screen {
    coloured: bool,
    /// When the run was created. Times are counted from here.
    zero: OnceLock<Timestamp>,
}

/// How a word is shown.
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
    /// What is under way.
    Yellow,
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
            Self::Yellow => "33",
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
            coloured: stdout().is_terminal() && !refused,
            zero: OnceLock::new(),
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
        self.line("");
        self.line(self.ink(Ink::Bold, text));
    }

    /// One line.
    pub(super) fn line(&self, text: impl Display) {
        let mut out = stdout().lock();
        // A reader that has gone, such as `head`, is no reason to stop: the exit code is still wanted.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// A command that a person could type.
    pub(super) fn command(&self, text: &str) {
        self.line(self.ink(Ink::Dim, format!("  $ {text}")));
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

    /// Seconds from the beginning of the run to `then`, ten characters wide.
    pub(super) fn time(&self, then: Timestamp) -> String {
        let zero = self.zero.get().copied().unwrap_or(then);
        format!("{:>7.2} s", then.duration_since(zero).as_secs_f64().max(0.0))
    }

    /// One line of the run with the time that it speaks of.
    pub(super) fn at(&self, then: Timestamp, text: impl Display) {
        self.line(format!("{}  {text}", self.ink(Ink::Dim, self.time(then))));
    }
}
