//! The world that operators, people and sites share.

mod passage;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use drplan_api::Time;
use drplan_operator::fault::Process;
use serde_json::{Value, json};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::{
    api::{Answer, Change, Key, Kind, Request, Store, field, text},
    dice::Dice,
    plan::{NAMESPACE, PLAN},
    process::Life,
    rules::Rules,
    scenario::{Fates, Scenario},
};

/// Where every world begins: 2026-01-30T10:00:00Z.
pub(crate) const BEGIN_MILLIS: i64 = 1_769_767_200_000;

/// A world. Clones are the same.
#[derive(Clone)]
pub(crate) struct World {
    inner: Arc<Mutex<Inner>>,
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) changed: Arc<Notify>,
    began: Instant,
}

struct Inner {
    store: Store,
    rules: Rules,
    /// What happened, if that is wanted.
    story: Option<Vec<String>>,
    violation: Option<String>,
    requests: u64,
    events: u64,
    /// Until when an operator is cut off.
    cuts: BTreeMap<usize, Instant>,
    /// Until when what an operator asks for does not arrive.
    slow: BTreeMap<usize, Instant>,
    /// Wishes that are not fulfilled.
    wishes: usize,
    /// How often the lease was taken.
    takings: u64,
    /// How many edits of a storm were written, by kind.
    edits: BTreeMap<Kind, u64>,
    /// The name of the process that lives, of each operator.
    living: BTreeMap<usize, String>,
    /// Arrivals at sites, by key.
    arrivals: BTreeMap<String, u64>,
    /// The first process of each operator.
    first: Vec<Process>,
}

/// How a world ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Executions and their actions, Jobs, objects.
    pub(crate) ended: Vec<String>,
    /// Calls at sites, by key.
    pub(crate) arrivals: BTreeMap<String, u64>,
}

impl World {
    pub(crate) fn new(scenario: Arc<Scenario>, tells: bool) -> Self {
        let inner = Inner {
            store: Store::default(),
            rules: Rules::new(Arc::clone(&scenario)),
            story: tells.then(Vec::new),
            violation: None,
            requests: 0,
            events: 0,
            cuts: BTreeMap::new(),
            slow: BTreeMap::new(),
            wishes: scenario.wishes.len(),
            takings: 0,
            edits: BTreeMap::new(),
            living: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            first: Vec::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            scenario,
            changed: Arc::new(Notify::new()),
            began: Instant::now(),
        }
    }

    /// Milliseconds since it began.
    pub(crate) fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    /// When it will be this many milliseconds old.
    pub(crate) fn at(&self, millis: u64) -> Instant {
        self.began + Duration::from_millis(millis)
    }

    /// Now, as the API server has it.
    pub(crate) fn time(&self) -> Time {
        Time::from_millis(BEGIN_MILLIS + i64::try_from(self.millis()).unwrap())
    }

    /// Notes what happened.
    pub(crate) fn tell(&self, what: impl FnOnce() -> String) {
        let millis = self.millis();
        if let Some(story) = &mut self.lock().story {
            story.push(format!("{:>8.3}s  {}", millis as f64 / 1000.0, what()));
        }
    }

    pub(crate) fn story(&self) -> Vec<String> {
        self.lock().story.clone().unwrap_or_default()
    }

    /// Notes that a rule is broken; the first counts.
    pub(crate) fn violate(&self, what: String) {
        self.tell(|| format!("BROKEN: {what}"));
        self.lock().violation.get_or_insert(what);
        self.changed.notify_one();
    }

    pub(crate) fn violation(&self) -> Option<String> {
        self.lock().violation.clone()
    }

    /// A request of a process leaves it.
    pub(crate) fn sent(&self, life: &Life, request: &Request) {
        let broken = self.lock().rules.sent(&life.name, request);
        if let Some(broken) = broken {
            self.violate(broken);
        }
    }

    /// The API server answers a request of a process.
    pub(crate) fn answer(&self, by: &str, request: &Request) -> Answer {
        self.catch_up_with_edits(request.kind);
        let now = self.time().to_string();
        let mut answer = self.lock().store.answer(request, &now);
        self.took(by, &answer.changes);
        if request.kind == Kind::Execution
            && answer.code == 200
            && self.lock().rules.acts_on(by, &request.name)
        {
            answer.proves = Some(request.name.clone());
        }
        answer
    }

