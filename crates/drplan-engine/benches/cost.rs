//! What a pass costs. `cargo bench -p drplan-engine`

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "a measurement: a panic is how it fails, and what it prints is what it is for"
)]

#[path = "../tests/support/plans.rs"]
mod plans;

use std::{collections::BTreeMap, time::Duration};

use drplan_api::{
    Time,
    canonical::{PlanFailurePolicy, WorkflowFailurePolicy},
    status::DRPlanExecutionStatus,
};
use drplan_engine::{
    ActionIndex, InFlight, Observed, Run, advance,
    effect::{Observation, Outcome},
};

/// A run of `stages` stages, each of `workflows` workflows of `actions` calls.
fn run(stages: usize, workflows: usize, actions: usize, parallel: bool) -> Run {
    let calls = (0..actions).map(|index| {
        let mut call = plans::call(&format!("a{index}"));
        call.doing.retry = Some(plans::retries(3));
        if index % 2 == 1 {
            call = plans::job(&format!("a{index}"));
        }
        call
    });
    let workflow = plans::workflow(WorkflowFailurePolicy::FailFast, calls.collect());
    let stages =
        (0..stages).map(|index| plans::stage(&format!("s{index}"), &[], parallel, &vec!["w"; workflows]));
    let plan = plans::plan(PlanFailurePolicy::Stop, None, stages.collect());
    plans::run(&plan, &BTreeMap::from([("w".to_owned(), workflow)]))
}

/// Plays the run to its end, every result at once, and returns passes and the longest and the mean pass.
fn play(run: &Run) -> (u32, Duration, Duration) {
    let mut status: DRPlanExecutionStatus = run.initial_status();
    let mut now: Time = "2026-01-30T10:00:00Z".parse().unwrap();
    let mut seen = Observed::default();
    let (mut passes, mut longest, mut total) = (0, Duration::ZERO, Duration::ZERO);
    while !status.phase.is_terminal() {
        seen.http_places = 1000;
        let (took, step) = timed(|| advance(Some(run), &status, &seen, now).unwrap());
        (passes, longest, total) = (passes + 1, longest.max(took), total + took);
        status = step.status;
        seen.results.clear();
        let mut pending: BTreeMap<ActionIndex, InFlight> = std::mem::take(&mut seen.in_flight);
        for (at, effect) in &step.effects {
            pending.insert(*at, InFlight::Call);
            let outcome = match &effect.command {
                drplan_engine::effect::Command::CreateJob(_) => Outcome::JobCreated {
                    uid: "uid".to_owned(),
                },
                drplan_engine::effect::Command::AwaitJob(_) => Outcome::JobSucceeded,
                _ => Outcome::Answered {
                    status_code: 200,
                    duration_millis: 1,
                    body: None,
                },
            };
            pending.remove(at);
            let attempt = effect.attempt;
            seen.results.insert(*at, Observation { attempt, outcome });
        }
        seen.in_flight = pending;
        now = now.plus_millis(1000);
    }
    (passes, longest, total / passes)
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = std::time::Instant::now();
    let result = work();
    (start.elapsed(), result)
}

fn main() {
    for (stages, workflows, actions, parallel) in [
        (11, 2, 10, false),
        (11, 2, 10, true),
        (8, 5, 10, false),
        (1, 40, 10, true),
    ] {
        let run = run(stages, workflows, actions, parallel);
        let (passes, longest, mean) = play(&run);
        let total = stages * workflows * actions;
        println!("{total} actions, parallel {parallel}: {passes} passes, mean {mean:?}, longest {longest:?}");
    }
}
