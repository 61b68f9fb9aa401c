//! What YAML 1.1 makes of a plain scalar.

use crate::number::{parse_float, parse_int, parse_uint};

/// Whether YAML 1.1 reads the plain text as a string.
pub(crate) fn resolves_to_string(text: &str) -> bool {
    const WORDS: [&str; 33] = [
        "", "~", "null", "Null", "NULL", "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On",
        "ON", "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", ".nan", ".NaN",
        ".NAN", ".inf", ".Inf", ".INF",
    ];
    if WORDS.contains(&text) {
        return false;
    }
    let signed = text.strip_prefix(['+', '-']);
    if signed.is_some_and(|unsigned| matches!(unsigned, ".inf" | ".Inf" | ".INF")) {
        return false;
    }
    if text.starts_with('.') {
        return parse_float(text).is_none()
            && !text.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit())
            || text.bytes().all(|byte| byte == b'.');
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || first == '+' || first == '-') {
        return true;
    }
    let plain = text.replace('_', "");
    let binary = plain.strip_prefix("-").unwrap_or(&plain).strip_prefix("0b");
    !(is_timestamp(text)
        || parse_int(&plain).is_some()
        || parse_uint(&plain).is_some()
        || (is_float(&plain) && parse_float(&plain).is_some())
        || binary.is_some_and(|digits| !digits.is_empty() && u64::from_str_radix(digits, 2).is_ok())
        || is_base_60(text))
}

fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (
            mantissa,
            Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        ),
        None => (text, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    fits && exponent.is_none_or(digits)
}

/// `1:30`, a number of base 60 in YAML 1.1.
fn is_base_60(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or_default();
    let mut rest: Vec<&str> = parts.collect();
    let Some(last) = rest.last_mut() else { return false };
    if let Some((whole, fraction)) = last.split_once('.') {
        if !fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') {
            return false;
        }
        *last = whole;
    }
    let starts = first.starts_with(|digit: char| digit.is_ascii_digit());
    starts
        && first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
        && rest.iter().all(|part| match part.as_bytes() {
            [digit] => digit.is_ascii_digit(),
            [b'0'..=b'5', digit] => digit.is_ascii_digit(),
            _ => false,
        })
}

/// Whether go-yaml reads a date, or a date and time.
fn is_timestamp(text: &str) -> bool {
    fn number(text: &str, longest: usize, range: std::ops::RangeInclusive<u32>) -> Option<(u32, &str)> {
        let length = text.bytes().take(longest).take_while(u8::is_ascii_digit).count();
        let value = text[..length]
            .parse()
            .ok()
            .filter(|value| range.contains(value))?;
        Some((value, &text[length..]))
    }
    fn date(text: &str) -> Option<&str> {
        if text.bytes().take_while(u8::is_ascii_digit).count() != 4 {
            return None;
        }
        let (year, rest) = number(text, 4, 0..=9999)?;
        let (month, rest) = number(rest.strip_prefix('-')?, 2, 1..=12)?;
        let (day, rest) = number(rest.strip_prefix('-')?, 2, 1..=31)?;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        (day <= days).then_some(rest)
    }
    fn time(text: &str) -> Option<&str> {
        let (_, rest) = number(text, 2, 0..=23)?;
        let (_, rest) = number(rest.strip_prefix(':')?, 2, 0..=59)?;
        let (_, rest) = number(rest.strip_prefix(':')?, 2, 0..=59)?;
        match rest.strip_prefix(['.', ',']) {
            Some(fraction) => {
                let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
                (digits > 0).then(|| &fraction[digits..])
            }
            None => Some(rest),
        }
    }
    fn zone(text: &str) -> bool {
        if text == "Z" {
            return true;
        }
        let bytes = text.as_bytes();
        let two = |at: usize, most: u32| {
            text.get(at..at + 2)
                .and_then(|text| text.parse::<u32>().ok())
                .is_some_and(|value| value <= most)
        };
        bytes.len() == 6 && matches!(bytes[0], b'+' | b'-') && bytes[3] == b':' && two(1, 24) && two(4, 60)
    }
    let Some(rest) = date(text) else { return false };
    if rest.is_empty() {
        return true;
    }
    if let Some(clock) = rest.strip_prefix(' ') {
        return time(clock).is_some_and(str::is_empty);
    }
    rest.strip_prefix(['T', 't']).and_then(time).is_some_and(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_one_only_if_the_calendar_has_it() {
        assert!(is_timestamp("2024-02-29") && is_timestamp("2024-1-2T3:4:5Z"));
        assert!(!is_timestamp("2023-02-29") && !is_timestamp("2024-02-29 25:00:00"));
    }
}
