//! That each effect of a run happened once, by those who saw it.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, ResourceExt};

use super::shop::{Run, SHOP};
use super::{Trial, seen};
use crate::stand_in::{Outcome, Recorded};
use drplan_api::labels;

/// The calls of a run.
const CALLS: [&str; 4] = [
    "notify-start/notification-workflow[0]/send-notification",
    "infrastructure/mysql-failover[0]/switch-mysql",
    "infrastructure/mysql-failover[1]/switch-mysql",
    "notify-complete/notification-workflow[0]/send-notification",
];
/// Those that a Revert undoes.
const UNDONE: [&str; 2] = [CALLS[1], CALLS[2]];
/// How often the plan uses the workflow that makes a Job, a Localization and a Subscription.
const SERVICES: usize = 6;

impl Trial<'_> {
    /// That every call of the run took effect once and every object was made once; only the calls of the actions
    /// `repeated` may have arrived again, under their keys.
    pub(super) async fn once(&self, run: &Run, repeated: &[&str]) -> anyhow::Result<()> {
        let keys = CALLS.map(|path| format!("{}/{path}", run.uid));
        self.each_key_once(&run.uid, false, &keys, repeated)?;
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), SHOP);
        let of_run = ListParams::default().labels(&format!("{}={}", labels::EXECUTION, run.name));
        let jobs = jobs.list(&of_run).await?.items;
        ensure!(jobs.len() == SERVICES, "the run has {} Jobs", jobs.len());
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), SHOP);
        for job in &jobs {
            let of_job = ListParams::default().labels(&format!("job-name={}", job.name_any()));
            let pods = pods.list(&of_job).await?.items;
            ensure!(
                pods.len() == 1,
                "the Job {} has {} Pods",
                job.name_any(),
                pods.len()
            );
        }
        for kind in ["Localization", "Subscription"] {
            let made = self.made(kind, run).await?;
            ensure!(made == SERVICES, "the run has made {made} {kind}s");
        }
        seen(format!(
            "{} keys took effect once each; {SERVICES} Jobs of one Pod each, {SERVICES} Localizations, {SERVICES} Subscriptions",
            keys.len()
        ));
        Ok(())
    }

    /// That the Revert undid every call of the run once, and its objects are gone.
    pub(super) async fn undone_once(&self, run: &Run, repeated: &[&str]) -> anyhow::Result<()> {
        let keys = UNDONE.map(|path| format!("{}/{path}/undo", run.uid));
        self.each_key_once(&run.uid, true, &keys, repeated)?;
        for kind in ["Localization", "Subscription", "Job"] {
            let left = self.made(kind, run).await?;
            ensure!(left == 0, "{left} {kind}s of {} are left", run.name);
        }
        seen(format!(
            "{} keys of undos took effect once each; the run's objects are gone",
            keys.len()
        ));
        Ok(())
    }

    fn each_key_once(
        &self,
        uid: &str,
        undos: bool,
        wanted: &[String],
        repeated: &[&str],
    ) -> anyhow::Result<()> {
        let mut calls: BTreeMap<String, Vec<Recorded>> = BTreeMap::new();
        for call in [self.databases.all(), self.on_call.all()].concat() {
            let key = call.idempotency_key().context("a call has no key")?.to_owned();
            if key.starts_with(uid) && key.ends_with("/undo") == undos {
                calls.entry(key).or_default().push(call);
            }
        }
        let mut wanted = wanted.to_vec();
        wanted.sort();
        let found: Vec<&String> = calls.keys().collect();
        ensure!(
            found.iter().copied().eq(&wanted),
            "the keys of the calls are {found:?}"
        );
        for (key, calls) in &calls {
            let effects = calls.iter().filter(|call| !call.is_repeat).count();
            let outcomes: Vec<Outcome> = calls.iter().map(|call| call.outcome).collect();
            let may_repeat = repeated.iter().any(|path| key.ends_with(path));
            ensure!(
                effects == 1
                    && (calls.len() == 1 || may_repeat)
                    && outcomes.last() == Some(&Outcome::Answered),
                "the call {key} arrived {} times and took effect {effects} times: {outcomes:?}",
                calls.len()
            );
            if calls.len() > 1 {
                seen(format!(
                    "{key} arrived {} times, and took effect once",
                    calls.len()
                ));
            }
        }
        Ok(())
    }

    /// How many objects of the kind the run has made.
    async fn made(&self, kind: &str, run: &Run) -> anyhow::Result<usize> {
        let gvk = match kind {
            "Job" => GroupVersionKind::gvk("batch", "v1", kind),
            _ => GroupVersionKind::gvk("apps.clusternet.io", "v1alpha1", kind),
        };
        let objects: Api<DynamicObject> = Api::all_with(self.client.clone(), &ApiResource::from_gvk(&gvk));
        let of_run = ListParams::default().labels(&format!("{}={}", labels::EXECUTION, run.name));
        Ok(objects.list(&of_run).await?.items.len())
    }
}
