//! Attacks on where calls may go, and on what an answer may cost.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use drplan_engine::effect::{Failure, FailureKind, HttpCall, Outcome};
use tokio::io::AsyncWriteExt;

use crate::mask::Mask;

use super::{
    super::{HttpCaller, HttpSettings, resolver::Lookup},
    answered, call, failure, identity, post,
    server::{Server, Then, answer},
};

const METADATA: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 254));
const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// A server that says yes to everything.
async fn willing() -> Server {
    Server::start(async |_, mut stream| answer(&mut stream, "200 OK", "yes").await).await
}

fn settings(allow: &[&str], deny: &[&str]) -> HttpSettings {
    let mut settings = HttpSettings::default();
    settings.destinations.allow = allow.iter().map(|text| text.parse().unwrap()).collect();
    settings.destinations.deny = deny.iter().map(|text| text.parse().unwrap()).collect();
    settings
}

/// A caller for which a name resolves to `first` the first time, and to `then` from then on; and how often it asked.
fn rebinding(settings: HttpSettings, first: &[IpAddr], then: &[IpAddr]) -> (HttpCaller, Arc<AtomicUsize>) {
    let asked: Arc<AtomicUsize> = Arc::default();
    let (counted, first, then) = (asked.clone(), first.to_vec(), then.to_vec());
    let says = move |_: &str| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => first.clone(),
        _ => then.clone(),
    };
    let caller = HttpCaller::looking_up(settings, Lookup::Scripted(Arc::new(says)));
    (caller, asked)
}

async fn refused(caller: &HttpCaller, call: &HttpCall) -> Failure {
    let outcome = caller.call(&identity(), call, &Mask::default()).await;
    let Outcome::Failed(failure) = outcome else {
        panic!("{outcome:?}")
    };
    failure
}

async fn succeeds(caller: &HttpCaller, call: &HttpCall) {
    let outcome = caller.call(&identity(), call, &Mask::default()).await;
    assert!(matches!(outcome, Outcome::Answered { .. }), "{outcome:?}");
}

/// `server`'s URL under a name.
fn named(server: &Server, path: &str) -> String {
    server.url(path).replace("127.0.0.1", "rebind.invalid")
}

#[tokio::test]
async fn a_name_that_resolves_to_a_denied_address_is_not_called() {
    let server = willing().await;
    let caller = HttpCaller::new(settings(&[], &["127.0.0.0/8", "::1"]));
    let url = server.url("/").replace("127.0.0.1", "localhost");
    let failure = refused(&caller, &post(&url)).await;
    assert_eq!(failure.kind, FailureKind::Render, "{}", failure.message);
    assert!(
        failure.message.contains("is denied by --http-deny="),
        "{}",
        failure.message
    );
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_a_call_and_judged_anew_for_the_next() {
    let server = willing().await;
    let (caller, asked) = rebinding(HttpSettings::default(), &[LOOPBACK], &[METADATA]);
    let url = named(&server, "/");
    // The answer that was judged is the one that is connected to: a second one would be the attacker's.
    succeeds(&caller, &post(&url)).await;
    assert_eq!((asked.load(Ordering::SeqCst), server.connections()), (1, 1));
    let failure = refused(&caller, &post(&url)).await;
    assert_eq!(failure.kind, FailureKind::Render);
    assert_eq!(
        failure.message,
        format!(
            "POST {url}: rebind.invalid (169.254.169.254) is link-local, where clouds serve metadata, which only an \
             address or range in --http-allow opens"
        )
    );
    assert_eq!((asked.load(Ordering::SeqCst), server.connections()), (2, 1));
}

#[tokio::test]
async fn a_name_that_is_allowed_reaches_no_closed_address_and_of_several_only_the_permitted_ones() {
    let server = willing().await;
    let url = named(&server, "/");
    for address in [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "0.0.0.0",
        "::",
    ] {
        let address = [address.parse().unwrap()];
        let (caller, _) = rebinding(settings(&["rebind.invalid"], &[]), &address, &address);
        let failure = refused(&caller, &post(&url)).await;
        assert!(
            failure.message.contains("in --http-allow opens"),
            "{}",
            failure.message
        );
    }
    assert_eq!(server.connections(), 0);
    let (caller, _) = rebinding(HttpSettings::default(), &[METADATA, LOOPBACK], &[]);
    succeeds(&caller, &post(&url)).await;
}

#[tokio::test]
async fn what_is_not_allowed_is_not_even_looked_up() {
    let server = willing().await;
    let (caller, asked) = rebinding(settings(&["db.invalid"], &[]), &[LOOPBACK], &[LOOPBACK]);
    let failure = refused(&caller, &post(&named(&server, "/"))).await;
    assert!(
        failure
            .message
            .ends_with("rebind.invalid is not among the destinations of --http-allow"),
        "{}",
        failure.message
    );
    assert_eq!((asked.load(Ordering::SeqCst), server.connections()), (0, 0));
}

#[tokio::test]
async fn an_address_in_a_url_is_judged_however_it_is_spelled() {
    let server = willing().await;
    let port = server.url("").rsplit(':').next().unwrap().to_owned();
    let caller = HttpCaller::new(settings(&[], &["127.0.0.0/8"]));
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "[::ffff:127.0.0.1]",
    ] {
        let failure = refused(&caller, &post(&format!("http://{host}:{port}/?k=s3cret"))).await;
        assert_eq!(failure.kind, FailureKind::Render, "{host}");
        let expect = ": 127.0.0.1 is denied by --http-deny=127.0.0.0/8";
        assert!(failure.message.ends_with(expect), "{host}: {}", failure.message);
    }
    for host in ["0", "0.0.0.0", "[::]", "[::ffff:0:0]"] {
        let failure = refused(&caller, &post(&format!("http://{host}:{port}/"))).await;
        assert!(
            failure.message.contains("this machine under another name"),
            "{}",
            failure.message
        );
    }
    assert_eq!(server.connections(), 0);
}

