//! What requests, Jobs and looks come to.

use drplan_engine::effect::FailureKind;

use crate::random_plan::Dice;

/// How the name of an undo ends in the world: its action's name and this.
pub(crate) const UNDO: &str = "/undo";

/// What one request, Job or look comes to, and after how many milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fate {
    pub(crate) millis: u64,
    /// None: success.
    pub(crate) failure: Option<FailureKind>,
}

/// What stands at the place of an object before anybody acts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Initially {
    Absent,
    /// Somebody's; and whether what an Apply writes is in conflict with them.
    Present {
        conflicts: bool,
    },
    /// Somebody's, gone after so many milliseconds.
    Deleted(u64),
}

/// Answers that follow from the seed, the action, the attempt and how often that attempt was sent.
#[derive(Clone, Copy)]
pub(crate) struct Fates(pub(crate) u64);

impl Fates {
    fn dice(&self, salt: &str, name: &str, attempt: u32, sent: u32) -> Dice {
        let mut hash = self.0 ^ 0xcbf2_9ce4_8422_2325;
        for byte in salt
            .bytes()
            .chain(name.bytes())
            .chain(attempt.to_be_bytes())
            .chain(sent.to_be_bytes())
        {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Dice::new(hash)
    }

    /// How often in a hundred it fails. An undo seldom does, and not for ever.
    fn failing(name: &str, attempt: u32, percent: u64) -> u64 {
        match (name.ends_with(UNDO), attempt) {
            (false, _) => percent,
            (true, 0..4) => percent / 2,
            (true, _) => 0,
        }
    }

    fn fate(dice: &mut Dice, failures: &[FailureKind], failing: u64) -> Fate {
        let millis = 1000 * (1 + dice.below(20));
        let failure = dice.percent(failing).then(|| {
            let index = usize::try_from(dice.below(failures.len() as u64)).unwrap();
            failures[index]
        });
        Fate { millis, failure }
    }

    pub(crate) fn call(&self, name: &str, attempt: u32, sent: u32) -> Fate {
        use FailureKind as K;
        let failures = [
            K::NotConnected,
            K::ConnectionLost,
            K::Timeout,
            K::Tls,
            K::HttpStatus,
            K::BadAnswer,
        ];
        let failing = Self::failing(name, attempt, 20);
        Self::fate(&mut self.dice("call", name, attempt, sent), &failures, failing)
    }

    pub(crate) fn creation(&self, name: &str, attempt: u32, sent: u32) -> Fate {
        use FailureKind as K;
        let failures = [
            K::ApiUnavailable,
            K::ApiConflict,
            K::Forbidden,
            K::Invalid,
            K::OutcomeUnknown,
        ];
        let failing = Self::failing(name, attempt, 10);
        Self::fate(
            &mut self.dice("creation", name, attempt, sent),
            &failures,
            failing,
        )
    }

    /// How the Job of an attempt ends; none: not by itself.
    pub(crate) fn job(&self, name: &str, attempt: u32) -> Option<Fate> {
        let mut dice = self.dice("job", name, attempt, 0);
        if dice.percent(Self::failing(name, attempt, 5)) {
            return None;
        }
        let failures = [FailureKind::JobFailed, FailureKind::JobLost];
        let failing = Self::failing(name, attempt, 20);
        Some(Self::fate(&mut dice, &failures, failing))
    }

    /// What becomes of the request of an action on an object; and whether it takes effect although it fails.
    pub(crate) fn request(&self, name: &str, attempt: u32, sent: u32) -> (Fate, bool) {
        use FailureKind as K;
        let failures = [
            K::ApiUnavailable,
            K::Timeout,
            K::ApiConflict,
            K::Forbidden,
            K::Invalid,
            K::OutcomeUnknown,
        ];
        let mut dice = self.dice("request", name, attempt, sent);
        let fate = Self::fate(&mut dice, &failures, Self::failing(name, attempt, 15));
        let lost = [Some(K::ApiUnavailable), Some(K::Timeout), Some(K::OutcomeUnknown)];
        let arrives = lost.contains(&fate.failure) && dice.percent(50);
        (fate, arrives)
    }

    /// What becomes of the look of an attempt that is asked for the `asked`th time, from 0. Most are answered at once.
    /// One that fails does so when nothing else happens: it fails its action in the middle of a pass, and what is asked
    /// before it in that pass still begins.
    pub(crate) fn look(&self, name: &str, attempt: u32, asked: u32) -> Fate {
        use FailureKind as K;
        let mut dice = self.dice("look", name, attempt, asked);
        let failures = [K::ApiUnavailable, K::Timeout, K::Forbidden];
        let fate = Self::fate(&mut dice, &failures, Self::failing(name, attempt, 8));
        let millis = match fate.failure {
            Some(_) => 1 + dice.below(9_000),
            None if dice.percent(40) => 1000 * (1 + dice.below(9)),
            None => 0,
        };
        Fate { millis, ..fate }
    }

    pub(crate) fn initially(&self, object: &str) -> Initially {
        let mut dice = self.dice("object", object, 0, 0);
        match dice.below(10) {
            0..5 => Initially::Absent,
            5..9 => Initially::Present {
                conflicts: dice.percent(30),
            },
            _ => Initially::Deleted(1000 * dice.below(120)),
        }
    }
}
