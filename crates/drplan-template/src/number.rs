//! Numbers to and from text, as Go's strconv has it.

/// Go's `ParseInt(text, 0, 64)`, `None` on any error.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = parse_unsigned(digits, underscores_fit(text))?;
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// Go's `ParseUint(text, 0, 64)`, `None` on any error.
pub(crate) fn parse_uint(text: &str) -> Option<u64> {
    parse_unsigned(text, underscores_fit(text))
}

fn parse_unsigned(text: &str, underscores_fit: bool) -> Option<u64> {
    let prefixed = |prefix: &str| {
        let matches = text.len() > 2 && text.is_char_boundary(2) && text[..2].eq_ignore_ascii_case(prefix);
        matches.then(|| &text[2..])
    };
    let (radix, digits) = if let Some(digits) = prefixed("0b") {
        (2, digits)
    } else if let Some(digits) = prefixed("0o") {
        (8, digits)
    } else if let Some(digits) = prefixed("0x") {
        (16, digits)
    } else if text.len() > 1 && text.starts_with('0') {
        (8, &text[1..])
    } else {
        (10, text)
    };
    if digits.is_empty() || (digits.contains('_') && !underscores_fit) {
        return None;
    }
    let digits = digits.bytes().filter(|digit| *digit != b'_');
    digits.into_iter().try_fold(0u64, |value, digit| {
        let digit = char::from(digit).to_digit(radix)?;
        value.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))
    })
}

/// Whether underscores stand only between digits, or between the base prefix and a digit.
fn underscores_fit(text: &str) -> bool {
    #[derive(PartialEq)]
    enum Seen {
        Start,
        Digit,
        Underscore,
        Other,
    }
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut seen = Seen::Start;
    let mut rest = text;
    let mut hex = false;
    let lower = text.to_ascii_lowercase();
    if let Some(after) = ["0b", "0o", "0x"]
        .iter()
        .find_map(|prefix| lower.strip_prefix(prefix))
    {
        hex = lower.starts_with("0x");
        rest = &text[text.len() - after.len()..];
        seen = Seen::Digit;
    }
    for character in rest.chars() {
        if character.is_ascii_digit() || (hex && character.is_ascii_hexdigit()) {
            seen = Seen::Digit;
        } else if character == '_' {
            if seen != Seen::Digit {
                return false;
            }
            seen = Seen::Underscore;
        } else {
            if seen == Seen::Underscore {
                return false;
            }
            seen = Seen::Other;
        }
    }
    seen != Seen::Underscore
}

/// Go's `ParseFloat(text, 64)` for text without letters but those of numbers; `None` on any error.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    if text.contains('_') && !underscores_fit(text) {
        return None;
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let hex = unsigned
        .get(..2)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("0x"));
    let plain: String = text.chars().filter(|character| *character != '_').collect();
    let value = if hex {
        parse_hex_float(&plain)?
    } else {
        plain.parse().ok()?
    };
    value.is_finite().then_some(value)
}

fn parse_hex_float(text: &str) -> Option<f64> {
    let negative = text.starts_with('-');
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text).get(2..)?;
    let (mantissa, exponent) = digits.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut exponent: i64 = exponent.parse::<i32>().ok()?.into();
    let mut bits: u64 = 0;
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    exponent -= 4 * i64::try_from(fraction.len()).ok()?;
    for digit in whole.chars().chain(fraction.chars()) {
        let digit = u64::from(digit.to_digit(16)?);
        if bits >> 60 == 0 {
            bits = bits << 4 | digit;
        } else {
            // Beyond 60 bits a digit matters only for the rounding: the lowest bit sticks.
            bits |= u64::from(digit != 0);
            exponent += 4;
        }
    }
    let mut value = bits as f64;
    while exponent > 0 && value != 0.0 && value.is_finite() {
        value *= 2.0;
        exponent -= 1;
    }
    while exponent < 0 && value != 0.0 {
        value /= 2.0;
        exponent += 1;
    }
    Some(if negative { -value } else { value })
}

/// Go's `int64(float)` on amd64: what does not fit is the least number.
pub(crate) fn float_to_int(float: f64) -> i64 {
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float);
    if fits { float as i64 } else { i64::MIN }
}

/// The digits of a finite float and the place of its point: `0.d1d2… * 10^point`.
struct Decimal {
    digits: Vec<u8>,
    point: i32,
}

/// Go's `FormatFloat` for a positive or negative finite float with `e`, `f`, `g` or their capitals. Without a
/// precision it takes as many digits as the number needs.
pub(crate) fn format_float(float: f64, verb: u8, precision: Option<usize>) -> String {
    if float.is_nan() {
        return "NaN".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 {
            "+Inf".to_owned()
        } else {
            "-Inf".to_owned()
        };
    }
    let sign = if float.is_sign_negative() { "-" } else { "" };
    let float = float.abs();
    let body = match verb {
        b'b' => binary(float),
        b'x' | b'X' => hex(float, verb, precision),
        b'f' => match precision {
            Some(precision) => format!("{float:.precision$}"),
            None => fixed(&decimal(float, None)),
        },
        b'e' | b'E' => scientific(
            &decimal(float, precision.map(|precision| precision + 1)),
            verb,
            precision,
        ),
        _ => general(float, verb, precision),
    };
    format!("{sign}{body}")
}

