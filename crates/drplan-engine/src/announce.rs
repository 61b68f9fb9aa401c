//! What people are told: Kubernetes events and log lines, one for each fact.

use drplan_api::ActionPath;

/// One fact of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// How loud.
    pub level: Level,
    /// One word, the reason of the Kubernetes event.
    pub reason: &'static str,
    /// One line.
    pub message: String,
    /// The action, if it is about one.
    pub path: Option<ActionPath>,
    /// Its attempt.
    pub attempt: Option<u32>,
    /// Whether it is also sent as a Kubernetes event, not only logged.
    pub event: bool,
}

/// How loud an announcement is. Warnings and errors are events of type Warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The course of things.
    Info,
    /// Something to look at.
    Warning,
    /// It did not work, for good.
    Error,
}

impl Announcement {
    /// A fact of the run.
    pub fn new(level: Level, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            level,
            reason,
            message: message.into(),
            path: None,
            attempt: None,
            event: true,
        }
    }

    /// The same, about an attempt of an action.
    #[must_use]
    pub fn about(mut self, path: ActionPath, attempt: u32) -> Self {
        self.path = Some(path);
        self.attempt = Some(attempt);
        self
    }

    /// The same, for the log alone.
    #[must_use]
    pub fn log_only(mut self) -> Self {
        self.event = false;
        self
    }
}
