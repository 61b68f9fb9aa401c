//! Values that are read when they are sent.

use crate::{
    names::is_dns_subdomain,
    normalise::{
        report::{Place, Report},
        scalar::{bad_name, text},
    },
    source::{Source, SourceKey},
    workflow::{KeyRef, ValueFrom},
};

const EXAMPLE: &str = "secretKeyRef or configMapKeyRef with name and key";
const NAME_RULE: &str = "the name of a Secret or ConfigMap: lower-case letters, digits, - and ., no template";
const KEY_RULE: &str = "a key of it: letters, digits, -, _ and ., at most 253, no template";

/// What `written` refers to.
pub(super) fn source(report: &mut Report, at: &Place, written: &ValueFrom) -> Option<Source> {
    let secret = written.secret_key_ref.as_ref();
    let config_map = written.config_map_key_ref.as_ref();
    match (secret, config_map) {
        (None, None) => {
            report.missing(at, format!("write {EXAMPLE}"));
            None
        }
        (Some(_), Some(_)) => {
            report.exclusive(at, "secretKeyRef", "configMapKeyRef", "keep one of them");
            None
        }
        (Some(written), None) => key(report, &at.field("secretKeyRef"), written).map(Source::Secret),
        (None, Some(written)) => key(report, &at.field("configMapKeyRef"), written).map(Source::ConfigMap),
    }
}

/// The same where `valueFrom` may stand around it or not.
pub(super) fn wrapped(
    report: &mut Report,
    at: &Place,
    value_from: Option<&ValueFrom>,
    beside: &ValueFrom,
) -> Option<Source> {
    let has_beside = *beside != ValueFrom::default();
    match value_from {
        Some(_) if has_beside => {
            report.exclusive(at, "valueFrom", "the reference beside it", "keep one of them");
            None
        }
        Some(value_from) => source(report, &at.field("valueFrom"), value_from),
        None if has_beside => source(report, at, beside),
        None => {
            report.missing(&at.field("valueFrom"), format!("write {EXAMPLE}"));
            None
        }
    }
}

fn key(report: &mut Report, at: &Place, written: &KeyRef) -> Option<SourceKey> {
    let name = named(
        report,
        &at.field("name"),
        written.name.as_ref(),
        is_dns_subdomain,
        NAME_RULE,
    );
    let key = named(report, &at.field("key"), written.key.as_ref(), is_key, KEY_RULE);
    Some(SourceKey {
        name: name?,
        key: key?,
    })
}

fn named(
    report: &mut Report,
    at: &Place,
    written: Option<&String>,
    fits: fn(&str) -> bool,
    rule: &'static str,
) -> Option<String> {
    let Some(written) = text(written) else {
        report.missing(at, format!("write {rule}"));
        return None;
    };
    if !fits(written) {
        bad_name(report, at, written, rule);
        return None;
    }
    Some(written.to_owned())
}

/// Whether Kubernetes takes `text` for a key of a Secret or ConfigMap.
fn is_key(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=253).contains(&text.len()) && text.bytes().all(fits) && !matches!(text, "." | "..")
}
