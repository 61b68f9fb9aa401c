//! Debian packages, unpacked into the cache. Nothing is installed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::go::cache_root;

/// What is taken from Debian: iptables with its libraries for kube-proxy, libseccomp to link runc with, and a static
/// busybox, which sets up the node's network and runs in containers.
const NAMES: [&str; 10] = [
    "busybox-static",
    "iptables",
    "libip4tc2",
    "libip6tc2",
    "libmnl0",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
    "libnftnl11",
    "libseccomp-dev",
    "libxtables12",
];

/// The names by which kube-proxy calls iptables. They are one program.
const IPTABLES: [&str; 6] = [
    "iptables",
    "iptables-save",
    "iptables-restore",
    "ip6tables",
    "ip6tables-save",
    "ip6tables-restore",
];

/// The unpacked packages.
#[derive(Debug, Clone)]
pub(super) struct Packages {
    dir: PathBuf,
}

impl Packages {
    /// Downloads and unpacks them unless they are in the cache. apt checks them by its signed index. Blocks.
    ///
    /// # Errors
    ///
    /// When apt cannot download them, or one cannot be unpacked.
    pub(super) fn get() -> anyhow::Result<Self> {
        let cache = cache_root()?;
        let dir = cache.join(format!("packages-{}-{}", release()?, std::env::consts::ARCH));
        if !dir.exists() {
            fs::create_dir_all(&cache).with_context(|| format!("failed to make `{}`", cache.display()))?;
            let lock = File::create(cache.join("packages.lock"))?;
            lock.lock().context("failed to lock the cache")?;
            if !dir.exists() {
                unpack_all(&cache, &dir)?;
            }
        }
        Ok(Self { dir })
    }

    /// A static busybox.
    pub(super) fn busybox(&self) -> PathBuf {
        [self.dir.join("bin/busybox"), self.dir.join("usr/bin/busybox")]
            .into_iter()
            .find(|file| file.exists())
            .unwrap_or_else(|| self.dir.join("bin/busybox"))
    }

    /// Where iptables is, under all of its names.
    pub(super) fn iptables(&self) -> PathBuf {
        self.dir.join("iptables")
    }

    /// Where C finds headers.
    pub(super) fn headers(&self) -> PathBuf {
        self.dir.join("usr/include")
    }

    /// Where libraries are.
    pub(super) fn libraries(&self) -> PathBuf {
        self.dir
            .join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH))
    }
}

/// Debian's name for what this machine runs.
fn release() -> anyhow::Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("failed to read `/etc/os-release`")?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name.context("`/etc/os-release` names no release")?.to_owned())
}

fn unpack_all(cache: &Path, dir: &Path) -> anyhow::Result<()> {
    eprintln!(
        "node: fetching {} Debian packages, once; they are unpacked, not installed",
        NAMES.len()
    );
    let unfinished = tempfile::Builder::new().prefix("packages-").tempdir_in(cache)?;
    let archives = unfinished.path().join("archives");
    fs::create_dir(&archives)?;
    download(&archives, cache)?;
    for archive in fs::read_dir(&archives)? {
        let archive = archive?.path();
        run(Command::new("dpkg-deb")
            .arg("--extract")
            .arg(&archive)
            .arg(unfinished.path()))?;
    }
    fs::remove_dir_all(&archives)?;
    let names = unfinished.path().join("iptables");
    fs::create_dir(&names)?;
    for name in IPTABLES {
        std::os::unix::fs::symlink("../usr/sbin/xtables-nft-multi", names.join(name))?;
    }
    fs::rename(unfinished.keep(), dir).with_context(|| format!("failed to move to `{}`", dir.display()))
}

/// Downloads by the machine's own lists of packages, or by lists of ours if it has none or old ones.
fn download(to: &Path, cache: &Path) -> anyhow::Result<()> {
    let Err(first) = run(apt(to).arg("download").args(NAMES)) else {
        return Ok(());
    };
    eprintln!(
        "node: by the machine's own lists apt found not all of them; fetching new lists into the cache"
    );
    let lists = cache.join("packages-lists");
    fs::create_dir_all(lists.join("partial"))?;
    let ours = [
        format!("-oDir::State::Lists={}", lists.display()),
        format!("-oDir::Cache={}", lists.display()),
    ];
    run(apt(to).args(&ours).arg("update"))
        .and_then(|()| run(apt(to).args(&ours).arg("download").args(NAMES)))
        .with_context(|| format!("before that: {first:#}"))
}

fn apt(dir: &Path) -> Command {
    let mut apt = Command::new("apt-get");
    // Otherwise it becomes another user, who may not write into our directory.
    apt.current_dir(dir)
        .args(["-q", "-oAPT::Sandbox::User=root"])
        .env("LC_ALL", "C");
    apt
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("failed to run {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complained = String::from_utf8_lossy(&output.stderr);
    bail!("{program} failed: {}", complained.trim())
}
