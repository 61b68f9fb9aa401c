//! What is read of an answer.

use std::time::{Duration, SystemTime};

use drplan_api::limits::OUTPUT_TEXT_BYTES_MAX;
use drplan_engine::effect::{Failure, FailureKind, HttpCall, Outcome};
use reqwest::{Response, Url, header::RETRY_AFTER};

use super::request::shown;
use crate::{
    clock,
    mask::Mask,
    text::{head, lossy_head},
};

/// Bytes read of a body beyond those that are kept, so that a server may end its sentence; then the connection is
/// dropped.
const DRAINED_BYTES_MAX: usize = 64 * 1024;

/// A complete answer that means success.
pub(super) struct Answer {
    pub(super) status_code: u16,
    pub(super) body: Option<String>,
}

impl Answer {
    /// The outcome of a call that took `duration`.
    pub(super) fn outcome(self, duration: Duration) -> Outcome {
        Outcome::Answered {
            status_code: self.status_code,
            duration_millis: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            body: self.body,
        }
    }
}

/// Reads the body of `response` up to its bound; the beginning of it, without what `mask` hides.
pub(super) async fn read(mut response: Response, mask: &Mask) -> reqwest::Result<String> {
    let most = OUTPUT_TEXT_BYTES_MAX + DRAINED_BYTES_MAX;
    // What is hidden may begin within what is kept and end behind it.
    let room = if mask.is_empty() {
        OUTPUT_TEXT_BYTES_MAX
    } else {
        most
    };
    let mut kept = Vec::new();
    let mut seen = 0;
    while seen < most
        && let Some(chunk) = response.chunk().await?
    {
        kept.extend_from_slice(&chunk[..chunk.len().min(room - kept.len())]);
        seen += chunk.len();
    }
    let text = lossy_head(&kept, room, seen > kept.len());
    if mask.is_empty() {
        return Ok(text);
    }
    let hidden = mask.hide(&text, seen >= most);
    Ok(head(&hidden, OUTPUT_TEXT_BYTES_MAX).to_owned())
}

/// The failure that an answer with another status is, of a call to `begin` that redirects led to `end`.
pub(super) fn refusal(call: &HttpCall, begin: &Url, end: &Url, response: &Response) -> Failure {
    let code = response.status().as_u16();
    let mut message = format!("{} {} answered {code}", call.method, shown(begin));
    if end != begin {
        message += &format!(" after a redirect to {}", shown(end));
    }
    if response.status().is_success() {
        message += ", which successCodes does not list";
    }
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    Failure {
        status_code: Some(code),
        retry_after_millis: retry_after.and_then(|value| millis_to_wait(value, wall())),
        ..Failure::new(FailureKind::HttpStatus, message)
    }
}

fn wall() -> SystemTime {
    let millis = u64::try_from(clock::now().as_millis()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// What a `Retry-After` asks for: seconds, or a date, which may be over.
fn millis_to_wait(value: &str, now: SystemTime) -> Option<u64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(
            value
                .parse::<u64>()
                .map_or(u64::MAX, |seconds| seconds.saturating_mul(1000)),
        );
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let wait = date.duration_since(now).unwrap_or_default();
    Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let check = |value, expect| assert_eq!(millis_to_wait(value, now), expect, "{value}");
        check("0", Some(0));
        check(" 120 ", Some(120_000));
        check("99999999999999999999999", Some(u64::MAX));
        check("18446744073709551615", Some(u64::MAX));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(0));
        check("Sun, 06 Nov 1994 08:50:37 GMT", Some(60_000));
        check("Sunday, 06-Nov-94 08:50:37 GMT", Some(60_000));
        check("Sun Nov  6 08:50:37 1994", Some(60_000));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("", None);
        check("-1", None);
        check("1.5", None);
        check("soon", None);
    }
}
