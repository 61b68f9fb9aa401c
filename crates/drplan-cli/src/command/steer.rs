//! `cancel` and `resume`: commands to a run, given as annotations.

use anyhow::{Context, bail};
use drplan_api::labels;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{
    cluster::{Cluster, answer},
    exit::Exit,
    screen,
    view::{Phase, RunView},
    watch,
};

/// Asks for the cancellation of execution `name`.
pub(super) async fn cancel(cluster: &Cluster, name: &str, now: bool, wait: bool) -> anyhow::Result<Exit> {
    let run = RunView::read(&cluster.execution(name).await?);
    if run.phase == Phase::Cancelled {
        screen::tell(&format!("{name} is Cancelled already"));
        return Ok(Exit::Done);
    }
    if run.phase.is_terminal() {
        bail!(
            "{name} has {} already; there is nothing to cancel",
            run.phase.as_str()
        );
    }
    annotate(cluster, &run, labels::CANCEL, if now { "now" } else { "true" }).await?;
    let what = if now {
        "nothing new begins, and nothing is waited for"
    } else {
        "nothing new begins; what runs is waited for (cancel --now does not wait)"
    };
    told(cluster, name, &format!("cancelling {name}: {what}"), wait).await
}

/// Lets execution `name` go on.
pub(super) async fn resume(cluster: &Cluster, name: &str, wait: bool) -> anyhow::Result<Exit> {
    let run = RunView::read(&cluster.execution(name).await?);
    if run.phase != Phase::Unknown {
        bail!(
            "{name} is {}; only an execution that is Unknown can be resumed",
            run.phase.as_str()
        );
    }
    annotate(cluster, &run, labels::RESUME, "true").await?;
    told(cluster, name, &format!("resuming {name}"), wait).await
}

async fn annotate(cluster: &Cluster, run: &RunView, annotation: &str, value: &str) -> anyhow::Result<()> {
    // The UID keeps the command from another execution that has taken the name meanwhile.
    let patch = json!({"metadata": {"uid": run.uid, "annotations": {annotation: value}}});
    let executions = cluster.executions();
    let params = PatchParams::default();
    let patch = Patch::Merge(patch);
    answer(executions.patch(&run.name, &params, &patch))
        .await
        .map(drop)
        .with_context(|| format!("failed to annotate execution `{}`", run.name))
}

async fn told(cluster: &Cluster, name: &str, what: &str, wait: bool) -> anyhow::Result<Exit> {
    screen::tell(what);
    if wait {
        return watch::watch(cluster, name).await;
    }
    screen::tell(&format!("watch: kubectl drplan watch {name}{}", cluster.flags));
    Ok(Exit::Done)
}
