//! The exit codes of every command.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked; an execution that was watched has Succeeded.
    Done,
    /// It could not do what was asked.
    NotDone,
    /// `check` found errors, or `rbac --check` missing rights.
    ProblemsFound,
    /// The execution that was watched has Failed.
    Failed,
    /// It was Cancelled.
    Cancelled,
    /// It is Unknown: a person must look.
    Unknown,
    /// It was deleted while it was watched.
    Gone,
    /// Ctrl-C: the execution goes on.
    Detached,
}

/// The same as told by `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done; an execution that was watched has Succeeded
  1    not done: the API server, a file or an object is missing or refuses
  2    the command line is wrong
  3    `check` found errors, `rbac --check` missing rights
  4    the execution has Failed
  5    the execution was Cancelled
  6    the execution is Unknown and waits for a person
  7    the execution was deleted while it was watched
  130  Ctrl-C: watching has ended, the execution goes on";

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NotDone => 1,
            Self::ProblemsFound => 3,
            Self::Failed => 4,
            Self::Cancelled => 5,
            Self::Unknown => 6,
            Self::Gone => 7,
            // As shells tell of a program that SIGINT has ended.
            Self::Detached => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented() {
        for exit in [
            Exit::Done,
            Exit::NotDone,
            Exit::ProblemsFound,
            Exit::Failed,
            Exit::Cancelled,
            Exit::Unknown,
            Exit::Gone,
            Exit::Detached,
        ] {
            let line = format!("\n  {:<5}", exit.code());
            assert!(EXIT_CODES.contains(&line), "{exit:?}");
        }
    }
}
