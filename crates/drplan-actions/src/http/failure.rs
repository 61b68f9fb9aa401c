//! What a call without an answer failed of.

use std::{error::Error, io};

use drplan_engine::effect::{Failure, FailureKind, HttpCall};
use reqwest::Url;

use super::{destinations::Refusal, request::shown};
use crate::text::one_line;

/// Bytes of a cause in a message.
const CAUSE_BYTES_MAX: usize = 200;

/// The failure of a request that ended with `error` before any answer.
pub(super) fn of(call: &HttpCall, url: &Url, error: &reqwest::Error) -> Failure {
    let (kind, cause) = classify(error);
    let message = format!(
        "{} {}: {}",
        call.method,
        shown(url),
        one_line(&cause, CAUSE_BYTES_MAX)
    );
    Failure::new(kind, message)
}

/// The failure of a call whose answer with status `code` was cut off by `error`.
pub(super) fn cut_off(call: &HttpCall, url: &Url, code: u16, error: &reqwest::Error) -> Failure {
    let (kind, cause) = classify(error);
    let cause = one_line(&cause, CAUSE_BYTES_MAX);
    let message = format!("{} {} answered {code}, but {cause}", call.method, shown(url));
    Failure {
        status_code: Some(code),
        ..Failure::new(kind, message)
    }
}

/// The same failure, if it came after a redirect: then something was sent, to where the redirect came from.
pub(super) fn after_redirect(failure: Failure, redirected: bool) -> Failure {
    if !redirected {
        return failure;
    }
    let kind = if failure.kind == FailureKind::NotConnected {
        FailureKind::ConnectionLost
    } else if [FailureKind::Tls, FailureKind::Render].contains(&failure.kind) {
        FailureKind::BadAnswer
    } else {
        failure.kind
    };
    Failure { kind, ..failure }
}

/// The failure of a call that had no complete answer within its timeout.
pub(super) fn timed_out(call: &HttpCall, url: &Url, status: Option<u16>) -> Failure {
    let seconds = std::time::Duration::from_millis(call.timeout.as_millis()).as_secs_f64();
    let what = match status {
        Some(code) => format!(" answered {code}, but its body did not end within {seconds}s"),
        None => format!(": no answer within {seconds}s"),
    };
    let message = format!("{} {}{what}", call.method, shown(url));
    Failure {
        status_code: status,
        ..Failure::new(FailureKind::Timeout, message)
    }
}

/// The kind of an error and its cause in words. Everything up to a made connection has sent nothing.
fn classify(error: &reqwest::Error) -> (FailureKind, String) {
    let causes = causes(error);
    let root = causes
        .last()
        .map_or_else(|| "no cause given".to_owned(), ToString::to_string);
    if error.is_builder() {
        return (FailureKind::Render, root);
    }
    let find = |found: fn(&Cause<'_>) -> bool| causes.iter().any(found);
    if find(|cause| cause.is::<Refusal>()) {
        return (FailureKind::Render, root);
    }
    if error.is_dns() {
        return (
            FailureKind::NotConnected,
            format!("its host does not resolve: {root}"),
        );
    }
    let io = causes
        .iter()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .next_back()
        .map(io::Error::kind);
    if io == Some(io::ErrorKind::TimedOut) {
        return (FailureKind::Timeout, root);
    }
    if error.is_connect() {
        let tls = find(|cause| cause.is::<rustls::Error>());
        return match (tls, io) {
            (true, _) => (FailureKind::Tls, format!("TLS: {root}")),
            (false, Some(io::ErrorKind::ConnectionRefused)) => {
                (FailureKind::NotConnected, "connection refused".to_owned())
            }
            (false, _) => (FailureKind::NotConnected, format!("no connection: {root}")),
        };
    }
    // From here on the request, or some of it, may have been read.
    let hyper = |test: fn(&hyper::Error) -> bool| {
        causes
            .iter()
            .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
            .any(test)
    };
    let broken_rules = hyper(hyper::Error::is_parse)
        || matches!(io, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput))
            && !find(|cause| cause.is::<rustls::Error>());
    if broken_rules {
        return (
            FailureKind::BadAnswer,
            format!("the answer is not valid HTTP: {root}"),
        );
    }
    (
        FailureKind::ConnectionLost,
        format!("the connection was lost: {root}"),
    )
}

type Cause<'a> = &'a (dyn Error + 'static);

/// The causes of `error`, outermost first, without itself: its own text shows the URL.
fn causes(error: &reqwest::Error) -> Vec<Cause<'_>> {
    let mut causes: Vec<Cause<'_>> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause);
        // An `io::Error` made of another error names that error's cause as its own and hides the error itself.
        next = match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    causes
}
