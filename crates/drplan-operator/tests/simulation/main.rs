//! The operator's shipped code in a simulated world: an API server, sites, Jobs, clocks, crashes; all from one seed.
//!
//! `make sim SEED=n` plays one seed again and tells its story; `make sim SEEDS=n` plays so many.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test harness: a panic is how it tells"
)]

mod api;
mod dice;
mod jobs;
mod line;
mod matrix;
mod minimise;
mod people;
mod plan;
mod play;
mod process;
mod rules;
mod scenario;
mod sites;
mod storm;
mod story;
mod world;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use play::{Played, play};
use scenario::Scenario;

/// A quarter of the time would go to the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Seeds in `make test`: some seconds.
const SEEDS: u64 = 400;
/// Every how manieth seed is played twice.
const TWICE_EVERY: u64 = 50;

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().unwrap())
}

#[test]
fn a_crash_anywhere_changes_nothing() {
    play::hush_panics();
    matrix::play_all(number("SIMULATION_WHOLE").is_some());
}

#[test]
fn every_seed_is_sound() {
    play::hush_panics();
    if let Some(seed) = number("SIMULATION_SEED") {
        tell(seed);
        return;
    }
    let seeds = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let first = number("SIMULATION_FIRST").unwrap_or(0);
    let began = Instant::now();
    let next = AtomicU64::new(first);
    let failed = AtomicBool::new(false);
    let found = Mutex::new(Vec::new());
    let sums = Mutex::new([0_u64; 10]);
    let threads = std::thread::available_parallelism().unwrap().get();
    let keep_going = number("SIMULATION_FAILURES").unwrap_or(1);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !failed.load(Ordering::SeqCst) {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= first + seeds {
                        return;
                    }
                    let played = play_seed(seed);
                    sum(&sums, &played);
                    if let Some(violation) = played.violation {
                        println!("seed {seed}: {violation}");
                        let mut found = found.lock().unwrap();
                        found.push(seed);
                        failed.store(found.len() as u64 >= keep_going, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let sums = sums.into_inner().unwrap();
    println!(
        "{} seeds in {:.1} s: {} requests, {} writes, {} s simulated, {} executions, {} reverts, {} claims, {} repeats, \
         {} effects under a stale epoch, {} ends other than success",
        sums[0],
        began.elapsed().as_secs_f64(),
        sums[1],
        sums[2],
        sums[8] / 1000,
        sums[3],
        sums[4],
        sums[5],
        sums[6],
        sums[7],
        sums[9]
    );
    if let Some(seed) = found.first() {
        if number("SIMULATION_BRIEF").is_none() {
            tell(*seed);
        }
        panic!("seeds that are not sound: {found:?}");
    }
}

/// Plays a seed; some of them twice, which must be the same.
fn play_seed(seed: u64) -> Played {
    let scenario = Scenario::new(seed);
    if !seed.is_multiple_of(TWICE_EVERY) {
        return play(scenario, false);
    }
    let (first, mut second) = (play(scenario.clone(), true), play(scenario, true));
    if first.story != second.story && second.violation.is_none() {
        let differs = first
            .story
            .iter()
            .zip(&second.story)
            .find(|(one, other)| one != other);
        second.violation = Some(format!("played twice it is another: {differs:?}"));
    }
    second
}

fn sum(sums: &Mutex<[u64; 10]>, played: &Played) {
    let mut sums = sums.lock().unwrap();
    let (requests, writes, figures) = played.figures;
    sums[0] += 1;
    sums[1] += requests;
    sums[2] += writes;
    for (sum, figure) in sums[3..8].iter_mut().zip(figures) {
        *sum += figure;
    }
    sums[8] += played.millis;
    sums[9] += figures[5];
}

/// Plays a seed and tells what is wrong with it, made as small as it can be.
fn tell(seed: u64) {
    let scenario = Scenario::new(seed);
    let played = play(scenario.clone(), true);
    let Some(violation) = played.violation.clone() else {
        println!("{scenario:#?}");
        played.story.iter().for_each(|line| println!("{line}"));
        println!("seed {seed} is sound: {} s were simulated", played.millis / 1000);
        return;
    };
    let (small, played) = minimise::minimise(scenario, played);
    println!("\nseed {seed}, made small:");
    println!("{}", minimise::shown(&small));
    played.story.iter().for_each(|line| println!("{line}"));
    panic!(
        "seed {seed}: {violation}\nmade small: {}\nplay it again with: make sim SEED={seed}",
        played.violation.unwrap_or_default()
    );
}
