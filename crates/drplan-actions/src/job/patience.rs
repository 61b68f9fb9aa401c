//! How long an API server that does not answer is asked again.

use std::time::Duration;

use tokio::time::Instant;

use crate::ApiError;

/// The first wait after a failed request; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// The longest wait between two requests.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// How long a refusal is taken for a passing one: RBAC and authenticating webhooks settle within a minute.
const REFUSED_MAX: Duration = Duration::from_secs(2 * 60);
/// How long no answer is taken for a passing fault. An operator that is itself cut off stops its runs after its
/// `--partition-timeout` (2 min); this only bounds a fault that hits one identity.
const UNANSWERED_MAX: Duration = Duration::from_secs(10 * 60);

/// Counts failures in a row, and how long they last.
#[derive(Default)]
pub(super) struct Patience {
    failing: Option<Failing>,
}

struct Failing {
    unanswered_since: Instant,
    refused_since: Option<Instant>,
    pause: Duration,
}

impl Patience {
    /// The pause before the next try after `error`, or none if it lasts too long. Time without an answer counts
    /// only while `unanswered_counts`; time of refusals always does.
    pub(super) fn after(&mut self, error: &ApiError, unanswered_counts: bool) -> Option<Duration> {
        let now = Instant::now();
        let failing = self.failing.get_or_insert(Failing {
            unanswered_since: now,
            refused_since: None,
            pause: PAUSE_FIRST,
        });
        if !unanswered_counts {
            failing.unanswered_since = now;
        }
        if error.is_transient() {
            failing.refused_since = None;
        } else {
            failing.refused_since.get_or_insert(now);
        }
        let refused_too_long = failing
            .refused_since
            .is_some_and(|since| now - since >= REFUSED_MAX);
        if refused_too_long || now - failing.unanswered_since >= UNANSWERED_MAX {
            return None;
        }
        let pause = failing.pause;
        failing.pause = (pause * 2).min(PAUSE_MAX);
        Some(pause)
    }

    /// Takes note of an answer.
    pub(super) fn answered(&mut self) {
        self.failing = None;
    }
}
