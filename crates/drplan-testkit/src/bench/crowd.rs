//! Many plans at once.

use std::time::Duration;

use anyhow::Context;
use drplan_api::DRPlanExecution;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::ListParams;
use tokio::time::Instant;

use crate::bench::objects::{apply_plan, execute, looked_at, released};
use crate::bench::process::{Usage, usage};
use crate::bench::site::Site;
use crate::control_plane::ControlPlane;
use crate::eventually::{Seen, eventually};
use crate::namespace::TestNamespace;

/// Requests of the benchmark's own under way at once while it sets up.
const SETTING_UP: usize = 32;

/// How a crowd of plans fared. Times are from the first `create`.
#[derive(Debug)]
pub(super) struct Crowd {
    pub(super) plans: usize,
    pub(super) actions: usize,
    /// Until all executions are created: the benchmark's own share.
    pub(super) created: Duration,
    /// Until the first action of every plan was called.
    pub(super) first_of_all: Duration,
    /// Until every execution had ended.
    pub(super) done: Duration,
    /// Until every Event was there.
    pub(super) events: Duration,
    pub(super) usage: Usage,
    pub(super) cpu: Duration,
}

/// Runs `plans` plans of `actions` calls that take `delay` each, all at once, with an operator of their own.
pub(super) async fn crowd(
    control_plane: &ControlPlane,
    plans: usize,
    actions: usize,
    delay: Duration,
) -> anyhow::Result<Crowd> {
    let measured = std::sync::Mutex::new(None);
    let run = async |t: &TestNamespace| {
        *measured.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some(measure(t, plans, actions, delay).await?);
        Ok(())
    };
    control_plane
        .with_namespace(&format!("crowd-{plans}"), run)
        .await?;
    let measured = measured
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    measured.ok_or_else(|| anyhow::anyhow!("nothing was measured"))
}

async fn measure(t: &TestNamespace, plans: usize, actions: usize, delay: Duration) -> anyhow::Result<Crowd> {
    let site = Site::start(delay).await?;
    let operator = t.start_privileged().await?;
    let names: Vec<String> = (0..plans).map(|plan| format!("p{plan}")).collect();
    let all = |names: Vec<String>| stream::iter(names.into_iter().map(anyhow::Ok));
    all(names.clone())
        .try_for_each_concurrent(SETTING_UP, async |name| {
            let urls: Vec<String> = (0..actions)
                .map(|action| site.url(&format!("/{name}/{action}")))
                .collect();
            apply_plan(t, &name, &urls).await?;
            looked_at(t, &name).await
        })
        .await?;

    let before = usage(operator.pid()?)?;
    let (begun, clock) = (Instant::now(), Timestamp::now());
    let creating = async {
        all(names.clone())
            .try_for_each_concurrent(SETTING_UP, async |name| execute(t, &name, &name).await.map(drop))
            .await?;
        anyhow::Ok(begun.elapsed())
    };
    let (created, ()) = tokio::join!(creating, site.until(plans * actions));
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
    let done = last_end(t).await?.duration_since(clock);
    let after = usage(operator.pid()?)?;
    let wanted = plans * (2 * actions + 4);
    let events = events(t, wanted).await?;
    Ok(Crowd {
        plans,
        actions,
        created,
        first_of_all,
        done: Duration::try_from(done)?,
        events: events.duration_since(begun),
        usage: after,
        cpu: after.cpu.saturating_sub(before.cpu),
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

/// Waits until there are `wanted` Events: two for each action, four for each run of one stage.
async fn events(t: &TestNamespace, wanted: usize) -> anyhow::Result<Instant> {
    let api: Api<Event> = t.api();
    eventually(&format!("{wanted} events"), async || {
        let listed = api.list_metadata(&ListParams::default().limit(1)).await?;
        let more = listed.metadata.remaining_item_count.unwrap_or_default();
        let seen = listed.items.len() + usize::try_from(more).unwrap_or_default();
        Ok(Seen::when((seen >= wanted).then(Instant::now), || {
            format!("{seen} of {wanted}")
        }))
    })
    .await
}

/// The line above the rows.
pub(super) fn head() -> String {
    format!(
        "{:<34} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "created", "first", "done", "events", "memory", "CPU"
    )
}

impl Crowd {
    /// One row of the table.
    pub(super) fn row(&self, what: &str) -> String {
        let seconds = |duration: Duration| format!("{:.2} s", duration.as_secs_f64());
        format!(
            "{:<34} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            format!("{} plans of {} {what}", self.plans, self.actions),
            seconds(self.created),
            seconds(self.first_of_all),
            seconds(self.done),
            seconds(self.events),
            format!("{:.0} MB", self.usage.resident_max as f64 / 1e6),
            seconds(self.cpu),
        )
    }
}
