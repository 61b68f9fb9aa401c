//! Random plans, in words of their own so that the model does not read what the engine reads.

use std::collections::BTreeSet;

use drplan_api::canonical::Operation;

use crate::object_actions::Kind;

/// Numbers that follow from a seed (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[derive(Debug)]
pub(crate) struct RandomPlan {
    pub(crate) stop: bool,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) stages: Vec<RandomStage>,
}

#[derive(Debug)]
pub(crate) struct RandomStage {
    /// As written.
    pub(crate) depends_on: Vec<usize>,
    pub(crate) parallel: bool,
    pub(crate) workflows: Vec<RandomWorkflow>,
}

#[derive(Debug)]
pub(crate) struct RandomWorkflow {
    pub(crate) fail_fast: bool,
    pub(crate) actions: Vec<RandomAction>,
}

#[derive(Debug)]
pub(crate) struct RandomAction {
    pub(crate) name: String,
    pub(crate) what: What,
    pub(crate) retry: Option<RandomRetry>,
    pub(crate) fails_if_interrupted: bool,
    pub(crate) rollback: Option<What>,
}

#[derive(Debug)]
pub(crate) enum What {
    Call,
    Job,
    Object {
        operation: Operation,
        kind: Kind,
        object: String,
        force: bool,
    },
}

#[derive(Debug)]
pub(crate) struct RandomRetry {
    pub(crate) limit: u32,
    pub(crate) interval_seconds: u64,
    pub(crate) multiplier: u64,
    pub(crate) max_seconds: u64,
    pub(crate) on_timeout: bool,
}

impl RandomPlan {
    /// A `rough` one may have a timeout, and actions that get in each other's way on the same object.
    pub(crate) fn new(dice: &mut Dice, rough: bool) -> Self {
        let with_graph = dice.percent(60);
        let mut names = 0;
        let stages = (0..1 + dice.below(5)).map(|index| {
            let index = usize::try_from(index).unwrap();
            let depends_on = (0..index).filter(|_| with_graph && dice.percent(40)).collect();
            let workflows = (0..1 + dice.below(3))
                .map(|_| RandomWorkflow::new(dice, &mut names, rough))
                .collect();
            RandomStage {
                depends_on,
                parallel: dice.percent(50),
                workflows,
            }
        });
        let stages = stages.collect();
        Self {
            stop: dice.percent(60),
            timeout_seconds: (rough && dice.percent(25)).then(|| 20 + dice.below(200)),
            stages,
        }
    }

    /// The objects that anything is done to.
    pub(crate) fn objects(&self) -> BTreeSet<String> {
        let workflows = self.stages.iter().flat_map(|stage| &stage.workflows);
        let actions = workflows.flat_map(|workflow| &workflow.actions);
        let object = |what: &What| match what {
            What::Object { kind, object, .. } => Some(object_key(*kind, object)),
            What::Call | What::Job => None,
        };
        let whats = actions.flat_map(|action| std::iter::once(&action.what).chain(&action.rollback));
        whats.filter_map(object).collect()
    }
}

impl RandomWorkflow {
    fn new(dice: &mut Dice, names: &mut u32, rough: bool) -> Self {
        let mut actions: Vec<RandomAction> = (0..1 + dice.below(4))
            .map(|_| {
                *names += 1;
                RandomAction::new(dice, format!("a{names}"), rough)
            })
            .collect();
        if let (false, What::Object { .. }) = (rough, &actions[0].what) {
            // A workflow has not begun while its first action only looks, and what fails meanwhile keeps it from that:
            // the model knows when a workflow begins from what is before it alone.
            actions[0].what = What::Call;
        }
        Self {
            fail_fast: dice.percent(60),
            actions,
        }
    }
}

impl What {
    fn object(dice: &mut Dice, name: &str, rough: bool) -> Self {
        let operation = match dice.below(4) {
            0 => Operation::Create,
            1 => Operation::Apply,
            2 => Operation::Patch,
            _ => Operation::Delete,
        };
        let kind = match dice.below(4) {
            0 => Kind::Localization,
            1 => Kind::Subscription,
            _ => Kind::ConfigMap,
        };
        let object = match rough && dice.percent(40) {
            true => format!("shared{}", dice.below(2)),
            false => name.to_owned(),
        };
        Self::Object {
            operation,
            kind,
            object,
            force: kind == Kind::ConfigMap && dice.percent(20),
        }
    }
}

impl What {
    /// A rollback that can work at any time.
    fn rollback(dice: &mut Dice, name: &str) -> Self {
        let operation = match dice.below(10) {
            0..5 => return Self::Call,
            5..8 => return Self::Job,
            8 => Operation::Delete,
            _ => Operation::Apply,
        };
        let (kind, object) = (Kind::ConfigMap, format!("undo-{name}"));
        Self::Object {
            operation,
            kind,
            object,
            force: true,
        }
    }
}

/// How the world calls an object.
pub(crate) fn object_key(kind: Kind, object: &str) -> String {
    format!("{kind:?}/{object}")
}

impl RandomAction {
    fn new(dice: &mut Dice, name: String, rough: bool) -> Self {
        let retry = dice.percent(50).then(|| RandomRetry {
            limit: u32::try_from(dice.below(4)).unwrap(),
            interval_seconds: dice.below(20),
            multiplier: 1 + dice.below(3),
            max_seconds: 20 + dice.below(20),
            on_timeout: dice.percent(50),
        });
        let what = match dice.below(10) {
            0..4 => What::Call,
            4..7 => What::Job,
            _ => What::object(dice, &name, rough),
        };
        let rollback = (rough && dice.percent(60)).then(|| What::rollback(dice, &name));
        Self {
            name,
            what,
            retry,
            fails_if_interrupted: dice.percent(15),
            rollback,
        }
    }
}
