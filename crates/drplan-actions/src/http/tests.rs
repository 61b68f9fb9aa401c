//! Calls against servers that answer as each test says, byte by byte.

mod egress;
mod failures;
mod pinned;
mod redirects;
mod sealed;
mod server;
mod tls;

use std::collections::BTreeMap;

use drplan_api::{ActionName, ActionPath, GoDuration, StageName};
use drplan_engine::effect::{EffectIdentity, Failure, FailureKind, HttpCall, Outcome};
use server::{Server, Then, answer};
use tokio::io::AsyncWriteExt;

use super::{HttpCaller, HttpSettings};
use crate::mask::Mask;

/// Long enough for any exchange on loopback; no test waits for it.
const LONG: GoDuration = GoDuration::from_secs(60);

fn identity() -> EffectIdentity {
    let (stage, action) = (StageName::new("db").unwrap(), ActionName::new("promote").unwrap());
    EffectIdentity {
        execution_uid: "6f1e".to_owned(),
        path: ActionPath::new(&stage, "mysql", 0, &action),
    }
}

/// A call of this kind.
fn call(method: &str, url: &str) -> HttpCall {
    HttpCall {
        url: url.to_owned(),
        method: method.to_owned(),
        headers: BTreeMap::new(),
        body: None,
        success_codes: Vec::new(),
        follow_redirects: false,
        ca_bundle: None,
        insecure_skip_verify: false,
        keep_body: false,
        timeout: LONG,
        sealed: None,
    }
}

fn post(url: &str) -> HttpCall {
    HttpCall {
        headers: BTreeMap::from([("X-Token".to_owned(), "s3cret-header".to_owned())]),
        body: Some("s3cret-body".to_owned()),
        ..call("POST", url)
    }
}

async fn outcome(call: &HttpCall) -> Outcome {
    HttpCaller::new(HttpSettings::default())
        .call(&identity(), call, &Mask::default())
        .await
}

/// The failure that `call` ends with; whatever it is, its message is one line without secrets.
async fn failure(call: &HttpCall) -> Failure {
    let Outcome::Failed(failure) = outcome(call).await else {
        panic!("the call succeeded")
    };
    assert!(!failure.message.contains("s3cret"), "{}", failure.message);
    assert!(!failure.message.contains('\n'), "{}", failure.message);
    failure
}

/// The status code and kept body that `call` is answered with.
async fn answered(call: &HttpCall) -> (u16, Option<String>) {
    let outcome = outcome(call).await;
    let Outcome::Answered {
        status_code,
        body,
        duration_millis: _,
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    (status_code, body)
}

/// Covers US5.1, FR-002.
#[tokio::test]
async fn a_call_carries_its_key_our_name_and_what_the_author_wrote() {
    let server = Server::start(async |_, mut stream| answer(&mut stream, "200 OK", "").await).await;
    let url = server.url("/failover?token=1");
    answered(&post(&url)).await;
    let request = server.requests().await.remove(0);
    assert!(
        request.starts_with("POST /failover?token=1 HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains("\r\nidempotency-key: 6f1e/db/mysql[0]/promote\r\n"),
        "{request}"
    );
    let agent = concat!("\r\nuser-agent: drplan/", env!("CARGO_PKG_VERSION"), "\r\n");
    assert!(request.contains(agent), "{request}");
    assert!(request.contains("\r\nx-token: s3cret-header\r\n"), "{request}");
    assert!(request.contains("\r\ncontent-length: 11\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\ns3cret-body"), "{request}");
    assert!(!request.contains("accept-encoding"), "{request}");
}

#[tokio::test]
async fn what_the_author_writes_wins_but_for_the_headers_of_the_connection() {
    let server = Server::start(async |_, mut stream| answer(&mut stream, "200 OK", "").await).await;
    let headers = [
        ("IDEMPOTENCY-KEY", "mine"),
        ("User-Agent", "me"),
        ("Content-Length", "3"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "upgrade"),
        ("Host", "db.example.com"),
    ];
    let headers = headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    answered(&HttpCall {
        headers,
        ..post(&server.url("/"))
    })
    .await;
    let request = server.requests().await.remove(0);
    assert!(request.contains("\r\nidempotency-key: mine\r\n"), "{request}");
    assert_eq!(request.matches("idempotency-key").count(), 1, "{request}");
    assert!(request.contains("\r\nuser-agent: me\r\n"), "{request}");
    assert!(request.contains("\r\nhost: db.example.com\r\n"), "{request}");
    assert!(request.contains("\r\ncontent-length: 11\r\n"), "{request}");
    assert!(
        !request.contains("chunked") && !request.contains("upgrade"),
        "{request}"
    );
}

#[tokio::test]
async fn success_is_2xx_or_what_the_author_lists() {
    let server = Server::start(async |request: String, mut stream| {
        let code = request.split(['/', ' ']).nth(2).unwrap().to_owned();
        answer(&mut stream, &format!("{code} Whatever"), "body").await;
    })
    .await;
    let check = async |code: u16, codes: &[u16], success: bool| {
        let call = HttpCall {
            success_codes: codes.to_vec(),
            ..post(&server.url(&format!("/{code}")))
        };
        if success {
            assert_eq!(answered(&call).await, (code, None), "with {codes:?}");
            return;
        }
        let failure = failure(&call).await;
        assert_eq!(
            (failure.kind, failure.status_code),
            (FailureKind::HttpStatus, Some(code)),
            "with {codes:?}"
        );
        let why = match code {
            200..300 => ", which successCodes does not list",
            _ => "",
        };
        let expect = format!("POST {} answered {code}{why}", server.url(&format!("/{code}")));
        assert_eq!(failure.message, expect);
    };
    check(200, &[], true).await;
    check(299, &[], true).await;
    check(302, &[], false).await;
    check(404, &[], false).await;
    check(503, &[], false).await;
    check(404, &[404, 200], true).await;
    check(302, &[302], true).await;
    check(201, &[200], false).await;
}

#[tokio::test]
async fn a_body_is_kept_only_if_wanted_and_only_its_beginning() {
    let body = "ä".repeat(3000);
    let words = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let server = Server::saying(words, Then::Hang).await;
    let wanted = HttpCall {
        keep_body: true,
        ..call("GET", &server.url("/"))
    };
    assert_eq!(answered(&wanted).await, (200, Some("ä".repeat(2048))));
    assert_eq!(answered(&call("GET", &server.url("/"))).await, (200, None));
}

#[tokio::test]
async fn an_endless_answer_is_read_to_a_bound_and_then_dropped() {
    let server = Server::start(async |_, mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 1024]).await.is_ok() {}
    })
    .await;
    let (_, body) = answered(&HttpCall {
        keep_body: true,
        ..call("GET", &server.url("/"))
    })
    .await;
    assert_eq!(body.unwrap(), "x".repeat(4096));
    // The server comes to its end, so the connection is closed.
    server.ended().await;
}

