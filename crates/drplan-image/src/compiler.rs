//! What compiles and links for musl: Rust's standard library for it, and a C compiler for the crates that hold C.
//!
//! The C compiler is Zig's, in one version and with one checksum, so that every machine compiles the same. It comes
//! from PyPI, into the cache where the control plane lies too.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use crate::{program::Platform, source::printed};

/// The version of Zig, and the checksums that pip holds its wheels against.
const ZIG: &str = "0.17.1";
const ZIG_REQUIREMENT: &str = "ziglang==0.17.1 \
    --hash=sha256:ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54 \
    --hash=sha256:b7c5f02fccd40f89b999ee16a1f5ddced56e6182370f8affe494bcf8a28cf07e\n";

/// The names of the C compiler and the archiver.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// Compiles C for musl.
    pub cc: PathBuf,
    /// For the messages: what it is.
    pub said: String,
    /// Where it keeps what it has compiled of its own.
    pub cache: PathBuf,
}

/// Sees to it that Rust can build for this platform, by rustup if need be.
///
/// # Errors
/// The standard library is not there and rustup cannot fetch it.
pub fn rust(root: &Path, platform: Platform) -> anyhow::Result<()> {
    let target = platform.target();
    let sysroot = printed(
        Command::new("rustc")
            .args(["--print", "sysroot"])
            .current_dir(root),
    )?;
    let library = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(target)
        .join("lib");
    if library.exists() {
        return Ok(());
    }
    eprintln!("image: Rust's standard library for {target} is missing; rustup fetches it");
    let done = Command::new("rustup")
        .args(["target", "add", target])
        .current_dir(root)
        .status();
    match done {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => bail!(
            "`rustup target add {target}` failed, and the image's program is built for that target. Once rustup \
             can reach its server, run it again"
        ),
        Err(_) => bail!(
            "there is no standard library for {target} in `{}` and no rustup to fetch it. Install Rust from \
             https://rustup.rs, or your distribution's package of that target",
            library.display()
        ),
    }
}

/// The C compiler: what `CC_<target>` names, else Zig's, which is fetched on first use.
///
/// # Errors
/// There is neither, and pip cannot fetch Zig.
pub fn c(platform: Platform) -> anyhow::Result<Compiler> {
    let cache = cache_root()?;
    let zig_cache = cache.join("zig-cache");
    let variable = format!("CC_{}", platform.target().replace('-', "_"));
    if let Some(named) = env::var_os(&variable).filter(|value| !value.is_empty()) {
        return Ok(Compiler {
            said: format!("{} ({variable})", Path::new(&named).display()),
            cc: named.into(),
            cache: zig_cache,
        });
    }
    let directory = cache.join(format!("zig-{ZIG}"));
    if !directory.exists() {
        fetch_zig(&cache, &directory)
            .with_context(|| format!("there is no C compiler for {}", platform.target()))
            .with_context(|| {
                format!(
                    "pip fetches Zig {ZIG} from PyPI for that; it needs python3 with pip. Or name another compiler, as \
                     in {variable}=musl-gcc (Debian: apt install musl-tools); the image's digest is then another one"
                )
            })?;
    }
    Ok(Compiler {
        cc: wrapper(&cache, &directory, platform)?,
        said: format!("zig {ZIG}"),
        cache: zig_cache,
    })
}

fn fetch_zig(cache: &Path, directory: &Path) -> anyhow::Result<()> {
    eprintln!("image: fetching the C compiler, Zig {ZIG}, once (100 MB)");
    fs::create_dir_all(cache).with_context(|| format!("failed to make `{}`", cache.display()))?;
    let unfinished = cache.join(format!("zig-{ZIG}.{}", std::process::id()));
    let requirements = cache.join(format!("zig-{ZIG}.{}.txt", std::process::id()));
    fs::write(&requirements, ZIG_REQUIREMENT)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"])
        .args([
            "--only-binary=:all:",
            "--disable-pip-version-check",
            "--no-warn-script-location",
        ])
        .arg("--target")
        .arg(&unfinished)
        .arg("--requirement")
        .arg(&requirements)
        .env("PIP_ROOT_USER_ACTION", "ignore");
    let fetched = printed(&mut pip);
    let _ = fs::remove_file(&requirements);
    if let Err(error) = fetched {
        let _ = fs::remove_dir_all(&unfinished);
        return Err(error);
    }
    match fs::rename(&unfinished, directory) {
        // Another process was faster.
        Err(_) if directory.exists() => fs::remove_dir_all(&unfinished).context("failed to tidy up"),
        done => done.with_context(|| format!("failed to move Zig to `{}`", directory.display())),
    }
}

/// A program that calls Zig as a C compiler for this platform. Zig's names of targets are not those of others, which
/// the crate `cc` passes on; and it would add checks that the release should not have.
fn wrapper(cache: &Path, zig: &Path, platform: Platform) -> anyhow::Result<PathBuf> {
    let path = cache.join(format!("zig-{ZIG}-cc-{}", platform.architecture()));
    let script = format!(
        "#!/bin/sh\n\
         for word do shift; case $word in --target=*) ;; *) set -- \"$@\" \"$word\" ;; esac; done\n\
         exec '{}' cc -target {} -fno-sanitize=all \"$@\"\n",
        zig.join("ziglang/zig").display(),
        platform.zig_target(),
    );
    if fs::read_to_string(&path).is_ok_and(|found| found == script) {
        return Ok(path);
    }
    let unfinished = path.with_extension(std::process::id().to_string());
    fs::write(&unfinished, script)?;
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o755))?;
    fs::rename(&unfinished, &path).with_context(|| format!("failed to write `{}`", path.display()))?;
    Ok(path)
}

fn cache_root() -> anyhow::Result<PathBuf> {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("DRPLAN_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|directory| directory.join("drplan")))
        .or_else(|| set("HOME").map(|directory| directory.join(".cache/drplan")))
        .context("there is no cache directory: set DRPLAN_CACHE")
}
