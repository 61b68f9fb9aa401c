//! Hosts with an address of the operator's choice, and certificates that every call trusts.

use std::io::Write;

use drplan_engine::effect::{Failure, FailureKind, HttpCall, Outcome};
use tokio::io::AsyncWriteExt;

use crate::mask::Mask;

use super::{
    super::{HttpCaller, HttpSettings, Trusted},
    call, identity, post,
    server::{Server, answer},
    tls::secure,
};

/// Settings that pin this host and port to the server.
fn pinned(host_and_port: &str, server: &Server) -> HttpSettings {
    let address = server.url("").replace("http://", "");
    HttpSettings {
        pinned: vec![format!("{host_and_port}:{address}").parse().unwrap()],
        ..HttpSettings::default()
    }
}

fn trusting(pem: &str) -> Trusted {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    Trusted::read(file.path()).unwrap()
}

async fn outcome(settings: HttpSettings, call: &HttpCall) -> Outcome {
    HttpCaller::new(settings)
        .call(&identity(), call, &Mask::default())
        .await
}

async fn failure(settings: HttpSettings, call: &HttpCall) -> Failure {
    let outcome = outcome(settings, call).await;
    let Outcome::Failed(failure) = outcome else {
        panic!("{outcome:?}")
    };
    failure
}

