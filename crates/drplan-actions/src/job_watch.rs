//! The operator's one watch over the Jobs of actions: tells waiters that their Job ended or vanished.
//!
//! A notice is a hint to read the Job live, never the result itself, with one exception: the end of a Job that is
//! gone by the time of the read. Nothing is kept of Jobs that nobody waits for.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use drplan_api::labels;
use futures::{StreamExt, stream};
use k8s_openapi::api::batch::v1::JobStatus;
use kube::{
    Api, Client,
    core::{ApiResource, NotUsed, Object},
    runtime::{WatchStreamExt, watcher},
};
use tokio::sync::watch;

use crate::job::{JobEnd, end_of};

/// A Job without its spec: all that waiting needs, a fraction of the memory.
pub(crate) type SlimJob = Object<NotUsed, JobStatus>;

/// How [`Api`] finds Jobs.
pub(crate) fn job_resource() -> ApiResource {
    ApiResource::erase::<k8s_openapi::api::batch::v1::Job>(&())
}

/// Jobs in one page of a list: some 10 KiB each on the wire, so that a list of 5,000 never costs more than 1 MiB.
const PAGE_SIZE: u32 = 100;

/// Gives notice of changes of Jobs. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct JobWatch {
    waiters: Arc<Mutex<Waiters>>,
}

/// One sender for each Job that somebody waits for, by UID: as many as there are Jobs waited for.
type Waiters = BTreeMap<String, Waiter>;

struct Waiter {
    namespace: String,
    sender: watch::Sender<Seen>,
}

/// What was last seen of a Job since somebody waits for it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    /// Its end, if it has one.
    end: Option<JobEnd>,
    /// Whether it is gone, or may be: it was absent from a list.
    vanished: bool,
}

impl JobWatch {
    /// A watch that sees nothing until it is [run](Self::run).
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches, as `client`, the Jobs that carry the label of an execution, in `namespaces` (empty: in all), until
    /// dropped. Starts anew after every failure, after 30 s at most.
    pub async fn run(&self, client: Client, namespaces: &[String]) {
        let scopes: Vec<Option<&String>> = match namespaces {
            [] => vec![None],
            some => some.iter().map(Some).collect(),
        };
        let watches =
            scopes.into_iter().map(|scope| {
                let api: Api<SlimJob> = match scope {
                    None => Api::all_with(client.clone(), &job_resource()),
                    Some(namespace) => Api::namespaced_with(client.clone(), namespace, &job_resource()),
                };
                let config = watcher::Config::default()
                    .labels(labels::EXECUTION)
                    .page_size(PAGE_SIZE);
                let mut list = List {
                    scope: scope.cloned(),
                    uids: HashSet::new(),
                };
                Box::pin(watcher(api, config).default_backoff().map(move |event| match event {
                Ok(event) => list.change(event),
                Err(error) => {
                    tracing::warn!(%error, "the watch over Jobs was interrupted, it starts again");
                    None
                }
            }))
            });
        let mut changes = stream::select_all(watches);
        while let Some(change) = changes.next().await {
            if let Some(change) = change {
                self.notify(change);
            }
        }
    }

    /// Notices, from now on, of the Job with this UID in `namespace`.
    pub fn subscribe(&self, namespace: &str, uid: &str) -> Subscription {
        let mut waiters = self.waiters();
        let waiter = waiters.entry(uid.to_owned()).or_insert_with(|| Waiter {
            namespace: namespace.to_owned(),
            sender: watch::Sender::default(),
        });
        Subscription {
            uid: uid.to_owned(),
            notices: waiter.sender.subscribe(),
            waiters: self.waiters.clone(),
        }
    }

    fn notify(&self, change: Change) {
        let waiters = self.waiters();
        match change {
            Change::Changed { uid, seen } => {
                if let Some(waiter) = waiters.get(&uid) {
                    waiter.sender.send_replace(seen);
                }
            }
            Change::Listed { scope, uids } => {
                let absent = waiters.iter().filter(|(uid, waiter)| {
                    !uids.contains(*uid) && scope.as_ref().is_none_or(|scope| *scope == waiter.namespace)
                });
                for (_, waiter) in absent {
                    waiter.sender.send_modify(|seen| seen.vanished = true);
                }
            }
        }
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for JobWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobWatch")
            .field("jobs_waited_for", &self.waiters().len())
            .finish()
    }
}

/// A claim to notices of one Job, given back when dropped.
pub struct Subscription {
    uid: String,
    notices: watch::Receiver<Seen>,
    waiters: Arc<Mutex<Waiters>>,
}

impl Subscription {
    /// Waits until the Job is newly seen to have ended, to be gone, or to be absent from a list. A notice that came
    /// while nobody waited is not lost.
    pub async fn notice(&mut self) {
        loop {
            if self.notices.changed().await.is_err() {
                // Without its sender no notice can come; the waiter's own re-reads go on.
                std::future::pending::<()>().await;
            }
            let seen = self.notices.borrow_and_update();
            if seen.end.is_some() || seen.vanished {
                return;
            }
        }
    }

    /// The end that was seen, for a Job that cannot be read any more.
    pub(crate) fn end(&self) -> Option<JobEnd> {
        self.notices.borrow().end.clone()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        if waiters
            .get(&self.uid)
            .is_some_and(|waiter| waiter.sender.receiver_count() <= 1)
        {
            waiters.remove(&self.uid);
        }
    }
}

/// What an event of the watch tells waiters.
#[derive(Debug, PartialEq)]
enum Change {
    /// One Job is as seen.
    Changed { uid: String, seen: Seen },
    /// In `scope` (none: everywhere) there are these Jobs and no others.
    Listed {
        scope: Option<String>,
        uids: HashSet<String>,
    },
}

/// The list that a watch begins with, as far as it has come in.
struct List {
    scope: Option<String>,
    uids: HashSet<String>,
}

impl List {
    fn change(&mut self, event: watcher::Event<SlimJob>) -> Option<Change> {
        match event {
            watcher::Event::Init => {
                self.uids.clear();
                None
            }
            watcher::Event::InitApply(job) => {
                self.uids.extend(job.metadata.uid.clone());
                changed(job, false)
            }
            watcher::Event::InitDone => Some(Change::Listed {
                scope: self.scope.clone(),
                uids: std::mem::take(&mut self.uids),
            }),
            watcher::Event::Apply(job) => changed(job, false),
            watcher::Event::Delete(job) => changed(job, true),
        }
    }
}

fn changed(job: SlimJob, vanished: bool) -> Option<Change> {
    let end = end_of(job.status.as_ref());
    Some(Change::Changed {
        uid: job.metadata.uid?,
        seen: Seen { end, vanished },
    })
}

#[cfg(test)]
mod tests;
