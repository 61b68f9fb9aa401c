//! The site that actions call: it answers at once and notes when it was asked.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// A server on 127.0.0.1 for thousands of calls a second, which the recording stand-in is not made for.
pub(super) struct Site {
    address: SocketAddr,
    calls: Arc<Calls>,
    server: tokio::task::AbortHandle,
}

#[derive(Default)]
struct Calls {
    /// When each path was asked for, first to last.
    arrivals: Mutex<HashMap<String, Vec<Instant>>>,
    count: watch::Sender<usize>,
}

impl Site {
    /// Starts one whose answers take `delay`.
    pub(super) async fn start(delay: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let calls = Arc::<Calls>::default();
        let served = Arc::clone(&calls);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let calls = Arc::clone(&served);
                let answer = service_fn(move |request: Request<Incoming>| {
                    let calls = Arc::clone(&calls);
                    async move {
                        calls.note(request.uri().path());
                        // The connection goes on only once the request has been read.
                        drop(request.into_body().collect().await);
                        if !delay.is_zero() {
                            sleep(delay).await;
                        }
                        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Ok(Self {
            address,
            calls,
            server: server.abort_handle(),
        })
    }

    /// The URL of `path`.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// When `path` was asked for first.
    pub(super) fn first(&self, path: &str) -> Option<Instant> {
        self.calls.arrivals().get(path)?.first().copied()
    }

    /// Waits until `count` calls have come since the start.
    pub(super) async fn until(&self, count: usize) {
        // The sender is held here, so the channel stays open.
        drop(
            self.calls
                .count
                .subscribe()
                .wait_for(|calls| *calls >= count)
                .await,
        );
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Calls {
    fn arrivals(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Instant>>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, path: &str) {
        let now = Instant::now();
        self.arrivals().entry(path.to_owned()).or_default().push(now);
        self.count.send_modify(|count| *count += 1);
    }
}
