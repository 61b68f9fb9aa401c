//! A seeded world: random plans, random answers, and a shell that dies between any two lines.
//!
//! `SIMULATION_SEED=n cargo test -p drplan-engine --test simulation` plays one seed again.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test harness: a panic is how it tells"
)]

#[path = "support/model.rs"]
mod model;
#[path = "support/plans.rs"]
mod plans;
#[path = "support/random_plan.rs"]
mod random_plan;
#[path = "support/shell.rs"]
mod shell;
#[path = "support/world.rs"]
mod world;

use random_plan::{Dice, RandomPlan};
use shell::{Faults, Shell};

/// Seeds of each test: a few seconds in a debug build.
const SEEDS: u64 = 2000;

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

#[test]
fn without_faults_a_run_ends_as_the_model_says() {
    each_seed(|seed| {
        let plan = RandomPlan::new(&mut Dice::new(seed), false);
        let mut shell = Shell::new(&plan, seed, Faults::none());
        shell.play();
        let found = model::outcome_of(shell.status());
        assert_eq!(found, model::expected(&plan, seed), "{plan:#?}");
    });
}

#[test]
fn with_crashes_and_commands_every_step_is_sound_and_every_run_ends() {
    let finished = std::cell::Cell::new([0_u32; 3]);
    let finished = std::panic::AssertUnwindSafe(&finished);
    each_seed(|seed| {
        let plan = RandomPlan::new(&mut Dice::new(seed), true);
        let mut shell = Shell::new(&plan, seed, Faults::some(seed));
        shell.play();
        let mut counts = finished.get();
        counts[shell.ended_as()] += 1;
        finished.set(counts);
    });
    if std::env::var("SIMULATION_SEED").is_err() {
        let counts = finished.get();
        assert!(
            counts.iter().all(|count| *count > 30),
            "too one-sided: {counts:?}"
        );
    }
}
