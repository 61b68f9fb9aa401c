//! The benchmark: what runs cost, and how long it takes until something happens or is visible.
//!
//! Operators on a real control plane, everything on one machine. It prints and asserts nothing. Figures are told in
//! units of one status write measured in the same run, since machines differ.

mod crowd;
mod figures;
mod objects;
mod process;
mod seen;
mod site;
mod steps;
mod stored;
mod unit;
mod writes;

use std::time::Duration;

use crate::control_plane::{ControlPlane, Options};
use crate::namespace::TestNamespace;
use crate::operator::operator_crds;

use figures::{head, row};

/// How many plans of 20 actions begin at once, one crowd after another.
const CROWDS: [usize; 4] = [1, 10, 100, 500];

/// Measures and prints the tables. `DRPLAN_BENCH` names parts to measure, separated by commas; all without it.
///
/// # Errors
///
/// When something does not happen at all.
#[expect(clippy::print_stdout, reason = "the table is what it is for")]
pub async fn run() -> anyhow::Result<()> {
    let crds = tokio::task::spawn_blocking(operator_crds).await??;
    let control_plane = ControlPlane::start(Options::default().with_crds(crds)).await?;
    let parts = std::env::var("DRPLAN_BENCH").unwrap_or_default();
    let wanted = |part: &str| parts.is_empty() || parts.split(',').any(|wanted| wanted == part);

    if wanted("steps") {
        let alone = async |t: &TestNamespace| {
            t.start_privileged().await?;
            println!("{}", head());
            let steps = steps::steps(t).await?;
            println!("{}", row("one status write: the unit", "-", &steps.unit));
            let of = |figures: &figures::Figures| figures.in_units_of(&steps.unit);
            let next = format!("1.5 units; here {:.2}", of(&steps.next));
            println!(
                "{}",
                row("action called -> next action called", &next, &steps.next)
            );
            let first = format!("6 units; here {:.2}", of(&steps.first));
            println!(
                "{}",
                row("execution created -> first action called", &first, &steps.first)
            );
            let visible = steps::status_lag(t).await?;
            println!(
                "{}",
                row("answer of the site -> visible in the status", "100 ms", &visible)
            );
            let cancels = steps::cancels(t).await?;
            println!(
                "{}",
                row(
                    "cancel annotated -> Cancelling visible",
                    "1 s",
                    &cancels.cancelling
                )
            );
            println!(
                "{}",
                row("last answer -> Cancelled visible", "-", &cancels.cancelled)
            );
            Ok(())
        };
        control_plane.with_namespace("bench", alone).await?;
    }
    if wanted("writes") {
        let writes = async |t: &TestNamespace| {
            t.start_privileged().await?;
            let cost = writes::cost(t).await?;
            println!(
                "\nwrites per action {:.2} (1.05), Events per action {:.2}, fixed writes of a run {:.1} (9)",
                cost.per_action, cost.events_per_action, cost.fixed
            );
            Ok(())
        };
        control_plane.with_namespace("bench-writes", writes).await?;
    }
    if wanted("crowds") {
        println!("\n{}", crowd::head());
        let together = crowd::crowd(&control_plane, 10, 3, Duration::from_secs(1)).await?;
        println!("{}", together.row("actions of 1 s"));
        for plans in CROWDS {
            let crowd = crowd::crowd(&control_plane, plans, 20, Duration::ZERO).await?;
            println!("{}", crowd.row("actions"));
        }
    }
    if wanted("restart") {
        let restart = async |t: &TestNamespace| {
            let restart = stored::restart(t).await?;
            println!(
                "\nrestart among {} finished executions: goes on after {:.2} s (2 s), memory {:.0} MB, at most {:.0} MB (64 MB)",
                stored::STORED,
                restart.goes_on.as_secs_f64(),
                restart.usage.resident as f64 / 1e6,
                restart.usage.resident_max as f64 / 1e6,
            );
            Ok(())
        };
        control_plane.with_namespace("bench-restart", restart).await?;
    }
    Ok(())
}