#[tokio::test]
async fn retry_after_is_reported_with_the_refusal() {
    let words = "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    let server = Server::saying(words, Then::Close).await;
    assert_eq!(
        failure(&post(&server.url("/"))).await.retry_after_millis,
        Some(7000)
    );
}

#[tokio::test]
async fn calls_never_share_a_connection_that_a_server_may_be_closing() {
    // Says keep-alive, answers once, and closes as soon as anything more comes: what makes clients send again.
    let server = Server::start(async |_, mut stream| {
        answer(&mut stream, "200 OK", "").await;
        server::next_byte(&mut stream).await;
    })
    .await;
    let caller = HttpCaller::new(HttpSettings::default());
    for number in 1..=5 {
        let outcome = caller
            .call(&identity(), &post(&server.url("/")), &Mask::default())
            .await;
        assert!(matches!(outcome, Outcome::Answered { .. }), "{outcome:?}");
        assert_eq!(
            (server.connections(), server.requests().await.len()),
            (number, number)
        );
    }
}

#[tokio::test]
async fn a_request_that_is_none_is_not_sent() {
    let server = Server::start(async |_, mut stream| answer(&mut stream, "200 OK", "").await).await;
    let url = server.url("/a?token=s3cret");
    let header = |name: &str, value: &str| HttpCall {
        headers: BTreeMap::from([(name.to_owned(), value.to_owned())]),
        ..call("GET", &url)
    };
    let check = async |call: HttpCall, message: &str| {
        let failure = failure(&call).await;
        assert_eq!(failure.kind, FailureKind::Render);
        assert_eq!(failure.message, message);
    };
    let shown = server.url("/a");
    check(
        call("GET", "s3cret"),
        "the URL is none: relative URL without a base",
    )
    .await;
    check(
        call("GE T", &url),
        &format!("GE T {shown}: the method is no HTTP method"),
    )
    .await;
    check(
        header("a b", "s3cret"),
        &format!("GET {shown}: the name of header `a b` is not valid"),
    )
    .await;
    check(
        header("a", "s3cret\n"),
        &format!("GET {shown}: the value of header `a` is not valid"),
    )
    .await;
    let bundle = HttpCall {
        ca_bundle: Some("s3cret".to_owned()),
        ..call("GET", &url)
    };
    check(bundle, &format!("GET {shown}: caBundle holds no PEM certificate")).await;
    assert_eq!(server.connections(), 0);
}
