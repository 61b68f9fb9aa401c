//! What the API server's refusals mean.

use std::time::Duration;

use drplan_api::is_denial;
use drplan_engine::effect::{Failure, FailureKind};
use kube::core::Status;

use crate::text::one_line;

/// Why a request to the API server did not work.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// `ApiUnavailable`, `ApiConflict`, `AlreadyExists`, `Forbidden` or `Invalid`.
    pub kind: FailureKind,
    /// One line of at most [`MESSAGE_BYTES_MAX`] bytes: the server's own words, or the cause of a broken exchange.
    pub message: String,
    /// The status code, if there was an answer.
    pub code: Option<u16>,
    /// Milliseconds that the server asked to wait.
    pub retry_after_millis: Option<u64>,
    /// Whether the server may have done what was asked although it did not say so.
    pub may_have_happened: bool,
}

/// Bytes of a message: a proxy may answer with a page.
pub const MESSAGE_BYTES_MAX: usize = 1024;

impl ApiError {
    /// What `error` means.
    pub fn of(error: &kube::Error) -> Self {
        if let kube::Error::Api(status) = error {
            return Self::answered(status);
        }
        let built = matches!(error, kube::Error::BuildRequest(_) | kube::Error::HttpError(_));
        Self {
            kind: if built {
                FailureKind::Invalid
            } else {
                FailureKind::ApiUnavailable
            },
            message: one_line(&root_cause(error), MESSAGE_BYTES_MAX),
            code: None,
            retry_after_millis: None,
            may_have_happened: !built && !never_connected(error),
        }
    }

    /// A request that was refused before it was sent.
    pub fn refused(message: impl Into<String>) -> Self {
        let message = one_line(&message.into(), MESSAGE_BYTES_MAX);
        Self {
            kind: FailureKind::Invalid,
            message,
            code: None,
            retry_after_millis: None,
            may_have_happened: false,
        }
    }

    /// A request that had no answer within `patience`.
    pub fn timed_out(patience: Duration) -> Self {
        Self {
            kind: FailureKind::ApiUnavailable,
            message: format!(
                "the API server did not answer within {:.1}s",
                patience.as_secs_f64()
            ),
            code: None,
            retry_after_millis: None,
            may_have_happened: true,
        }
    }

    /// An answer that says it is a success and is no object.
    pub fn unreadable() -> Self {
        Self {
            kind: FailureKind::ApiUnavailable,
            message: "the API server's answer is no object".to_owned(),
            code: None,
            retry_after_millis: None,
            may_have_happened: true,
        }
    }

    /// Whether the object was gone or had changed since it was read, so that the next read tells. A webhook that refuses
    /// with these codes does not say so.
    pub fn is_overtaken(&self) -> bool {
        let by_code = matches!(self.code, Some(404 | 409));
        by_code && !is_denial(&self.message)
    }

    /// Whether the same request may work later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, FailureKind::ApiUnavailable | FailureKind::ApiConflict)
    }

    /// The failure of an attempt to do `what`.
    pub fn failure(&self, what: &str) -> Failure {
        Failure {
            status_code: self.code,
            retry_after_millis: self.retry_after_millis,
            ..Failure::new(self.kind, format!("{what}: {}", self.message))
        }
    }

    fn answered(status: &Status) -> Self {
        let details = status.details.as_ref();
        let seconds = details
            .map(|details| u64::from(details.retry_after_seconds))
            .filter(|s| *s > 0);
        let message = if status.message.is_empty() {
            &status.reason
        } else {
            &status.message
        };
        Self {
            kind: kind_of(status),
            message: match message.as_str() {
                "" => format!("the API server answered {}", status.code),
                message => one_line(message, MESSAGE_BYTES_MAX),
            },
            code: (status.code != 0).then_some(status.code),
            retry_after_millis: seconds.map(|seconds| seconds * 1000),
            // 429 is said before anything is done; 500 and 504 may come after, and 502 and 503 from a proxy.
            may_have_happened: status.code >= 500 && !is_denial(&status.message),
        }
    }
}

/// The kind of failure that an answer is.
fn kind_of(status: &Status) -> FailureKind {
    // A denial carries whatever code its author chose, 403 by default of webhooks.
    if is_denial(&status.message) || is_for_a_terminating_namespace(status) {
        return FailureKind::Invalid;
    }
    match status.code {
        401 | 403 => FailureKind::Forbidden,
        409 if status.reason == "AlreadyExists" => FailureKind::AlreadyExists,
        409 => FailureKind::ApiConflict,
        408 | 425 | 429 | 500.. => FailureKind::ApiUnavailable,
        _ => FailureKind::Invalid,
    }
}

