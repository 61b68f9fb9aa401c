//! Finds the scalars of a YAML text in which values go, by the rules of YAML for indentation, flow collections and
//! the ends of scalars.

use super::block::Block;
use super::holes::Holes;
use super::quoted::Style;
use crate::error::Mistake;

mod entries;
mod key;
mod scalar;

use key::Candidate;

/// What is to be rewritten, in the order of the text, and the keys of its maps.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) slots: Vec<Slot>,
    pub(super) keys: Vec<Key>,
}

/// A part of the text with values in it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: SlotKind,
    pub(super) is_key: bool,
}

#[derive(Debug)]
pub(super) enum SlotKind {
    Scalar(Style),
    /// A block scalar, and the column of the collection around it.
    Block(Block, i64),
    Comment,
    /// The entries of a map or list that stand among others, at this column of the map or list with this number.
    Entries {
        column: usize,
        collection: usize,
        list: bool,
    },
}

/// A key of the map with the number `map`.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) map: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) style: Style,
}

/// An error and its place in the text.
pub(super) type Scanned<T> = Result<T, (usize, Mistake)>;

/// Scans the text.
pub(super) fn scan(holes: &Holes<'_>) -> Scanned<Scan> {
    let lone = |at: &usize| holes.text[*at] == b'\r' && holes.text.get(at + 1) != Some(&b'\n');
    if let Some(at) = (0..holes.text.len()).find(lone) {
        return Err((
            at,
            Mistake::NotYaml("a carriage return stands without a line feed"),
        ));
    }
    let mut scanner = Scanner {
        holes,
        at: 0,
        line_start: 0,
        levels: Vec::new(),
        flows: Vec::new(),
        key: None,
        key_allowed: true,
        awaiting: false,
        explicit: false,
        property: None,
        collections: 0,
        scan: Scan::default(),
    };
    scanner.run()?;
    Ok(scanner.scan)
}

struct Scanner<'h> {
    holes: &'h Holes<'h>,
    at: usize,
    line_start: usize,
    /// The block collections that are open.
    levels: Vec<Level>,
    /// The flow collections that are open.
    flows: Vec<Flow>,
    /// The last node, if it may turn out to be a key.
    key: Option<Candidate>,
    /// Whether a node here may be a key of a block map or an entry of a block list.
    key_allowed: bool,
    /// Whether a key or a dash has no value yet.
    awaiting: bool,
    /// Whether the next node is a key because `?` stands before it.
    explicit: bool,
    /// The column and line of the anchor or tag before the next node.
    property: Option<(usize, usize)>,
    collections: usize,
    scan: Scan,
}

struct Level {
    column: usize,
    number: usize,
    /// Whether its last entry began with a dash.
    dashes: bool,
}

struct Flow {
    open: u8,
    number: usize,
    /// What it is as a key.
    key: Option<Candidate>,
}

