//! The benchmark: what runs cost, and how long it takes until something happens or is visible.
//!
//! Operators on a real control plane, everything on one machine. It prints and asserts nothing. Figures are told in
//! units of one status write measured in the same run, since machines differ.

mod admission;
mod crowd;
mod election;
mod figures;
mod objects;
mod process;
mod seen;
mod site;
mod soak;
mod steps;
mod stored;
mod unit;
mod writes;

use std::time::Duration;

use tokio::time::Instant;

use crate::control_plane::{ControlPlane, Options};
use crate::namespace::TestNamespace;
use crate::operator::operator_crds;

use crowd::{Demand, Wanted};
use figures::{demanded, head, row};

/// Measures and prints the tables. `DRPLAN_BENCH` names parts to measure, separated by commas; all without it. A crowd
/// is a part of its own as well: `crowd-100`.
///
/// # Errors
///
/// When something does not happen at all.
#[expect(clippy::print_stdout, reason = "the table is what it is for")]
pub async fn run() -> anyhow::Result<()> {
    let crds = tokio::task::spawn_blocking(operator_crds).await??;
    let soak_crds = crds.clone();
    let parts = std::env::var("DRPLAN_BENCH").unwrap_or_default();
    let wanted = |part: &str| parts.is_empty() || parts.split(',').any(|wanted| wanted == part);
    let begun = Instant::now();

    if wanted("steps") || wanted("writes") {
        let control_plane = ControlPlane::start(Options::default().with_crds(crds.clone())).await?;
        if wanted("steps") {
            control_plane.with_namespace("bench", one_at_a_time).await?;
        }
        if wanted("writes") {
            control_plane.with_namespace("bench-writes", counted).await?;
        }
    }
    let mut head = Some(crowd::head());
    for crowd in CROWDS {
        if wanted("crowds") || wanted(&format!("crowd-{}", crowd.plans)) {
            if let Some(head) = head.take() {
                println!("\n{head}");
            }
            println!("{}", crowd::crowd(crowd, &crds).await?.row());
        }
    }
    if wanted("admission") {
        let control_plane = ControlPlane::start(Options::default().with_crds(crds.clone())).await?;
        control_plane.with_namespace("bench-admission", admitted).await?;
    }
    if wanted("restart") {
        let control_plane = ControlPlane::start(Options::default().with_crds(crds.clone())).await?;
        control_plane.with_namespace("bench-restart", restarted).await?;
    }
    if wanted("election") {
        let control_plane = ControlPlane::start(Options::default().with_crds(crds)).await?;
        control_plane.with_namespace("bench-election", elected).await?;
    }
    // Only where it is asked for: it takes as long as it is told to.
    if parts.split(',').any(|part| part == "soak") {
        let options = Options {
            audit: false,
            ..Options::default()
        };
        let control_plane = ControlPlane::start(options.with_crds(soak_crds)).await?;
        control_plane.with_namespace("bench-soak", soaked).await?;
    }
    println!("\nmeasured in {} s", begun.elapsed().as_secs());
    Ok(())
}

/// What runs at once, one crowd after another.
const CROWDS: [Wanted; 7] = [
    Wanted {
        plans: 10,
        workflows: 1,
        actions: 3,
        delay: Duration::from_secs(1),
        demand: Demand {
            first: None,
            done: Some(3.3),
            events: None,
            memory: None,
        },
    },
    of_twenty(1, None, None, None, None),
    of_twenty(10, None, None, None, None),
    of_twenty(100, Some(2.0), Some(11.0), None, Some(40.0)),
    of_twenty(500, Some(10.0), Some(30.0), Some(60.0), Some(128.0)),
    Wanted {
        actions: 200,
        ..of_twenty(1, None, None, None, None)
    },
    Wanted {
        workflows: 50,
        actions: 4,
        ..of_twenty(1, None, None, None, None)
    },
];

