//! Damaged input: manifests, admission bodies, stored statuses. Nothing panics, hangs or is done twice.
//!
//! What is damaged are the repository's examples and the stored objects of `crates/drplan-testkit/tests/cluster/stored`.
//! The damage is deterministic: `FUZZ_ROUNDS` and `FUZZ_SEED` choose a longer or another run, for which `make fuzz` is.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod corpus;
mod damage;
mod manifests;
mod places;
mod reviews;
mod statuses;

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;

/// Rounds of each target in `make test`: some seconds in a debug build.
const ROUNDS: u64 = 2_000;

/// Plays `round` with a seed of its own, as often as is wanted, and names the seed of one that fails.
fn rounds(mut round: impl FnMut(&mut Rng)) {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let (first, count) = match number("FUZZ_SEED") {
        Some(seed) => (seed, number("FUZZ_ROUNDS").unwrap_or(1)),
        None => (0, number("FUZZ_ROUNDS").unwrap_or(ROUNDS)),
    };
    for seed in first..first + count {
        let mut rng = Rng::with_seed(seed);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| round(&mut rng))) {
            let said = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            panic!("FUZZ_SEED={seed}: {}", said.unwrap_or("a panic without words"));
        }
    }
}
