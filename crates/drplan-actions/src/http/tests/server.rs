//! A server that does what a test says with each connection.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What a server does after its words.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Then {
    Close,
    Hang,
}

/// A server on loopback; it ends with the test.
pub(super) struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    ended: tokio::sync::watch::Receiver<usize>,
    _accepting: JoinSet<()>,
}

impl Server {
    /// A server that reads one request from each connection and gives it to `handle` with the connection.
    pub(super) async fn start<F, R>(handle: F) -> Self
    where
        F: Fn(String, TcpStream) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = requests.clone();
        let handle = Arc::new(handle);
        let server = Self::start_raw(move |mut stream: TcpStream| {
            let (kept, handle) = (kept.clone(), handle.clone());
            async move {
                let request = read_request(&mut stream).await;
                kept.lock().unwrap().push(request.clone());
                handle(request, stream).await;
            }
        })
        .await;
        Self { requests, ..server }
    }

    /// A server that says this to each request and closes the connection, or keeps it open without another word.
    pub(super) async fn saying(words: impl Into<Vec<u8>>, then: Then) -> Self {
        let words = words.into();
        Self::start(move |_, mut stream| {
            let words = words.clone();
            async move {
                // The client may have gone.
                let _ = stream.write_all(&words).await;
                if then == Then::Hang {
                    hang().await;
                }
            }
        })
        .await
    }

    /// A server that gives each connection to `handle`.
    pub(super) async fn start_raw<F, R>(handle: F) -> Self
    where
        F: Fn(TcpStream) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections: Arc<AtomicUsize> = Arc::default();
        let (counted, (end, ended)) = (connections.clone(), tokio::sync::watch::channel(0));
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut handling = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let (handled, end) = (handle(stream), end.clone());
                handling.spawn(async move {
                    handled.await;
                    end.send_modify(|count| *count += 1);
                });
            }
        });
        Self {
            address,
            connections,
            requests: Arc::default(),
            ended,
            _accepting: accepting,
        }
    }

    /// The URL of a port that nobody listens on.
    pub(super) async fn nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    /// The URL of `path_and_query` here.
    pub(super) fn url(&self, path_and_query: &str) -> String {
        format!("http://{}{path_and_query}", self.address)
    }

    /// Connections accepted so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests read so far, header names in lower case as the client writes them.
    pub(super) async fn requests(&self) -> Vec<String> {
        // Whatever the runtime has ready is let through first.
        tokio::task::yield_now().await;
        self.requests.lock().unwrap().clone()
    }

    /// Waits until a connection has been dealt with.
    pub(super) async fn ended(&self) {
        self.ended.clone().wait_for(|count| *count > 0).await.unwrap();
    }
}

/// Answers with this status line and body, keeping the connection alive as far as HTTP is concerned.
pub(super) async fn answer(stream: &mut (impl AsyncWriteExt + Unpin), status: &str, body: &str) {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // The client may have gone.
    let _ = stream.write_all(head.as_bytes()).await;
}

/// Waits until one more byte comes, or the other side closes.
pub(super) async fn next_byte(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0]).await;
}

/// Never ends.
pub(super) async fn hang() {
    std::future::pending().await
}

/// One request, head and body.
pub(super) async fn read_request(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await.unwrap_or(0) {
            0 => return text,
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
}
