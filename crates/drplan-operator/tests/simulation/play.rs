//! One world from its beginning to its end.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime::Builder,
    time::{sleep, timeout_at},
};

use crate::{
    people, process,
    scenario::Scenario,
    world::{Outcome, World},
};

/// What came of a world.
#[derive(Default)]
pub(crate) struct Played {
    pub(crate) violation: Option<String>,
    pub(crate) story: Vec<String>,
    /// Simulated.
    pub(crate) millis: u64,
    pub(crate) figures: (u64, u64, [u64; 6]),
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// How often the first process of the first operator passed each point.
    pub(crate) passed: BTreeMap<String, u64>,
}

/// Everything is over by then: faults, retries, what people do.
const END_MILLIS: u64 = 60 * 60 * 1000;
/// How long nothing must happen once everything seems to be over.
const SILENCE: Duration = Duration::from_secs(2);

thread_local! {
    static PANICKED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics of the operator's tasks are caught by the operator; here they are findings.
pub(crate) fn hush_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if tokio::runtime::Handle::try_current().is_ok() {
            PANICKED.set(Some(info.to_string()));
        } else {
            before(info);
        }
    }));
}

/// Plays `scenario`; with its story if it `tells`.
pub(crate) fn play(scenario: Scenario, tells: bool) -> Played {
    fastrand::seed(scenario.seed);
    PANICKED.set(None);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let living = AssertUnwindSafe(|| runtime.block_on(live(Arc::new(scenario), tells)));
    let mut played = catch_unwind(living).unwrap_or_default();
    drop(runtime);
    if let Some(panic) = PANICKED.take() {
        played
            .violation
            .get_or_insert(format!("something panicked: {panic}"));
    }
    played
}

async fn live(scenario: Arc<Scenario>, tells: bool) -> Played {
    let world = World::new(Arc::clone(&scenario), tells);
    world.furnish();
    let options = process::options(&scenario);
    for operator in 0..scenario.operators {
        tokio::spawn(process::keep(world.clone(), operator, Arc::clone(&options)));
    }
    people::come(&world);
    let end = world.at(END_MILLIS);
    loop {
        if world.violation().is_some() {
            break;
        }
        if world.is_calm() {
            sleep(SILENCE).await;
            if world.is_calm() {
                world.check_end();
                break;
            }
            continue;
        }
        let calm_from = world.at(scenario.calm_from());
        let next = if calm_from > tokio::time::Instant::now() {
            calm_from
        } else {
            end
        };
        let waited = timeout_at(next, world.changed.notified()).await;
        if waited.is_err() && next == end {
            world.violate(format!("it does not end: {}", world.rest()));
        }
    }
    Played {
        violation: world.violation(),
        story: world.story(),
        millis: world.millis(),
        figures: world.figures(),
        outcome: world.outcome(),
        passed: world.passed(),
    }
}
