//! Deadlines: stored as wall time, kept by the monotonic clock.

use std::time::Duration;

use drplan_api::Time;
use tokio::time::Instant;

use crate::clock;

/// A wall-clock deadline from the moment it was first looked at: later changes of the wall clock do not move it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The deadline `time`; one in the past is over.
    pub(crate) fn at(time: Time) -> Self {
        Self::after(Duration::from_millis(time.millis_since(clock::now())))
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
