//! The one place that writes a plan's lock, history and finalizer.

mod history;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use drplan_api::{DRPlanStatus, labels, status::ExecutionPhase};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use serde_json::json;
use tokio::sync::OwnedMutexGuard;

use crate::{
    clock,
    context::Context,
    fault,
    index::{Key, PlanEntry},
    raw::{Glance, Raw},
    record::{annotation, finalizers, has_finalizer},
    store::{StoreError, bounded},
    watch,
};

use history::enter_start;
pub use history::{End, Run, enter_end, has_run, release_stale};

/// Conflicts in a row after which a write is given up and tried anew by its caller. A plan is written by people and
/// by this desk alone, so more than a few mean that something edits it in a loop.
const CONFLICTS_MAX: usize = 20;

/// One mutex per plan that is being written: no two parts of this process write one plan at once.
#[derive(Clone, Debug, Default)]
pub struct PlanLocks {
    locks: Arc<Mutex<BTreeMap<Key, Arc<tokio::sync::Mutex<()>>>>>,
}

impl PlanLocks {
    /// Waits for plan `key`.
    pub async fn hold(&self, key: &Key) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody holds or awaits are forgotten, so this is as large as what is being written.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry(key.clone()).or_default())
        };
        lock.lock_owned().await
    }
}

/// What became of a wish to lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockAnswer {
    /// The run holds the lock.
    Taken,
    /// Another run holds it, or runs without it.
    Busy(String),
    /// A run of this name had it before.
    AlreadyRan,
    /// The plan is gone or being deleted.
    PlanGone,
    /// The plan carries a command that comes first; ask again.
    CommandPending,
    /// The plan's status cannot be read, so who holds the lock is not known.
    Unreadable(String),
}

/// The plan of a run that wants its lock, while no other part of this process writes it.
pub struct Held<'a> {
    context: &'a Context,
    run: &'a Run,
    _writing: OwnedMutexGuard<()>,
    /// The plan as just read or written, if it was.
    found: Option<PlanEntry>,
    /// The plan's status at which a live list showed no other run. While it stays the same none can have begun, and the
    /// time between reading a plan that is edited in a loop and writing it must be short.
    alone_at: Option<DRPlanStatus>,
}

/// Waits until nothing else in this process writes the plan of `run`. `found` is the plan as just read, if it was.
pub async fn hold<'a>(context: &'a Context, run: &'a Run, found: Option<PlanEntry>) -> Held<'a> {
    Held {
        context,
        run,
        _writing: context.plan_locks.hold(&run.plan_key()).await,
        found,
        alone_at: None,
    }
}

