//! The controller of DRPlanExecutions: one task for each that is not over.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use drplan_api::status::ExecutionPhase;
use drplan_engine::Run;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    context::Context,
    events::EventNote,
    execution::{
        commit::{Reread, reread},
        drive::{Driven, mark_unknown},
        finish::finish,
        resume::{Claimed, claim},
        snapshots,
        start::{Begun, start},
    },
    index::{Card, Key},
    record::{Record, Recorded},
    store::StoreError,
};

/// The wait before a claim or an end that failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The executions that this process acts on.
#[derive(Clone)]
pub struct Executions {
    context: Arc<Context>,
    running: Arc<Mutex<Running>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Running {
    /// By UID: where a task hears of changes of its object.
    tasks: BTreeMap<String, watch::Sender<Arc<Card>>>,
    /// Runs of other processes that this one may claim: those that it found when it began.
    claimable: BTreeSet<String>,
}

impl Executions {
    /// None yet.
    pub fn new(context: Arc<Context>, stop: CancellationToken) -> Self {
        Self {
            context,
            running: Arc::default(),
            tasks: TaskTracker::new(),
            stop,
        }
    }

    /// Lets this process claim every run that the index holds now. Called once, when it begins to lead.
    pub fn claim_all(&self) {
        let unfinished = self.context.index.executions().into_iter().filter(|card| {
            matches!(
                card.phase(),
                Some(ExecutionPhase::Running | ExecutionPhase::Unknown)
            ) || has_unreadable_phase(card)
        });
        let uids = unfinished.filter_map(|card| card.metadata.uid.clone());
        self.lock().claimable.extend(uids);
    }

    /// Looks at execution `key`: tells its task, or gives it one, or enters its end.
    ///
    /// # Errors
    /// [`StoreError`]; to be tried again.
    pub async fn reconcile(&self, key: &Key) -> Result<(), StoreError> {
        let Some(card) = self.context.index.execution(key) else {
            return Ok(());
        };
        let uid = card.metadata.uid.clone().unwrap_or_default();
        if let Some(task) = self.lock().tasks.get(&uid) {
            task.send_replace(card);
            return Ok(());
        }
        match card.phase() {
            Some(phase) if phase.is_terminal() => {
                let late = [drplan_api::labels::CANCEL, drplan_api::labels::RESUME];
                let commanded = late
                    .iter()
                    .any(|name| crate::record::annotation(&card.metadata, name).is_some());
                if commanded || crate::record::has_finalizer(&card.metadata) {
                    self.finish(key, &uid).await?;
                }
            }
            Some(ExecutionPhase::Running | ExecutionPhase::Unknown) => {
                if self.may_claim(key, &uid).await? {
                    self.spawn(key.clone(), uid, card, Kind::Claim);
                }
            }
            None if has_unreadable_phase(&card) => {
                if self.lock().claimable.contains(&uid) {
                    self.spawn(key.clone(), uid, card, Kind::Claim);
                }
            }
            Some(_) | None => self.spawn(key.clone(), uid, card, Kind::Start),
        }
        Ok(())
    }

    /// Waits until every task has come to rest after `stop`, at most `limit`.
    pub async fn drain(&self, limit: Duration) {
        self.tasks.close();
        if tokio::time::timeout(limit, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                "calls are still in flight after the drain timeout; the next process repeats them under the same keys"
            );
        }
    }

    /// Whether this process may act on a run: it found it at its beginning, or it had it itself.
    async fn may_claim(&self, key: &Key, uid: &str) -> Result<bool, StoreError> {
        if self.lock().claimable.contains(uid) {
            return Ok(true);
        }
        let Some(raw) = self.context.stores.executions.get(&key.0, &key.1).await? else {
            return Ok(false);
        };
        let process = raw
            .status
            .pointer("/epoch/process")
            .and_then(|process| process.as_str());
        Ok(process == Some(self.context.epoch.process.as_str()))
    }

