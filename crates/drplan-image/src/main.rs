//! `drplan-image build`, `drplan-image inspect` and `drplan-image twice`.

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use drplan_image::{
    bill::{self, Surroundings},
    content::{PROGRAM, Parts},
    inspect::{Found, inspect},
    notices,
    packages::Packages,
    program::{self, Platform},
    source::Source,
};

/// The workspace that this program was built from, unless `--source` names another.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[derive(Parser)]
#[command(about = "Builds the operator's container image without Docker")]
struct Arguments {
    #[command(subcommand)]
    command: Todo,
}

#[derive(Subcommand)]
enum Todo {
    /// Build the program and write the image and its bill of materials
    Build {
        /// The directory for drplan-operator.tar and drplan-operator.cdx.json
        #[arg(long, value_name = "DIRECTORY")]
        output: PathBuf,
        /// What the image is called where it is loaded
        #[arg(long, env = "IMAGE", value_name = "NAME:TAG", default_value_t = name())]
        name: String,
        /// Where the sources are published, for the label org.opencontainers.image.source
        #[arg(long, env = "IMAGE_SOURCE", value_name = "URL")]
        url: Option<String>,
        /// What it runs on
        #[arg(long, env = "IMAGE_PLATFORM", value_enum, default_value = "amd64")]
        platform: Platform,
        /// The workspace to build
        #[arg(long, value_name = "DIRECTORY", default_value = WORKSPACE)]
        source: PathBuf,
        /// Where cargo builds
        #[arg(long, value_name = "DIRECTORY")]
        target: Option<PathBuf>,
    },
    /// Build in two places and compare every byte, run the program, and tell what is in the image
    Twice {
        /// A directory for both
        #[arg(long, value_name = "DIRECTORY")]
        output: PathBuf,
    },
    /// Read an archive back, check it, and tell what is in it
    Inspect {
        /// The file
        archive: PathBuf,
        /// Write its files into this directory, as `docker build` wants them
        #[arg(long, value_name = "DIRECTORY")]
        unpack: Option<PathBuf>,
    },
}

/// Without a registry: what has this name is on the machine or nowhere.
fn name() -> String {
    format!("localhost/drplan-operator:{}", env!("CARGO_PKG_VERSION"))
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Todo::Build {
            output,
            name,
            url,
            platform,
            source,
            target,
        } => {
            let root = canonical(&source)?;
            let target = target.map_or_else(|| target_of(&root), Ok)?;
            let source = Source::look(&root)?;
            let order = Order { platform, name, url };
            let found = order.build(&source, &target, &output)?;
            tell(&output.join(ARCHIVE), &found)
        }
        Todo::Twice { output } => twice(&output),
        Todo::Inspect { archive, unpack } => {
            let found = look_into(&archive)?;
            if let Some(directory) = unpack {
                write_files(&found, &directory)?;
            }
            tell(&archive, &found)
        }
    }
}

/// The files that are written.
const ARCHIVE: &str = "drplan-operator.tar";
const BILL: &str = "drplan-operator.cdx.json";
const DIGEST: &str = "drplan-operator.digest";

/// What is wanted.
struct Order {
    platform: Platform,
    name: String,
    url: Option<String>,
}

impl Order {
    fn build(&self, source: &Source, target: &Path, output: &Path) -> anyhow::Result<Found> {
        let begun = Instant::now();
        let root = &source.root;
        let program = program::build(root, target, self.platform)?;
        let packages = Packages::linked(root, self.platform)?;
        let rust = Command::new("rustc").arg("--version").current_dir(root).output();
        let rust = String::from_utf8(rust.context("failed to start rustc")?.stdout)?;
        let surroundings = Surroundings {
            rust: rust.trim().trim_start_matches("rustc ").to_owned(),
            created: source.time.to_string(),
        };
        let bill = bill::cyclonedx(&packages, &surroundings)?;
        let parts = Parts {
            program,
            bill: bill.clone(),
            notices: notices::gather(&packages)?,
            license: fs::read_to_string(root.join("LICENSE")).context("failed to read LICENSE")?,
        };
        let image = parts.image(source, self.platform, &self.name, self.url.as_deref());
        let archive = image.archive()?;
        let found = inspect(&archive.bytes).context("the image is not as it should be")?;
        ensure!(found.digest == archive.digest, "the archive names another image");
        fs::create_dir_all(output).with_context(|| format!("failed to make `{}`", output.display()))?;
        for (name, bytes) in [
            (ARCHIVE, archive.bytes.as_slice()),
            (BILL, bill.as_bytes()),
            (DIGEST, format!("{}\n", archive.digest).as_bytes()),
        ] {
            let path = output.join(name);
            fs::write(&path, bytes).with_context(|| format!("failed to write `{}`", path.display()))?;
        }
        eprintln!("image: {} made in {} s", self.name, begun.elapsed().as_secs());
        Ok(found)
    }
}

