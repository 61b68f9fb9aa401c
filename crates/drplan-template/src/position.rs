use std::fmt;

/// A place in a template's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// 1-based.
    pub line: u32,
    /// 1-based, in characters.
    pub column: u32,
}

/// Where the lines of a source begin, for many positions in it.
pub(crate) struct Lines<'s> {
    source: &'s str,
    starts: Vec<usize>,
}

impl<'s> Lines<'s> {
    pub(crate) fn of(source: &'s str) -> Lines<'s> {
        let breaks = source.match_indices('\n').map(|(at, _)| at + 1);
        Lines {
            source,
            starts: std::iter::once(0).chain(breaks).collect(),
        }
    }

    /// The line and column of the byte `offset`.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset) - 1;
        let rest = &self.source[self.starts[line]..];
        let column = Position::of(rest, offset - self.starts[line]).column;
        Position {
            line: u32::try_from(line + 1).unwrap_or(u32::MAX),
            column,
        }
    }
}

impl Position {
    /// The line and column of the byte `offset` of `source`; the end, if the offset lies beyond it.
    pub(crate) fn of(source: &str, offset: usize) -> Position {
        let before = &source.as_bytes()[..offset.min(source.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |newline| newline + 1);
        // A byte that continues a character (10xxxxxx) is not one of its own.
        let column = before[line_start..]
            .iter()
            .filter(|byte| **byte & 0xC0 != 0x80)
            .count()
            + 1;
        let figure = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Position {
            line: figure(line),
            column: figure(column),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}
