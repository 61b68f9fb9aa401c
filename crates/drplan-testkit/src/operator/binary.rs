//! Builds the programs that are to be tested.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use anyhow::{Context, bail};
use serde_json::Value;

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Builds that a plain build of the same moment may spoil before its own copy is taken.
const TRIES: usize = 5;
/// Copies that are kept: those of test runs that began before the newest build.
const COPIES_MAX: usize = 4;

/// Returns the operator's binary: `DRPLAN_OPERATOR_BIN`, or else the workspace's, built with `fault-points` by the
/// first call of the process. Blocks.
///
/// The file returned is a copy of its own: a later or plain build does not replace it under a running test.
///
/// # Errors
///
/// When it cannot be built.
pub fn operator_binary() -> anyhow::Result<PathBuf> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    if let Some(binary) = std::env::var_os("DRPLAN_OPERATOR_BIN") {
        return Ok(binary.into());
    }
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(binary) = built.as_ref() {
        return Ok(binary.clone());
    }
    // Cargo has locks of its own, but says nothing while it waits for them.
    let target = Path::new(WORKSPACE).join("target");
    fs::create_dir_all(&target)?;
    let lock = File::create(target.join("operator-build.lock"))?;
    lock.lock()?;
    for _ in 0..TRIES {
        let copy = take_copy(&build("drplan-operator")?, &target.join("testkit"))?;
        if has_fault_points(&copy)? {
            return Ok(built.insert(copy).clone());
        }
        // A plain build came between.
        fs::remove_file(&copy)?;
    }
    bail!("the operator was built again without fault points {TRIES} times in a row")
}

/// Returns the binary of `kubectl drplan`, built by the first call of the process. Blocks.
///
/// # Errors
///
/// When it cannot be built.
pub fn cli_binary() -> anyhow::Result<PathBuf> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(binary) = built.as_ref() {
        return Ok(binary.clone());
    }
    let binary = build("kubectl-drplan")?;
    Ok(built.insert(binary).clone())
}

fn build(name: &str) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(WORKSPACE)
        .args([
            "build",
            // With the features of dependencies that `cargo test --workspace` has, so that nothing is built twice.
            "--workspace",
            "--features=drplan-operator/fault-points",
        ])
        .args(["--bin", name])
        .arg("--message-format=json-render-diagnostics")
        .output()
        .context("failed to run cargo")?;
    if !output.status.success() {
        bail!(
            "failed to build {name}:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    };
    messages
        .lines()
        .filter_map(executable)
        .next_back()
        .with_context(|| format!("cargo built no {name}"))
}

/// Copies `binary` into `dir` under a name that tells builds apart, and removes the oldest copies.
fn take_copy(binary: &Path, dir: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(dir)?;
    let metadata = fs::metadata(binary)?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH)?;
    let copy = dir.join(format!(
        "drplan-operator-{}-{}",
        modified.as_nanos(),
        metadata.len()
    ));
    if !copy.exists() {
        let partial = copy.with_extension("partial");
        fs::copy(binary, &partial)?;
        fs::rename(&partial, &copy)?;
    }
    let mut copies: Vec<PathBuf> = fs::read_dir(dir)?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    copies.sort();
    let excess = copies.len().saturating_sub(COPIES_MAX);
    for old in copies.into_iter().filter(|old| *old != copy).take(excess) {
        fs::remove_file(old)?;
    }
    Ok(copy)
}

/// Whether the operator was built with fault points: one without refuses to run with a fault.
fn has_fault_points(binary: &Path) -> anyhow::Result<bool> {
    let output = Command::new(binary)
        .args(["run", "--kubeconfig=/nowhere"])
        .env("DRPLAN_FAULT", "nowhere=kill")
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok(!String::from_utf8_lossy(&said).contains("has no fault points"))
}

/// Returns the CRDs that the operator prints with `crds`. Blocks.
///
/// # Errors
///
/// When the operator cannot be built or fails.
pub fn operator_crds() -> anyhow::Result<Vec<String>> {
    let binary = operator_binary()?;
    let output = Command::new(&binary).arg("crds").output();
    let output = output.with_context(|| format!("failed to run `{}`", binary.display()))?;
    if !output.status.success() {
        bail!(
            "`{} crds` failed:\n{}",
            binary.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(vec![String::from_utf8(output.stdout)?])
}