    /// Enters the end of an execution whose task did not.
    async fn finish(&self, key: &Key, uid: &str) -> Result<(), StoreError> {
        let found = self.context.stores.executions.get(&key.0, &key.1).await?;
        let Some(raw) = found.filter(|raw| raw.metadata.uid.as_deref() == Some(uid)) else {
            return Ok(());
        };
        let record = Record::of(raw);
        let run = match &record.status {
            Recorded::Started(status) if record.has_finalizer() => match &status.snapshot {
                Some(reference) => snapshots::load(&self.context, &record, reference)
                    .await?
                    .ok()
                    .map(Run::new),
                None => None,
            },
            Recorded::Started(_)
            | Recorded::NotStarted(_)
            | Recorded::Unreadable { .. }
            | Recorded::UnsupportedFormat(_) => None,
        };
        finish(&self.context, &record, run.as_ref()).await
    }

    fn spawn(&self, key: Key, uid: String, card: Arc<Card>, kind: Kind) {
        if self.stop.is_cancelled() {
            return;
        }
        let (sender, cards) = watch::channel(card);
        self.lock().tasks.insert(uid.clone(), sender);
        let this = self.clone();
        self.tasks.spawn(async move {
            let outcome = tokio::spawn(act(Arc::clone(&this.context), key.clone(), uid.clone(), cards, this.stop.clone(), kind)).await;
            let again = match outcome {
                Ok(Ok(claimed)) => {
                    if claimed {
                        this.lock().claimable.remove(&uid);
                    }
                    Duration::ZERO
                }
                Ok(Err(error)) => {
                    tracing::warn!(namespace = key.0, execution = key.1, execution_uid = uid, error = %error, "tried again");
                    TRY_AGAIN
                }
                Err(panic) => {
                    this.panicked(&key, &uid, &panic.to_string()).await;
                    TRY_AGAIN
                }
            };
            this.lock().tasks.remove(&uid);
            // What came while the task ended is looked at now.
            if this.has_more_to_do(&key, &uid) {
                this.context.queues.executions.push_after(key, again);
            }
        });
    }

    /// Whether the index shows work for an execution whose task has just ended.
    fn has_more_to_do(&self, key: &Key, uid: &str) -> bool {
        self.context.index.execution(key).is_some_and(|card| {
            let same = card.metadata.uid.as_deref() == Some(uid);
            !same || !card.is_terminal() || crate::record::has_finalizer(&card.metadata)
        })
    }

    /// A task ended by a panic: its run is Unknown, the others go on.
    async fn panicked(&self, key: &Key, uid: &str, panic: &str) {
        tracing::error!(
            namespace = key.0,
            execution = key.1,
            execution_uid = uid,
            "a run's task panicked: {panic}"
        );
        for _ in 0..PANIC_TRIES {
            let Ok(Some(raw)) = self.context.stores.executions.get(&key.0, &key.1).await else {
                continue;
            };
            let Ok(Reread::Ours(record, mut status)) = reread(&self.context, &raw.metadata).await else {
                return;
            };
            if status.phase != ExecutionPhase::Running || record.uid() != uid {
                return;
            }
            mark_unknown(&mut status, "the operator failed while running it");
            if self
                .context
                .stores
                .executions
                .put_status(&record.meta, &*status)
                .await
                .is_ok()
            {
                let message = status.message.clone();
                self.context.events.push(EventNote::execution(
                    &record.meta,
                    true,
                    "ExecutionUnknown",
                    message,
                ));
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tries to record that a task panicked.
const PANIC_TRIES: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Start,
    Claim,
}

/// Starts or claims the run and carries it on. Whether it was claimed.
async fn act(
    context: Arc<Context>,
    key: Key,
    uid: String,
    cards: watch::Receiver<Arc<Card>>,
    stop: CancellationToken,
    kind: Kind,
) -> Result<bool, StoreError> {
    let drive = match kind {
        Kind::Start => match start(&context, &key, &uid, cards, &stop).await {
            Begun::Ready(drive) => drive,
            Begun::Over => return Ok(false),
        },
        Kind::Claim => match claim(&context, &key, &uid, cards).await? {
            Claimed::Ours(drive) => drive,
            Claimed::Not => return Ok(true),
        },
    };
    match drive.drive(&stop).await {
        Driven::Ended | Driven::Dropped => Ok(true),
    }
}

/// Whether something stands where a phase should and is none: an execution that began and cannot be read.
fn has_unreadable_phase(card: &Card) -> bool {
    card.status.phase.is_some() && card.phase().is_none()
}
