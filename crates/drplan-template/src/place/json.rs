//! Splices values into a text that is JSON once they are taken for scalars.

use super::holes::{Content, Holes};
use super::quoted;
use crate::error::Mistake;
use crate::limits::Limits;

/// The text with the values in it; `None` if it is no JSON. An error has its place in the text.
pub(super) fn splice(holes: &Holes<'_>, limit: usize) -> Option<Result<String, (usize, Mistake)>> {
    let mut scanner = Scanner {
        holes,
        at: 0,
        out: String::new(),
        limit,
    };
    match scanner.document() {
        Ok(()) => Some(Ok(scanner.out)),
        Err(Stop::NotJson) => None,
        Err(Stop::Mistake(place, kind)) => Some(Err((place, kind))),
    }
}

enum Stop {
    NotJson,
    Mistake(usize, Mistake),
}

struct Scanner<'h> {
    holes: &'h Holes<'h>,
    at: usize,
    out: String,
    limit: usize,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), Stop> {
        self.space();
        self.value(0)?;
        self.space();
        if self.at < self.holes.text.len() {
            Err(Stop::NotJson)
        } else {
            Ok(())
        }
    }

    fn value(&mut self, depth: u32) -> Result<(), Stop> {
        if depth > Limits::DEPTH {
            return Err(Stop::NotJson);
        }
        if let Some(filling) = self.holes.at(self.at) {
            let json = filling
                .content
                .to_json(self.limit)
                .map_err(|kind| Stop::Mistake(self.at, kind))?;
            self.out.push_str(&json);
            self.at += 1;
            return Ok(());
        }
        match self.byte() {
            Some(b'{') => self.object(depth),
            Some(b'[') => {
                self.copy(1);
                self.space();
                if self.byte() == Some(b']') {
                    self.copy(1);
                    return Ok(());
                }
                loop {
                    self.value(depth + 1)?;
                    if !self.next_of(b']')? {
                        return Ok(());
                    }
                }
            }
            Some(b'"') => self.string().map(|_| ()),
            _ => self.word(),
        }
    }

    fn object(&mut self, depth: u32) -> Result<(), Stop> {
        // Every name, and whether the author wrote it.
        let mut names: std::collections::BTreeMap<String, bool> = std::collections::BTreeMap::new();
        self.copy(1);
        self.space();
        if self.byte() == Some(b'}') {
            self.copy(1);
            return Ok(());
        }
        loop {
            let start = self.at;
            let name = if let Some(filling) = self.holes.at(start) {
                let name = match &filling.content {
                    Content::String(text) => text.clone(),
                    _ => filling.text.clone(),
                };
                self.out.push_str(&quoted::double(&name));
                self.at += 1;
                name
            } else if self.byte() == Some(b'"') {
                self.string()?
            } else {
                return Err(Stop::NotJson);
            };
            let computed = self.holes.within(start, self.at).next().map(|(place, _)| place);
            match names.insert(name, computed.is_none()) {
                Some(before) if !before || computed.is_some() => {
                    return Err(Stop::Mistake(computed.unwrap_or(start), Mistake::DuplicateKey));
                }
                _ => {}
            }
            self.space();
            if self.byte() != Some(b':') {
                return Err(Stop::NotJson);
            }
            self.copy(1);
            self.space();
            self.value(depth + 1)?;
            if !self.next_of(b'}')? {
                return Ok(());
            }
        }
    }

    /// Reads `,` or the end of the collection; `true` if there is another element.
    fn next_of(&mut self, close: u8) -> Result<bool, Stop> {
        self.space();
        match self.byte() {
            Some(b',') => {
                self.copy(1);
                self.space();
                Ok(true)
            }
            Some(byte) if byte == close && self.holes.at(self.at).is_none() => {
                self.copy(1);
                Ok(false)
            }
            _ => Err(Stop::NotJson),
        }
    }

    /// Reads a string; gives its text.
    fn string(&mut self) -> Result<String, Stop> {
        let start = self.out.len();
        self.copy(1);
        loop {
            if let Some(filling) = self.holes.at(self.at) {
                quoted::escape(&filling.text, &mut self.out);
                self.at += 1;
                continue;
            }
            match self.byte() {
                Some(b'"') => {
                    self.copy(1);
                    break;
                }
                Some(b'\\') => {
                    let digits = if self.holes.text.get(self.at + 1) == Some(&b'u') {
                        4
                    } else {
                        0
                    };
                    if self.holes.any_within(self.at, self.at + 2 + digits) {
                        let kind =
                            Mistake::Misplaced("an expression stands inside of an escape of a JSON string");
                        return Err(Stop::Mistake(self.at, kind));
                    }
                    self.copy(2);
                }
                Some(0..0x20) | None => return Err(Stop::NotJson),
                Some(_) => {
                    let length = crate::quote::decode(&self.holes.text[self.at..]).1;
                    self.copy(length);
                }
            }
            if self.out.len() > self.limit {
                return Err(Stop::Mistake(self.at, Mistake::TooLong(self.limit)));
            }
        }
        serde_json::from_str(&self.out[start..]).map_err(|_| Stop::NotJson)
    }

    /// Reads a number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<(), Stop> {
        let rest = &self.holes.text[self.at..];
        let length = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
            .count();
        let word = std::str::from_utf8(&rest[..length]).map_err(|_| Stop::NotJson)?;
        let fits = serde_json::from_str::<serde_json::Value>(word).is_ok();
        if !fits || self.holes.any_within(self.at, self.at + length) {
            return Err(Stop::NotJson);
        }
        self.copy(length);
        Ok(())
    }

    fn space(&mut self) {
        while self
            .byte()
            .is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        {
            self.copy(1);
        }
    }

    fn byte(&self) -> Option<u8> {
        self.holes.text.get(self.at).copied()
    }

    /// Takes over so many of the author's bytes.
    fn copy(&mut self, length: usize) {
        let end = (self.at + length).min(self.holes.text.len());
        self.out
            .push_str(&String::from_utf8_lossy(&self.holes.text[self.at..end]));
        self.at = end;
    }
}
