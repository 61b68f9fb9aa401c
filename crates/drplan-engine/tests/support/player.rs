//! A minimal shell that does what a script says, and what it holds.

use std::collections::{BTreeMap, BTreeSet};

use drplan_api::{
    GoDuration, Time,
    status::{ActionStatus, DRPlanExecutionStatus, StepPhase},
};
use drplan_engine::{
    ActionIndex, CancelWish, InFlight, Inquiry, Kept, Looked, Observed, Run, Snapshot, Step, WaitingOn,
    action_indices, action_status, advance,
    effect::{ActionEffect, Command, EffectIdentity},
    object::{Before, ObjectCommand},
};

use crate::{plans, reverts::Target, written_plan::duration};

/// How long, in milliseconds, a shell offers the answer to a look.
const LOOK_KEPT: u64 = 5_000;

/// One run, carried by whatever process lives.
pub(crate) struct Player {
    /// None: its snapshot is lost.
    pub(crate) run: Option<Run>,
    pub(crate) snapshot: Snapshot,
    /// What it goes by: its name and UID.
    pub(crate) execution: (String, String),
    /// The execution that is undone, of a Revert.
    pub(crate) target: Option<Target>,
    /// All that was ever kept.
    pub(crate) store: Kept,
    pub(crate) names: BTreeMap<String, ActionIndex>,
    pub(crate) status: DRPlanExecutionStatus,
    pub(crate) start: Time,
    pub(crate) now: Time,
    pub(crate) last: Option<Step>,
    /// Waits that were told of already.
    pub(crate) waited: Vec<String>,
    pub(crate) in_flight: BTreeMap<ActionIndex, InFlight>,
    pub(crate) fresh: BTreeSet<ActionIndex>,
    /// Looks under way, and when they were asked for.
    pub(crate) looking: BTreeMap<ActionIndex, Time>,
    /// Actions of which the last input told an answer.
    pub(crate) heard: BTreeSet<ActionIndex>,
    /// What looks found, and when that came.
    looks: BTreeMap<ActionIndex, (Looked, Time)>,
    http_places: usize,
    draining: bool,
}

impl Player {
    /// Before anything has begun.
    pub(crate) fn new(run: Run) -> Self {
        let names = run
            .graph
            .actions()
            .map(|at| (run.action(at).name.as_str().to_owned(), at))
            .collect();
        let start: Time = "2026-01-30T10:00:00Z".parse().unwrap();
        Self {
            status: run.initial_status(),
            snapshot: run.snapshot.clone(),
            execution: ("failover-1".to_owned(), plans::UID.to_owned()),
            target: None,
            store: Kept::new(),
            run: Some(run),
            names,
            start,
            now: start,
            last: None,
            waited: Vec::new(),
            in_flight: BTreeMap::new(),
            fresh: BTreeSet::new(),
            looking: BTreeMap::new(),
            heard: BTreeSet::new(),
            looks: BTreeMap::new(),
            http_places: 100,
            draining: false,
        }
    }

    pub(crate) fn at(&self, name: &str) -> ActionIndex {
        *self.names.get(name).unwrap_or_else(|| panic!("no action {name}"))
    }

    pub(crate) fn recorded(&self, at: ActionIndex) -> &ActionStatus {
        action_status(&self.status, at).unwrap()
    }

    /// Whose the effects of the action at `at` are; in a Revert, those of its undo.
    pub(crate) fn identity(&self, at: ActionIndex) -> EffectIdentity {
        let of_action = self.action_identity(at);
        match self.target {
            None => of_action,
            Some(_) => of_action.undo(),
        }
    }

    /// Whose the effects of the action itself are.
    pub(crate) fn action_identity(&self, at: ActionIndex) -> EffectIdentity {
        EffectIdentity {
            execution_uid: plans::UID.to_owned(),
            path: self.recorded_path(at),
        }
    }

    fn recorded_path(&self, at: ActionIndex) -> drplan_api::ActionPath {
        let stage = &self.status.stage_statuses[at.stage];
        let workflow = &stage.workflow_executions[at.workflow];
        let action = &workflow.action_statuses[at.action];
        let used = &workflow.workflow_ref.name;
        drplan_api::ActionPath::recorded(&stage.name, used, at.workflow, &action.name)
    }

    /// Time since the script began.
    pub(crate) fn offset(&self, time: Time) -> String {
        format!("+{}", GoDuration::from_millis(time.millis_since(self.start)))
    }

