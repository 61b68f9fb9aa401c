//! Which crates are linked into the program, as cargo knows them.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use serde::Deserialize;

use crate::{
    program::{PACKAGE, Platform},
    source::printed,
};

/// A crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, as SPDX expression, if it tells.
    pub license: Option<String>,
    /// Where its sources are kept, if it tells.
    pub repository: Option<String>,
    /// The SHA-256 of what the registry gives; none for the crates of this workspace.
    pub checksum: Option<String>,
    /// Its directory on this machine.
    pub directory: PathBuf,
    /// Places in [`Packages::all`] of what it uses.
    pub uses: Vec<usize>,
}

/// The crates of the program.
#[derive(Clone, Debug)]
pub struct Packages {
    /// By name and version.
    pub all: Vec<Package>,
    /// The place of the program itself.
    pub root: usize,
    /// The crate with the root certificates, which are a file of the image.
    pub roots: Package,
}

/// Its name.
const ROOTS: &str = "webpki-root-certs";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Listed>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Used>,
}

#[derive(Deserialize)]
struct Used {
    pkg: String,
    dep_kinds: Vec<UsedAs>,
}

#[derive(Deserialize)]
struct UsedAs {
    kind: Option<String>,
}

impl Packages {
    /// Asks cargo. What runs only while the program is built, macros and build scripts, is not among them.
    ///
    /// # Errors
    /// Cargo fails, or tells things that do not fit together.
    pub fn linked(root: &Path, platform: Platform) -> anyhow::Result<Self> {
        let metadata = cargo(
            root,
            &["metadata", "--format-version=1", "--filter-platform"],
            platform,
        )?;
        let metadata: Metadata =
            serde_json::from_str(&metadata).context("failed to read cargo's metadata")?;
        let tree = "tree --edges=normal,no-proc-macro --prefix=none --package drplan-operator --target";
        let tree = cargo(root, &tree.split(' ').collect::<Vec<_>>(), platform)?;
        let linked: BTreeSet<(&str, &str)> = tree.lines().filter_map(name_and_version).collect();
        let lock = lock(root)?;
        let checksums: BTreeMap<(&str, &str), &str> = entries(&lock)
            .filter_map(|(name, version, sum)| Some(((name, version), sum?)))
            .collect();

        let mut listed: Vec<&Listed> = metadata
            .packages
            .iter()
            .filter(|package| linked.contains(&(package.name.as_str(), package.version.as_str())))
            .collect();
        listed.sort_by_key(|package| (&package.name, &package.version));
        let places: BTreeMap<&str, usize> = listed
            .iter()
            .enumerate()
            .map(|(place, package)| (package.id.as_str(), place))
            .collect();
        let mut uses: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for node in &metadata.resolve.nodes {
            let normal = node
                .deps
                .iter()
                .filter(|used| used.dep_kinds.iter().any(|used| used.kind.is_none()));
            let mut found: Vec<usize> = normal
                .filter_map(|used| places.get(used.pkg.as_str()).copied())
                .collect();
            found.sort_unstable();
            uses.insert(&node.id, found);
        }
        let package = |listed: &Listed| {
            let directory = listed
                .manifest_path
                .parent()
                .context("a manifest without a directory")?;
            let checksum = checksums.get(&(listed.name.as_str(), listed.version.as_str()));
            anyhow::Ok(Package {
                name: listed.name.clone(),
                version: listed.version.clone(),
                license: listed.license.as_deref().map(expression),
                repository: listed.repository.clone(),
                checksum: checksum.map(|&sum| sum.to_owned()),
                directory: directory.to_owned(),
                uses: uses.get(listed.id.as_str()).cloned().unwrap_or_default(),
            })
        };
        let all = listed
            .iter()
            .map(|listed| package(listed))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let roots = metadata.packages.iter().find(|package| package.name == ROOTS);
        let roots = roots.with_context(|| format!("cargo does not know {ROOTS}"))?;
        let root = all.iter().position(|package| package.name == PACKAGE);
        Ok(Self {
            root: root.with_context(|| format!("cargo does not know {PACKAGE}"))?,
            roots: package(roots)?,
            all,
        })
    }
}

/// Runs a command of cargo about this platform, which it takes last.
fn cargo(root: &Path, arguments: &[&str], platform: Platform) -> anyhow::Result<String> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    printed(
        Command::new(program)
            .current_dir(root)
            .args(arguments)
            .args([platform.target(), "--locked"]),
    )
}

/// Of a line such as `serde v1.0.229 (*)`.
fn name_and_version(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split(' ');
    Some((words.next()?, words.next()?.strip_prefix('v')?))
}

/// As SPDX writes it now: older crates have a slash for `OR`.
fn expression(license: &str) -> String {
    license
        .replace('/', " OR ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn lock(root: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(root.join("Cargo.lock")).context("failed to read Cargo.lock")
}

/// Name, version and checksum of each entry of a Cargo.lock; only crates of a registry have the last.
fn entries(lock: &str) -> impl Iterator<Item = (&str, &str, Option<&str>)> {
    lock.split("[[package]]").skip(1).filter_map(|entry| {
        let value = |name: &str| {
            let line = entry
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
            line.map(|value| value.trim_matches('"'))
        };
        Some((value("name")?, value("version")?, value("checksum")))
    })
}