const fn of_twenty(
    plans: usize,
    first: Option<f64>,
    done: Option<f64>,
    events: Option<f64>,
    memory: Option<f64>,
) -> Wanted {
    Wanted {
        plans,
        workflows: 1,
        actions: 20,
        delay: Duration::ZERO,
        demand: Demand {
            first,
            done,
            events,
            memory,
        },
    }
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
async fn soaked(t: &TestNamespace) -> anyhow::Result<()> {
    println!("\n{}", soak::head());
    soak::soak(t, |round| println!("{}", round.row())).await
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
async fn one_at_a_time(t: &TestNamespace) -> anyhow::Result<()> {
    t.start_privileged().await?;
    println!("{}", head());
    let steps = steps::steps(t).await?;
    println!("{}", row("one status write: the unit", "-", &steps.unit));
    let of = |figures: &figures::Figures| figures.in_units_of(&steps.unit);
    let next = demanded("units", of(&steps.next), 1.5, "");
    println!(
        "{}",
        row("action called -> next action called", &next, &steps.next)
    );
    let first = demanded("units", of(&steps.first), 6.0, "");
    println!(
        "{}",
        row("execution created -> first action called", &first, &steps.first)
    );
    let millis = |figures: &figures::Figures| figures.percentile(50).as_secs_f64() * 1e3;
    let visible = steps::status_lag(t).await?;
    let lag = demanded("median", millis(&visible), 100.0, " ms");
    println!(
        "{}",
        row("answer of the site -> visible in the status", &lag, &visible)
    );
    let cancels = steps::cancels(t).await?;
    let lag = demanded("median", millis(&cancels.cancelling), 1000.0, " ms");
    println!(
        "{}",
        row(
            "cancel annotated -> Cancelling visible",
            &lag,
            &cancels.cancelling
        )
    );
    println!(
        "{}",
        row("last answer -> Cancelled visible", "-", &cancels.cancelled)
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
async fn counted(t: &TestNamespace) -> anyhow::Result<()> {
    t.start_privileged().await?;
    let cost = writes::cost(t).await?;
    println!(
        "\n{}, {}, Events per action {:.2}",
        demanded("writes per action", cost.per_action, 1.05, ""),
        demanded("fixed writes of a run", cost.fixed, 9.0, ""),
        cost.events_per_action,
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
async fn admitted(t: &TestNamespace) -> anyhow::Result<()> {
    let measured = admission::admission(t).await?;
    let millis = |figures: &figures::Figures| figures.percentile(50).as_secs_f64() * 1e3;
    println!("\namong {} plans\n{}", admission::STORED, head());
    let demand = demanded("median", millis(&measured.reviewed), 10.0, " ms");
    println!(
        "{}",
        row("review of the shop's plan -> answer", &demand, &measured.reviewed)
    );
    println!(
        "{}",
        row("plan created (dry run) -> answer", "-", &measured.created)
    );
    println!("{}", row("the same without webhooks", "-", &measured.unasked));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
async fn restarted(t: &TestNamespace) -> anyhow::Result<()> {
    let restart = stored::restart(t).await?;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "\nrestart among {} finished executions: {}, {}, {:.0} MB at rest, CPU {:.2} s",
        stored::STORED,
        demanded("goes on after", restart.goes_on.as_secs_f64(), 2.0, " s"),
        demanded("memory", megabytes(restart.usage.resident_max), 64.0, " MB"),
        megabytes(restart.usage.resident),
        restart.usage.cpu.as_secs_f64(),
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
async fn elected(t: &TestNamespace) -> anyhow::Result<()> {
    let measured = election::election(t).await?;
    println!("\n{}", head());
    for (name, figures, most) in [
        ("operator started -> ready", &measured.ready, 0.3),
        ("leader killed -> the other goes on", &measured.killed, 20.0),
        ("the same with short times", &measured.killed_fast, 5.0),
        ("SIGTERM -> the other begins a run", &measured.given_way, 1.0),
    ] {
        let longest = figures.percentile(100).as_secs_f64();
        println!("{}", row(name, &demanded("max", longest, most, " s"), figures));
    }
    Ok(())
}
