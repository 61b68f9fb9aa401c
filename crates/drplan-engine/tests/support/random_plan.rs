//! Random plans, in words of their own so that the model does not read what the engine reads.

use std::collections::BTreeMap;

use drplan_api::{
    GoDuration,
    canonical::{
        Action, Deferred, OnInterrupted, PlanFailurePolicy, RetryPolicy, Work, WorkflowFailurePolicy,
    },
};
use drplan_engine::Run;

use crate::plans;

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
    pub(crate) is_job: bool,
    pub(crate) retry: Option<RandomRetry>,
    pub(crate) fails_if_interrupted: bool,
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
    pub(crate) fn new(dice: &mut Dice, with_timeout: bool) -> Self {
        let with_graph = dice.percent(60);
        let mut names = 0;
        let stages = (0..1 + dice.below(5)).map(|index| {
            let index = usize::try_from(index).unwrap();
            let depends_on = (0..index).filter(|_| with_graph && dice.percent(40)).collect();
            let workflows = (0..1 + dice.below(3))
                .map(|_| RandomWorkflow::new(dice, &mut names))
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
            timeout_seconds: (with_timeout && dice.percent(25)).then(|| 20 + dice.below(200)),
            stages,
        }
    }

    /// The run of this plan, as the engine reads it.
    pub(crate) fn run(&self) -> Run {
        let mut workflows = BTreeMap::new();
        let mut stages = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            let used: Vec<String> = (0..stage.workflows.len())
                .map(|at| format!("w{index}-{at}"))
                .collect();
            for (name, workflow) in used.iter().zip(&stage.workflows) {
                let policy = match workflow.fail_fast {
                    true => WorkflowFailurePolicy::FailFast,
                    false => WorkflowFailurePolicy::Continue,
                };
                let actions = workflow.actions.iter().map(RandomAction::written).collect();
                workflows.insert(name.clone(), plans::workflow(policy, actions));
            }
            let before: Vec<String> = stage
                .depends_on
                .iter()
                .map(|before| format!("s{before}"))
                .collect();
            let before: Vec<&str> = before.iter().map(String::as_str).collect();
            let used: Vec<&str> = used.iter().map(String::as_str).collect();
            stages.push(plans::stage(&format!("s{index}"), &before, stage.parallel, &used));
        }
        let policy = match self.stop {
            true => PlanFailurePolicy::Stop,
            false => PlanFailurePolicy::Continue,
        };
        plans::run(
            &plans::plan(policy, self.timeout_seconds.map(GoDuration::from_secs), stages),
            &workflows,
        )
    }
}

impl RandomWorkflow {
    fn new(dice: &mut Dice, names: &mut u32) -> Self {
        let actions = (0..1 + dice.below(4)).map(|_| {
            *names += 1;
            RandomAction::new(dice, format!("a{names}"))
        });
        let actions = actions.collect();
        Self {
            fail_fast: dice.percent(60),
            actions,
        }
    }
}

impl RandomAction {
    fn new(dice: &mut Dice, name: String) -> Self {
        let retry = dice.percent(50).then(|| RandomRetry {
            limit: u32::try_from(dice.below(4)).unwrap(),
            interval_seconds: dice.below(20),
            multiplier: 1 + dice.below(3),
            max_seconds: 20 + dice.below(20),
            on_timeout: dice.percent(50),
        });
        Self {
            name,
            is_job: dice.percent(40),
            retry,
            fails_if_interrupted: dice.percent(15),
        }
    }

    fn written(&self) -> Action {
        let mut action = if self.is_job {
            plans::job(&self.name)
        } else {
            plans::call(&self.name)
        };
        if let Work::Http(http) = &mut action.doing.work
            && self.fails_if_interrupted
        {
            http.on_interrupted = OnInterrupted::Fail;
        }
        action.doing.timeout = Some(Deferred::Value(GoDuration::from_secs(
            crate::world::TIMEOUT_SECONDS,
        )));
        action.doing.retry = self.retry.as_ref().map(|retry| RetryPolicy {
            interval: Deferred::Value(GoDuration::from_secs(retry.interval_seconds)),
            backoff_multiplier: Deferred::Value(retry.multiplier as f64),
            max_interval: Deferred::Value(GoDuration::from_secs(retry.max_seconds)),
            on_timeout: retry.on_timeout,
            ..plans::retries(retry.limit)
        });
        action
    }
}
