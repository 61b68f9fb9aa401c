//! What was to be seen on a terminal, and when.
//!
//! All lines that were ever printed are one long paper, numbered from 0. The screen is a window that moves down on it.

use std::num::NonZeroU16;
use std::time::Duration;

use anyhow::Context;
use vt100::{Color, Parser};

use super::terminal::Recording;

/// A moment of the film: what changes within it is seen at its end only. Fast enough for a spinner to be seen turning.
const MOMENT: Duration = Duration::from_millis(400);
/// A drawing may come in several pieces. One that follows so soon belongs to the piece before.
const TOGETHER: Duration = Duration::from_millis(15);
/// How long the picture may stand still: time enough to read, without the waiting.
const STILL_MAX: Duration = Duration::from_secs(4);
/// Lines that the terminal remembers.
const PAPER_MAX: usize = 10_000;

/// Columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub columns: NonZeroU16,
    /// Rows.
    pub rows: NonZeroU16,
}

impl Size {
    /// A size of that many columns and rows.
    ///
    /// # Errors
    ///
    /// When one of them is 0.
    pub fn new(columns: u16, rows: u16) -> anyhow::Result<Self> {
        Ok(Self {
            columns: NonZeroU16::new(columns).context("a terminal has columns")?,
            rows: NonZeroU16::new(rows).context("a terminal has rows")?,
        })
    }
}

/// How a piece of text looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// One of the 16 colours of terminals; none: that of text.
    pub(super) colour: Option<u8>,
    pub(super) bold: bool,
    pub(super) dim: bool,
}

/// One character: its column, how it looks, and the columns that it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glyph {
    pub(super) column: u16,
    pub(super) style: Style,
    pub(super) text: String,
    pub(super) is_wide: bool,
}

/// What a line of the paper shows, from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) from: Duration,
    pub(super) glyphs: Vec<Glyph>,
}

/// What was to be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Film {
    /// The screen's size.
    pub size: Size,
    /// How long it is, with what comes after the last change.
    pub length: Duration,
    /// For each line of the paper what it shows, in order of time.
    pub(super) lines: Vec<Vec<Version>>,
    /// The line at the top of the screen, each time that it changes.
    pub(super) tops: Vec<(Duration, usize)>,
}

impl Film {
    /// The film of a recording; at its end the last picture stands for `still`.
    pub fn of(recording: &Recording, size: Size, still: Duration) -> Self {
        let mut film = Self {
            size,
            length: Duration::ZERO,
            lines: Vec::new(),
            tops: vec![(Duration::ZERO, 0)],
        };
        let mut parser = Parser::new(size.rows, size.columns, PAPER_MAX);
        let (mut now, mut seen_at) = (Duration::ZERO, Duration::ZERO);
        for (index, (time, bytes)) in recording.pieces.iter().enumerate() {
            parser.process(bytes);
            let next = recording.pieces.get(index + 1).map(|(next, _)| *next);
            let is_whole = next.is_none_or(|next| next.saturating_sub(*time) > TOGETHER);
            let is_seen = next.is_none_or(|next| moment(next) > moment(*time));
            if is_whole && is_seen {
                now += time.saturating_sub(seen_at).min(STILL_MAX);
                seen_at = *time;
                film.look(&mut parser, now);
            }
        }
        film.length = now + still;
        film
    }

    /// Notes what the terminal shows now, and what it has shown since the last look and scrolled away.
    fn look(&mut self, parser: &mut Parser, now: Duration) {
        let screen = parser.screen_mut();
        let top = screen.scrollback_len();
        let known = self.tops.last().map_or(0, |(_, top)| *top);
        for line in known..top {
            screen.set_scrollback(top - line);
            self.note(line, glyphs(screen, 0), now);
        }
        screen.set_scrollback(0);
        for row in 0..self.size.rows.get() {
            self.note(top + usize::from(row), glyphs(screen, row), now);
        }
        if top != known {
            self.tops.push((now, top));
        }
    }

    fn note(&mut self, line: usize, glyphs: Vec<Glyph>, now: Duration) {
        if self.lines.len() <= line {
            self.lines.resize_with(line + 1, Vec::new);
        }
        let versions = &mut self.lines[line];
        let before = versions.last().map_or(&[][..], |version| &version.glyphs);
        if before != glyphs {
            versions.push(Version { from: now, glyphs });
        }
    }
}

fn moment(time: Duration) -> u128 {
    time.as_millis() / MOMENT.as_millis()
}

/// The characters of a row, without the blanks at its end.
fn glyphs(screen: &vt100::Screen, row: u16) -> Vec<Glyph> {
    let (_, columns) = screen.size();
    let mut glyphs: Vec<Glyph> = Vec::new();
    for column in 0..columns.get() {
        let Some(cell) = screen.cell(row, column) else {
            break;
        };
        if cell.is_wide_continuation() {
            continue;
        }
        let colour = match cell.fgcolor() {
            Color::Idx(index) if index < 16 => Some(index),
            Color::Idx(_) | Color::Rgb(..) | Color::Default => None,
        };
        let text = if cell.has_contents() { cell.contents() } else { " " };
        glyphs.push(Glyph {
            column,
            style: Style {
                colour,
                bold: cell.bold(),
                dim: cell.dim(),
            },
            text: text.to_owned(),
            is_wide: cell.is_wide(),
        });
    }
    let end = glyphs.iter().rposition(|glyph| glyph.text != " ");
    glyphs.truncate(end.map_or(0, |end| end + 1));
    glyphs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film(rows: u16, pieces: &[(u64, &str)]) -> anyhow::Result<Film> {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|(millis, text)| (Duration::from_millis(*millis), text.as_bytes().to_vec()))
            .collect();
        let recording = Recording {
            pieces,
            length: Duration::ZERO,
            succeeded: true,
        };
        Ok(Film::of(&recording, Size::new(20, rows)?, Duration::from_secs(5)))
    }

    /// For each line its versions, with their times in milliseconds.
    fn told(film: &Film) -> Vec<Vec<(u128, String)>> {
        let text = |version: &Version| version.glyphs.iter().map(|glyph| glyph.text.as_str()).collect();
        let versions = |line: &Vec<Version>| {
            let versions = line
                .iter()
                .map(|version| (version.from.as_millis(), text(version)));
            versions.collect()
        };
        film.lines.iter().map(versions).collect()
    }

    #[test]
    fn lines_that_scroll_away_are_kept_also_those_that_nobody_saw() -> anyhow::Result<()> {
        let film = film(2, &[(0, "a\r\n"), (1000, "b\r\nc\r\nd\r\n")])?;
        let told: Vec<String> = told(&film).concat().into_iter().map(|(_, text)| text).collect();
        assert_eq!(told, ["a", "b", "c", "d"]);
        assert_eq!(film.tops.last(), Some(&(Duration::from_secs(1), 3)));
        assert_eq!(film.length, Duration::from_secs(6));
        Ok(())
    }

    #[test]
    fn what_is_drawn_over_has_several_versions_and_long_stillness_is_cut() -> anyhow::Result<()> {
        let film = film(
            3,
            &[
                (0, "one\r\n"),
                (1000, "\x1b[1Atwo"),
                (1005, "!\x1b[K\r\n"),
                (60_000, "\x1b[1A\x1b[K\r\n"),
            ],
        )?;
        let versions = [(0, "one"), (1005, "two!"), (5005, "")];
        assert_eq!(
            told(&film)[0],
            versions.map(|(time, text)| (time, text.to_owned()))
        );
        Ok(())
    }
}
