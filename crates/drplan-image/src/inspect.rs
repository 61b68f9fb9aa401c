//! Reads an archive back and says what is wrong with it.

use std::{collections::BTreeMap, io::Read};

use anyhow::{Context, ensure};
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::{
    content::{BILL, LICENSE, NOTICES, PROGRAM, ROOTS, USER},
    oci::path_of,
    program::is_static,
    sha256,
    tar::{self, Files},
};

/// What a node may have to download at most, in bytes.
pub const SIZE_MAX: usize = 10_000_000;
/// Labels that an image must have, without what they all begin with.
const LABELS: [&str; 5] = ["title", "version", "revision", "created", "licenses"];
/// Every file of the image; there is no shell among them.
const FILES: [&str; 7] = [PROGRAM, "etc/group", "etc/passwd", ROOTS, LICENSE, NOTICES, BILL];
/// Fewer root certificates than this would be a mistake; Mozilla has had between 120 and 170 for years.
const ROOTS_MIN: usize = 100;

/// What was found in an archive.
#[derive(Clone, Debug)]
pub struct Found {
    /// The manifest's digest.
    pub digest: String,
    /// What a node downloads, in bytes.
    pub size: usize,
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
    /// The files of all layers.
    pub files: Files,
}

/// Reads the archive and holds it against what an image of ours must be, which is at most [`SIZE_MAX`] large.
///
/// # Errors
/// The first thing that is wrong.
pub fn inspect(archive: &[u8]) -> anyhow::Result<Found> {
    inspect_within(archive, SIZE_MAX)
}

/// The same with another limit.
///
/// # Errors
/// The first thing that is wrong.
pub fn inspect_within(archive: &[u8], size_max: usize) -> anyhow::Result<Found> {
    let files = tar::read(archive)?;
    let json = |path: &str| -> anyhow::Result<Value> {
        let file = files
            .get(path)
            .with_context(|| format!("`{path}` is missing in the archive"))?;
        serde_json::from_slice(&file.content).with_context(|| format!("`{path}` is no JSON"))
    };
    let mut size = 0;
    for (path, file) in &files {
        if let Some(digest) = path.strip_prefix("blobs/sha256/") {
            ensure!(
                sha256(&file.content) == digest,
                "`{path}` holds something else than its name says"
            );
            size += file.content.len();
        }
    }
    ensure!(
        size <= size_max,
        "the image has {size} bytes, and {size_max} are the limit"
    );
    ensure!(
        json("oci-layout")?["imageLayoutVersion"] == "1.0.0",
        "the layout's version is not 1.0.0"
    );
    let index = json("index.json")?;
    let digest = index["manifests"][0]["digest"]
        .as_str()
        .context("the index names no manifest")?;
    let manifest = json(&path_of(&index["manifests"][0]))?;
    let config = json(&path_of(&manifest["config"]))?;
    ensure!(
        config["config"]["User"] == USER,
        "the image runs as {}",
        config["config"]["User"]
    );
    let labels: BTreeMap<String, String> =
        serde_json::from_value(config["config"]["Labels"].clone()).context("the image has no labels")?;
    for label in LABELS {
        let label = format!("org.opencontainers.image.{label}");
        ensure!(
            labels.get(&label).is_some_and(|value| !value.is_empty()),
            "the label {label} is missing"
        );
    }

    let mut content = Files::new();
    let layers = manifest["layers"]
        .as_array()
        .context("the manifest names no layers")?;
    for (place, layer) in layers.iter().enumerate() {
        let path = path_of(layer);
        let file = files
            .get(&path)
            .with_context(|| format!("`{path}` is missing in the archive"))?;
        let mut plain = Vec::new();
        GzDecoder::new(file.content.as_slice())
            .read_to_end(&mut plain)
            .with_context(|| format!("`{path}` is not compressed by gzip"))?;
        ensure!(
            config["rootfs"]["diff_ids"][place] == format!("sha256:{}", sha256(&plain)),
            "the config knows another layer than `{path}`"
        );
        content.extend(tar::read(&plain)?);
    }
    check(&content)?;
    Ok(Found {
        digest: digest.to_owned(),
        size,
        labels,
        files: content,
    })
}

fn check(content: &Files) -> anyhow::Result<()> {
    for path in FILES {
        ensure!(content.contains_key(path), "the image has no `{path}`");
    }
    if let Some(path) = content.keys().find(|path| !FILES.contains(&path.as_str())) {
        anyhow::bail!("the image has a file that nobody knows: `{path}`");
    }
    let program = &content[PROGRAM];
    ensure!(
        program.mode & 0o111 == 0o111,
        "the program may not be run by everybody"
    );
    ensure!(is_static(&program.content), "the program is not static");
    let roots = String::from_utf8_lossy(&content[ROOTS].content);
    let count = roots.matches("BEGIN CERTIFICATE").count();
    ensure!(count >= ROOTS_MIN, "there are {count} root certificates only");
    let bill: Value =
        serde_json::from_slice(&content[BILL].content).context("the bill of materials is no JSON")?;
    ensure!(
        bill["bomFormat"] == "CycloneDX",
        "the bill of materials is not CycloneDX"
    );
    let names: Vec<&str> = bill["components"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|found| found["name"].as_str())
        .collect();
    for name in ["drplan-engine", "kube-client", "rustls", "rust-std"] {
        ensure!(
            names.contains(&name),
            "the bill of materials does not name {name}"
        );
    }
    Ok(())
}
