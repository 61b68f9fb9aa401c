//! Faults of the control plane, of the line to it and of what stands around it, and what a person sees of each.
//!
//! `recovery_contact.rs` has an API server that hangs for some ten seconds or is killed, and one that is silent for
//! longer than the partition timeout; `e2e_edits.rs` somebody who edits one object in a loop.

mod codes;
mod commands;
mod compaction;
mod foreign;
mod kinds;
mod line;
mod peers;
mod quota;
mod silence;
mod storm;
mod webhooks;

use drplan_testkit::{ControlPlane, TestNamespace};

use crate::fixtures::events;
use crate::options;

/// On a control plane of their own, since these reach every namespace.
#[tokio::test]
async fn a_pause_of_etcd_a_compaction_and_the_loss_of_the_kinds_are_outlived() -> anyhow::Result<()> {
    let control_plane = ControlPlane::start(options().await?).await?;
    control_plane
        .with_namespace("faults-etcd", silence::etcd_pauses)
        .await?;
    control_plane
        .with_namespace("faults-compaction", compaction::watches_are_too_old)
        .await?;
    control_plane
        .with_namespace("faults-kinds", kinds::go_and_come_back)
        .await
}

/// Checks that all requests to this path came under one key, and how many there were.
fn assert_received(t: &TestNamespace, path: &str, count: usize) {
    let counts = t.stand_in.count_by_key(path);
    assert_eq!(
        counts.values().copied().collect::<Vec<_>>(),
        [count],
        "{path}: {counts:?}"
    );
}

/// Checks that nobody was told of any of these about the execution.
async fn assert_not_told(t: &TestNamespace, name: &str, reasons: &[&str]) -> anyhow::Result<()> {
    let told = events(t, name).await?;
    let found = told.iter().find(|event| {
        let reason = event.split_once(':').map_or("", |(reason, _)| reason);
        reasons.contains(&reason)
    });
    assert_eq!(found, None, "{name}: {told:?}");
    Ok(())
}