impl Held<'_> {
    /// Does what comes before the lock and depends on nothing else: looks for other runs, and sets the finalizer. What
    /// does not succeed is left to [`Self::lock`].
    pub async fn get_ready(&mut self) {
        let Some(mut entry) = self.found.take() else {
            return;
        };
        let Ok(recorded) = entry.status.clone() else {
            self.found = Some(entry);
            return;
        };
        let is_free = recorded.current_execution.is_none()
            && entry.meta.deletion_timestamp.is_none()
            && annotation(&entry.meta, labels::TRIGGER).is_none();
        if !is_free {
            self.found = Some(entry);
            return;
        }
        let (other, meta) = tokio::join!(
            other_running(self.context, self.run),
            finalize(self.context, &entry.meta)
        );
        if let Ok(None) = other {
            self.alone_at = Some(recorded);
        }
        // Else it has another version by now, and is read anew.
        self.found = meta.ok().map(|meta| {
            entry.meta = meta;
            entry
        });
    }

    /// Takes the plan's lock for the run, with its entry in the history, by compare-and-swap.
    ///
    /// # Errors
    /// [`StoreError`]; the lock may be taken after `Unanswered`, which asking again shows.
    ///
    /// # Guarantees
    /// At most one run holds a plan's lock. A lock whose run has ended or is gone gives way. It is taken on the version
    /// that was found or, if the plan has another by then, on one that is read anew.
    pub async fn lock(mut self) -> Result<LockAnswer, StoreError> {
        for _ in 0..CONFLICTS_MAX {
            match self.try_lock().await {
                Err(StoreError::Conflict) => {}
                Err(StoreError::Gone) => return Ok(LockAnswer::PlanGone),
                answer => return answer,
            }
        }
        Err(StoreError::Conflict)
    }

    async fn try_lock(&mut self) -> Result<LockAnswer, StoreError> {
        let Self { context, run, .. } = *self;
        let entry = match self.found.take() {
            Some(entry) => entry,
            None => match context.stores.plans.get(&run.namespace, &run.plan).await? {
                Some(plan) => context.index.plan_of(plan),
                None => return Ok(LockAnswer::PlanGone),
            },
        };
        let mut status = match entry.status {
            Ok(status) => status,
            Err(problem) => return Ok(LockAnswer::Unreadable(problem)),
        };
        let recorded = status.clone();
        let mut stale = None;
        if let Some(current) = status.current_execution.clone() {
            if current.uid == run.uid {
                return Ok(LockAnswer::Taken);
            }
            match end_of(context, &current.namespace, &current.name, &current.uid).await? {
                EndOf::Runs => return Ok(LockAnswer::Busy(current.name)),
                EndOf::Ended(end) => enter_end(&mut status, &end),
                EndOf::Gone => stale = Some(release_stale(&entry.meta, &mut status, &current)),
            }
        }
        if entry.meta.deletion_timestamp.is_some() {
            return Ok(LockAnswer::PlanGone);
        }
        if annotation(&entry.meta, labels::TRIGGER).is_some() {
            return Ok(LockAnswer::CommandPending);
        }
        if has_run(&status, run) {
            return Ok(LockAnswer::AlreadyRan);
        }
        if self.alone_at.as_ref() != Some(&recorded) {
            if let Some(other) = other_running(context, run).await? {
                return Ok(LockAnswer::Busy(other));
            }
            self.alone_at = Some(recorded);
        }
        let meta = finalize(context, &entry.meta).await?;
        enter_start(&mut status, run, clock::now());
        fault::point("before-lock").await;
        context.stores.plans.put_status(&meta, &status).await?;
        fault::point("after-lock").await;
        if let Some(note) = stale {
            context.events.push(note);
        }
        Ok(LockAnswer::Taken)
    }
}

/// Sees to it that the plan with this metadata has our finalizer. Returns the metadata that follow.
async fn finalize(context: &Context, meta: &ObjectMeta) -> Result<ObjectMeta, StoreError> {
    if has_finalizer(meta) {
        return Ok(meta.clone());
    }
    fault::point("before-plan-finalizer").await;
    let patch = json!({"finalizers": finalizers(meta, true)});
    let meta = context.stores.plans.merge_metadata(meta, patch).await?;
    fault::point("after-plan-finalizer").await;
    Ok(meta)
}

/// What is said where another run is in the way.
pub fn busy(other: &str) -> String {
    format!("Plan has an execution in progress: {other}")
}

/// The execution that keeps `run` of the plan `entry` from beginning, by live reads: one that holds the lock and has not
/// ended, or one that runs without it. Asked before anything is written; [`Held::lock`] looks again.
///
/// # Errors
/// [`StoreError`].
pub async fn rival(context: &Context, entry: &PlanEntry, run: &Run) -> Result<Option<String>, StoreError> {
    let current = entry
        .status
        .as_ref()
        .ok()
        .and_then(|status| status.current_execution.as_ref());
    if let Some(current) = current.filter(|current| current.uid != run.uid)
        && let EndOf::Runs = end_of(context, &current.namespace, &current.name, &current.uid).await?
    {
        return Ok(Some(current.name.clone()));
    }
    other_running(context, run).await
}

/// Enters the end of a run that had the lock, releases the lock and takes the finalizer off.
///
/// # Errors
/// [`StoreError`]; the plan's reconciler does it again.
pub async fn release(context: &Context, end: &End) -> Result<(), StoreError> {
    let key = end.run.plan_key();
    let _writing = context.plan_locks.hold(&key).await;
    // Its lock was taken long ago, so what the watch brought is most likely what is stored; a write shows it.
    let mut found = context
        .index
        .plan(&key)
        .filter(|entry| is_held_by(entry, &end.run));
    for _ in 0..CONFLICTS_MAX {
        let found = found.take().map(|entry| (*entry).clone());
        match try_release(context, end, found).await {
            Err(StoreError::Conflict) => {}
            Err(StoreError::Gone) => return Ok(()),
            answer => return answer,
        }
    }
    Err(StoreError::Conflict)
}

