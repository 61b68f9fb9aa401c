//! The script language: a plan in few lines, then inputs with the decisions that must follow.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use drplan_api::{
    GoDuration, Time,
    status::{ActionStatus, DRPlanExecutionStatus, ExecutionPhase, StepPhase},
};
use drplan_engine::{
    ActionIndex, CancelWish, InFlight, Observed, Run, Step, WaitingOn, action_indices, action_status,
    advance,
    effect::{ActionEffect, Command, Failure, FailureKind, Observation, Outcome},
    explain,
};

use crate::{
    plans,
    written_plan::{duration, read_plan},
};

/// One script of a file.
pub(crate) struct Script {
    pub(crate) title: String,
    /// The line in the file, from 1.
    pub(crate) line: usize,
    lines: Vec<String>,
}

/// The scripts of a file: each begins with `#` lines after an empty line.
pub(crate) fn split(text: &str) -> Vec<Script> {
    let mut scripts: Vec<Script> = Vec::new();
    let mut previous = "";
    for (index, line) in text.lines().enumerate() {
        if let Some(title) = line.strip_prefix("# ") {
            match scripts.last_mut() {
                Some(script) if previous.starts_with('#') => {
                    script.title.push(' ');
                    script.title.push_str(title);
                }
                _ => scripts.push(Script {
                    title: title.to_owned(),
                    line: index + 1,
                    lines: Vec::new(),
                }),
            }
        } else if !line.trim().is_empty() {
            let script = scripts.last_mut().expect("a file begins with a title");
            script.lines.push(line.to_owned());
        }
        previous = line;
    }
    scripts
}

/// Plays `script`.
///
/// # Errors
/// The script as it would be right.
pub(crate) fn play(script: &Script) -> Result<(), String> {
    let is_plan = |line: &&String| {
        ["plan", "stage", "action"]
            .iter()
            .any(|word| line.split([' ', ':']).next() == Some(*word))
    };
    let setting: Vec<&String> = script.lines.iter().take_while(is_plan).collect();
    let mut player = Player::new(read_plan(&setting));
    let mut played = String::new();
    let mut right = true;
    for line in &script.lines[setting.len()..] {
        let (input, expected, mark) = match line
            .strip_prefix("check ")
            .and_then(|rest| rest.split_once(" = "))
        {
            Some((what, expected)) => (what.trim(), expected.trim(), "check"),
            None => {
                let (input, expected) = line
                    .split_once('>')
                    .unwrap_or_else(|| panic!("no `>` in: {line}"));
                (input.trim(), expected.trim(), "")
            }
        };
        let expected = expected.split("  #").next().unwrap_or_default().trim();
        let found = if mark.is_empty() {
            player.take(input)
        } else {
            player.look(input)
        };
        let separator = if mark.is_empty() { " > " } else { " = " };
        let _ = write!(played, "\n    {mark} {input}{separator}{found}");
        if found != expected {
            right = false;
            let _ = write!(played, "\n        but the script has: {expected}");
        }
    }
    if right { Ok(()) } else { Err(played) }
}

/// A minimal shell and what it holds.
struct Player {
    run: Option<Run>,
    names: BTreeMap<String, ActionIndex>,
    status: DRPlanExecutionStatus,
    in_flight: BTreeMap<ActionIndex, InFlight>,
    fresh: BTreeSet<ActionIndex>,
    http_places: usize,
    start: Time,
    now: Time,
    last: Option<Step>,
    waited: Vec<String>,
    draining: bool,
}

impl Player {
    fn new(run: Run) -> Self {
        let names = run
            .graph
            .actions()
            .map(|at| (run.action(at).name.as_str().to_owned(), at))
            .collect();
        let start: Time = "2026-01-30T10:00:00Z".parse().unwrap();
        Self {
            status: run.initial_status(),
            run: Some(run),
            names,
            in_flight: BTreeMap::new(),
            fresh: BTreeSet::new(),
            http_places: 100,
            start,
            now: start,
            last: None,
            waited: Vec::new(),
            draining: false,
        }
    }

