//! Which nodes are keys, and of which map: that is known only at the `:` behind them.

use super::{Key, Scanned, Scanner, Style};

/// A node that is a key if `:` follows.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    /// Of the node, or of the anchor or tag before it.
    pub(super) column: usize,
    /// The start of the line it is on; none if it is on several.
    pub(super) line_start: Option<usize>,
    /// Where it is, and its style, if it is a scalar.
    pub(super) scalar: Option<(usize, usize, Style)>,
    /// Its number among the slots, if it has values.
    pub(super) slot: Option<usize>,
    /// Where `:` may follow without a space: behind quotes and brackets in a flow collection.
    pub(super) adjacent: Option<usize>,
}

impl Scanner<'_> {
    pub(super) fn explicit_key(&mut self) -> Scanned<()> {
        if self.flows.is_empty() {
            if !self.key_allowed {
                return self.fail("a key cannot begin here");
            }
            let column = self.column();
            self.open_level(column);
            if let Some(level) = self.levels.last_mut() {
                level.dashes = false;
            }
        }
        self.key = None;
        self.awaiting = true;
        self.explicit = true;
        self.at += 1;
        Ok(())
    }

    /// Whether the `:` that is here ends a key.
    pub(super) fn is_value(&self) -> bool {
        let adjacent = self.key.is_some_and(|key| key.adjacent == Some(self.at));
        let in_flow = !self.flows.is_empty();
        self.is_blank(1)
            || (in_flow && (adjacent || self.byte(1).is_some_and(|next| b",[]{}".contains(&next))))
    }

    pub(super) fn value(&mut self) -> Scanned<()> {
        let in_flow = !self.flows.is_empty();
        let key = self.key.take();
        if let Some(flow) = self.flows.last() {
            let map = (flow.open == b'{').then_some(flow.number);
            if let Some(key) = key {
                self.note_key(key, map);
            }
        } else if let Some(key) = key {
            if key.line_start != Some(self.line_start) {
                return self.fail("a key must stand on one line");
            }
            self.open_level(key.column);
            let level = self.levels.last_mut().map(|level| {
                level.dashes = false;
                level.number
            });
            self.note_key(key, level);
        } else {
            if !self.key_allowed {
                return self
                    .fail("a : with a space behind it cannot stand in a plain value; put it in quotes");
            }
            let column = self.column();
            self.open_level(column);
        }
        self.key_allowed = !in_flow && key.is_none();
        self.awaiting = true;
        self.at += 1;
        Ok(())
    }

    pub(super) fn note_key(&mut self, key: Candidate, map: Option<usize>) {
        if let Some(slot) = key.slot {
            self.scan.slots[slot].is_key = true;
        }
        if let (Some((start, end, style)), Some(map)) = (key.scalar, map) {
            self.scan.keys.push(Key {
                map,
                start,
                end,
                style,
            });
        }
    }

    /// A node that begins here and is no scalar, if it may be a key.
    pub(super) fn candidate(&mut self) -> Option<Candidate> {
        let (column, line_start) = self.property.take().unwrap_or((self.column(), self.line_start));
        self.explicit = false;
        (self.key_allowed || !self.flows.is_empty()).then_some(Candidate {
            column,
            line_start: Some(line_start),
            scalar: None,
            slot: None,
            adjacent: None,
        })
    }
}
