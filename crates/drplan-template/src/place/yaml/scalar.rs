//! Scalars: blocks, quoted ones and plain ones, and where they end.

use super::{Scanned, Scanner, SlotKind, is_marker, key::Candidate};
use crate::{
    error::Mistake,
    place::{block::Block, quoted::Style},
};

impl Scanner<'_> {
    pub(super) fn block(&mut self) -> Scanned<()> {
        let parent = self.parent();
        let start = self.at;
        let block = Block::read(self.holes, start, parent).map_err(|kind| (start, kind))?;
        if self.holes.any_within(start, block.end) {
            self.slot(start, block.end, SlotKind::Block(block, parent));
        }
        self.at = block.end;
        self.line_start = block.end;
        self.key = None;
        self.key_allowed = true;
        self.awaiting = false;
        Ok(())
    }

    pub(super) fn quoted(&mut self, quote: u8) -> Scanned<()> {
        let start = self.at;
        let line_start = self.line_start;
        self.at += 1;
        loop {
            match self.byte(0) {
                None => return Err((start, Mistake::NotYaml("a quoted scalar is never closed"))),
                Some(b'\\') if quote == b'"' => self.at += 2,
                Some(b'\'') if quote == b'\'' && self.byte(1) == Some(b'\'') => {
                    self.at += 2;
                }
                Some(byte) => {
                    self.at += 1;
                    if byte == quote {
                        break;
                    }
                    if byte == b'\n' {
                        self.line_start = self.at;
                    }
                }
            }
        }
        let style = if quote == b'"' {
            Style::Double
        } else {
            Style::Single
        };
        self.scalar(start, line_start, style);
        Ok(())
    }

    /// Reads a plain scalar, or the entries that an expression puts here.
    pub(super) fn node(&mut self) -> Scanned<()> {
        let start = self.at;
        let line_start = self.line_start;
        if self.entries()? {
            return Ok(());
        }
        let end = self.plain_end();
        self.at = end;
        self.scalar(start, line_start, Style::Plain);
        Ok(())
    }

    /// Where the plain scalar that begins here ends.
    fn plain_end(&mut self) -> usize {
        let in_flow = !self.flows.is_empty();
        let least = usize::try_from(self.parent() + 1).unwrap_or(0);
        let mut end = self.at;
        let mut at = self.at;
        loop {
            at = self.plain_line_end(at, in_flow);
            end = end.max(at);
            // The next line goes on with the scalar if it is indented enough and is no comment.
            let mut next = at;
            let mut line_start = self.line_start;
            while let Some(byte) = self
                .holes
                .text
                .get(next)
                .filter(|byte| byte.is_ascii_whitespace())
            {
                next += 1;
                if *byte == b'\n' {
                    line_start = next;
                }
            }
            let continues = line_start != self.line_start
                && next < self.holes.text.len()
                && (in_flow || next - line_start >= least)
                && self.holes.text[next] != b'#'
                && !(next == line_start && is_marker(&self.holes.text[next..]))
                && self.plain_line_end(next, in_flow) > next;
            if !continues {
                return end;
            }
            self.line_start = line_start;
            at = next;
        }
    }

    /// Where the part of a plain scalar on the line of `at` ends, without the blanks behind it.
    fn plain_line_end(&self, at: usize, in_flow: bool) -> usize {
        let text = self.holes.text;
        let mut end = at;
        let mut at = at;
        while let Some(byte) = text.get(at) {
            let next = text.get(at + 1);
            let next_blank = next.is_none_or(u8::is_ascii_whitespace);
            let next_flow = in_flow && next.is_some_and(|next| b",[]{}".contains(next));
            match byte {
                b'\n' | b'\r' => break,
                b':' if next_blank || next_flow => break,
                b'#' if end < at => break,
                b',' | b'[' | b']' | b'{' | b'}' if in_flow => break,
                b' ' | b'\t' => {}
                _ => end = at + 1,
            }
            at += 1;
        }
        end
    }

    fn scalar(&mut self, start: usize, line_start: usize, style: Style) {
        let end = self.at;
        let slot = self.holes.any_within(start, end).then(|| {
            self.slot(start, end, SlotKind::Scalar(style));
            self.scan.slots.len() - 1
        });
        let (column, key_line) = self.property.take().unwrap_or((start - line_start, line_start));
        let one_line = self.line_start == key_line;
        let key = Candidate {
            column,
            line_start: one_line.then_some(key_line),
            scalar: Some((start, end, style)),
            slot,
            adjacent: (style != Style::Plain).then_some(end),
        };
        if std::mem::take(&mut self.explicit) {
            let map = match self.flows.last() {
                Some(flow) => Some(flow.number),
                None => self.levels.last().map(|level| level.number),
            };
            self.note_key(key, map);
            self.key = None;
        } else {
            self.key = (self.key_allowed || !self.flows.is_empty()).then_some(key);
        }
        self.key_allowed = false;
        self.awaiting = false;
    }
}
