//! Finds the control plane's binaries and the tools of tests, and builds them on first use.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::go::Bundle;

/// Where the Go sources are, beside this crate.
pub(crate) const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../controlplane");

/// Names a directory of ready binaries.
const READY_BINARIES: &str = "DRPLAN_CONTROLPLANE_BIN";

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

impl Binaries {
    /// Returns the binaries, building them if need be: minutes at first, at once from then on.
    ///
    /// `DRPLAN_CONTROLPLANE_BIN` names a directory with ready ones instead. Blocks.
    ///
    /// # Errors
    ///
    /// [`crate::BuildError`] when they cannot be built, or an I/O error of the cache.
    pub fn get() -> anyhow::Result<Self> {
        if let Some(dir) = std::env::var_os(READY_BINARIES) {
            let binaries = Self { dir: dir.into() };
            for name in PROGRAMS.iter().chain(&["kwok", "keep"]) {
                if !binaries.path(name).exists() {
                    bail!(
                        "{READY_BINARIES} names `{}`, which has no `{name}`",
                        binaries.dir.display()
                    );
                }
            }
            return Ok(binaries);
        }
        let bundle = Bundle {
            name: "controlplane",
            module: MODULE.into(),
            without: &[PROMTOOL_FOLDER, HELM_FOLDER, NODE_FOLDER],
            builds: &BUILDS,
            linker_flags: linker_flags(Path::new(MODULE))?,
            tags: "",
            links: Some(("controlplane", &PROGRAMS)),
            env: Vec::new(),
        };
        let dir = bundle.get()?;
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

/// Small binaries, and the version of Kubernetes that the module's go.mod names: left alone, the API server reports one
/// that clients fail to parse.
pub(crate) fn linker_flags(module: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(module.join("go.mod")).context("failed to read go.mod")?;
    let version = text
        .lines()
        .map(|line| line.trim().trim_start_matches("require "))
        .find_map(|line| line.strip_prefix("k8s.io/kubernetes v")?.split(' ').next());
    let version = version.context("go.mod does not require k8s.io/kubernetes")?;
    let mut parts = version.split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let package = "k8s.io/component-base/version";
    Ok(format!(
        "-s -w -X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    ))
}

/// The folders of the tools' modules.
const PROMTOOL_FOLDER: &str = "promtool";
const HELM_FOLDER: &str = "helm";
/// The folder of the modules for a real node.
pub(crate) const NODE_FOLDER: &str = "node";

/// Returns Prometheus' promtool, building it if need be: minutes at first, at once from then on. Blocks.
///
/// # Errors
///
/// [`crate::BuildError`] when it cannot be built, or an I/O error of the cache.
pub fn promtool() -> anyhow::Result<PathBuf> {
    tool(&Bundle {
        name: "promtool",
        module: Path::new(MODULE).join(PROMTOOL_FOLDER),
        without: &[],
        builds: &[(".", "github.com/prometheus/prometheus/cmd/promtool", "promtool")],
        linker_flags: "-s -w".to_owned(),
        // Rules need none of the clouds whose services Prometheus can find.
        tags: "remove_all_sd",
        links: None,
        env: Vec::new(),
    })
}

/// Returns Helm, building it if need be: minutes at first, at once from then on. Blocks.
///
/// # Errors
///
/// [`crate::BuildError`] when it cannot be built, or an I/O error of the cache.
pub fn helm() -> anyhow::Result<PathBuf> {
    tool(&Bundle {
        name: "helm",
        module: Path::new(MODULE).join(HELM_FOLDER),
        without: &[],
        builds: &[(".", "helm.sh/helm/v4/cmd/helm", "helm")],
        linker_flags: "-s -w".to_owned(),
        tags: "",
        links: None,
        env: Vec::new(),
    })
}

/// The one program of a bundle, which has its name.
fn tool(bundle: &Bundle<'_>) -> anyhow::Result<PathBuf> {
    let Some(dir) = std::env::var_os(READY_BINARIES) else {
        return Ok(bundle.get()?.join(bundle.name));
    };
    let program = Path::new(&dir).join(bundle.name);
    if !program.exists() {
        bail!(
            "{READY_BINARIES} names `{}`, which has no `{}`",
            dir.display(),
            bundle.name
        );
    }
    Ok(program)
}
