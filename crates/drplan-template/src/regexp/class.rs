//! What stands for one character in a pattern. Each function gives the translation and what follows.

use crate::unicode::tables::GROUPS;

/// The character itself.
pub(super) fn literal(character: char) -> String {
    format!("\\x{{{:X}}}", u32::from(character))
}

/// Reads `[…]`.
pub(super) fn bracket(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('[')?;
    let mut out = String::from("[");
    if let Some(negated) = rest.strip_prefix('^') {
        rest = negated;
        out.push('^');
    }
    let mut first = true;
    while first || !rest.starts_with(']') {
        first = false;
        if rest.starts_with("[:")
            && let Some(end) = rest[2..].find(":]")
        {
            let name = &rest[2..end + 2];
            if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
                return None;
            }
            out.push_str(&format!("[:{name}:]"));
            rest = &rest[end + 4..];
            continue;
        }
        if is_group(rest) {
            let (group, after) = group(rest)?;
            out.push_str(&group);
            rest = after;
            continue;
        }
        let (low, after) = character(rest)?;
        rest = after;
        out.push_str(&literal(low));
        if rest.len() > 1 && rest.starts_with('-') && !rest.starts_with("-]") {
            let (high, after) = character(&rest[1..])?;
            if high < low {
                return None;
            }
            out.push('-');
            out.push_str(&literal(high));
            rest = after;
        }
    }
    out.push(']');
    Some((out, &rest[1..]))
}

const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

fn is_group(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next() == Some('\\')
        && characters
            .next()
            .is_some_and(|letter| "dDsSwWpP".contains(letter))
}

/// Reads `\d` and its like, or `\p{…}`.
pub(super) fn group(text: &str) -> Option<(String, &str)> {
    let letter = text.strip_prefix('\\')?.chars().next()?;
    let rest = &text[1 + letter.len_utf8()..];
    let plain = match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => "[\\t\\n\\f\\r ]",
        'S' => "[^\\t\\n\\f\\r ]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        'p' | 'P' => return named_group(letter == 'P', rest),
        _ => return None,
    };
    Some((plain.to_owned(), rest))
}

fn named_group(negated: bool, text: &str) -> Option<(String, &str)> {
    let first = text.chars().next()?;
    let (name, rest) = match text.strip_prefix('{') {
        Some(braced) => braced.split_once('}')?,
        None => text.split_at(first.len_utf8()),
    };
    let (name, negated) = match name.strip_prefix('^') {
        Some(name) => (name, !negated),
        None => (name, negated),
    };
    let canonical: String = name
        .chars()
        .filter(|letter| !matches!(letter, '_' | '-' | ' '))
        .collect::<String>()
        .to_ascii_lowercase();
    let sign = if negated { "P" } else { "p" };
    let group = match canonical.as_str() {
        "any" => format!("\\{sign}{{any}}"),
        "assigned" => format!("\\{sign}{{assigned}}"),
        "ascii" => format!("\\{sign}{{ascii}}"),
        other => {
            let index = GROUPS.binary_search_by(|(known, _)| (*known).cmp(other)).ok()?;
            format!("\\{sign}{{{}}}", GROUPS[index].1)
        }
    };
    Some((group, rest))
}

/// Reads a character that may be escaped.
pub(super) fn character(text: &str) -> Option<(char, &str)> {
    let first = text.chars().next()?;
    let rest = &text[first.len_utf8()..];
    if first != '\\' {
        return Some((first, rest));
    }
    let letter = rest.chars().next()?;
    let rest = &rest[letter.len_utf8()..];
    let character = match letter {
        'a' => '\u{07}',
        'f' => '\u{0C}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{0B}',
        '0'..='7' => return octal(letter, rest),
        'x' => return hex(rest),
        _ if letter.is_ascii() && !letter.is_ascii_alphanumeric() => letter,
        _ => return None,
    };
    Some((character, rest))
}

fn octal(first: char, text: &str) -> Option<(char, &str)> {
    let is_octal = |digit: &u8| (b'0'..=b'7').contains(digit);
    let more = text.bytes().take(2).take_while(is_octal).count();
    if first != '0' && more == 0 {
        // A reference to a group, which Go does not have.
        return None;
    }
    let code = u32::from_str_radix(&format!("{first}{}", &text[..more]), 8).ok()?;
    Some((char::from_u32(code)?, &text[more..]))
}

fn hex(text: &str) -> Option<(char, &str)> {
    let (digits, rest) = match text.strip_prefix('{') {
        Some(braced) => braced.split_once('}')?,
        None => (text.get(..2)?, &text[2..]),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let code = if digits.is_empty() {
        0
    } else {
        u32::from_str_radix(digits, 16).ok()?
    };
    Some((char::from_u32(code)?, rest))
}
