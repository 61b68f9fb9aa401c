//! Many plans at once.

use std::time::Duration;

use anyhow::Context;
use drplan_api::DRPlanExecution;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::ListParams;
use tokio::time::{Instant, sleep};

use crate::bench::figures::demanded;
use crate::bench::objects::{apply_plan, apply_side_by_side, execute, looked_at, released};
use crate::bench::process::{Work, usage};
use crate::bench::site::Site;
use crate::control_plane::{ControlPlane, Options};
use crate::namespace::TestNamespace;

/// Requests of the benchmark's own under way at once while it sets up.
const SETTING_UP: usize = 32;

/// How long Events are waited for, from the first `create`: as long as the demand for 500 plans lets them take.
const EVENTS_PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at how many Events there are, each of which the API server has to answer.
const EVENTS_PAUSE: Duration = Duration::from_millis(250);

/// A crowd.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) plans: usize,
    /// How many run side by side in each plan.
    pub(super) workflows: usize,
    /// Of each workflow, one after another.
    pub(super) actions: usize,
    /// How long one action takes.
    pub(super) delay: Duration,
    pub(super) demand: Demand,
}

/// What is demanded of a crowd: seconds from the first `create`, and MB of memory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Demand {
    pub(super) first: Option<f64>,
    pub(super) done: Option<f64>,
    pub(super) events: Option<f64>,
    pub(super) memory: Option<f64>,
}

/// How a crowd of plans fared. Times are from the first `create`.
#[derive(Debug)]
pub(super) struct Crowd {
    wanted: Wanted,
    /// Until all executions are created: the benchmark's own share.
    created: Duration,
    /// Until the first action of every plan was called.
    first_of_all: Duration,
    /// Until every execution had ended.
    done: Duration,
    /// Until every Event was there, or they were waited for no longer.
    events: Duration,
    /// Events that were not there by then.
    missing: usize,
    /// What the operator has resident before the first `create`, in bytes.
    rest: u64,
    /// The most it ever had.
    highest: u64,
    /// From the first `create` to the end of the last execution.
    work: Work,
}

/// Runs the plans all at once, with a control plane and an operator of their own.
pub(super) async fn crowd(wanted: Wanted, crds: &[String]) -> anyhow::Result<Crowd> {
    let options = Options {
        // Nobody reads it, and Kubernetes has none by itself. The API server encodes each object once more for it.
        audit: false,
        ..Options::default()
    };
    let control_plane = ControlPlane::start(options.with_crds(crds.iter().cloned())).await?;
    let measured = std::sync::Mutex::new(None);
    let run = async |t: &TestNamespace| {
        *measured.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(measure(t, wanted).await?);
        Ok(())
    };
    control_plane
        .with_namespace(&format!("crowd-{}", wanted.plans), run)
        .await?;
    let measured = measured
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    measured.ok_or_else(|| anyhow::anyhow!("nothing was measured"))
}

async fn measure(t: &TestNamespace, wanted: Wanted) -> anyhow::Result<Crowd> {
    let Wanted {
        plans,
        workflows,
        actions,
        ..
    } = wanted;
    let site = Site::start(wanted.delay).await?;
    let operator = t.start_privileged().await?;
    let names: Vec<String> = (0..plans).map(|plan| format!("p{plan}")).collect();
    let all = |names: Vec<String>| stream::iter(names.into_iter().map(anyhow::Ok));
    all(names.clone())
        .try_for_each_concurrent(SETTING_UP, async |name| {
            let urls = |workflow: usize| -> Vec<String> {
                let of_workflow = workflow * actions..(workflow + 1) * actions;
                of_workflow
                    .map(|action| site.url(&format!("/{name}/{action}")))
                    .collect()
            };
            match workflows {
                1 => apply_plan(t, &name, &urls(0)).await?,
                _ => {
                    let all: Vec<_> = (0..workflows).map(urls).collect();
                    apply_side_by_side(t, &name, &all).await?;
                }
            }
            looked_at(t, &name).await
        })
        .await?;

    let rest = usage(operator.pid()?)?.resident;
    let before = Work::so_far(&t.control_plane, &operator)?;
    let (begun, clock) = (Instant::now(), Timestamp::now());
    let creating = async {
        all(names.clone())
            .try_for_each_concurrent(SETTING_UP, async |name| execute(t, &name, &name).await.map(drop))
            .await?;
        anyhow::Ok(begun.elapsed())
    };
    let (created, ()) = tokio::join!(creating, site.until(plans * workflows * actions));
    let created = created?;
    let first_of_all = names
        .iter()
        .filter_map(|name| site.first(&format!("/{name}/0")))
        .map(|arrived| arrived.duration_since(begun))
        .max()
        .unwrap_or_default();
    stream::iter(&names)
        .map(anyhow::Ok)
        .try_for_each_concurrent(SETTING_UP, async |name| released(t, name).await)
        .await?;
    let work = Work::so_far(&t.control_plane, &operator)?.since(before);
    let done = last_end(t).await?.duration_since(clock);
    // Two for each action, four for each run of one stage.
    let events = plans * (2 * workflows * actions + 4);
    let missing = missing_events(t, events, begun + EVENTS_PATIENCE).await?;
    Ok(Crowd {
        wanted,
        created,
        first_of_all,
        done: Duration::try_from(done)?,
        events: begun.elapsed(),
        missing,
        rest,
        highest: usage(operator.pid()?)?.resident_max,
        work,
    })
}

