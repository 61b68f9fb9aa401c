//! The text format of Prometheus, which everything that scrapes reads.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
};

use prometheus_client::{encoding::text::encode_registry, registry::Registry};

/// The media type of [`render`]'s text.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What `registry` holds now.
///
/// # Errors
/// If a collector fails.
pub(super) fn render(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode_registry(&mut text, registry)?;
    classic(&text)
}

/// OpenMetrics as the older text format has it: there the family of a counter is named as its samples are.
fn classic(open_metrics: &str) -> Result<String, fmt::Error> {
    let counters: BTreeSet<&str> = open_metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(family), Some(rest)) if counters.contains(family) => {
                writeln!(text, "# {what} {family}_total {rest}")?;
            }
            _ => writeln!(text, "{line}")?,
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};

    use super::*;

    #[test]
    fn a_counter_is_named_as_its_samples_are() {
        let mut registry = Registry::with_prefix("drplan");
        let lost: Counter = Counter::default();
        lost.inc();
        registry.register("events_lost", "Events that were lost", lost);
        let phases: Family<[(&'static str, &'static str); 1], Gauge> = Family::default();
        phases.get_or_create(&[("phase", "Running")]).set(2);
        registry.register("executions", "Executions", phases);
        assert_eq!(
            render(&registry).unwrap(),
            "# HELP drplan_events_lost_total Events that were lost.\n\
             # TYPE drplan_events_lost_total counter\n\
             drplan_events_lost_total 1\n\
             # HELP drplan_executions Executions.\n\
             # TYPE drplan_executions gauge\n\
             drplan_executions{phase=\"Running\"} 2\n"
        );
    }
}
