//! Kubernetes events, posted beside whatever they tell about.

mod poster;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use drplan_api::{DRPlan, DRPlanExecution, Time};
use futures::{StreamExt, stream::FuturesUnordered};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, Resource, api::ObjectMeta};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{clock, turns::Turns};
use poster::Poster;

/// Notes that wait. 500 executions of 20 actions each that run at once make 22,000; twice that, and some. A note takes
/// about 250 bytes, so a full queue takes 13 MiB of a Pod of 128 MiB.
const QUEUE_LENGTH: usize = 50_000;
/// Posts under way while no run writes: enough to keep an API server of two cores busy.
const POSTS_AT_ONCE: usize = 8;
/// Posts under way while runs write.
const POSTS_BESIDE_WRITES: usize = 1;
/// How long none is posted while runs wait for their turn to write: an API server stores few events in the time of a
/// status write, and an action follows from that write alone. It is what 500 runs of 20 actions take at once, with some
/// to spare on a slower machine.
const YIELD_AT_MOST: Duration = Duration::from_secs(45);
/// Between two looks at whether they still wait.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The API server's limit for the message of an event.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Between two lines about lost events.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// One fact to tell, small: thousands may wait.
#[derive(Clone, Debug, PartialEq)]
pub struct EventNote {
    regarding: Arc<ObjectReference>,
    warning: bool,
    reason: &'static str,
    message: Box<str>,
    action: Option<Box<str>>,
    attempt: Option<u32>,
    time: Time,
}

impl EventNote {
    /// A fact about the execution with this metadata, which came from the API server.
    pub fn execution(meta: &ObjectMeta, warning: bool, reason: &'static str, message: String) -> Self {
        Self::about(execution_reference(meta), warning, reason, message)
    }

    /// A fact about the plan with this metadata, which came from the API server.
    pub fn plan(meta: &ObjectMeta, warning: bool, reason: &'static str, message: String) -> Self {
        Self::about(reference::<DRPlan>(meta), warning, reason, message)
    }

    /// A fact about this object, which happened just now: of type `Warning`, else `Normal`; the reason in one word, the
    /// message in one line, without secrets; it is cut to 1024 bytes. The event goes to the object's namespace.
    pub fn about(
        regarding: Arc<ObjectReference>,
        warning: bool,
        reason: &'static str,
        mut message: String,
    ) -> Self {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        Self {
            regarding,
            warning,
            reason,
            message: message.into_boxed_str(),
            action: None,
            attempt: None,
            time: clock::now(),
        }
    }

    /// The same, about an attempt of the action with this path, as far as it is about one.
    #[must_use]
    pub fn of_action(mut self, path: Option<&str>, attempt: Option<u32>) -> Self {
        self.action = path.map(Into::into);
        self.attempt = attempt;
        self
    }
}

/// The execution with this metadata, as its events name it. Those of one run share it.
pub fn execution_reference(meta: &ObjectMeta) -> Arc<ObjectReference> {
    reference::<DRPlanExecution>(meta)
}

fn reference<K: Resource<DynamicType = ()>>(meta: &ObjectMeta) -> Arc<ObjectReference> {
    Arc::new(ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        ..ObjectReference::default()
    })
}

/// Takes notes and lets a task of its own post them. Clones share the queue.
///
/// # Guarantees
/// Whatever the API server does with events, whoever notes one is not held up: when the queue is full, what comes last
/// is lost. What is lost is counted, and logged at most once a minute. While runs write, events yield to them; while runs
/// wait to write, none is posted for half a minute, unless the queue is half full.
#[derive(Clone, Debug)]
pub struct EventQueue {
    notes: mpsc::Sender<EventNote>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    lost: AtomicU64,
    /// Nothing new is taken; what is there is posted.
    closing: CancellationToken,
    /// What is there is given up.
    giving_up: CancellationToken,
    /// The task has ended.
    ended: CancellationToken,
}

impl EventQueue {
    /// A queue that posts with `client` and yields to those who have `turns`. `instance` tells this process from others,
    /// such as the name of its Pod.
    ///
    /// # Assumptions
    /// Called within a tokio runtime.
    pub fn start(client: Client, instance: impl Into<String>, turns: Turns) -> Self {
        Self::start_sized(client, instance.into(), turns, QUEUE_LENGTH)
    }

    fn start_sized(client: Client, instance: String, turns: Turns, length: usize) -> Self {
        let (sender, notes) = mpsc::channel(length);
        let shared = Arc::<Shared>::default();
        tokio::spawn(work(Poster::new(client, instance), turns, notes, shared.clone()));
        Self {
            notes: sender,
            shared,
        }
    }

