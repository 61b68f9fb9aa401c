//! The controller of DRPlanExecutions: one task for each that is not over.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use drplan_api::status::ExecutionPhase;
use drplan_engine::Facts;
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
        unsupported,
    },
    fault,
    index::{Card, Key, key_of},
    record::{Record, Recorded},
    store::{StoreError, bounded},
    watch::Watched,
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
    /// Runs of other processes that this one may claim, those that it found when it began: by UID, which process
    /// acted on them then.
    claimable: BTreeMap<String, Option<String>>,
    /// By UID: executions that had not begun when this process did, which leads without an election. A write of the
    /// process before it may have been on its way then, and be seen later: then these are its to claim as well, until it
    /// has changed them itself, which that write does not survive.
    unbegun: BTreeSet<String>,
    /// The version on which a task found nothing that it may do: it is not looked at again before it changes.
    rested: BTreeMap<Key, String>,
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

    /// Lets this process claim every run that the index holds now. Called when a term begins, and when it counts on.
    pub fn claim_all(&self) {
        let unfinished = self.context.index.executions().into_iter().filter(|card| {
            matches!(
                card.phase(),
                Some(ExecutionPhase::Running | ExecutionPhase::Unknown)
            ) || has_unreadable_phase(card)
        });
        let found = unfinished.filter_map(|card| {
            self.context.queues.executions.push(key_of(&card.metadata));
            Some((card.metadata.uid.clone()?, card.status.process.clone()))
        });
        let is_alone = self.context.leadership.is_alone();
        let unbegun = self.context.index.executions().into_iter().filter(|card| {
            let has_begun = !matches!(card.phase(), None | Some(ExecutionPhase::Pending));
            is_alone && !has_begun && !has_unreadable_phase(card)
        });
        let mut running = self.lock();
        running.claimable = found.collect();
        running.unbegun = unbegun.filter_map(|card| card.metadata.uid.clone()).collect();
        // What a follower may not touch, a leader may.
        running.rested.clear();
    }

    /// Looks at execution `key`: tells its task, or gives it one, or enters its end.
    ///
    /// # Errors
    /// [`StoreError`]; to be tried again.
    pub async fn reconcile(&self, key: &Key) -> Result<(), StoreError> {
        let Some(card) = self.context.index.execution(key) else {
            self.lock().rested.remove(key);
            return Ok(());
        };
        let uid = card.metadata.uid.clone().unwrap_or_default();
        {
            let mut running = self.lock();
            if let Some(task) = running.tasks.get(&uid) {
                task.send_replace(card);
                return Ok(());
            }
            let rested = running.rested.get(key);
            if rested.is_some() && rested == card.metadata.resource_version.as_ref() {
                return Ok(());
            }
            running.rested.remove(key);
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
                if let Some(from) = self.claimable_from(key, &uid).await? {
                    self.spawn(key.clone(), uid, card, Kind::Claim { from });
                }
            }
            None if has_unreadable_phase(&card) => {
                if let Some(from) = self.claimable_from(key, &uid).await? {
                    self.spawn(key.clone(), uid, card, Kind::Claim { from });
                }
            }
            Some(_) | None => {
                let is_inherited = self.lock().unbegun.contains(&uid);
                self.spawn(key.clone(), uid, card, Kind::Start { is_inherited });
            }
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

    /// From which process this one may claim a run: from the one that had it when this one began to lead, from itself,
    /// from one of an earlier term, or from any if nobody can read it and it is to go. None: it may not.
    async fn claimable_from(&self, key: &Key, uid: &str) -> Result<Option<Option<String>>, StoreError> {
        if let Some(from) = self.lock().claimable.get(uid) {
            return Ok(Some(from.clone()));
        }
        let Some(raw) = self.context.stores.executions.get(&key.0, &key.1).await? else {
            return Ok(None);
        };
        let epoch = |field: &str| raw.status.pointer(&format!("/epoch/{field}"));
        let process = epoch("process").and_then(|process| process.as_str());
        let transitions = epoch("leaseTransitions").and_then(|transitions| transitions.as_u64());
        let leadership = &self.context.leadership;
        let is_own = process == Some(leadership.process());
        if is_own
            || self.lock().unbegun.contains(uid)
            || transitions.is_some_and(|transitions| leadership.succeeds(transitions))
        {
            return Ok(Some(process.map(str::to_owned)));
        }
        let record = Record::of(raw);
        let goes_unread = record.is_deleting() && matches!(record.status, Recorded::Unreadable { .. });
        Ok(goes_unread.then_some(None))
    }

    /// Enters the end of an execution whose task did not.
    async fn finish(&self, key: &Key, uid: &str) -> Result<(), StoreError> {
        let found = self.context.stores.executions.get(&key.0, &key.1).await?;
        let Some(raw) = found.filter(|raw| raw.metadata.uid.as_deref() == Some(uid)) else {
            return Ok(());
        };
        let record = Record::of(raw);
        let status = match &record.status {
            Recorded::Started(status) if record.has_finalizer() => status,
            Recorded::UnsupportedFormat(format) => {
                unsupported::tell(&self.context, &record, "status", *format);
                return Ok(());
            }
            Recorded::Started(_) | Recorded::NotStarted(_) | Recorded::Unreadable { .. } => {
                return finish(&self.context, &record, None).await;
            }
        };
        let run = snapshots::load_run(&self.context, &record, status).await?.ok();
        let kept = snapshots::load_outputs(&self.context, &record, status, run.as_ref()).await?;
        let facts = run.as_ref().map(|run| Facts {
            run,
            status,
            kept: &kept,
        });
        finish(&self.context, &record, facts).await
    }

    fn spawn(&self, key: Key, uid: String, card: Arc<Card>, kind: Kind) {
        if self.stop.is_cancelled() {
            return;
        }
        let (sender, cards) = watch::channel(card);
        self.lock().tasks.insert(uid.clone(), sender);
        let this = self.clone();
        self.tasks.spawn(fault::task(async move {
            let acting = act(Arc::clone(&this.context), key.clone(), uid.clone(), cards, this.stop.clone(), kind);
            let outcome = tokio::spawn(fault::task(acting)).await;
            let again = match outcome {
                Ok(Ok(Acted::Broke(why))) => {
                    this.doubt(&key, &uid, &why).await;
                    TRY_AGAIN
                }
                Ok(Ok(Acted::Done(done))) => {
                    let mut running = this.lock();
                    if done.is_claimed {
                        running.claimable.remove(&uid);
                    }
                    if done.is_fenced {
                        running.unbegun.remove(&uid);
                    }
                    if let Some(version) = done.rested {
                        running.rested.insert(key.clone(), version);
                    }
                    Duration::ZERO
                }
                Ok(Err(error)) => {
                    tracing::warn!(namespace = key.0, execution = key.1, execution_uid = uid, error = %error, "tried again");
                    TRY_AGAIN
                }
                Err(panic) => {
                    this.doubt(&key, &uid, &panic.to_string()).await;
                    TRY_AGAIN
                }
            };
            // The watch may be behind what the task wrote last; without this the key would go round until it is not.
            let again = match this.refresh(&key).await {
                true => again,
                false => TRY_AGAIN,
            };
            this.lock().tasks.remove(&uid);
            // What came while the task ended is looked at now.
            if this.has_more_to_do(&key, &uid) {
                this.context.queues.executions.push_after(key, again);
            }
        }));
    }

    /// Brings the index up to date about an execution. False if the API server does not tell.
    async fn refresh(&self, key: &Key) -> bool {
        let api: kube::Api<Card> = kube::Api::namespaced(self.context.client.clone(), &key.0);
        match bounded(api.get_opt(&key.1)).await {
            Ok(Some(card)) => card.seen(&self.context),
            Ok(None) => Card::gone(key, &self.context),
            // The watch will tell, or the next re-list.
            Err(_) => return false,
        }
        true
    }

    /// Whether the index shows work for an execution whose task has just ended.
    fn has_more_to_do(&self, key: &Key, uid: &str) -> bool {
        self.context.index.execution(key).is_some_and(|card| {
            let same = card.metadata.uid.as_deref() == Some(uid);
            !same || !card.is_terminal() || crate::record::has_finalizer(&card.metadata)
        })
    }

    /// A task broke: its run is Unknown, the others go on.
    async fn doubt(&self, key: &Key, uid: &str, why: &str) {
        tracing::error!(
            namespace = key.0,
            execution = key.1,
            execution_uid = uid,
            "a run is given up: {why}"
        );
        while !self.stop.is_cancelled() {
            match self.try_doubt(key, uid, why).await {
                Ok(()) => return,
                Err(StoreError::Conflict) => {}
                Err(error) => {
                    tracing::warn!(namespace = key.0, execution = key.1, execution_uid = uid, error = %error, "not marked Unknown yet");
                    tokio::time::sleep(TRY_AGAIN).await;
                }
            }
        }
    }

    async fn try_doubt(&self, key: &Key, uid: &str, why: &str) -> Result<(), StoreError> {
        let found = self.context.stores.executions.get(&key.0, &key.1).await?;
        let Some(raw) = found.filter(|raw| raw.metadata.uid.as_deref() == Some(uid)) else {
            return Ok(());
        };
        let Reread::Ours(record, mut status) = reread(&self.context, &raw.metadata).await? else {
            return Ok(());
        };
        if status.phase != ExecutionPhase::Running {
            return Ok(());
        }
        mark_unknown(
            &mut status,
            &format!("the operator failed while running it ({why})"),
        );
        self.context
            .stores
            .executions
            .put_status(&record.meta, &*status)
            .await?;
        let message = status.message.clone();
        self.context.events.push(EventNote::execution(
            &record.meta,
            true,
            "ExecutionUnknown",
            message,
        ));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Start { is_inherited: bool },
    Claim { from: Option<String> },
}

/// How a task ended.
#[derive(Debug)]
enum Acted {
    /// It came to rest.
    Done(Done),
    /// The run cannot go on, for this reason.
    Broke(String),
}

/// What a task has done.
#[derive(Debug)]
struct Done {
    /// Whether what there was to claim is claimed, or not to be had.
    is_claimed: bool,
    /// Whether no write of the process before this one can succeed any more.
    is_fenced: bool,
    /// The version on which it found nothing that it may do.
    rested: Option<String>,
}

/// Starts or claims the run and carries it on.
async fn act(
    context: Arc<Context>,
    key: Key,
    uid: String,
    cards: watch::Receiver<Arc<Card>>,
    stop: CancellationToken,
    kind: Kind,
) -> Result<Acted, StoreError> {
    let (drive, is_claimed) = match kind {
        Kind::Start { is_inherited } => match start(&context, &key, &uid, cards, &stop, is_inherited).await {
            Begun::Ready(drive) => (drive, false),
            Begun::Over { rested, is_fenced } => {
                return Ok(Acted::Done(Done {
                    is_claimed: false,
                    is_fenced,
                    rested,
                }));
            }
        },
        Kind::Claim { from } => {
            let turn = context.turns.begin().await;
            let claimed = claim(&context, &key, &uid, from.as_deref(), cards).await?;
            drop(turn);
            match claimed {
                Claimed::Ours(drive) => (drive, true),
                Claimed::Not(rested) => {
                    return Ok(Acted::Done(Done {
                        is_claimed: true,
                        is_fenced: true,
                        rested,
                    }));
                }
            }
        }
    };
    Ok(match drive.drive(&stop).await {
        Driven::Ended | Driven::Dropped => Acted::Done(Done {
            is_claimed,
            is_fenced: true,
            rested: None,
        }),
        Driven::Broke(why) => Acted::Broke(why),
    })
}

/// Whether something stands where a phase should and is none: an execution that began and cannot be read.
fn has_unreadable_phase(card: &Card) -> bool {
    card.status.phase.is_some() && card.phase().is_none()
}
