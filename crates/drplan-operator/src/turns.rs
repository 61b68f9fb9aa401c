//! Whose turn it is at the API server: a crowd of runs waits here, and not in the server's own queues.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// Turns at once. Who has one asks or writes one thing after another, so this is how many requests of runs an API server
/// has at most, and how many connections they take. It keeps one of two cores busy several times over; more would wait
/// there, with a connection each.
const AT_ONCE: usize = 16;
/// Turns that runs under way have even while others wait to begin.
const STEPS_AT_LEAST: usize = 2;

/// Turns, in the order in which they were asked for; who is to begin goes before who is under way, so that a crowd
/// begins before any of it is far. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    begin: Class,
    steps: Class,
}

#[derive(Debug, Default)]
struct Class {
    taken: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// A turn; the next one has it once this is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Begin,
    Step,
}

impl Turns {
    /// Waits for the turn to begin a run: to look at everything, and to write what comes before the first effect.
    pub async fn begin(&self) -> Turn {
        self.take(Kind::Begin).await
    }

    /// Waits for the turn of one write of a run.
    pub async fn step(&self) -> Turn {
        self.take(Kind::Step).await
    }

    /// Whether nobody has a turn.
    pub fn are_free(&self) -> bool {
        self.lock().taken() == 0
    }

    /// Whether somebody waits for one.
    pub fn are_awaited(&self) -> bool {
        let state = self.lock();
        !(state.begin.waiting.is_empty() && state.steps.waiting.is_empty())
    }

    async fn take(&self, kind: Kind) -> Turn {
        let (sender, given) = oneshot::channel();
        self.lock().class(kind).waiting.push_back(sender);
        self.give();
        match given.await {
            Ok(turn) => turn,
            // What waits is dropped only with these turns, which this holds.
            Err(_) => std::future::pending().await,
        }
    }

    /// Gives out what turns there are.
    fn give(&self) {
        loop {
            let mut state = self.lock();
            let Some(kind) = state.next() else { return };
            let class = state.class(kind);
            let Some(next) = class.waiting.pop_front() else {
                return;
            };
            if next.is_closed() {
                continue;
            }
            class.taken += 1;
            drop(state);
            let turn = Turn {
                turns: self.clone(),
                kind,
            };
            // Who has just ceased to wait gives it back by this.
            drop(next.send(turn));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state whole: each change is one call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn taken(&self) -> usize {
        self.begin.taken + self.steps.taken
    }

    fn class(&mut self, kind: Kind) -> &mut Class {
        match kind {
            Kind::Begin => &mut self.begin,
            Kind::Step => &mut self.steps,
        }
    }

    /// Who of those who wait is next, if there is a turn.
    fn next(&self) -> Option<Kind> {
        let (begin, steps) = (!self.begin.waiting.is_empty(), !self.steps.waiting.is_empty());
        if steps && self.steps.taken < STEPS_AT_LEAST {
            return Some(Kind::Step);
        }
        // Those that steps have for sure are kept free for them.
        let kept = STEPS_AT_LEAST.saturating_sub(self.steps.taken);
        match self.taken() + kept < AT_ONCE {
            true if begin => Some(Kind::Begin),
            true if steps => Some(Kind::Step),
            _ => None,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().class(self.kind).taken -= 1;
        self.turns.give();
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::BoxFuture};

    use super::*;

    /// Asks for `count` turns at once and returns those that were given, and what goes on waiting.
    fn ask(
        turns: &Turns,
        count: usize,
        take: fn(Turns) -> BoxFuture<'static, Turn>,
    ) -> (Vec<Turn>, Vec<BoxFuture<'static, Turn>>) {
        let (mut given, mut waiting) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let mut turn = take(turns.clone());
            match turn.as_mut().now_or_never() {
                Some(turn) => given.push(turn),
                None => waiting.push(turn),
            }
        }
        (given, waiting)
    }

    fn begin(turns: Turns) -> BoxFuture<'static, Turn> {
        async move { turns.begin().await }.boxed()
    }

    fn step(turns: Turns) -> BoxFuture<'static, Turn> {
        async move { turns.step().await }.boxed()
    }

    #[test]
    fn who_is_to_begin_goes_first_and_leaves_some_to_those_under_way() {
        let turns = Turns::default();
        assert!(turns.are_free());
        let (mut steps, more_steps) = ask(&turns, 30, step);
        assert_eq!(steps.len(), AT_ONCE);
        assert!(turns.are_awaited());
        let (begun, mut beginning) = ask(&turns, 30, begin);
        assert_eq!(begun.len(), 0);
        // What steps give back is for those who begin, down to what steps have for sure.
        steps.drain(..10);
        assert!(beginning.drain(..10).all(|turn| turn.now_or_never().is_some()));
        assert!(turns.lock().steps.taken == 6);
        drop((steps, more_steps, begun, beginning));
        assert!(turns.are_free());
    }

    #[test]
    fn those_under_way_have_some_for_sure() {
        let turns = Turns::default();
        let (begun, _beginning) = ask(&turns, 30, begin);
        let (steps, _more_steps) = ask(&turns, 30, step);
        assert_eq!(
            (begun.len(), steps.len()),
            (AT_ONCE - STEPS_AT_LEAST, STEPS_AT_LEAST)
        );
    }

    #[test]
    fn who_waits_no_more_passes_the_turn_on() {
        let turns = Turns::default();
        let (steps, mut waiting) = ask(&turns, AT_ONCE + 3, step);
        drop(waiting.remove(0));
        drop(steps);
        assert!(waiting.into_iter().all(|turn| turn.now_or_never().is_some()));
        assert!(turns.are_free());
    }
}
