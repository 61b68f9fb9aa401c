//! A restart among thousands of finished executions.

use std::time::Duration;

use drplan_api::DRPlanExecution;
use futures::{TryStreamExt, stream};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::bench::objects::{apply_plan, ended, execute, looked_at, object, released};
use crate::bench::process::{Usage, usage};
use crate::bench::site::Site;
use crate::namespace::TestNamespace;
use crate::stand_in::Answer;

/// Finished executions.
pub(super) const STORED: usize = 5_000;
/// Requests of the benchmark's own under way at once while it sets up.
const SETTING_UP: usize = 32;

/// A restart.
#[derive(Debug)]
pub(super) struct Restart {
    /// From the start of the process until the call that was cut off arrives again.
    pub(super) goes_on: Duration,
    /// What the process uses once it has been through all.
    pub(super) usage: Usage,
}

/// Kills the operator while a call is in flight, stores 5,000 finished executions of 20 actions each, and starts another.
pub(super) async fn restart(t: &TestNamespace) -> anyhow::Result<Restart> {
    let operator = t.start_privileged().await?;
    let site = Site::start(Duration::ZERO).await?;
    let urls: Vec<String> = (0..20).map(|action| site.url(&format!("/{action}"))).collect();
    apply_plan(t, "done", &urls).await?;
    looked_at(t, "done").await?;
    execute(t, "done", "done").await?;
    ended(t, "done").await?;
    let done: Value = serde_json::to_value(t.api::<DRPlanExecution>().get("done").await?)?;

    t.stand_in.script("/held", [Answer::ok().held(), Answer::ok()]);
    apply_plan(t, "held", &[t.stand_in.url("/held")]).await?;
    looked_at(t, "held").await?;
    execute(t, "held", "held").await?;
    t.stand_in.wait_for("/held", 1).await?;
    operator.kill9().await?;
    stream::iter((0..STORED).map(anyhow::Ok))
        .try_for_each_concurrent(SETTING_UP, async |number| store(t, number, &done).await)
        .await?;

    let begun = Instant::now();
    let successor = t.launch_operator(t.privileged_launch()?).await?;
    t.stand_in.wait_for("/held", 2).await?;
    let goes_on = begun.elapsed();
    successor.ready().await?;
    released(t, "held").await?;
    Ok(Restart {
        goes_on,
        usage: usage(successor.pid()?)?,
    })
}

/// An execution that ended as `done` did.
async fn store(t: &TestNamespace, number: usize, done: &Value) -> anyhow::Result<()> {
    let executions = t.api::<DRPlanExecution>();
    let name = format!("stored-{number}");
    let mut execution: DRPlanExecution = object(&name, done["spec"].clone())?;
    execution.metadata.labels = serde_json::from_value(done["metadata"]["labels"].clone())?;
    executions.create(&PostParams::default(), &execution).await?;
    let status = Patch::Merge(json!({"status": done["status"]}));
    executions
        .patch_status(&name, &PatchParams::default(), &status)
        .await?;
    Ok(())
}
