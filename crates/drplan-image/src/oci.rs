//! The archive of an image: an OCI image layout in a tar file, which `docker load` before version 25 can read too.

use std::{collections::BTreeMap, io::Write};

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};

use crate::{
    sha256,
    tar::{self, File, Files},
};

/// Of the image's config.
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// Of the image's manifest.
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Of each layer.
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Of the index, which names the manifest.
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// What an image is made of.
#[derive(Clone, Debug)]
pub struct Image {
    /// What it is called where it is loaded: `registry/repository:tag`.
    pub name: String,
    /// As Go calls the processor: `amd64`.
    pub architecture: String,
    /// All times in it, in seconds since 1970.
    pub time: u64,
    /// The same as RFC 3339.
    pub created: String,
    /// The numeric `user:group` that it runs as.
    pub user: String,
    /// What it runs.
    pub entrypoint: Vec<String>,
    /// With which arguments, unless told otherwise.
    pub arguments: Vec<String>,
    /// Labels, which the manifest has as annotations too.
    pub labels: BTreeMap<String, String>,
    /// From the lowest up: what it is for, and its files.
    pub layers: Vec<(String, Files)>,
}

/// An image as a file.
#[derive(Clone, Debug)]
pub struct Archive {
    /// The tar file.
    pub bytes: Vec<u8>,
    /// The manifest's digest, by which registries and nodes know the image: `sha256:…`.
    pub digest: String,
    /// What a registry stores and a node downloads, in bytes.
    pub size: usize,
}

impl Image {
    /// Writes the archive. The same image gives the same bytes.
    ///
    /// # Errors
    /// A path that tar cannot hold.
    pub fn archive(&self) -> anyhow::Result<Archive> {
        let mut blobs = Blobs::default();
        let mut layers = Vec::new();
        let mut difference_ids = Vec::new();
        let mut history = Vec::new();
        for (purpose, files) in &self.layers {
            let plain = tar::write(files, self.time)?;
            difference_ids.push(format!("sha256:{}", sha256(&plain)));
            layers.push(blobs.add(LAYER_TYPE, gzip(&plain)?));
            history.push(json!({"created": self.created, "created_by": "drplan-image", "comment": purpose}));
        }
        let config = json!({
            "created": self.created,
            "architecture": self.architecture,
            "os": "linux",
            "config": {
                "User": self.user,
                "Entrypoint": self.entrypoint,
                "Cmd": self.arguments,
                "WorkingDir": "/",
                "Labels": self.labels,
            },
            "rootfs": {"type": "layers", "diff_ids": difference_ids},
            "history": history,
        });
        let config = blobs.add(CONFIG_TYPE, serde_json::to_vec(&config)?);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": config,
            "layers": layers,
            "annotations": self.labels,
        });
        let mut manifest = blobs.add(MANIFEST_TYPE, serde_json::to_vec(&manifest)?);
        let digest = manifest["digest"].as_str().unwrap_or_default().to_owned();
        let size = blobs.0.values().map(|file| file.content.len()).sum();

        let (_, tag) = split_name(&self.name);
        manifest["platform"] = json!({"architecture": self.architecture, "os": "linux"});
        // containerd and podman take the name of what they load from the first, others from the second.
        manifest["annotations"] = json!({
            "io.containerd.image.name": self.name,
            "org.opencontainers.image.ref.name": tag,
        });
        let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [manifest]});
        let of_docker = json!([{
            "Config": path_of(&config),
            "RepoTags": [self.name],
            "Layers": layers.iter().map(path_of).collect::<Vec<_>>(),
        }]);
        let mut files = blobs.0;
        let layout = json!({"imageLayoutVersion": "1.0.0"});
        for (name, content) in [
            ("oci-layout", layout),
            ("index.json", index),
            ("manifest.json", of_docker),
        ] {
            files.insert(name.to_owned(), File::readable(serde_json::to_vec(&content)?));
        }
        Ok(Archive {
            bytes: tar::write(&files, self.time)?,
            digest,
            size,
        })
    }
}

/// The repository and the tag of an image's name; `latest` without one.
pub fn split_name(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}

/// Files that are named by what is in them.
#[derive(Default)]
struct Blobs(Files);

impl Blobs {
    fn add(&mut self, media_type: &str, content: Vec<u8>) -> Value {
        let descriptor = json!({
            "mediaType": media_type,
            "digest": format!("sha256:{}", sha256(&content)),
            "size": content.len(),
        });
        self.0.insert(path_of(&descriptor), File::readable(content));
        descriptor
    }
}

/// Where the archive holds what this descriptor describes.
pub(crate) fn path_of(descriptor: &Value) -> String {
    let digest = descriptor["digest"].as_str().unwrap_or_default();
    format!("blobs/{}", digest.replace(':', "/"))
}

/// Compressed, without the time, the name and the system that gzip would note.
fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut writer = GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(Vec::new(), Compression::best());
    writer.write_all(plain)?;
    writer.finish()
}
