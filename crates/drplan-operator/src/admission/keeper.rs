//! Keeps the webhooks reachable: the certificate that is served, and what is registered of them.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    certificate::{Certificate, files, secret::CertificateSecret},
    registration::Registration,
    serving::Serving,
};
use crate::{health::Readiness, metrics::WebhookMetrics, store::chain};

/// Between two looks at certificate and registration. So long somebody's change of them lasts.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Until the caches are warm.
const LOOK_SOON: Duration = Duration::from_millis(200);
/// How long API servers have to hear of a new authority before a certificate of it is served.
const HEARD_AFTER: Duration = Duration::from_secs(30);

/// Where the certificate comes from.
pub enum Source {
    /// The operator makes it.
    Secret(CertificateSecret),
    /// Somebody else does.
    Files(PathBuf),
}

/// See the module.
pub struct Keeper {
    source: Source,
    serving: Arc<Serving>,
    registration: Registration,
    readiness: Readiness,
    /// Of the certificates that the operator makes.
    lifetime: Duration,
    metrics: WebhookMetrics,
    served: Option<Certificate>,
    /// The fingerprint of a newer certificate, and since when its authority is registered.
    registered: Option<(String, Instant)>,
    /// What was last complained about; it is told once.
    complaint: String,
}

impl Keeper {
    /// Serves by `serving` what `source` has, and registers it once `readiness` says so.
    pub fn new(
        source: Source,
        serving: Arc<Serving>,
        registration: Registration,
        readiness: Readiness,
        lifetime: Duration,
        metrics: WebhookMetrics,
    ) -> Self {
        Self {
            source,
            serving,
            registration,
            readiness,
            lifetime,
            metrics,
            served: None,
            registered: None,
            complaint: String::new(),
        }
    }

    /// Looks again and again, until dropped.
    pub async fn keep(mut self) {
        loop {
            let complaint = self.look().await.err().unwrap_or_default();
            if complaint != self.complaint {
                if complaint.is_empty() {
                    tracing::info!("certificate and registration of the webhooks are well again");
                } else {
                    tracing::warn!(
                        "the webhooks are not as they should be, which is tried again: {complaint}"
                    );
                }
                self.complaint = complaint;
            }
            let pause = match self.readiness.is_ready() {
                true => LOOK_EVERY.min(self.lifetime / 15),
                false => LOOK_SOON,
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One look; what went wrong, as a text.
    async fn look(&mut self) -> Result<(), String> {
        let newest = self.newest().await?;
        if self.served.is_none() {
            self.serve(newest.clone());
        }
        if !self.readiness.is_ready() {
            return Ok(());
        }
        let healed = self.registration.heal(newest.bundle.as_deref()).await;
        if healed.map_err(|error| format!("failed to register the webhooks: {error}"))? {
            tracing::info!("the webhooks are registered");
        }
        if self
            .served
            .as_ref()
            .is_some_and(|served| served.fingerprint != newest.fingerprint)
            && self.is_heard_of(&newest)
        {
            self.serve(newest);
        }
        Ok(())
    }

    async fn newest(&self) -> Result<Certificate, String> {
        match &self.source {
            Source::Secret(secret) => {
                let served = self.served.as_ref().and_then(|served| served.bundle.as_deref());
                secret.certificate(served).await.map_err(|error| chain(&error))
            }
            Source::Files(directory) => files::read(directory).await.map_err(|error| chain(&error)),
        }
    }

    /// Whether API servers have had time to hear of the authority of `newest`, whose registration stands.
    fn is_heard_of(&mut self, newest: &Certificate) -> bool {
        let now = Instant::now();
        let since = match &self.registered {
            Some((fingerprint, since)) if *fingerprint == newest.fingerprint => *since,
            Some(_) | None => {
                self.registered = Some((newest.fingerprint.clone(), now));
                now
            }
        };
        now - since >= HEARD_AFTER.min(self.lifetime / 10)
    }

    fn serve(&mut self, certificate: Certificate) {
        if self.served.is_some() {
            tracing::info!("the webhooks serve with another certificate");
        }
        self.serving.set(Arc::clone(&certificate.key));
        self.metrics.certificate_served(certificate.end);
        self.served = Some(certificate);
        self.registered = None;
    }
}
