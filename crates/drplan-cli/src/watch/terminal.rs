//! Draws lines over the lines drawn before, in the terminal's own scrolling text.

use std::io;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::{screen, tree::Line};

/// A place on the screen that is drawn again and again. When it is dropped the last drawing stays, and the terminal is
/// as it was.
pub(super) struct Terminal {
    /// Columns of each line of the last drawing.
    drawn: Vec<usize>,
    last: String,
    before: Option<Termios>,
}

impl Terminal {
    /// Hides the cursor and keeps keys from being shown.
    pub(super) fn open() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_modes.remove(LocalModes::ECHO);
            // A terminal that does not take it shows keys among the lines, no more.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &quiet);
        }
        screen::print("\x1b[?25l");
        Self {
            drawn: Vec::new(),
            last: String::new(),
            before,
        }
    }

    /// Prints `lines` once, to stay.
    pub(super) fn print(lines: &[Line]) {
        let text: String = lines.iter().map(|line| format!("{}\n", shown(line))).collect();
        screen::print(&text);
    }

    /// Replaces the last drawing by `lines`.
    pub(super) fn draw(&mut self, lines: &[Line]) {
        let text: String = lines
            .iter()
            .map(|line| format!("{}\x1b[K\r\n", shown(line)))
            .collect();
        let (columns, rows) = screen::size();
        // A terminal that became narrower has broken the lines that are there.
        let taken: usize = self
            .drawn
            .iter()
            .map(|width| width.div_ceil(columns.max(1)).max(1))
            .sum();
        if text == self.last && taken == self.drawn.len() {
            return;
        }
        // What has scrolled out of sight cannot be drawn over.
        let up = taken.min(rows.saturating_sub(1));
        let up = if up > 0 {
            format!("\x1b[{up}A")
        } else {
            String::new()
        };
        // Shown at once, where the terminal knows how (mode 2026).
        screen::print(&format!("\x1b[?2026h\r{up}{text}\x1b[J\x1b[?2026l"));
        self.drawn = lines.iter().map(Line::width).collect();
        self.last = text;
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        screen::print("\x1b[?25h");
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

fn shown(line: &Line) -> String {
    if screen::wants_colours() {
        line.coloured()
    } else {
        line.plain()
    }
}
