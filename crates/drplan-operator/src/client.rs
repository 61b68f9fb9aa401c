//! The client of the operator's own identity.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use http::{HeaderValue, header::USER_AGENT};
use hyper::body::Bytes;
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
    config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use tower::{BoxError, Service, timeout::TimeoutLayer};

use crate::contact::Contact;

/// A connection within a cluster takes milliseconds; one that is lost in a partition must not hold up what waits for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a write to a connection may make no progress. No request is large enough to take that long.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take to begin, that of a watch as well: longer than anybody here waits for one answer. A list
/// or watch whose answer was lost would wait for ever, and the operator with it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Whom the audit log of the API server names.
const AGENT: &str = concat!("drplan-operator/", env!("CARGO_PKG_VERSION"));

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file of `--kubeconfig` cannot be read or used.
    #[error("failed to use the kubeconfig `{}`", path.display())]
    UseKubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<KubeconfigError>,
    },
    /// Neither `KUBECONFIG` (or `~/.kube/config`) nor a Pod's service account.
    #[error("found no way to the API server: give --kubeconfig, set KUBECONFIG, or run in a Pod")]
    FindConfig {
        /// What is missing in both.
        source: Box<InferConfigError>,
    },
    /// Certificates or credentials that cannot be used.
    #[error("failed to make a client for `{url}`")]
    BuildClient {
        /// The API server.
        url: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

/// A client for the API server of the file `kubeconfig`, else of `KUBECONFIG` or `~/.kube/config`, else of the cluster
/// that this Pod runs in. Every answer it gets is noted in `contact`. No connection is made yet.
///
/// # Guarantees
/// It never repeats a request by itself: only its caller knows whether a request may be repeated, and for how long.
/// An answer that does not begin within 30 s is given up. What follows has no time limit, since watches are reads without
/// end; whoever asks for one answer sets a limit of its own.
///
/// # Errors
/// A configuration that is missing or cannot be used.
pub async fn connect(kubeconfig: Option<&Path>, contact: &Contact) -> Result<Client, Error> {
    let mut config = configuration(kubeconfig).await?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.write_timeout = Some(WRITE_TIMEOUT);
    config.read_timeout = None;
    config.default_retry = false;
    if config.proxy_url.as_ref().is_some_and(is_of_environment) {
        config.proxy_url = None;
    }
    config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
    let url = config.cluster_url.to_string();
    let builder = drplan_connect::builder(config).map_err(|source| Error::BuildClient {
        url,
        source: Box::new(source),
    })?;
    Ok(client(builder, contact))
}

/// The client of `builder`, which notes every answer in `contact`, and gives a request up whose answer does not begin.
pub fn client<S, B>(builder: ClientBuilder<S>, contact: &Contact) -> Client
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let bounded = builder.with_layer(&TimeoutLayer::new(ANSWER_TIMEOUT));
    bounded.with_layer(&contact.layer()).build()
}

/// Whether this proxy is the environment's, which kube takes where the kubeconfig names none. The API server is reached
/// directly, and variables for other programs of a container do not change that.
fn is_of_environment(proxy: &http::Uri) -> bool {
    ["HTTPS_PROXY", "https_proxy"]
        .iter()
        .filter_map(|name| std::env::var(name).ok()?.parse::<http::Uri>().ok())
        .any(|of_environment| of_environment == *proxy)
}

async fn configuration(kubeconfig: Option<&Path>) -> Result<Config, Error> {
    let Some(path) = kubeconfig else {
        return Config::infer().await.map_err(|source| Error::FindConfig {
            source: Box::new(source),
        });
    };
    let failed = |source| Error::UseKubeconfig {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_kubeconfig_that_is_missing_is_named() {
        let path = Path::new("/nowhere/kubeconfig");
        let error = connect(Some(path), &Contact::new(Duration::from_secs(1)))
            .await
            .err()
            .expect("it is missing");
        assert_eq!(
            error.to_string(),
            "failed to use the kubeconfig `/nowhere/kubeconfig`"
        );
    }
}
