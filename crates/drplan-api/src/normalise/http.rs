//! The block `http`.

use std::collections::BTreeMap;

use crate::{
    ProblemKind, action as written,
    canonical::{HeaderFrom, Http, OnInterrupted},
    limits::BODY_BYTES_MAX,
    names::HTTP_METHODS,
    normalise::{
        attempts::status_codes,
        report::{Place, Report},
        scalar::{bad_name, choice, is_template, text},
        source,
    },
    workflow::ValueFrom,
};

/// The request that `written` describes.
pub(super) fn http(report: &mut Report, at: &Place, written: &written::Http) -> Option<Http> {
    let url = url(report, &at.field("url"), written.url.as_ref());
    let method = method(report, &at.field("method"), written.method.as_ref());
    let mut names = HeaderNames::default();
    headers(report, &at.field("headers"), written.headers.as_ref(), &mut names);
    let headers_from = headers_from(
        report,
        &at.field("headersFrom"),
        written.headers_from.as_ref(),
        &mut names,
    );
    if let Some(body) = &written.body {
        report.bound(
            &at.field("body"),
            "the number of bytes of the body",
            body.len(),
            BODY_BYTES_MAX,
            "send a reference to the data instead",
        );
    }
    let body_from = written.body_from.as_ref().and_then(|body_from| {
        if text(written.body.as_ref()).is_some() {
            report.exclusive(at, "body", "bodyFrom", "keep one of them");
            return None;
        }
        let beside = ValueFrom {
            secret_key_ref: body_from.secret_key_ref.clone(),
            config_map_key_ref: body_from.config_map_key_ref.clone(),
        };
        source::wrapped(
            report,
            &at.field("bodyFrom"),
            body_from.value_from.as_ref(),
            &beside,
        )
    });
    let codes = [
        ("successCodes", &written.success_codes),
        ("expectedStatusCodes", &written.expected_status_codes),
    ];
    let codes = codes.map(|(field, written)| {
        let read = written
            .as_ref()
            .map(|_| status_codes(report, &at.field(field), written.as_ref()));
        (field.to_owned(), read)
    });
    let success_codes = report.agreed(at, codes).unwrap_or_default();
    let ca_bundle = text(written.ca_bundle.as_ref());
    if ca_bundle.is_some_and(|pem| !is_template(pem) && !pem.contains("-----BEGIN CERTIFICATE-----")) {
        report.wrong_shape(
            &at.field("caBundle"),
            "no PEM text",
            "the certificates as text that begins with -----BEGIN CERTIFICATE-----",
        );
    }
    let on_interrupted = match text(written.on_interrupted.as_ref()) {
        None => Some(OnInterrupted::default()),
        Some(written) => choice(
            report,
            &at.field("onInterrupted"),
            written,
            &[("Repeat", OnInterrupted::Repeat), ("Fail", OnInterrupted::Fail)],
            "Repeat or Fail",
        ),
    };
    Some(Http {
        url: url?,
        method: method?,
        headers: written.headers.clone().unwrap_or_default(),
        headers_from,
        body: text(written.body.as_ref()).map(str::to_owned),
        body_from,
        success_codes,
        follow_redirects: written.follow_redirects.unwrap_or(false),
        ca_bundle: ca_bundle.map(str::to_owned),
        insecure_skip_verify: written.insecure_skip_verify.unwrap_or(false),
        save_body: written.save_body.unwrap_or(false),
        on_interrupted: on_interrupted?,
    })
}

fn url(report: &mut Report, at: &Place, written: Option<&String>) -> Option<String> {
    const EXAMPLE: &str =
        "a URL that begins with http:// or https://, such as https://dns.example.com/switch";
    let Some(url) = text(written) else {
        report.missing(at, format!("write {EXAMPLE}"));
        return None;
    };
    // A template at the very start may be any prefix; it is checked once it is rendered.
    if url.starts_with("{{") {
        return Some(url.to_owned());
    }
    let lower = url.to_ascii_lowercase();
    let rest = lower
        .strip_prefix("http://")
        .or_else(|| lower.strip_prefix("https://"));
    let Some(rest) = rest else {
        report.wrong_shape(at, "no http or https URL", EXAMPLE);
        return None;
    };
    if rest.is_empty() || rest.starts_with(['/', '?', '#', ':']) {
        report.wrong_shape(at, "a URL without host", EXAMPLE);
        return None;
    }
    if !is_template(url) && url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        report.wrong_shape(
            at,
            "a URL with white space in it",
            "the URL without it, or %20 in its place",
        );
        return None;
    }
    Some(url.to_owned())
}

fn method(report: &mut Report, at: &Place, written: Option<&String>) -> Option<String> {
    const EXPECTED: &str = "GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS";
    let Some(method) = text(written) else {
        return Some("GET".to_owned());
    };
    if is_template(method) {
        return Some(method.to_owned());
    }
    let upper = method.to_ascii_uppercase();
    if HTTP_METHODS.contains(&upper.as_str()) {
        return Some(upper);
    }
    report.error(
        at,
        ProblemKind::UnknownValue {
            found: method.to_owned(),
            expected: EXPECTED.to_owned(),
        },
    );
    None
}

/// The headers of one request by their names in lower case, each with its place.
#[derive(Default)]
struct HeaderNames(BTreeMap<String, Place>);

impl HeaderNames {
    /// Takes in the header `name`, which stands at `at`; what is wrong with the name itself is said of `name_at`.
    fn next(&mut self, report: &mut Report, name: &str, at: &Place, name_at: &Place) {
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            let rule = "a header name: letters, digits and -, without space or colon";
            bad_name(report, name_at, name, rule);
        }
        if let Some(first) = self.0.insert(name.to_ascii_lowercase(), at.clone()) {
            report.error(
                at,
                ProblemKind::DuplicateName {
                    name: name.to_owned(),
                    first: first.as_str().to_owned(),
                },
            );
        }
    }
}

fn headers_from(
    report: &mut Report,
    at: &Place,
    written: Option<&Vec<written::HeaderFrom>>,
    names: &mut HeaderNames,
) -> Vec<HeaderFrom> {
    let mut read = Vec::new();
    for (index, header) in written.into_iter().flatten().enumerate() {
        let at = at.item(index);
        let name = text(header.name.as_ref());
        match name {
            Some(name) => names.next(report, name, &at, &at.field("name")),
            None => report.missing(&at.field("name"), "write the header's name"),
        }
        let beside = ValueFrom {
            secret_key_ref: header.secret_key_ref.clone(),
            config_map_key_ref: header.config_map_key_ref.clone(),
        };
        let source = source::wrapped(report, &at, header.value_from.as_ref(), &beside);
        read.extend(name.zip(source).map(|(name, value_from)| HeaderFrom {
            name: name.to_owned(),
            value_from,
        }));
    }
    read
}

fn headers(
    report: &mut Report,
    at: &Place,
    written: Option<&BTreeMap<String, String>>,
    names: &mut HeaderNames,
) {
    for (name, value) in written.into_iter().flatten() {
        let header_at = at.field(name);
        names.next(report, name, &header_at, at);
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            report.note(
                &header_at,
                "has a line break or another control character, which no header may have; write it on one line",
            );
        }
    }
}

/// Whether a byte may stand in a header name (RFC 9110, token).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
