//! The control plane's own kubectl.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::control_plane::ControlPlane;

/// How a person reaches the control plane, or one namespace of it.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
    namespace: Option<String>,
}

impl Kubectl {
    /// The administrator's, for this namespace.
    pub fn new(control_plane: &ControlPlane, namespace: &str) -> Self {
        Self {
            program: control_plane.binaries().path("kubectl"),
            kubeconfig: control_plane.kubeconfig(),
            // Where it keeps what it knows of the API server.
            home: control_plane.dir().to_owned(),
            namespace: Some(namespace.to_owned()),
        }
    }

    /// The administrator's, for whatever namespaces the manifests name; `default` where they name none.
    pub fn without_namespace(control_plane: &ControlPlane) -> Self {
        Self {
            namespace: None,
            ..Self::new(control_plane, "")
        }
    }

    /// This user's, with nothing but its own rights, for this namespace.
    ///
    /// # Errors
    ///
    /// When the kubeconfig cannot be written.
    pub fn of_user(control_plane: &ControlPlane, namespace: &str, user: &str) -> anyhow::Result<Self> {
        Ok(Self {
            kubeconfig: control_plane.kubeconfig_for(user, None)?,
            ..Self::new(control_plane, namespace)
        })
    }

    /// Where the program is.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs it with these arguments and returns what it prints.
    ///
    /// # Errors
    ///
    /// When it cannot be run or fails: then what it prints as its error.
    pub async fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        self.run_with(args, "").await
    }

    /// [`Self::run`] with this text as input, for `-f -`.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub async fn run_with(&self, args: &[&str], input: &str) -> anyhow::Result<String> {
        let mut child = Command::new(&self.program)
            .args(["--kubeconfig".as_ref(), self.kubeconfig.as_os_str()])
            .args(self.namespace.iter().flat_map(|name| ["--namespace", name]))
            .args(args)
            .env("HOME", &self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("failed to run `{}`", self.program.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("`kubectl {}` failed: {}", args.join(" "), error.trim_end());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}
