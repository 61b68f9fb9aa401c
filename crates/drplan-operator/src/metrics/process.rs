//! What the kernel says of this process, under the names that every exporter uses.

use std::{fmt, fs, path::Path};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

/// Ticks in a second as `/proc` counts them: 100 on every architecture that the operator is built for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads `/proc` at every scrape; where there is none it has nothing to say.
#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(figures) = Figures::read(Path::new("/proc/self")) else {
            return Ok(());
        };
        let mut gauge = |name, help, value: Option<f64>| match value {
            None => Ok(()),
            Some(value) => {
                let gauge = ConstGauge::new(value);
                gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
            }
        };
        gauge(
            "process_resident_memory_bytes",
            "Memory that is not swapped out",
            figures.resident_bytes,
        )?;
        gauge(
            "process_open_fds",
            "Open files and connections",
            figures.open_files,
        )?;
        gauge(
            "process_max_fds",
            "Files and connections that may be open",
            figures.open_files_max,
        )?;
        gauge(
            "drplan_tasks",
            "Tasks of the program that have not ended; those that nothing needs any more end",
            figures.tasks,
        )?;
        let seconds = ConstCounter::new(figures.cpu_seconds);
        let help = "Processor time, of user and system";
        seconds.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, seconds.metric_type())?)
    }
}

#[derive(Debug, PartialEq)]
struct Figures {
    resident_bytes: Option<f64>,
    open_files: Option<f64>,
    open_files_max: Option<f64>,
    tasks: Option<f64>,
    cpu_seconds: f64,
}

impl Figures {
    fn read(process: &Path) -> Option<Self> {
        let status = fs::read_to_string(process.join("status")).ok()?;
        let limits = fs::read_to_string(process.join("limits")).unwrap_or_default();
        let count = |count| u32::try_from(count).ok().map(f64::from);
        let open_files = fs::read_dir(process.join("fd")).ok().map(Iterator::count);
        let runtime = tokio::runtime::Handle::try_current().ok();
        Some(Self {
            resident_bytes: resident_bytes(&status),
            open_files: open_files.and_then(count),
            tasks: runtime.and_then(|runtime| count(runtime.metrics().num_alive_tasks())),
            open_files_max: open_files_max(&limits),
            cpu_seconds: cpu_seconds(&fs::read_to_string(process.join("stat")).ok()?)?,
        })
    }
}

/// `VmRSS:     12345 kB`.
fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

/// `Max open files            1024                 524288               files`; the first is what counts.
fn open_files_max(limits: &str) -> Option<f64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The 14th and 15th field. The second is the program's name in parentheses, which may itself have blanks and more of
/// these, so the fields are counted from the last one.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_the_kernel_writes_them() {
        let stat = "42 (a) name) S 1 42 42 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 3 0 100 1000 200";
        assert_eq!(cpu_seconds(stat), Some(1.75));
        assert_eq!(cpu_seconds("42 (x"), None);
        assert_eq!(
            resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t    2048 kB\n"),
            Some(2_097_152.0)
        );
        let limits =
            "Max processes 1 1 processes\nMax open files            1024                 524288  files\n";
        assert_eq!(open_files_max(limits), Some(1024.0));
        assert_eq!(
            open_files_max("Max open files   unlimited   unlimited   files"),
            None
        );
    }

    #[test]
    fn this_process_has_figures() {
        let figures = Figures::read(Path::new("/proc/self")).unwrap();
        assert!(figures.resident_bytes.unwrap() > 100_000.0 && figures.open_files.unwrap() >= 1.0);
        assert_eq!(Figures::read(Path::new("/nowhere")), None);
    }
}
