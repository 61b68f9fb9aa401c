//! Places where a test ends or stops the process or a task, and watch events that it makes the operator miss.
//!
//! Only in builds with the feature `fault-points`; otherwise all this is nothing. The environment variable
//! `DRPLAN_FAULT` says what happens: `<name>[#N]=kill|stop|panic|swallow`, several separated by commas. `N` is the how-manieth
//! passing is meant, the first if it is left out. Where each of many effects passes, `<name>@<kind>:<path>` is its place
//! for one of them.

#[cfg(feature = "fault-points")]
mod armed;
#[cfg(feature = "fault-points")]
mod process;

#[cfg(feature = "fault-points")]
pub use armed::{arm, point, point_of, swallows};
#[cfg(feature = "fault-points")]
pub use process::{Process, Task, task};

/// The environment variable that says which faults happen.
pub const VARIABLE: &str = "DRPLAN_FAULT";

/// Why faults that are asked for cannot happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not in this build.
    #[error("{VARIABLE} is set, but this build has no fault points (feature `fault-points`)")]
    NotBuilt,
    /// Not as documented.
    #[error("`{fault}` in {VARIABLE} is no fault; write <name>[#N]=kill|stop|panic|swallow")]
    Syntax {
        /// The part that is wrong.
        fault: String,
    },
}

/// Reads `DRPLAN_FAULT`; to be called at the start, so that a test with a slip fails at once.
///
/// # Errors
/// When faults are asked for that cannot happen.
#[cfg(not(feature = "fault-points"))]
#[inline]
pub fn arm() -> Result<(), Error> {
    if std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty()) {
        Err(Error::NotBuilt)
    } else {
        Ok(())
    }
}

/// A place where a test may kill or stop the process. Nothing in this build.
#[cfg(not(feature = "fault-points"))]
#[inline]
pub fn point(_name: &'static str) -> std::future::Ready<()> {
    std::future::ready(())
}

/// [`point`] for one of many things that pass there, named by `which`. Nothing in this build.
#[cfg(not(feature = "fault-points"))]
#[inline]
pub fn point_of(_name: &'static str, _which: impl FnOnce() -> String) -> std::future::Ready<()> {
    std::future::ready(())
}

/// Whether a test wants this watch event to be dropped. Never in this build.
#[cfg(not(feature = "fault-points"))]
#[inline]
pub fn swallows(_what: &str) -> bool {
    false
}

/// `work` as a task of this process, of which a test may play several in one thread. Just `work` in this build.
#[cfg(not(feature = "fault-points"))]
#[inline]
pub fn task<F>(work: F) -> F {
    work
}