/// When the last execution ended, as the records have it.
async fn last_end(t: &TestNamespace) -> anyhow::Result<Timestamp> {
    let executions = t.api::<DRPlanExecution>().list(&ListParams::default()).await?;
    let ends = executions
        .items
        .into_iter()
        .map(|execution| execution.status.and_then(|status| status.completion_time));
    let ends: Option<Vec<_>> = ends.collect();
    let last = ends.and_then(|ends| ends.into_iter().max());
    let last = last.context("an execution has no end")?;
    Ok(Timestamp::from_millisecond(last.as_millis())?)
}

/// Waits until there are `wanted` Events, or until `end`. Returns how many there are not.
async fn missing_events(t: &TestNamespace, wanted: usize, end: Instant) -> anyhow::Result<usize> {
    let api: Api<Event> = t.api();
    loop {
        let listed = api.list_metadata(&ListParams::default().limit(1)).await?;
        let more = listed.metadata.remaining_item_count.unwrap_or_default();
        let seen = listed.items.len() + usize::try_from(more).unwrap_or_default();
        if seen >= wanted || Instant::now() >= end {
            return Ok(wanted.saturating_sub(seen));
        }
        sleep(EVENTS_PAUSE).await;
    }
}

/// The lines above the rows.
pub(super) fn head() -> String {
    let columns = [
        "created",
        "first",
        "done",
        "events",
        "at rest",
        "highest",
        "operator",
        "API server",
        "etcd",
    ];
    let columns: Vec<String> = columns.iter().map(|column| format!("{column:>10}")).collect();
    format!(
        "{:<28}{:>40}{:>20}{:>30}\n{:<28}{}",
        "",
        "",
        "memory",
        "CPU until done",
        "",
        columns.concat()
    )
}

impl Crowd {
    /// One row of the table, and under it what is demanded.
    pub(super) fn row(&self) -> String {
        let Wanted {
            plans,
            workflows,
            actions,
            delay,
            demand,
        } = self.wanted;
        let actions = match delay.as_secs() {
            0 if workflows > 1 => format!("{workflows} x {actions} actions"),
            0 => format!("{actions} actions"),
            seconds => format!("{actions} actions of {seconds} s"),
        };
        let seconds = |duration: Duration| format!("{:.2} s", duration.as_secs_f64());
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let cells = [
            seconds(self.created),
            seconds(self.first_of_all),
            seconds(self.done),
            match self.missing {
                0 => seconds(self.events),
                missing => format!("{missing} late"),
            },
            format!("{:.0} MB", megabytes(self.rest)),
            format!("{:.0} MB", megabytes(self.highest)),
            seconds(self.work.operator),
            seconds(self.work.apiserver),
            seconds(self.work.etcd),
        ];
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>10}")).collect();
        let row = format!("{:<28}{}", format!("{plans} plans of {actions}"), cells.concat());
        let events = match self.missing {
            0 => self.events.as_secs_f64(),
            _ => f64::INFINITY,
        };
        let demands: Vec<String> = [
            ("first", self.first_of_all.as_secs_f64(), demand.first, " s"),
            ("done", self.done.as_secs_f64(), demand.done, " s"),
            ("events", events, demand.events, " s"),
            ("memory", megabytes(self.highest), demand.memory, " MB"),
        ]
        .into_iter()
        .filter_map(|(what, figure, most, unit)| Some(demanded(what, figure, most?, unit)))
        .collect();
        if demands.is_empty() {
            return row;
        }
        format!("{row}\n    {}", demands.join(", "))
    }
}
