//! What commands brought becomes the record: an end, a Job's UID, or the intent of the next attempt.

use drplan_api::{
    GoDuration,
    limits::{ACTION_MESSAGE_BYTES_MAX, OUTPUT_TEXT_BYTES_MAX},
    status::{ObjectRef, StepPhase},
};
use drplan_template::Value;

use crate::{
    action_phase::{ActionEvent, IllegalTransition},
    announce::Level,
    data,
    effect::{Failure, FailureKind, Observation, Outcome},
    fold::{Fold, cut, cut_to_end},
    graph::ActionIndex,
    kept::Place,
    look,
    object::{Deletion, ObjectOutcome},
    render::{self, Attempt, RenderError},
    retry,
    run::{Run, action_status, action_status_mut},
    task::Task,
};

/// What follows an attempt that failed.
enum Next {
    /// The action has failed.
    Nothing,
    /// There would be another attempt, had the plan's timeout not passed.
    TooLate,
    /// Another attempt, and what it will make.
    Attempt(Attempt, Option<ObjectRef>),
}

impl Fold<'_> {
    /// Records what commands brought.
    pub(crate) fn take_results(&mut self) -> Result<(), IllegalTransition> {
        for (at, observation) in &self.seen.results {
            if self.is_news(*at, observation) {
                self.take_result(*at, observation)?;
            }
        }
        Ok(())
    }

    /// Whether `observation` is of the attempt that runs. One of an older attempt, or of an ended action, is not.
    fn is_news(&self, at: ActionIndex, observation: &Observation) -> bool {
        action_status(self.before, at).is_some_and(|recorded| {
            recorded.phase == StepPhase::Running && recorded.attempts == observation.attempt
        })
    }

    /// Whether the command of the action at `at` has ended in this pass.
    pub(crate) fn is_answered(&self, at: ActionIndex) -> bool {
        self.seen
            .results
            .get(&at)
            .is_some_and(|observation| self.is_news(at, observation))
    }

    fn take_result(&mut self, at: ActionIndex, observation: &Observation) -> Result<(), IllegalTransition> {
        match &observation.outcome {
            Outcome::Answered {
                status_code,
                duration_millis,
                body,
            } => {
                let body = body.as_ref().map(|body| self.place_text(at, "body", body));
                let action = self.apply(at, ActionEvent::Succeeded)?;
                action.outputs.status_code = Some(*status_code);
                action.outputs.duration = Some(GoDuration::from_millis(*duration_millis).to_string());
                match body {
                    Some(Place::Here(body)) => action.outputs.body = Some(body),
                    Some(Place::In(name)) => action.outputs.body_stored_in = Some(name),
                    None => {}
                }
                action.message = format!("HTTP request completed with status {status_code}");
                self.ended_well(at);
            }
            Outcome::JobCreated { uid } => {
                let action = self.apply(at, ActionEvent::Progressed)?;
                let mut job = action.outputs.job_ref.take().unwrap_or_default();
                job.uid = Some(uid.clone());
                action.message =
                    cut(&format!("Job {} created", job.name), ACTION_MESSAGE_BYTES_MAX).to_owned();
                action.outputs.job_ref = Some(job);
            }
            Outcome::JobSucceeded => {
                let action = self.apply(at, ActionEvent::Succeeded)?;
                action.outputs.exit_code = Some(0);
                // That of an earlier attempt.
                action.outputs.message = None;
                action.outputs.message_stored_in = None;
                let job = action.outputs.job_ref.as_ref();
                let name = job.map_or("", |job| job.name.as_str());
                action.message = cut(&format!("Job {name} completed"), ACTION_MESSAGE_BYTES_MAX).to_owned();
                self.ended_well(at);
            }
            Outcome::Object(outcome) => self.take_object(at, outcome)?,
            Outcome::Failed(failure) => self.failed_attempt(at, failure)?,
        }
        Ok(())
    }

    fn take_object(&mut self, at: ActionIndex, outcome: &ObjectOutcome) -> Result<(), IllegalTransition> {
        let done = match outcome {
            // No command of an action answers so.
            ObjectOutcome::Found { .. } => return Ok(()),
            ObjectOutcome::Written { created: true, .. } => "created",
            ObjectOutcome::Written { .. } => "accepted",
            ObjectOutcome::Deleted(Deletion::Deleted) => "deleted",
            ObjectOutcome::Deleted(Deletion::WasAbsent) => "was absent",
            ObjectOutcome::Deleted(Deletion::WasReplaced) => "is another object by now and was left alone",
        };
        let action = self.apply(at, ActionEvent::Succeeded)?;
        let object = look::object_mut(&mut action.outputs);
        let name = object
            .as_ref()
            .map(|object| object.name.clone())
            .unwrap_or_default();
        if let (ObjectOutcome::Written { uid, created }, Some(object)) = (outcome, object) {
            object.uid = Some(uid.clone());
            action.created = *created;
        }
        action.message = cut(&format!("{name} {done}"), ACTION_MESSAGE_BYTES_MAX).to_owned();
        self.ended_well(at);
        Ok(())
    }

    /// Ends an undo that found nothing to undo after it had begun.
    pub(crate) fn end_undo(&mut self, at: ActionIndex, why: String) -> Result<(), IllegalTransition> {
        self.apply(at, ActionEvent::Succeeded)?.message = why;
        self.ended_well(at);
        Ok(())
    }

    pub(crate) fn ended_well(&mut self, at: ActionIndex) {
        let subject = self.subject(at);
        let took = action_status(&self.status, at)
            .and_then(|action| Some(action.completion_time?.millis_since(action.start_time?)))
            .unwrap_or(0);
        let took = GoDuration::from_millis(took);
        let message = format!("{subject} completed successfully in {took}");
        self.announce_action(Level::Info, "ActionSucceeded", message, at);
    }

    /// A failed attempt is followed by another, or fails its action.
    pub(crate) fn failed_attempt(
        &mut self,
        at: ActionIndex,
        failure: &Failure,
    ) -> Result<(), IllegalTransition> {
        if let Some(action) = action_status_mut(&mut self.status, at) {
            let made = action
                .outputs
                .job_ref
                .as_ref()
                .is_some_and(|job| job.uid.is_some());
            // Nor did the same attempt make one before a crash.
            let never = matches!(failure.kind, FailureKind::NotCreated | FailureKind::AlreadyExists)
                && action.attempts <= 1
                && !made;
            let possible = action.effect_possible || made || retry::effect_possible(failure.kind);
            action.effect_possible = possible && !never;
            // A Job may be there although its creation failed: whoever tries again must meet it.
            let may_be_made = action.outputs.job_ref.is_some() && !made;
            action.in_doubt = failure.kind == FailureKind::OutcomeUnknown
                || (may_be_made && retry::effect_possible(failure.kind));
            action.outputs.status_code = failure.status_code;
            action.outputs.exit_code = failure.exit_code;
            action.outputs.message = None;
        }
        if let Some(log) = &failure.log {
            self.record_log(at, cut_to_end(log, OUTPUT_TEXT_BYTES_MAX));
        }
        match self.next_attempt(at, failure) {
            Ok(Next::Nothing) => self.fail(at, &failure.message),
            Ok(Next::TooLate) => {
                let message = format!(
                    "{}; no further attempt: the plan's timeout has passed",
                    failure.message
                );
                self.fail(at, &message)
            }
            Ok(Next::Attempt(attempt, target)) => self.retry(at, attempt, target, failure),
            Err(unrenderable) => {
                let message = format!("{}; no further attempt: {unrenderable}", failure.message);
                self.fail(at, &message)
            }
        }
    }

    /// Records the end of a failed container's log, in the place of that of the attempt before.
    fn record_log(&mut self, at: ActionIndex, log: &str) {
        let place = self.place_text(at, "log", log);
        if let Some(action) = action_status_mut(&mut self.status, at) {
            let outputs = &mut action.outputs;
            (outputs.message, outputs.message_stored_in) = match place {
                Place::Here(log) => (Some(log), None),
                Place::In(name) => (None, Some(name)),
            };
        }
    }

    /// Records the intent of the next attempt, before the wait for its time.
    fn retry(
        &mut self,
        at: ActionIndex,
        attempt: Attempt,
        target: Option<ObjectRef>,
        failure: &Failure,
    ) -> Result<(), IllegalTransition> {
        let task = self.run.map(|run| run.task(at));
        let action = self.apply(at, ActionEvent::Retried)?;
        action.attempts = attempt.number;
        action.attempt_time = Some(attempt.time);
        action.message = cut(&failure.message, ACTION_MESSAGE_BYTES_MAX).to_owned();
        // An object keeps its name over attempts.
        if let Some(task) = task.filter(|task| task.is_job()) {
            render::record_target(&mut action.outputs, task, target);
        }
        let (limit, earlier) = self.run.map_or((0, 0), |run| {
            let limit = retry::limit(run.task(at), &self.data(run, at));
            (limit, run.earlier_attempts(at))
        });
        let message = format!(
            "{} retrying ({}/{limit}): {}",
            self.subject(at),
            attempt.number - 1 - earlier,
            failure.message
        );
        self.announce_action(Level::Warning, "ActionRetrying", message, at);
        Ok(())
    }

    fn next_attempt(&self, at: ActionIndex, failure: &Failure) -> Result<Next, RenderError> {
        let (Some(run), Some(recorded)) = (self.run, action_status(&self.status, at)) else {
            return Ok(Next::Nothing);
        };
        if self.status.cancellation.is_some() {
            return Ok(Next::Nothing);
        }
        let data = self.data(run, at);
        let attempt = recorded.attempts - run.earlier_attempts(at).min(recorded.attempts);
        let Some(wait) = retry::wait_before_next(run.task(at), &data, attempt.max(1), failure)? else {
            return Ok(Next::Nothing);
        };
        if self.is_overdue() {
            return Ok(Next::TooLate);
        }
        let time = self.now.plus_millis(wait);
        let attempt = Attempt {
            number: recorded.attempts + 1,
            time,
            counts_from: time,
            first_start: recorded.start_time.unwrap_or(self.now),
        };
        let target = match run.task(at) {
            // What it deletes is recorded, or the next look finds it.
            Task::Delete { .. } => None,
            Task::Written(_) | Task::Nothing(_) => render::render(self.facts(run), at, attempt)?.target,
        };
        Ok(Next::Attempt(attempt, target))
    }

    fn data(&self, run: &Run, at: ActionIndex) -> Value {
        let recorded = action_status(&self.status, at).and_then(|recorded| recorded.start_time);
        data::data(self.facts(run), at, recorded.unwrap_or(self.now))
    }
}