/// A server that redirects to `location`.
async fn redirecting(location: &str) -> Server {
    let words = format!("HTTP/1.1 307 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    Server::saying(words, Then::Close).await
}

#[tokio::test]
async fn each_redirect_is_judged_as_the_first_address_is() {
    let target = willing().await;
    for location in [
        "http://169.254.169.254/latest/meta-data/",
        "http://0xa9fea9fe/",
        "http://[::ffff:169.254.169.254]/",
        "http://100.100.100.200/latest/meta-data/",
        "//169.254.169.254/",
        &named(&target, "/"),
    ] {
        let server = redirecting(location).await;
        let (caller, _) = rebinding(HttpSettings::default(), &[METADATA], &[METADATA]);
        let following = HttpCall {
            follow_redirects: true,
            ..post(&server.url("/"))
        };
        let failure = refused(&caller, &following).await;
        // Something was sent to the first server, so it is no longer as if nothing had happened.
        assert_eq!(failure.kind, FailureKind::BadAnswer, "{location}");
        assert!(
            failure
                .message
                .contains("which only an address or range in --http-allow opens"),
            "{location}: {}",
            failure.message
        );
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_proxy_gets_every_call_whose_host_is_permitted() {
    let proxy = willing().await;
    let through = |allow: &[&str], deny: &[&str]| {
        HttpCaller::new(HttpSettings {
            proxy: Some(proxy.url("").parse().unwrap()),
            ..settings(allow, deny)
        })
    };
    succeeds(&through(&[], &[]), &post("http://db.invalid/a")).await;
    let request = proxy.requests().await.remove(0);
    assert!(
        request.starts_with("POST http://db.invalid/a HTTP/1.1\r\n"),
        "{request}"
    );
    let check = async |allow: &[&str], deny: &[&str], url: &str, expect: &str| {
        let failure = refused(&through(allow, deny), &post(url)).await;
        assert_eq!(failure.kind, FailureKind::Render, "{}", failure.message);
        assert!(failure.message.contains(expect), "{}", failure.message);
    };
    check(
        &[],
        &["*.invalid"],
        "http://db.invalid/",
        "denied by --http-deny=*.invalid",
    )
    .await;
    check(
        &["10.0.0.0/8"],
        &[],
        "http://db.invalid/",
        "not among the destinations of --http-allow",
    )
    .await;
    check(&[], &[], "http://169.254.169.254/", "link-local").await;
    check(
        &[],
        &[],
        "http://metadata.google.internal/",
        "only its name in --http-allow opens",
    )
    .await;
    assert_eq!(proxy.connections(), 1);
}

/// What a call with a bounded answer costs is little, however much is sent.
#[tokio::test]
async fn a_head_without_end_is_dropped() {
    for begin in ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nX: "] {
        let server = Server::start(async move |_, mut stream| {
            stream.write_all(begin.as_bytes()).await.unwrap();
            let more = if begin.ends_with('\n') {
                "X-Filler: aaaaaaaaaaaaaaaa\r\n"
            } else {
                "aaaaaaaaaaaaaaaa"
            };
            while stream.write_all(more.as_bytes()).await.is_ok() {}
        })
        .await;
        let failure = failure(&post(&server.url("/"))).await;
        assert_eq!(failure.kind, FailureKind::BadAnswer, "{}", failure.message);
        server.ended().await;
    }
}

#[tokio::test]
async fn a_packed_answer_is_kept_as_it_was_sent() {
    // 100 MiB of zeros, as gzip packs them, is 100 KiB; the beginning is what any server could say.
    let packed = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xed, 0xc1, 1, 1, 0, 0];
    let mut words = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 16\r\n\r\n".to_vec();
    words.extend(packed);
    let server = Server::saying(words, Then::Close).await;
    let mut call = HttpCall {
        keep_body: true,
        ..call("GET", &server.url("/"))
    };
    call.headers
        .insert("Accept-Encoding".to_owned(), "gzip".to_owned());
    let (_, body) = answered(&call).await;
    assert_eq!(body.unwrap(), String::from_utf8_lossy(&packed));
}

#[tokio::test]
async fn endless_chunks_and_notices_end_with_the_timeout_or_the_bound() {
    let chunks = Server::start(async |_, mut stream| {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head).await.unwrap();
        while stream.write_all(b"400\r\n").await.is_ok()
            && stream.write_all(&[b'x'; 1024]).await.is_ok()
            && stream.write_all(b"\r\n").await.is_ok()
        {}
    })
    .await;
    let (_, body) = answered(&HttpCall {
        keep_body: true,
        ..call("GET", &chunks.url("/"))
    })
    .await;
    assert_eq!(body.unwrap().len(), 4096);
    chunks.ended().await;

    let dripping = Server::start(async |_, mut stream| {
        while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let failure = failure(&HttpCall {
        timeout: drplan_api::GoDuration::from_secs(1),
        ..post(&dripping.url("/"))
    })
    .await;
    assert_eq!(failure.kind, FailureKind::Timeout, "{}", failure.message);
    dripping.ended().await;
}

#[tokio::test]
async fn a_redirects_own_body_is_not_awaited() {
    let target = willing().await;
    let location = target.url("/");
    let head = format!("HTTP/1.1 302 X\r\nLocation: {location}\r\nContent-Length: 99999999\r\n\r\n");
    let server = Server::saying(head, Then::Hang).await;
    answered(&HttpCall {
        follow_redirects: true,
        ..call("GET", &server.url("/"))
    })
    .await;
}