    fn at(&self, name: &str) -> ActionIndex {
        *self.names.get(name).unwrap_or_else(|| panic!("no action {name}"))
    }

    fn recorded(&self, at: ActionIndex) -> &ActionStatus {
        action_status(&self.status, at).unwrap()
    }

    fn take(&mut self, input: &str) -> String {
        let mut seen = Observed {
            execution_uid: plans::UID.to_owned(),
            ..Observed::default()
        };
        let (word, rest) = input.split_once(' ').unwrap_or((input, ""));
        match word {
            "start" | "again" => {}
            "at" => {
                self.now = self
                    .now
                    .plus_millis(duration(rest.trim_start_matches('+')).as_millis())
            }
            "seen" => {
                seen.results = self.read_results(rest);
            }
            "crash" => {
                self.in_flight.clear();
                self.draining = false;
                let now = self.now;
                let early = |at: &ActionIndex| {
                    let time = action_status(&self.status, *at).and_then(|action| action.attempt_time);
                    time.is_some_and(|time| time > now)
                };
                self.fresh = action_indices(&self.status).into_iter().filter(early).collect();
                self.waited.clear();
            }
            "cancel" => {
                seen.cancel = Some(CancelWish {
                    now: rest == "now",
                    reason: "by user".to_owned(),
                });
            }
            "snapshot" => self.run = None,
            // Somebody takes the stages out of the record.
            "record" => self.status.stage_statuses.clear(),
            "lost" => {
                let rest = rest.strip_prefix("contact").unwrap().trim();
                let (lost, results) = rest.split_once(" with ").unwrap_or((rest, ""));
                seen.lost_contact_millis = Some(duration(lost).as_millis());
                seen.results = self.read_results(results);
            }
            "resume" => seen.resume = true,
            "drain" => self.draining = true,
            "places" => self.http_places = rest.parse().unwrap(),
            other => panic!("unknown input {other}"),
        }
        self.step(seen)
    }

    fn read_results(&mut self, text: &str) -> BTreeMap<ActionIndex, Observation> {
        let one = |text: &str| self.read_result(text.trim());
        text.split(',').filter(|text| !text.is_empty()).map(one).collect()
    }

    fn read_result(&mut self, text: &str) -> (ActionIndex, Observation) {
        let mut words = text.split(' ');
        let name = words.next().unwrap();
        let (name, attempt) = match name.split_once('#') {
            Some((name, attempt)) => (name, Some(attempt.parse().unwrap())),
            None => (name, None),
        };
        let at = self.at(name);
        let current = self.recorded(at).attempts;
        if attempt.is_none_or(|attempt| attempt == current) {
            let in_flight = self.in_flight.remove(&at);
            assert!(
                attempt.is_some() || in_flight.is_some(),
                "nothing is in flight for {name}"
            );
        }
        let outcome = match words.next() {
            Some("ok") if self.recorded(at).outputs.job_ref.is_some() => Outcome::JobSucceeded,
            Some("ok") => Outcome::Answered {
                status_code: 200,
                duration_millis: 120,
                body: None,
            },
            Some("created") => Outcome::JobCreated {
                uid: format!("uid-of-{name}"),
            },
            Some("failed") => Outcome::Failed(failure(words)),
            other => panic!("unknown result {other:?}"),
        };
        let attempt = attempt.unwrap_or(current);
        (at, Observation { attempt, outcome })
    }

