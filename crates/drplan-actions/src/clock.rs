//! The wall clock.

use std::time::SystemTime;

use drplan_api::Time;

/// Now, by the wall clock. Runs and their effects ask nothing else, so whoever asks for the time is found by this name.
pub fn now() -> Time {
    #[cfg(feature = "fault-points")]
    if let Some(now) = set::now() {
        return now;
    }
    let millis = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis),
    };
    Time::from_millis(millis)
}

#[cfg(feature = "fault-points")]
pub use set::{WallClock, set};

/// A wall clock that a test sets.
#[cfg(feature = "fault-points")]
mod set {
    use std::cell::Cell;

    use drplan_api::Time;
    use tokio::time::Instant;

    thread_local! {
        static SET: Cell<Option<WallClock>> = const { Cell::new(None) };
    }

    /// A clock that showed a time once and has gone on with the monotonic one.
    #[derive(Clone, Copy, Debug)]
    pub struct WallClock {
        /// What it showed, in milliseconds since 1970.
        pub millis: i64,
        /// When.
        pub at: Instant,
    }

    impl WallClock {
        /// What it shows.
        pub fn now(&self) -> Time {
            let elapsed = i64::try_from(self.at.elapsed().as_millis()).unwrap_or(i64::MAX);
            Time::from_millis(self.millis.saturating_add(elapsed))
        }
    }

    /// Makes this thread look at `clock`, or at the system's. Returns what it looked at before.
    pub fn set(clock: Option<WallClock>) -> Option<WallClock> {
        SET.replace(clock)
    }

    pub(super) fn now() -> Option<Time> {
        SET.get().map(|clock| clock.now())
    }
}
