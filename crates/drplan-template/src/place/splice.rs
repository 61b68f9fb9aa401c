//! Splices values into a YAML text.

use std::collections::BTreeMap;

use super::Placed;
use super::block::{self, Block};
use super::holes::{Content, Filling, Holes};
use super::plain;
use super::quoted::{self, Style};
use super::yaml::{Scan, Slot, SlotKind};
use crate::error::Mistake;

/// YAML wants the `:` within 1024 characters of the start of a key, of which an anchor or a tag may take some.
const KEY: usize = 1000;

/// The text with the values in it. An error has its place in the text.
pub(super) fn splice(holes: &Holes<'_>, scan: &Scan, limit: usize) -> Placed<String> {
    check_keys(holes, scan)?;
    let mut out = Vec::with_capacity(holes.text.len());
    let mut at = 0;
    for slot in &scan.slots {
        out.extend_from_slice(&holes.text[at..slot.start]);
        let text = filled(holes, slot, limit).map_err(|kind| (slot.first_hole(holes), kind))?;
        out.extend_from_slice(text.as_bytes());
        at = slot.end;
        if out.len() > limit {
            return Err((slot.start, Mistake::TooLong(limit)));
        }
    }
    out.extend_from_slice(&holes.text[at..]);
    String::from_utf8(out).map_err(|_| (0, Mistake::NotUtf8))
}

impl Slot {
    fn first_hole(&self, holes: &Holes<'_>) -> usize {
        holes
            .within(self.start, self.end)
            .next()
            .map_or(self.start, |(place, _)| place)
    }
}

fn filled(holes: &Holes<'_>, slot: &Slot, limit: usize) -> Result<String, Mistake> {
    let text = match &slot.kind {
        SlotKind::Comment => comment(holes, slot.start, slot.end),
        SlotKind::Scalar(Style::Plain) => {
            let alone = holes.at(slot.start).filter(|_| slot.end == slot.start + 1);
            match alone {
                Some(filling) if slot.is_key => string(&name(filling)),
                Some(filling) => value(&filling.content, limit)?,
                None => string(&decoded(holes, slot, Style::Plain)?),
            }
        }
        SlotKind::Scalar(Style::Single) => {
            let text = decoded(holes, slot, Style::Single)?;
            if text.chars().all(quoted::is_printable) {
                format!("'{}'", text.replace('\'', "''"))
            } else {
                quoted::double(&text)
            }
        }
        SlotKind::Scalar(Style::Double) => double(holes, slot)?,
        SlotKind::Block(block, parent) => block_scalar(holes, block, *parent),
        SlotKind::Entries { column, list, .. } => entries(holes, slot, *column, *list, limit)?,
    };
    if slot.is_key && text.chars().count() > KEY {
        return Err(Mistake::Misplaced(
            "an expression makes a key that is longer than YAML allows (1000 characters)",
        ));
    }
    Ok(text)
}

/// A comment on one line, whatever the values.
fn comment(holes: &Holes<'_>, start: usize, end: usize) -> String {
    let mut out = String::new();
    let mut at = start;
    for (place, filling) in holes.within(start, end) {
        out.push_str(&String::from_utf8_lossy(&holes.text[at..place]));
        out.extend(filling.text.chars().map(|character| {
            if quoted::is_printable(character) {
                character
            } else {
                ' '
            }
        }));
        at = place + 1;
    }
    out.push_str(&String::from_utf8_lossy(&holes.text[at..end]));
    out
}

/// The text of a plain or quoted scalar with the values in it.
fn decoded(holes: &Holes<'_>, slot: &Slot, style: Style) -> Result<String, Mistake> {
    scalar_text(holes, slot.start, slot.end, style)
}

fn scalar_text(holes: &Holes<'_>, start: usize, end: usize, style: Style) -> Result<String, Mistake> {
    let quotes = usize::from(style != Style::Plain);
    let parts = quoted::decode(holes, start + quotes, end - quotes, style)?;
    Ok(parts.filled(|place| {
        holes
            .at(place)
            .map_or_else(String::new, |filling| filling.text.clone())
    }))
}

/// A string in the plainest style that keeps it one.
fn string(text: &str) -> String {
    if plain::is_safe(text) {
        text.to_owned()
    } else {
        quoted::double(text)
    }
}

/// A value on one line.
fn value(content: &Content<'_>, limit: usize) -> Result<String, Mistake> {
    match content {
        Content::String(text) => Ok(string(text)),
        other => other.to_json(limit),
    }
}

/// The value as the name of a key.
fn name(filling: &Filling<'_>) -> String {
    match &filling.content {
        Content::String(text) => text.clone(),
        _ => filling.text.clone(),
    }
}

/// A scalar in double quotes; on one line the author's escapes stay as they are.
fn double(holes: &Holes<'_>, slot: &Slot) -> Result<String, Mistake> {
    let text = decoded(holes, slot, Style::Double)?;
    if holes.text[slot.start..slot.end]
        .iter()
        .any(|byte| matches!(byte, b'\n' | b'\r'))
    {
        return Ok(quoted::double(&text));
    }
    let mut out = String::new();
    let mut at = slot.start;
    for (place, filling) in holes.within(slot.start, slot.end) {
        out.push_str(&String::from_utf8_lossy(&holes.text[at..place]));
        quoted::escape(&filling.text, &mut out);
        at = place + 1;
    }
    out.push_str(&String::from_utf8_lossy(&holes.text[at..slot.end]));
    Ok(out)
}

