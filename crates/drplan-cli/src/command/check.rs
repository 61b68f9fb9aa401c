//! `check`.

use anyhow::Context;
use drplan_api::Severity;

use crate::{
    check::{self, read_files},
    exit::Exit,
    options::{ClusterOptions, Output},
    screen,
};

/// Where objects are that name no namespace and no `-n` is given: without a cluster nobody else says so.
const NAMESPACE: &str = "default";

/// Checks `names` and prints what is found.
pub(super) fn check(
    cluster: &ClusterOptions,
    names: &[String],
    recursive: bool,
    output: Output,
) -> anyhow::Result<Exit> {
    let files = read_files(names, recursive)
        .map_err(|(name, error)| anyhow::Error::new(error).context(format!("failed to read `{name}`")))?;
    let checked = check::check(&files, cluster.namespace.as_deref().unwrap_or(NAMESPACE));
    match output {
        Output::Text => {
            let width = screen::size().0.clamp(40, 140);
            screen::print(&check::text(&files, &checked, screen::wants_colours(), width));
        }
        Output::Json => {
            let found = serde_json::to_string_pretty(&check::json(&files, &checked));
            screen::line(&found.context("failed to write what was found as JSON")?);
        }
    }
    if checked.count(Severity::Error) > 0 {
        return Ok(Exit::ProblemsFound);
    }
    Ok(Exit::Done)
}
