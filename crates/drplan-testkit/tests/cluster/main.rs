//! Proves the test kit on the real control plane. One binary, so that its tests share one.

mod audit;
mod binaries;
mod control_plane;
mod etcd;
mod faults;
mod jobs;
mod leftovers;
mod namespace;
mod operator;
mod processes;
mod proxy;
mod stand_in;
mod toys;

use drplan_testkit::{ControlPlane, Options};

/// The control plane that these tests share.
async fn shared() -> anyhow::Result<ControlPlane> {
    ControlPlane::shared_with(async || Ok(Options::default().with_crds([toys::CRDS.into()]))).await
}