/// Whether `run` has the plan's lock, as far as was seen.
fn is_held_by(plan: &PlanEntry, run: &Run) -> bool {
    let current = plan
        .status
        .as_ref()
        .ok()
        .and_then(|status| status.current_execution.as_ref());
    current.is_some_and(|current| current.uid == run.uid)
}

async fn try_release(context: &Context, end: &End, found: Option<PlanEntry>) -> Result<(), StoreError> {
    let mut entry = match found {
        Some(entry) => entry,
        None => match context
            .stores
            .plans
            .get(&end.run.namespace, &end.run.plan)
            .await?
        {
            Some(plan) => context.index.plan_of(plan),
            None => return Ok(()),
        },
    };
    let Ok(status) = &mut entry.status else {
        return Ok(());
    };
    let before = status.clone();
    enter_end(status, end);
    if *status != before {
        entry.meta = context.stores.plans.put_status(&entry.meta, status).await?;
    }
    // Here and not below: a look at a plan whose lock is being taken would try the same on a version that is gone.
    fault::point("before-plan-unfinalized").await;
    if let Some(meta) = drop_finalizer(context, &entry.meta, status).await? {
        entry.meta = meta;
    }
    fault::point("after-plan-unfinalized").await;
    // The look that follows from it finds the plan as it is now, and nothing left to do.
    entry.meta.managed_fields = None;
    watch::plan_seen(context, entry);
    Ok(())
}

/// Takes our finalizer off a plan without lock. The metadata that follow, if it had it.
///
/// # Errors
/// [`StoreError`].
pub async fn drop_finalizer(
    context: &Context,
    meta: &ObjectMeta,
    status: &DRPlanStatus,
) -> Result<Option<ObjectMeta>, StoreError> {
    if status.current_execution.is_some() || !has_finalizer(meta) {
        return Ok(None);
    }
    let patch = json!({"finalizers": finalizers(meta, false)});
    context.stores.plans.merge_metadata(meta, patch).await.map(Some)
}

/// What a live read says of a run.
#[derive(Clone, Debug)]
pub enum EndOf {
    /// It has not ended.
    Runs,
    /// It has.
    Ended(End),
    /// No execution of that name has that UID.
    Gone,
}

/// What became of the run that a lock names.
///
/// # Errors
/// [`StoreError`].
pub async fn end_of(context: &Context, namespace: &str, name: &str, uid: &str) -> Result<EndOf, StoreError> {
    let Some(raw) = context.stores.executions.get(namespace, name).await? else {
        return Ok(EndOf::Gone);
    };
    if raw.metadata.uid.as_deref() != Some(uid) {
        return Ok(EndOf::Gone);
    }
    let text = |field: &str| {
        raw.status
            .get(field)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    let phase = text("phase").and_then(|phase| serde_json::from_value::<ExecutionPhase>(phase.into()).ok());
    Ok(match phase.filter(|phase| phase.is_terminal()) {
        None => EndOf::Runs,
        Some(phase) => EndOf::Ended(End {
            run: Run {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                uid: uid.to_owned(),
                plan: text("plan").unwrap_or_default(),
                operation: text("operationType").unwrap_or_default(),
                requested_by: String::new(),
            },
            phase,
            completion_time: text("completionTime").and_then(|time| time.parse().ok()),
        }),
    })
}

/// Another execution of the plan that is Running or Unknown, by a live list. What is known to have ended is not read
/// again: an end is final.
async fn other_running(context: &Context, run: &Run) -> Result<Option<String>, StoreError> {
    type Glimpse = Raw<drplan_api::DRPlanExecution, Glance>;
    let api: kube::Api<Glimpse> = kube::Api::namespaced(context.client.clone(), &run.namespace);
    let selector = ListParams::default().labels(&format!("{}={}", labels::PLAN, run.plan));
    let listed = bounded(api.list_metadata(&selector)).await?;
    for other in listed.items {
        let (Some(name), Some(uid)) = (other.metadata.name, other.metadata.uid) else {
            continue;
        };
        let known = context.index.execution(&(run.namespace.clone(), name.clone()));
        let ended =
            known.is_some_and(|card| card.metadata.uid.as_deref() == Some(&uid) && card.is_terminal());
        if uid == run.uid || ended {
            continue;
        }
        let live = bounded(api.get_opt(&name)).await?;
        let running = live
            .filter(|live| live.metadata.uid.as_deref() == Some(&uid))
            .and_then(|live| live.phase());
        if matches!(running, Some(ExecutionPhase::Running | ExecutionPhase::Unknown)) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
