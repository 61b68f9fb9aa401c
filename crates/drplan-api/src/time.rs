//! Wall-clock instants as they are stored.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// An instant with millisecond precision, written as RFC 3339 in UTC (`2026-01-30T10:00:00.123Z`).
///
/// # Guarantees
/// Written and read again it is the same instant and the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Timestamp);

impl Time {
    /// The instant `timestamp`, cut to milliseconds.
    pub fn new(timestamp: Timestamp) -> Self {
        Self::from_millis(timestamp.as_millisecond())
    }

    /// The instant `millis` milliseconds after 1970-01-01T00:00:00Z, or the nearest that exists.
    pub fn from_millis(millis: i64) -> Self {
        Self(Timestamp::from_millisecond(millis).unwrap_or(if millis < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        }))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// The instant `millis` milliseconds later, or the last that exists.
    pub fn plus_millis(self, millis: u64) -> Self {
        Self::from_millis(
            self.as_millis()
                .saturating_add(i64::try_from(millis).unwrap_or(i64::MAX)),
        )
    }

    /// Milliseconds from `earlier` to this, 0 if `earlier` is later.
    pub fn millis_since(self, earlier: Time) -> u64 {
        u64::try_from(self.as_millis().saturating_sub(earlier.as_millis())).unwrap_or(0)
    }

    /// The time from `earlier` to this.
    pub fn since(self, earlier: Time) -> SignedDuration {
        self.0.duration_since(earlier.0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl std::str::FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text.parse()?))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_the_same_bytes_after_a_round_trip() {
        for text in [
            "2026-01-30T10:00:00.000Z",
            "2026-01-30T10:00:00.120Z",
            "1969-12-31T23:59:59.999Z",
        ] {
            let time: Time = text.parse().unwrap();
            assert_eq!(time.to_string(), text);
            assert_eq!(
                serde_json::from_str::<Time>(&serde_json::to_string(&time).unwrap()).unwrap(),
                time
            );
        }
        assert_eq!(
            "2026-01-30T10:00:00Z".parse::<Time>().unwrap().to_string(),
            "2026-01-30T10:00:00.000Z"
        );
    }
}
