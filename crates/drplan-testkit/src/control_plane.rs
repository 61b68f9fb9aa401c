//! A real control plane on loopback.

mod access;
mod component;
mod crds;
mod etcd;
mod faults;
mod node;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Config};
use tokio::sync::OnceCell;

use crate::audit::Audit;
use crate::authority::Authority;
use crate::binaries::Binaries;
use crate::eventually::{Seen, eventually, object_until};
use crate::kept::{Kept, Launch};
use crate::operator::operator_crds;

use access::{client_of, config_of};
pub use component::Component;
use component::Site;
pub use crds::CLUSTERNET_KINDS;
pub use etcd::etcd_key;

/// What a control plane is made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// CustomResourceDefinitions, YAML or JSON, any number of documents in each text. They are installed before the
    /// controller manager starts: its garbage collector learns of later ones only every half minute, and until then
    /// foreground deletion of their objects waits.
    pub crds: Vec<String>,
    /// Runs Jobs, deletes namespaces and collects garbage. On unless switched off.
    pub controller_manager: bool,
    /// Assigns pods to the node. On unless switched off.
    pub scheduler: bool,
    /// Makes the node ready and its pods run. On unless switched off.
    pub kwok: bool,
    /// How long a Job's pod takes to complete, in seconds, where its annotation says nothing: 0 unless set.
    pub pod_seconds: f64,
    /// Whether there is an audit log. There is, unless switched off.
    pub audit: bool,
    /// Whether the audit log holds what was sent and answered. Large, so only where a test is about that.
    pub audit_bodies: bool,
    /// Where Pods of a real node reach the API server. With it Pods have their ServiceAccount's token, and the node
    /// has its own rights; without it nothing but loopback is listened on.
    pub node_address: Option<Ipv4Addr>,
    /// More arguments for the API server.
    pub apiserver_args: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            crds: Vec::new(),
            controller_manager: true,
            scheduler: true,
            kwok: true,
            pod_seconds: 0.0,
            audit: true,
            audit_bodies: false,
            node_address: None,
            apiserver_args: Vec::new(),
        }
    }
}

impl Options {
    /// With these CustomResourceDefinitions.
    #[must_use]
    pub fn with_crds(mut self, crds: impl IntoIterator<Item = String>) -> Self {
        self.crds.extend(crds);
        self
    }

    /// Without controllers, scheduler and node: enough for tests of the API alone.
    #[must_use]
    pub fn api_only() -> Self {
        Self {
            controller_manager: false,
            scheduler: false,
            kwok: false,
            ..Self::default()
        }
    }
}

/// A running control plane. Clones are the same one; it goes with the last of them, or with the process.
#[derive(Debug, Clone)]
pub struct ControlPlane {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    binaries: Binaries,
    authority: Authority,
    etcd_port: u16,
    apiserver_port: u16,
    admin: Config,
    // Dropped in this order: the components end before their directory goes.
    running: Mutex<BTreeMap<Component, Running>>,
    _remover: Option<Kept>,
}

#[derive(Debug)]
struct Running {
    launch: Launch,
    kept: Kept,
}

