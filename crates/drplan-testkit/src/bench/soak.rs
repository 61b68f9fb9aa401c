//! Hour after hour of runs, and what the operator keeps of them.

use std::time::Duration;

use anyhow::Context;
use drplan_api::DRPlanExecution;
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{DeleteParams, ListParams};
use tokio::time::Instant;

use crate::bench::objects::{apply_plan, ended, execute, looked_at};
use crate::bench::process::usage;
use crate::bench::site::Site;
use crate::eventually::{Seen, eventually};
use crate::namespace::TestNamespace;
use crate::operator::{OperatorProcess, metric_sum};

/// Plans, each of which runs once in a round.
const PLANS: usize = 100;
/// Actions of each.
const ACTIONS: usize = 20;
/// How many rounds there are unless `DRPLAN_SOAK_ROUNDS` says otherwise.
const ROUNDS: usize = 20;
/// Requests of the benchmark's own under way at once.
const AT_ONCE: usize = 32;

/// What the operator has after a round, once nothing is left to do and what ran is deleted.
#[derive(Debug)]
pub(super) struct Round {
    number: usize,
    took: Duration,
    resident: u64,
    /// The most it ever had.
    highest: u64,
    tasks: u64,
    open: u64,
    executions: u64,
    cpu: Duration,
}

/// Runs all plans at once, deletes what ran, and begins again; tells of each round.
pub(super) async fn soak(t: &TestNamespace, tell: impl Fn(&Round)) -> anyhow::Result<()> {
    let rounds = std::env::var("DRPLAN_SOAK_ROUNDS").unwrap_or_default();
    let rounds = match rounds.as_str() {
        "" => ROUNDS,
        rounds => rounds
            .parse()
            .context("DRPLAN_SOAK_ROUNDS is a number of rounds")?,
    };
    let site = Site::start(Duration::ZERO).await?;
    let operator = t.start_privileged().await?;
    let names: Vec<String> = (0..PLANS).map(|plan| format!("p{plan}")).collect();
    let each = || stream::iter(names.iter().map(anyhow::Ok));
    each()
        .try_for_each_concurrent(AT_ONCE, async |name| {
            let urls: Vec<String> = (0..ACTIONS)
                .map(|action| site.url(&format!("/{name}/{action}")))
                .collect();
            apply_plan(t, name, &urls).await?;
            looked_at(t, name).await
        })
        .await?;
    for number in 1..=rounds {
        let begun = Instant::now();
        each()
            .try_for_each_concurrent(AT_ONCE, async |name| {
                execute(t, &format!("{name}-{number}"), name).await.map(drop)
            })
            .await?;
        stream::iter(&names)
            .map(anyhow::Ok)
            .try_for_each_concurrent(AT_ONCE, async |name| ended(t, &format!("{name}-{number}")).await)
            .await?;
        let took = begun.elapsed();
        t.api::<DRPlanExecution>()
            .delete_collection(&DeleteParams::default(), &ListParams::default())
            .await?;
        tell(&at_rest(&operator, number, took).await?);
    }
    Ok(())
}

async fn at_rest(operator: &OperatorProcess, number: usize, took: Duration) -> anyhow::Result<Round> {
    let [tasks, open, executions] = eventually("rest", async || {
        let text = operator.metrics().await?;
        let sum = |name: &str| metric_sum(&text, name);
        let busy = [
            "drplan_executions_active",
            "drplan_queue_length",
            "drplan_events_queued",
            "drplan_executions",
        ]
        .map(sum)
        .iter()
        .sum::<f64>();
        let kept = ["drplan_tasks", "process_open_fds", "drplan_executions"].map(|name| sum(name) as u64);
        Ok(Seen::when((busy == 0.0).then_some(kept), || {
            format!("{busy} things to do")
        }))
    })
    .await?;
    let usage = usage(operator.pid()?)?;
    Ok(Round {
        number,
        took,
        resident: usage.resident,
        highest: usage.resident_max,
        tasks,
        open,
        executions,
        cpu: usage.cpu,
    })
}

/// The line above the rows.
pub(super) fn head() -> String {
    let columns = [
        "round",
        "took",
        "at rest",
        "highest",
        "tasks",
        "open files",
        "kept",
        "CPU so far",
    ];
    columns.map(|column| format!("{column:>12}")).concat()
}

impl Round {
    /// One row of the table.
    pub(super) fn row(&self) -> String {
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        let cells = [
            self.number.to_string(),
            format!("{:.2} s", self.took.as_secs_f64()),
            megabytes(self.resident),
            megabytes(self.highest),
            self.tasks.to_string(),
            self.open.to_string(),
            self.executions.to_string(),
            format!("{:.1} s", self.cpu.as_secs_f64()),
        ];
        cells.map(|cell| format!("{cell:>12}")).concat()
    }
}
