//! Every way to get no answer, told apart.

use drplan_api::GoDuration;
use drplan_engine::effect::{FailureKind, HttpCall};

use super::{
    failure, post,
    server::{Server, Then, hang},
};

/// Short enough to wait for, long enough for an exchange on loopback to have come as far as the test needs.
const SHORT: GoDuration = GoDuration::from_secs(1);

#[tokio::test]
async fn a_refused_connection_has_sent_nothing() {
    let url = Server::nobody().await;
    let failure = failure(&post(&format!("{url}/failover?token=s3cret"))).await;
    assert_eq!(failure.kind, FailureKind::NotConnected);
    assert_eq!(
        failure.message,
        format!("POST {url}/failover: connection refused")
    );
    assert_eq!(failure.status_code, None);
}

#[tokio::test]
async fn a_host_that_does_not_resolve_has_sent_nothing() {
    let failure = failure(&post("http://user:s3cret@drplan-test.invalid/a")).await;
    assert_eq!(failure.kind, FailureKind::NotConnected);
    let start = "POST http://drplan-test.invalid/a: its host does not resolve: ";
    assert!(failure.message.starts_with(start), "{}", failure.message);
}

/// Covers US5.3.
#[tokio::test]
async fn no_answer_in_time_is_a_timeout() {
    let server = Server::start(async |_, _stream| hang().await).await;
    let failure = failure(&HttpCall {
        timeout: SHORT,
        ..post(&server.url("/a?token=s3cret"))
    })
    .await;
    assert_eq!((failure.kind, failure.status_code), (FailureKind::Timeout, None));
    assert_eq!(
        failure.message,
        format!("POST {}: no answer within 1s", server.url("/a"))
    );
}

#[tokio::test]
async fn an_answer_that_trickles_is_a_timeout() {
    let check = async |begin: &'static str, status: Option<u16>, end: &str| {
        let server = Server::saying(begin, Then::Hang).await;
        let failure = failure(&HttpCall {
            timeout: SHORT,
            ..post(&server.url("/"))
        })
        .await;
        assert_eq!(
            (failure.kind, failure.status_code),
            (FailureKind::Timeout, status)
        );
        assert!(failure.message.ends_with(end), "{}", failure.message);
    };
    check("HTTP/1.1 200 O", None, ": no answer within 1s").await;
    check("HTTP/1.1 200 OK\r\nX: y\r\n", None, ": no answer within 1s").await;
    let late = " answered 200, but its body did not end within 1s";
    check("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", Some(200), late).await;
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        Some(200),
        late,
    )
    .await;
}

#[tokio::test]
async fn a_refusal_counts_at_once_however_slow_its_body() {
    let words = "HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nabc";
    let server = Server::saying(words, Then::Hang).await;
    let failure = failure(&post(&server.url("/"))).await;
    assert_eq!(
        (failure.kind, failure.status_code),
        (FailureKind::HttpStatus, Some(500))
    );
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_may_have_had_an_effect() {
    let check = async |begin: &'static str, status: Option<u16>| {
        let server = Server::saying(begin, Then::Close).await;
        let failure = failure(&post(&server.url("/"))).await;
        assert_eq!(
            (failure.kind, failure.status_code),
            (FailureKind::ConnectionLost, status),
            "{begin}"
        );
        assert_eq!(
            server.requests().await.len(),
            1,
            "it was sent again after {begin:?}"
        );
    };
    check("", None).await;
    check("HTTP/1.1 200", None).await;
    check("HTTP/1.1 200 OK\r\nX: y\r\n", None).await;
    check("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", Some(200)).await;
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        Some(200),
    )
    .await;
}

#[tokio::test]
async fn a_reset_connection_is_a_lost_one() {
    let server = Server::start_raw(async |stream| {
        // Closed with the request unread, so that the kernel answers with a reset.
        stream.readable().await.unwrap();
    })
    .await;
    assert_eq!(
        failure(&post(&server.url("/"))).await.kind,
        FailureKind::ConnectionLost
    );
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_is_no_http_is_a_bad_answer() {
    let check = async |answer: &'static [u8]| {
        let server = Server::saying(answer, Then::Close).await;
        let failure = failure(&post(&server.url("/"))).await;
        let text = String::from_utf8_lossy(answer);
        assert_eq!(
            failure.kind,
            FailureKind::BadAnswer,
            "{text}: {}",
            failure.message
        );
    };
    check(b"SSH-2.0-OpenSSH_9.9\r\n\r\n").await;
    check(b"HTTP/1.1 abc\r\n\r\n").await;
    check(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n").await;
    check(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").await;
    check(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await;
}
