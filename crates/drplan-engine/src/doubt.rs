//! Unknown: a run that only a person lets go on, because what was in flight is not known or its snapshot is gone.

use std::collections::BTreeSet;

use drplan_api::{
    GoDuration, Time, labels,
    limits::TIMEOUT_SECONDS_MAX,
    status::{ExecutionPhase, StepPhase},
};

use crate::{
    advance::InFlight,
    announce::{Announcement, Level},
    effect::{Command, JobWait, Outcome},
    fold::Fold,
    graph::ActionIndex,
    look,
    run::{action_indices, action_status, action_status_mut},
};

/// Actions that a message lists by name. A status has room for far more, a line does not.
const LISTED_MAX: usize = 5;

impl Fold<'_> {
    /// Enters or leaves Unknown.
    pub(crate) fn take_doubt(&mut self) {
        let cancelled = self.status.cancellation.is_some();
        match self.status.phase {
            ExecutionPhase::Unknown if cancelled || (self.seen.resume && self.run.is_some()) => {
                self.go_on_from_unknown();
            }
            ExecutionPhase::Running if cancelled => {}
            ExecutionPhase::Running if self.run.is_none() => {
                let cause = match self.is_record_altered {
                    true => RECORD_ALTERED,
                    false => SNAPSHOT_LOST,
                };
                self.doubt(self.now, cause, "cancel=true");
            }
            ExecutionPhase::Running => self.take_lost_contact(),
            ExecutionPhase::Pending
            | ExecutionPhase::Unknown
            | ExecutionPhase::Succeeded
            | ExecutionPhase::Failed
            | ExecutionPhase::Cancelled => {}
        }
    }

    /// Whether the run goes on from Unknown in this pass.
    pub(crate) fn is_resumed(&self) -> bool {
        self.before.phase == ExecutionPhase::Unknown && self.status.phase != ExecutionPhase::Unknown
    }

    fn take_lost_contact(&mut self) {
        let Some(lost) = self.seen.lost_contact_millis else {
            return;
        };
        let in_flight: BTreeSet<ActionIndex> = self
            .seen
            .in_flight
            .keys()
            .chain(self.seen.results.keys())
            .copied()
            .filter(|at| self.is(*at, StepPhase::Running))
            .collect();
        if in_flight.is_empty() {
            return;
        }
        let listed: Vec<String> = in_flight
            .iter()
            .take(LISTED_MAX)
            .map(|at| self.in_doubt(*at))
            .collect();
        let more = match in_flight.len().saturating_sub(LISTED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let cause = format!(
            "no contact with the API server for {} while in flight: {}{more}",
            GoDuration::from_millis(lost),
            listed.join(", ")
        );
        // In doubt since contact was lost: the plan's timeout has not run since then.
        let lost = i64::try_from(lost).unwrap_or(i64::MAX);
        let since = Time::from_millis(self.now.as_millis().saturating_sub(lost));
        let since = self.status.start_time.map_or(since, |start| since.max(start));
        self.doubt(since, &cause, "resume=true or cancel=true");
    }

    fn doubt(&mut self, since: Time, cause: &str, commands: &str) {
        self.status.phase = ExecutionPhase::Unknown;
        self.status.unknown_since = Some(since);
        let domain = labels::CANCEL.trim_end_matches("cancel");
        self.status.message = format!("{cause}; look, then annotate the execution with {domain}{commands}");
        self.announce(Announcement::new(
            Level::Error,
            "ExecutionUnknown",
            self.status.message.clone(),
        ));
        self.suspend_deadlines();
    }

    fn in_doubt(&self, at: ActionIndex) -> String {
        let path = self.path_text(at);
        match self.seen.results.get(&at).map(|seen| &seen.outcome) {
            None => format!("{path} (no result yet)"),
            Some(Outcome::Answered { status_code, .. }) => format!("{path} (answered {status_code})"),
            Some(Outcome::JobCreated { .. }) => format!("{path} (Job created)"),
            Some(Outcome::JobSucceeded) => format!("{path} (Job completed)"),
            Some(Outcome::Object(_)) => format!("{path} (accepted)"),
            Some(Outcome::Failed(failure)) => {
                format!(
                    "{path} (failed: {})",
                    crate::fold::cut(&failure.message, LISTED_MESSAGE_BYTES_MAX)
                )
            }
        }
    }

    /// No deadline runs while a run is Unknown: Jobs that are awaited are awaited without one.
    fn suspend_deadlines(&mut self) {
        let deadline = self.now.plus_millis(TIMEOUT_SECONDS_MAX * 1000 * DAYS_IN_DOUBT);
        for (at, in_flight) in &self.seen.in_flight {
            let recorded = action_status(&self.status, *at).filter(|_| *in_flight == InFlight::Await);
            let Some(job) = recorded.and_then(|action| action.outputs.job_ref.as_deref().cloned()) else {
                continue;
            };
            if !self.seen.results.contains_key(at) {
                let attempt = recorded.map_or(0, |action| action.attempts);
                self.emit_for(*at, attempt, Command::AwaitJob(JobWait { job, deadline }));
            }
        }
    }

    /// Back to Running. Deadlines have not run meanwhile: that of the plan, and those of the Jobs and objects at work.
    fn go_on_from_unknown(&mut self) {
        self.status.phase = ExecutionPhase::Running;
        let since = self.status.unknown_since.take().unwrap_or(self.now);
        let span = self.now.millis_since(since);
        self.status.deadline = self.status.deadline.map(|deadline| deadline.plus_millis(span));
        for at in action_indices(&self.status) {
            let Some(action) = action_status_mut(&mut self.status, at) else {
                continue;
            };
            let looks_first = self.run.is_some_and(|run| run.task(at).looks_first());
            let has_target = action.outputs.job_ref.is_some() || look::object(action).is_some();
            if (has_target || looks_first) && action.phase == StepPhase::Running {
                // What is asked of the API server is due by the time of its attempt.
                action.attempt_time = action
                    .attempt_time
                    .map(|time| time.plus_millis(self.now.millis_since(since.max(time))));
            }
        }
        let mut message = "Execution goes on from Unknown".to_owned();
        if let Some(user) = self.seen.resumed_by.as_ref().filter(|_| self.seen.resume) {
            message.push_str(&format!(", resumed by {user}"));
            self.status.resumed_by = Some(user.clone());
        }
        self.announce(Announcement::new(Level::Info, "ExecutionResumed", message));
    }
}

/// Why a run without its snapshot does not go on.
const SNAPSHOT_LOST: &str = "SnapshotLost: the snapshot of this run is gone or altered, so it cannot go on";
/// Why a run does not go on whose record somebody has edited.
const RECORD_ALTERED: &str = "RecordAltered: status.stageStatuses does not list the stages, workflows and actions of \
                              this run any more, so what has been done is not known";
/// Bytes of a failure's message in a list of several.
const LISTED_MESSAGE_BYTES_MAX: usize = 80;
/// How long, in days, a Job is awaited while nobody decides: longer than anybody looks away.
const DAYS_IN_DOUBT: u64 = 365;
