//! Sites that answer badly, or not at all.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use drplan_testkit::{TestNamespace, free_port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::fixtures::{
    action_of, apply_plan, create, event, execution, execution_until, phases, post, released, text,
};
use crate::shared;

/// What is expected of a call to a peer: what it does, how the run ends after how many attempts, and what the message of
/// the action says.
const PEERS: [(&str, &str, u64, &str); 9] = [
    ("hangs", "Failed", 2, "no answer within 0.5s"),
    ("resets", "Failed", 2, "the connection was lost"),
    ("refuses", "Failed", 2, "connection refused"),
    ("begins", "Failed", 2, "no answer within 0.5s"),
    // A site that speaks something else will not speak HTTP the next time.
    ("garbles", "Failed", 1, "the answer is not valid HTTP"),
    (
        "stops-short",
        "Failed",
        2,
        "answered 200, but the connection was lost",
    ),
    (
        "pauses",
        "Failed",
        2,
        "answered 200, but its body did not end within 0.5s",
    ),
    // What came is enough to know that it was done.
    ("streams", "Succeeded", 1, ""),
    // The late answer is nobody's any more; the one to the second attempt counts.
    ("is-late", "Succeeded", 2, ""),
];

/// The user sees, for each, the phase, the number of attempts and what was wrong, in the message of the action, in that
/// of the run and in the event `ActionFailed`; a peer that gets well before the last attempt leaves a run that Succeeded.
/// Each attempt is one request, all under one key.
#[tokio::test]
async fn what_is_wrong_with_an_answer_is_said_and_each_attempt_is_one_request() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let site = Site::start().await?;
        for (peer, ..) in PEERS {
            let url = match peer {
                "refuses" => format!("http://127.0.0.1:{}/refuses", free_port()?),
                peer => format!("http://{}/{peer}", site.address),
            };
            let call = post("call", &url).timeout("500ms").retried(1, "1ms");
            let next = post("next", &t.stand_in.url(&format!("/after-{peer}")));
            apply_plan(t, peer, &[call, next]).await?;
            create(t, &execution(peer, peer)).await?;
        }
        for (peer, phase, attempts, says) in PEERS {
            let ended = execution_until(t, peer, phase).await?;
            let action = action_of(&ended, &format!("main/{peer}[0]/call"));
            assert_eq!(action["attempts"], attempts, "{peer}: {action}");
            let goes_on = phase == "Succeeded";
            let expect = if goes_on {
                "call Succeeded, next Succeeded"
            } else {
                "call Failed, next Skipped"
            };
            assert_eq!(phases(&ended), expect, "{peer}");
            if !goes_on {
                let message = text(action, "/message");
                assert!(message.contains(says), "{peer}: {message}");
                let run_says = text(&ended, "/status/message");
                assert!(run_says.contains(says), "{peer}: {run_says}");
                let told = event(t, peer, "ActionFailed").await?;
                assert!(told.contains(says), "{peer}: {told}");
            }
            released(t, peer).await?;
            assert_eq!(
                t.stand_in.requests(&format!("/after-{peer}")).len(),
                usize::from(goes_on),
                "{peer}"
            );
            let keys = site.keys(peer);
            let expect = if peer == "refuses" { 0 } else { attempts };
            assert_eq!(keys.len() as u64, expect, "{peer}: {keys:?}");
            let key = format!("{}/main/{peer}[0]/call", text(&ended, "/metadata/uid"));
            assert!(keys.iter().all(|known| *known == key), "{peer}: {keys:?}");
        }
        Ok(())
    };
    control_plane.with_namespace("faults-peers", test).await
}

/// A server that does to a request what its path says. It goes when it is dropped, with its connections.
struct Site {
    address: SocketAddr,
    /// Path and `Idempotency-Key` of each request.
    requests: Requests,
    _serving: JoinSet<()>,
}

type Requests = Arc<Mutex<Vec<(String, String)>>>;

impl Site {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let requests = Requests::default();
        let (late, _) = watch::channel(0);
        let mut serving = JoinSet::new();
        let kept = requests.clone();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, kept.clone(), late.clone()));
            }
        });
        Ok(Self {
            address,
            requests,
            _serving: serving,
        })
    }

    /// The keys of the requests to this path, one for each request.
    fn keys(&self, path: &str) -> Vec<String> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let to_path = requests.iter().filter(|(known, _)| known == path);
        to_path.map(|(_, key)| key.clone()).collect()
    }
}

/// Reads one request and does what its path says. `late` counts those to `is-late`.
async fn serve(mut stream: TcpStream, requests: Requests, late: watch::Sender<usize>) {
    let Some((path, key)) = request(&mut stream).await else {
        return;
    };
    requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((path.clone(), key));
    let words: &[u8] = match path.as_str() {
        "begins" => b"HTTP/1.1 200 O",
        "garbles" => b"\x00\x01SSH-2.0-none\r\n\r\n",
        "stops-short" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "pauses" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "streams" => b"HTTP/1.1 200 OK\r\n\r\n",
        _ => b"",
    };
    // The client may have left.
    if stream.write_all(words).await.is_err() {
        return;
    }
    match path.as_str() {
        "hangs" | "begins" | "pauses" => drop(stream.read(&mut [0]).await),
        "streams" => while stream.write_all(&[b'x'; 1024]).await.is_ok() {},
        // Unread or not, a connection with linger 0 is reset.
        "resets" => drop(stream.set_zero_linger()),
        "is-late" => {
            late.send_modify(|count| *count += 1);
            let is_first = *late.borrow() == 1;
            let mut words: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            if is_first {
                words = b"HTTP/1.1 500 Late\r\nContent-Length: 0\r\n\r\n";
                drop(late.subscribe().wait_for(|count| *count == 2).await);
            }
            drop(stream.write_all(words).await);
        }
        _ => {}
    }
}

/// The path, without its slash, and the key of a request without a body.
async fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains("\r\n\r\n") {
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    let path = text.split_whitespace().nth(1)?.trim_start_matches('/').to_owned();
    let key = text
        .lines()
        .find_map(|line| line.strip_prefix("idempotency-key: "))?;
    Some((path, key.to_owned()))
}
