//! Regular expressions: Go's syntax is translated for the regex crate, which has the same rules for matching.

use std::collections::BTreeMap;

use regex::bytes::{Captures, Regex};

use crate::buffer::Buffer;
use crate::quote;
use crate::unicode;

mod class;
mod translate;

/// The patterns that a run has used so far: a loop compiles each of them once.
#[derive(Default)]
pub(crate) struct Patterns {
    known: BTreeMap<Vec<u8>, Option<Pattern>>,
}

impl Patterns {
    /// How many patterns were compiled.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether the pattern matches somewhere; not, if it is no pattern, as sprig has it.
    pub(crate) fn is_match(&mut self, pattern: &[u8], text: &[u8]) -> bool {
        self.get(pattern)
            .is_some_and(|pattern| pattern.regex.is_match(text))
    }

    /// Writes the text with every match replaced; `$1` and `${name}` stand for groups. `false` if the pattern is
    /// none.
    pub(crate) fn replace_all(
        &mut self,
        pattern: &[u8],
        text: &[u8],
        replacement: &[u8],
        buffer: &mut Buffer,
    ) -> bool {
        let Some(pattern) = self.get(pattern) else {
            return false;
        };
        let mut at = 0;
        for captures in pattern.regex.captures_iter(text) {
            let Some(whole) = captures.get(0).filter(|_| !buffer.is_full()) else {
                break;
            };
            buffer.push(&text[at..whole.start()]);
            pattern.expand(replacement, &captures, buffer);
            at = whole.end();
        }
        buffer.push(&text[at..]);
        true
    }

    fn get(&mut self, pattern: &[u8]) -> Option<&Pattern> {
        if !self.known.contains_key(pattern) {
            self.known.insert(pattern.to_vec(), Pattern::new(pattern));
        }
        self.known.get(pattern)?.as_ref()
    }
}

struct Pattern {
    regex: Regex,
    /// The names of the groups, from the first one on.
    names: Vec<Option<String>>,
}

impl Pattern {
    fn new(pattern: &[u8]) -> Option<Pattern> {
        let translated = translate::translate(std::str::from_utf8(pattern).ok()?)?;
        let regex = Regex::new(&translated.pattern).ok()?;
        Some(Pattern {
            regex,
            names: translated.names,
        })
    }

    /// Writes the replacement of one match, as Go's `Regexp.Expand`.
    fn expand(&self, replacement: &[u8], captures: &Captures<'_>, buffer: &mut Buffer) {
        let mut rest = replacement;
        while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
            buffer.push(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(b"$") {
                buffer.push_str("$");
                rest = after;
                continue;
            }
            let Some((name, after)) = group_name(rest) else {
                buffer.push_str("$");
                continue;
            };
            rest = after;
            let index = match number(name) {
                Some(index) => Some(index),
                None => self
                    .names
                    .iter()
                    .position(|known| known.as_deref() == Some(name))
                    .map(|at| at + 1),
            };
            if let Some(group) = index.and_then(|index| captures.get(index)) {
                buffer.push(group.as_bytes());
            }
        }
        buffer.push(rest);
    }
}

/// The name behind `$`, with or without braces, and what follows.
fn group_name(text: &[u8]) -> Option<(&str, &[u8])> {
    let (braced, start) = match text.strip_prefix(b"{") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let length: usize = quote::characters(start)
        .map_while(Result::ok)
        .take_while(|character| {
            *character == '_' || unicode::is_letter(*character) || unicode::is_digit(*character)
        })
        .map(char::len_utf8)
        .sum();
    let (name, rest) = start.split_at(length);
    let rest = if braced { rest.strip_prefix(b"}")? } else { rest };
    let name = std::str::from_utf8(name).ok()?;
    (!name.is_empty()).then_some((name, rest))
}

fn number(name: &str) -> Option<usize> {
    let plain = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    name.parse().ok().filter(|_| plain && name.len() <= 9)
}
