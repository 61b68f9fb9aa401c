//! Running actions: awaited while a command of this process is under way, else given one again, or ended.

use drplan_api::{
    canonical::{OnInterrupted, Work},
    limits::TIMEOUT_SECONDS_MAX,
    status::{ObjectRef, StepPhase},
};

use crate::{
    action_phase::IllegalTransition,
    advance::{InFlight, WaitingOn},
    announce::Level,
    data,
    effect::{ActionEffect, Command, JobWait},
    fold::Fold,
    graph::ActionIndex,
    look::{self, Known},
    render::{self, Attempt},
    run::{Run, action_status, action_status_mut},
    settle::recorded_path,
    walk::TIMED_OUT,
};

/// Why a call that was cut off is not sent again.
const CUT_OFF: &str = "the process that sent it ended before the answer was stored";

impl Fold<'_> {
    /// What the action at `at` needs now, if it runs.
    pub(crate) fn go_on(&mut self, run: Option<&Run>, at: ActionIndex) -> Result<(), IllegalTransition> {
        let recorded = action_status(&self.status, at).filter(|action| action.phase == StepPhase::Running);
        let Some(action) = recorded else {
            return Ok(());
        };
        let (attempt, job) = (action.attempts, action.outputs.job_ref.as_deref().cloned());
        let object = look::object(action).cloned();
        let now = self.status.cancellation.as_ref().is_some_and(|wish| wish.now);
        let in_flight = self.seen.in_flight.get(&at).filter(|_| !self.is_answered(at));
        match in_flight {
            Some(InFlight::Call) if now => {
                return self.fail_unknown(at, "cancel=now did not wait for the answer");
            }
            Some(InFlight::Object) if now => {
                return self.fail_unknown(at, "cancel=now did not wait for the API server");
            }
            // Given a new command below: to stop, or with the deadline that counts again.
            Some(InFlight::Await) if now || self.is_resumed() => {}
            Some(
                InFlight::Call | InFlight::FindOrCreate | InFlight::Await | InFlight::Stop | InFlight::Object,
            ) => {
                self.await_result(at);
                return Ok(());
            }
            None => {}
        }
        if self.seen.draining {
            // Whoever carries the run on asks for what is needed.
            return Ok(());
        }
        let unsent = self.is_unsent(at);
        if self.is_stopping() && unsent {
            return self.end_unsent(at);
        }
        if let Some(object) = object.filter(|_| self.is_stopping() || run.is_none()) {
            return self.find_object(at, object, CUT_OFF);
        }
        match (job, run) {
            (Some(job), _) if now => {
                self.look_for(at, attempt, Command::StopJob(job));
                Ok(())
            }
            (Some(job), _) if job.uid.is_some() => {
                self.await_job(run, at, attempt, job);
                Ok(())
            }
            (Some(job), _) if self.is_stopping() => {
                self.look_for(at, attempt, Command::FindJob(job));
                Ok(())
            }
            (_, Some(run)) => self.send_again(run, at, attempt, unsent),
            (_, None) => self.fail_unknown(at, CUT_OFF),
        }
    }

    /// Whether the newest intent has certainly not been acted on.
    fn is_unsent(&self, at: ActionIndex) -> bool {
        let Some(action) = action_status(&self.status, at) else {
            return false;
        };
        let has_job = action
            .outputs
            .job_ref
            .as_ref()
            .is_some_and(|job| job.uid.is_some());
        let is_new = action_status(self.before, at).is_none_or(|before| before.attempts < action.attempts);
        let is_early = !action.may_have_been_sent(self.now);
        // Nothing is sent before what stood there is recorded.
        let is_blind = action.before.is_none() && self.run.is_some_and(|run| run.task(at).looks_first());
        !has_job && (is_new || is_early || is_blind || self.seen.fresh.contains(&at))
    }

    /// Ends an action whose newest attempt was not sent and will not be.
    fn end_unsent(&mut self, at: ActionIndex) -> Result<(), IllegalTransition> {
        let Some(action) = action_status(&self.status, at) else {
            return Ok(());
        };
        let is_first = action.attempts <= 1 || action.message.is_empty();
        let message = match (self.status.cancellation.is_some(), is_first) {
            (true, true) => "cancelled before it was sent".to_owned(),
            (true, false) => action.message.clone(),
            (false, true) => format!("not sent: {TIMED_OUT}"),
            (false, false) => format!("{}; no further attempt: {TIMED_OUT}", action.message),
        };
        let was_in_doubt = self.run.is_some_and(|run| run.is_in_doubt(at, action.attempts));
        if let Some(action) = action_status_mut(&mut self.status, at) {
            action.in_doubt |= was_in_doubt;
        }
        self.fail(at, &message)
    }

    /// Asks for a command that may meet what an earlier process did: its answer alone does not tell that nothing
    /// happened.
    fn look_for(&mut self, at: ActionIndex, attempt: u32, command: Command) {
        if let Some(action) = action_status_mut(&mut self.status, at) {
            action.effect_possible = true;
        }
        self.await_result(at);
        self.emit_for(at, attempt, command);
    }

    fn await_job(&mut self, run: Option<&Run>, at: ActionIndex, attempt: u32, job: ObjectRef) {
        let Some(action) = action_status(&self.status, at) else {
            return;
        };
        let first_start = action.start_time.unwrap_or(self.now);
        let began = action.attempt_time.unwrap_or(first_start);
        let timeout = match run {
            Some(run) => {
                let data = data::data(self.facts(run), at, first_start);
                // It rendered when the Job was created, from the same data.
                run.task(at)
                    .timeout(&data)
                    .unwrap_or(render::JOB_TIMEOUT)
                    .as_millis()
            }
            // Without snapshot only that it is at most the longest possible is known.
            None => TIMEOUT_SECONDS_MAX * 1000,
        };
        let deadline = began.plus_millis(timeout);
        self.await_result(at);
        self.emit_for(at, attempt, Command::AwaitJob(JobWait { job, deadline }));
    }

    /// Sends the newest attempt: a retry whose time has come, or one that a crash cut off.
    fn send_again(
        &mut self,
        run: &Run,
        at: ActionIndex,
        attempt: u32,
        unsent: bool,
    ) -> Result<(), IllegalTransition> {
        let Some(action) = action_status(&self.status, at) else {
            return Ok(());
        };
        let time = action.attempt_time.unwrap_or(self.now);
        let attempt = Attempt {
            number: attempt,
            time,
            // A Job keeps its deadline, all else gets its full timeout anew.
            counts_from: if run.task(at).is_job() { time } else { self.now },
            first_start: action.start_time.unwrap_or(self.now),
        };
        if attempt.number > 1 && attempt.time > self.now {
            self.waiting_on.push(WaitingOn::Retry(run.path(at), attempt.time));
            self.wake(attempt.time);
            return Ok(());
        }
        if let Some(Work::Http(http)) = run.task(at).work() {
            if !unsent && self.is_stopping() {
                return self.fail_unknown(at, CUT_OFF);
            }
            if !unsent && http.on_interrupted == OnInterrupted::Fail {
                return self.fail_unknown(at, "the call was cut off (onInterrupted: Fail)");
            }
            if self.http_places == 0 {
                self.waiting_on.push(WaitingOn::HttpPlace(run.path(at)));
                return Ok(());
            }
        }
        let is_found = match self.know_before(run, at, attempt) {
            Ok(Known::Enough) => false,
            Ok(Known::Found(_)) => true,
            Ok(Known::Asked) => return Ok(()),
            Ok(Known::NothingToUndo(why)) => return self.end_undo(at, why),
            Ok(Known::Failed(failure)) => return self.failed_look(at, &failure),
            Err(error) => return self.fail(at, &error.to_string()),
        };
        match render::render(self.facts(run), at, attempt) {
            Err(error) if unsent => self.fail(at, &error.to_string()),
            Err(error) => self.fail_unknown(at, &format!("{CUT_OFF}, and it cannot be repeated: {error}")),
            Ok(rendered) => {
                self.http_places -= usize::from(matches!(rendered.command, Command::Call(_)));
                if let Some(action) = action_status_mut(&mut self.status, at).filter(|_| is_found) {
                    render::record_target(&mut action.outputs, run.task(at), rendered.target);
                }
                if self.has_nothing_to_delete(run, at) {
                    return self.end_with_nothing_to_delete(at);
                }
                if unsent {
                    self.emit(run, at, attempt.number, rendered.command);
                } else {
                    self.announce_repeat(at, &rendered.command);
                    self.look_for(at, attempt.number, rendered.command);
                }
                Ok(())
            }
        }
    }

    /// A request that may have arrived before and is not harmless to repeat is told of.
    fn announce_repeat(&mut self, at: ActionIndex, command: &Command) {
        let method = match command {
            Command::Call(call) if call.method == "POST" || call.method == "PATCH" => &call.method,
            Command::Call(_)
            | Command::CreateJob(_)
            | Command::AwaitJob(_)
            | Command::FindJob(_)
            | Command::StopJob(_)
            | Command::Object(_) => return,
        };
        let subject = self.subject(at);
        let message = format!("{subject}: {method} is sent again under the same Idempotency-Key");
        self.announce_action(Level::Warning, "ActionRepeated", message, at);
    }

    fn await_result(&mut self, at: ActionIndex) {
        self.waiting_on
            .push(WaitingOn::Result(recorded_path(&self.status, at)));
    }

    /// Asks for an effect.
    pub(crate) fn emit_for(&mut self, at: ActionIndex, attempt: u32, command: Command) {
        let effect = ActionEffect {
            identity: self.identity(at),
            attempt,
            command,
        };
        self.effects.push((at, effect));
    }
}