/// Builds here and in a copy of the sources elsewhere, and compares.
fn twice(output: &Path) -> anyhow::Result<()> {
    let root = canonical(Path::new(WORKSPACE))?;
    let here = Source::look(&root)?;
    let order = Order {
        platform: Platform::Amd64,
        name: name(),
        url: None,
    };
    let found = order.build(&here, &target_of(&root)?, output)?;
    let elsewhere = output.join("elsewhere/with/a/longer/path");
    if elsewhere.exists() {
        fs::remove_dir_all(&elsewhere).context("failed to remove the copy of an earlier time")?;
    }
    copy_sources(&root, &elsewhere)?;
    let elsewhere = canonical(&elsewhere)?;
    let copy = Source {
        root: elsewhere.clone(),
        ..here
    };
    let target = elsewhere.join("target");
    let second = output.join("second");
    order.build(&copy, &target, &second)?;
    for file in [ARCHIVE, BILL] {
        let [one, other] = [output, &second].map(|directory| fs::read(directory.join(file)));
        ensure!(
            one? == other?,
            "`{file}` of {} differs from that of {}: the build depends on where it is",
            root.display(),
            elsewhere.display()
        );
    }
    let files = output.join("files");
    write_files(&found, &files)?;
    let crds = Command::new(files.join(PROGRAM)).arg("crds").env_clear().output();
    let crds = crds.context("failed to start the program of the image")?;
    ensure!(
        crds.status.success() && String::from_utf8_lossy(&crds.stdout).contains("kind: DRPlanExecution"),
        "the program of the image does not print the CustomResourceDefinitions"
    );
    for done in [elsewhere, second, files] {
        fs::remove_dir_all(&done).with_context(|| format!("failed to remove `{}`", done.display()))?;
    }
    eprintln!("image: built in two places, the same bytes");
    tell(&output.join(ARCHIVE), &found)
}

/// Copies what Git knows and what it would take, without what it ignores.
fn copy_sources(root: &Path, to: &Path) -> anyhow::Result<()> {
    let listed = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("failed to start git")?;
    ensure!(
        listed.status.success(),
        "git does not tell which files are sources"
    );
    for name in String::from_utf8(listed.stdout)?.split_terminator('\0') {
        let (from, path) = (root.join(name), to.join(name));
        // One that was removed and not committed yet.
        if !from.is_file() {
            continue;
        }
        let copied = fs::create_dir_all(path.parent().unwrap_or(to)).and_then(|()| fs::copy(&from, &path));
        copied.with_context(|| format!("failed to copy `{name}`"))?;
    }
    Ok(())
}

fn canonical(directory: &Path) -> anyhow::Result<PathBuf> {
    fs::canonicalize(directory).with_context(|| format!("failed to find `{}`", directory.display()))
}

/// Where cargo builds this workspace.
fn target_of(root: &Path) -> anyhow::Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => Ok(std::path::absolute(directory)?),
        None => Ok(root.join("target")),
    }
}

fn look_into(archive: &Path) -> anyhow::Result<Found> {
    let bytes = fs::read(archive).with_context(|| format!("failed to read `{}`", archive.display()))?;
    inspect(&bytes).with_context(|| format!("`{}` is not as it should be", archive.display()))
}

fn write_files(found: &Found, directory: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for (path, file) in &found.files {
        let path = directory.join(path);
        let written = fs::create_dir_all(path.parent().unwrap_or(directory))
            .and_then(|()| fs::write(&path, &file.content))
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(file.mode)));
        written.with_context(|| format!("failed to write `{}`", path.display()))?;
    }
    Ok(())
}

fn tell(archive: &Path, found: &Found) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let tenths = found.size / 100_000;
    writeln!(out, "{}", archive.display())?;
    writeln!(out, "  digest    {}", found.digest)?;
    writeln!(out, "  size      {}.{} MB compressed", tenths / 10, tenths % 10)?;
    for (label, value) in &found.labels {
        let label = label.rsplit('.').next().unwrap_or(label);
        writeln!(out, "  {label:<9} {value}")?;
    }
    Ok(())
}
