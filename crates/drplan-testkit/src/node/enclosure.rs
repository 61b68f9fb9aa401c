//! Namespaces in which a node is a machine of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::cgroups::Cgroups;
use super::packages::Packages;
use crate::binaries::Binaries;
use crate::kept::Kept;

/// Makes a machine of the namespaces.
const INSIDE: &str = include_str!("inside.sh");

/// A program in namespaces of its own: mounts, network, processes, host name, IPC.
///
/// The program is their process 1, so the kernel ends all else in them with it. It ends when this is dropped and when
/// this process ends, `kill -9` included; cgroups and directory go too.
#[derive(Debug)]
pub(super) struct Enclosure {
    // Dropped in this order: everything has ended before its cgroups and files go.
    program: Kept,
    _cgroups: Cgroups,
    _remover: Option<Kept>,
    dir: PathBuf,
}

impl Enclosure {
    /// Starts this program once more, inside, with these arguments and the directory and the cgroup's name after them.
    /// Blocks.
    pub(super) fn start(binaries: &Binaries, packages: &Packages, args: &[&str]) -> anyhow::Result<Self> {
        let keep = binaries.path("keep");
        let dir = tempfile::Builder::new().prefix("drplan-node-").tempdir()?.keep();
        let remover = match std::env::var_os("DRPLAN_TESTKIT_KEEP") {
            Some(_) => None,
            None => Some(Kept::start_remover(&keep, &dir)?),
        };
        let cgroup = format!("drplan-node-{}", std::process::id());
        let cgroups = Cgroups::make(&keep, &cgroup)?;
        let script = dir.join("inside.sh");
        std::fs::write(&script, INSIDE).with_context(|| format!("failed to write `{}`", script.display()))?;
        let busybox = packages.busybox();
        let mut command: Vec<OsString> = ["unshare", "-mnpuif", "--mount-proc", "--propagation", "private"]
            .map(OsString::from)
            .to_vec();
        command.push("--kill-child".into());
        command.extend([busybox.as_path(), Path::new("sh"), &script, &busybox, &dir].map(OsString::from));
        command.push(std::env::current_exe()?.into());
        command.extend(args.iter().map(OsString::from));
        command.extend([OsString::from(&dir), cgroup.into()]);
        Ok(Self {
            program: Kept::start_shown(&keep, &command)?,
            _cgroups: cgroups,
            _remover: remover,
            dir,
        })
    }

    /// Where the program keeps its files.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The process id of the program outside of the namespaces, to enter them by. `None` before it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        let outer = self.program.pid();
        let children = std::fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// Waits until the program has ended, and returns its exit code.
    pub(super) async fn ended(&self) -> i32 {
        self.program.ended().await
    }
}
