//! How requests and events travel between an operator and the API server.

use std::time::Duration;

use tokio::time::Instant;

use super::World;
use crate::{
    dice::Dice,
    scenario::{Blind, Fault, Ill},
};

/// How a request travels.
pub(crate) struct Passage {
    pub(crate) nth: u64,
    pub(crate) to: Duration,
    pub(crate) back: Duration,
    pub(crate) ill: Option<Ill>,
}

impl World {
    /// Sends a request off: how it travels.
    pub(crate) fn passage(&self) -> Passage {
        let nth = {
            let mut inner = self.lock();
            inner.requests += 1;
            inner.requests
        };
        let mut dice = Dice::of(self.scenario.seed, &[2, nth]);
        let mut time = || match (self.scenario.latency, dice.below(100)) {
            (false, _) | (true, 0..75) => 0,
            (true, 75..94) => 1 + dice.below(4),
            (true, 94..99) => 5 + dice.below(60),
            (true, _) => 100 + dice.below(500),
        };
        let least = u64::from(self.scenario.latency && self.scenario.is_edited_at(self.millis()));
        let ill = self.scenario.faults.iter().find_map(|fault| match fault {
            Fault::Request { nth: at, how } if *at == nth => Some(*how),
            _ => None,
        });
        Passage {
            nth,
            to: Duration::from_millis(time().max(least)),
            back: Duration::from_millis(time().max(least)),
            ill,
        }
    }

    /// How the next event of a watch goes wrong.
    pub(crate) fn next_event(&self, operator: usize) -> (Option<Blind>, Duration) {
        let nth = {
            let mut inner = self.lock();
            inner.events += 1;
            inner.events
        };
        let blind = self.scenario.faults.iter().find_map(|fault| match fault {
            Fault::Watch { nth: at, how } if *at == nth => Some(*how),
            _ => None,
        });
        let mut dice = Dice::of(self.scenario.seed, &[3, nth]);
        let late = match (self.scenario.latency, dice.below(100)) {
            (false, _) | (true, 0..80) => 0,
            (true, 80..98) => 1 + dice.below(8),
            (true, _) => 20 + dice.below(2000),
        };
        let stale = self.scenario.stale.filter(|(of, _)| *of == operator);
        (
            blind,
            Duration::from_millis(stale.map_or(late, |(_, millis)| millis)),
        )
    }

    /// Cuts an operator off until then.
    pub(crate) fn cut(&self, operator: usize, until: Instant) {
        self.lock().cuts.insert(operator, until);
    }

    /// Lets nothing that an operator asks for arrive before then.
    pub(crate) fn slow(&self, operator: usize, until: Instant) {
        self.lock().slow.insert(operator, until);
    }

    /// How long what an operator asks for now is on its way beyond the usual.
    pub(crate) fn slowness(&self, operator: usize) -> Duration {
        let until = self.lock().slow.get(&operator).copied();
        until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        })
    }

    /// Until when an operator is cut off, if it is.
    pub(crate) fn cut_until(&self, operator: usize) -> Option<Instant> {
        let until = self.lock().cuts.get(&operator).copied();
        until.filter(|until| *until > Instant::now())
    }
}
