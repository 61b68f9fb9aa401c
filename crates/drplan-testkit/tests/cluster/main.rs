//! Proves the test kit and the operator on the real control plane. One binary, so that its tests share one.

mod audit;
mod binaries;
mod chart;
mod control_plane;
mod e2e_admission;
mod e2e_attacks;
mod e2e_attempts;
mod e2e_cancel;
mod e2e_course;
mod e2e_deletion;
mod e2e_edits;
mod e2e_egress;
mod e2e_examples;
mod e2e_guide;
mod e2e_identity;
mod e2e_kubectl;
mod e2e_left_behind;
mod e2e_lock;
mod e2e_logs;
mod e2e_metrics;
mod e2e_missed;
mod e2e_missing;
mod e2e_namespaces;
mod e2e_object_states;
mod e2e_objects;
mod e2e_places;
mod e2e_rbac;
mod e2e_repeated;
mod e2e_revert;
mod e2e_secrets;
mod e2e_sizes;
mod e2e_spellings;
mod e2e_trigger;
mod e2e_unreadable;
mod e2e_writes;
mod etcd;
mod faults;
mod fixtures;
mod guide;
mod hub;
mod jobs;
mod leaks;
mod leftovers;
mod namespace;
mod operator;
mod processes;
mod proxy;
mod recovery_claim;
mod recovery_contact;
mod recovery_ecommerce;
mod recovery_faults;
mod recovery_format;
mod recovery_interrupted;
mod recovery_jobs;
mod recovery_kill;
mod recovery_lease;
mod recovery_record;
mod recovery_restart;
mod recovery_restore;
mod recovery_start;
mod recovery_trigger;
mod recovery_undo;
mod rights;
mod stand_in;
mod toys;

use drplan_testkit::{ControlPlane, Options, operator_crds};

/// The control plane that these tests share, with Clusternet's kinds too.
async fn shared() -> anyhow::Result<ControlPlane> {
    ControlPlane::shared_with(async || {
        Ok(options()
            .await?
            .with_crds([drplan_testkit::CLUSTERNET_KINDS.into()]))
    })
    .await
}

/// A control plane with the operator's kinds and toys. Tests that disturb components start one of their own with it.
async fn options() -> anyhow::Result<Options> {
    let mut crds = tokio::task::spawn_blocking(operator_crds).await??;
    crds.push(toys::CRDS.into());
    Ok(Options::default().with_crds(crds))
}
