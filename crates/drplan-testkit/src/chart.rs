//! The chart in `charts/`, rendered by Helm.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::binaries::helm;

/// Where the chart is.
pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/drplan");

/// The chart with values.
#[derive(Debug, Clone)]
pub struct Chart {
    namespace: String,
    args: Vec<String>,
}

impl Chart {
    /// The release `drplan` in this namespace, with the chart's own values.
    pub fn in_namespace(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            args: Vec::new(),
        }
    }

    /// With this value as well, as JSON: `replicas=3`, `namespaces=["shop"]`.
    #[must_use]
    pub fn with(mut self, value: impl Into<String>) -> Self {
        self.args.extend(["--set-json".to_owned(), value.into()]);
        self
    }

    /// Only what this template renders.
    #[must_use]
    pub fn only(mut self, template: &str) -> Self {
        self.args
            .extend(["--show-only".to_owned(), format!("templates/{template}")]);
        self
    }

    /// What Helm would install, as YAML. Blocks.
    ///
    /// # Errors
    ///
    /// When Helm cannot be built or refuses: then what it says.
    pub fn render(&self) -> anyhow::Result<String> {
        let mut args = vec!["template", "drplan", CHART, "--namespace", &self.namespace];
        args.extend(self.args.iter().map(String::as_str));
        run_helm(args)
    }

    /// What `helm lint --strict` finds. Blocks.
    ///
    /// # Errors
    ///
    /// When it finds anything.
    pub fn lint(&self) -> anyhow::Result<()> {
        let mut args = vec![
            "lint",
            CHART,
            "--strict",
            "--quiet",
            "--namespace",
            &self.namespace,
        ];
        args.extend(self.args.iter().map(String::as_str));
        run_helm(args).map(drop)
    }

    /// What Helm would install, object by object. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Self::render`].
    pub fn objects(&self) -> anyhow::Result<Vec<Value>> {
        objects(&self.render()?)
    }
}

/// The objects in a text of YAML documents.
///
/// # Errors
///
/// When it is not YAML.
pub fn objects(yaml: &str) -> anyhow::Result<Vec<Value>> {
    let documents: Vec<Option<Value>> =
        serde_saphyr::from_multiple(yaml).context("failed to read the objects")?;
    Ok(documents
        .into_iter()
        .flatten()
        .filter(|object| !object.is_null())
        .collect())
}

/// The first of these objects with this kind and name.
///
/// # Errors
///
/// When there is none.
pub fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> anyhow::Result<&'a Value> {
    let found = objects
        .iter()
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.with_context(|| format!("there is no {kind} {name}"))
}

/// Runs Helm without anything that its user may have set up. Blocks.
pub(crate) fn run_helm<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> anyhow::Result<String> {
    let nowhere: PathBuf = std::env::temp_dir().join("drplan-helm");
    let output = Command::new(helm()?)
        .args(args)
        .env("HELM_CACHE_HOME", nowhere.join("cache"))
        .env("HELM_CONFIG_HOME", nowhere.join("config"))
        .env("HELM_DATA_HOME", nowhere.join("data"))
        .env_remove("KUBECONFIG")
        .output()
        .context("failed to run helm")?;
    let [said, complained] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if !output.status.success() {
        bail!("helm: {}{}", said.trim(), complained.trim());
    }
    Ok(said)
}
