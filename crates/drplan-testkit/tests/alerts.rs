//! `deploy/alerts.yaml` fires when it should, and `docs/operations.md` says what to do then.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use drplan_testkit::promtool;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(file: &str) -> anyhow::Result<String> {
    fs::read_to_string(repository().join(file)).with_context(|| format!("failed to read `{file}`"))
}

/// Runs promtool in the repository; unless it succeeds, what it prints is the error.
fn succeed(args: &[&str]) -> anyhow::Result<()> {
    let program = promtool()?;
    let output = Command::new(program)
        .args(args)
        .current_dir(repository())
        .output()?;
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    anyhow::ensure!(output.status.success(), "promtool {args:?}: {}", printed.concat());
    Ok(())
}

fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines()
        .filter_map(move |line| line.trim().trim_start_matches("- ").strip_prefix(key))
        .map(str::trim)
}

#[test]
fn every_alert_fires_when_it_should_and_not_before() -> anyhow::Result<()> {
    succeed(&[
        "check",
        "rules",
        "--lint=all",
        "--lint-fatal",
        "deploy/alerts.yaml",
    ])?;
    succeed(&["test", "rules", "deploy/alerts.test.yaml"])?;
    let (rules, tests) = (read("deploy/alerts.yaml")?, read("deploy/alerts.test.yaml")?);
    let alerts: BTreeSet<&str> = values(&rules, "alert:").collect();
    // What has annotations to compare fired in a test.
    let fired: BTreeSet<String> = values(&tests, "runbook_url:").map(anchor).collect();
    let wanted: BTreeSet<String> = alerts.iter().map(|alert| alert.to_lowercase()).collect();
    assert_eq!(fired, wanted);
    Ok(())
}

fn anchor(url: &str) -> String {
    url.strip_prefix("docs/operations.md#").unwrap_or(url).to_owned()
}

#[test]
fn every_alert_has_a_runbook_and_every_metric_it_asks_for_a_line() -> anyhow::Result<()> {
    let (rules, docs) = (read("deploy/alerts.yaml")?, read("docs/operations.md")?);
    let sections: BTreeSet<String> = values(&docs, "### ").map(str::to_lowercase).collect();
    let runbooks: Vec<String> = values(&rules, "runbook_url:").map(anchor).collect();
    let alerts: Vec<String> = values(&rules, "alert:").map(str::to_lowercase).collect();
    assert_eq!(runbooks, alerts);
    let without: Vec<_> = alerts.iter().filter(|alert| !sections.contains(*alert)).collect();
    assert_eq!(without, Vec::<&String>::new(), "a section `### ALERT` each");
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    for expression in values(&rules, "expr:") {
        let metrics = expression
            .split(|c| !is_part(c))
            .filter(|word| word.starts_with("drplan_"));
        for metric in metrics {
            assert!(
                docs.contains(&format!("`{metric}`")),
                "{metric} is not in docs/operations.md"
            );
        }
    }
    Ok(())
}
