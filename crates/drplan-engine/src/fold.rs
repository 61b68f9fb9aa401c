//! One pass over record and observations: its state, its first steps, and the ways in which records change.

use std::sync::Arc;

use drplan_api::{
    Time,
    limits::ACTION_MESSAGE_BYTES_MAX,
    status::{ActionStatus, Cancellation, DRPlanExecutionStatus, ExecutionPhase, StepPhase, UNKNOWN_USER},
};

use crate::{
    action_phase::{ActionEvent, IllegalTransition, next},
    advance::{Inquiry, Observed, WaitingOn},
    announce::{Announcement, Level},
    effect::{ActionEffect, EffectIdentity, FailureKind},
    graph::ActionIndex,
    kept::Kept,
    retry,
    run::{Run, action_status, action_status_mut},
    settle,
    task::Task,
};

/// The state of one pass.
pub(crate) struct Fold<'a> {
    pub(crate) run: Option<&'a Run>,
    /// Whether `run` is none because the record does not list what the run holds.
    pub(crate) is_record_altered: bool,
    pub(crate) before: &'a DRPlanExecutionStatus,
    pub(crate) status: DRPlanExecutionStatus,
    pub(crate) seen: &'a Observed,
    pub(crate) now: Time,
    pub(crate) http_places: usize,
    /// Actions that failed in this pass.
    pub(crate) failures: usize,
    /// What the run keeps beside its record, and of it what is new.
    pub(crate) kept: Kept,
    pub(crate) to_keep: Vec<(String, Arc<str>)>,
    pub(crate) inquiries: Vec<(ActionIndex, Inquiry)>,
    pub(crate) effects: Vec<(ActionIndex, ActionEffect)>,
    pub(crate) announcements: Vec<Announcement>,
    /// What happened to actions in this pass.
    pub(crate) happened: Vec<(ActionIndex, ActionEvent)>,
    pub(crate) waiting_on: Vec<WaitingOn>,
    pub(crate) wake_at: Option<Time>,
}

impl<'a> Fold<'a> {
    pub(crate) fn new(
        run: Option<&'a Run>,
        before: &'a DRPlanExecutionStatus,
        seen: &'a Observed,
        now: Time,
    ) -> Self {
        Self {
            run,
            is_record_altered: false,
            before,
            status: before.clone(),
            seen,
            now,
            http_places: seen.http_places,
            failures: 0,
            kept: seen.kept.clone(),
            to_keep: Vec::new(),
            inquiries: Vec::new(),
            effects: Vec::new(),
            announcements: Vec::new(),
            happened: Vec::new(),
            waiting_on: Vec::new(),
            wake_at: None,
        }
    }

    /// A run that has not begun begins. One that is cancelled before only ends; one without snapshot waits.
    pub(crate) fn begin(&mut self) {
        if self.status.phase != ExecutionPhase::Pending {
            return;
        }
        if self.seen.cancel.is_some() {
            self.status.phase = ExecutionPhase::Running;
        } else if let Some(run) = self.run {
            self.status.phase = ExecutionPhase::Running;
            self.status.start_time = Some(self.now);
            self.status.deadline = run.deadline(self.now);
            let (what, reason) = match run.reverted {
                None => ("Execution", "ExecutionStarted"),
                Some(_) => ("Revert", "RevertStarted"),
            };
            let mut message = format!("{what} started for plan {}", self.status.plan);
            let known = |user: &&String| user.as_str() != UNKNOWN_USER;
            if let Some(user) = self.status.requested_by.as_ref().filter(known) {
                message.push_str(&format!(", requested by {user}"));
            }
            self.announce(Announcement::new(Level::Info, reason, message));
        }
    }

    /// What a Revert has nothing to undo of is skipped from the start, so that everybody sees what it will do.
    pub(crate) fn skip_what_owes_nothing(&mut self) -> Result<(), IllegalTransition> {
        let Some(run) = self.run.filter(|_| self.before.phase == ExecutionPhase::Pending) else {
            return Ok(());
        };
        for at in run.graph.actions() {
            if let Task::Nothing(why) = run.task(at) {
                self.skip_undo(at, why.to_owned())?;
            }
        }
        Ok(())
    }

    /// Skips an action of a Revert that there is nothing to undo of.
    pub(crate) fn skip_undo(&mut self, at: ActionIndex, why: String) -> Result<(), IllegalTransition> {
        let action = self.apply(at, ActionEvent::Skipped)?;
        action.nothing_to_undo = true;
        action.message = why;
        Ok(())
    }

    /// Records a wish to cancel.
    pub(crate) fn take_cancel(&mut self) {
        let Some(wish) = &self.seen.cancel else {
            return;
        };
        let recorded = self.status.cancellation.as_ref();
        if recorded.is_none_or(|recorded| wish.now && !recorded.now) {
            let time = recorded.map_or(self.now, |recorded| recorded.time);
            self.status.cancellation = Some(Cancellation {
                now: wish.now,
                time,
                reason: wish.reason.clone(),
            });
            let message = format!("Cancellation requested {}", wish.reason);
            self.announce(Announcement::new(Level::Warning, "CancelRequested", message));
        }
    }