async fn succeeds(settings: HttpSettings, call: &HttpCall) {
    let outcome = outcome(settings, call).await;
    assert!(matches!(outcome, Outcome::Answered { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_call_to_a_pinned_host_goes_to_its_address_and_still_names_the_host() {
    let check = async |pin: &str, url: &str, host: &str| {
        let server = Server::start(async |_, mut stream| answer(&mut stream, "200 OK", "").await).await;
        succeeds(pinned(pin, &server), &post(url)).await;
        let request = server.requests().await.remove(0);
        assert!(
            request.contains(&format!("\r\nhost: {host}\r\n")),
            "{pin} {url}: {request}"
        );
        assert_eq!(request.matches("\r\nhost: ").count(), 1, "{request}");
    };
    check("db.invalid:80", "http://db.invalid/a", "db.invalid").await;
    check("db.invalid:80", "http://DB.invalid:80/a", "db.invalid").await;
    check("db.invalid:8080", "http://db.invalid:8080/a", "db.invalid:8080").await;
}

#[tokio::test]
async fn several_addresses_of_one_host_are_tried_one_after_another() {
    let server = Server::start(async |_, mut stream| answer(&mut stream, "200 OK", "").await).await;
    let nobody = Server::nobody().await.replace("http://", "");
    let dead = format!("db.invalid:8080:{nobody}").parse().unwrap();
    let mut settings = pinned("db.invalid:8080", &server);
    settings.pinned.insert(0, dead);
    succeeds(settings, &post("http://db.invalid:8080/")).await;
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn the_host_that_the_author_writes_is_sent_to_a_pinned_host_too() {
    let server = Server::start(async |_, mut stream| answer(&mut stream, "200 OK", "").await).await;
    let mut call = post("http://db.invalid:8080/");
    call.headers.insert("Host".to_owned(), "other.invalid".to_owned());
    succeeds(pinned("db.invalid:8080", &server), &call).await;
    let request = server.requests().await.remove(0);
    assert!(request.contains("\r\nhost: other.invalid\r\n"), "{request}");
    assert_eq!(request.matches("\r\nhost: ").count(), 1, "{request}");
}

#[tokio::test]
async fn messages_show_the_host_that_was_written() {
    let server = Server::start(async |_, mut stream| answer(&mut stream, "503 Busy", "").await).await;
    let call = call("GET", "http://db.invalid:8080/a?token=s3cret");
    let refused = failure(pinned("db.invalid:8080", &server), &call).await;
    assert_eq!(refused.message, "GET http://db.invalid:8080/a answered 503");
}

#[tokio::test]
async fn another_host_or_port_is_not_pinned() {
    let server = Server::start(async |_, mut stream| answer(&mut stream, "200 OK", "").await).await;
    for url in ["http://x.db.invalid/", "http://db.invalid:81/"] {
        let failure = failure(pinned("db.invalid:80", &server), &post(url)).await;
        assert_eq!(failure.kind, FailureKind::NotConnected, "{}", failure.message);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_pinned_address_is_permitted_or_denied_like_any_other() {
    let server = Server::start(async |_, mut stream| answer(&mut stream, "200 OK", "").await).await;
    let mut settings = pinned("db.invalid:80", &server);
    settings.destinations.deny = vec!["127.0.0.0/8".parse().unwrap()];
    let denied = failure(settings, &post("http://db.invalid/")).await;
    let metadata = HttpSettings {
        pinned: vec!["db.invalid:80:169.254.169.254".parse().unwrap()],
        ..HttpSettings::default()
    };
    let by_default = failure(metadata, &post("http://db.invalid/")).await;
    for (failure, expect) in [
        (
            denied,
            "db.invalid (127.0.0.1) is denied by --http-deny=127.0.0.0/8",
        ),
        (by_default, "db.invalid (169.254.169.254) is link-local"),
    ] {
        assert_eq!(failure.kind, FailureKind::Render, "{}", failure.message);
        assert!(failure.message.contains(expect), "{}", failure.message);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_a_pinned_host_follows_the_pin() {
    let server = Server::start(async |request: String, mut stream| {
        if request.starts_with("GET /first ") {
            let away =
                "HTTP/1.1 302 X\r\nLocation: http://db.invalid:8080/second\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(away.as_bytes()).await.unwrap();
        } else {
            answer(&mut stream, "503 Busy", "").await;
        }
    })
    .await;
    let begin = server.url("/first");
    let following = HttpCall {
        follow_redirects: true,
        ..call("GET", &begin)
    };
    let refused = failure(pinned("db.invalid:8080", &server), &following).await;
    let expect = format!("GET {begin} answered 503 after a redirect to http://db.invalid:8080/second");
    assert_eq!(refused.message, expect);
}

#[tokio::test]
async fn the_certificate_of_a_pinned_host_is_verified_against_its_name() {
    for port in [443, 8443] {
        let url = format!("https://db.invalid:{port}/a");
        let (pem, server) = secure("db.invalid").await;
        let settings = pinned(&format!("db.invalid:{port}"), &server);
        let unknown = failure(settings.clone(), &post(&url)).await;
        assert_eq!(unknown.kind, FailureKind::Tls, "{}", unknown.message);
        let trusted = HttpSettings {
            trusted: trusting(&pem),
            ..settings
        };
        succeeds(trusted, &post(&url)).await;

        let (pem, other) = secure("other.invalid").await;
        let misnamed = HttpSettings {
            trusted: trusting(&pem),
            ..pinned(&format!("db.invalid:{port}"), &other)
        };
        let misnamed = failure(misnamed, &post(&url)).await;
        assert!(misnamed.message.contains("not valid for"), "{}", misnamed.message);
    }
}

#[tokio::test]
async fn what_every_call_trusts_is_trusted_beside_what_one_call_trusts() {
    let (one_pem, one) = secure("127.0.0.1").await;
    let (other_pem, other) = secure("127.0.0.1").await;
    let settings = HttpSettings {
        trusted: trusting(&one_pem),
        ..HttpSettings::default()
    };
    for server in [&one, &other] {
        let call = HttpCall {
            ca_bundle: Some(other_pem.clone()),
            ..post(&server.url("/").replace("http:", "https:"))
        };
        succeeds(settings.clone(), &call).await;
    }
}

#[test]
fn a_file_without_certificates_is_refused_before_anything_is_called() {
    let check = |text: &str, expect: &str| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let error = Trusted::read(file.path()).unwrap_err().to_string();
        assert!(error.ends_with(expect), "{error}");
    };
    check("", "holds no PEM certificate");
    check("hello", "holds no PEM certificate");
    check(
        "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
        "holds a PEM certificate that is none",
    );
    let absent = Trusted::read("/nowhere/ca.pem".as_ref()).unwrap_err().to_string();
    assert!(
        absent.starts_with("failed to read `/nowhere/ca.pem`: "),
        "{absent}"
    );
}
