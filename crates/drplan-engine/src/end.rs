//! How a run ends, and what it says about it.

use drplan_api::{
    GoDuration,
    status::{ExecutionPhase, Reverts, StepPhase, Summary},
};

use crate::{
    announce::{Announcement, Level},
    fold::Fold,
    graph::ActionIndex,
    run::{action_indices, action_status},
    walk::TIMED_OUT,
};

/// Actions that a message lists by name as not undone. A status has room for far more, a line does not.
const LISTED_MAX: usize = 5;

/// A number of actions in words.
fn actions(count: u32) -> String {
    match count {
        1 => "1 action".to_owned(),
        count => format!("{count} actions"),
    }
}

impl Fold<'_> {
    /// Ends a run whose actions have all ended.
    pub(crate) fn end(&mut self, summary: &Summary) {
        self.status.completion_time = Some(self.now);
        let announcement = if self.status.cancellation.is_some() {
            self.end_cancelled()
        } else if let Some(at) = self.first(StepPhase::Failed) {
            self.end_failed(at, summary)
        } else if self.has_left_any() {
            self.end_too_late()
        } else {
            self.end_well(summary)
        };
        self.announce(announcement);
    }

    fn end_cancelled(&mut self) -> Announcement {
        let reason = self
            .status
            .cancellation
            .as_ref()
            .map_or("", |wish| wish.reason.as_str());
        let before = if self.status.start_time.is_none() {
            " before it began"
        } else {
            ""
        };
        let what = self.what();
        self.status.message = format!("{what} cancelled {reason}{before}{}", self.go_on_with());
        self.status.phase = ExecutionPhase::Cancelled;
        Announcement::new(Level::Info, "ExecutionCancelled", self.status.message.clone())
    }

    fn end_failed(&mut self, at: ActionIndex, summary: &Summary) -> Announcement {
        let cause = action_status(&self.status, at).map_or("", |action| action.message.as_str());
        let others = match summary.failed_actions {
            0 | 1 => String::new(),
            failed => format!(" (and {} more)", failed - 1),
        };
        let late = if self.is_cut_by_timeout() {
            "PlanTimeout: "
        } else {
            ""
        };
        let path = self.path_text(at);
        let name = self.announced_name(at);
        let (message, told, reason) = match self.status.reverts {
            None => (
                format!(
                    "{late}Action '{path}' failed: {cause}{others}; mend the cause, then create a new execution"
                ),
                format!("Execution failed at action {name}: {cause}"),
                "ExecutionFailed",
            ),
            Some(_) => (
                format!(
                    "{late}Undo of '{path}' failed: {cause}{others}{}",
                    self.go_on_with()
                ),
                format!("Revert failed at action {name}: {cause}"),
                "RevertFailed",
            ),
        };
        self.status.message = message;
        self.status.phase = ExecutionPhase::Failed;
        Announcement::new(Level::Error, reason, told)
    }

    fn end_too_late(&mut self) -> Announcement {
        self.status.phase = ExecutionPhase::Failed;
        let late = "PlanTimeout: the plan's timeout has passed";
        let (message, reason) = match self.status.reverts {
            None => (
                format!("{late}; raise spec.timeout of the plan, then create a new execution"),
                "ExecutionFailed",
            ),
            Some(_) => (format!("{late}{}", self.go_on_with()), "RevertFailed"),
        };
        self.status.message = message;
        Announcement::new(Level::Error, reason, self.status.message.clone())
    }

    fn end_well(&mut self, summary: &Summary) -> Announcement {
        let start = self.status.start_time.unwrap_or(self.now);
        let took = GoDuration::from_millis(self.now.millis_since(start));
        self.status.phase = ExecutionPhase::Succeeded;
        let done = summary.completed_actions;
        let (message, told, reason) = match &self.status.reverts {
            None => (
                format!("{} succeeded in {took}", actions(done)),
                format!("Execution completed successfully in {took}"),
                "ExecutionSucceeded",
            ),
            Some(Reverts { name, .. }) => (
                format!(
                    "{name} is undone: {} undone, {} had nothing to undo, in {took}",
                    actions(done),
                    summary.skipped_actions
                ),
                "Revert completed successfully".to_owned(),
                "RevertSucceeded",
            ),
        };
        self.status.message = message;
        Announcement::new(Level::Info, reason, told)
    }

    fn what(&self) -> &'static str {
        match self.status.reverts {
            None => "Execution",
            Some(_) => "Revert",
        }
    }

    /// What a Revert leaves behind, and how to go on: the end of its message. Empty for an Execute.
    fn go_on_with(&self) -> String {
        if self.status.reverts.is_none() {
            return String::new();
        }
        let left: Vec<String> = action_indices(&self.status)
            .into_iter()
            .filter(|at| self.is_left(*at))
            .map(|at| self.path_text(at))
            .collect();
        if left.is_empty() {
            return String::new();
        }
        let more = match left.len().saturating_sub(LISTED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let listed = left[..left.len().min(LISTED_MAX)].join(", ");
        format!(
            "; not undone: {listed}{more}; mend the cause, then create a new Revert, which goes on from there"
        )
    }

    /// Whether the action at `at` has not done, or undone, what it should have.
    fn is_left(&self, at: ActionIndex) -> bool {
        action_status(&self.status, at)
            .is_some_and(|action| action.phase != StepPhase::Succeeded && !action.nothing_to_undo)
    }

    fn has_left_any(&self) -> bool {
        action_indices(&self.status)
            .into_iter()
            .any(|at| self.is_left(at))
    }

    /// Whether the plan's timeout kept any action from beginning.
    fn is_cut_by_timeout(&self) -> bool {
        let mut actions = action_indices(&self.status).into_iter();
        actions.any(|at| {
            action_status(&self.status, at)
                .is_some_and(|action| action.phase == StepPhase::Skipped && action.message == TIMED_OUT)
        })
    }
}