    /// Does what `input` says, and tells what is decided.
    pub(crate) fn take(&mut self, input: &str) -> String {
        let mut seen = Observed::default();
        self.heard.clear();
        let (word, rest) = input.split_once(' ').unwrap_or((input, ""));
        match word {
            "start" | "again" => {}
            "revert" => self.revert(rest),
            "at" => {
                self.now = self
                    .now
                    .plus_millis(duration(rest.trim_start_matches('+')).as_millis())
            }
            "seen" => seen.results = self.read_results(rest),
            "look" => {
                let now = self.now;
                let answers = self.read_looks(rest);
                self.heard.extend(answers.keys());
                let answers = answers.into_iter();
                self.looks.extend(answers.map(|(at, looked)| (at, (looked, now))));
            }
            "crash" => self.crash(),
            "cancel" => {
                if let Some(name) = rest.strip_prefix("unsent ") {
                    let at = self.at(name);
                    self.in_flight.remove(&at);
                    self.fresh.insert(at);
                }
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

    /// The process dies; its successor knows the record alone.
    pub(crate) fn crash(&mut self) {
        self.in_flight.clear();
        self.looking.clear();
        self.looks.clear();
        self.draining = false;
        let now = self.now;
        let early = |at: &ActionIndex| {
            let time = action_status(&self.status, *at).and_then(|action| action.attempt_time);
            time.is_some_and(|time| time > now)
        };
        self.fresh = action_indices(&self.status).into_iter().filter(early).collect();
        self.waited.clear();
    }

    /// One pass of the shell: decide, persist, perform.
    fn step(&mut self, seen: Observed) -> String {
        let looks = self.looks.iter().map(|(at, (looked, _))| (*at, looked.clone()));
        let (execution, execution_uid) = self.execution.clone();
        let seen = Observed {
            execution,
            execution_uid,
            kept: self.at_hand(),
            looks: looks.collect(),
            looking: self.looking.keys().copied().collect(),
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
        self.store.extend(step.to_keep.iter().cloned());
        let stored = serde_json::to_string(&step.status).unwrap();
        self.status = serde_json::from_str(&stored).unwrap();
        assert_eq!(self.status, step.status, "the record is the same when read back");
        assert_adds_up(&self.status);
        self.heard.extend(seen.results.keys());
        let told = self.tell(&before, &step);
        self.look(&step);
        self.perform(&before, &step);
        self.last = Some(step);
        told
    }

    /// Asks what the step wants to know first.
    fn look(&mut self, step: &Step) {
        for (at, Inquiry { identity, look }) in &step.inquiries {
            assert_eq!(*identity, self.identity(*at), "a look of another identity");
            assert_eq!(look.target.uid, None, "a look is at a place");
            let waits = WaitingOn::Look(self.recorded_path(*at));
            assert!(step.waiting_on.contains(&waits), "nobody waits for the look");
            let asked = self.looking.insert(*at, self.now);
            assert_eq!(asked, None, "asked again while a look is under way");
        }
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
            self.assert_goes_by_the_record(*at, recorded, effect);
            let is_call = matches!(effect.command, Command::Call(_));
            self.fresh.remove(at);
            self.in_flight.insert(*at, kind_of(&effect.command));
            self.http_places -= usize::from(is_call);
        }
        let (status, now) = (&self.status, self.now);
        let open = |at: &ActionIndex| action_status(status, *at).is_some_and(|one| !one.phase.is_ended());
        self.looking.retain(|at, _| open(at));
        self.looks
            .retain(|at, (_, came)| open(at) && now.millis_since(*came) < LOOK_KEPT);
    }

    /// What stood at an object's place is recorded before anything is done to it, and the command goes by that. What an
    /// action made is deleted by the UID that its execution recorded.
    fn assert_goes_by_the_record(&self, at: ActionIndex, recorded: &ActionStatus, effect: &ActionEffect) {
        let Command::Object(command) = &effect.command else {
            return;
        };
        let before = recorded.before.as_deref();
        match command {
            ObjectCommand::Write(write) => match &write.before {
                Before::Absent => assert_eq!(before, Some("absent")),
                Before::Present(uid) => assert_eq!(before, Some(uid.as_str())),
            },
            ObjectCommand::Delete(deletion) => {
                let made = self.made_uid(at).unwrap_or("absent");
                assert_eq!(
                    deletion.target.uid.as_deref().unwrap_or("absent"),
                    before.unwrap_or(made),
                    "another object is deleted"
                );
            }
            ObjectCommand::Look(look) => panic!("a look is no effect: {look:?}"),
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
