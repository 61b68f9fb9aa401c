//! `kubectl drplan`, run as a person runs it: by kubectl, on the terminal of the demo.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::screen::Screen;
use crate::binaries::Binaries;

/// The plugin's program, which kubectl looks for on the PATH.
const PLUGIN: &str = "kubectl-drplan";
/// The workspace, so that commands name examples as its users do.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// kubectl with the plugin on its PATH.
#[derive(Debug, Clone)]
pub(super) struct Cli {
    kubectl: PathBuf,
    plugins: PathBuf,
    /// Kubeconfig and home directory. None: what needs no cluster.
    cluster: Option<(PathBuf, PathBuf)>,
}

/// A command that prints to the terminal of the demo.
#[derive(Debug)]
pub(super) struct Shown {
    what: String,
    child: Child,
}

impl Cli {
    /// The plugin of the same build as this program.
    ///
    /// # Errors
    ///
    /// When it is not beside this program.
    pub(super) fn find(binaries: &Binaries) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("failed to find out where this program is")?;
        let plugins = program.parent().unwrap_or(Path::new("/")).to_owned();
        if !plugins.join(PLUGIN).exists() {
            bail!(
                "there is no `{PLUGIN}` in `{}`; `make demo` builds it",
                plugins.display()
            );
        }
        Ok(Self {
            kubectl: binaries.path("kubectl"),
            plugins,
            cluster: None,
        })
    }

    /// The same for a cluster. `home` is where kubectl keeps what it knows of it.
    pub(super) fn on(mut self, kubeconfig: PathBuf, home: &Path) -> Self {
        self.cluster = Some((kubeconfig, home.to_owned()));
        self
    }

    /// Directories that a person needs on the PATH to type the same commands.
    pub(super) fn directories(&self) -> [&Path; 2] {
        [&self.plugins, self.kubectl.parent().unwrap_or(Path::new("/"))]
    }

    /// Shows `kubectl drplan` with these arguments and what it prints, until it ends. Returns its exit code.
    pub(super) async fn show(&self, screen: &Screen, args: &str) -> anyhow::Result<i32> {
        self.start(screen, args)?.ended().await
    }

    /// Begins to show `kubectl drplan` with these arguments, which are separated by blanks.
    pub(super) fn start(&self, screen: &Screen, args: &str) -> anyhow::Result<Shown> {
        self.start_in(screen, args, Path::new(WORKSPACE))
    }

    /// [`Self::start`] in another directory than the workspace.
    pub(super) fn start_in(&self, screen: &Screen, args: &str, dir: &Path) -> anyhow::Result<Shown> {
        let what = format!("kubectl drplan {args}");
        screen.command(&what);
        let child = self.command(args, dir).spawn();
        let child = child.with_context(|| format!("failed to run `{what}`"))?;
        Ok(Shown { what, child })
    }

    /// What `kubectl drplan` prints with these arguments, which nobody sees.
    pub(super) async fn quietly(&self, args: &str, dir: &Path) -> anyhow::Result<String> {
        let output = self.command(args, dir).stdout(Stdio::piped()).output().await;
        let output = output.with_context(|| format!("failed to run `kubectl drplan {args}`"))?;
        Ok(String::from_utf8(output.stdout)?)
    }

    fn command(&self, args: &str, dir: &Path) -> Command {
        let mut path = OsString::from(&self.plugins);
        if let Some(rest) = std::env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        let mut command = Command::new(&self.kubectl);
        command
            .arg("drplan")
            .args(args.split_whitespace())
            .current_dir(dir)
            .env("PATH", path)
            .kill_on_drop(true);
        if let Some((kubeconfig, home)) = &self.cluster {
            command.env("KUBECONFIG", kubeconfig).env("HOME", home);
        }
        command
    }
}

impl Shown {
    /// Waits until it ends, and returns its exit code.
    pub(super) async fn ended(mut self) -> anyhow::Result<i32> {
        let status = self.child.wait().await;
        let status = status.with_context(|| format!("failed to wait for `{}`", self.what))?;
        Ok(status.code().unwrap_or(-1))
    }

    /// Stops it as Ctrl-C does, and returns its exit code.
    pub(super) async fn interrupt(self) -> anyhow::Result<i32> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let pid = pid.with_context(|| format!("`{}` has ended by itself", self.what))?;
        kill_process(pid, Signal::INT).with_context(|| format!("failed to stop `{}`", self.what))?;
        self.ended().await
    }
}
