//! TLS: who is trusted, and what an untrusted one sees.

use std::sync::Arc;

use drplan_engine::effect::{Failure, FailureKind, HttpCall};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use super::{
    answered, call, failure, post,
    server::{Server, answer, read_request},
};

/// A certificate for this name, and the server settings that present it.
fn certified(name: &str) -> (String, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (made.cert.pem(), TlsAcceptor::from(Arc::new(config)))
}

/// A TLS server with a certificate for this name that answers 200; its certificate.
pub(super) async fn secure(name: &str) -> (String, Server) {
    let (pem, acceptor) = certified(name);
    let server = Server::start_raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            read_request(&mut stream).await;
            answer(&mut stream, "200 OK", "hello").await;
            stream.shutdown().await.unwrap();
        }
    })
    .await;
    (pem, server)
}

fn https(server: &Server) -> String {
    server.url("/a?token=s3cret").replace("http://", "https://")
}

async fn untrusted(call: &HttpCall) -> Failure {
    let failure = failure(call).await;
    assert_eq!(
        (failure.kind, failure.status_code),
        (FailureKind::Tls, None),
        "{}",
        failure.message
    );
    failure
}

#[tokio::test]
async fn a_certificate_counts_if_it_is_trusted_or_not_verified() {
    let (pem, server) = secure("127.0.0.1").await;
    let url = https(&server);
    let failure = untrusted(&post(&url)).await;
    assert!(
        failure
            .message
            .contains(": TLS: invalid peer certificate: UnknownIssuer"),
        "{}",
        failure.message
    );
    let trusting = HttpCall {
        ca_bundle: Some(pem),
        keep_body: true,
        ..post(&url)
    };
    assert_eq!(answered(&trusting).await, (200, Some("hello".to_owned())));
    let careless = HttpCall {
        insecure_skip_verify: true,
        ..post(&url)
    };
    assert_eq!(answered(&careless).await.0, 200);
}

#[tokio::test]
async fn a_certificate_for_another_host_is_not_trusted() {
    let (pem, server) = secure("db.example.com").await;
    let failure = untrusted(&HttpCall {
        ca_bundle: Some(pem),
        ..post(&https(&server))
    })
    .await;
    assert!(failure.message.contains("not valid for"), "{}", failure.message);
}

#[tokio::test]
async fn a_server_without_tls_is_a_tls_failure_and_has_seen_no_request() {
    let server = Server::start_raw(async |mut stream| answer(&mut stream, "400 Bad", "").await).await;
    untrusted(&post(&https(&server))).await;
}

#[tokio::test]
async fn a_connection_closed_in_the_handshake_has_sent_nothing() {
    let server = Server::start_raw(async |stream| stream.readable().await.unwrap()).await;
    let failure = failure(&post(&https(&server))).await;
    assert_eq!(failure.kind, FailureKind::NotConnected, "{}", failure.message);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_not_followed() {
    let plain = Server::start(async |_, mut stream| answer(&mut stream, "200 OK", "").await).await;
    let (_, acceptor) = certified("127.0.0.1");
    let location = plain.url("/");
    let server = Server::start_raw(move |stream| {
        let (acceptor, location) = (acceptor.clone(), location.clone());
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            read_request(&mut stream).await;
            let head = format!("HTTP/1.1 307 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
        }
    })
    .await;
    let call = HttpCall {
        follow_redirects: true,
        insecure_skip_verify: true,
        ..call("GET", &https(&server))
    };
    let failure = failure(&call).await;
    assert_eq!(failure.kind, FailureKind::BadAnswer);
    assert!(
        failure
            .message
            .ends_with(": a redirect from https to http is not followed"),
        "{}",
        failure.message
    );
    assert_eq!(plain.connections(), 0);
}
