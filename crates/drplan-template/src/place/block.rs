//! Block scalars, `|` and `>`.

use super::holes::Holes;
use super::quoted::{Part, Parts};
use crate::error::Mistake;

/// A block scalar that was found: where its content begins and ends, and what its header says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Block {
    /// Of the `|` or `>`.
    pub(super) start: usize,
    /// Of the first line of the content.
    pub(super) content: usize,
    /// Behind the last line.
    pub(super) end: usize,
    /// Spaces before each line of the content.
    pub(super) indent: usize,
    literal: bool,
    chomp: Chomp,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Chomp {
    Clip,
    Strip,
    Keep,
}

impl Block {
    /// Reads the scalar at `start`. `parent` is the column of the collection around it; -1 for none.
    pub(super) fn read(holes: &Holes<'_>, start: usize, parent: i64) -> Result<Block, Mistake> {
        let text = holes.text;
        let line = text[start..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(text.len(), |at| start + at);
        let mut chomp = Chomp::Clip;
        let mut increment = None;
        let mut at = start + 1;
        while at < line {
            if holes.at(at).is_some() {
                return Err(Mistake::Misplaced(
                    "an expression stands in the header of a block scalar",
                ));
            }
            match text[at] {
                b'-' => chomp = Chomp::Strip,
                b'+' => chomp = Chomp::Keep,
                digit @ b'1'..=b'9' => increment = Some(usize::from(digit - b'0')),
                _ => break,
            }
            at += 1;
        }
        let rest = &text[at..line];
        let blanks = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
            .count();
        if blanks < rest.len() && !(rest[blanks] == b'#' && blanks > 0) {
            return Err(Mistake::NotYaml(
                "the header of a block scalar (| or >) is followed by text on its line",
            ));
        }
        let content = (line + 1).min(text.len());
        // Without a collection around it the text may begin at the margin.
        let least = usize::try_from(parent + 1).unwrap_or(0);
        let indent = match increment {
            Some(increment) => usize::try_from(parent.max(0)).unwrap_or(0) + increment,
            None => detected(text, content).max(least),
        };
        let end = end_of(text, content, indent);
        let literal = text[start] == b'|';
        Ok(Block {
            start,
            content,
            end,
            indent,
            literal,
            chomp,
        })
    }

    /// The text of the scalar.
    pub(super) fn decode(&self, holes: &Holes<'_>) -> Parts {
        let mut parts = Parts::default();
        // The break of the last line with text, and those of blank lines behind it, are not written yet.
        let mut pending = false;
        let mut blank_lines = 0;
        let mut began_blank = false;
        for (start, end) in lines(holes.text, self.content, self.end) {
            let from = (start + self.indent).min(end);
            if from == end {
                blank_lines += 1;
                continue;
            }
            let begins_blank = matches!(holes.text[from], b' ' | b'\t');
            if !self.literal && pending && !began_blank && !begins_blank {
                if blank_lines == 0 {
                    parts.push(' ');
                }
            } else if pending {
                parts.push('\n');
            }
            for _ in 0..blank_lines {
                parts.push('\n');
            }
            push_line(holes, from, end, &mut parts);
            began_blank = begins_blank;
            pending = true;
            blank_lines = 0;
        }
        self.chomp(pending, blank_lines, &mut parts);
        parts
    }

    fn chomp(&self, pending: bool, blank_lines: usize, parts: &mut Parts) {
        // The end of the text counts as the break of its last line, as our reader of YAML has it.
        let kept = match self.chomp {
            Chomp::Strip => 0,
            Chomp::Clip => usize::from(pending),
            Chomp::Keep => usize::from(pending) + blank_lines,
        };
        for _ in 0..kept {
            parts.push('\n');
        }
    }
}

fn push_line(holes: &Holes<'_>, start: usize, end: usize, parts: &mut Parts) {
    let mut at = start;
    while at < end {
        if holes.at(at).is_some() {
            parts.push_hole(at);
            at += 1;
            continue;
        }
        let (character, length) = crate::quote::decode(&holes.text[at..end]);
        parts.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
        at += length;
    }
}

/// The lines of a part of the text, without their breaks.
fn lines(text: &[u8], start: usize, end: usize) -> Vec<(usize, usize)> {
    let mut lines = Vec::new();
    let mut at = start;
    while at < end {
        let newline = text[at..end]
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(end, |length| at + length);
        let stop = if newline > at && text[newline - 1] == b'\r' {
            newline - 1
        } else {
            newline
        };
        lines.push((at, stop));
        at = newline + 1;
    }
    lines
}

/// The indentation of the first line that is not blank, or of the longest blank one before it.
fn detected(text: &[u8], content: usize) -> usize {
    let mut longest = 0;
    for (start, end) in lines(text, content, text.len()) {
        let spaces = text[start..end].iter().take_while(|byte| **byte == b' ').count();
        longest = longest.max(spaces);
        if start + spaces < end {
            return longest.max(spaces);
        }
    }
    longest
}

/// The start of the first line that is not blank and has less indentation, or begins another document.
fn end_of(text: &[u8], content: usize, indent: usize) -> usize {
    for (start, end) in lines(text, content, text.len()) {
        let spaces = text[start..end].iter().take_while(|byte| **byte == b' ').count();
        let is_marker = indent == 0 && super::yaml::is_marker(&text[start..]);
        if start + spaces < end && spaces < indent || is_marker {
            return start;
        }
    }
    text.len()
}

/// The text of a block scalar as it would be read from these bytes; for the check of what was spliced.
pub(super) fn reread(text: &[u8], parent: i64) -> Option<String> {
    let holes = Holes::without(text);
    let block = Block::read(&holes, 0, parent).ok()?;
    if block.end != text.len() {
        return None;
    }
    match block.decode(&holes).0.as_slice() {
        [] => Some(String::new()),
        [Part::Text(text)] => Some(text.clone()),
        _ => None,
    }
}
