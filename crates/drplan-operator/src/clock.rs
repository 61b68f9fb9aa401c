//! The wall clock.

use drplan_api::Time;

/// Now, by the wall clock. Nothing else in the operator reads it, so whoever asks for the time is found by this name.
pub fn now() -> Time {
    Time::new(jiff::Timestamp::now())
}
