//! A seeded world: random plans, random answers, and a shell that dies between any two lines.
//!
//! `SIMULATION_SEED=n cargo test -p drplan-engine --test simulation` plays one seed again.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test harness: a panic is how it tells"
)]

#[path = "support/fates.rs"]
mod fates;
#[path = "support/faults.rs"]
mod faults;
#[path = "support/model.rs"]
mod model;
#[path = "support/object_actions.rs"]
mod object_actions;
#[path = "support/objects.rs"]
mod objects;
#[path = "support/plans.rs"]
mod plans;
#[path = "support/process.rs"]
mod process;
#[path = "support/random_plan.rs"]
mod random_plan;
#[path = "support/random_run.rs"]
mod random_run;
#[path = "support/shell.rs"]
mod shell;
#[path = "support/soundness.rs"]
mod soundness;
#[path = "support/undoing.rs"]
mod undoing;
#[path = "support/world.rs"]
mod world;

use std::{cell::RefCell, collections::BTreeMap, panic::AssertUnwindSafe};

use drplan_api::Time;
use faults::Faults;
use random_plan::{Dice, RandomPlan};
use shell::Shell;
use world::World;

/// Seeds of each test: a few seconds in a debug build.
const SEEDS: u64 = 2000;

/// Every how manieth plan is compiled as an execution's is.
const COMPILED_EVERY: u64 = 32;
/// Every how manieth run is reverted, until it is undone.
const REVERTED_EVERY: u64 = 4;

/// Plays every seed, or the one that is asked for; a seed that panics is named.
fn each_seed(play: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let asked = std::env::var("SIMULATION_SEED")
        .ok()
        .map(|seed| seed.parse().unwrap());
    for seed in asked.map_or(0..SEEDS, |seed: u64| seed..seed + 1) {
        if let Err(panic) = std::panic::catch_unwind(|| play(seed)) {
            eprintln!("play it again with SIMULATION_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// The run of `plan` in the world of `seed`, played to its end.
fn play(plan: &RandomPlan, seed: u64, faults: Faults) -> Shell {
    let start: Time = "2026-01-30T10:00:00Z".parse().unwrap();
    let world = World::new(seed, plan.objects(), start.as_millis());
    let run = plan.run();
    if seed.is_multiple_of(COMPILED_EVERY) {
        assert_eq!(run.snapshot, plan.compiled().snapshot, "{plan:#?}");
    }
    let mut shell = Shell::new(run, world, start, faults);
    shell.play();
    shell
}

#[test]
fn without_faults_a_run_ends_as_the_model_says() {
    each_seed(|seed| {
        let plan = RandomPlan::new(&mut Dice::new(seed), false);
        let shell = play(&plan, seed, Faults::none());
        let found = model::outcome_of(shell.status());
        assert_eq!(found, model::expected(&plan, seed), "{plan:#?}");
    });
}

#[test]
fn with_crashes_commands_and_strangers_every_step_is_sound_and_every_run_ends() {
    let finished = AssertUnwindSafe(RefCell::new([0_u32; 3]));
    let sights = AssertUnwindSafe(RefCell::new(BTreeMap::<&str, u32>::new()));
    each_seed(|seed| {
        let (finished, sights) = (&finished, &sights);
        let plan = RandomPlan::new(&mut Dice::new(seed), true);
        let mut shell = play(&plan, seed, Faults::some(seed));
        finished.borrow_mut()[shell.ended_as()] += 1;
        if seed.is_multiple_of(REVERTED_EVERY) {
            shell.revert_until_undone(seed);
        }
        for (sight, times) in &shell.world.objects.sights {
            *sights.borrow_mut().entry(sight).or_default() += times;
        }
    });
    if std::env::var("SIMULATION_SEED").is_err() {
        let (finished, sights) = (finished.take(), sights.take());
        let is_enough = finished.iter().all(|runs| *runs > 30) && sights.values().all(|times| *times > 5);
        assert!(
            is_enough && sights.len() >= 4,
            "too one-sided: {finished:?}, {sights:?}"
        );
    }
}
