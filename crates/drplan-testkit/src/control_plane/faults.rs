//! What can happen to a component.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::process::Signal;

use super::{Component, ControlPlane, Running};

impl ControlPlane {
    /// The process id of the component, `None` if it does not run.
    pub fn pid(&self, component: Component) -> Option<i32> {
        let running = self.running();
        running
            .get(&component)
            .filter(|running| running.kept.exit_code().is_none())
            .map(|running| running.kept.pid())
    }

    /// Stops the component as it stands (SIGSTOP) and returns when it has stopped: its connections stay open and nothing
    /// answers.
    ///
    /// # Errors
    ///
    /// When it was never started.
    pub fn pause(&self, component: Component) -> anyhow::Result<()> {
        self.with(component, |running| running.kept.pause())?
    }

    /// Lets a paused component go on.
    ///
    /// # Errors
    ///
    /// When it was never started.
    pub fn resume(&self, component: Component) -> anyhow::Result<()> {
        self.with(component, |running| running.kept.signal(Signal::CONT))?
    }

    /// Lets everything go on that is paused.
    pub(crate) fn resume_all(&self) {
        for running in self.running().values() {
            // What has ended needs no signal.
            drop(running.kept.signal(Signal::CONT));
        }
    }

    /// Kills the component (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When it was never started.
    pub fn kill(&self, component: Component) -> anyhow::Result<()> {
        self.with(component, |running| running.kept.end())
    }

    /// Kills the component if it runs and starts it again as before, on the same port with the same data. Of etcd and
    /// the API server it waits until the API server is ready.
    ///
    /// # Errors
    ///
    /// When it was never started or does not come up.
    pub async fn restart(&self, component: Component) -> anyhow::Result<()> {
        self.kill(component)?;
        let launch = self.with(component, |running| running.launch.clone())?;
        self.launch(component, launch)?;
        match component {
            Component::Etcd | Component::ApiServer => self.ready().await,
            Component::ControllerManager | Component::Scheduler | Component::Kwok => Ok(()),
        }
    }

    /// Keeps all that is stored now, as a backup of etcd does. The API server does not answer for a moment.
    ///
    /// # Errors
    ///
    /// When it cannot be copied or etcd does not come up again.
    pub async fn back_up(&self) -> anyhow::Result<PathBuf> {
        self.kill(Component::Etcd)?;
        let backup = tempfile::Builder::new()
            .prefix("backup-")
            .tempdir_in(self.dir())?
            .keep();
        copy(&self.dir().join("etcd"), &backup)?;
        self.restart(Component::Etcd).await?;
        Ok(backup)
    }

    /// Goes back to what [`Self::back_up`] kept, and starts everything anew. Clients of the API server are not asked.
    ///
    /// # Errors
    ///
    /// When it cannot be copied or a component does not come up.
    pub async fn restore(&self, backup: &Path) -> anyhow::Result<()> {
        let components: Vec<Component> = self.running().keys().copied().collect();
        for component in components.iter().rev() {
            self.kill(*component)?;
        }
        let stored = self.dir().join("etcd");
        fs::remove_dir_all(&stored)?;
        copy(backup, &stored)?;
        for component in components {
            let launch = self.with(component, |running| running.launch.clone())?;
            self.launch(component, launch)?;
            if component == Component::ApiServer {
                self.ready().await?;
            }
        }
        Ok(())
    }

    pub(super) fn with<T>(
        &self,
        component: Component,
        what: impl FnOnce(&mut Running) -> T,
    ) -> anyhow::Result<T> {
        let mut running = self.running();
        Ok(what(running.get_mut(&component).with_context(|| {
            format!("{} was never started", component.program())
        })?))
    }
}

/// Copies a directory with all that is in it.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => drop(fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}
