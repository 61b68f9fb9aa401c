//! One run at a time: from action to action, from the trigger to the first, from a fact to the status, and cancellation.

use std::time::Duration;

use drplan_api::status::{Condition, StepPhase};
use drplan_api::{DRPlanExecution, labels};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::bench::figures::Figures;
use crate::bench::objects::{apply_plan, execute, looked_at, released};
use crate::bench::seen::{Seen, phase};
use crate::bench::site::Site;
use crate::bench::unit::Unit;
use crate::namespace::TestNamespace;
use crate::stand_in::Answer;

/// Actions of the runs from action to action: those of the guide's large scenario.
const ACTIONS: usize = 20;
/// Runs from action to action, and of one action.
const RUNS: usize = 50;
/// Actions of the run whose status is watched.
const CHAIN: usize = 100;
/// Between two steps, so that each begins with everything at rest.
const REST: Duration = Duration::from_millis(20);

/// From action to action, beside the unit.
pub(super) struct Steps {
    pub(super) unit: Figures,
    pub(super) first: Figures,
    pub(super) next: Figures,
}

/// Runs of 20 calls that are answered at once. Between them the unit is measured, so that both have the same machine.
pub(super) async fn steps(t: &TestNamespace) -> anyhow::Result<Steps> {
    let site = Site::start(Duration::ZERO).await?;
    let mut unit = None;
    let (mut first, mut next) = (Figures::default(), Figures::default());
    for run in 0..RUNS {
        let name = format!("steps-{run}");
        let urls: Vec<String> = (0..ACTIONS)
            .map(|action| site.url(&format!("/{name}/{action}")))
            .collect();
        apply_plan(t, &name, &urls).await?;
        looked_at(t, &name).await?;
        sleep(REST).await;
        let created = Instant::now();
        execute(t, &name, &name).await?;
        site.until((run + 1) * ACTIONS).await;
        let arrivals: Vec<Instant> = (0..ACTIONS)
            .filter_map(|action| site.first(&format!("/{name}/{action}")))
            .collect();
        first.add(arrivals[0].duration_since(created));
        for pair in arrivals.windows(2) {
            next.add(pair[1].duration_since(pair[0]));
        }
        released(t, &name).await?;
        if unit.is_none() {
            let done = t.api::<DRPlanExecution>().get(&name).await?;
            unit = Some(Unit::new(t.client.clone(), "unit", serde_json::to_value(done.status)?).await?);
        }
        if let Some(unit) = &mut unit {
            unit.write(ACTIONS).await?;
        }
    }
    Ok(Steps {
        unit: unit.map(|unit| unit.figures).unwrap_or_default(),
        first,
        next,
    })
}

/// From the answer of the site until a watch shows the action Succeeded, in a run of 100 calls.
pub(super) async fn status_lag(t: &TestNamespace) -> anyhow::Result<Figures> {
    let paths: Vec<String> = (0..CHAIN).map(|number| format!("/chain/{number}")).collect();
    for path in &paths {
        t.stand_in.script(path, [Answer::ok().held()]);
    }
    let urls: Vec<String> = paths.iter().map(|path| t.stand_in.url(path)).collect();
    apply_plan(t, "chain", &urls).await?;
    looked_at(t, "chain").await?;
    execute(t, "chain", "chain").await?;
    let mut seen = Seen::start(t.api(), "chain");
    let mut visible = Figures::default();
    for (number, path) in paths.iter().enumerate() {
        t.stand_in.wait_for(path, 1).await?;
        seen.until("the call is recorded", |status| {
            phase(status, number) == Some(StepPhase::Running)
        })
        .await?;
        sleep(REST).await;
        let answered = Instant::now();
        t.stand_in.release(path);
        let shown = seen
            .until("the answer is recorded", |status| {
                phase(status, number) == Some(StepPhase::Succeeded)
            })
            .await?;
        visible.add(shown.duration_since(answered));
    }
    seen.until("the end", |status| status.phase.is_terminal()).await?;
    Ok(visible)
}

/// Cancellations of runs whose call is in flight.
#[derive(Default)]
pub(super) struct Cancels {
    /// From the annotation until the condition Cancelling is visible.
    pub(super) cancelling: Figures,
    /// From the last answer until the phase Cancelled is visible.
    pub(super) cancelled: Figures,
}

/// Runs of one call each, cancelled while it is in flight.
pub(super) async fn cancels(t: &TestNamespace) -> anyhow::Result<Cancels> {
    let path = "/short";
    t.stand_in.script(path, [Answer::ok().held()]);
    apply_plan(t, "short", &[t.stand_in.url(path)]).await?;
    looked_at(t, "short").await?;
    let executions: Api<DRPlanExecution> = t.api();
    let mut cancels = Cancels::default();
    for number in 0..RUNS {
        let name = format!("short-{number}");
        execute(t, &name, "short").await?;
        t.stand_in.wait_for(path, number + 1).await?;
        let mut seen = Seen::start(t.api(), &name);
        seen.until("it runs", |status| phase(status, 0) == Some(StepPhase::Running))
            .await?;
        // A watch keeps its connection to itself. Whatever is measured begins with one that is open.
        executions.get(&name).await?;
        sleep(REST).await;
        let annotated = Instant::now();
        let wish = json!({"metadata": {"annotations": {labels::CANCEL: "true"}}});
        executions
            .patch(&name, &PatchParams::default(), &Patch::Merge(wish))
            .await?;
        let is_cancelling =
            |condition: &Condition| condition.kind == "Cancelling" && condition.status == "True";
        let visible = seen
            .until("Cancelling", |status| status.conditions.iter().any(is_cancelling))
            .await?;
        cancels.cancelling.add(visible.duration_since(annotated));

        sleep(REST).await;
        let answered = Instant::now();
        t.stand_in.release(path);
        let ended = seen.until("the end", |status| status.phase.is_terminal()).await?;
        cancels.cancelled.add(ended.duration_since(answered));
        released(t, "short").await?;
    }
    Ok(cancels)
}
