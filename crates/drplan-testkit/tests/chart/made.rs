//! Files that are made from others. A test that finds one stale writes it anew and fails.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use drplan_testkit::chart::{Chart, objects};
use serde_json::Value;

use super::values;

/// The namespace of `deploy/install.yaml`, whose Pods need no more than `restricted` allows.
const NAMESPACE: &str = "\
apiVersion: v1
kind: Namespace
metadata:
  name: drplan-system
  labels:
    pod-security.kubernetes.io/enforce: restricted
";
const HEADER: &str = "\
# Everything that `helm template drplan charts/drplan` renders, for those without Helm; made from the chart by a test.
# Put the image where your nodes find it, and its name into the Deployment: see docs/install.md.
";

/// The repository's directory.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(file: &str) -> anyhow::Result<String> {
    fs::read_to_string(repository().join(file)).with_context(|| format!("failed to read `{file}`"))
}

/// Writes the file anew unless it holds `fresh`; its name then goes into `stale`.
fn refresh(file: &str, fresh: &str, stale: &mut Vec<String>) -> anyhow::Result<()> {
    if read(file).unwrap_or_default() != fresh {
        fs::write(repository().join(file), fresh).with_context(|| format!("failed to write `{file}`"))?;
        stale.push(file.to_owned());
    }
    Ok(())
}

#[test]
fn what_is_made_from_the_types_and_from_the_chart_is_up_to_date() -> anyhow::Result<()> {
    let mut stale = Vec::new();
    for crd in drplan_api::crds() {
        let plural = &crd.spec.names.plural;
        let mut crd = crd.clone();
        crd.metadata.annotations = Some([("helm.sh/resource-policy".to_owned(), "keep".to_owned())].into());
        refresh(
            &format!("charts/drplan/files/crds/{plural}.yaml"),
            &serde_saphyr::to_string(&crd)?,
            &mut stale,
        )?;
    }
    let alerts = read("deploy/alerts.yaml")?;
    refresh("charts/drplan/files/alerts.yaml", &alerts, &mut stale)?;

    let readme = read("charts/drplan/README.md")?;
    let (before, rest) = readme
        .split_once("<!-- values -->\n")
        .context("README.md has no place for the values")?;
    let (_, after) = rest
        .split_once("<!-- end of values -->")
        .context("the values of README.md have no end")?;
    let table = values::table(&values::read(&read("charts/drplan/values.yaml")?)?);
    let fresh = format!("{before}<!-- values -->\n{table}<!-- end of values -->{after}");
    refresh("charts/drplan/README.md", &fresh, &mut stale)?;

    refresh("deploy/install.yaml", &install()?, &mut stale)?;
    assert!(
        stale.is_empty(),
        "{stale:?} were stale and have been written anew: look at them and commit them"
    );
    Ok(())
}

/// The chart as one file, without what only Helm asks for.
fn install() -> anyhow::Result<String> {
    let rendered = Chart::in_namespace("drplan-system").render()?;
    let of_helm = ["helm.sh/chart:", "app.kubernetes.io/managed-by:", "# Source:"];
    let mut lines: Vec<&str> = Vec::new();
    for line in rendered.lines().map(str::trim_end) {
        if of_helm.iter().any(|start| line.trim_start().starts_with(start)) {
            continue;
        }
        // Templates leave empty lines and empty documents.
        while line == "---" && lines.last().is_some_and(|last| ["", "---"].contains(last)) {
            lines.pop();
        }
        if !(line.is_empty() && lines.last() == Some(&"---")) {
            lines.push(line);
        }
    }
    Ok(format!("{HEADER}---\n{NAMESPACE}{}\n", lines.join("\n")))
}

#[test]
fn every_value_has_a_comment_and_a_place_in_the_schema() -> anyhow::Result<()> {
    let schema: Value = serde_json::from_str(&read("charts/drplan/values.schema.json")?)?;
    let described = values::read(&read("charts/drplan/values.yaml")?)?;
    assert!(described.len() > 50);
    for value in &described {
        values::is_in_schema(&schema, &value.path)?;
    }
    Ok(())
}

#[test]
fn the_chart_holds_what_the_alerts_file_holds() -> anyhow::Result<()> {
    let rendered = Chart::in_namespace("drplan-system")
        .with("metrics.prometheusRule.enabled=true")
        .only("monitoring.yaml")
        .objects()?;
    let alerts = objects(&read("deploy/alerts.yaml")?)?;
    assert_eq!(rendered[0]["spec"], alerts[0]);
    Ok(())
}
