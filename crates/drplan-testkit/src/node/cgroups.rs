//! The cgroups that the node's containers run in, which are the machine's, and go with the node.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::kept::Kept;

const ROOT: &str = "/sys/fs/cgroup";

/// One cgroup in each hierarchy of the machine. They are removed when this is dropped, and when this process ends.
#[derive(Debug)]
pub(super) struct Cgroups {
    _removers: Vec<Kept>,
}

impl Cgroups {
    /// Makes them under this name.
    pub(super) fn make(keep: &Path, name: &str) -> anyhow::Result<Self> {
        let mut removers = Vec::new();
        for hierarchy in hierarchies()? {
            let dir = hierarchy.join(name);
            removers.push(Kept::start_remover(keep, &dir)?);
            make(&hierarchy, &dir)?;
        }
        Ok(Self { _removers: removers })
    }
}

/// Why no cgroup can be made.
pub(super) fn unusable() -> Option<String> {
    let probe = || -> anyhow::Result<()> {
        for hierarchy in hierarchies()? {
            let dir = hierarchy.join(format!("drplan-probe-{}", std::process::id()));
            fs::create_dir(&dir).with_context(|| format!("`{}`", dir.display()))?;
            fs::remove_dir(&dir)?;
        }
        Ok(())
    };
    probe()
        .err()
        .map(|error| format!("cgroups of its own cannot be made: {error:#}"))
}

/// The cgroups of these names that are there, in every hierarchy.
pub(super) fn list() -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for hierarchy in hierarchies()? {
        for entry in fs::read_dir(&hierarchy)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The one hierarchy of version 2, or one for each controller.
fn hierarchies() -> anyhow::Result<Vec<PathBuf>> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return Ok(vec![root.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(root).with_context(|| format!("failed to read `{ROOT}`"))? {
        let entry = entry?;
        // A link is another name of one that is there.
        if entry.file_type()?.is_dir() && entry.path().join("cgroup.procs").exists() {
            found.push(entry.path());
        }
    }
    anyhow::ensure!(!found.is_empty(), "no cgroups are mounted at `{ROOT}`");
    found.sort();
    Ok(found)
}

fn make(hierarchy: &Path, dir: &Path) -> anyhow::Result<()> {
    fs::create_dir(dir).with_context(|| format!("failed to make `{}`", dir.display()))?;
    // A new cpuset of version 1 has neither processors nor memory, and takes no process before it has both.
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if hierarchy.ends_with("cpuset") && dir.join(file).exists() {
            fs::write(dir.join(file), fs::read(hierarchy.join(file))?)?;
        }
    }
    Ok(())
}
