//! What a seed stands for: a plan, who runs it, what goes wrong, what people do.

use crate::{dice::Dice, plan::Plan};

/// All that is given in a world; the rest follows.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) plan: Plan,
    /// How many operators run beside each other.
    pub(crate) operators: usize,
    /// Whether they elect one of them.
    pub(crate) elects: bool,
    /// Whether requests take time.
    pub(crate) latency: bool,
    /// How sites and Jobs answer.
    pub(crate) fates: Fates,
    /// By how many milliseconds the watches of an operator are late.
    pub(crate) stale: Option<(usize, u64)>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) wishes: Vec<Wish>,
}

/// How sites and Jobs answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fates {
    /// As the dice fall.
    Random,
    /// Well.
    Good,
    /// Badly at first, then well.
    BadOnce,
    /// Badly, but for undos.
    Bad,
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// A process of this operator dies when its tasks have been woken so many times; its successor starts after a while.
    Crash {
        operator: usize,
        polls: u64,
        back_after: u64,
    },
    /// The first process of this operator dies where it passes this point for the n-th time.
    CrashAt {
        operator: usize,
        point: String,
        passing: u64,
        back_after: u64,
    },
    /// A process of this operator is asked to end; its successor starts after a while.
    Term {
        operator: usize,
        at: u64,
        back_after: u64,
    },
    /// The process of this operator stands still.
    Pause { operator: usize, at: u64, millis: u64 },
    /// This operator and the API server do not reach each other.
    Cut { operator: usize, at: u64, millis: u64 },
    /// Somebody sets the wall clock of this operator.
    Clock { operator: usize, at: u64, by: i64 },
    /// The n-th request of all goes wrong.
    Request { nth: u64, how: Ill },
    /// The n-th event of all watches goes wrong.
    Watch { nth: u64, how: Blind },
    /// The API server forgets what was before.
    Compact { at: u64 },
    /// Somebody deletes the lease this long after it was taken for the n-th time, and all that its holder asks for takes
    /// `slow` milliseconds from then on: two processes lead for a while.
    Unseat { nth: u64, after: u64, slow: u64 },
    /// Somebody edits a label of each execution that is not over, and of the plan if it is `of_plan`, every so many
    /// milliseconds for a while. A Revert's target keeps still. All requests take a millisecond each way then, at least.
    Storm {
        at: u64,
        millis: u64,
        every: u64,
        of_plan: bool,
    },
}

/// How a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ill {
    /// It does not arrive, and nobody says so.
    Lost,
    /// It does not arrive: the connection breaks.
    Broken,
    /// It arrives, and its answer does not.
    Unanswered,
    /// It arrives, and the connection breaks.
    Cut,
    /// It is refused for a while.
    Busy,
    /// It is done, and answered with an error.
    Error,
    /// It takes so long on its way.
    Late(u64),
    /// Its answer takes so long.
    Slow(u64),
}

/// How an event of a watch goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Blind {
    /// It never comes.
    Lost,
    /// It comes twice.
    Twice,
    /// It comes so late, and all after it.
    Late(u64),
    /// The watch ends before it.
    Closed,
}

/// What somebody does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wish {
    /// Creates an execution.
    Run { at: u64 },
    /// Cancels what runs.
    Cancel { at: u64, now: bool },
    /// Deletes the first execution.
    Delete { at: u64 },
    /// Writes a label on the first execution.
    Label { at: u64 },
    /// Gives the plan other stages.
    Edit { at: u64 },
    /// Reverts the first execution once it has ended.
    Revert,
}

