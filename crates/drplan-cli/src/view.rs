//! A run as it is shown. Its parts stand in the order in which they happen: that of the plan, in a Revert backwards.

mod read;

use drplan_api::Time;

/// Where a run or a part of it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not begun.
    #[default]
    Pending,
    /// Begun and not ended.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Will not begin.
    Skipped,
    /// Skipped by a Revert, because there is nothing to undo.
    NothingToUndo,
    /// Ended early by a wish.
    Cancelled,
    /// Waits for a person.
    Unknown,
    /// A phase of another release.
    Other(String),
}

impl Phase {
    /// As written in the status.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Skipped | Self::NothingToUndo => "Skipped",
            Self::Cancelled => "Cancelled",
            Self::Unknown => "Unknown",
            Self::Other(other) => other,
        }
    }

    /// What it says of a part of a Revert.
    pub fn of_undo(&self) -> &str {
        match self {
            Self::Running => "undoing",
            Self::Succeeded => "undone",
            Self::Failed => "undo failed",
            Self::Skipped => "not undone",
            Self::NothingToUndo => "nothing to undo",
            Self::Pending | Self::Cancelled | Self::Unknown | Self::Other(_) => self.as_str(),
        }
    }

    /// Whether a run of this phase never changes again.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// A run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunView {
    /// The execution's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// The plan's name.
    pub plan: String,
    /// Execute or Revert.
    pub operation: String,
    /// Where it stands.
    pub phase: Phase,
    /// What it says of itself.
    pub message: String,
    /// When it began.
    pub start: Option<Time>,
    /// When it ended.
    pub end: Option<Time>,
    /// When the plan's timeout ends it.
    pub deadline: Option<Time>,
    /// Whether a cancellation is recorded, and whether it waits for nothing.
    pub cancelling: Option<bool>,
    /// Whether a command waits to be taken up: to resume, or to cancel.
    pub asked: bool,
    /// A Revert: the name of the execution that it undoes.
    pub reverts: String,
    /// A Revert: whether it also undoes what Failed or was Cancelled.
    pub allow_partial: bool,
    /// What Reverts have undone of it.
    pub undone: Option<UndoneView>,
    /// Its stages.
    pub stages: Vec<StageView>,
}

/// What Reverts have undone of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UndoneView {
    /// Whether nothing is left to undo.
    pub wholly: bool,
    /// The names of the Reverts that did anything, separated by commas; the one that began at the end is first.
    pub by: String,
}

/// A stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageView {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub phase: Phase,
    /// Whether its workflows run together.
    pub parallel: bool,
    /// The stages it waits for.
    pub depends_on: Vec<String>,
    /// When it began.
    pub start: Option<Time>,
    /// When it ended.
    pub end: Option<Time>,
    /// Why it failed or was skipped.
    pub message: String,
    /// Its workflows.
    pub workflows: Vec<WorkflowView>,
}

/// One use of a workflow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkflowView {
    /// `name[index]`, as in paths.
    pub name: String,
    /// Where it stands.
    pub phase: Phase,
    /// When it began.
    pub start: Option<Time>,
    /// When it ended.
    pub end: Option<Time>,
    /// Why it failed or was skipped.
    pub message: String,
    /// Its actions.
    pub actions: Vec<ActionView>,
}

/// One action.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ActionView {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub phase: Phase,
    /// When it began.
    pub start: Option<Time>,
    /// When it ended.
    pub end: Option<Time>,
    /// The newest attempt, from 1; 0: none.
    pub attempt: u64,
    /// When that attempt may begin.
    pub attempt_time: Option<Time>,
    /// Result or cause.
    pub message: String,
    /// What it works on: `Job shop/backup-x7k`.
    pub object: String,
}

impl ActionView {
    /// When the next attempt begins, if the action waits for it.
    pub fn waits_until(&self, now: Time) -> Option<Time> {
        self.attempt_time
            .filter(|time| self.phase == Phase::Running && self.attempt > 1 && *time > now)
    }
}

impl RunView {
    /// Whether it undoes another run.
    pub fn is_revert(&self) -> bool {
        self.operation == "Revert"
    }

    /// What it does and to what: `Execute of shop`. A Revert names the execution that it undoes.
    pub fn what(&self) -> String {
        let of = if self.is_revert() && !self.reverts.is_empty() {
            &self.reverts
        } else {
            &self.plan
        };
        match (self.operation.as_str(), of.as_str()) {
            ("", "") => String::new(),
            (operation, "") => operation.to_owned(),
            ("", of) => format!("of {of}"),
            (operation, of) => format!("{operation} of {of}"),
        }
    }

    /// Every action with the path that messages and logs call it by.
    pub fn actions(&self) -> impl Iterator<Item = (String, &ActionView)> {
        self.stages.iter().flat_map(|stage| {
            stage.workflows.iter().flat_map(move |workflow| {
                workflow.actions.iter().map(move |action| {
                    (
                        format!("{}/{}/{}", stage.name, workflow.name, action.name),
                        action,
                    )
                })
            })
        })
    }

    /// How many actions there are of each phase in `phases`, and how many in all.
    pub fn count(&self, phases: &[Phase]) -> (usize, usize) {
        self.actions().fold((0, 0), |(found, all), (_, action)| {
            (found + usize::from(phases.contains(&action.phase)), all + 1)
        })
    }
}
