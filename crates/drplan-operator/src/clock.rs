//! The wall clock, and a clock for one run that no correction of it can move.

use drplan_api::Time;
use tokio::time::Instant;

pub use drplan_actions::clock::now;

/// The wall clock as it stood once, carried on by the monotonic one: deadlines and waits of a run that a process acts
/// on are not cut short or stretched when somebody sets the time.
#[derive(Clone, Copy, Debug)]
pub struct RunClock {
    wall: Time,
    began: Instant,
}

impl RunClock {
    /// A clock that shows the wall clock's time now.
    pub fn start() -> Self {
        Self {
            wall: now(),
            began: Instant::now(),
        }
    }

    /// Now.
    pub fn now(&self) -> Time {
        self.wall
            .plus_millis(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// When it will be `time`, or was.
    pub fn instant(&self, time: Time) -> Instant {
        self.began + std::time::Duration::from_millis(time.millis_since(self.wall))
    }
}