impl Scenario {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::of(seed, &[1]);
        let plan = Plan::new(&mut dice);
        let elects = dice.percent(30);
        let operators = match (elects, dice.below(10)) {
            (true, 0..6) => 2,
            (true, _) => 3,
            (false, 0) => 2,
            (false, _) => 1,
        };
        let mut scenario = Self {
            seed,
            operators,
            elects,
            latency: true,
            fates: Fates::Random,
            stale: None,
            faults: Vec::new(),
            wishes: vec![Wish::Run { at: 0 }],
            plan,
        };
        scenario.roll_faults(&mut dice);
        scenario.roll_wishes(&mut dice);
        scenario.roll_lease();
        scenario.roll_storm();
        scenario
    }

    /// Somebody deletes the lease, mostly while a process has just begun to take up what another one left.
    fn roll_lease(&mut self) {
        let mut dice = Dice::of(self.seed, &[6]);
        if !self.elects || !dice.percent(25) {
            return;
        }
        self.operators = 3;
        for operator in 0..self.operators {
            if dice.percent(50) {
                self.faults.push(Fault::Crash {
                    operator,
                    polls: 20 + dice.below(400),
                    back_after: dice.small(20_000),
                });
            }
        }
        // Late enough for the others to know that it was taken, and early enough for its holder not to have done much.
        let after = dice.below(3500);
        self.faults.push(Fault::Unseat {
            nth: 1 + dice.below(3),
            after,
            slow: after + dice.below(1000),
        });
    }

    /// Somebody edits labels without a pause, mostly while nothing else goes wrong but a crash. What takes longer than a
    /// read and the write that follows it never comes between two edits.
    fn roll_storm(&mut self) {
        let mut dice = Dice::of(self.seed, &[7]);
        if !dice.percent(5) {
            return;
        }
        if dice.percent(75) {
            (self.operators, self.elects) = (1, false);
            self.faults.clear();
            if dice.percent(40) {
                self.faults.push(Fault::Crash {
                    operator: 0,
                    polls: 20 + dice.below(600),
                    back_after: 0,
                });
            }
        }
        self.faults.push(Fault::Storm {
            at: dice.small(10_000),
            millis: 8_000 + dice.below(12_000),
            every: 3 + dice.below(3),
            of_plan: dice.percent(50),
        });
    }

    fn roll_faults(&mut self, dice: &mut Dice) {
        let actions = u64::try_from(self.plan.actions().count()).unwrap();
        let requests = 25 + actions * 8;
        let seconds = 5 + actions * 6;
        let count = match dice.below(10) {
            0 => 0,
            1..5 => 1,
            5..8 => 2 + dice.below(2),
            _ => 3 + dice.below(4),
        };
        for _ in 0..count {
            let operator = dice.index(self.operators);
            let at = dice.below(seconds * 1000);
            let fault = match dice.below(100) {
                0..30 => Fault::Crash {
                    operator,
                    polls: 1 + dice.below(requests * 6),
                    back_after: dice.small(20_000),
                },
                30..36 => Fault::Term {
                    operator,
                    at,
                    back_after: dice.small(20_000),
                },
                36..43 => Fault::Pause {
                    operator,
                    at,
                    millis: 1 + dice.small(60_000),
                },
                43..50 => Fault::Cut {
                    operator,
                    at,
                    millis: 1 + dice.small(60_000),
                },
                50..53 => {
                    let by = i64::try_from(dice.small(600_000)).unwrap();
                    Fault::Clock {
                        operator,
                        at,
                        by: if dice.percent(50) { by } else { -by },
                    }
                }
                53..85 => Fault::Request {
                    nth: dice.below(requests),
                    how: Ill::new(dice),
                },
                85..97 => Fault::Watch {
                    nth: dice.below(10 + actions * 4),
                    how: Blind::new(dice),
                },
                _ => Fault::Compact { at },
            };
            self.faults.push(fault);
        }
    }

    fn roll_wishes(&mut self, dice: &mut Dice) {
        let at = |dice: &mut Dice| dice.below(30_000);
        if dice.percent(12) {
            let wish = Wish::Cancel {
                at: at(dice),
                now: dice.percent(40),
            };
            self.wishes.push(wish);
        }
        if dice.percent(10) {
            let wish = Wish::Run { at: at(dice) };
            self.wishes.push(wish);
        }
        if dice.percent(4) {
            let wish = Wish::Delete { at: at(dice) };
            self.wishes.push(wish);
        }
        if dice.percent(8) {
            let wish = Wish::Label { at: at(dice) };
            self.wishes.push(wish);
        }
        if dice.percent(5) {
            let wish = Wish::Edit { at: at(dice) };
            self.wishes.push(wish);
        }
        if dice.percent(25) {
            self.wishes.push(Wish::Revert);
        }
    }

    /// Whether somebody edits labels without a pause then.
    pub(crate) fn is_edited_at(&self, now: u64) -> bool {
        self.faults.iter().any(|fault| match *fault {
            Fault::Storm { at, millis, .. } => (at..at + millis).contains(&now),
            _ => false,
        })
    }

    /// When the last fault that has a time is over, in milliseconds.
    pub(crate) fn calm_from(&self) -> u64 {
        let ends = self.faults.iter().map(|fault| match fault {
            Fault::Term { at, back_after, .. } => at + back_after,
            Fault::Pause { at, millis, .. }
            | Fault::Cut { at, millis, .. }
            | Fault::Storm { at, millis, .. } => at + millis,
            Fault::Clock { at, .. } | Fault::Compact { at } => *at,
            Fault::Crash { .. }
            | Fault::CrashAt { .. }
            | Fault::Request { .. }
            | Fault::Watch { .. }
            | Fault::Unseat { .. } => 0,
        });
        ends.max().unwrap_or(0)
    }
}

impl Ill {
    fn new(dice: &mut Dice) -> Self {
        match dice.below(10) {
            0 => Self::Lost,
            1 => Self::Broken,
            2..4 => Self::Unanswered,
            4..6 => Self::Cut,
            6 => Self::Busy,
            7 => Self::Error,
            8 => Self::Late(dice.small(40_000)),
            _ => Self::Slow(dice.small(40_000)),
        }
    }
}

impl Blind {
    fn new(dice: &mut Dice) -> Self {
        match dice.below(10) {
            0..3 => Self::Lost,
            3..5 => Self::Twice,
            5..8 => Self::Late(dice.small(30_000)),
            _ => Self::Closed,
        }
    }
}