    /// One pass of the shell: decide, persist, perform.
    fn step(&mut self, seen: Observed) -> String {
        let seen = Observed {
            in_flight: self.in_flight.clone(),
            fresh: self.fresh.clone(),
            http_places: self.http_places,
            draining: self.draining,
            ..seen
        };
        let before = self.status.clone();
        let step = match advance(self.run.as_ref(), &before, &seen, self.now) {
            Ok(step) => step,
            Err(error) => return format!("error: {error}"),
        };
        let stored = serde_json::to_string(&step.status).unwrap();
        self.status = serde_json::from_str(&stored).unwrap();
        assert_eq!(self.status, step.status, "the record is the same when read back");
        assert_adds_up(&self.status);
        let told = self.tell(&before, &seen, &step);
        self.perform(&before, &step);
        self.last = Some(step);
        told
    }

    fn perform(&mut self, before: &DRPlanExecutionStatus, step: &Step) {
        for at in action_indices(&self.status) {
            let (old, new) = (
                action_status(before, at),
                action_status(&self.status, at).unwrap(),
            );
            if new.phase != StepPhase::Running {
                self.in_flight.remove(&at);
                self.fresh.remove(&at);
            } else if old.is_some_and(|old| old.attempts < new.attempts) {
                self.fresh.insert(at);
            }
        }
        for (at, effect) in &step.effects {
            let recorded = action_status(&self.status, *at).unwrap();
            assert_eq!(recorded.phase, StepPhase::Running, "an effect without intent");
            assert_eq!(recorded.attempts, effect.attempt, "an effect of another attempt");
            let is_call = matches!(effect.command, Command::Call(_));
            self.fresh.remove(at);
            self.in_flight.insert(*at, kind_of(&effect.command));
            self.http_places -= usize::from(is_call);
        }
    }

    /// The decisions of `step` in the words of scripts.
    fn tell(&mut self, before: &DRPlanExecutionStatus, seen: &Observed, step: &Step) -> String {
        let mut words = Vec::new();
        let name = |at: ActionIndex| action_status(before, at).unwrap().name.clone();
        for at in action_indices(before) {
            let (old, new) = (
                action_status(before, at).unwrap(),
                action_status(&step.status, at).unwrap(),
            );
            if old.phase == new.phase {
                continue;
            }
            match new.phase {
                StepPhase::Skipped => words.push(format!("skip {}", new.name)),
                StepPhase::Failed if !seen.results.contains_key(&at) => {
                    words.push(format!("fail {}", new.name))
                }
                StepPhase::Pending | StepPhase::Running | StepPhase::Succeeded | StepPhase::Failed => {}
            }
        }
        for (at, effect) in &step.effects {
            let old = action_status(before, *at).unwrap();
            let same = old.phase == StepPhase::Running && old.attempts == effect.attempt;
            let verb = match &effect.command {
                Command::Call(_) | Command::CreateJob(_) | Command::Object(_)
                    if same && !self.fresh.contains(at) =>
                {
                    "repeat"
                }
                Command::Call(_) | Command::CreateJob(_) | Command::Object(_) => "start",
                Command::AwaitJob(_) => "await",
                Command::FindJob(_) => "find",
                Command::StopJob(_) => "stop",
            };
            words.push(format!("{verb} {}#{}", name(*at), effect.attempt));
        }
        let waits: Vec<String> = step
            .waiting_on
            .iter()
            .filter_map(|wait| self.tell_wait(wait))
            .collect();
        words.extend(waits.iter().filter(|wait| !self.waited.contains(wait)).cloned());
        self.waited = waits;
        if step.status.phase != before.phase && step.status.phase != ExecutionPhase::Running {
            let done = if step.status.phase.is_terminal() {
                "done "
            } else {
                ""
            };
            words.push(format!("{done}{}", step.status.phase.as_str()));
        }
        if words.is_empty() {
            "-".to_owned()
        } else {
            words.join(", ")
        }
    }

    fn tell_wait(&self, wait: &WaitingOn) -> Option<String> {
        let name = |path: &drplan_api::ActionPath| path.as_str().rsplit('/').next().unwrap().to_owned();
        match wait {
            WaitingOn::Result(_) => None,
            WaitingOn::Look(path) => Some(format!("look {}", name(path))),
            WaitingOn::Retry(path, time) => Some(format!("{} again at {}", name(path), self.offset(*time))),
            WaitingOn::HttpPlace(path) => Some(format!("{} waits for a place", name(path))),
            WaitingOn::Person => Some("a person must look".to_owned()),
        }
    }