    /// Takes a note, or counts it as lost.
    pub fn push(&self, note: EventNote) {
        if self.notes.try_send(note).is_err() {
            self.shared.lose(1);
        }
    }

    /// Events that were lost since the process began.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Events that wait to be posted.
    pub fn waiting(&self) -> usize {
        self.notes.max_capacity() - self.notes.capacity()
    }

    /// Posts what is there, for at most `within`; the rest is lost, and so is what is pushed from now on.
    pub async fn drain(&self, within: Duration) {
        self.shared.closing.cancel();
        if timeout(within, self.shared.ended.cancelled()).await.is_err() {
            self.shared.giving_up.cancel();
            self.shared.ended.cancelled().await;
        }
    }
}

impl Shared {
    fn lose(&self, events: usize) {
        self.lost
            .fetch_add(u64::try_from(events).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Posts notes until the queue is closed and empty, or given up.
async fn work(poster: Poster, turns: Turns, mut notes: mpsc::Receiver<EventNote>, shared: Arc<Shared>) {
    // Also where this task is dropped or panics: whoever drains must not wait for ever.
    let _ended = shared.ended.clone().drop_guard();
    let mut posts = FuturesUnordered::new();
    let mut reports = Reports::default();
    let mut reason = None;
    let mut minute = interval(REPORT_EVERY);
    minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open = true;
    let mut behind = None;
    while open || !posts.is_empty() {
        behind = (!notes.is_empty()).then(|| behind.unwrap_or_else(Instant::now));
        let yields = behind.is_none_or(|since: Instant| since.elapsed() < YIELD_AT_MOST);
        let most = posts_at_once(&turns, &notes, yields);
        tokio::select! {
            note = notes.recv(), if open && posts.len() < most => match note {
                Some(note) => posts.push(poster.post(note)),
                None => open = false,
            },
            () = sleep(LOOK_AGAIN), if most == 0 => {}
            Some(posted) = posts.next() => {
                if let Err(why) = posted {
                    shared.lose(1);
                    reason = Some(why);
                }
            }
            () = shared.closing.cancelled(), if !notes.is_closed() => notes.close(),
            () = shared.giving_up.cancelled() => break,
            _ = minute.tick() => {}
        }
        reports.report(&shared, reason.as_deref(), Instant::now());
    }
    notes.close();
    let mut left = posts.len();
    while notes.try_recv().is_ok() {
        left += 1;
    }
    shared.lose(left);
    reports.last_report(&shared, reason.as_deref());
}

/// How many posts may be under way. Nobody is yielded to where notes would be lost by it: at the end, and when the queue
/// fills. `yields`: those that wait are not behind for long.
fn posts_at_once(turns: &Turns, notes: &mpsc::Receiver<EventNote>, yields: bool) -> usize {
    if turns.are_free() || notes.is_closed() || notes.len() > notes.max_capacity() / 2 {
        POSTS_AT_ONCE
    } else if yields && turns.are_awaited() {
        0
    } else {
        POSTS_BESIDE_WRITES
    }
}

/// What was logged about lost events.
#[derive(Debug, Default)]
struct Reports {
    reported: u64,
    last: Option<Instant>,
}

impl Reports {
    fn report(&mut self, shared: &Shared, reason: Option<&str>, now: Instant) {
        let total = shared.lost.load(Ordering::Relaxed);
        if let Some(lost) = self.due(total, now) {
            warn_lost(lost, total, reason);
        }
    }

    /// The losses to report now: those not reported yet, unless the last report was less than a minute ago.
    fn due(&mut self, total: u64, now: Instant) -> Option<u64> {
        let lost = total - self.reported;
        let quiet = self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < REPORT_EVERY);
        if lost == 0 || quiet {
            return None;
        }
        self.reported = total;
        self.last = Some(now);
        Some(lost)
    }

    /// What is not reported yet, at the end.
    fn last_report(self, shared: &Shared, reason: Option<&str>) {
        let total = shared.lost.load(Ordering::Relaxed);
        if total > self.reported {
            warn_lost(total - self.reported, total, reason);
        }
    }
}

fn warn_lost(lost: u64, lost_total: u64, reason: Option<&str>) {
    let reason = reason.unwrap_or("the queue was full");
    tracing::warn!(lost, lost_total, reason, "Kubernetes events were lost");
}

#[cfg(test)]
mod tests;
