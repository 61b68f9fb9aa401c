//! What is between one client and a server: to cut, to hang and to slow down.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::background::background;
use crate::control_plane::ControlPlane;
use crate::port::free_port;

/// What a [`Proxy`] does with what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyMode {
    /// Hands it on.
    Pass,
    /// Closes every connection and refuses new ones.
    Cut,
    /// Accepts connections and holds back what is sent, silently, as a network does that has lost its way. What was
    /// held back arrives when the proxy passes again.
    Hang(Direction),
    /// Hands on each piece after this time, in both directions.
    Delay(Duration),
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    Both,
    /// Requests do not reach the server.
    ToServer,
    /// Requests reach the server and take effect; their answers do not reach the client. The greeting of a new
    /// connection (TLS) does, or no request could be sent on it.
    ToClient,
}

/// A TCP proxy on 127.0.0.1. It goes when it is dropped, with its connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    mode: watch::Sender<ProxyMode>,
    connections: watch::Receiver<usize>,
    listening: watch::Receiver<bool>,
    _stop: DropGuard,
}

impl Proxy {
    /// Starts a proxy in front of the server on this address, passing.
    ///
    /// # Errors
    ///
    /// When there is no port to listen on.
    pub async fn start(server: SocketAddr) -> anyhow::Result<Self> {
        let (port, listener) = listen().await?;
        let (mode, modes) = watch::channel(ProxyMode::Pass);
        let (count, connections) = watch::channel(0);
        let (is_listening, listening) = watch::channel(false);
        let stop = CancellationToken::new();
        let accept = Accept {
            server,
            port,
            modes,
            count,
            listening: is_listening,
            first: Some(listener),
        };
        let stopped = stop.clone().cancelled_owned();
        background().spawn(async move {
            tokio::select! {
                () = stopped => {}
                () = accept.run() => {}
            }
        });
        let mut proxy = Self {
            port,
            mode,
            connections,
            listening,
            _stop: stop.drop_guard(),
        };
        proxy
            .listening
            .wait_for(|listening| *listening)
            .await
            .context("the proxy does not listen")?;
        Ok(proxy)
    }