    fn offset(&self, time: Time) -> String {
        format!("+{}", GoDuration::from_millis(time.millis_since(self.start)))
    }

    /// What a `check` line asks for.
    fn look(&self, what: &str) -> String {
        let shown =
            |phase: &str, message: &str| format!("{phase}: {message}").trim_end_matches(": ").to_owned();
        let phase = |phase: StepPhase| format!("{phase:?}");
        let last = self.last.as_ref().unwrap();
        let words: Vec<&str> = what.split(' ').collect();
        match words.as_slice() {
            ["run"] => shown(self.status.phase.as_str(), &self.status.message),
            ["deadline"] => self
                .status
                .deadline
                .map_or("none".to_owned(), |time| self.offset(time)),
            ["wake"] => last.wake_at.map_or("none".to_owned(), |time| self.offset(time)),
            ["duration"] => self.status.duration.clone().unwrap_or_default(),
            ["conditions"] => {
                let one = |condition: &drplan_api::status::Condition| {
                    format!("{}={} {}", condition.kind, condition.status, condition.reason)
                };
                self.status
                    .conditions
                    .iter()
                    .map(one)
                    .collect::<Vec<_>>()
                    .join(", ")
            }
            ["summary", group] => summary(&self.status, group),
            ["told"] => {
                let reasons = last.announcements.iter().map(|told| told.reason);
                reasons.collect::<Vec<_>>().join(", ")
            }
            ["told", reason] => {
                let of = last.announcements.iter().filter(|told| told.reason == *reason);
                of.map(|told| told.message.as_str())
                    .collect::<Vec<_>>()
                    .join(" | ")
            }
            ["explain"] => explain(&self.status, &last.waiting_on).join(" | "),
            ["stage", name] => {
                let stage = self
                    .status
                    .stage_statuses
                    .iter()
                    .find(|stage| stage.name == *name)
                    .unwrap();
                shown(&phase(stage.phase), &stage.message)
            }
            ["workflow", name] => {
                let uses = self
                    .status
                    .stage_statuses
                    .iter()
                    .flat_map(|stage| &stage.workflow_executions);
                let used = uses
                    .into_iter()
                    .find(|used| used.workflow_ref.name == *name)
                    .unwrap();
                format!("{}; {}", shown(&phase(used.phase), &used.message), used.progress)
            }
            [name] => {
                let action = self.recorded(self.at(name));
                shown(&phase(action.phase), &action.message)
            }
            [name, field] => self.look_at_action(self.at(name), field),
            _ => panic!("unknown check {what}"),
        }
    }

    fn look_at_action(&self, at: ActionIndex, field: &str) -> String {
        let action = self.recorded(at);
        let time = |time: Option<Time>| time.map_or("none".to_owned(), |time| self.offset(time));
        let command = || {
            let effects = &self.last.as_ref().unwrap().effects;
            let effect: &ActionEffect = effects
                .iter()
                .find(|(other, _)| *other == at)
                .map(|(_, one)| one)
                .unwrap();
            effect
        };
        match field {
            "attempts" => action.attempts.to_string(),
            "times" => format!("{} to {}", time(action.start_time), time(action.completion_time)),
            "effect" => if action.effect_possible {
                "possible"
            } else {
                "impossible"
            }
            .to_owned(),
            "job" => {
                let job = action.outputs.job_ref.as_ref().unwrap();
                let uid = job.uid.as_ref().map(|uid| format!(" {uid}")).unwrap_or_default();
                format!(
                    "{}/{}{uid}",
                    job.namespace.as_deref().unwrap_or_default(),
                    job.name
                )
            }
            "key" => command().identity.idempotency_key(),
            "deadline" => match &command().command {
                Command::CreateJob(creation) => self.offset(creation.deadline),
                Command::AwaitJob(wait) => self.offset(wait.deadline),
                other => panic!("{other:?} has no deadline"),
            },
            "manifest" => match &command().command {
                Command::CreateJob(creation) => {
                    let metadata = &creation.manifest["metadata"];
                    format!(
                        "{} attempt {}",
                        metadata["name"], metadata["annotations"]["dr.bkbcs.tencent.com/attempt"]
                    )
                    .replace('"', "")
                }
                other => panic!("{other:?} has no manifest"),
            },
            "body" => match &command().command {
                Command::Call(call) => call.body.clone().unwrap_or_default(),
                other => panic!("{other:?} has no body"),
            },
            "timeout" => match &command().command {
                Command::Call(call) => call.timeout.to_string(),
                other => panic!("{other:?} has no timeout"),
            },
            other => panic!("unknown field {other}"),
        }
    }
}

