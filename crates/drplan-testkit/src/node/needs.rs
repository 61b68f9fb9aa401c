//! What a machine must have to run a node.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::cgroups;
use crate::go::cache_root;

/// Places that are covered while the node runs, so nothing that it needs may lie there.
const COVERED: [&str; 3] = ["/run", "/var/lib", "/var/log"];

/// Programs that are expected on the machine, and where they come from.
const PROGRAMS: [(&str, &str); 5] = [
    ("go", "https://go.dev/dl, 1.26 or newer"),
    ("cc", "a C compiler; Debian: apt-get install gcc libc6-dev"),
    (
        "apt-get",
        "it downloads iptables, libseccomp and busybox, from Debian or Ubuntu",
    ),
    ("dpkg-deb", "it unpacks them"),
    ("unshare", "from util-linux"),
];

/// What is missing on this machine, one sentence each; empty if a node can run. Blocks for a moment.
pub fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    let architecture = std::env::consts::ARCH;
    if !matches!(architecture, "x86_64" | "aarch64") {
        missing.push(format!(
            "the processor is {architecture}; x86_64 or aarch64 is needed"
        ));
    }
    for (program, from) in PROGRAMS {
        if !on_path(program) {
            missing.push(format!("there is no `{program}` on the PATH ({from})"));
        }
    }
    if rustix::process::geteuid().is_root() {
        missing.extend(no_namespaces());
        missing.extend(cgroups::unusable());
    } else {
        missing.push("it does not run as root, which namespaces, mounts and cgroups need".to_owned());
    }
    let places = [
        ("the repository", PathBuf::from(env!("CARGO_MANIFEST_DIR"))),
        ("the cache (DRPLAN_CACHE)", cache_root().unwrap_or_default()),
        ("the directory for temporary files (TMPDIR)", std::env::temp_dir()),
    ];
    for (what, place) in places {
        if let Some(covered) = COVERED.iter().find(|covered| place.starts_with(covered)) {
            missing.push(format!(
                "{what} is `{}`, and the node covers `{covered}`: move it elsewhere",
                place.display()
            ));
        }
    }
    missing
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir: PathBuf| dir.join(program).is_file())
}

/// Why namespaces cannot be made, or a file system not mounted in them.
fn no_namespaces() -> Option<String> {
    let probe = Command::new("unshare")
        .args([
            "-mnpuif",
            "--mount-proc",
            "--propagation",
            "private",
            "--kill-child",
        ])
        .args(["mount", "-t", "tmpfs", "tmpfs"])
        .arg(Path::new("/run"))
        .output()
        .ok()?;
    let complained = String::from_utf8_lossy(&probe.stderr);
    (!probe.status.success()).then(|| {
        format!(
            "namespaces of its own cannot be made, which takes CAP_SYS_ADMIN: {}",
            complained.trim()
        )
    })
}
