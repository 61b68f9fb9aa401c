//! The site at the other end of HTTP actions: records what it is asked and answers as told.

mod answer;
mod record;
mod tls;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use futures::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::authority::Credentials;
use crate::background::background;
use crate::eventually::{Seen, eventually};

pub use answer::Answer;
use answer::End;
use record::Ledger;
pub use record::{Outcome, Recorded};

/// An HTTP or HTTPS server, on 127.0.0.1 unless told otherwise. It goes when it is dropped, with its connections.
///
/// Paths without a script answer 200 with an empty body.
#[derive(Debug)]
pub struct HttpStandIn {
    scheme: &'static str,
    address: SocketAddr,
    shared: Shared,
    _stop: DropGuard,
}

/// What the server and its connections share.
#[derive(Debug, Clone)]
struct Shared {
    ledger: Arc<Mutex<Ledger>>,
    /// Counts changes of the ledger.
    changes: watch::Sender<u64>,
}

impl HttpStandIn {
    /// Starts one on a free port.
    ///
    /// # Errors
    ///
    /// When there is no port to listen on.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_as("http", None).await
    }

    /// Starts one on a free port that speaks TLS and shows this certificate.
    ///
    /// # Errors
    ///
    /// When there is no port to listen on, or the certificate cannot be used.
    pub async fn start_secure(credentials: &Credentials) -> anyhow::Result<Self> {
        Self::start_as("https", Some(tls::acceptor(credentials)?)).await
    }

    /// [`Self::start_secure`] at an address of the machine's, not necessarily on loopback.
    ///
    /// # Errors
    ///
    /// When it cannot listen there, or the certificate cannot be used.
    pub async fn start_secure_at(address: SocketAddr, credentials: &Credentials) -> anyhow::Result<Self> {
        Self::start_at(address, "https", Some(tls::acceptor(credentials)?)).await
    }

    async fn start_as(scheme: &'static str, tls: Option<TlsAcceptor>) -> anyhow::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), scheme, tls).await
    }

    async fn start_at(
        address: SocketAddr,
        scheme: &'static str,
        tls: Option<TlsAcceptor>,
    ) -> anyhow::Result<Self> {
        let listener = background().spawn(TcpListener::bind(address)).await?;
        let listener = listener.with_context(|| format!("failed to listen at {address}"))?;
        let address = listener.local_addr()?;
        let shared = Shared {
            ledger: Arc::default(),
            changes: watch::Sender::new(0),
        };
        let stop = CancellationToken::new();
        let (serve, stopped) = (
            serve(listener, tls, shared.clone()),
            stop.clone().cancelled_owned(),
        );
        background().spawn(async move {
            tokio::select! {
                () = stopped => {}
                () = serve => {}
            }
        });
        Ok(Self {
            scheme,
            address,
            shared,
            _stop: stop.drop_guard(),
        })
    }

    /// The URL of the path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests to the path one after another with these answers, and with the last one from then on.
    ///
    /// `path` may begin with a method, as in `POST /switch`; that goes before a script for the path alone.
    pub fn script(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        let answers = answers.into_iter().collect();
        self.shared.change(|ledger| ledger.script(path, answers));
    }

    /// Holds the answer to the next request whose `Idempotency-Key` ends like this, whatever its script says, until it is
    /// [released](Self::release).
    pub fn hold(&self, key_end: &str) {
        self.shared.change(|ledger| ledger.hold(key_end));
    }

    /// Lets go the answers to this path that are held now.
    pub fn release(&self, path: &str) {
        self.shared.change(|ledger| ledger.release(path));
    }

    /// Every request so far, in order of arrival.
    pub fn all(&self) -> Vec<Recorded> {
        self.shared.look(|ledger| ledger.requests.clone())
    }

    /// The requests to this path so far, in order of arrival.
    pub fn requests(&self, path: &str) -> Vec<Recorded> {
        self.all()
            .into_iter()
            .filter(|request| request.path == path)
            .collect()
    }

    /// How often each `Idempotency-Key` has come to this path; requests without one count under the empty key.
    pub fn count_by_key(&self, path: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in self.requests(path) {
            *counts
                .entry(request.idempotency_key().unwrap_or_default().to_owned())
                .or_default() += 1;
        }
        counts
    }

    /// Waits until at least `count` requests to this path have arrived, and returns them.
    ///
    /// # Errors
    ///
    /// At the deadline.
    pub async fn wait_for(&self, path: &str, count: usize) -> anyhow::Result<Vec<Recorded>> {
        self.wait_until(&format!("{count} requests to {path}"), |all| {
            let found: Vec<Recorded> = all
                .iter()
                .filter(|request| request.path == path)
                .cloned()
                .collect();
            (found.len() >= count).then_some(found)
        })
        .await
    }

    /// Waits until `check` returns a value for the requests so far.
    ///
    /// # Errors
    ///
    /// At the deadline: what was awaited, and the paths asked for so far.
    pub async fn wait_until<T>(
        &self,
        what: &str,
        check: impl Fn(&[Recorded]) -> Option<T>,
    ) -> anyhow::Result<T> {
        eventually(what, async || {
            let (value, seen) = self
                .shared
                .look(|ledger| (check(&ledger.requests), paths(&ledger.requests)));
            Ok(Seen::when(value, || format!("{seen:?}")))
        })
        .await
    }
}

