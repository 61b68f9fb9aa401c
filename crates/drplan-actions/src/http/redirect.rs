//! Following redirects: by our own hand, since what may have been sent decides what a later failure means.

use drplan_engine::{
    effect::{Failure, FailureKind, HttpCall},
    sealed::Sealed,
};
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{
        ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderMap, HeaderName,
        LOCATION, USER_AGENT,
    },
};

use super::request::{IDEMPOTENCY_KEY, Prepared, shown};

/// Redirects followed at most.
const REDIRECTS_MAX: usize = 5;

/// Headers that describe the body and go with it.
const BODY_HEADERS: [HeaderName; 3] = [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE];

/// Headers that another origin may see. Any other may be a credential: `X-Api-Key` as well as `Authorization`.
const HARMLESS_HEADERS: [HeaderName; 7] = [
    ACCEPT,
    ACCEPT_LANGUAGE,
    USER_AGENT,
    IDEMPOTENCY_KEY,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
];

/// The request that `response` redirects `sent` to, or none if it is an answer; `followed` redirects came before.
///
/// On 307 and 308 the request stays what it is; on 301, 302 and 303 all but HEAD become a GET without body, as every
/// browser does. From https nothing goes on to http.
pub(super) fn next(
    call: &HttpCall,
    sent: Prepared,
    response: &Response,
    followed: usize,
) -> Result<Option<Prepared>, Failure> {
    let Some(location) = location(call, response) else {
        return Ok(None);
    };
    let bad = |why: &str| {
        let code = response.status().as_u16();
        let message = format!("{} {} answered {code}: {why}", sent.method, shown(&sent.url));
        Failure {
            status_code: Some(code),
            ..Failure::new(FailureKind::BadAnswer, message)
        }
    };
    let Ok(mut url) = sent.url.join(location) else {
        return Err(bad("it redirects to what is no URL"));
    };
    if followed >= REDIRECTS_MAX {
        return Err(bad(&format!("more than {REDIRECTS_MAX} redirects")));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it redirects to what is neither http nor https"));
    }
    if sent.url.scheme() == "https" && url.scheme() == "http" {
        return Err(bad("a redirect from https to http is not followed"));
    }
    let same = [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT].contains(&response.status());
    let sealed_body = call.sealed.as_ref().is_some_and(|sealed| sealed.is_in_body());
    if same && sealed_body && sent.body.is_some() && sent.url.origin() != url.origin() {
        return Err(bad(
            "a body with a value of a Secret or ConfigMap is not sent on to another host",
        ));
    }
    let (origin, sent_url) = (sent.url.origin(), sent.url.clone());
    let Prepared {
        mut method,
        mut headers,
        mut body,
        ..
    } = sent;
    if origin == url.origin() {
        keep_user(&mut url, &sent_url);
    } else {
        keep_only(&mut headers, &HARMLESS_HEADERS);
        if let Some(sealed) = &call.sealed {
            drop_sealed(&mut headers, sealed);
        }
    }
    if !same && method != Method::HEAD {
        method = Method::GET;
        body = None;
        for name in BODY_HEADERS {
            headers.remove(name);
        }
    }
    Ok(Some(Prepared {
        method,
        url,
        headers,
        body,
    }))
}

/// Where `response` redirects to, if redirects are followed and it is one.
fn location<'a>(call: &HttpCall, response: &'a Response) -> Option<&'a str> {
    let redirects = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if !call.follow_redirects || !redirects.contains(&response.status()) {
        return None;
    }
    response.headers().get(LOCATION)?.to_str().ok()
}

/// Gives `url` the user and password of `sent` if it has none of its own.
fn keep_user(url: &mut Url, sent: &Url) {
    if url.username().is_empty() && url.password().is_none() {
        // Both fail only for URLs without host, which these are not.
        let _ = url.set_username(sent.username());
        let _ = url.set_password(sent.password());
    }
}

/// Takes out the headers that hold a value which was read to be sent to the first host.
fn drop_sealed(headers: &mut HeaderMap, sealed: &Sealed) {
    let held: Vec<HeaderName> = headers
        .keys()
        .filter(|name| sealed.is_in_header(name.as_str()))
        .cloned()
        .collect();
    for name in held {
        headers.remove(name);
    }
}

fn keep_only(headers: &mut HeaderMap, names: &[HeaderName]) {
    let others: Vec<HeaderName> = headers
        .keys()
        .filter(|name| !names.contains(name))
        .cloned()
        .collect();
    for name in others {
        headers.remove(name);
    }
}