    /// A process has learnt that it acted on an execution when it asked.
    pub(crate) fn proved(&self, by: &str, execution: &str, asked: Instant) {
        self.lock().rules.proved(by, execution, asked);
    }

    /// Somebody writes at the API server.
    pub(crate) fn act(&self, by: &str, write: impl FnOnce(&mut Store, &str) -> Vec<Change>) {
        let now = self.time().to_string();
        let changes = write(&mut self.lock().store, &now);
        self.took(by, &changes);
    }

    /// Reads at the API server.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        read(&self.lock().store)
    }

    /// What follows from writes.
    fn took(&self, by: &str, changes: &[Change]) {
        for change in changes {
            let broken = {
                let inner = &mut *self.lock();
                inner.rules.wrote(by, change, &inner.store)
            };
            self.tell(|| crate::story::of_change(by, change));
            if let Some(broken) = broken {
                self.violate(broken);
            }
            match change.key.0 {
                Kind::Job => crate::jobs::follow(self, change),
                Kind::Lease => crate::people::see_lease(self, by, change),
                _ => {}
            }
        }
        if !changes.is_empty() {
            self.changed.notify_one();
        }
    }

    /// The lease has another holder. How often that was so.
    pub(crate) fn lease_taken(&self) -> u64 {
        let inner = &mut *self.lock();
        inner.takings += 1;
        inner.takings
    }

    /// A call leaves a process.
    pub(crate) fn called(&self, by: &str, key: &str) {
        let broken = self.lock().rules.called(by, key);
        if let Some(broken) = broken {
            self.violate(broken);
        }
    }

    /// A call arrives at a site. How many with this key were there before.
    pub(crate) fn arrived(&self, key: &str) -> u64 {
        let inner = &mut *self.lock();
        inner.rules.arrived(key);
        let count = inner.arrivals.entry(key.to_owned()).or_default();
        *count += 1;
        *count - 1
    }

    /// How many arrivals there were with this key.
    pub(crate) fn arrivals(&self, key: &str) -> u64 {
        self.lock().arrivals.get(key).copied().unwrap_or(0)
    }

    /// A site tells that it did what a call asked for.
    pub(crate) fn did(&self, key: &str) {
        self.lock().rules.did(key);
    }

    /// So many edits of objects of `kind` are written. Whether some are new.
    pub(crate) fn edits_are_written(&self, kind: Kind, made: u64) -> bool {
        made > self.lock().edits.insert(kind, made).unwrap_or(0)
    }

    /// A process begins.
    pub(crate) fn was_born(&self, life: &Life) {
        let inner = &mut *self.lock();
        if inner.living.insert(life.operator, life.name.clone()).is_none() {
            inner.first.push(life.process.clone());
        }
    }

    /// The process of the first operator, which is the only one where somebody asks.
    pub(crate) fn acting(&self) -> String {
        self.lock().living.get(&0).cloned().unwrap_or_default()
    }

    /// How often the first process of the first operator passed each point.
    pub(crate) fn passed(&self) -> BTreeMap<String, u64> {
        let inner = self.lock();
        inner.first.first().map(Process::passed).unwrap_or_default()
    }

    /// How it ended, as far as people and sites can tell.
    pub(crate) fn outcome(&self) -> Outcome {
        let inner = self.lock();
        Outcome {
            ended: inner.rules.outcome(&inner.store),
            arrivals: inner.arrivals.clone(),
        }
    }

    /// A wish is fulfilled, or of no use.
    pub(crate) fn wish_over(&self) {
        self.lock().wishes -= 1;
        self.changed.notify_one();
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_calm(&self) -> bool {
        let inner = self.lock();
        if inner.wishes > 0 || self.millis() < self.scenario.calm_from() {
            return false;
        }
        let held = |object: &Value| {
            !field(object, "/metadata/finalizers")
                .as_array()
                .is_none_or(Vec::is_empty)
        };
        let mut executions = inner.store.of(Kind::Execution);
        let mut plans = inner.store.of(Kind::Plan);
        executions.all(|(_, execution)| is_terminal(execution) && !held(execution))
            && plans.all(|(_, plan)| !held(plan) && field(plan, "/status/currentExecution").is_null())
    }

    /// What is wrong with how it ended.
    pub(crate) fn check_end(&self) {
        let broken = {
            let inner = self.lock();
            inner.rules.ended(&inner.store)
        };
        if let Some(broken) = broken {
            self.violate(broken);
        }
    }

    /// What is not over, for people.
    pub(crate) fn rest(&self) -> String {
        let inner = self.lock();
        let mut left: Vec<String> = inner
            .store
            .of(Kind::Execution)
            .filter(|(_, execution)| !is_terminal(execution) || has_finalizers(execution))
            .map(|(key, execution)| {
                format!(
                    "{} is {} ({}), finalizers {}",
                    key.2,
                    text(execution, "/status/phase"),
                    text(execution, "/status/message"),
                    field(execution, "/metadata/finalizers")
                )
            })
            .collect();
        for (_, plan) in inner.store.of(Kind::Plan) {
            left.push(format!(
                "the plan's lock is {}, its finalizers {}",
                field(plan, "/status/currentExecution"),
                field(plan, "/metadata/finalizers")
            ));
        }
        if inner.wishes > 0 {
            left.push(format!("{} wishes are open", inner.wishes));
        }
        left.join("; ")
    }

    /// Numbers for who wonders what is played.
    pub(crate) fn figures(&self) -> (u64, u64, [u64; 6]) {
        let inner = self.lock();
        (inner.requests, inner.store.version(), inner.rules.figures)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands there before anybody comes.
    pub(crate) fn furnish(&self) {
        let mut objects = self.scenario.plan.written_workflows();
        objects.push(self.scenario.plan.written());
        objects.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}));
        let mut dice = Dice::of(self.scenario.seed, &[5]);
        for (kind, api_version) in [
            ("ConfigMap", "v1"),
            ("Subscription", "apps.clusternet.io/v1alpha1"),
            ("Localization", "apps.clusternet.io/v1alpha1"),
        ] {
            if dice.percent(50) || self.scenario.fates != Fates::Random {
                objects.push(json!({
                    "apiVersion": api_version, "kind": kind, "data": {"by": "somebody"},
                    "metadata": {"name": "shared0", "namespace": NAMESPACE},
                }));
            }
        }
        for object in objects {
            self.create("author", object);
        }
    }

    /// Somebody creates `object`.
    pub(crate) fn create(&self, by: &str, mut object: Value) {
        self.act(by, |store, now| {
            let kind = Kind::ALL.iter().find(|(_, _, _, name)| object["kind"] == *name);
            let kind = kind.unwrap().0;
            let name = text(&object, "/metadata/name").to_owned();
            let namespace = text(&object, "/metadata/namespace").to_owned();
            let uid = store.new_uid();
            let meta = &mut object["metadata"];
            meta["uid"] = json!(uid);
            meta["creationTimestamp"] = json!(now);
            meta["generation"] = json!(1);
            store.hold(&(kind, namespace.clone(), name.clone()), by, &mut object);
            store
                .write(&(kind, namespace, name), object)
                .into_iter()
                .collect()
        });
    }

    /// Somebody edits an object, if it is there.
    pub(crate) fn edit(&self, by: &str, key: &Key, edit: impl FnOnce(&mut Value)) {
        self.act(by, |store, _| {
            let Some(stored) = store.get(key) else {
                return Vec::new();
            };
            let mut object = (*stored.value).clone();
            edit(&mut object);
            store.write(key, object).into_iter().collect()
        });
    }
}

/// The plan's key.
pub(crate) fn plan_key() -> Key {
    (Kind::Plan, NAMESPACE.to_owned(), PLAN.to_owned())
}

/// An execution's key.
pub(crate) fn execution_key(name: &str) -> Key {
    (Kind::Execution, NAMESPACE.to_owned(), name.to_owned())
}

pub(crate) fn is_terminal(execution: &Value) -> bool {
    ["Succeeded", "Failed", "Cancelled"].contains(&text(execution, "/status/phase"))
}

pub(crate) fn has_finalizers(object: &Value) -> bool {
    field(object, "/metadata/finalizers")
        .as_array()
        .is_some_and(|list| !list.is_empty())
}

/// Waits, if there is anything to wait for.
pub(crate) async fn pass(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
