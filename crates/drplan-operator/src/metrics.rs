//! What the operator tells Prometheus.
//!
//! What happens is counted where it happens; what is, is read from the index and the queues when somebody asks. Neither
//! costs the API server a request. Label values are fixed texts of this program, never names of plans, executions or
//! actions: a label value is a time series for ever, and names come without end.

mod gauges;
mod process;
mod text;
mod webhooks;

use std::{fmt, io, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use drplan_api::{DRPlanExecutionStatus, status::ExecutionPhase};
use drplan_engine::{ActionEvent, Run, Step, action_status};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use tokio::net::TcpListener;

pub use webhooks::{Asked, Outcome, Webhook, WebhookMetrics};

use crate::{context::Context, store::StoreError};

/// Labels, by name. Their values are texts of this program, so they are bounded.
type Labels<const N: usize> = [(&'static str, &'static str); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// Seconds, from a call within the site to the longest Job that a default timeout allows.
const ACTION_SECONDS: [f64; 13] = [
    0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0,
];
/// Seconds, from an API server at rest to the end of the operator's patience (`store::bounded`).
const WRITE_SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// What is counted. Clones share the counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    ended: Counters<2>,
    action_seconds: Histograms<2>,
    retries: Counters<1>,
    write_seconds: Histograms<1>,
    write_failures: Counters<2>,
    look_failures: Counters<1>,
    /// Of admission.
    pub webhooks: WebhookMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            ended: Family::default(),
            action_seconds: Family::new_with_constructor(|| Histogram::new(ACTION_SECONDS)),
            retries: Family::default(),
            write_seconds: Family::new_with_constructor(|| Histogram::new(WRITE_SECONDS)),
            write_failures: Family::default(),
            look_failures: Family::default(),
            webhooks: WebhookMetrics::default(),
        };
        metrics.begin_at_zero();
        metrics
    }
}

impl Metrics {
    /// A counter that appears with its first count shows no increase: Prometheus has nothing to compare it with.
    fn begin_at_zero(&self) {
        for operation in ["Execute", "Revert"] {
            for phase in [
                ExecutionPhase::Succeeded,
                ExecutionPhase::Failed,
                ExecutionPhase::Cancelled,
            ] {
                let labels = [("operation", operation), ("phase", phase.as_str())];
                drop(self.ended.get_or_create(&labels));
            }
        }
        for kind in [Kind::Workflow, Kind::Plan, Kind::Execution] {
            drop(self.look_failures.get_or_create(&[("kind", kind.name())]));
            for reason in StoreError::REASONS {
                let labels = [("kind", kind.name()), ("reason", reason)];
                drop(self.write_failures.get_or_create(&labels));
            }
        }
    }

    /// An execution has ended, and that is stored.
    pub fn execution_ended(&self, operation: &str, phase: ExecutionPhase) {
        // What cannot be read asks for nothing that has a name.
        let operation = match operation {
            "Execute" => "Execute",
            "Revert" => "Revert",
            _ => "",
        };
        let labels = [("operation", operation), ("phase", phase.as_str())];
        self.ended.get_or_create(&labels).inc();
    }

    /// `step` of a run is stored.
    pub fn step_stored(&self, run: Option<&Run>, step: &Step) {
        for (at, event) in &step.happened {
            let kind = run.map_or("", |run| run.doing(*at));
            let outcome = match event {
                ActionEvent::Succeeded => "Succeeded",
                ActionEvent::Failed => "Failed",
                ActionEvent::Retried => {
                    self.retries.get_or_create(&[("type", kind)]).inc();
                    continue;
                }
                ActionEvent::Started | ActionEvent::Progressed | ActionEvent::Skipped => continue,
            };
            if let Some(seconds) = seconds_of(&step.status, *at) {
                let labels = [("type", kind), ("outcome", outcome)];
                self.action_seconds.get_or_create(&labels).observe(seconds);
            }
        }
        if step.ends {
            self.execution_ended(&step.status.operation_type, step.status.phase);
        }
    }

    /// A look at an object of a kind could not be finished.
    pub fn look_failed(&self, kind: Kind) {
        self.look_failures.get_or_create(&[("kind", kind.name())]).inc();
    }

    /// A write of a status took `duration` and failed or not.
    pub(crate) fn status_written(&self, kind: Kind, duration: Duration, failure: Option<&StoreError>) {
        let kind = kind.name();
        let seconds = self.write_seconds.get_or_create(&[("kind", kind)]);
        seconds.observe(duration.as_secs_f64());
        if let Some(error) = failure {
            let labels = [("kind", kind), ("reason", error.reason())];
            self.write_failures.get_or_create(&labels).inc();
        }
    }

    fn register(&self, registry: &mut Registry) {
        let help = "Executions that have ended while this process acted, by operation and phase";
        registry.register("executions_ended", help, self.ended.clone());
        let help = "From the first start of an action to its end, waits between attempts included";
        registry.register("action_duration_seconds", help, self.action_seconds.clone());
        registry.register("action_retries", "Attempts after the first", self.retries.clone());
        let help = "How long writes of statuses took, answered or not";
        registry.register("status_write_duration_seconds", help, self.write_seconds.clone());
        let help = "Writes of statuses that were not stored as sent, or nobody knows; conflicts are part of the course";
        registry.register("status_write_failures", help, self.write_failures.clone());
        let help = "Looks at an object that were broken off and are repeated";
        registry.register("reconcile_failures", help, self.look_failures.clone());
        self.webhooks.register(registry);
    }
}

/// The kinds, as labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// DRWorkflow.
    Workflow,
    /// DRPlan.
    Plan,
    /// DRPlanExecution.
    Execution,
}

impl Kind {
    /// As in logs and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Plan => "plan",
            Self::Execution => "execution",
        }
    }
}

/// From the first start of the action at `at` to its end.
fn seconds_of(status: &DRPlanExecutionStatus, at: drplan_engine::ActionIndex) -> Option<f64> {
    let action = action_status(status, at)?;
    let took = action.completion_time?.millis_since(action.start_time?);
    Some(Duration::from_millis(took).as_secs_f64())
}

/// Answers `/metrics` until it is dropped.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, context: Arc<Context>) -> io::Result<()> {
    let registry = Arc::new(registry(context));
    let app = Router::new().route("/metrics", get(answer)).with_state(registry);
    axum::serve(listener, app).await
}

fn registry(context: Arc<Context>) -> Registry {
    let mut registry = Registry::default();
    let ours = registry.sub_registry_with_prefix("drplan");
    context.metrics.register(ours);
    ours.register_collector(Box::new(gauges::GaugeCollector::new(context)));
    registry.register_collector(Box::new(process::ProcessCollector));
    registry
}

async fn answer(State(registry): State<Arc<Registry>>) -> Response {
    match text::render(&registry) {
        Ok(text) => ([(CONTENT_TYPE, text::MEDIA_TYPE)], text).into_response(),
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
