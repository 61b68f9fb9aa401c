//! From a rendered call to a request.

use drplan_engine::effect::{EffectIdentity, Failure, FailureKind, HttpCall};
use reqwest::{
    Method, Request, Url,
    header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING},
};

use crate::text::{head, one_line};

/// The header that carries the identity of the effect.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The parsed URL of a call.
pub(super) fn url(text: &str) -> Result<Url, Failure> {
    let bad = |why: &str| Failure::new(FailureKind::Render, format!("the URL {why}"));
    let url = Url::parse(text).map_err(|error| bad(&format!("is none: {error}")))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(bad(&format!(
            "begins with `{}:`; write http: or https:",
            one_line(scheme, 16)
        ))),
    }
}

/// A request, to be sent or to be changed by a redirect.
pub(super) struct Prepared {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<String>,
}

impl Prepared {
    /// The request as `client` sends it; a user and password in the URL become a header.
    pub(super) fn for_client(&self, client: &reqwest::Client) -> reqwest::Result<Request> {
        self.to(client, self.url.clone())
    }

    /// The request as a client sends it whose resolver says the port as well. A port in the URL would go before that
    /// one, so it stands in the `Host` header only.
    pub(super) fn for_pinned_client(&self, client: &reqwest::Client) -> reqwest::Result<Request> {
        let mut url = self.url.clone();
        // Fails only for URLs without host, which these are not.
        let _ = url.set_port(None);
        let mut request = self.to(client, url)?;
        let authority = HeaderValue::from_str(&authority(&self.url));
        // A host that was pinned is made of letters that a header may have.
        if let Ok(authority) = authority
            && !request.headers().contains_key(HOST)
        {
            request.headers_mut().insert(HOST, authority);
        }
        Ok(request)
    }

    fn to(&self, client: &reqwest::Client, url: Url) -> reqwest::Result<Request> {
        let request = client
            .request(self.method.clone(), url)
            .headers(self.headers.clone());
        match &self.body {
            Some(body) => request.body(body.clone()).build(),
            None => request.build(),
        }
    }
}

/// The request of `call`: the author's headers, and the key of its effect unless the author wrote one. Headers that
/// belong to the connection (`Content-Length`, `Transfer-Encoding`, `Connection`) follow from the body.
pub(super) fn build(identity: &EffectIdentity, call: &HttpCall, url: &Url) -> Result<Prepared, Failure> {
    let method = Method::from_bytes(call.method.as_bytes())
        .map_err(|_| none(call, url, "the method is no HTTP method"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &call.headers {
        let bad = |what: &str| {
            none(
                call,
                url,
                &format!("the {what} of header `{}` is not valid", one_line(name, 64)),
            )
        };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("name"))?;
        let value = HeaderValue::from_str(value).map_err(|_| bad("value"))?;
        if ![CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION].contains(&header) {
            headers.append(header, value);
        }
    }
    if !headers.contains_key(IDEMPOTENCY_KEY) {
        let key = HeaderValue::from_str(&identity.idempotency_key())
            .map_err(|_| none(call, url, "the path of the action is no header value"))?;
        headers.insert(IDEMPOTENCY_KEY, key);
    }
    Ok(Prepared {
        method,
        url: url.clone(),
        headers,
        body: call.body.clone(),
    })
}

/// The failure of a request that is none, so that nothing was sent.
pub(super) fn none(call: &HttpCall, url: &Url, why: &str) -> Failure {
    Failure::new(
        FailureKind::Render,
        format!("{} {}: {why}", one_line(&call.method, 16), shown(url)),
    )
}

/// Bytes of a URL in a message: the cause must fit behind it.
const URL_BYTES_MAX: usize = 120;

/// The URL as messages show it: without user, password, query and fragment, which may hold secrets.
pub(super) fn shown(url: &Url) -> String {
    let whole = format!("{}://{}{}", url.scheme(), authority(url), url.path());
    let short = head(&whole, URL_BYTES_MAX);
    if short.len() < whole.len() {
        format!("{short}…")
    } else {
        whole
    }
}

/// Host and port, the port only if it is not that of the scheme.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_show_a_url_without_its_secrets() {
        let check = |text, expect: &str| assert_eq!(shown(&url(text).unwrap()), expect);
        check(
            "https://u:p@db.example.com/failover?token=s#f",
            "https://db.example.com/failover",
        );
        check("http://[::1]:8080", "http://[::1]:8080/");
        check("https://db.example.com:443/a", "https://db.example.com/a");
        let long = format!("https://a/{}", "b".repeat(500));
        check(&long, &format!("{}…", &long[..URL_BYTES_MAX]));
    }

    #[test]
    fn a_url_that_is_none_is_not_repeated_in_the_message() {
        for text in [
            "",
            "db.example.com/token",
            "http://",
            "http://a:99999/?k=token",
            "ftp://token@a/",
            "file:///x",
        ] {
            let failure = url(text).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Render, "{text}");
            assert!(!failure.message.contains("token"), "{}", failure.message);
        }
        assert_eq!(
            url("ftp://a/").unwrap_err().message,
            "the URL begins with `ftp:`; write http: or https:"
        );
    }
}
