//! Durations in Go's notation.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A length of time, written as Go's `time.ParseDuration` reads it (`90s`, `1h30m`, `1.5s`), kept in
/// milliseconds and never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration {
    millis: u64,
}

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not Go's notation.
    #[error("is not a duration; write a number and a unit, such as 30s, 5m or 1h30m")]
    Syntax,
    /// Below zero.
    #[error("is negative; write a duration of zero or more, such as 30s")]
    Negative,
    /// More than 64 bits of nanoseconds, Go's own limit.
    #[error("too long; Go's durations end at about 292 years")]
    TooLong,
}

impl GoDuration {
    /// `millis` milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }

    /// `seconds` seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self {
            millis: seconds * 1000,
        }
    }

    /// Milliseconds; anything between zero and one counts as one.
    pub const fn as_millis(self) -> u64 {
        self.millis
    }
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let (negative, unsigned) = match text.strip_prefix(['-', '+']) {
            Some(rest) => (text.starts_with('-'), rest),
            None => (false, text),
        };
        if unsigned == "0" {
            return Ok(Self::default());
        }
        if unsigned.is_empty() {
            return Err(DurationError::Syntax);
        }
        let mut rest = unsigned;
        let mut nanos: u128 = 0;
        while !rest.is_empty() {
            let (part, after) = component(rest)?;
            nanos = nanos.checked_add(part).ok_or(DurationError::TooLong)?;
            rest = after;
        }
        if nanos > i64::MAX as u128 {
            return Err(DurationError::TooLong);
        }
        if negative && nanos > 0 {
            return Err(DurationError::Negative);
        }
        let millis = nanos.div_ceil(1_000_000);
        Ok(Self {
            millis: u64::try_from(millis).map_err(|_| DurationError::TooLong)?,
        })
    }
}

/// The nanoseconds of the first `number unit` of `text`, and what follows.
fn component(text: &str) -> Result<(u128, &str), DurationError> {
    const UNITS: [(&str, u128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole_len = digits(text);
    let (whole, mut rest) = text.split_at(whole_len);
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        let len = digits(after);
        (fraction, rest) = after.split_at(len);
    }
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError::Syntax);
    }
    // The longest unit that fits: `ms` before `m`, and none may be missing.
    let (unit, nanos) = UNITS
        .into_iter()
        .filter(|(unit, _)| rest.starts_with(unit))
        .max_by_key(|(unit, _)| unit.len())
        .ok_or(DurationError::Syntax)?;
    let mut total = match whole {
        "" => 0,
        whole => whole
            .parse::<u128>()
            .ok()
            .and_then(|n| n.checked_mul(nanos))
            .ok_or(DurationError::TooLong)?,
    };
    let mut scale = nanos;
    for digit in fraction.bytes() {
        scale /= 10;
        total += u128::from(digit - b'0') * scale;
    }
    Ok((total, &rest[unit.len()..]))
}

impl fmt::Display for GoDuration {
    /// As Go prints it: `1h30m0s`, `1.5s`, `120ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.millis / 1000, self.millis % 1000);
        if seconds == 0 && millis > 0 {
            return write!(f, "{millis}ms");
        }
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{seconds}")?;
        if millis > 0 {
            write!(f, ".{}", format!("{millis:03}").trim_end_matches('0'))?;
        }
        write!(f, "s")
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_as_in_go() {
        for (text, millis, printed) in [
            ("0", 0, "0s"),
            ("90s", 90_000, "1m30s"),
            ("1h30m", 5_400_000, "1h30m0s"),
            ("1.5s", 1_500, "1.5s"),
            (".5s", 500, "500ms"),
            ("1m2.03s", 62_030, "1m2.03s"),
            ("120ms", 120, "120ms"),
            ("+5m", 300_000, "5m0s"),
            ("100us", 1, "1ms"),
            ("600s", 600_000, "10m0s"),
        ] {
            let parsed: GoDuration = text.parse().unwrap();
            assert_eq!(
                (parsed.as_millis(), parsed.to_string().as_str()),
                (millis, printed),
                "{text}"
            );
        }
        for bad in ["", "5", "s", "-", "5x", "1h 5m", ".s", "1.2.3s", "5M"] {
            assert_eq!(bad.parse::<GoDuration>(), Err(DurationError::Syntax), "{bad}");
        }
        assert_eq!("-5s".parse::<GoDuration>(), Err(DurationError::Negative));
        assert_eq!(
            "99999999999999999999h".parse::<GoDuration>(),
            Err(DurationError::TooLong)
        );
    }
}
