//! Deadlines: stored as wall time, kept by the monotonic clock.

use std::time::{Duration, SystemTime};

use drplan_api::Time;
use tokio::time::Instant;

/// A wall-clock deadline from the moment it was first looked at: later changes of the wall clock do not move it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The deadline `time`; one in the past is over.
    pub(crate) fn at(time: Time) -> Self {
        Self::after(Duration::from_millis(time.millis_since(wall_now())))
    }

    /// The deadline `duration` from now.
    pub(crate) fn after(duration: Duration) -> Self {
        let now = Instant::now();
        // Whatever does not fit the clock is a year away: longer than any attempt (24 h at most).
        Self(
            now.checked_add(duration)
                .unwrap_or(now + Duration::from_secs(365 * 24 * 60 * 60)),
        )
    }

    /// Whether it is over.
    pub(crate) fn passed(self) -> bool {
        Instant::now() >= self.0
    }

    /// How long until then, zero if it is over.
    pub(crate) fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Now, by the wall clock.
pub(crate) fn wall_now() -> Time {
    let millis = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis),
    };
    Time::from_millis(millis)
}