impl Scanner<'_> {
    fn run(&mut self) -> Scanned<()> {
        if self.holes.text.starts_with(b"\xEF\xBB\xBF") {
            self.at = 3;
            self.line_start = 3;
        }
        while self.skip_to_token()? {
            if self.flows.is_empty() {
                self.close_levels();
            }
            self.token()?;
        }
        if self.flows.is_empty() {
            Ok(())
        } else {
            self.fail("a [ or { is never closed")
        }
    }

    /// Skips white space, comments and line breaks; `false` at the end of the text.
    fn skip_to_token(&mut self) -> Scanned<bool> {
        loop {
            match self.byte(0) {
                None => return Ok(false),
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'#') if self.at == self.line_start || self.is_blank_before() => self.comment(),
                Some(b'\n') => self.new_line(1),
                Some(b'\r') => self.new_line(if self.byte(1) == Some(b'\n') { 2 } else { 1 }),
                Some(_) => return Ok(true),
            }
        }
    }

    fn new_line(&mut self, length: usize) {
        self.at += length;
        self.line_start = self.at;
        if self.flows.is_empty() {
            self.key_allowed = true;
            self.key = None;
            self.property = None;
        }
    }

    fn comment(&mut self) {
        let start = self.at;
        self.at = self.line_end();
        if self.holes.any_within(start, self.at) {
            self.slot(start, self.at, SlotKind::Comment);
        }
    }

    /// Closes the block collections that are indented more than the token that is here.
    fn close_levels(&mut self) {
        let column = self.column();
        while self.levels.last().is_some_and(|level| level.column > column) {
            self.levels.pop();
            self.awaiting = false;
        }
    }

    fn token(&mut self) -> Scanned<()> {
        let byte = self.byte(0).unwrap_or(b' ');
        let in_flow = !self.flows.is_empty();
        if self.at == self.line_start && self.is_marker() {
            return self.document();
        }
        if byte == b'%' && self.at == self.line_start && self.levels.is_empty() && !in_flow {
            return self.directive();
        }
        match byte {
            b'[' | b'{' => {
                self.flow_start(byte);
                Ok(())
            }
            b']' | b'}' if in_flow => self.flow_end(byte),
            b',' if in_flow => {
                self.at += 1;
                self.key = None;
                self.awaiting = false;
                Ok(())
            }
            b'-' if !in_flow && self.is_blank(1) => self.dash(),
            b'?' if self.is_blank(1) => self.explicit_key(),
            b':' if self.is_value() => self.value(),
            b'&' | b'*' | b'!' => self.property(byte),
            b'|' | b'>' if !in_flow => self.block(),
            b'\'' | b'"' => self.quoted(byte),
            b'#' | b'@' | b'`' | b'%' | b',' | b']' | b'}' => {
                self.fail("a plain scalar cannot begin with this character; put it in quotes")
            }
            _ => self.node(),
        }
    }

    fn document(&mut self) -> Scanned<()> {
        if !self.flows.is_empty() {
            return self.fail("a [ or { is never closed");
        }
        self.levels.clear();
        self.key = None;
        self.awaiting = false;
        self.at += 3;
        // A block collection does not begin behind `---`, but a node may.
        self.key_allowed = false;
        Ok(())
    }

    fn directive(&mut self) -> Scanned<()> {
        let end = self.line_end();
        if self.holes.any_within(self.at, end) {
            return Err((
                self.at,
                Mistake::Misplaced("an expression stands in a YAML directive"),
            ));
        }
        self.at = end;
        Ok(())
    }

    fn flow_start(&mut self, open: u8) {
        let key = self.candidate();
        let number = self.number();
        self.flows.push(Flow { open, number, key });
        self.key = None;
        self.awaiting = false;
        self.at += 1;
    }

    fn flow_end(&mut self, close: u8) -> Scanned<()> {
        match self.flows.pop() {
            Some(flow) if (flow.open == b'[') == (close == b']') => {
                self.at += 1;
                let at = self.at;
                let one_line = |key: &Candidate| key.line_start == Some(self.line_start);
                self.key = flow
                    .key
                    .filter(|key| !self.flows.is_empty() || one_line(key))
                    .map(|key| Candidate {
                        adjacent: Some(at),
                        ..key
                    });
                self.key_allowed = false;
                self.awaiting = false;
                Ok(())
            }
            _ => self.fail("a ] or } closes nothing, or what was opened by the other one"),
        }
    }

    fn dash(&mut self) -> Scanned<()> {
        if !self.key_allowed {
            return self.fail("an entry of a list cannot begin here");
        }
        let column = self.column();
        self.open_level(column);
        if let Some(level) = self.levels.last_mut() {
            level.dashes = true;
        }
        self.key = None;
        self.awaiting = true;
        self.at += 1;
        Ok(())
    }

    /// Reads an anchor, an alias or a tag.
    fn property(&mut self, byte: u8) -> Scanned<()> {
        let start = self.at;
        let in_flow = !self.flows.is_empty();
        let ends = |byte: &u8| byte.is_ascii_whitespace() || (in_flow && b",[]{}".contains(byte));
        let length = self.holes.text[start..].iter().position(ends);
        let end = length.map_or(self.holes.text.len(), |length| start + length);
        if self.holes.any_within(start, end) {
            return Err((
                start,
                Mistake::Misplaced("an expression stands in an anchor, an alias or a tag of YAML"),
            ));
        }
        // An alias is a node; an anchor or a tag belongs to the node behind it, which has its place as a key.
        if byte == b'*' {
            self.key = self.candidate();
            self.key_allowed = false;
            self.awaiting = false;
        } else {
            self.property
                .get_or_insert((self.at - self.line_start, self.line_start));
        }
        self.at = end;
        Ok(())
    }

    /// Opens a block collection at the column unless one is open there.
    fn open_level(&mut self, column: usize) {
        if self.levels.last().is_none_or(|level| level.column < column) {
            let number = self.number();
            self.levels.push(Level {
                column,
                number,
                dashes: false,
            });
        }
    }

    fn number(&mut self) -> usize {
        self.collections += 1;
        self.collections
    }

    fn slot(&mut self, start: usize, end: usize, kind: SlotKind) {
        self.scan.slots.push(Slot {
            start,
            end,
            kind,
            is_key: false,
        });
    }

    /// The column of the block collection around this place; -1 for none.
    fn parent(&self) -> i64 {
        self.levels
            .last()
            .map_or(-1, |level| i64::try_from(level.column).unwrap_or(i64::MAX))
    }

    fn column(&self) -> usize {
        self.at - self.line_start
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.holes.text.get(self.at + ahead).copied()
    }

    /// Whether there is white space, or nothing more, so far ahead.
    fn is_blank(&self, ahead: usize) -> bool {
        self.byte(ahead).is_none_or(|byte| byte.is_ascii_whitespace())
    }

    fn is_blank_before(&self) -> bool {
        self.holes.text[self.at - 1].is_ascii_whitespace()
    }

    fn is_marker(&self) -> bool {
        is_marker(&self.holes.text[self.at..])
    }

    fn line_end(&self) -> usize {
        let rest = &self.holes.text[self.at..];
        rest.iter()
            .position(|byte| *byte == b'\n')
            .map_or(self.holes.text.len(), |length| self.at + length)
    }

    fn fail<T>(&self, reason: &'static str) -> Scanned<T> {
        Err((self.at, Mistake::NotYaml(reason)))
    }
}

/// Whether the text begins with `---` or `...`, which begin or end a document at the start of a line.
pub(super) fn is_marker(text: &[u8]) -> bool {
    (text.starts_with(b"---") || text.starts_with(b"...")) && text.get(3).is_none_or(u8::is_ascii_whitespace)
}
