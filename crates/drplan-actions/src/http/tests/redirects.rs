//! Redirects: followed only where asked, and never to worse.

use drplan_engine::effect::{FailureKind, HttpCall};
use tokio::io::AsyncWriteExt;

use super::{
    answered, call, failure, post,
    server::{Server, Then, answer},
};

/// A server where `/<code>/<rest>` redirects to `/<rest>` with that code, `/loop` to itself, and the rest answers.
async fn redirecting() -> Server {
    Server::start(async |request: String, mut stream| {
        let path = request.split(' ').nth(1).unwrap().to_owned();
        let location = match path.trim_start_matches('/').split_once('/') {
            Some((code, rest)) if code.parse::<u16>().is_ok() => Some((code.to_owned(), format!("/{rest}"))),
            _ if path == "/loop" => Some(("302".to_owned(), "/loop?token=s3cret".to_owned())),
            _ if path.starts_with("/loop?") => Some(("302".to_owned(), path.clone())),
            _ => None,
        };
        match location {
            Some((code, location)) => {
                let head = format!("HTTP/1.1 {code} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
            }
            None if path == "/busy" => answer(&mut stream, "503 Busy", "").await,
            None => answer(&mut stream, "200 OK", &request).await,
        }
    })
    .await
}

fn following(call: HttpCall) -> HttpCall {
    HttpCall {
        follow_redirects: true,
        keep_body: true,
        ..call
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_unless_redirects_are_followed() {
    let server = redirecting().await;
    let refused = failure(&post(&server.url("/307/a"))).await;
    assert_eq!(
        (refused.kind, refused.status_code),
        (FailureKind::HttpStatus, Some(307))
    );
    assert_eq!(server.requests().await.len(), 1);
    let (code, body) = answered(&following(call("GET", &server.url("/302/301/a")))).await;
    assert_eq!(
        (code, body.unwrap().lines().next().unwrap()),
        (200, "GET /a HTTP/1.1")
    );
}

#[tokio::test]
async fn a_post_stays_one_with_its_body_and_key_on_307_and_308_only() {
    let server = redirecting().await;
    for code in [307, 308] {
        let (_, body) = answered(&following(post(&server.url(&format!("/{code}/a"))))).await;
        let request = body.unwrap();
        assert!(
            request.starts_with("POST /a ") && request.ends_with("s3cret-body"),
            "{code}: {request}"
        );
        assert!(
            request.contains("idempotency-key: 6f1e/db/mysql[0]/promote"),
            "{code}: {request}"
        );
    }
    for code in [301, 302, 303] {
        let (_, body) = answered(&following(post(&server.url(&format!("/{code}/a"))))).await;
        let request = body.unwrap();
        assert!(
            request.starts_with("GET /a ") && !request.contains("s3cret-body"),
            "{code}: {request}"
        );
        assert!(!request.contains("referer"), "{code}: {request}");
    }
}

#[tokio::test]
async fn a_loop_of_redirects_ends() {
    let server = redirecting().await;
    let failure = failure(&following(call("GET", &server.url("/loop")))).await;
    assert_eq!(failure.kind, FailureKind::BadAnswer);
    assert_eq!(
        failure.message,
        format!("GET {} answered 302: more than 5 redirects", server.url("/loop"))
    );
    assert_eq!(server.requests().await.len(), 6);
}

#[tokio::test]
async fn a_refusal_after_a_redirect_names_both_places() {
    let server = redirecting().await;
    let failure = failure(&following(call("GET", &server.url("/302/busy")))).await;
    let (from, to) = (server.url("/302/busy"), server.url("/busy"));
    assert_eq!(
        failure.message,
        format!("GET {from} answered 503 after a redirect to {to}")
    );
}

#[tokio::test]
async fn what_fails_after_a_redirect_may_have_had_an_effect() {
    let check = async |location: &str, kind: FailureKind| {
        let words = format!("HTTP/1.1 307 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let server = Server::saying(words, Then::Close).await;
        let failure = failure(&following(post(&server.url("/")))).await;
        assert_eq!(failure.kind, kind, "{}", failure.message);
        assert_eq!(server.requests().await.len(), 1);
    };
    check(&Server::nobody().await, FailureKind::ConnectionLost).await;
    check("http://drplan-test.invalid/", FailureKind::ConnectionLost).await;
    check("http://169.254.169.254/", FailureKind::BadAnswer).await;
    check("ftp://127.0.0.1/", FailureKind::BadAnswer).await;
    check("http://a:99999/?s3cret", FailureKind::BadAnswer).await;
    let plain = Server::start_raw(async |mut stream| answer(&mut stream, "400 Bad", "").await).await;
    check(&plain.url("/").replace("http:", "https:"), FailureKind::BadAnswer).await;
}

#[tokio::test]
async fn credentials_stay_with_the_origin_they_were_written_for() {
    let other = redirecting().await;
    let away = format!(
        "HTTP/1.1 307 X\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        other.url("/b")
    );
    let server = Server::saying(away, Then::Close).await;
    let with_user = |url: String| url.replace("http://", "http://user:s3cret@");
    let mut call = following(post(&with_user(server.url("/a"))));
    call.headers
        .insert("Content-Type".to_owned(), "text/plain".to_owned());
    let (_, body) = answered(&call).await;
    let there = body.unwrap();
    assert!(
        !there.contains("x-token") && !there.contains("authorization"),
        "{there}"
    );
    assert!(
        there.contains("content-type: text/plain") && there.contains("idempotency-key"),
        "{there}"
    );

    let (_, body) = answered(&following(post(&with_user(other.url("/307/c"))))).await;
    let here = body.unwrap();
    assert!(
        here.contains("x-token: s3cret-header") && here.contains("authorization: Basic"),
        "{here}"
    );
}