/// The shortest digits that read back as the float, or a number of them correctly rounded.
fn decimal(float: f64, digits: Option<usize>) -> Decimal {
    let text = match digits {
        None => shortest(float),
        Some(digits) => format!("{float:.*e}", digits.max(1) - 1),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    let point = if digits.is_empty() { 0 } else { point };
    Decimal { digits, point }
}

/// The shortest text that reads back as the float. Of two that are equally near, Go takes the even one, Rust the upper.
fn shortest(float: f64) -> String {
    /// More digits than a float that lies between two such texts can have.
    const EXACT: usize = 60;
    let text = format!("{float:e}");
    let places = text
        .bytes()
        .take_while(|byte| *byte != b'e')
        .filter(u8::is_ascii_digit)
        .count();
    let exact = format!("{float:.EXACT$e}");
    let Some((mantissa, exponent)) = exact.split_once('e') else {
        return text;
    };
    // One digit more than the shortest, with the point behind the first one.
    let cut = places + usize::from(places > 1);
    let rest: Vec<u8> = mantissa.bytes().skip(cut).filter(u8::is_ascii_digit).collect();
    let is_tie = rest.first() == Some(&b'5') && rest[1..].iter().all(|digit| *digit == b'0');
    let lower = &mantissa[..cut];
    let is_even = lower
        .bytes()
        .last()
        .is_some_and(|digit| digit.is_ascii_digit() && digit % 2 == 0);
    let lower = format!("{lower}e{exponent}");
    if is_tie && is_even && lower.parse() == Ok(float) {
        lower
    } else {
        text
    }
}

fn scientific(decimal: &Decimal, verb: u8, precision: Option<usize>) -> String {
    let mut text = String::new();
    text.push(decimal.digits.first().map_or('0', |digit| char::from(*digit)));
    let precision = precision.unwrap_or(decimal.digits.len().saturating_sub(1));
    if precision > 0 {
        text.push('.');
        for place in 1..=precision {
            text.push(decimal.digits.get(place).map_or('0', |digit| char::from(*digit)));
        }
    }
    let exponent = if decimal.digits.is_empty() {
        0
    } else {
        decimal.point - 1
    };
    text.push(char::from(verb));
    text.push(if exponent < 0 { '-' } else { '+' });
    text.push_str(&format!("{:02}", exponent.abs()));
    text
}

fn general(float: f64, verb: u8, precision: Option<usize>) -> String {
    let shortest = precision.is_none();
    let wanted = precision.map(|precision| precision.max(1));
    let decimal = decimal(float, wanted);
    let digits = i32::try_from(decimal.digits.len()).unwrap_or(i32::MAX);
    let mut limit = wanted.map_or(6, |wanted| i32::try_from(wanted).unwrap_or(i32::MAX));
    if limit > digits && digits >= decimal.point {
        limit = digits;
    }
    if shortest {
        limit = 6;
    }
    let exponent = decimal.point - 1;
    let letter = if verb == b'G' { b'E' } else { b'e' };
    if exponent < -4 || exponent >= limit {
        return scientific(&decimal, letter, Some(decimal.digits.len().saturating_sub(1)));
    }
    fixed(&decimal)
}

/// The digits with the point in its place.
fn fixed(decimal: &Decimal) -> String {
    let digits = i32::try_from(decimal.digits.len()).unwrap_or(i32::MAX);
    let mut text = String::new();
    if decimal.point <= 0 {
        text.push('0');
    }
    for place in 0..decimal.point.max(0) {
        let digit = decimal.digits.get(usize::try_from(place).unwrap_or(0));
        text.push(digit.map_or('0', |digit| char::from(*digit)));
    }
    if digits > decimal.point {
        text.push('.');
        for place in decimal.point..digits {
            let digit = usize::try_from(place)
                .ok()
                .and_then(|place| decimal.digits.get(place));
            text.push(digit.map_or('0', |digit| char::from(*digit)));
        }
    }
    text
}

/// A float as mantissa and power of two.
fn parts(float: f64) -> (u64, i32) {
    let bits = float.to_bits();
    let exponent = i32::try_from(bits >> 52 & 0x7FF).unwrap_or(0);
    let mantissa = bits & ((1 << 52) - 1);
    if exponent == 0 {
        (mantissa, -1074)
    } else {
        (mantissa | 1 << 52, exponent - 1075)
    }
}

fn binary(float: f64) -> String {
    let (mantissa, exponent) = parts(float);
    format!("{mantissa}p{exponent:+}")
}

fn hex(float: f64, verb: u8, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = parts(float);
    if mantissa == 0 {
        exponent = 0;
    } else {
        // One bit before the point and 60 behind it.
        let shift = mantissa.leading_zeros();
        mantissa = mantissa << shift >> 3;
        exponent += 63 - i32::try_from(shift).unwrap_or(0);
    }
    if let Some(precision) = precision
        && precision < 15
    {
        let shift = 60 - 4 * precision;
        let extra = mantissa & ((1 << shift) - 1);
        mantissa >>= shift;
        let half = 1u64 << (shift - 1);
        if extra > half || (extra == half && mantissa & 1 == 1) {
            mantissa += 1;
        }
        mantissa <<= shift;
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut text = format!("0x{}", mantissa >> 60 & 1);
    let mut fraction = mantissa & ((1 << 60) - 1);
    let wanted = precision.unwrap_or(if fraction == 0 {
        0
    } else {
        15 - usize::try_from(fraction.trailing_zeros() / 4).unwrap_or(0)
    });
    if wanted > 0 {
        text.push('.');
        for _ in 0..wanted {
            text.push_str(&format!("{:x}", fraction >> 56));
            fraction = fraction << 4 & ((1 << 60) - 1);
        }
    }
    text.push('p');
    text.push(if exponent < 0 { '-' } else { '+' });
    text.push_str(&format!("{:02}", exponent.abs()));
    if verb == b'X' {
        text.to_ascii_uppercase()
    } else {
        text
    }
}
