//! Processes that a test plays: several in one thread, each with a wall clock of its own, that stand still or die
//! together with all their tasks.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use drplan_actions::clock::{self, WallClock};
use tokio::{sync::Notify, time::Instant};

thread_local! {
    static CURRENT: RefCell<Option<Process>> = const { RefCell::new(None) };
}

/// One process. Clones are the same.
#[derive(Clone, Debug)]
pub struct Process {
    state: Arc<Mutex<State>>,
    end: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    clock: WallClock,
    polls: u64,
    dies_at: Option<u64>,
    dies_at_point: Option<(String, u64)>,
    /// How often each point was passed.
    passed: BTreeMap<String, u64>,
    is_dead: bool,
    stands_still: bool,
    waiting: Vec<Waker>,
}

impl Process {
    /// One whose wall clock shows this many milliseconds since 1970.
    pub fn new(wall_millis: i64) -> Self {
        let clock = WallClock {
            millis: wall_millis,
            at: Instant::now(),
        };
        let state = State {
            clock,
            polls: 0,
            dies_at: None,
            dies_at_point: None,
            passed: BTreeMap::new(),
            is_dead: false,
            stands_still: false,
            waiting: Vec::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            end: Arc::new(Notify::new()),
        }
    }

    /// `work` as a task of this process, and all tasks that come of it.
    pub fn run<F: Future>(&self, work: F) -> Task<F> {
        Task {
            process: Some(self.clone()),
            work: Some(Box::pin(work)),
        }
    }

    /// Ends it: nothing of it goes on.
    pub fn kill(&self) {
        let mut state = self.lock();
        state.is_dead = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.end.notify_one();
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        self.end.notified().await;
    }

    /// Ends it where one of its tasks waits, when they have been woken so many times.
    pub fn kill_at(&self, polls: u64) {
        self.lock().dies_at = Some(polls);
    }

    /// Ends it where the point of this name is passed for the `passing`-th time, from 1.
    pub fn kill_at_point(&self, name: &str, passing: u64) {
        self.lock().dies_at_point = Some((name.to_owned(), passing));
    }

    /// How often each point was passed.
    pub fn passed(&self) -> BTreeMap<String, u64> {
        self.lock().passed.clone()
    }

    /// How many times its tasks have been woken.
    pub fn polls(&self) -> u64 {
        self.lock().polls
    }

    /// Whether it has ended.
    pub fn is_dead(&self) -> bool {
        self.lock().is_dead
    }

    /// Stops it, until it is continued.
    pub fn stop(&self) {
        self.lock().stands_still = true;
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        let mut state = self.lock();
        state.stands_still = false;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Sets its wall clock forward, or back.
    pub fn set_clock(&self, by_millis: i64) {
        let mut state = self.lock();
        state.clock.millis = state.clock.millis.saturating_add(by_millis);
    }

    /// Whether a task of it may be polled now.
    fn admits(&self, task: &Context<'_>) -> Admission {
        let mut state = self.lock();
        state.polls += 1;
        if state.dies_at.is_some_and(|polls| state.polls >= polls) {
            state.is_dead = true;
            self.end.notify_one();
        }
        if state.is_dead {
            return Admission::Dead;
        }
        if state.stands_still {
            state.waiting.push(task.waker().clone());
            return Admission::Later;
        }
        Admission::Now(state.clock)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Admission {
    Now(WallClock),
    Later,
    Dead,
}

/// `work` as a task of the process whose task asks for it, if a test plays one.
pub fn task<F: Future>(work: F) -> Task<F> {
    Task {
        process: CURRENT.with_borrow(Clone::clone),
        work: Some(Box::pin(work)),
    }
}

/// A task of a process.
#[derive(Debug)]
pub struct Task<F> {
    process: Option<Process>,
    work: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Task<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let Some(work) = &mut this.work else {
            return Poll::Pending;
        };
        let Some(process) = &this.process else {
            return work.as_mut().poll(context);
        };
        match process.admits(context) {
            Admission::Now(clock) => {
                let _entered = Entered::new(process.clone(), clock);
                work.as_mut().poll(context)
            }
            Admission::Later => Poll::Pending,
            Admission::Dead => {
                this.work = None;
                Poll::Pending
            }
        }
    }
}

/// While a task of a process is polled.
struct Entered {
    process: Option<Process>,
    clock: Option<WallClock>,
}

impl Entered {
    fn new(process: Process, clock: WallClock) -> Self {
        Self {
            process: CURRENT.replace(Some(process)),
            clock: clock::set(Some(clock)),
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.process.take());
        clock::set(self.clock.take());
    }
}

/// A point is passed by a task of the process that is polled. Whether the process ends there.
pub(super) fn dies_at(name: &str) -> bool {
    let Some(process) = CURRENT.with_borrow(Clone::clone) else {
        return false;
    };
    let dies = {
        let mut state = process.lock();
        let passed = state.passed.entry(name.to_owned()).or_default();
        *passed += 1;
        let passing = *passed;
        matches!(&state.dies_at_point, Some((at, nth)) if at == name && *nth == passing)
    };
    if dies {
        process.kill();
    }
    dies
}
