//! What the watches brought, small enough for thousands of executions, with the ways from one kind to another.

mod plan;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use drplan_api::{
    DRPlan, DRPlanExecution, DRWorkflow, DRWorkflowStatus, Problems, decode, labels, problem::any_error,
    status::ExecutionPhase,
};
use drplan_engine::{WorkflowKey, WorkflowSource, read_workflow, workflow_keys};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::raw::{Glance, Raw};

pub use plan::{Findings, PlanEntry, plan_source};

/// Namespace and name of an object.
pub type Key = (String, String);

/// A workflow as last seen.
#[derive(Clone, Debug)]
pub struct WorkflowEntry {
    /// Its metadata, without managed fields.
    pub meta: ObjectMeta,
    /// Its canonical form or its problems.
    pub source: WorkflowSource,
    /// Errors and warnings.
    pub problems: Problems,
    /// Its status as last seen; one that cannot be read counts as none.
    pub status: DRWorkflowStatus,
}

impl WorkflowEntry {
    /// Reads `raw`.
    pub fn of(raw: Raw<DRWorkflow>) -> Self {
        let (meta, spec, status) = raw.into_parts();
        let reading = read_workflow(spec);
        let is_sound = reading.is_whole() && !any_error(&reading.problems);
        let source = match reading.value.filter(|_| is_sound) {
            Some(workflow) => WorkflowSource::Known(workflow),
            None => WorkflowSource::Invalid(reading.problems.clone()),
        };
        Self {
            meta,
            source,
            problems: reading.problems,
            status: decode(status).unwrap_or_default(),
        }
    }
}

/// An execution at a glance.
pub type Card = Raw<DRPlanExecution, Glance>;

impl Card {
    /// The phase, if it is one; none also where there is no status.
    pub fn phase(&self) -> Option<ExecutionPhase> {
        self.status
            .phase
            .as_deref()
            .and_then(|phase| serde_json::from_value(Value::from(phase)).ok())
    }

    /// Whether it has ended.
    pub fn is_terminal(&self) -> bool {
        self.phase().is_some_and(ExecutionPhase::is_terminal)
    }

    /// The name of its plan: from its spec, else from its label, which anybody may edit.
    pub fn plan(&self) -> Option<&str> {
        let label = self
            .metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(labels::PLAN))
            .map(String::as_str);
        let spec = self
            .spec
            .get("planRef")
            .and_then(|plan| plan.as_str().or_else(|| plan.get("name")?.as_str()));
        spec.map(str::trim).or(label)
    }
}

/// Namespace and name of an object.
pub fn key_of(meta: &ObjectMeta) -> Key {
    (
        meta.namespace.clone().unwrap_or_default(),
        meta.name.clone().unwrap_or_default(),
    )
}

/// All objects of the three kinds, as last seen.
#[derive(Clone, Debug, Default)]
pub struct Index {
    inner: Arc<RwLock<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    workflows: BTreeMap<Key, Arc<WorkflowEntry>>,
    plans: BTreeMap<Key, Arc<PlanEntry>>,
    executions: BTreeMap<Key, Arc<Card>>,
    /// From a workflow to the plans that refer to it, existing or not.
    users: BTreeMap<Key, BTreeSet<Key>>,
    /// From a plan to its executions.
    runs: BTreeMap<Key, BTreeSet<Key>>,
}

impl Index {
    /// The workflow `key`.
    pub fn workflow(&self, key: &Key) -> Option<Arc<WorkflowEntry>> {
        self.read().workflows.get(key).cloned()
    }

    /// The plan `key`.
    pub fn plan(&self, key: &Key) -> Option<Arc<PlanEntry>> {
        self.read().plans.get(key).cloned()
    }

    /// A plan that was read: one whose spec is known already is not read again.
    pub fn plan_of(&self, raw: Raw<DRPlan>) -> PlanEntry {
        let known = self.plan(&key_of(&raw.metadata));
        PlanEntry::after(raw, known.as_deref())
    }

    /// The workflows that `plan` refers to.
    pub fn sources(&self, plan: &PlanEntry) -> BTreeMap<WorkflowKey, WorkflowSource> {
        let sources = plan.workflow_keys().into_iter().map(|key| {
            let known = self.workflow(&key);
            let source = known.map_or(WorkflowSource::Missing, |workflow| workflow.source.clone());
            (key, source)
        });
        sources.collect()
    }

    /// The execution `key`.
    pub fn execution(&self, key: &Key) -> Option<Arc<Card>> {
        self.read().executions.get(key).cloned()
    }

