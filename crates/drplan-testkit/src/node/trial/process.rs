//! The operator's process in a container, as the kernel knows it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = "/drplan-operator";

/// A process of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pid: Pid,
}

impl Process {
    /// The one that runs in this Pod.
    pub(super) fn of(pod: &Pod) -> anyhow::Result<Self> {
        let uid = pod.uid().context("the Pod has no UID")?;
        for entry in fs::read_dir("/proc")? {
            let dir = entry?.path();
            let pid = dir.file_name().and_then(|name| name.to_str()?.parse().ok());
            let Some(pid) = pid.and_then(Pid::from_raw) else {
                continue;
            };
            if is_operator_of(&dir, &uid) {
                return Ok(Self { pid });
            }
        }
        bail!("no operator runs in the Pod {}", pod.name_any())
    }

    /// Kills it as nobody can prevent.
    pub(super) fn kill(self) -> anyhow::Result<()> {
        Ok(kill_process(self.pid, Signal::KILL)?)
    }

    /// The first values of these lines of its status.
    pub(super) fn facts(self, names: &[&str]) -> anyhow::Result<Vec<String>> {
        let status = fs::read_to_string(self.dir().join("status"))?;
        let value = |name: &&str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(*name)?.strip_prefix(':'));
            let value = line.and_then(|line| line.split_whitespace().next());
            Ok(value.with_context(|| format!("there is no {name}"))?.to_owned())
        };
        names.iter().map(value).collect()
    }

    /// How long ago it began, to a hundredth of a second.
    pub(super) fn age(self) -> anyhow::Result<Duration> {
        /// What the kernel counts in for programs, on every machine.
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = fs::read_to_string(self.dir().join("stat"))?;
        // The name is in parentheses; the 20th value behind it is when it began.
        let (_, values) = stat.rsplit_once(") ").context("unreadable stat")?;
        let began: f64 = values.split(' ').nth(19).context("no start in stat")?.parse()?;
        let uptime = fs::read_to_string("/proc/uptime")?;
        let uptime: f64 = uptime.split(' ').next().context("no uptime")?.parse()?;
        Ok(Duration::from_secs_f64(
            (uptime - began / TICKS_PER_SECOND).max(0.0),
        ))
    }

    fn dir(self) -> PathBuf {
        format!("/proc/{}", self.pid.as_raw_nonzero()).into()
    }
}

fn is_operator_of(dir: &Path, uid: &str) -> bool {
    let command = fs::read(dir.join("cmdline")).unwrap_or_default();
    let cgroups = fs::read_to_string(dir.join("cgroup")).unwrap_or_default();
    command.starts_with(PROGRAM.as_bytes()) && cgroups.contains(uid)
}