    /// Starts a proxy in front of the API server.
    ///
    /// # Errors
    ///
    /// When there is no port to listen on.
    pub async fn to_api_server(control_plane: &ControlPlane) -> anyhow::Result<Self> {
        Self::start(SocketAddr::from(([127, 0, 0, 1], control_plane.apiserver_port()))).await
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Writes a kubeconfig file for this user, through the proxy.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn kubeconfig_for(
        &self,
        control_plane: &ControlPlane,
        user: &str,
        group: Option<&str>,
    ) -> anyhow::Result<PathBuf> {
        control_plane.kubeconfig_through(self.port, user, group)
    }

    /// Changes what happens from now on, to open connections too, and returns when it is in force.
    ///
    /// # Errors
    ///
    /// When the proxy cannot listen again after a cut, because something else has taken its port.
    pub async fn set(&self, mode: ProxyMode) -> anyhow::Result<()> {
        self.mode.send_replace(mode);
        let cut = mode == ProxyMode::Cut;
        self.listening
            .clone()
            .wait_for(|listening| *listening != cut)
            .await
            .context("the proxy has ended")?;
        if cut {
            self.connections
                .clone()
                .wait_for(|count| *count == 0)
                .await
                .context("the proxy has ended")?;
        }
        Ok(())
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        *self.connections.borrow()
    }

    /// Waits until at least this many connections are open.
    ///
    /// # Errors
    ///
    /// When the proxy has ended.
    pub async fn connected(&self, count: usize) -> anyhow::Result<()> {
        self.connections
            .clone()
            .wait_for(|open| *open >= count)
            .await
            .context("the proxy has ended")?;
        Ok(())
    }
}

/// Ports that are tried before a proxy gives up.
const PORTS_MAX: usize = 10;

struct Accept {
    server: SocketAddr,
    port: u16,
    modes: watch::Receiver<ProxyMode>,
    count: watch::Sender<usize>,
    listening: watch::Sender<bool>,
    /// What it listens on until the first cut.
    first: Option<TcpListener>,
}

/// A port and what listens on it. Another process may take one between its choice and its use.
async fn listen() -> anyhow::Result<(u16, TcpListener)> {
    let mut refused = None;
    for _ in 0..PORTS_MAX {
        let port = free_port()?;
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => return Ok((port, listener)),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.map_or_else(|| anyhow::anyhow!("no port was tried"), anyhow::Error::from))
        .context("the proxy does not listen")
}

impl Accept {
    async fn run(mut self) {
        loop {
            let listener = match self.first.take() {
                Some(listener) => Ok(listener),
                None => TcpListener::bind(("127.0.0.1", self.port)).await,
            };
            let Ok(listener) = listener else { return };
            self.listening.send_replace(true);
            // Dropping the set at a cut drops the connections, and dropping the listener refuses new ones.
            let mut connections = JoinSet::new();
            let mut modes = self.modes.clone();
            let mut cut = std::pin::pin!(modes.wait_for(|mode| *mode == ProxyMode::Cut));
            let ended = loop {
                tokio::select! {
                    cut = &mut cut => break cut.is_err(),
                    accepted = listener.accept() => if let Ok((client, _)) = accepted {
                        // Counted first: who has an answer finds its connection counted.
                        self.count.send_modify(|count| *count += 1);
                        connections.spawn(connect(client, self.server, self.modes.clone()));
                    },
                    Some(_) = connections.join_next() => self.count.send_modify(|count| *count -= 1),
                }
            };
            connections.shutdown().await;
            drop(listener);
            self.count.send_replace(0);
            self.listening.send_replace(false);
            if ended || self.modes.wait_for(|mode| *mode != ProxyMode::Cut).await.is_err() {
                return;
            }
        }
    }
}

async fn connect(client: TcpStream, server: SocketAddr, mut modes: watch::Receiver<ProxyMode>) {
    if until_open(&mut modes, Direction::ToServer).await.is_none() {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let greeting = Greeting::default();
    tokio::join!(
        pump(
            from_client,
            to_server,
            modes.clone(),
            Direction::ToServer,
            &greeting
        ),
        pump(from_server, to_client, modes, Direction::ToClient, &greeting),
    );
}

/// How far a connection is: with TLS, greeted once the client has spoken, the server answered, and the client spoken
/// again; else from the first word.
#[derive(Default)]
struct Greeting {
    has_answer: AtomicBool,
    is_over: AtomicBool,
}

/// What the first message of TLS begins with.
const TLS_HANDSHAKE: u8 = 0x16;

impl Greeting {
    /// This was read from the side that sends this way. Whether it belongs to the greeting.
    fn heard(&self, said: &[u8], direction: Direction) -> bool {
        let has_answer = self.has_answer.load(Ordering::SeqCst);
        if direction == Direction::ToClient {
            self.has_answer.store(true, Ordering::SeqCst);
        } else if has_answer || said.first() != Some(&TLS_HANDSHAKE) {
            self.is_over.store(true, Ordering::SeqCst);
        }
        !self.is_over.load(Ordering::SeqCst)
    }
}

/// Hands on until either side closes. Half-closed connections stay half open, as through a network.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut modes: watch::Receiver<ProxyMode>,
    direction: Direction,
    greeting: &Greeting,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let greets = greeting.heard(&buffer[..length], direction) && direction == Direction::ToClient;
        if greets && *modes.borrow() == ProxyMode::Hang(Direction::ToClient) {
            if to.write_all(&buffer[..length]).await.is_err() {
                return;
            }
            continue;
        }
        let Some(delay) = until_open(&mut modes, direction).await else {
            return;
        };
        sleep(delay).await;
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    if until_open(&mut modes, direction).await.is_some() {
        // The other side may have closed as well; then there is nobody to tell.
        drop(to.shutdown().await);
    }
}

/// Waits until the way is open and returns how slow it is. `None` when the proxy has ended.
async fn until_open(modes: &mut watch::Receiver<ProxyMode>, direction: Direction) -> Option<Duration> {
    let open = |mode: &ProxyMode| match mode {
        ProxyMode::Pass | ProxyMode::Delay(_) => true,
        ProxyMode::Cut | ProxyMode::Hang(Direction::Both) => false,
        ProxyMode::Hang(closed) => *closed != direction,
    };
    let mode = *modes.wait_for(open).await.ok()?;
    match mode {
        ProxyMode::Delay(delay) => Some(delay),
        ProxyMode::Pass | ProxyMode::Cut | ProxyMode::Hang(_) => Some(Duration::ZERO),
    }
}
