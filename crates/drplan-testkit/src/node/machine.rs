//! The machine as it is outside of the node, to see that the node leaves it so.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::Context;

use super::cgroups;

/// Settings of the whole kernel that a kubelet or kube-proxy would change.
const SETTINGS: [&str; 8] = [
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "kernel/hostname",
    "net/ipv4/ip_forward",
    "net/netfilter/nf_conntrack_max",
];

/// Directories that programs of a node make where they are not told otherwise.
const DIRECTORIES: [&str; 8] = [
    "/opt",
    "/etc/cni",
    "/etc/containerd",
    "/var/lib/kubelet",
    "/var/lib/containerd",
    "/var/lib/cni",
    "/var/log/pods",
    "/run/containerd",
];

/// What was found on the machine, a line for each fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    facts: BTreeSet<String>,
}

impl Machine {
    /// Looks at mounts, network devices, cgroups, settings of the kernel, and directories.
    pub(super) fn look() -> anyhow::Result<Self> {
        let mut facts = BTreeSet::new();
        let mounts = fs::read_to_string("/proc/self/mounts").context("failed to read the mounts")?;
        facts.extend(mounts.lines().map(|line| format!("mount {line}")));
        for device in fs::read_dir("/sys/class/net").context("failed to read the network devices")? {
            facts.insert(format!("network device {}", device?.file_name().display()));
        }
        for cgroup in cgroups::list()? {
            facts.insert(format!("cgroup {}", cgroup.display()));
        }
        for setting in SETTINGS {
            let value = fs::read_to_string(Path::new("/proc/sys").join(setting)).unwrap_or_default();
            facts.insert(format!("setting {setting}={}", value.trim()));
        }
        for directory in DIRECTORIES {
            if let Ok(entries) = fs::read_dir(directory) {
                facts.insert(format!("directory {directory} with {} entries", entries.count()));
            }
        }
        Ok(Self { facts })
    }

    /// What is different on the machine as it is now. Nothing: it is as it was.
    pub(super) fn changed(&self) -> anyhow::Result<Vec<String>> {
        let now = Self::look()?;
        let gone = self
            .facts
            .difference(&now.facts)
            .map(|fact| format!("gone: {fact}"));
        let new = now
            .facts
            .difference(&self.facts)
            .map(|fact| format!("new: {fact}"));
        Ok(gone.chain(new).collect())
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |kind: &str| self.facts.iter().filter(|fact| fact.starts_with(kind)).count();
        write!(
            f,
            "{} mounts, {} network devices, {} cgroups, {} settings of the kernel",
            count("mount "),
            count("network device "),
            count("cgroup "),
            count("setting ")
        )
    }
}
