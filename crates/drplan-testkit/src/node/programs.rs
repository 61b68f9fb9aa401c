//! The programs of a node, built from Go modules.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::packages::Packages;
use crate::binaries::{MODULE, NODE_FOLDER, linker_flags};
use crate::go::{Bundle, cache_root};

/// Where the programs are.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    /// kubelet and kube-proxy.
    pub(super) kubernetes: PathBuf,
    /// containerd, its shim and ctr.
    pub(super) containerd: PathBuf,
    /// runc.
    pub(super) runc: PathBuf,
    /// The CNI plugins bridge, host-local and loopback.
    pub(super) cni: PathBuf,
    /// CoreDNS.
    pub(super) coredns: PathBuf,
    /// What holds the namespaces of a Pod.
    pub(super) pause: PathBuf,
}

impl Programs {
    /// The programs, which are built if need be: ten minutes at first, at once from then on. Blocks.
    ///
    /// # Errors
    ///
    /// [`crate::BuildError`] when they cannot be built, or an I/O error of the cache.
    pub(super) fn get(packages: &Packages) -> anyhow::Result<Self> {
        let kubernetes = module("kubernetes");
        let version = linker_flags(&kubernetes)?;
        Ok(Self {
            kubernetes: Bundle {
                linker_flags: version,
                ..bundle(
                    "kubernetes",
                    &[
                        (".", "k8s.io/kubernetes/cmd/kubelet", "kubelet"),
                        (".", "k8s.io/kubernetes/cmd/kube-proxy", "kube-proxy"),
                    ],
                )
            }
            .get()?,
            containerd: Bundle {
                // Snapshots of file systems that a test needs not, and plugins of others.
                tags: "no_btrfs no_zfs no_devmapper no_cri_nri",
                ..bundle(
                    "containerd",
                    &[
                        (
                            ".",
                            "github.com/containerd/containerd/v2/cmd/containerd",
                            "containerd",
                        ),
                        (
                            ".",
                            "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
                            "containerd-shim-runc-v2",
                        ),
                        (".", "github.com/containerd/containerd/v2/cmd/ctr", "ctr"),
                    ],
                )
            }
            .get()?,
            runc: Bundle {
                tags: "seccomp,netgo,osusergo",
                linker_flags: "-s -w -extldflags \"-static\"".to_owned(),
                env: with_seccomp(packages)?,
                ..bundle("runc", &[(".", "github.com/opencontainers/runc", "runc")])
            }
            .get()?,
            cni: bundle(
                "cni",
                &[
                    (
                        ".",
                        "github.com/containernetworking/plugins/plugins/main/bridge",
                        "bridge",
                    ),
                    (
                        ".",
                        "github.com/containernetworking/plugins/plugins/main/loopback",
                        "loopback",
                    ),
                    (
                        ".",
                        "github.com/containernetworking/plugins/plugins/ipam/host-local",
                        "host-local",
                    ),
                ],
            )
            .get()?,
            coredns: bundle("coredns", &[(".", "github.com/coredns/coredns", "coredns")]).get()?,
            pause: bundle("pause", &[(".", ".", "pause")]).get()?,
        })
    }
}

fn module(name: &str) -> PathBuf {
    Path::new(MODULE).join(NODE_FOLDER).join(name)
}

fn bundle<'a>(name: &'a str, builds: &'a [(&'a str, &'a str, &'a str)]) -> Bundle<'a> {
    Bundle {
        name,
        module: module(name),
        without: &[],
        builds,
        linker_flags: "-s -w".to_owned(),
        tags: "",
        links: None,
        env: Vec::new(),
    }
}

/// Has Go link with the libseccomp of the packages: without it runc refuses what the Pod Security Standard `restricted`
/// asks for.
fn with_seccomp(packages: &Packages) -> anyhow::Result<Vec<(&'static str, OsString)>> {
    let (headers, libraries) = (packages.headers(), packages.libraries());
    let (headers, libraries) = (headers.display(), libraries.display());
    // In place of pkg-config, which knows only what is installed.
    let answer = cache_root()?.join("pkg-config-seccomp");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n*--libs*) echo -L{libraries} -lseccomp;;\n*--cflags*) echo -I{headers};;\nesac\n"
    );
    fs::write(&answer, script).with_context(|| format!("failed to write `{}`", answer.display()))?;
    fs::set_permissions(&answer, fs::Permissions::from_mode(0o755))?;
    Ok(vec![("CGO_ENABLED", "1".into()), ("PKG_CONFIG", answer.into())])
}