/// A block scalar as it is, if it holds the values exactly; else in double quotes.
fn block_scalar(holes: &Holes<'_>, block: &Block, parent: i64) -> String {
    let in_block = |filling: &Filling<'_>| {
        let further = filling
            .indent
            .map_or(0, |indent| indent.saturating_sub(block.indent));
        filling.text.replace('\n', &format!("\n{}", " ".repeat(further)))
    };
    let text = block
        .decode(holes)
        .filled(|place| holes.at(place).map_or_else(String::new, in_block));
    let mut spliced = comment(holes, block.start, block.content);
    // At the margin a line of a value could begin another document.
    let mut fits = block.indent > 0;
    let mut at = block.content;
    for (place, filling) in holes.within(block.content, block.end) {
        spliced.push_str(&String::from_utf8_lossy(&holes.text[at..place]));
        let value = in_block(filling);
        fits &= value
            .chars()
            .all(|character| quoted::is_printable(character) || matches!(character, '\n' | '\t'));
        spliced.push_str(&value.replace('\n', &format!("\n{}", " ".repeat(block.indent))));
        at = place + 1;
    }
    spliced.push_str(&String::from_utf8_lossy(&holes.text[at..block.end]));
    // Readers tell the indentation from the first line with something on it, and a value may have made it blank.
    let first_line = spliced.split('\n').nth(1).unwrap_or_default();
    fits &= !first_line.trim().is_empty();
    // Readers do not agree about a last line of spaces without a break.
    let last_line = spliced.rsplit('\n').next().unwrap_or_default();
    fits &= last_line.is_empty() || !last_line.trim_matches(' ').is_empty();
    if fits && block::reread(spliced.as_bytes(), parent).as_deref() == Some(&text) {
        return spliced;
    }
    let ends_line = block.end > block.content && holes.text[block.end - 1] == b'\n';
    quoted::double(&text) + if ends_line { "\n" } else { "" }
}

/// The entries of a map or list, each on its line; nothing if there are none.
fn entries(
    holes: &Holes<'_>,
    slot: &Slot,
    column: usize,
    list: bool,
    limit: usize,
) -> Result<String, Mistake> {
    let Some(filling) = holes.at(slot.start) else {
        return Ok(String::new());
    };
    let lines = match &filling.content {
        Content::List(elements) if list => elements
            .iter()
            .map(|element| Ok(format!("- {}", value(&Content::of_element(&element)?, limit)?)))
            .collect::<Result<Vec<_>, Mistake>>()?,
        Content::Map(map) => {
            let mut lines = Vec::new();
            for (key, element) in map.entries() {
                let key = String::from_utf8(key.as_slice().to_vec()).map_err(|_| Mistake::NotUtf8)?;
                let key = string(&key);
                if key.chars().count() > KEY {
                    return Err(Mistake::Misplaced(
                        "an expression makes a key that is longer than YAML allows (1000 characters)",
                    ));
                }
                lines.push(format!(
                    "{key}: {}",
                    value(&Content::of_element(&element)?, limit)?
                ));
            }
            lines
        }
        _ => Vec::new(),
    };
    Ok(lines.join(&format!("\n{}", " ".repeat(column))))
}

/// Refuses a key that an expression makes and that its map has already.
fn check_keys(holes: &Holes<'_>, scan: &Scan) -> Placed<()> {
    // The names of each map, and whether the author wrote them.
    let mut maps: BTreeMap<usize, BTreeMap<String, bool>> = BTreeMap::new();
    let computed = scan
        .slots
        .iter()
        .any(|slot| slot.is_key || matches!(slot.kind, SlotKind::Entries { .. }));
    if !computed {
        return Ok(());
    }
    let mut note = |map: usize, name: String, authored: bool, place: usize| match maps
        .entry(map)
        .or_default()
        .insert(name, authored)
    {
        Some(before) if !(before && authored) => Err((place, Mistake::DuplicateKey)),
        _ => Ok(()),
    };
    for key in &scan.keys {
        let first = holes.within(key.start, key.end).next().map(|(place, _)| place);
        let alone = holes
            .at(key.start)
            .filter(|_| key.end == key.start + 1 && key.style == Style::Plain);
        let name = match alone {
            Some(filling) => name(filling),
            None => scalar_text(holes, key.start, key.end, key.style).map_err(|kind| (key.start, kind))?,
        };
        note(key.map, name, first.is_none(), first.unwrap_or(key.start))?;
    }
    for slot in &scan.slots {
        if let SlotKind::Entries { collection, .. } = slot.kind
            && let Some(Filling {
                content: Content::Map(map),
                ..
            }) = holes.at(slot.start)
        {
            for (key, _) in map.entries() {
                let name = String::from_utf8_lossy(key.as_slice()).into_owned();
                note(collection, name, false, slot.start)?;
            }
        }
    }
    Ok(())
}