/// Whether nothing can be made because the namespace is being deleted: said with 403, and yet no missing right.
fn is_for_a_terminating_namespace(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .into_iter()
        .any(|cause| cause.reason == "NamespaceTerminating")
}

/// Whether the connection was never made, so that nothing was sent.
fn never_connected(error: &kube::Error) -> bool {
    causes(error).any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused)
    })
}

/// The innermost cause: the outer ones only say where it was seen.
fn root_cause(error: &kube::Error) -> String {
    causes(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

/// `error` and its causes, outermost first.
fn causes(error: &kube::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| {
        error.source()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, reason: &str, message: &str) -> ApiError {
        ApiError::of(&kube::Error::Api(
            Status::failure(message, reason).with_code(code).boxed(),
        ))
    }

    #[test]
    fn answers_of_the_api_server_are_told_apart() {
        let check =
            |code, reason: &str, kind| assert_eq!(of(code, reason, "no").kind, kind, "{code} {reason}");
        check(400, "BadRequest", FailureKind::Invalid);
        check(401, "Unauthorized", FailureKind::Forbidden);
        check(403, "Forbidden", FailureKind::Forbidden);
        check(404, "NotFound", FailureKind::Invalid);
        check(408, "Timeout", FailureKind::ApiUnavailable);
        check(409, "AlreadyExists", FailureKind::AlreadyExists);
        check(409, "Conflict", FailureKind::ApiConflict);
        check(413, "RequestEntityTooLarge", FailureKind::Invalid);
        check(422, "Invalid", FailureKind::Invalid);
        check(429, "TooManyRequests", FailureKind::ApiUnavailable);
        check(500, "InternalError", FailureKind::ApiUnavailable);
        check(503, "ServiceUnavailable", FailureKind::ApiUnavailable);
        check(504, "Timeout", FailureKind::ApiUnavailable);
    }

    #[test]
    fn a_webhooks_refusal_is_no_missing_right() {
        let refusal = of(
            403,
            "Forbidden",
            "admission webhook \"quota.example.com\" denied the request: too many",
        );
        assert_eq!(refusal.kind, FailureKind::Invalid);
        let refusal = of(
            403,
            "Forbidden",
            "jobs.batch \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: too many",
        );
        assert_eq!(refusal.kind, FailureKind::Invalid);
    }

    #[test]
    fn a_webhook_says_nothing_by_its_code() {
        let words = "admission webhook \"quota.example.com\" denied the request: too many";
        for (code, reason) in [
            (404, "NotFound"),
            (409, "AlreadyExists"),
            (409, "Conflict"),
            (429, "TooManyRequests"),
            (500, "InternalError"),
        ] {
            let refusal = of(code, reason, words);
            assert_eq!(refusal.kind, FailureKind::Invalid, "{code}");
            assert!(!refusal.is_overtaken() && !refusal.may_have_happened, "{code}");
        }
        assert!(of(404, "NotFound", "jobs.batch \"a\" not found").is_overtaken());
        assert!(of(409, "Conflict", "the object has been modified").is_overtaken());
    }

    #[test]
    fn messages_are_one_bounded_line() {
        let page = of(502, "Failed to parse error data", &"<html>\n".repeat(1000));
        assert!(page.message.len() <= MESSAGE_BYTES_MAX + '…'.len_utf8() && !page.message.contains('\n'));
        assert_eq!(of(503, "", "").message, "the API server answered 503");
        let failure = of(422, "Invalid", "spec.template: Required value").failure("create Job shop/a");
        assert_eq!(
            failure.message,
            "create Job shop/a: spec.template: Required value"
        );
        assert_eq!(failure.status_code, Some(422));
    }

    #[test]
    fn only_what_may_have_been_done_is_said_to_be() {
        assert!(!of(429, "TooManyRequests", "").may_have_happened);
        assert!(!of(403, "Forbidden", "").may_have_happened);
        assert!(of(504, "Timeout", "").may_have_happened);
        let io = |kind| ApiError::of(&kube::Error::Service(Box::new(std::io::Error::from(kind))));
        assert!(!io(std::io::ErrorKind::ConnectionRefused).may_have_happened);
        assert!(io(std::io::ErrorKind::ConnectionReset).may_have_happened);
        assert_eq!(
            io(std::io::ErrorKind::ConnectionReset).kind,
            FailureKind::ApiUnavailable
        );
    }
}