fn kind_of(command: &Command) -> InFlight {
    match command {
        Command::Call(_) => InFlight::Call,
        Command::CreateJob(_) | Command::FindJob(_) => InFlight::FindOrCreate,
        Command::AwaitJob(_) => InFlight::Await,
        Command::StopJob(_) => InFlight::Stop,
        Command::Object(_) => InFlight::Object,
    }
}

/// The counts of `group` that are not zero; the total is their sum.
fn summary(status: &DRPlanExecutionStatus, group: &str) -> String {
    let summary = serde_json::to_value(status.summary.as_ref().unwrap()).unwrap();
    let phases = ["completed", "running", "pending", "failed", "skipped"];
    let counts = phases.iter().filter_map(|phase| {
        let count = summary[format!("{phase}{group}")].as_u64().unwrap();
        (count > 0).then(|| format!("{count} {phase}"))
    });
    counts.collect::<Vec<_>>().join(", ")
}

fn assert_adds_up(status: &DRPlanExecutionStatus) {
    let Some(counts) = &status.summary else {
        return;
    };
    let summary = serde_json::to_value(counts).unwrap();
    for group in ["Stages", "Workflows", "Actions"] {
        let of = |phase: &str| summary[format!("{phase}{group}")].as_u64().unwrap();
        let sum = of("completed") + of("running") + of("pending") + of("failed") + of("skipped");
        assert_eq!(of("total"), sum, "{group} in {counts:?}");
    }
}

/// Such as `refused`, `status 503`, `status 429 retry-after 30s`.
fn failure<'a>(mut words: impl Iterator<Item = &'a str>) -> Failure {
    use FailureKind as K;
    let word = words.next().expect("a kind of failure");
    let kind = match word {
        "render" => K::Render,
        "refused" => K::NotConnected,
        "reset" => K::ConnectionLost,
        "timeout" => K::Timeout,
        "tls" => K::Tls,
        "status" => K::HttpStatus,
        "garbled" => K::BadAnswer,
        "unavailable" => K::ApiUnavailable,
        "conflict" => K::ApiConflict,
        "exists" => K::AlreadyExists,
        "forbidden" => K::Forbidden,
        "invalid" => K::Invalid,
        "job" => K::JobFailed,
        "late" => K::JobTimedOut,
        "lost" => K::JobLost,
        "not-created" => K::NotCreated,
        "stopped" => K::Stopped,
        "unknown" => K::OutcomeUnknown,
        other => panic!("unknown kind of failure {other}"),
    };
    let mut failure = Failure::new(kind, word);
    if kind == K::HttpStatus {
        let code = words.next().expect("a status code");
        failure.status_code = Some(code.parse().unwrap());
        failure.message = format!("HTTP {code}");
    }
    if let Some("retry-after") = words.next() {
        failure.retry_after_millis = Some(duration(words.next().unwrap()).as_millis());
    }
    failure
}
