//! The sources that an image is made of: where they are, which commit, and when that was.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use jiff::Timestamp;

/// Where the sources are and what they are called.
#[derive(Clone, Debug)]
pub struct Source {
    /// The workspace's directory.
    pub root: PathBuf,
    /// The commit, with `-dirty` after it if files differ from it; `unknown` without Git.
    pub revision: String,
    /// When: `SOURCE_DATE_EPOCH`, else the commit's time; 1970 without either.
    pub time: Timestamp,
}

impl Source {
    /// Looks at the sources in `root`.
    ///
    /// # Errors
    /// `SOURCE_DATE_EPOCH` is no number of seconds.
    pub fn look(root: &Path) -> anyhow::Result<Self> {
        let commit = git(root, &["rev-parse", "HEAD"]);
        let changed = git(root, &["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
        let revision = match commit {
            Some(commit) if changed => format!("{commit}-dirty"),
            Some(commit) => commit,
            None => "unknown".to_owned(),
        };
        let seconds = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => text
                .parse()
                .with_context(|| format!("SOURCE_DATE_EPOCH is `{text}`, which is no number of seconds"))?,
            Err(_) => git(root, &["log", "-1", "--format=%ct"])
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
        };
        Ok(Self {
            root: root.to_owned(),
            revision,
            time: Timestamp::from_second(seconds).context("SOURCE_DATE_EPOCH is out of range")?,
        })
    }

    /// The time in seconds since 1970.
    pub fn seconds(&self) -> u64 {
        u64::try_from(self.time.as_second()).unwrap_or(0)
    }
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(arguments)
        .output()
        .ok()?;
    let printed = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| printed.trim().to_owned())
}

/// What a command prints.
///
/// # Errors
/// It cannot be started or fails.
pub(crate) fn printed(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("failed to start `{name}`"))?;
    if !output.status.success() {
        bail!(
            "`{name}` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("what `{name}` printed is not UTF-8"))
}
