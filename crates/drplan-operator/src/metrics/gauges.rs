//! What is, as the index, the queues and the places show it when somebody asks.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use drplan_api::{
    Time,
    status::{ExecutionPhase, PlanPhase, WorkflowPhase},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::{Kind, Labels};
use crate::{clock, context::Context, index::Card};

/// Every phase that an execution can have.
const PHASES: [ExecutionPhase; 6] = [
    ExecutionPhase::Pending,
    ExecutionPhase::Running,
    ExecutionPhase::Succeeded,
    ExecutionPhase::Failed,
    ExecutionPhase::Cancelled,
    ExecutionPhase::Unknown,
];
/// The phase of an execution in whose place something else stands.
const UNREADABLE: &str = "Unreadable";

/// Reads the context at every scrape.
pub(super) struct GaugeCollector {
    context: Arc<Context>,
}

impl fmt::Debug for GaugeCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GaugeCollector")
    }
}

impl GaugeCollector {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

impl Collector for GaugeCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let context = &self.context;
        let now = clock::now();
        let mut out = Out(encoder);
        let executions = Executions::of(context.index.executions().iter().map(|card| &**card), now);
        executions.encode(&mut out)?;
        out.each(
            "plans",
            "Plans that exist, by phase",
            counted(
                [PlanPhase::Ready, PlanPhase::Executed, PlanPhase::Invalid].map(plan_phase),
                context
                    .index
                    .plans()
                    .iter()
                    .filter_map(|plan| plan.status.as_ref().ok()?.phase)
                    .map(plan_phase),
            ),
        )?;
        out.each(
            "workflows",
            "Workflows that exist, by phase",
            counted(
                [WorkflowPhase::Ready, WorkflowPhase::Invalid].map(workflow_phase),
                context
                    .index
                    .workflows()
                    .iter()
                    .filter_map(|workflow| workflow.status.phase)
                    .map(workflow_phase),
            ),
        )?;
        let places = |all: usize, free: usize| number(all.saturating_sub(free));
        let settings = &context.settings;
        let running = places(settings.max_running, context.running_places.available_permits());
        out.one(
            "executions_active",
            "Executions that this process acts on, of --max-running",
            running,
        )?;
        out.one(
            "executions_active_max",
            "The flag --max-running",
            number(settings.max_running),
        )?;
        let calls = places(settings.max_http, context.http_places.available_permits());
        out.one(
            "http_calls_in_flight",
            "HTTP calls in flight, of --max-http",
            calls,
        )?;
        out.one(
            "http_calls_in_flight_max",
            "The flag --max-http",
            number(settings.max_http),
        )?;
        let leads = number(usize::from(context.leadership.leads()));
        out.one("leader", "1 while this process acts on executions", leads)?;
        let queues = [
            (Kind::Workflow, context.queues.workflows.len()),
            (Kind::Plan, context.queues.plans.len()),
            (Kind::Execution, context.queues.executions.len()),
        ];
        let queues = queues.map(|(kind, length)| ([("kind", kind.name())], number(length)));
        out.each("queue_length", "Objects that wait to be looked at", queues)?;
        out.one(
            "events_queued",
            "Kubernetes events that wait to be posted",
            number(context.events.waiting()),
        )?;
        out.count(
            "events_lost",
            "Kubernetes events that were not posted",
            context.events.lost(),
        )?;
        let heard = seconds(now) - context.contact.silence().as_secs_f64();
        let help = "When the API server last answered, in seconds since 1970";
        out.one("api_last_contact_timestamp_seconds", help, heard)?;
        if let Some(end) = context.metrics.webhooks.certificate_end() {
            let help = "When the certificate ends that the webhooks serve with, in seconds since 1970";
            out.one(
                "webhook_certificate_expiration_timestamp_seconds",
                help,
                seconds(end),
            )?;
        }
        let version = [([("version", env!("CARGO_PKG_VERSION"))], 1.0)];
        out.each("build_info", "1, with the release as a label", version)
    }
}

/// What the executions of the index come to.
#[derive(Debug, PartialEq)]
struct Executions {
    by_phase: BTreeMap<&'static str, usize>,
    oldest_seconds: BTreeMap<&'static str, f64>,
    last_end: BTreeMap<(&'static str, &'static str), f64>,
}

