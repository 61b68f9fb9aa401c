//! Finds the control plane's binaries, and builds them on first use.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

/// Where the Go sources are, beside this crate.
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../controlplane");

/// The programs in the multi-call binary `controlplane`, found by these names beside it.
const PROGRAMS: [&str; 5] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
];

/// What is built: the folder in the module, the package in the folder, and the binary's name.
const BUILDS: [(&str, &str, &str); 3] = [
    (".", ".", "controlplane"),
    (".", "./keep", "keep"),
    ("kwok", "sigs.k8s.io/kwok/cmd/kwok", "kwok"),
];

/// A directory that holds etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl, kwok and keep.
#[derive(Debug, Clone)]
pub struct Binaries {
    dir: PathBuf,
}

/// Why there are no binaries.
#[derive(Debug)]
pub enum BuildError {
    /// There is no Go to build them with.
    NoGo,
    /// Go refused: the last lines it printed.
    Refused(String),
}

impl Binaries {
    /// Returns the binaries, building them if need be: minutes at first, at once from then on.
    ///
    /// `DRPLAN_CONTROLPLANE_BIN` names a directory with ready ones instead. Blocks.
    ///
    /// # Errors
    ///
    /// [`BuildError`] when they cannot be built, or an I/O error of the cache.
    pub fn get() -> anyhow::Result<Self> {
        if let Some(dir) = std::env::var_os("DRPLAN_CONTROLPLANE_BIN") {
            let binaries = Self { dir: dir.into() };
            for name in PROGRAMS.iter().chain(&["kwok", "keep"]) {
                if !binaries.path(name).exists() {
                    bail!(
                        "DRPLAN_CONTROLPLANE_BIN names `{}`, which has no `{name}`",
                        binaries.dir.display()
                    );
                }
            }
            return Ok(binaries);
        }
        let cache = cache_root()?;
        let dir = cache.join(format!("controlplane-{}", key()?));
        if !dir.exists() {
            fs::create_dir_all(&cache).with_context(|| format!("failed to make `{}`", cache.display()))?;
            let lock = File::create(cache.join("controlplane.lock"))?;
            lock.lock().context("failed to lock the cache")?;
            // Another process may have built them while this one waited.
            if !dir.exists() {
                build(&cache, &dir)?;
            }
        }
        Ok(Self { dir })
    }

    /// Where this program is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The directory that holds them all.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

fn cache_root() -> anyhow::Result<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("DRPLAN_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("drplan")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache/drplan")))
        .context("there is no cache directory: set DRPLAN_CACHE")
}

/// Names one state of the sources, the flags and the compiler.
fn key() -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    let version = Command::new("go")
        .arg("version")
        .current_dir(MODULE)
        .output()
        .map_err(|_| BuildError::NoGo)?;
    hash.update(&version.stdout);
    hash.update(format!("{BUILDS:?} {}", linker_flags()?));
    let mut files = Vec::new();
    source_files(Path::new(MODULE), &mut files)?;
    files.sort();
    for file in files {
        hash.update(file.strip_prefix(MODULE)?.as_os_str().as_encoded_bytes());
        hash.update(fs::read(&file)?);
    }
    Ok(hash
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn source_files(dir: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("failed to read `{}`", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            source_files(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|ending| ["go", "mod", "sum"].map(OsStr::new).contains(&ending))
        {
            found.push(path);
        }
    }
    Ok(())
}

/// Builds everything beside `dir` and puts it in place in one step.
fn build(cache: &Path, dir: &Path) -> anyhow::Result<()> {
    let begun = Instant::now();
    eprintln!("testkit: building the control plane from Go modules, once; this takes some minutes");
    let unfinished = tempfile::Builder::new().prefix("building-").tempdir_in(cache)?;
    let flags = linker_flags()?;
    for (folder, package, name) in BUILDS {
        let mut go = Command::new("go");
        go.current_dir(Path::new(MODULE).join(folder))
            .args([
                "build",
                "-v",
                "-trimpath",
                "-buildvcs=false",
                "-ldflags",
                &flags,
                "-o",
            ])
            .arg(unfinished.path().join(name))
            .arg(package)
            .env("CGO_ENABLED", "0");
        go_build(go, name)?;
    }
    for program in PROGRAMS {
        std::os::unix::fs::symlink("controlplane", unfinished.path().join(program))?;
    }
    fs::rename(unfinished.keep(), dir).with_context(|| format!("failed to move to `{}`", dir.display()))?;
    eprintln!(
        "testkit: the control plane is in {} ({} s)",
        dir.display(),
        begun.elapsed().as_secs()
    );
    Ok(())
}

/// Small binaries, and the version that go.mod names: left alone, the API server reports one that clients fail to parse.
fn linker_flags() -> anyhow::Result<String> {
    let module = fs::read_to_string(Path::new(MODULE).join("go.mod")).context("failed to read go.mod")?;
    let version = module
        .lines()
        .find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v"));
    let version = version.context("go.mod does not require k8s.io/kubernetes")?;
    let mut parts = version.split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let package = "k8s.io/component-base/version";
    Ok(format!(
        "-s -w -X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    ))
}

/// Runs `go build -v`, telling every 15 seconds how far it is.
fn go_build(mut go: Command, name: &str) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut child = go
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|_| BuildError::NoGo)?;
    let stderr = child.stderr.take().context("go has no standard error")?;
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let mut printed = Vec::new();
    let mut told = Instant::now();
    loop {
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => printed.push(line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if told.elapsed() >= Duration::from_secs(15) {
            told = Instant::now();
            let seconds = begun.elapsed().as_secs();
            eprintln!(
                "testkit: building {name}: {seconds} s, {} packages so far",
                printed.len()
            );
        }
    }
    if child.wait()?.success() {
        eprintln!("testkit: built {name} in {} s", begun.elapsed().as_secs());
        return Ok(());
    }
    let last = printed.split_off(printed.len().saturating_sub(30));
    Err(BuildError::Refused(last.join("\n")).into())
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoGo => f.write_str(
                "building the control plane needs Go 1.26 or newer and there is no `go` on the PATH: install it \
                 (https://go.dev/dl), or name a directory with etcd, kube-apiserver, kube-controller-manager, \
                 kube-scheduler, kubectl, kwok and keep in DRPLAN_CONTROLPLANE_BIN",
            ),
            Self::Refused(last) => write!(f, "go failed to build the control plane:\n{last}"),
        }
    }
}

impl std::error::Error for BuildError {}
