//! Images for the node's containers, since it reaches no registry.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use drplan_image::oci::Image;
use drplan_image::tar::{File, Files};

use super::packages::Packages;
use super::programs::Programs;

/// What holds the namespaces of each Pod.
pub(super) const PAUSE: &str = "localhost/pause:1";
/// A shell with its commands. Further names are those that manifests use.
pub(super) const BUSYBOX: &str = "docker.io/library/busybox:1";
/// The image of the example's checks of health.
pub(super) const CURL: &str = "docker.io/curlimages/curl:8.15.0";

/// `curl` as the example calls it: the last argument is the URL, and every failure is tried again.
const CURL_SCRIPT: &str = include_str!("curl.sh");

/// Writes the images into the directory as archives.
pub(super) fn write(dir: &Path, programs: &Programs, packages: &Packages) -> anyhow::Result<Vec<PathBuf>> {
    let read = |file: &Path| fs::read(file).with_context(|| format!("failed to read `{}`", file.display()));
    let busybox = read(&packages.busybox())?;
    let shell = Files::from([
        ("bin/busybox".to_owned(), File::program(busybox.clone())),
        // Under this name it is the shell, and finds its other commands in itself.
        ("bin/sh".to_owned(), File::program(busybox)),
        ("bin/curl".to_owned(), File::program(CURL_SCRIPT)),
    ]);
    let pause = read(&programs.pause.join("pause"))?;
    let pause = Files::from([("pause".to_owned(), File::program(pause))]);
    let images = [
        ("pause", image(PAUSE, "/pause", pause)),
        ("busybox", image(BUSYBOX, "/bin/sh", shell.clone())),
        ("curl", image(CURL, "/bin/curl", shell)),
    ];
    let mut written = Vec::new();
    for (name, image) in images {
        let file = dir.join(format!("{name}.tar"));
        fs::write(&file, image.archive()?.bytes)
            .with_context(|| format!("failed to write `{}`", file.display()))?;
        written.push(file);
    }
    Ok(written)
}

fn image(name: &str, entrypoint: &str, files: Files) -> Image {
    Image {
        name: name.to_owned(),
        architecture: architecture().to_owned(),
        time: 0,
        created: "1970-01-01T00:00:00Z".to_owned(),
        user: String::new(),
        entrypoint: vec![entrypoint.to_owned()],
        arguments: Vec::new(),
        labels: BTreeMap::new(),
        layers: vec![("everything".to_owned(), files)],
    }
}

/// The processor as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
