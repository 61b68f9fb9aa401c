//! Programs built from Go modules once and kept in a cache.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Context;
use sha2::{Digest, Sha256};

/// Programs that are built together.
pub(crate) struct Bundle<'a> {
    /// Names them in the cache and in what is printed.
    pub(crate) name: &'a str,
    /// Where the Go sources are.
    pub(crate) module: PathBuf,
    /// Folders in it that belong to other bundles.
    pub(crate) without: &'a [&'a str],
    /// What is built: the folder in the module, the package in the folder, and the binary's name.
    pub(crate) builds: &'a [(&'a str, &'a str, &'a str)],
    /// For the linker.
    pub(crate) linker_flags: String,
    /// What to leave out or take in.
    pub(crate) tags: &'a str,
    /// Other names of a binary: the binary, and the names.
    pub(crate) links: Option<(&'a str, &'a [&'a str])>,
    /// More environment of the compiler, where a program is linked with C.
    pub(crate) env: Vec<(&'a str, OsString)>,
}

/// Why there are no binaries.
#[derive(Debug)]
pub enum BuildError {
    /// There is no Go to build them with.
    NoGo,
    /// Go refused: the last lines it printed.
    Refused(String),
}

impl Bundle<'_> {
    /// The directory with the programs, which are built if need be: minutes at first, at once from then on. Blocks.
    pub(crate) fn get(&self) -> anyhow::Result<PathBuf> {
        let cache = cache_root()?;
        let dir = cache.join(format!("{}-{}", self.name, self.key()?));
        if !dir.exists() {
            fs::create_dir_all(&cache).with_context(|| format!("failed to make `{}`", cache.display()))?;
            let lock = File::create(cache.join(format!("{}.lock", self.name)))?;
            lock.lock().context("failed to lock the cache")?;
            // Another process may have built them while this one waited.
            if !dir.exists() {
                self.build(&cache, &dir)?;
            }
        }
        Ok(dir)
    }

    /// Names one state of the sources, the flags and the compiler.
    fn key(&self) -> anyhow::Result<String> {
        let mut hash = Sha256::new();
        let version = Command::new("go")
            .arg("version")
            .current_dir(&self.module)
            .output()
            .map_err(|_| BuildError::NoGo)?;
        hash.update(&version.stdout);
        hash.update(format!("{:?} {}{}", self.builds, self.linker_flags, self.tags));
        let mut files = Vec::new();
        let without: Vec<PathBuf> = self
            .without
            .iter()
            .map(|folder| self.module.join(folder))
            .collect();
        source_files(&self.module, &without, &mut files)?;
        files.sort();
        for file in files {
            hash.update(file.strip_prefix(&self.module)?.as_os_str().as_encoded_bytes());
            hash.update(fs::read(&file)?);
        }
        Ok(hash
            .finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }

    /// Builds everything beside `dir` and puts it in place in one step.
    fn build(&self, cache: &Path, dir: &Path) -> anyhow::Result<()> {
        let (begun, name) = (Instant::now(), self.name);
        eprintln!("testkit: building {name} from Go modules, once; this takes some minutes");
        let unfinished = tempfile::Builder::new().prefix("building-").tempdir_in(cache)?;
        for (folder, package, name) in self.builds {
            let mut go = Command::new("go");
            go.current_dir(self.module.join(folder))
                .args(["build", "-v", "-trimpath", "-buildvcs=false"])
                .args(["-tags", self.tags, "-ldflags", &self.linker_flags, "-o"])
                .arg(unfinished.path().join(name))
                .arg(package)
                .env("CGO_ENABLED", "0")
                .envs(self.env.iter().cloned());
            go_build(go, name)?;
        }
        if let Some((binary, names)) = self.links {
            for name in names {
                std::os::unix::fs::symlink(binary, unfinished.path().join(name))?;
            }
        }
        fs::rename(unfinished.keep(), dir)
            .with_context(|| format!("failed to move to `{}`", dir.display()))?;
        let seconds = begun.elapsed().as_secs();
        eprintln!("testkit: {name} is in {} ({seconds} s)", dir.display());
        Ok(())
    }
}

/// Where what is built once is kept.
pub(crate) fn cache_root() -> anyhow::Result<PathBuf> {
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

fn source_files(dir: &Path, without: &[PathBuf], found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("failed to read `{}`", dir.display()))? {
        let path = entry?.path();
        if without.contains(&path) {
            continue;
        }
        if path.is_dir() {
            source_files(&path, without, found)?;
        } else if path
            .extension()
            .is_some_and(|ending| ["go", "mod", "sum"].map(OsStr::new).contains(&ending))
        {
            found.push(path);
        }
    }
    Ok(())
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
                 kube-scheduler, kubectl, kwok, keep, promtool and helm in \
                 DRPLAN_CONTROLPLANE_BIN",
            ),
            Self::Refused(last) => write!(f, "go failed to build it:\n{last}"),
        }
    }
}

impl std::error::Error for BuildError {}
