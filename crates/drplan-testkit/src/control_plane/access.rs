//! Ways in: clients and kubeconfig files.

use std::path::PathBuf;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;

use super::ControlPlane;
use crate::authority::Credentials;
use crate::background::background;

impl ControlPlane {
    /// The kubeconfig file of an administrator, `testkit:admin` in `system:masters`.
    pub fn kubeconfig(&self) -> PathBuf {
        self.inner.dir.join("admin.kubeconfig")
    }

    /// A client with all rights.
    ///
    /// # Errors
    ///
    /// When the client cannot be made; nothing is sent yet.
    pub fn client(&self) -> anyhow::Result<Client> {
        client_of(self.inner.admin.clone())
    }

    /// A client that acts as this user, in at most one group, by certificate.
    ///
    /// # Errors
    ///
    /// When the certificate or the client cannot be made.
    pub async fn client_as(&self, user: &str, group: Option<&str>) -> anyhow::Result<Client> {
        let credentials = self.inner.authority.client(user, group)?;
        client_of(config_of(&self.kubeconfig_value(&credentials, self.inner.apiserver_port)).await?)
    }

    /// Writes a kubeconfig file for this user, with a client certificate.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be made or the file not written.
    pub fn kubeconfig_for(&self, user: &str, group: Option<&str>) -> anyhow::Result<PathBuf> {
        self.kubeconfig_through(self.inner.apiserver_port, user, group)
    }

    /// Writes a kubeconfig file for this user and another port of 127.0.0.1, behind which is the API server.
    pub(crate) fn kubeconfig_through(
        &self,
        port: u16,
        user: &str,
        group: Option<&str>,
    ) -> anyhow::Result<PathBuf> {
        let credentials = self.inner.authority.client(user, group)?;
        let name = user.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let mut file = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .suffix(".kubeconfig")
            .tempfile_in(self.dir())?;
        serde_json::to_writer(file.as_file_mut(), &self.kubeconfig_value(&credentials, port))?;
        Ok(file.into_temp_path().keep()?)
    }

    fn kubeconfig_value(&self, credentials: &Credentials, port: u16) -> Value {
        self.inner.authority.kubeconfig(port, credentials)
    }
}

pub(super) async fn config_of(kubeconfig: &Value) -> anyhow::Result<Config> {
    let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig.clone())?;
    Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}

/// Makes a client whose connections outlive the test that asked for it.
pub(super) fn client_of(config: Config) -> anyhow::Result<Client> {
    let _background = background().enter();
    Ok(drplan_connect::builder(config)?.build())
}