impl Executions {
    fn of<'a>(cards: impl Iterator<Item = &'a Card>, now: Time) -> Self {
        let open = [
            ExecutionPhase::Pending,
            ExecutionPhase::Running,
            ExecutionPhase::Unknown,
        ];
        let mut found = Self {
            by_phase: PHASES
                .iter()
                .map(|phase| (phase.as_str(), 0))
                .chain([(UNREADABLE, 0)])
                .collect(),
            oldest_seconds: open.iter().map(|phase| (phase.as_str(), 0.0)).collect(),
            last_end: BTreeMap::new(),
        };
        for card in cards {
            let phase = match (card.phase(), &card.status.phase) {
                (Some(phase), _) => phase,
                (None, None) => ExecutionPhase::Pending,
                (None, Some(_)) => {
                    *found.by_phase.entry(UNREADABLE).or_default() += 1;
                    continue;
                }
            };
            *found.by_phase.entry(phase.as_str()).or_default() += 1;
            let time = |text: &Option<String>| text.as_ref()?.parse::<Time>().ok();
            match phase {
                ExecutionPhase::Pending | ExecutionPhase::Running | ExecutionPhase::Unknown => {
                    let created = card.metadata.creation_timestamp.as_ref();
                    let since = time(&card.status.start_time).or_else(|| Some(Time::new(created?.0)));
                    let age = since.map_or(0, |since| now.millis_since(since));
                    let age = Duration::from_millis(age).as_secs_f64();
                    let oldest = found.oldest_seconds.entry(phase.as_str()).or_default();
                    *oldest = oldest.max(age);
                }
                ExecutionPhase::Succeeded | ExecutionPhase::Failed | ExecutionPhase::Cancelled => {
                    let operation = match card.status.operation.as_deref() {
                        Some("Execute") => "Execute",
                        Some("Revert") => "Revert",
                        Some(_) | None => "",
                    };
                    if let Some(end) = time(&card.status.completion_time) {
                        let last = found.last_end.entry((operation, phase.as_str())).or_default();
                        *last = last.max(seconds(end));
                    }
                }
            }
        }
        found
    }

    fn encode(self, out: &mut Out<'_>) -> Result<(), fmt::Error> {
        let by_phase = self
            .by_phase
            .into_iter()
            .map(|(phase, count)| ([("phase", phase)], number(count)));
        let help = "Executions that exist, by phase";
        out.each("executions", help, by_phase)?;
        let oldest = self
            .oldest_seconds
            .into_iter()
            .map(|(phase, age)| ([("phase", phase)], age));
        let help =
            "Age of the oldest execution of a phase, from its start or else its creation; 0 if there is none";
        out.each("execution_oldest_age_seconds", help, oldest)?;
        let last = self
            .last_end
            .into_iter()
            .map(|((operation, phase), end)| ([("operation", operation), ("phase", phase)], end));
        let help = "When an execution that still exists last ended so, in seconds since 1970";
        out.each("execution_last_end_timestamp_seconds", help, last)
    }
}

/// How often each of `values` occurs, with 0 for those of `known` that do not.
fn counted(
    known: impl IntoIterator<Item = &'static str>,
    values: impl Iterator<Item = &'static str>,
) -> impl Iterator<Item = (Labels<1>, f64)> {
    let mut counts: BTreeMap<_, _> = known.into_iter().map(|value| (value, 0_usize)).collect();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|(phase, count)| ([("phase", phase)], number(count)))
}

fn plan_phase(phase: PlanPhase) -> &'static str {
    match phase {
        PlanPhase::Ready => "Ready",
        PlanPhase::Executed => "Executed",
        PlanPhase::Invalid => "Invalid",
    }
}

fn workflow_phase(phase: WorkflowPhase) -> &'static str {
    match phase {
        WorkflowPhase::Ready => "Ready",
        WorkflowPhase::Invalid => "Invalid",
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn number(count: usize) -> f64 {
    count as f64
}

/// Since 1970.
fn seconds(time: Time) -> f64 {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(0)).as_secs_f64()
}

/// Writes families of one kind of value.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn one(&mut self, name: &str, help: &str, value: f64) -> Result<(), fmt::Error> {
        let metric = ConstGauge::new(value);
        metric.encode(self.0.encode_descriptor(name, help, None, metric.metric_type())?)
    }

    fn count(&mut self, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
        let metric = ConstCounter::new(value);
        metric.encode(self.0.encode_descriptor(name, help, None, metric.metric_type())?)
    }

    fn each<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<N>, f64)>,
    ) -> Result<(), fmt::Error> {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn card(status: Value) -> Card {
        let metadata = json!({"name": "x", "namespace": "n", "creationTimestamp": "2026-01-30T10:00:00Z"});
        serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap()
    }

    #[test]
    fn executions_come_to_counts_ages_and_last_ends() {
        let now: Time = "2026-01-30T10:10:00Z".parse().unwrap();
        let ended = |operation: &str, phase: &str, end: &str| {
            card(json!({"phase": phase, "operationType": operation, "completionTime": end}))
        };
        let cards = [
            card(json!(null)),
            card(json!({"phase": "Running", "startTime": "2026-01-30T10:08:00.500Z"})),
            card(json!({"phase": "Running", "startTime": "2026-01-30T10:09:00Z"})),
            card(json!({"phase": 7})),
            ended("Execute", "Failed", "2026-01-30T10:02:00Z"),
            ended("Execute", "Failed", "2026-01-30T10:01:00Z"),
            ended("Revert", "Succeeded", "no time"),
        ];
        let found = Executions::of(cards.iter(), now);
        let counts: Vec<_> = found.by_phase.into_iter().collect();
        assert_eq!(
            counts,
            [
                ("Cancelled", 0),
                ("Failed", 2),
                ("Pending", 1),
                ("Running", 2),
                ("Succeeded", 1),
                ("Unknown", 0),
                ("Unreadable", 1)
            ]
        );
        let ages: Vec<_> = found.oldest_seconds.into_iter().collect();
        assert_eq!(ages, [("Pending", 600.0), ("Running", 119.5), ("Unknown", 0.0)]);
        let ends: Vec<_> = found.last_end.into_iter().collect();
        assert_eq!(ends, [(("Execute", "Failed"), 1_769_767_320.0)]);
    }
}
