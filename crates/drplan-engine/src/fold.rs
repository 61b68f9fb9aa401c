//! One pass over record and observations: the steps of [`advance`](crate::advance::advance), in order.

use drplan_api::{
    Time,
    limits::{ACTION_MESSAGE_BYTES_MAX, OUTPUT_TEXTS_BYTES_MAX},
    status::{ActionStatus, Cancellation, DRPlanExecutionStatus, ExecutionPhase, StepPhase},
};

use crate::{
    action_phase::{ActionEvent, IllegalTransition, next},
    advance::{Observed, WaitingOn},
    announce::{Announcement, Level},
    effect::{ActionEffect, Failure, FailureKind, Observation, Outcome},
    graph::ActionIndex,
    render, retry,
    run::{Run, action_indices, action_status, action_status_mut},
    settle,
};

/// The state of one pass.
pub(crate) struct Fold<'a> {
    pub(crate) run: Option<&'a Run>,
    pub(crate) before: &'a DRPlanExecutionStatus,
    pub(crate) status: DRPlanExecutionStatus,
    pub(crate) seen: &'a Observed,
    pub(crate) now: Time,
    pub(crate) http_places: usize,
    pub(crate) effects: Vec<(ActionIndex, ActionEffect)>,
    pub(crate) announcements: Vec<Announcement>,
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
            before,
            status: before.clone(),
            seen,
            now,
            http_places: seen.http_places,
            effects: Vec::new(),
            announcements: Vec::new(),
            waiting_on: Vec::new(),
            wake_at: None,
        }
    }

    /// A run that has not begun begins.
    pub(crate) fn begin(&mut self) {
        if self.status.phase != ExecutionPhase::Pending {
            return;
        }
        self.status.phase = ExecutionPhase::Running;
        self.status.start_time = Some(self.now);
        self.status.deadline = self.run.and_then(|run| run.deadline(self.now));
        let message = format!("Execution started for plan {}", self.status.plan);
        self.announce(Announcement::new(Level::Info, "ExecutionStarted", message));
    }

    /// Records a wish to cancel or to resume, and the loss of contact.
    pub(crate) fn take_commands(&mut self) {
        if let Some(wish) = &self.seen.cancel {
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
        let goes_on = self.seen.resume || self.status.cancellation.is_some();
        if self.status.phase == ExecutionPhase::Unknown && goes_on {
            self.status.phase = ExecutionPhase::Running;
            let since = self.status.unknown_since.take().unwrap_or(self.now);
            self.status.deadline = self
                .status
                .deadline
                .map(|deadline| deadline.plus_millis(self.now.millis_since(since)));
            self.announce(Announcement::new(
                Level::Info,
                "ExecutionResumed",
                "Execution goes on from Unknown",
            ));
        } else if let Some(lost) = self.seen.lost_contact_millis {
            self.doubt(lost);
        }
    }

    /// Contact was lost for `lost` milliseconds while actions were in flight: a person must look.
    fn doubt(&mut self, lost: u64) {
        let in_flight: Vec<String> = self
            .seen
            .in_flight
            .keys()
            .chain(self.seen.results.keys())
            .map(|at| self.in_doubt(*at))
            .collect();
        if in_flight.is_empty() || self.status.phase != ExecutionPhase::Running {
            return;
        }
        self.status.phase = ExecutionPhase::Unknown;
        self.status.unknown_since = Some(self.now);
        let lost = drplan_api::GoDuration::from_millis(lost);
        self.status.message = format!(
            "no contact with the API server for {lost} while in flight: {}",
            in_flight.join(", ")
        );
        self.announce(Announcement::new(
            Level::Error,
            "ExecutionUnknown",
            self.status.message.clone(),
        ));
    }

    fn in_doubt(&self, at: ActionIndex) -> String {
        let path = self.path_text(at);
        match self.seen.results.get(&at).map(|seen| &seen.outcome) {
            None => format!("{path} (no result yet)"),
            Some(Outcome::Answered { status_code, .. }) => format!("{path} (answered {status_code})"),
            Some(Outcome::JobCreated { .. }) => format!("{path} (Job created)"),
            Some(Outcome::JobSucceeded) => format!("{path} (Job completed)"),
            Some(Outcome::Failed(failure)) => format!("{path} (failed: {})", failure.message),
        }
    }

    /// Whether nothing new may begin.
    pub(crate) fn is_stopping(&self) -> bool {
        self.status.cancellation.is_some() || self.is_overdue()
    }

    /// Whether the plan's timeout has passed.
    pub(crate) fn is_overdue(&self) -> bool {
        self.status.deadline.is_some_and(|deadline| deadline <= self.now)
    }

    /// Records what commands brought.
    pub(crate) fn take_results(&mut self) -> Result<(), IllegalTransition> {
        for (at, observation) in &self.seen.results {
            self.take_result(*at, observation)?;
        }
        Ok(())
    }

    fn take_result(&mut self, at: ActionIndex, observation: &Observation) -> Result<(), IllegalTransition> {
        let Some(recorded) = action_status(&self.status, at) else {
            return Ok(());
        };
        if recorded.phase != StepPhase::Running || recorded.attempts != observation.attempt {
            return Ok(());
        }
        match &observation.outcome {
            Outcome::Answered {
                status_code,
                duration_millis,
                body,
            } => {
                let duration = drplan_api::GoDuration::from_millis(*duration_millis).to_string();
                let room = OUTPUT_TEXTS_BYTES_MAX.saturating_sub(self.stored_texts());
                let action = self.apply(at, ActionEvent::Succeeded)?;
                action.outputs.status_code = Some(*status_code);
                action.outputs.duration = Some(duration);
                action.outputs.body = body.as_ref().map(|body| cut(body, room).to_owned());
                action.message = format!("HTTP request completed with status {status_code}");
                self.ended_well(at);
            }
            Outcome::JobCreated { uid } => {
                let action = self.apply(at, ActionEvent::Progressed)?;
                let mut job = action.outputs.job_ref.take().unwrap_or_default();
                job.uid = Some(uid.clone());
                action.message = format!("Job {} created", job.name);
                action.outputs.job_ref = Some(job);
            }
            Outcome::JobSucceeded => {
                let action = self.apply(at, ActionEvent::Succeeded)?;
                action.outputs.exit_code = Some(0);
                let name = action
                    .outputs
                    .job_ref
                    .as_ref()
                    .map_or("", |job| job.name.as_str());
                action.message = format!("Job {name} completed");
                self.ended_well(at);
            }
            Outcome::Failed(failure) => self.failed_attempt(at, failure)?,
        }
        Ok(())
    }

    /// A failed attempt is followed by another, or fails its action.
    fn failed_attempt(&mut self, at: ActionIndex, failure: &Failure) -> Result<(), IllegalTransition> {
        let room = OUTPUT_TEXTS_BYTES_MAX.saturating_sub(self.stored_texts());
        if let Some(action) = action_status_mut(&mut self.status, at) {
            action.effect_possible |= retry::effect_possible(failure.kind);
            action.outputs.status_code = failure.status_code;
            action.outputs.exit_code = failure.exit_code;
            action.outputs.message = failure.log.as_ref().map(|log| cut(log, room).to_owned());
        }
        match self.next_attempt(at, failure) {
            Ok(Some((attempt, target))) => {
                let action = self.apply(at, ActionEvent::Retried)?;
                action.attempts = attempt.number;
                action.attempt_time = Some(attempt.time);
                action.message = cut(&failure.message, ACTION_MESSAGE_BYTES_MAX).to_owned();
                action.outputs.job_ref = target;
                let limit = self
                    .run
                    .map_or(0, |run| retry::limit(&run.action(at).doing, &self.data(run, at)));
                let name = self.announced_name(at);
                let message = format!(
                    "Action {name} retrying ({}/{limit}): {}",
                    attempt.number - 1,
                    failure.message
                );
                self.announce_action(Level::Warning, "ActionRetrying", message, at);
                Ok(())
            }
            Ok(None) => self.fail(at, &failure.message),
            Err(unrenderable) => self.fail(
                at,
                &format!("{}; no further attempt: {unrenderable}", failure.message),
            ),
        }
    }

    /// The attempt after one that failed with `failure`, and what it will make; none if there is none.
    fn next_attempt(
        &self,
        at: ActionIndex,
        failure: &Failure,
    ) -> Result<Option<(render::Attempt, Option<drplan_api::status::ObjectRef>)>, render::RenderError> {
        let (Some(run), Some(recorded)) = (self.run, action_status(&self.status, at)) else {
            return Ok(None);
        };
        if self.is_stopping() {
            return Ok(None);
        }
        let data = self.data(run, at);
        let Some(wait) = retry::wait_before_next(&run.action(at).doing, &data, recorded.attempts, failure)?
        else {
            return Ok(None);
        };
        let attempt = render::Attempt {
            number: recorded.attempts + 1,
            time: self.now.plus_millis(wait),
            first_start: recorded.start_time.unwrap_or(self.now),
        };
        let rendered = render::render(run, &self.status, at, attempt)?;
        Ok(Some((attempt, rendered.target)))
    }

    fn data(&self, run: &Run, at: ActionIndex) -> drplan_template::Value {
        let first_start = action_status(&self.status, at)
            .and_then(|recorded| recorded.start_time)
            .unwrap_or(self.now);
        crate::data::data(run, &self.status, at, first_start)
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
        let action = self.apply(at, ActionEvent::Failed)?;
        action.start_time.get_or_insert(now);
        action.message = cut(message, ACTION_MESSAGE_BYTES_MAX).to_owned();
        let name = self.announced_name(at);
        self.announce_action(
            Level::Error,
            "ActionFailed",
            format!("Action {name} failed: {message}"),
            at,
        );
        Ok(())
    }

    /// Fails the action at `at`, whose result nobody holds.
    pub(crate) fn fail_unknown(&mut self, at: ActionIndex, message: &str) -> Result<(), IllegalTransition> {
        if let Some(action) = action_status_mut(&mut self.status, at) {
            action.effect_possible |= retry::effect_possible(FailureKind::OutcomeUnknown);
        }
        self.fail(at, &format!("OutcomeUnknown: {message}"))
    }

    fn ended_well(&mut self, at: ActionIndex) {
        let name = self.announced_name(at);
        let took = action_status(&self.status, at)
            .and_then(|action| Some(action.completion_time?.millis_since(action.start_time?)))
            .unwrap_or(0);
        let message = format!(
            "Action {name} completed successfully in {}",
            drplan_api::GoDuration::from_millis(took)
        );
        self.announce_action(Level::Info, "ActionSucceeded", message, at);
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
        let announcement = Announcement::new(level, reason, message);
        self.announcements.push(match self.run {
            Some(run) => announcement.about(run.path(at), attempt),
            None => announcement,
        });
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

    fn stored_texts(&self) -> usize {
        let outputs = action_indices(&self.status)
            .into_iter()
            .filter_map(|at| Some(&action_status(&self.status, at)?.outputs));
        outputs
            .flat_map(|outputs| [&outputs.body, &outputs.message])
            .flatten()
            .map(String::len)
            .sum()
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
