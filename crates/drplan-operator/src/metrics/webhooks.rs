//! What admission was asked and answered, and until when its certificate is good.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use drplan_api::Time;
use kube::core::admission::Operation;
use prometheus_client::{
    metrics::{family::Family, histogram::Histogram},
    registry::Registry,
};

use super::{Counters, Histograms, Kind};

/// Seconds, from an answer out of memory to the end of the API server's patience.
const ANSWER_SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

/// The operations that the API server asks about, in its words.
const OPERATIONS: [&str; 3] = ["CREATE", "UPDATE", "DELETE"];

/// What a webhook does with what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Webhook {
    /// Judges whether it may pass.
    Validate,
    /// Writes who it was.
    Stamp,
}

impl Webhook {
    /// As in the path of its URL.
    fn name(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Stamp => "stamp",
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It may pass.
    Allowed,
    /// It may not.
    Refused,
    /// What the verdict rests on could not be read: passed or refused as its kind has it.
    Unjudged,
    /// It was not answered: unreadable, or too late. The API server goes by the failurePolicy.
    Failed,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Allowed => "Allowed",
            Self::Refused => "Refused",
            Self::Unjudged => "Unjudged",
            Self::Failed => "Failed",
        }
    }
}

/// What is counted of admission. Clones share the counts.
#[derive(Clone, Debug)]
pub struct WebhookMetrics {
    requests: Counters<4>,
    seconds: Histograms<2>,
    /// When the certificate that is served ends, in milliseconds since 1970; 0: none is served.
    certificate_end: Arc<AtomicI64>,
}

impl Default for WebhookMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(ANSWER_SECONDS)),
            certificate_end: Arc::default(),
        }
    }
}

impl WebhookMetrics {
    /// Counts from 0 on: webhooks are served.
    pub fn begin_at_zero(&self) {
        let asked = [Kind::Workflow, Kind::Plan, Kind::Execution]
            .map(|kind| (Webhook::Validate, kind))
            .into_iter()
            .chain([Kind::Plan, Kind::Execution].map(|kind| (Webhook::Stamp, kind)));
        for (webhook, kind) in asked {
            let is_asked = |operation: &&str| webhook == Webhook::Validate || *operation != "DELETE";
            for operation in OPERATIONS.into_iter().filter(is_asked) {
                for outcome in [
                    Outcome::Allowed,
                    Outcome::Refused,
                    Outcome::Unjudged,
                    Outcome::Failed,
                ] {
                    // Stamps judge nothing.
                    if webhook == Webhook::Validate || matches!(outcome, Outcome::Allowed | Outcome::Failed) {
                        drop(
                            self.requests
                                .get_or_create(&labels(webhook, kind, operation, outcome)),
                        );
                    }
                }
            }
        }
    }

    /// A request came.
    pub fn asked(&self, webhook: Webhook, kind: Kind) -> Asked<'_> {
        Asked {
            metrics: self,
            webhook,
            kind,
            operation: "",
            outcome: Outcome::Failed,
            since: Instant::now(),
        }
    }

    /// A certificate is served that ends then; none: nobody can tell when.
    pub fn certificate_served(&self, end: Option<Time>) {
        let end = end.map_or(0, Time::as_millis);
        self.certificate_end.store(end, Ordering::Relaxed);
    }

    /// When the certificate ends that is served, if one is and it says so.
    pub(super) fn certificate_end(&self) -> Option<Time> {
        let end = self.certificate_end.load(Ordering::Relaxed);
        (end != 0).then(|| Time::from_millis(end))
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Requests of the API server to the webhooks, by what was answered";
        registry.register("webhook_requests", help, self.requests.clone());
        let help = "From a request's arrival at a webhook to its answer";
        registry.register("webhook_request_duration_seconds", help, self.seconds.clone());
    }
}

/// A request that is being answered. It is counted when this is dropped, so also when nobody waits for it any more.
#[derive(Debug)]
pub struct Asked<'a> {
    metrics: &'a WebhookMetrics,
    webhook: Webhook,
    kind: Kind,
    operation: &'static str,
    outcome: Outcome,
    since: Instant,
}

impl Asked<'_> {
    /// It could be read, and asks about this.
    pub fn about(&mut self, operation: &Operation) {
        self.operation = match operation {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        };
    }

    /// It is answered so.
    pub fn answered(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let labels = labels(self.webhook, self.kind, self.operation, self.outcome);
        self.metrics.requests.get_or_create(&labels).inc();
        let labels = [("webhook", self.webhook.name()), ("kind", self.kind.name())];
        let seconds = self.metrics.seconds.get_or_create(&labels);
        seconds.observe(self.since.elapsed().as_secs_f64());
    }
}

fn labels(
    webhook: Webhook,
    kind: Kind,
    operation: &'static str,
    outcome: Outcome,
) -> [(&'static str, &'static str); 4] {
    [
        ("webhook", webhook.name()),
        ("kind", kind.name()),
        ("operation", operation),
        ("outcome", outcome.name()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(metrics: &WebhookMetrics, operation: &'static str, outcome: Outcome) -> u64 {
        let labels = labels(Webhook::Validate, Kind::Plan, operation, outcome);
        metrics.requests.get_or_create(&labels).get()
    }

    #[test]
    fn a_request_is_counted_once_however_it_ends() {
        let metrics = WebhookMetrics::default();
        let mut asked = metrics.asked(Webhook::Validate, Kind::Plan);
        asked.about(&Operation::Create);
        asked.answered(Outcome::Refused);
        assert_eq!(count(&metrics, "CREATE", Outcome::Refused), 0);
        drop(asked);
        assert_eq!(count(&metrics, "CREATE", Outcome::Refused), 1);
        // One that could not be read, and one whose answer nobody awaited.
        drop(metrics.asked(Webhook::Validate, Kind::Plan));
        let mut late = metrics.asked(Webhook::Validate, Kind::Plan);
        late.about(&Operation::Update);
        drop(late);
        let failed = ["", "UPDATE"].map(|operation| count(&metrics, operation, Outcome::Failed));
        assert_eq!(failed, [1, 1]);
    }
}
