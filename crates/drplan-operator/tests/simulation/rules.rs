//! What must hold after every step, whatever goes wrong: a model of what is allowed, in words of its own.

mod end;
mod order;
mod sending;
mod storing;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use drplan_api::{
    ActionPath, DRPlanExecutionStatus, labels,
    status::{ActionStatus, ExecutionPhase, StepPhase},
};
use drplan_engine::object::field_manager;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    api::field,
    plan::{NAMESPACE, PLAN, What},
    scenario::Scenario,
};

/// All that is known of what was recorded and done.
pub(crate) struct Rules {
    scenario: Arc<Scenario>,
    /// By UID.
    runs: BTreeMap<String, Run>,
    /// By key of the effect.
    effects: BTreeMap<String, Effect>,
    /// From field managers to paths of actions.
    managers: BTreeMap<String, String>,
    /// When each process asked last of those times when it learnt that it acts on an execution.
    proofs: BTreeMap<(String, String), Instant>,
    /// Executions, reverts, claims, repeats, sends under a stale epoch, ends other than success.
    pub(crate) figures: [u64; 6],
}

/// One execution, as recorded.
struct Run {
    name: String,
    /// The UID of the execution that it undoes.
    reverts: Option<String>,
    status: DRPlanExecutionStatus,
    /// Effects that a process may send, with their attempts: intents that were stored under its epoch.
    intents: BTreeSet<(String, String, u32)>,
}

/// What was done under one key.
#[derive(Default)]
struct Effect {
    /// By attempt.
    attempts: BTreeMap<u32, Attempt>,
    /// Arrivals of calls.
    arrived: u64,
    /// Whether a site did what was asked.
    was_done: bool,
    /// Whether a write of it left a process.
    was_sent: bool,
    /// UIDs of Jobs, by attempt.
    jobs: BTreeMap<u32, Vec<String>>,
}

#[derive(Default)]
struct Attempt {
    /// How often each process sent it.
    sent: BTreeMap<String, u64>,
    /// How often it may be sent again: claims and resumptions while nobody knew how it ended.
    repeats: u64,
}

/// The place of an action in a status.
type Place = (usize, usize, usize);

impl Rules {
    pub(crate) fn new(scenario: Arc<Scenario>) -> Self {
        let managers = scenario.plan.paths().into_iter().map(|path| {
            let mut parts = path.split(['/', '[', ']']);
            let mut part = || parts.next().unwrap_or_default().to_owned();
            let (stage, workflow, index, _, action) = (part(), part(), part(), part(), part());
            let named = ActionPath::recorded(&stage, &workflow, index.parse().unwrap(), &action);
            (field_manager(NAMESPACE, PLAN, &named).0, path)
        });
        Self {
            managers: managers.collect(),
            proofs: BTreeMap::new(),
            scenario,
            runs: BTreeMap::new(),
            effects: BTreeMap::new(),
            figures: [0; 6],
        }
    }

    /// Whether a process acts on the execution of this name.
    pub(crate) fn acts_on(&self, by: &str, execution: &str) -> bool {
        let mut runs = self.runs.values();
        runs.any(|run| run.name == execution && run.process() == by)
    }

    /// A process has learnt that it acted on an execution when it asked.
    pub(crate) fn proved(&mut self, by: &str, execution: &str, asked: Instant) {
        let proof = self
            .proofs
            .entry((by.to_owned(), execution.to_owned()))
            .or_insert(asked);
        *proof = asked.max(*proof);
    }

    /// A call arrives at its site.
    pub(crate) fn arrived(&mut self, key: &str) {
        self.effects.entry(key.to_owned()).or_default().arrived += 1;
    }

    /// A site has done what a call asked for.
    pub(crate) fn did(&mut self, key: &str) {
        self.effects.entry(key.to_owned()).or_default().was_done = true;
    }

