//! Whether a failed attempt is followed by another, and after how long.

use drplan_api::{canonical::RetryPolicy, limits::RETRIES_MAX};
use drplan_template::Value;

use crate::{
    effect::{Failure, FailureKind},
    render::{RenderError, duration, number},
    task::Task,
};

/// HTTP statuses that are retried without being named in `codes`.
const STANDING_CODES: [u16; 3] = [408, 425, 429];

/// Milliseconds to wait before the attempt after attempt `attempt` (from 1) failed with `failure`; none if there is no
/// such attempt: no policy, the limit reached, or a failure that another attempt cannot mend.
///
/// # Errors
/// [`RenderError`] if the policy's templates do not render; then there is no further attempt either.
pub(crate) fn wait_before_next(
    task: Task<'_>,
    data: &Value,
    attempt: u32,
    failure: &Failure,
) -> Result<Option<u64>, RenderError> {
    let Some(policy) = task.retry() else {
        return Ok(None);
    };
    if !is_retriable(policy, task, failure)
        || attempt > number("retryPolicy.limit", &policy.limit, data)?.min(RETRIES_MAX)
    {
        return Ok(None);
    }
    let interval = duration("retryPolicy.interval", &policy.interval, data)?.as_millis();
    let max = duration("retryPolicy.maxInterval", &policy.max_interval, data)?.as_millis();
    let multiplier = number("retryPolicy.backoffMultiplier", &policy.backoff_multiplier, data)?.max(1.0);
    let exponent = i32::try_from(attempt - 1).unwrap_or(i32::MAX);
    // `as` saturates; a NaN (0 times infinity) gives the longest wait.
    let wait = (interval as f64 * multiplier.powi(exponent)).min(max as f64) as u64;
    Ok(Some(wait.max(failure.retry_after_millis.unwrap_or(0).min(max))))
}

/// The attempts after the first that the policy grants, for messages.
pub(crate) fn limit(task: Task<'_>, data: &Value) -> u32 {
    task.retry()
        .and_then(|policy| number("retryPolicy.limit", &policy.limit, data).ok())
        .unwrap_or(0)
        .min(RETRIES_MAX)
}

fn is_retriable(policy: &RetryPolicy, task: Task<'_>, failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::NotRead
        | FailureKind::NotConnected
        | FailureKind::ConnectionLost
        | FailureKind::ApiUnavailable
        | FailureKind::ApiConflict
        | FailureKind::JobFailed => true,
        FailureKind::Timeout => !task.is_job() || policy.on_timeout,
        FailureKind::HttpStatus => failure.status_code.is_some_and(|code| {
            code >= 500 || STANDING_CODES.contains(&code) || policy.codes.contains(&code)
        }),
        FailureKind::JobTimedOut => policy.on_timeout,
        FailureKind::Render
        | FailureKind::Tls
        | FailureKind::BadAnswer
        | FailureKind::AlreadyExists
        | FailureKind::FieldConflict
        | FailureKind::OtherObject
        | FailureKind::Forbidden
        | FailureKind::Invalid
        | FailureKind::JobLost
        | FailureKind::NotCreated
        | FailureKind::Stopped
        | FailureKind::OutcomeUnknown => false,
    }
}

/// Whether an attempt that failed so may have changed something.
pub(crate) fn effect_possible(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Render
        | FailureKind::NotRead
        | FailureKind::NotConnected
        | FailureKind::Tls
        | FailureKind::AlreadyExists
        | FailureKind::FieldConflict
        | FailureKind::OtherObject
        | FailureKind::Forbidden
        | FailureKind::NotCreated
        | FailureKind::Invalid => false,
        FailureKind::ConnectionLost
        | FailureKind::Timeout
        | FailureKind::HttpStatus
        | FailureKind::BadAnswer
        | FailureKind::ApiUnavailable
        | FailureKind::ApiConflict
        | FailureKind::JobFailed
        | FailureKind::JobTimedOut
        | FailureKind::JobLost
        | FailureKind::Stopped
        | FailureKind::OutcomeUnknown => true,
    }
}
