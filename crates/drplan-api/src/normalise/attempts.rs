//! Timeouts and retries, on the action or in its block.

use crate::{
    AnyShape, GoDuration,
    action::{self as written, Action},
    canonical::{Deferred, RetryPolicy},
    limits::RETRIES_MAX,
    normalise::{
        action::Kind,
        report::{Place, Report},
        scalar::{self, in_range, multiplier, whole},
    },
};

/// The wait before the first retry where none is written.
const INTERVAL: GoDuration = GoDuration::from_secs(5);
/// The longest wait where none is written.
const MAX_INTERVAL: GoDuration = GoDuration::from_secs(5 * 60);

/// The timeout of an action: `timeout`, `http.timeout` or `job.timeout`.
pub(super) fn timeout<U>(
    report: &mut Report,
    at: &Place,
    action: &Action<U>,
) -> Option<Deferred<GoDuration>> {
    let written: [(&[&str], Option<&AnyShape>); 3] = [
        (&["timeout"], action.timeout.as_ref()),
        (
            &["http", "timeout"],
            action.http.as_ref().and_then(|http| http.timeout.as_ref()),
        ),
        (
            &["job", "timeout"],
            action.job.as_ref().and_then(|job| job.timeout.as_ref()),
        ),
    ];
    let read = written.map(|(path, written)| {
        let at = path.iter().fold(at.clone(), |at, field| at.field(field));
        (path.join("."), scalar::timeout(report, &at, written))
    });
    report.agreed(at, read)
}

/// The retries of an action: `retryPolicy` or `retry`, on the action or in its block `http` or `job`.
pub(super) fn retry<U>(
    report: &mut Report,
    at: &Place,
    action: &Action<U>,
    kind: Option<Kind>,
) -> Option<RetryPolicy> {
    let http = action.http.as_ref();
    let job = action.job.as_ref();
    let written: [(&[&str], Option<&written::RetryPolicy>); 6] = [
        (&["retryPolicy"], action.retry_policy.as_ref()),
        (&["retry"], action.retry.as_ref()),
        (
            &["http", "retryPolicy"],
            http.and_then(|http| http.retry_policy.as_ref()),
        ),
        (&["http", "retry"], http.and_then(|http| http.retry.as_ref())),
        (
            &["job", "retryPolicy"],
            job.and_then(|job| job.retry_policy.as_ref()),
        ),
        (&["job", "retry"], job.and_then(|job| job.retry.as_ref())),
    ];
    let read = written.map(|(path, written)| {
        let at = path.iter().fold(at.clone(), |at, field| at.field(field));
        (
            path.join("."),
            written.and_then(|written| policy(report, &at, written, kind)),
        )
    });
    report.agreed(at, read)
}

fn policy(
    report: &mut Report,
    at: &Place,
    written: &written::RetryPolicy,
    kind: Option<Kind>,
) -> Option<RetryPolicy> {
    let limit_at = at.field("limit");
    if written.limit.is_none() {
        report.missing(
            &limit_at,
            "write how many attempts may follow the first, such as 3",
        );
    }
    let range = (0, i64::from(RETRIES_MAX));
    let limit = whole(
        report,
        &limit_at,
        written.limit.as_ref(),
        "the number of retries",
        range,
    );
    let interval = scalar::duration(report, &at.field("interval"), written.interval.as_ref())
        .unwrap_or(Deferred::Value(INTERVAL));
    let max_at = at.field("maxInterval");
    let max_interval = scalar::duration(report, &max_at, written.max_interval.as_ref());
    if let (Deferred::Value(interval), Some(Deferred::Value(max))) = (&interval, &max_interval)
        && max < interval
    {
        report.note(
            &max_at,
            format!("{max} is shorter than the interval of {interval}; write a longer maxInterval or a shorter interval"),
        );
    }
    let backoff = [
        ("backoffMultiplier", &written.backoff_multiplier),
        ("backoff", &written.backoff),
    ];
    let backoff = backoff.map(|(field, written)| {
        (
            field.to_owned(),
            multiplier(report, &at.field(field), written.as_ref()),
        )
    });
    let backoff_multiplier = report.agreed(at, backoff).unwrap_or(Deferred::Value(1.0));
    let codes = status_codes(report, &at.field("codes"), written.codes.as_ref());
    let on_timeout = written.on_timeout.unwrap_or(false);
    if !codes.is_empty() && kind.is_some_and(|kind| kind != Kind::Http) {
        report.warn(&at.field("codes"), "is only read for type HTTP; take it out");
    }
    if on_timeout && kind.is_some_and(|kind| kind != Kind::Job) {
        report.warn(
            &at.field("onTimeout"),
            "is only read for type Job, every other type is retried after a timeout anyway; take it out",
        );
    }
    Some(RetryPolicy {
        limit: match limit? {
            Deferred::Value(limit) => Deferred::Value(u32::try_from(limit).unwrap_or(RETRIES_MAX)),
            Deferred::Template(template) => Deferred::Template(template),
        },
        max_interval: max_interval.unwrap_or(match &interval {
            Deferred::Value(interval) => Deferred::Value(MAX_INTERVAL.max(*interval)),
            Deferred::Template(_) => Deferred::Value(MAX_INTERVAL),
        }),
        interval,
        backoff_multiplier,
        codes,
        on_timeout,
    })
}

/// HTTP status codes, sorted, each once.
pub(super) fn status_codes(report: &mut Report, at: &Place, written: Option<&Vec<i64>>) -> Vec<u16> {
    let written = written.map(Vec::as_slice).unwrap_or_default();
    let mut codes: Vec<u16> = Vec::with_capacity(written.len());
    for (index, code) in written.iter().enumerate() {
        let code = in_range(report, &at.item(index), *code, "the status code", (100, 599));
        codes.extend(code.and_then(|code| u16::try_from(code).ok()));
    }
    codes.sort_unstable();
    codes.dedup();
    codes
}
