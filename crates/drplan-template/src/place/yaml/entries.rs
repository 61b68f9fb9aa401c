use super::{Scanned, Scanner, SlotKind, is_marker};
use crate::error::Mistake;
use crate::place::holes::Content;

/// The ends of plain scalars, and entries that expressions make.
impl Scanner<'_> {
    /// Where the plain scalar that begins here ends.
    pub(super) fn plain_end(&mut self) -> usize {
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

    /// Takes an expression that makes a map or a list and stands alone on its line for entries among others, or in
    /// place of them.
    pub(super) fn entries(&mut self) -> Scanned<bool> {
        let start = self.at;
        let Some(filling) = self.holes.at(start).filter(|_| self.flows.is_empty()) else {
            return Ok(false);
        };
        let rest = &self.holes.text[start + 1..self.line_end()];
        let alone = rest.iter().all(u8::is_ascii_whitespace)
            && self.holes.text[self.line_start..start]
                .iter()
                .all(|byte| *byte == b' ');
        if !alone || !(filling.content.is_tree() || filling.text.is_empty()) {
            return Ok(false);
        }
        let column = self.column();
        let level = self
            .levels
            .last()
            .map(|level| (level.column, level.number, level.dashes));
        let list = matches!(filling.content, Content::List(_));
        let among = level.is_some_and(|(level, _, _)| level == column);
        if !filling.content.is_tree() && !among {
            // Nothing, where a value is to come: the value is the empty string.
            return Ok(false);
        }
        if among {
            let (_, number, dashes) = level.unwrap_or_default();
            let fits = !filling.content.is_tree() || list == dashes || (list && self.awaiting);
            if !fits {
                let what = if list {
                    "an expression puts a list among the keys of a map"
                } else {
                    "an expression puts a map among the entries of a list"
                };
                return Err((start, Mistake::Misplaced(what)));
            }
            self.slot(
                start,
                start + 1,
                SlotKind::Entries {
                    column,
                    collection: number,
                    list,
                },
            );
        } else if self.next_column() == Some(column) {
            self.open_level(column);
            let Some(level) = self.levels.last_mut() else {
                return Ok(false);
            };
            level.dashes = list;
            let collection = level.number;
            self.slot(
                start,
                start + 1,
                SlotKind::Entries {
                    column,
                    collection,
                    list,
                },
            );
        } else {
            return Ok(false);
        }
        self.at += 1;
        self.key = None;
        self.awaiting = false;
        Ok(true)
    }

    /// The column of the next line with something on it, unless the document ends before it.
    fn next_column(&self) -> Option<usize> {
        let text = self.holes.text;
        let mut line = self.line_end() + 1;
        while line < text.len() {
            let spaces = text[line..].iter().take_while(|byte| **byte == b' ').count();
            let first = text.get(line + spaces)?;
            if !matches!(first, b'\n' | b'\r' | b'#') {
                return (spaces > 0 || !is_marker(&text[line..])).then_some(spaces);
            }
            line += text[line..].iter().position(|byte| *byte == b'\n')? + 1;
        }
        None
    }
}
