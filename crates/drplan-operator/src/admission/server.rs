//! Serves HTTPS to the API server.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::serving::Serving;

/// Connections at once. An API server keeps a few; a control plane has a few API servers.
const CONNECTIONS_AT_ONCE: usize = 256;
/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may be idle. API servers close theirs after 90 s, so none is closed under a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// The pause after the machine could not accept a connection, for want of files or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long requests in flight are awaited at the end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on `{address}` for webhooks (--webhook-bind)")]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

/// Listens on `address`.
///
/// # Errors
/// When the address is taken or not the machine's.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| BindError { address, source })
}

/// Serves `router` with the certificate of `serving` until `stop`, then ends what is in flight.
pub async fn serve(listener: TcpListener, router: Router, serving: Arc<Serving>, stop: CancellationToken) {
    let acceptor = TlsAcceptor::from(Arc::new(tls(serving)));
    let places = Arc::new(Semaphore::new(CONNECTIONS_AT_ONCE));
    let connections = TaskTracker::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // What is written is an answer, which nothing follows that it could wait for.
                let _: io::Result<()> = stream.set_nodelay(true);
                let (acceptor, router, stop) = (acceptor.clone(), router.clone(), stop.clone());
                connections.spawn(async move {
                    let _place = place;
                    serve_one(stream, acceptor, router, stop).await;
                });
            }
            Err(error) => {
                tracing::warn!(error = %error, "a connection to the webhooks could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.close();
    let _: Result<(), _> = timeout(DRAIN_TIMEOUT, connections.wait()).await;
}

async fn serve_one(stream: TcpStream, acceptor: TlsAcceptor, router: Router, stop: CancellationToken) {
    let stream = match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(error = %error, "a handshake with the webhooks failed");
            return;
        }
        Err(_) => return,
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection to the webhooks ended");
    }
}

/// TLS 1.2 or later.
fn tls(serving: Arc<Serving>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has a cipher suite for each of them")
        .with_no_client_auth()
        .with_cert_resolver(serving);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}