    /// The plans that refer to workflow `key`.
    pub fn plans_using(&self, key: &Key) -> Vec<Key> {
        self.read()
            .users
            .get(key)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// The executions of plan `key`.
    pub fn executions_of(&self, key: &Key) -> Vec<Arc<Card>> {
        let inner = self.read();
        inner
            .runs
            .get(key)
            .into_iter()
            .flatten()
            .filter_map(|run| inner.executions.get(run).cloned())
            .collect()
    }

    /// Every workflow.
    pub fn workflows(&self) -> Vec<Arc<WorkflowEntry>> {
        self.read().workflows.values().cloned().collect()
    }

    /// Every plan.
    pub fn plans(&self) -> Vec<Arc<PlanEntry>> {
        self.read().plans.values().cloned().collect()
    }

    /// Every execution.
    pub fn executions(&self) -> Vec<Arc<Card>> {
        self.read().executions.values().cloned().collect()
    }

    /// The metadata of every workflow.
    pub fn workflow_versions(&self) -> BTreeMap<Key, ObjectMeta> {
        self.read()
            .workflows
            .iter()
            .map(|(key, entry)| (key.clone(), version_of(&entry.meta)))
            .collect()
    }

    /// The metadata of every plan.
    pub fn plan_versions(&self) -> BTreeMap<Key, ObjectMeta> {
        self.read()
            .plans
            .iter()
            .map(|(key, entry)| (key.clone(), version_of(&entry.meta)))
            .collect()
    }

    /// The metadata of every execution.
    pub fn execution_versions(&self) -> BTreeMap<Key, ObjectMeta> {
        self.read()
            .executions
            .iter()
            .map(|(key, card)| (key.clone(), version_of(&card.metadata)))
            .collect()
    }

    /// Takes in a workflow; false if what is known is not older.
    pub fn put_workflow(&self, entry: WorkflowEntry) -> bool {
        let key = key_of(&entry.meta);
        let mut inner = self.write();
        if inner
            .workflows
            .get(&key)
            .is_some_and(|known| !is_newer(&entry.meta, &known.meta))
        {
            return false;
        }
        inner.workflows.insert(key, Arc::new(entry));
        true
    }

    /// Takes in a plan; false if what is known is not older.
    pub fn put_plan(&self, entry: PlanEntry) -> bool {
        let key = entry.key();
        let mut inner = self.write();
        if inner
            .plans
            .get(&key)
            .is_some_and(|known| !is_newer(&entry.meta, &known.meta))
        {
            return false;
        }
        inner.forget_uses(&key);
        for workflow in entry
            .plan()
            .into_iter()
            .flat_map(|plan| workflow_keys(plan, &key.0))
        {
            inner.users.entry(workflow).or_default().insert(key.clone());
        }
        inner.plans.insert(key, Arc::new(entry));
        true
    }

    /// Takes in an execution; false if what is known is not older.
    pub fn put_execution(&self, mut card: Card) -> bool {
        card.metadata.managed_fields = None;
        let key = key_of(&card.metadata);
        let mut inner = self.write();
        if inner
            .executions
            .get(&key)
            .is_some_and(|known| !is_newer(&card.metadata, &known.metadata))
        {
            return false;
        }
        if let Some(plan) = card.plan() {
            let plan = (key.0.clone(), plan.to_owned());
            inner.runs.entry(plan).or_default().insert(key.clone());
        }
        inner.executions.insert(key, Arc::new(card));
        true
    }

    /// Forgets a workflow.
    pub fn remove_workflow(&self, key: &Key) {
        self.write().workflows.remove(key);
    }

    /// Forgets a plan.
    pub fn remove_plan(&self, key: &Key) {
        let mut inner = self.write();
        inner.forget_uses(key);
        inner.plans.remove(key);
    }

    /// Forgets an execution. Returns the plan it was of.
    pub fn remove_execution(&self, key: &Key) -> Option<Key> {
        let mut inner = self.write();
        let card = inner.executions.remove(key)?;
        let plan = (key.0.clone(), card.plan()?.to_owned());
        if let Some(runs) = inner.runs.get_mut(&plan) {
            runs.remove(key);
            if runs.is_empty() {
                inner.runs.remove(&plan);
            }
        }
        Some(plan)
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget_uses(&mut self, plan: &Key) {
        let Some(entry) = self.plans.get(plan).cloned() else {
            return;
        };
        for workflow in entry
            .plan()
            .into_iter()
            .flat_map(|known| workflow_keys(known, &plan.0))
        {
            if let Some(users) = self.users.get_mut(&workflow) {
                users.remove(plan);
                if users.is_empty() {
                    self.users.remove(&workflow);
                }
            }
        }
    }
}

/// Of metadata, what tells versions apart.
fn version_of(meta: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        ..ObjectMeta::default()
    }
}

/// Whether `new` is a later version than `known`, or of another object of the name. Versions of one API server are
/// numbers that grow; any that are not count as newer.
fn is_newer(new: &ObjectMeta, known: &ObjectMeta) -> bool {
    let version = |meta: &ObjectMeta| {
        meta.resource_version
            .as_ref()
            .and_then(|version| version.parse::<u128>().ok())
    };
    match (version(new), version(known)) {
        (Some(new_version), Some(known_version)) => new_version > known_version,
        _ => true,
    }
}
