//! Stands for election: takes the lease when it is free, renews it, gives it back.

use std::{pin::pin, time::Duration};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client,
    api::PostParams,
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{
    Leadership,
    ballot::{Ballot, JITTER, Timing, Turn, transitions},
};
use crate::{clock, store::StoreError};

/// How long giving the lease back may take. Without it the others wait until it runs out.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the lease is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A process that stands for election.
pub struct Candidate {
    leases: Api<Lease>,
    name: LeaseName,
    ballot: Ballot,
    timing: Timing,
    leadership: Leadership,
    /// When its term ends, unless it is renewed.
    term_end: Option<Instant>,
}

impl Candidate {
    /// One that tells `leadership` how the election stands. `instance` is the name of the Pod, for whoever looks at the
    /// lease.
    pub fn new(
        client: Client,
        name: LeaseName,
        instance: &str,
        timing: Timing,
        leadership: Leadership,
    ) -> Self {
        Self {
            leases: Api::namespaced(client, &name.namespace),
            ballot: Ballot::new(format!("{instance}_{}", leadership.process())),
            name,
            timing,
            leadership,
            term_end: None,
        }
    }

    /// Takes the lease whenever it is free, until `resign`; then gives it back.
    ///
    /// # Guarantees
    /// A term ends by this process's own monotonic clock before anybody else may take the lease by theirs: it is counted
    /// from before the request that renewed the lease was sent.
    pub async fn stand(mut self, resign: CancellationToken) {
        // Tells at once that the lease was given back. Without the right to watch, the tries alone find it.
        let changes = watcher::watch_object(self.leases.clone(), &self.name.name).default_backoff();
        let mut changes = pin!(changes.filter_map(|change| async { change.ok() }));
        let mut due = Instant::now();
        loop {
            let term_end = self.term_end;
            let ends = async {
                match term_end {
                    Some(end) => sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = resign.cancelled() => break,
                () = ends => self.lose("it could not be renewed in time"),
                () = sleep_until(due) => due = Instant::now() + self.try_once().await,
                Some(lease) = changes.next(), if term_end.is_none() => {
                    let holder = lease.and_then(|lease| lease.spec?.holder_identity);
                    if holder.is_none_or(|holder| holder.is_empty()) {
                        due = Instant::now();
                    }
                }
            }
        }
        if tokio::time::timeout(RELEASE_TIMEOUT, self.release())
            .await
            .is_err()
        {
            tracing::warn!("the lease could not be given back; it runs out by itself");
        }
    }

    /// Takes or renews the lease if that may be. Returns the wait before the next try.
    async fn try_once(&mut self) -> Duration {
        let asked = Instant::now();
        let limit = asked + self.timing.renew_deadline / 2;
        let limit = self.term_end.map_or(limit, |end| end.min(limit));
        let answer = timeout_at(limit, self.ask(asked)).await;
        match answer {
            Ok(Ok(Some(transitions))) => {
                let end = asked + self.timing.renew_deadline;
                if self.term_end.replace(end).is_none() {
                    tracing::info!(
                        namespace = self.name.namespace,
                        lease = self.name.name,
                        lease_transitions = transitions,
                        "this process leads"
                    );
                }
                self.leadership.lead(transitions, end);
            }
            Ok(Ok(None)) => self.lose("another process has it"),
            Ok(Err(StoreError::Conflict)) => {}
            Ok(Err(error)) => self.warn(&error.to_string()),
            Err(_) => self.warn("the API server did not answer in time"),
        }
        match self.term_end {
            Some(_) => self.timing.retry_period,
            None => self.timing.retry_period.mul_f64(self.jitter()),
        }
    }

    /// The transitions of the lease if it is this process's now; none if it is somebody else's.
    async fn ask(&mut self, now: Instant) -> Result<Option<u64>, StoreError> {
        let refused = |error| StoreError::of(&error);
        let found = self.leases.get_opt(&self.name.name).await.map_err(refused)?;
        let counts = self.leadership.counts();
        let turn = self
            .ballot
            .turn(found.as_ref(), counts, &self.timing, now, wall());
        let Turn::Write(spec) = turn else {
            return Ok(None);
        };
        let written = self.write(found, *spec).await.map_err(refused)?;
        Ok(Some(written.spec.as_ref().map_or(0, transitions)))
    }

    async fn write(&self, found: Option<Lease>, spec: LeaseSpec) -> kube::Result<Lease> {
        let post = PostParams::default();
        match found {
            None => {
                let lease = Lease {
                    metadata: ObjectMeta {
                        name: Some(self.name.name.clone()),
                        ..ObjectMeta::default()
                    },
                    spec: Some(spec),
                };
                self.leases.create(&post, &lease).await
            }
            Some(found) => {
                let lease = Lease {
                    spec: Some(spec),
                    ..found
                };
                // The version that was read is in it, so whoever was faster wins.
                self.leases.replace(&self.name.name, &post, &lease).await
            }
        }
    }

    async fn release(&mut self) {
        self.term_end = None;
        if !self.leadership.follow() {
            return;
        }
        let released = async {
            let Some(found) = self.leases.get_opt(&self.name.name).await? else {
                return Ok(());
            };
            let spec = found.spec.clone().unwrap_or_default();
            match self.ballot.released(&spec, wall()) {
                Some(spec) => self.write(Some(found), spec).await.map(drop),
                None => Ok(()),
            }
        };
        match released.await {
            Ok(()) => tracing::info!("the lease is given back"),
            Err(error) => self.warn(&StoreError::of(&error).to_string()),
        }
    }

    fn lose(&mut self, why: &str) {
        self.term_end = None;
        if self.leadership.follow() {
            tracing::warn!(
                namespace = self.name.namespace,
                lease = self.name.name,
                "this process leads no longer: {why}; nothing new begins, results are kept"
            );
        }
    }

    fn warn(&self, error: &str) {
        tracing::warn!(
            namespace = self.name.namespace,
            lease = self.name.name,
            error,
            "the lease cannot be taken or renewed; it is tried again"
        );
    }

    /// Between 1 and [`JITTER`], and each process's own, so that not all try at once.
    fn jitter(&self) -> f64 {
        let digits: u32 = self.leadership.process().bytes().map(u32::from).sum();
        1.0 + (JITTER - 1.0) * f64::from(digits % 100) / 100.0
    }
}

fn wall() -> MicroTime {
    MicroTime(Timestamp::from_millisecond(clock::now().as_millis()).unwrap_or_default())
}
