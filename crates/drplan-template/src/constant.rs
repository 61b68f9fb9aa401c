//! The values of constants as they are written in a template: numbers, characters and strings.

use crate::error::Mistake;
use crate::node::Number;
use crate::number::{self, float_to_int};

/// Reads `'x'`.
pub(crate) fn character(text: &str) -> Result<Number, Mistake> {
    let bad = || Mistake::BadEscape(text.to_owned());
    let mut rest = &text[1..];
    let value = unescape(&mut rest, '\'').ok_or_else(bad)?;
    if rest != "'" {
        return Err(bad());
    }
    let code = match value {
        Unescaped::Byte(byte) => u32::from(byte),
        Unescaped::Character(character) => u32::from(character),
    };
    Ok(Number {
        int: Some(i64::from(code)),
        uint: Some(u64::from(code)),
        float: Some(f64::from(code)),
        complex: None,
        looks_float: false,
    })
}

/// Reads `1+2i`.
pub(crate) fn complex(text: &str) -> Result<Number, Mistake> {
    let bad = || Mistake::BadNumber(text.to_owned());
    let split = text
        .char_indices()
        .skip(1)
        .filter(|(at, character)| {
            matches!(character, '+' | '-') && !matches!(text.as_bytes()[at - 1], b'e' | b'E' | b'p' | b'P')
        })
        .map(|(at, _)| at)
        .last()
        .ok_or_else(bad)?;
    let real = number::parse_float(&text[..split]).ok_or_else(bad)?;
    let imaginary = number::parse_float(&text[split..text.len() - 1]).ok_or_else(bad)?;
    Ok(simplified(real, imaginary))
}

/// Reads any other number.
pub(crate) fn number(text: &str) -> Result<Number, Mistake> {
    if let Some(imaginary) = text.strip_suffix('i')
        && let Some(imaginary) = number::parse_float(imaginary)
    {
        return Ok(simplified(0.0, imaginary));
    }
    let mut number = Number {
        int: number::parse_int(text),
        uint: number::parse_uint(text),
        looks_float: !is_hex_int(text) && text.contains(['.', 'e', 'E', 'p', 'P']),
        ..Number::default()
    };
    if number.int == Some(0) {
        number.uint = Some(0);
    }
    if let Some(int) = number.int {
        number.float = Some(int as f64);
    } else if let Some(uint) = number.uint {
        number.float = Some(uint as f64);
    } else if let Some(float) = number::parse_float(text) {
        if !text.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(Mistake::NumberTooLarge(text.to_owned()));
        }
        number.float = Some(float);
        number.int = whole(float);
    } else {
        return Err(Mistake::BadNumber(text.to_owned()));
    }
    Ok(number)
}

fn simplified(real: f64, imaginary: f64) -> Number {
    let float = (imaginary == 0.0).then_some(real);
    Number {
        int: float.and_then(whole),
        uint: None,
        float,
        complex: Some((real, imaginary)),
        looks_float: false,
    }
}

fn whole(float: f64) -> Option<i64> {
    let int = float_to_int(float);
    (int as f64 == float).then_some(int)
}

fn is_hex_int(text: &str) -> bool {
    text.len() > 2 && (text.starts_with("0x") || text.starts_with("0X")) && !text.contains(['p', 'P'])
}

/// Reads `"…"` or `` `…` ``, as Go's `strconv.Unquote`.
pub(crate) fn string(text: &str) -> Result<Vec<u8>, Mistake> {
    let inner = &text[1..text.len() - 1];
    if text.starts_with('`') {
        return Ok(inner.bytes().filter(|byte| *byte != b'\r').collect());
    }
    if !inner.contains('\\') {
        return Ok(inner.as_bytes().to_vec());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        match unescape(&mut rest, '"').ok_or_else(|| Mistake::BadEscape(text.to_owned()))? {
            Unescaped::Byte(byte) => bytes.push(byte),
            Unescaped::Character(character) => {
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    Ok(bytes)
}

enum Unescaped {
    /// `\xff` and `\377` stand for a byte, which may be no character.
    Byte(u8),
    Character(char),
}

/// Takes one character or escape.
fn unescape(rest: &mut &str, quote: char) -> Option<Unescaped> {
    let first = rest.chars().next()?;
    if first == quote {
        return None;
    }
    if first != '\\' {
        *rest = &rest[first.len_utf8()..];
        return Some(Unescaped::Character(first));
    }
    let kind = rest[1..].chars().next()?;
    let tail = &rest[1 + kind.len_utf8()..];
    let (value, length) = match kind {
        'a' => (Unescaped::Byte(0x07), 0),
        'b' => (Unescaped::Byte(0x08), 0),
        'f' => (Unescaped::Byte(0x0C), 0),
        'n' => (Unescaped::Byte(b'\n'), 0),
        'r' => (Unescaped::Byte(b'\r'), 0),
        't' => (Unescaped::Byte(b'\t'), 0),
        'v' => (Unescaped::Byte(0x0B), 0),
        '\\' => (Unescaped::Byte(b'\\'), 0),
        '\'' | '"' if kind == quote => (Unescaped::Character(kind), 0),
        'x' => (
            Unescaped::Byte(u8::try_from(digits(tail.get(..2)?, 16)?).ok()?),
            2,
        ),
        'u' => (
            Unescaped::Character(char::from_u32(digits(tail.get(..4)?, 16)?)?),
            4,
        ),
        'U' => (
            Unescaped::Character(char::from_u32(digits(tail.get(..8)?, 16)?)?),
            8,
        ),
        '0'..='7' => {
            let code = digits(rest.get(1..4)?, 8)?;
            (Unescaped::Byte(u8::try_from(code).ok()?), 2)
        }
        _ => return None,
    };
    *rest = &tail[length..];
    Some(value)
}

fn digits(text: &str, radix: u32) -> Option<u32> {
    text.chars().try_fold(0u32, |value, digit| {
        value.checked_mul(radix)?.checked_add(digit.to_digit(radix)?)
    })
}