impl ControlPlane {
    /// Starts one and waits until it serves: the API server ready, the CRDs established, the node ready.
    ///
    /// Takes about three seconds once the binaries are built. `DRPLAN_TESTKIT_KEEP=1` leaves its directory, with the
    /// logs of all components, behind.
    ///
    /// # Errors
    ///
    /// When the binaries cannot be built or a component does not come up: then the last lines of its log.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        /// Another process may take a port in the moment between its choice and its use; hardly ever twice.
        const ATTEMPTS: usize = 3;
        let mut attempt = 1;
        loop {
            match Self::start_once(&options).await {
                Err(error)
                    if attempt < ATTEMPTS && format!("{error:#}").contains("address already in use") =>
                {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn start_once(options: &Options) -> anyhow::Result<Self> {
        let binaries = tokio::task::spawn_blocking(Binaries::get).await??;
        let dir = tempfile::Builder::new()
            .prefix("drplan-controlplane-")
            .tempdir()?
            .keep();
        let keep = binaries.path("keep");
        let remover = match std::env::var_os("DRPLAN_TESTKIT_KEEP") {
            Some(_) => None,
            None => Some(Kept::start_remover(&keep, &dir)?),
        };
        let authority = Authority::generate()?;
        let site = Site::prepare(&dir, &authority, options)?;
        let admin = authority.client("testkit:admin", Some("system:masters"))?;
        let admin = authority.kubeconfig(site.apiserver_port, &admin);
        std::fs::write(dir.join("admin.kubeconfig"), admin.to_string())?;
        let launch = |component, more: &[String]| site.launch(component, &binaries, more);
        let etcd = launch(Component::Etcd, &[]);
        let apiserver = launch(Component::ApiServer, &options.apiserver_args);
        let controllers = [
            (options.controller_manager, Component::ControllerManager),
            (options.scheduler, Component::Scheduler),
            (options.kwok, Component::Kwok),
        ];
        let controllers: Vec<(Component, Launch)> = controllers
            .into_iter()
            .filter(|(wanted, _)| *wanted)
            .map(|(_, component)| (component, launch(component, &[])))
            .collect();
        let (etcd_port, apiserver_port) = (site.etcd_port, site.apiserver_port);
        let inner = Inner {
            admin: config_of(&admin).await?,
            etcd_port,
            apiserver_port,
            dir,
            binaries,
            authority,
            running: Mutex::default(),
            _remover: remover,
        };
        let control_plane = Self {
            inner: Arc::new(inner),
        };

        control_plane.launch(Component::Etcd, etcd)?;
        control_plane.launch(Component::ApiServer, apiserver)?;
        control_plane.ready().await?;
        let client = control_plane.client()?;
        crds::install(&client, &options.crds).await?;
        for (component, launch) in controllers {
            control_plane.launch(component, launch)?;
        }
        let namespaces: Api<Namespace> = Api::all(client.clone());
        object_until(&namespaces, "default", "exists", |namespace| namespace.map(drop)).await?;
        if options.kwok {
            control_plane
                .alongside(Component::Kwok, node::add(&client))
                .await?;
        }
        Ok(control_plane)
    }

    /// The control plane that all tests of this process share, with default options unless [`Self::shared_with`] came
    /// first. Pausing or killing its components disturbs all of them: start another one for that.
    ///
    /// # Errors
    ///
    /// When it does not start, as [`Self::start`].
    pub async fn shared() -> anyhow::Result<Self> {
        Self::shared_with(async || Ok(Options::default())).await
    }

    /// [`Self::shared`] with options. The first call of the process decides; `options` is not called after that.
    ///
    /// # Errors
    ///
    /// When `options` fails or it does not start.
    pub async fn shared_with(options: impl AsyncFnOnce() -> anyhow::Result<Options>) -> anyhow::Result<Self> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED
            .get_or_try_init(async || Self::start(options().await?).await)
            .await
            .cloned()
    }

    /// [`Self::shared`] with the CRDs of [`operator_crds`].
    ///
    /// # Errors
    ///
    /// When the operator cannot be built or the control plane does not start.
    pub async fn shared_for_operator() -> anyhow::Result<Self> {
        Self::shared_with(async || {
            let crds = tokio::task::spawn_blocking(operator_crds).await??;
            Ok(Options::default().with_crds(crds))
        })
        .await
    }

    /// Where its files are: logs, certificates, data.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Its binaries, kubectl among them.
    pub fn binaries(&self) -> &Binaries {
        &self.inner.binaries
    }

    /// The port of 127.0.0.1 that the API server listens on.
    pub fn apiserver_port(&self) -> u16 {
        self.inner.apiserver_port
    }

    /// Its certificate authority.
    pub fn authority(&self) -> &Authority {
        &self.inner.authority
    }

    /// What clients have asked the API server for.
    pub fn audit(&self) -> Audit {
        Audit::new(self.inner.dir.join("audit.log"))
    }

    /// The last lines of the component's log.
    pub fn log_tail(&self, component: Component) -> String {
        let file = self.inner.dir.join(format!("{}.log", component.program()));
        format!(
            "the end of `{}`:\n{}",
            file.display(),
            crate::dump::tail(&file, 20)
        )
    }

    /// Installs CustomResourceDefinitions, as those of [`Options::crds`], and waits until their objects can be made.
    ///
    /// # Errors
    ///
    /// When one cannot be read, is there already, or is not served at the deadline.
    pub async fn install_crds(&self, texts: &[String]) -> anyhow::Result<()> {
        crds::install(&self.client()?, texts).await
    }

    /// Waits until the API server says that it is ready.
    ///
    /// # Errors
    ///
    /// When it ends or is not ready at the deadline.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let mut config = self.inner.admin.clone();
        config.default_retry = false;
        let client = client_of(config)?;
        let ready = eventually("the API server to be ready", async || {
            let answer = client
                .request_text(http::Request::get("/readyz").body(Vec::new())?)
                .await?;
            Ok(Seen::when((answer == "ok").then_some(()), || answer))
        });
        self.alongside(Component::Etcd, self.alongside(Component::ApiServer, ready))
            .await
    }

    /// Waits for what the component is needed for, and no longer than the component runs.
    async fn alongside<T>(
        &self,
        component: Component,
        what: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let ended = self.with(component, |running| running.kept.ended())?;
        tokio::select! {
            result = what => result.with_context(|| self.log_tail(component)),
            code = ended => bail!("{} has ended with exit code {code}, {}", component.program(), self.log_tail(component)),
        }
    }

    fn launch(&self, component: Component, launch: Launch) -> anyhow::Result<()> {
        let kept = Kept::start(&self.inner.binaries.path("keep"), &launch)?;
        self.running().insert(component, Running { launch, kept });
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Component, Running>> {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
