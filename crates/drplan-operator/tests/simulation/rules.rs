//! What must hold after every step, whatever goes wrong: a model of what is allowed, in words of its own.

mod end;
mod order;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use drplan_api::{
    ActionPath, DRPlanExecutionStatus, labels,
    status::{ActionStatus, ExecutionPhase, StepPhase},
};
use drplan_engine::object::field_manager;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    api::{Change, Kind, Request, Store, Verb, field, text},
    plan::{NAMESPACE, PLAN, Plan, What},
    scenario::{Fault, Scenario, Wish},
    world::plan_key,
};

/// How old the proof may be on which a call is sent.
const PROOF_AGE_MAX: Duration = Duration::from_secs(5);

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

    /// A request leaves a process.
    pub(crate) fn sent(&mut self, by: &str, request: &Request) -> Option<String> {
        match (request.kind, request.verb) {
            (Kind::Job, Verb::Create) => self.sent_job(by, request),
            (Kind::Job, Verb::Delete) => self.sent_deletion(by, request),
            (kind, Verb::Delete) if kind.is_object() => self.sent_deletion(by, request),
            (kind, Verb::Create | Verb::Patch | Verb::Replace) if kind.is_object() => {
                self.sent_object(by, request)
            }
            _ => None,
        }
    }

    /// Nothing is written but by an action that runs.
    fn sent_object(&mut self, by: &str, request: &Request) -> Option<String> {
        let manager = request.query.get("fieldManager").cloned().unwrap_or_default();
        let Some(path) = self.managers.get(&manager).cloned() else {
            return Some(format!("{by} writes {} as {manager:?}", request.shown()));
        };
        let keys = self.runs.iter().map(|(uid, run)| run.key(uid, &path));
        let mut keys: Vec<String> = keys.collect();
        keys.sort();
        keys.dedup();
        let found = keys
            .into_iter()
            .find(|key| self.check_intent(by, key, None).is_none());
        match found {
            Some(key) => {
                self.effects.entry(key).or_default().was_sent = true;
                None
            }
            None => Some(format!(
                "{by} does {path} ({}) without an intent",
                request.shown()
            )),
        }
    }

    /// Nothing is deleted but by an action that runs and names it.
    fn sent_deletion(&mut self, by: &str, request: &Request) -> Option<String> {
        let targets = |run: &Run, key: &str| {
            let action = run.action(key);
            action.is_some_and(|action| {
                let outputs = &action.outputs;
                let refs = [
                    outputs.job_ref.as_deref(),
                    outputs.resource_ref.as_deref(),
                    outputs.localization_ref.as_deref(),
                    outputs.subscription_ref.as_deref(),
                ];
                refs.into_iter()
                    .flatten()
                    .any(|object| object.name == request.name)
            })
        };
        let intended = self.runs.values().any(|run| {
            let mut intents = run.intents.iter().filter(|(who, ..)| who == by);
            // A Job that is late is deleted by who waits for it, also while a person is asked what to do.
            let is_late = request.kind == Kind::Job && run.status.phase == ExecutionPhase::Unknown;
            intents.any(|(_, key, _)| {
                targets(run, key) && (is_late || self.check_intent(by, key, None).is_none())
            })
        });
        (!intended).then(|| format!("{by} deletes {} without an intent", request.name))
    }

    fn sent_job(&mut self, by: &str, request: &Request) -> Option<String> {
        let job: Value = serde_json::from_slice(&request.body).unwrap();
        let (key, attempt) = made_by(&job)?;
        let run = self.run_of(&key)?;
        let action = run.action(&key)?;
        if let Some(broken) = self.check_intent(by, &key, Some(attempt)) {
            return Some(broken);
        }
        let recorded = action.outputs.job_ref.as_ref().map(|job| job.name.as_str());
        let is_current = action.attempts == attempt && action.phase == StepPhase::Running;
        (is_current && recorded != Some(text(&job, "/metadata/name")))
            .then(|| format!("{by} creates a Job for {key} whose name is not recorded: {recorded:?}"))
    }

    /// A call leaves a process.
    pub(crate) fn called(&mut self, by: &str, key: &str) -> Option<String> {
        if let Some(broken) = self.check_intent(by, key, None) {
            return Some(broken);
        }
        let (attempt, resumable) = {
            let run = self.run_of(key)?;
            let proof = self.proofs.get(&(by.to_owned(), run.name.clone()));
            if proof.is_none_or(|proof| proof.elapsed() > PROOF_AGE_MAX) {
                return Some(format!(
                    "{by} does {key} on a proof of {:?}",
                    proof.map(Instant::elapsed)
                ));
            }
            let action = run.action(key)?;
            let stale = run
                .intents
                .iter()
                .filter(|(who, what, _)| who == by && what == key);
            let known = stale.map(|(_, _, attempt)| *attempt).max();
            let is_own = run.process() == by;
            (
                if is_own {
                    action.attempts
                } else {
                    known.unwrap_or(action.attempts)
                },
                is_own,
            )
        };
        let fails_if_interrupted = self
            .scenario
            .plan
            .action(path_of(key))
            .is_some_and(|action| action.fails_if_interrupted && !is_undo(key));
        let effect = self.effects.entry(key.to_owned()).or_default();
        let sent = effect.attempts.entry(attempt).or_default();
        *sent.sent.entry(by.to_owned()).or_default() += 1;
        let total: u64 = sent.sent.values().sum();
        let allowed = 1 + sent.repeats;
        if total > 1 {
            self.figures[3] += 1;
        }
        if !resumable {
            self.figures[4] += 1;
        }
        if total > allowed {
            return Some(format!(
                "attempt {attempt} of {key} is sent {total} times, {allowed} are recorded"
            ));
        }
        // When a retry is due is told by a wall clock; of two that differ nobody can tell whether it was sent.
        let clocks_differ = attempt > 1
            && self
                .scenario
                .faults
                .iter()
                .any(|fault| matches!(fault, Fault::Clock { .. }));
        (total > 1 && fails_if_interrupted && !clocks_differ)
            .then(|| format!("{key} is sent again, which its author forbade"))
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

    /// No effect without a stored intent; none under a stale epoch beyond the one stored before; none of what has
    /// ended.
    fn check_intent(&self, by: &str, key: &str, attempt: Option<u32>) -> Option<String> {
        let Some(run) = self.run_of(key) else {
            return Some(format!("{by} does {key}, of which nothing is recorded"));
        };
        let Some(action) = run.action(key) else {
            return Some(format!("{by} does {key}, which no record lists"));
        };
        if run.process() != by {
            let stored = run.intents.iter().any(|(who, what, number)| {
                who == by && what == key && attempt.is_none_or(|attempt| attempt == *number)
            });
            return (!stored).then(|| {
                format!(
                    "{by} does {key} without an intent of its own; {} acts on {}",
                    run.process(),
                    run.name
                )
            });
        }
        if action.phase != StepPhase::Running {
            return Some(format!(
                "{by} does {key}, which is recorded as {:?}",
                action.phase
            ));
        }
        if attempt.is_some_and(|attempt| attempt != action.attempts) {
            return Some(format!(
                "{by} does attempt {attempt:?} of {key}, recorded is {}",
                action.attempts
            ));
        }
        (run.status.phase != ExecutionPhase::Running)
            .then(|| format!("{by} does {key} while {} is {:?}", run.name, run.status.phase))
    }

    /// Something was written.
    pub(crate) fn wrote(&mut self, by: &str, change: &Change, store: &Store) -> Option<String> {
        match change.key.0 {
            Kind::Execution => self.wrote_execution(by, change, store),
            Kind::Plan => self.wrote_plan(by, change, store),
            Kind::Job => self.wrote_job(change),
            kind if kind.is_object() => self.wrote_object(by, change),
            _ => None,
        }
    }

    fn wrote_job(&mut self, change: &Change) -> Option<String> {
        let (None, Some(job)) = (&change.before, &change.after) else {
            return None;
        };
        let (key, attempt) = made_by(job)?;
        let effect = self.effects.entry(key.clone()).or_default();
        effect.arrived += 1;
        let jobs = effect.jobs.entry(attempt).or_default();
        jobs.push(text(job, "/metadata/uid").to_owned());
        (jobs.len() > 1).then(|| format!("attempt {attempt} of {key} has made {} Jobs", jobs.len()))
    }

    /// What an action makes is noted; what somebody else made stays, unless the plan says otherwise.
    fn wrote_object(&mut self, by: &str, change: &Change) -> Option<String> {
        let made_it = change
            .before
            .is_none()
            .then_some(change.after.as_deref())
            .flatten()
            .and_then(made_by);
        if let Some((key, _)) = made_it {
            self.effects.entry(key).or_default().arrived += 1;
        }
        let gone = change.before.as_deref().filter(|_| change.after.is_none())?;
        let deletes = |what: &What| matches!(what, What::Object { operation: "Delete", name, .. } if *name == change.key.2);
        let mut actions = self.scenario.plan.actions();
        let is_written =
            actions.any(|action| deletes(&action.what) || action.rollback.as_ref().is_some_and(deletes));
        (by.starts_with("operator") && !is_written && made_by(gone).is_none())
            .then(|| format!("{by} deletes {}, which is somebody else's", change.key.2))
    }

    /// The lock goes after the end of its run, and no run begins without it.
    fn wrote_plan(&mut self, by: &str, change: &Change, store: &Store) -> Option<String> {
        let before = change.before.as_deref()?;
        let held = text(before, "/status/currentExecution/uid");
        let now = change
            .after
            .as_deref()
            .map_or("", |plan| text(plan, "/status/currentExecution/uid"));
        if held.is_empty() || held == now {
            return None;
        }
        let lives = store.of(Kind::Execution).any(|(_, execution)| {
            text(execution, "/metadata/uid") == held && !crate::world::is_terminal(execution)
        });
        lives.then(|| format!("{by} releases the lock of {held}, which has not ended"))
    }

    fn wrote_execution(&mut self, by: &str, change: &Change, store: &Store) -> Option<String> {
        let after = change.after.as_deref()?;
        let status = field(after, "/status");
        if change.before.as_deref().map(|before| field(before, "/status")) == Some(status) || status.is_null()
        {
            return None;
        }
        let status: DRPlanExecutionStatus = match serde_json::from_value(status.clone()) {
            Ok(status) => status,
            Err(error) => return Some(format!("{by} writes a status that cannot be read: {error}")),
        };
        let uid = text(after, "/metadata/uid").to_owned();
        let before = self
            .runs
            .get(&uid)
            .map(|run| run.status.clone())
            .unwrap_or_default();
        let broken = self.check_step(by, &change.key.2, &before, &status);
        let broken = broken.or_else(|| self.check_lock(&uid, &before, &status, store));
        self.note(by, &uid, &change.key.2, &before, status);
        broken.or_else(|| {
            let is_alive = |run: &&Run| {
                matches!(
                    run.status.phase,
                    ExecutionPhase::Running | ExecutionPhase::Unknown
                )
            };
            let alive: Vec<&str> = self
                .runs
                .values()
                .filter(is_alive)
                .map(|run| run.name.as_str())
                .collect();
            (alive.len() > 1).then(|| format!("{} run at once", alive.join(" and ")))
        })
    }

    /// From one status to the next.
    fn check_step(
        &self,
        by: &str,
        name: &str,
        before: &DRPlanExecutionStatus,
        after: &DRPlanExecutionStatus,
    ) -> Option<String> {
        if before.phase.is_terminal() {
            let undone = DRPlanExecutionStatus {
                undone: after.undone.clone(),
                ..before.clone()
            };
            return (undone != *after).then(|| format!("{by} changes {name}, which had ended"));
        }
        let (was, is) = (before.epoch.as_ref(), after.epoch.as_ref());
        if let (Some(was), Some(is)) = (was, is)
            && was.lease_transitions > is.lease_transitions
        {
            return Some(format!("{by} claims {name} from a later term"));
        }
        if was.is_some() && is.is_none() {
            return Some(format!("{by} takes the epoch off {name}"));
        }
        if is.is_some_and(|is| is.process != by) {
            return Some(format!(
                "{by} writes {name} in the name of {:?}",
                is.unwrap().process
            ));
        }
        if is.is_none() && !after.phase.is_terminal() && after.phase != ExecutionPhase::Pending {
            return Some(format!("{by} lets {name} run without an epoch"));
        }
        let stops = before.cancellation.is_some() || after.cancellation.is_some();
        for (place, action) in actions(after) {
            let nothing = ActionStatus::default();
            let earlier = at(before, place).unwrap_or(&nothing);
            let path = path_at(after, place);
            if earlier.phase.is_ended()
                && (earlier.phase != action.phase || earlier.attempts != action.attempts)
            {
                return Some(format!(
                    "{name}: {path} had ended as {:?} and is {:?}",
                    earlier.phase, action.phase
                ));
            }
            if action.attempts < earlier.attempts {
                return Some(format!("{name}: {path} forgets an attempt"));
            }
            let begins = earlier.phase == StepPhase::Pending && action.phase == StepPhase::Running;
            let again = earlier.phase == StepPhase::Running && action.attempts > earlier.attempts;
            if (begins || again) && stops {
                return Some(format!("{name}: {path} gets an attempt after it was cancelled"));
            }
            if again && action.attempts > earlier.attempts + 1 {
                return Some(format!("{name}: {path} leaves an attempt out"));
            }
            if again && after.reverts.is_none() && action.attempts > self.most_attempts(&path) {
                return Some(format!("{name}: {path} is tried too often"));
            }
            if begins && let Some(why) = order::kept_from(&self.plan_of(name), after, place) {
                return Some(format!("{name}: {path} begins although {why}"));
            }
        }
        None
    }

    /// The plan as the execution of this name found it: what somebody edits later is for others.
    fn plan_of(&self, name: &str) -> Cow<'_, Plan> {
        let mut wishes = self.scenario.wishes.iter();
        let is_edited = wishes.any(|wish| matches!(wish, Wish::Edit { .. }));
        match is_edited && name.starts_with("run") && name != "run-0" {
            // What lets more begin.
            true => Cow::Owned(Plan {
                stop: false,
                ..self.scenario.plan.clone()
            }),
            false => Cow::Borrowed(&self.scenario.plan),
        }
    }

    fn most_attempts(&self, path: &str) -> u32 {
        let action = self.scenario.plan.action(path);
        let retry = action.and_then(|action| action.retry.as_ref());
        1 + retry.map_or(0, |retry| u32::try_from(retry.limit).unwrap())
    }

    fn check_lock(
        &self,
        uid: &str,
        before: &DRPlanExecutionStatus,
        after: &DRPlanExecutionStatus,
        store: &Store,
    ) -> Option<String> {
        let runs = |status: &DRPlanExecutionStatus| {
            matches!(status.phase, ExecutionPhase::Running | ExecutionPhase::Unknown)
        };
        if !runs(after) {
            return None;
        }
        let plan = store.get(&plan_key());
        let held = plan.map(|plan| text(&plan.value, "/status/currentExecution/uid"));
        if held != Some(uid) {
            return Some(format!("{uid} runs, and the lock of {PLAN} is {held:?}'s"));
        }
        if runs(before) {
            return None;
        }
        let snapshot = after.snapshot.as_ref().map(|snapshot| snapshot.name.clone());
        let stored = snapshot.is_some_and(|name| {
            let mut revisions = store.of(Kind::Revision);
            revisions.any(|(key, _)| key.2 == name)
        });
        (!stored).then(|| format!("{uid} runs without a snapshot"))
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
