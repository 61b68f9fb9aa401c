//! Parses and renders the largest manifest of the user guide. `go test -bench .` in `tests/oracle` does the same.
//!
//! No harness: `cargo bench -p drplan-template` prints the median of batches in nanoseconds.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use drplan_template::{Template, Value};

const MANIFEST: &str = include_str!("manifest.yaml");
const DATA: &str = include_str!("../tests/corpus/data.json");

fn main() {
    let data: Value = serde_json::from_str::<serde_json::Value>(DATA)
        .expect("the data is JSON")
        .into();
    let template = Template::parse(MANIFEST).expect("the manifest is a template");
    measure("parse", || Template::parse(black_box(MANIFEST)).is_ok());
    measure("render_text", || template.render_text(black_box(&data)).is_ok());
    measure("parse + render_text", || {
        Template::parse(black_box(MANIFEST))
            .and_then(|template| template.render_text(&data))
            .is_ok()
    });
    measure("render_yaml", || template.render_yaml(black_box(&data)).is_ok());
    measure("parse + render_yaml", || {
        Template::parse(black_box(MANIFEST))
            .and_then(|template| template.render_yaml(&data))
            .is_ok()
    });
}

/// Prints how long a round takes: the median of batches of a millisecond.
fn measure(name: &str, mut round: impl FnMut() -> bool) {
    const BATCHES: usize = 201;
    let started = Instant::now();
    let mut rounds = 0u32;
    while started.elapsed() < Duration::from_millis(100) {
        assert!(round(), "{name} fails");
        rounds += 1;
    }
    let batch = (rounds / 100).max(1);
    let mut times: Vec<u128> = (0..BATCHES)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..batch {
                black_box(round());
            }
            started.elapsed().as_nanos() / u128::from(batch)
        })
        .collect();
    times.sort_unstable();
    println!("{name:<22} {:>8} ns", times[BATCHES / 2]);
}
