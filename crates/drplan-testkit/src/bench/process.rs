//! What processes use, as the kernel counts it.

use std::time::Duration;

use anyhow::Context;

use crate::control_plane::{Component, ControlPlane};
use crate::operator::OperatorProcess;

/// Memory and time of a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    /// The most memory that it ever had resident, in bytes.
    pub(super) resident_max: u64,
    /// Memory resident now, in bytes.
    pub(super) resident: u64,
    /// Time on the processors.
    pub(super) cpu: Duration,
}

/// Time on the processors of those who carry a run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    pub(super) operator: Duration,
    pub(super) apiserver: Duration,
    pub(super) etcd: Duration,
}

impl Work {
    /// What they have used so far.
    pub(super) fn so_far(control_plane: &ControlPlane, operator: &OperatorProcess) -> anyhow::Result<Self> {
        let of = |component| {
            let pid = control_plane.pid(component).context("a component has ended")?;
            anyhow::Ok(usage(pid)?.cpu)
        };
        Ok(Self {
            operator: usage(operator.pid()?)?.cpu,
            apiserver: of(Component::ApiServer)?,
            etcd: of(Component::Etcd)?,
        })
    }

    /// What they have used since `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            operator: self.operator.saturating_sub(earlier.operator),
            apiserver: self.apiserver.saturating_sub(earlier.apiserver),
            etcd: self.etcd.saturating_sub(earlier.etcd),
        }
    }
}

/// Clock ticks per second of `/proc`: fixed in Linux for programs.
const TICKS: u64 = 100;

/// What process `pid` uses.
pub(super) fn usage(pid: i32) -> anyhow::Result<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything; what follows it is numbers: utime and stime are the 12th and 13th.
    let fields = stat
        .rsplit_once(')')
        .context("no end of the name")?
        .1
        .split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(Usage {
        resident_max: kib("VmHWM:").context("no VmHWM")? * 1024,
        resident: kib("VmRSS:").context("no VmRSS")? * 1024,
        cpu: Duration::from_millis(ticks * 1000 / TICKS),
    })
}
