//! Texts, names, choices, numbers and durations.

use serde_json::Value;

use crate::{
    AnyShape, GoDuration, ProblemKind,
    any_shape::shape_name,
    canonical::Deferred,
    limits::TIMEOUT_SECONDS_MAX,
    names::{is_dns_label, is_dns_subdomain, too_long_for_label},
    normalise::report::{Place, Report},
};

/// Whether `text` is to be rendered before it means anything.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// `value` unless it is empty: an empty text is as good as none.
pub(super) fn text(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|text| !text.is_empty())
}

/// The meaning of `written`, one of `choices`; `expected` lists them for the message.
pub(super) fn choice<T: Copy>(
    report: &mut Report,
    at: &Place,
    written: &str,
    choices: &[(&str, T)],
    expected: &str,
) -> Option<T> {
    let found = choices.iter().find(|(name, _)| *name == written);
    if found.is_none() {
        report.error(
            at,
            ProblemKind::UnknownValue {
                found: written.to_owned(),
                expected: expected.to_owned(),
            },
        );
    }
    found.map(|(_, meaning)| *meaning)
}

/// A namespace, checked unless it is a template and `templates` are possible.
pub(super) fn namespace(
    report: &mut Report,
    at: &Place,
    written: Option<&String>,
    templates: bool,
) -> Option<String> {
    let written = text(written)?;
    if !(templates && is_template(written) || is_dns_label(written)) {
        bad_name(
            report,
            at,
            written,
            "a namespace: lower-case letters, digits and -, at most 63",
        );
    }
    Some(written.to_owned())
}

/// A required object name, checked unless it is a template and `templates` are possible.
pub(super) fn object_name(
    report: &mut Report,
    at: &Place,
    written: Option<&String>,
    templates: bool,
    remedy: &str,
) -> Option<String> {
    let Some(written) = text(written) else {
        report.missing(at, remedy);
        return None;
    };
    if !(templates && is_template(written) || is_dns_subdomain(written)) {
        bad_name(
            report,
            at,
            written,
            "the name of an object: lower-case letters, digits, - and ., beginning and ending with a letter or digit",
        );
        return None;
    }
    Some(written.to_owned())
}

/// Refuses the name of a plan or an execution that does not fit into a label.
pub(super) fn short_name(report: &mut Report, at: &Place, name: &str) {
    report.extend(too_long_for_label(at.as_str(), name));
}

pub(super) fn bad_name(report: &mut Report, at: &Place, found: &str, rule: &'static str) {
    report.error(
        at,
        ProblemKind::BadName {
            found: found.to_owned(),
            rule,
        },
    );
}

/// A duration or a template of one.
pub(super) fn duration(
    report: &mut Report,
    at: &Place,
    written: Option<&AnyShape>,
) -> Option<Deferred<GoDuration>> {
    match written.map(|shape| &shape.0) {
        Some(Value::String(text)) if is_template(text) => Some(Deferred::Template(text.clone())),
        _ => plain_duration(report, at, written).map(Deferred::Value),
    }
}

/// A duration that no template can stand for, at most 24 h.
pub(super) fn plain_duration(
    report: &mut Report,
    at: &Place,
    written: Option<&AnyShape>,
) -> Option<GoDuration> {
    let max = GoDuration::from_secs(TIMEOUT_SECONDS_MAX);
    match &written?.0 {
        Value::String(text) => match text.parse::<GoDuration>() {
            Ok(found) if found > max => {
                report.error(at, ProblemKind::TooLong { found, max });
                None
            }
            Ok(duration) => Some(duration),
            Err(source) => {
                report.error(at, ProblemKind::Duration { source });
                None
            }
        },
        Value::Null => None,
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            let expected = "a duration with its unit, such as 30s, 5m or 1h30m";
            report.wrong_shape(at, shape_name(other), expected);
            None
        }
    }
}

/// A timeout: a duration above zero.
pub(super) fn timeout(
    report: &mut Report,
    at: &Place,
    written: Option<&AnyShape>,
) -> Option<Deferred<GoDuration>> {
    let duration = duration(report, at, written)?;
    if duration == Deferred::Value(GoDuration::default()) {
        zero_timeout(report, at);
        return None;
    }
    Some(duration)
}

pub(super) fn zero_timeout(report: &mut Report, at: &Place) {
    report.note(
        at,
        "a timeout of zero would end every attempt at once; write one above zero, such as 30s, or leave it out",
    );
}

/// A whole number from `min` to `max` (a number, or a text that holds one), or a template of one.
pub(super) fn whole(
    report: &mut Report,
    at: &Place,
    written: Option<&AnyShape>,
    what: &'static str,
    (min, max): (i64, i64),
) -> Option<Deferred<i64>> {
    let found = match &written?.0 {
        Value::String(text) if is_template(text) => return Some(Deferred::Template(text.clone())),
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole_float)),
        Value::Null => return None,
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let Some(found) = found else {
        let expected = format!("a whole number of {min} to {max}");
        report.wrong_shape(at, number_shape(written), &expected);
        return None;
    };
    in_range(report, at, found, what, (min, max)).map(Deferred::Value)
}

/// `found` if it is from `min` to `max`.
pub(super) fn in_range(
    report: &mut Report,
    at: &Place,
    found: i64,
    what: &'static str,
    (min, max): (i64, i64),
) -> Option<i64> {
    if found < min {
        report.error(at, ProblemKind::TooSmall { min });
        return None;
    }
    if found > max {
        report.error(
            at,
            ProblemKind::TooMany {
                what,
                found: found.unsigned_abs(),
                max: max.unsigned_abs(),
                remedy: "write a smaller number",
            },
        );
        return None;
    }
    Some(found)
}

/// A number of 1 or more (or a text that holds one), or a template of one.
pub(super) fn multiplier(
    report: &mut Report,
    at: &Place,
    written: Option<&AnyShape>,
) -> Option<Deferred<f64>> {
    let found = match &written?.0 {
        Value::String(text) if is_template(text) => return Some(Deferred::Template(text.clone())),
        Value::String(text) => text.parse::<f64>().ok().filter(|number| number.is_finite()),
        Value::Number(number) => number.as_f64(),
        Value::Null => return None,
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    match found {
        Some(number) if number >= 1.0 => Some(Deferred::Value(number)),
        Some(_) => {
            report.error(at, ProblemKind::TooSmall { min: 1 });
            None
        }
        None => {
            report.wrong_shape(
                at,
                number_shape(written),
                "a number of 1 or more, such as 2 or 1.5",
            );
            None
        }
    }
}

/// The whole number that `float` is, if it is one.
fn whole_float(float: f64) -> Option<i64> {
    // 2^53: up to here every whole number has a float of its own.
    (float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0).then_some(float as i64)
}

/// What stands where a number should.
fn number_shape(written: Option<&AnyShape>) -> &'static str {
    match written.map(|shape| &shape.0) {
        Some(Value::Number(number))
            if number.as_i64().is_none() && number.as_f64().is_some_and(|n| n.fract() == 0.0) =>
        {
            "a number beyond 64 bits"
        }
        Some(Value::Number(_)) => "a fraction",
        Some(Value::String(_)) => "text that is no number",
        Some(value @ (Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_))) => {
            shape_name(value)
        }
        None => "nothing",
    }
}
