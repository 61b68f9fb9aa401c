//! Keys to look at: each at most once in the queue, each with at most one worker, again after a while if asked.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::fault;

/// A queue of keys, shared by those who push and those who work.
///
/// # Guarantees
/// A key pushed while it is worked on is worked on again afterwards. It holds each key at most once, so it is bounded
/// by the number of objects.
#[derive(Debug)]
pub struct WorkQueue<K> {
    state: Arc<Mutex<State<K>>>,
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct State<K> {
    ready: VecDeque<K>,
    queued: BTreeSet<K>,
    working: BTreeSet<K>,
    again: BTreeSet<K>,
    later: BTreeMap<K, Instant>,
}

impl<K> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            changed: Arc::clone(&self.changed),
        }
    }
}

impl<K: Ord + Clone + Send + 'static> Default for WorkQueue<K> {
    fn default() -> Self {
        let state = State {
            ready: VecDeque::new(),
            queued: BTreeSet::new(),
            working: BTreeSet::new(),
            again: BTreeSet::new(),
            later: BTreeMap::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            changed: Arc::new(Notify::new()),
        }
    }
}

impl<K: Ord + Clone + Send + 'static> WorkQueue<K> {
    /// The number of keys that wait to be looked at now.
    pub fn len(&self) -> usize {
        self.lock().ready.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks for `key` to be looked at.
    pub fn push(&self, key: K) {
        self.lock().push(key);
        self.changed.notify_one();
    }

    /// Asks for `key` to be looked at after `delay`, or earlier if someone asks for that.
    pub fn push_after(&self, key: K, delay: Duration) {
        let due = Instant::now() + delay;
        let mut state = self.lock();
        state
            .later
            .entry(key)
            .and_modify(|known| *known = (*known).min(due))
            .or_insert(due);
        drop(state);
        self.changed.notify_one();
    }

    /// Works on keys with `handle`, at most `concurrency` at once, until `stop`.
    pub async fn work<F, W>(&self, concurrency: usize, stop: CancellationToken, handle: F)
    where
        F: Fn(K) -> W + Send + Sync,
        W: Future<Output = ()> + Send + 'static,
    {
        let mut workers = JoinSet::new();
        while !stop.is_cancelled() {
            let (next, due) = self.next();
            if let Some(key) = next.filter(|_| workers.len() < concurrency) {
                self.begin(&key);
                let work = handle(key.clone());
                let queue = self.clone();
                workers.spawn(fault::task(async move {
                    // A worker that panics is ended like any other; its key is not lost.
                    let outcome = tokio::spawn(fault::task(work)).await;
                    if let Err(error) = outcome {
                        tracing::error!(error = %error, "a worker of the queue panicked");
                    }
                    queue.end(&key);
                }));
                continue;
            }
            let timer = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.changed.notified() => {}
                () = timer => {}
                Some(_) = workers.join_next(), if !workers.is_empty() => {}
            }
        }
        while workers.join_next().await.is_some() {}
    }

    /// The key at the front, still in the queue, and when the next delayed one is due.
    fn next(&self) -> (Option<K>, Option<Instant>) {
        let mut state = self.lock();
        let now = Instant::now();
        let due: Vec<K> = state
            .later
            .iter()
            .filter(|(_, due)| **due <= now)
            .map(|(key, _)| key.clone())
            .collect();
        for key in due {
            state.later.remove(&key);
            state.push(key);
        }
        (state.ready.front().cloned(), state.later.values().min().copied())
    }

    fn begin(&self, key: &K) {
        let mut state = self.lock();
        state.ready.pop_front();
        state.queued.remove(key);
        state.working.insert(key.clone());
    }

    fn end(&self, key: &K) {
        let mut state = self.lock();
        state.working.remove(key);
        if state.again.remove(key) {
            state.push(key.clone());
        }
        drop(state);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // A panic elsewhere leaves the sets whole: each change is one call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord + Clone> State<K> {
    fn push(&mut self, key: K) {
        if self.working.contains(&key) {
            self.again.insert(key);
        } else if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_pushed_while_it_is_worked_on_is_worked_on_again_and_never_twice_at_once() {
        let queue = WorkQueue::default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let busy = Arc::new(Mutex::new(0));
        let stop = CancellationToken::new();
        for key in ["a", "b", "a"] {
            queue.push(key);
        }
        queue.push_after("late", Duration::from_secs(60));
        let handle = |key: &'static str| {
            let (queue, seen, busy, stop) =
                (queue.clone(), Arc::clone(&seen), Arc::clone(&busy), stop.clone());
            async move {
                if key == "a" {
                    *busy.lock().unwrap() += 1;
                    assert_eq!(*busy.lock().unwrap(), 1);
                    let first = !seen.lock().unwrap().contains(&"a");
                    if first {
                        queue.push("a");
                    }
                    tokio::task::yield_now().await;
                    *busy.lock().unwrap() -= 1;
                }
                seen.lock().unwrap().push(key);
                if key == "late" {
                    stop.cancel();
                }
            }
        };
        queue.work(4, stop.clone(), handle).await;
        let mut seen = seen.lock().unwrap().clone();
        assert_eq!(seen.pop(), Some("late"));
        seen.sort_unstable();
        assert_eq!(seen, ["a", "a", "b"]);
    }
}
