//! Entries that an expression makes, among others or in place of them.

use super::{Scanned, Scanner, SlotKind, is_marker};
use crate::error::Mistake;
use crate::place::holes::Content;

impl Scanner<'_> {
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