    /// Takes a status in.
    fn note(
        &mut self,
        by: &str,
        uid: &str,
        name: &str,
        before: &DRPlanExecutionStatus,
        after: DRPlanExecutionStatus,
    ) {
        let reverts = after.reverts.as_ref().map(|target| target.uid.clone());
        let owner = reverts.clone().unwrap_or_else(|| uid.to_owned());
        let suffix = if reverts.is_some() { "/undo" } else { "" };
        let is_claim = before.epoch.is_some() && before.epoch != after.epoch;
        let is_resumed = before.phase == ExecutionPhase::Unknown && after.phase == ExecutionPhase::Running;
        let begins = before.phase == ExecutionPhase::Pending && after.phase == ExecutionPhase::Running;
        self.figures[0] += u64::from(begins && reverts.is_none());
        self.figures[1] += u64::from(begins && reverts.is_some());
        self.figures[2] += u64::from(is_claim);
        self.figures[5] += u64::from(
            after.phase.is_terminal()
                && !before.phase.is_terminal()
                && after.phase != ExecutionPhase::Succeeded,
        );
        // An undo of which an earlier Revert did not learn how it ended is repeated under its number.
        let doubted: BTreeSet<String> = self
            .runs
            .values()
            .filter(|run| run.reverts.is_some() && run.reverts == reverts)
            .flat_map(|run| {
                let doubted = actions(&run.status).filter(|(_, action)| action.in_doubt);
                doubted.map(|(place, _)| format!("{owner}/{}/undo", path_at(&run.status, place)))
            })
            .collect();
        let run = self.runs.entry(uid.to_owned()).or_insert_with(|| Run {
            name: name.to_owned(),
            reverts: None,
            status: DRPlanExecutionStatus::default(),
            intents: BTreeSet::new(),
        });
        // What it undoes is not written before it begins.
        run.reverts = run.reverts.take().or(reverts);
        for (place, action) in actions(&after) {
            if action.phase != StepPhase::Running {
                continue;
            }
            let key = format!("{owner}/{}{suffix}", path_at(&after, place));
            let known = at(before, place).is_some_and(|earlier| {
                earlier.phase == StepPhase::Running && earlier.attempts == action.attempts
            });
            let effect = self.effects.entry(key.clone()).or_default();
            let is_doubted = at(before, place).is_none_or(|earlier| earlier.phase == StepPhase::Pending)
                && effect.attempts.contains_key(&action.attempts)
                && doubted.contains(&key);
            if is_doubted || known && (is_claim || is_resumed) {
                let effect = self.effects.entry(key.clone()).or_default();
                effect.attempts.entry(action.attempts).or_default().repeats += 1;
            }
            run.intents.insert((by.to_owned(), key, action.attempts));
        }
        run.status = after;
    }

    /// The run that an effect is of: the execution, or the Revert of it that does the undo now, or did it last.
    fn run_of(&self, key: &str) -> Option<&Run> {
        let uid = key.split('/').next()?;
        if !is_undo(key) {
            return self.runs.get(uid);
        }
        let mut reverts = self
            .runs
            .values()
            .filter(|run| run.reverts.as_deref() == Some(uid));
        let running = reverts
            .clone()
            .find(|run| run.status.phase == ExecutionPhase::Running);
        running.or_else(|| reverts.next_back())
    }
}

impl Run {
    /// The key of the effect that this run, of this UID, has at `path`.
    fn key(&self, uid: &str, path: &str) -> String {
        match &self.reverts {
            Some(target) => format!("{target}/{path}/undo"),
            None => format!("{uid}/{path}"),
        }
    }

    fn process(&self) -> &str {
        self.status
            .epoch
            .as_ref()
            .map_or("", |epoch| epoch.process.as_str())
    }

    fn action(&self, key: &str) -> Option<&ActionStatus> {
        let path = path_of(key);
        let found = actions(&self.status).find(|(place, _)| path_at(&self.status, *place) == path);
        found.map(|(_, action)| action)
    }
}

/// The key and the attempt that made a Job.
fn made_by(job: &Value) -> Option<(String, u32)> {
    let annotations = field(job, "/metadata/annotations");
    let of = |name: &str| annotations[name].as_str();
    let key = format!("{}/{}", of(labels::EXECUTION_UID)?, of(labels::ACTION_PATH)?);
    Some((key, of(labels::ATTEMPT)?.parse().ok()?))
}

/// The path of the action in a key.
fn path_of(key: &str) -> &str {
    let path = key.split_once('/').map_or("", |(_, path)| path);
    path.strip_suffix("/undo").unwrap_or(path)
}

fn is_undo(key: &str) -> bool {
    key.split('/').count() == 5
}

fn actions(status: &DRPlanExecutionStatus) -> impl Iterator<Item = (Place, &ActionStatus)> {
    let stages = status.stage_statuses.iter().enumerate();
    stages.flat_map(|(stage, written)| {
        let workflows = written.workflow_executions.iter().enumerate();
        workflows.flat_map(move |(workflow, written)| {
            let actions = written.action_statuses.iter().enumerate();
            actions.map(move |(action, status)| ((stage, workflow, action), status))
        })
    })
}

fn at(status: &DRPlanExecutionStatus, (stage, workflow, action): Place) -> Option<&ActionStatus> {
    let stage = status.stage_statuses.get(stage)?;
    stage
        .workflow_executions
        .get(workflow)?
        .action_statuses
        .get(action)
}

fn path_at(status: &DRPlanExecutionStatus, (stage, workflow, action): Place) -> String {
    let stage = &status.stage_statuses[stage];
    let used = &stage.workflow_executions[workflow];
    format!(
        "{}/{}[{workflow}]/{}",
        stage.name, used.workflow_ref.name, used.action_statuses[action].name
    )
}

/// Whether an action is a call.
fn is_call(what: &What) -> bool {
    matches!(what, What::Call { .. })
}