fn paths(requests: &[Recorded]) -> Vec<String> {
    requests
        .iter()
        .map(|request| format!("{} {}: {:?}", request.method, request.path, request.outcome))
        .collect()
}

impl Shared {
    fn change<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let result = change(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|changes| *changes += 1);
        result
    }

    fn look<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until requests to the path have been released more often than this.
    async fn released(&self, path: &str, more_than: usize) {
        let mut changes = self.changes.subscribe();
        // The sender lives in `self`, so it cannot be closed.
        let released = |_: &u64| self.look(|ledger| ledger.released(path)) > more_than;
        drop(changes.wait_for(released).await);
    }
}

/// Serves until it is dropped, with all connections.
async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Shared) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve_connection(stream, tls.clone(), shared.clone()))),
                // Out of file descriptors: some will come back.
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Shared) {
    // A second handle of the socket, to say how it is to be closed.
    let Ok(socket) = stream.as_fd().try_clone_to_owned() else {
        return;
    };
    let reset = Arc::new(Mutex::new(Some(socket)));
    match tls {
        None => serve_requests(stream, reset, shared).await,
        Some(tls) => {
            // A handshake that fails is the client's to tell.
            if let Ok(stream) = tls.accept(stream).await {
                serve_requests(stream, reset, shared).await;
            }
        }
    }
}

async fn serve_requests(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    reset: Arc<Mutex<Option<OwnedFd>>>,
    shared: Shared,
) {
    let service = service_fn(|request| answer(request, shared.clone(), Arc::clone(&reset)));
    // Errors are the client's leaving, and answers that end as told.
    drop(
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

async fn answer(
    request: Request<Incoming>,
    shared: Shared,
    socket: Arc<Mutex<Option<OwnedFd>>>,
) -> anyhow::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = head.uri.path().to_owned();
    let value_of = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let request = Recorded {
        arrived: Timestamp::now(),
        method: head.method.to_string(),
        path: path.clone(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value_of(value)))
            .collect(),
        body: body.to_vec(),
        is_repeat: false,
        outcome: Outcome::Pending,
    };
    let released = shared.look(|ledger| ledger.released(&path));
    let (number, answer) = shared.change(|ledger| ledger.arrive(request));
    let mut pending = Pending {
        shared: shared.clone(),
        number,
        outcome: Outcome::ClientGone,
    };
    if answer.held {
        shared.released(&path, released).await;
    }
    sleep(answer.delay).await;

    let body = Bytes::from(answer.body_for(&body));
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    pending.outcome = Outcome::Answered;
    match answer.end {
        End::Complete => Ok(response.body(Full::new(body).map_err(never).boxed_unsync())?),
        End::Truncated => {
            let half = body.slice(..body.len() / 2);
            let cut = async {
                // Whoever waits for more of the body sends what there is first.
                tokio::task::yield_now().await;
                Err(std::io::Error::other("the answer ends here, as told"))
            };
            let frames = stream::iter([Ok(Frame::data(half))]).chain(stream::once(cut));
            Ok(response
                .header("content-length", body.len())
                .body(StreamBody::new(frames).boxed_unsync())?)
        }
        End::Reset => {
            pending.outcome = Outcome::Reset;
            if let Some(socket) = socket.lock().unwrap_or_else(PoisonError::into_inner).take() {
                rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
            }
            bail!("the connection is reset, as told")
        }
    }
}

fn never(never: Infallible) -> std::io::Error {
    match never {}
}

/// Notes what has become of a request when its answer is dropped, also when that is because the client has left.
struct Pending {
    shared: Shared,
    number: usize,
    outcome: Outcome,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.shared
            .change(|ledger| ledger.outcome(self.number, self.outcome));
    }
}
