//! Builds the operator that is to be tested.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};
use serde_json::Value;

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Returns the operator's binary: `DRPLAN_OPERATOR_BIN`, or else the workspace's, built with `fault-points` by the
/// first call of the process. Blocks.
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
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(WORKSPACE)
        .args([
            "build",
            "--package=drplan-operator",
            "--bin=drplan-operator",
            "--features=fault-points",
        ])
        .arg("--message-format=json-render-diagnostics")
        .output()
        .context("failed to run cargo")?;
    if !output.status.success() {
        bail!(
            "failed to build the operator:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    };
    let binary = messages
        .lines()
        .filter_map(executable)
        .next_back()
        .context("cargo built no drplan-operator")?;
    Ok(built.insert(binary).clone())
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
