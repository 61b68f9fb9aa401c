//! The operator as one static program.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use clap::ValueEnum;

use crate::compiler;

/// The package, and the name of its program.
pub const PACKAGE: &str = "drplan-operator";
/// The profile in Cargo.toml.
const PROFILE: &str = "image";

/// What the image runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Platform {
    /// Linux on x86-64.
    Amd64,
    /// Linux on 64-bit ARM.
    Arm64,
}

impl Platform {
    /// As Go and registries call it.
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// As Rust calls it.
    pub fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }

    /// As Zig calls it.
    pub(crate) fn zig_target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-musl",
            Self::Arm64 => "aarch64-linux-musl",
        }
    }
}

/// Builds the program into `target` and returns its bytes. What it prints while it builds goes to standard error.
///
/// # Errors
/// A compiler is missing, or cargo fails.
pub fn build(root: &Path, target: &Path, platform: Platform) -> anyhow::Result<Vec<u8>> {
    compiler::rust(root, platform)?;
    let c = compiler::c(platform)?;
    eprintln!(
        "image: building {PACKAGE} for {}, C by {}; the first time takes some minutes",
        platform.target(),
        c.said
    );
    let variable = platform.target().replace('-', "_");
    let of_cargo = format!("CARGO_TARGET_{}", variable.to_uppercase());
    let paths = [(cargo_home()?, "/cargo"), (root.to_owned(), "/drplan")];
    let rust_flags = paths.iter().flat_map(|(here, there)| {
        [
            "--remap-path-prefix".to_owned(),
            format!("{}={there}", here.display()),
        ]
    });
    // Rust's own linker, which is of the same version everywhere.
    let rust_flags: Vec<String> = ["-Clinker-flavor=ld.lld".to_owned()]
        .into_iter()
        .chain(rust_flags)
        .collect();
    let c_flags = paths.map(|(here, there)| format!("-ffile-prefix-map={}={there}", here.display()));
    let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root)
        .args(["build", "--locked", "--package", PACKAGE, "--bin", PACKAGE])
        .args([
            "--profile",
            PROFILE,
            "--target",
            platform.target(),
            "--target-dir",
        ])
        .arg(target)
        .env(format!("CC_{variable}"), &c.cc)
        .env(format!("CFLAGS_{variable}"), c_flags.join(" "))
        .env(format!("{of_cargo}_LINKER"), "rust-lld")
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags.join("\x1f"))
        .env("ZIG_GLOBAL_CACHE_DIR", &c.cache)
        .env("ZIG_LOCAL_CACHE_DIR", &c.cache)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .status()
        .context("failed to start cargo")?;
    ensure!(built.success(), "cargo failed to build {PACKAGE}");
    let program = target.join(platform.target()).join(PROFILE).join(PACKAGE);
    let bytes = fs::read(&program).with_context(|| format!("failed to read `{}`", program.display()))?;
    ensure!(
        is_static(&bytes),
        "`{}` is no static program: it wants a loader that an empty image does not have",
        program.display()
    );
    Ok(bytes)
}

fn cargo_home() -> anyhow::Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = env::home_dir().context("there is no home directory: set CARGO_HOME")?;
    Ok(home.join(".cargo"))
}

/// Whether these bytes are a 64-bit little-endian ELF program that asks for no loader (program header `PT_INTERP`).
pub fn is_static(program: &[u8]) -> bool {
    const PT_INTERP: u64 = 3;
    let number = |at: usize, length: usize| {
        let bytes = program.get(at..at.checked_add(length)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
        )
    };
    let headers = || {
        let [first, size, count] = [number(32, 8)?, number(54, 2)?, number(56, 2)?];
        (0..count)
            .map(|index| number(usize::try_from(first.checked_add(index * size)?).ok()?, 4))
            .collect::<Option<Vec<u64>>>()
    };
    program.starts_with(b"\x7fELF\x02\x01") && headers().is_some_and(|kinds| !kinds.contains(&PT_INTERP))
}