    /// Whether nothing new may begin.
    pub(crate) fn is_stopping(&self) -> bool {
        self.status.cancellation.is_some() || self.is_overdue()
    }

    /// Whether the plan's timeout has passed. It does not pass while the run is Unknown.
    pub(crate) fn is_overdue(&self) -> bool {
        self.status.phase != ExecutionPhase::Unknown
            && self.status.deadline.is_some_and(|deadline| deadline <= self.now)
    }

    /// Moves the action at `at` along the table and returns its record.
    pub(crate) fn apply(
        &mut self,
        at: ActionIndex,
        event: ActionEvent,
    ) -> Result<&mut ActionStatus, IllegalTransition> {
        let now = self.now;
        let unknown = IllegalTransition {
            phase: StepPhase::Skipped,
            event,
        };
        let action = action_status_mut(&mut self.status, at).ok_or(unknown)?;
        action.phase = next(action.phase, event)?;
        self.happened.push((at, event));
        if action.phase.is_ended() {
            action.attempt_time = None;
            // What never ran has no times.
            action.completion_time = (action.phase != StepPhase::Skipped).then_some(now);
        }
        Ok(action)
    }

    /// Fails the action at `at` for good.
    pub(crate) fn fail(&mut self, at: ActionIndex, message: &str) -> Result<(), IllegalTransition> {
        let now = self.now;
        self.failures += 1;
        let action = self.apply(at, ActionEvent::Failed)?;
        action.start_time.get_or_insert(now);
        action.message = cut(message, ACTION_MESSAGE_BYTES_MAX).to_owned();
        let told = format!("{} failed: {message}", self.subject(at));
        self.announce_action(Level::Error, "ActionFailed", told, at);
        Ok(())
    }

    /// Fails the action at `at`, whose result nobody holds.
    pub(crate) fn fail_unknown(&mut self, at: ActionIndex, message: &str) -> Result<(), IllegalTransition> {
        if let Some(action) = action_status_mut(&mut self.status, at) {
            action.effect_possible |= retry::effect_possible(FailureKind::OutcomeUnknown);
            action.in_doubt = true;
        }
        self.fail(at, &format!("OutcomeUnknown: {message}"))
    }

    pub(crate) fn announce(&mut self, announcement: Announcement) {
        self.announcements.push(announcement);
    }

    pub(crate) fn announce_action(
        &mut self,
        level: Level,
        reason: &'static str,
        message: String,
        at: ActionIndex,
    ) {
        let attempt = action_status(&self.status, at).map_or(0, |action| action.attempts);
        let path = settle::recorded_path(&self.status, at);
        self.announce(Announcement::new(level, reason, message).about(path, attempt));
    }

    /// The path of an action, from the record alone.
    pub(crate) fn path_text(&self, at: ActionIndex) -> String {
        settle::path_text(&self.status, at)
    }

    /// An action's name in events: the plain name in a plan of one workflow, else the path.
    pub(crate) fn announced_name(&self, at: ActionIndex) -> String {
        let alone =
            matches!(self.status.stage_statuses.as_slice(), [stage] if stage.workflow_executions.len() == 1);
        match action_status(&self.status, at) {
            Some(action) if alone => action.name.clone(),
            _ => self.path_text(at),
        }
    }

    /// What is done for an action, in events: `Action <name>`, or `Undo of <name>`.
    pub(crate) fn subject(&self, at: ActionIndex) -> String {
        let name = self.announced_name(at);
        match self.status.reverts {
            None => format!("Action {name}"),
            Some(_) => format!("Undo of {name}"),
        }
    }

    /// The identity of the effects of an action, from the record alone; in a Revert that of its undo.
    pub(crate) fn identity(&self, at: ActionIndex) -> EffectIdentity {
        let path = settle::recorded_path(&self.status, at);
        match &self.status.reverts {
            None => EffectIdentity {
                execution_uid: self.seen.execution_uid.clone(),
                path,
            },
            Some(reverts) => EffectIdentity {
                execution_uid: reverts.uid.clone(),
                path: path.undo(),
            },
        }
    }

    /// Asks to be called again at `at` at the latest.
    pub(crate) fn wake(&mut self, at: Time) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// The longest beginning of `text` of at most `bytes` bytes that ends at a character.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The longest end of `text` of at most `bytes` bytes that begins at a character.
pub(crate) fn cut_to_end(text: &str, bytes: usize) -> &str {
    let mut start = text.len() - text.len().min(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!((cut("aäb", 2), cut("aäb", 3), cut("ab", 9)), ("a", "aä", "ab"));
        assert_eq!(
            (cut_to_end("aäb", 2), cut_to_end("aäb", 3), cut_to_end("ab", 9)),
            ("b", "äb", "ab")
        );
    }
}
