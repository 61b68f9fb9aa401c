//! Admission: judges what is written before it is stored, and stamps who asked for it.
//!
//! The API server sends each creation, change and deletion of our three kinds to [`review`]. [`judge`] asks the functions
//! that the controllers ask; [`stamp`] writes who it was. [`keeper`] keeps a certificate served and the webhooks
//! registered. While nothing answers, [`policy`] still keeps stamps honest, and the controllers hold every rule but those
//! about deletions.

pub mod answer;
pub mod certificate;
pub mod flags;
pub mod judge;
pub mod keeper;
pub mod policy;
pub mod registration;
pub mod review;
pub mod server;
pub mod serving;
pub mod stamp;

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    certificate::secret::CertificateSecret,
    flags::{SecretName, ServiceAddress, WebhookFlags, WebhookUrl},
    keeper::{Keeper, Source},
    registration::Registration,
    serving::Serving,
};
use crate::{context::Context, health::Readiness};

/// How the API server reaches the webhooks.
#[derive(Clone, Debug)]
pub enum Reached {
    /// At a URL.
    Url(WebhookUrl),
    /// Through a Service.
    Service(ServiceAddress),
}

impl Reached {
    fn of(flags: &WebhookFlags, own_namespace: &str) -> Self {
        match (&flags.url, &flags.service) {
            (Some(url), _) => Self::Url(url.clone()),
            (None, Some(service)) => Self::Service(service.clone()),
            (None, None) => Self::Service(ServiceAddress::of_namespace(own_namespace)),
        }
    }

    /// What a certificate must be for.
    fn names(&self) -> Vec<String> {
        match self {
            Self::Url(url) => vec![url.host.clone()],
            Self::Service(ServiceAddress { namespace, name, .. }) => {
                vec![
                    format!("{name}.{namespace}.svc"),
                    format!("{name}.{namespace}.svc.cluster.local"),
                ]
            }
        }
    }

    /// A `clientConfig` for `path`, without what to trust.
    fn client_config(&self, path: &str) -> Value {
        match self {
            Self::Url(url) => json!({"url": format!("{}{path}", url.base)}),
            Self::Service(ServiceAddress {
                namespace,
                name,
                port,
            }) => {
                json!({"service": {"namespace": namespace, "name": name, "port": port, "path": path}})
            }
        }
    }
}

/// Serves and registers the webhooks beside everything else.
#[derive(Debug)]
pub struct Admission {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Admission {
    /// Starts on `listener`. It is registered once `readiness` says so.
    pub fn start(
        listener: TcpListener,
        flags: &WebhookFlags,
        context: &Arc<Context>,
        readiness: Readiness,
    ) -> Self {
        let client = context.client.clone();
        let own_namespace = client.default_namespace().to_owned();
        let reached = Reached::of(flags, &own_namespace);
        let lifetime = Duration::from_millis(flags.cert_lifetime.as_millis());
        let source = match &flags.cert_dir {
            Some(directory) => Source::Files(directory.clone()),
            None => {
                let secret = flags.secret.clone().unwrap_or_else(|| {
                    SecretName::of_namespace(match &reached {
                        Reached::Service(service) => &service.namespace,
                        Reached::Url(_) => &own_namespace,
                    })
                });
                Source::Secret(CertificateSecret::new(
                    client.clone(),
                    secret,
                    reached.names(),
                    lifetime,
                ))
            }
        };
        let serving = Arc::new(Serving::default());
        let registration =
            Registration::new(client, reached, &context.settings.namespaces, flags.owner.clone());
        context.metrics.webhooks.begin_at_zero();
        let metrics = context.metrics.webhooks.clone();
        let keeper = Keeper::new(
            source,
            Arc::clone(&serving),
            registration,
            readiness,
            lifetime,
            metrics,
        );
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn({
            let stop = stop.clone();
            async move { stop.run_until_cancelled(keeper.keep()).await }
        });
        let router = review::router(Arc::clone(context));
        tasks.spawn(server::serve(listener, router, serving, stop.clone()));
        tasks.close();
        Self { stop, tasks }
    }

    /// Answers what is in flight, and ends.
    pub async fn end(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}
