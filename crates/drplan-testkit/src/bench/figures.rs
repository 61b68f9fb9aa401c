//! Medians and percentiles of what was measured.

use std::time::Duration;

/// The samples of one measurement.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    samples: Vec<Duration>,
}

impl Figures {
    pub(super) fn add(&mut self, sample: Duration) {
        self.samples.push(sample);
    }

    pub(super) fn count(&self) -> usize {
        self.samples.len()
    }

    /// The smallest sample that at least `percent` of all do not exceed, 0 without samples.
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.samples.clone();
        sorted.sort();
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// How many times the median of `unit` the median of this is.
    pub(super) fn in_units_of(&self, unit: &Self) -> f64 {
        self.percentile(50).as_secs_f64() / unit.percentile(50).as_secs_f64()
    }
}

/// A figure beside what is demanded of it, with the verdict: `what 1.19 of 1.50: met`.
pub(super) fn demanded(what: &str, figure: f64, most: f64, unit: &str) -> String {
    let verdict = if figure <= most { "met" } else { "NOT MET" };
    format!("{what} {figure:.2} of {most}{unit}: {verdict}")
}

/// One row of the table.
pub(super) fn row(name: &str, demand: &str, figures: &Figures) -> String {
    let millis = |duration: Duration| format!("{:.1} ms", duration.as_secs_f64() * 1000.0);
    format!(
        "{name:<48} {:>5} {:>10} {:>10} {:>10}  {demand}",
        figures.count(),
        millis(figures.percentile(50)),
        millis(figures.percentile(99)),
        millis(figures.percentile(100)),
    )
}

/// The line above the rows.
pub(super) fn head() -> String {
    format!(
        "{:<48} {:>5} {:>10} {:>10} {:>10}  demand",
        "", "n", "median", "p99", "max"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_by_rank() {
        let mut figures = Figures::default();
        for millis in (1..=200).rev() {
            figures.add(Duration::from_millis(millis));
        }
        let millis = |percent| figures.percentile(percent).as_millis();
        assert_eq!((millis(50), millis(99), millis(100)), (100, 198, 200));
        assert_eq!(Figures::default().percentile(99), Duration::ZERO);
    }

    #[test]
    fn a_demand_is_met_up_to_its_figure() {
        assert_eq!(demanded("first", 2.0, 2.0, " s"), "first 2.00 of 2 s: met");
        assert_eq!(demanded("slope", 1.06, 1.05, ""), "slope 1.06 of 1.05: NOT MET");
    }
}
