//! The node itself: its programs, started in an order in which each finds what it needs.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{Node as KubernetesNode, ServiceAccount};
use kube::Api;
use tokio::process::Command;
use tokio::time::Instant;

use super::packages::Packages;
use super::programs::Programs;
use super::{DNS, NAME, POD_GATEWAY, images, settings};
use crate::control_plane::{CLUSTERNET_KINDS, ControlPlane, Options};
use crate::eventually::{Seen, eventually, object_until};
use crate::kept::{Kept, Launch};
use crate::kubectl::Kubectl;

/// A node that runs, with its control plane.
pub(super) struct Node {
    dir: PathBuf,
    packages: Packages,
    programs: Programs,
    pub(super) control_plane: ControlPlane,
    /// containerd, kubelet, kube-proxy and CoreDNS.
    running: Vec<Kept>,
}

impl Node {
    /// Starts it, and waits until it takes Pods. The name service knows these addresses of hosts too.
    pub(super) async fn start(dir: &Path, cgroup: &str, hosts: &[(&str, &str)]) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let (packages, programs) = tokio::task::spawn_blocking(|| {
            let packages = Packages::get()?;
            let programs = Programs::get(&packages)?;
            anyhow::Ok((packages, programs))
        })
        .await??;
        let options = Options {
            kwok: false,
            node_address: Some(POD_GATEWAY.parse()?),
            ..Options::default()
        };
        let control_plane = ControlPlane::start(options.with_crds([CLUSTERNET_KINDS.to_owned()])).await?;
        eprintln!(
            "node: the control plane is ready after {:.1} s",
            begun.elapsed().as_secs_f64()
        );
        let mut node = Self {
            dir: dir.to_owned(),
            packages,
            programs,
            control_plane,
            running: Vec::new(),
        };
        node.write_settings(cgroup, hosts)?;
        node.start_runtime().await?;
        node.start_kubelet()?;
        Kubectl::without_namespace(&node.control_plane)
            .run_with(&["apply", "-f", "-"], &settings::name_service().to_string())
            .await?;
        node.takes_pods().await?;
        eprintln!("node: it takes Pods after {:.1} s", begun.elapsed().as_secs_f64());
        Ok(node)
    }

    fn write_settings(&self, cgroup: &str, hosts: &[(&str, &str)]) -> anyhow::Result<()> {
        let dir = &self.dir;
        let write = |name: &str, text: String| {
            let file = dir.join(name);
            std::fs::write(&file, text).with_context(|| format!("failed to write `{}`", file.display()))
        };
        let authority = self.control_plane.authority();
        let port = self.control_plane.apiserver_port();
        let user = format!("system:node:{NAME}");
        for (name, user, group) in [
            ("node", user.as_str(), "system:nodes"),
            ("proxy", "system:kube-proxy", "system:authenticated"),
            ("dns", "testkit:dns", "system:masters"),
        ] {
            let credentials = authority.client(user, Some(group))?;
            let kubeconfig = authority.kubeconfig(port, &credentials);
            write(&format!("{name}.kubeconfig"), kubeconfig.to_string())?;
        }
        write("ca.crt", authority.certificate())?;
        authority
            .server_at(&[POD_GATEWAY.parse()?], &[NAME])?
            .write(dir, "node")?;
        write("kubelet.json", settings::kubelet(dir, cgroup).to_string())?;
        write("proxy.json", settings::proxy(dir).to_string())?;
        let (cni, runc) = (&self.programs.cni, self.programs.runc.join("runc"));
        write("containerd.toml", settings::containerd(dir, cni, &runc))?;
        std::fs::create_dir_all(dir.join("cni"))?;
        write("cni/pods.conflist", settings::network().to_string())?;
        write("Corefile", settings::names(dir, hosts))?;
        write("resolv.conf", format!("nameserver {DNS}\n"))
    }

    /// Starts containerd, and gives it the images of the node's own.
    async fn start_runtime(&mut self) -> anyhow::Result<()> {
        let config = self.dir.join("containerd.toml");
        let containerd = self.programs.containerd.join("containerd");
        self.launch("containerd", containerd, vec!["--config".into(), config.into()])?;
        eventually("containerd", async || {
            self.ctr(&["version".as_ref()]).await.map(Seen::Done)
        })
        .await
        .with_context(|| self.log_tail("containerd"))?;
        let (dir, programs, packages) = (self.dir.clone(), self.programs.clone(), self.packages.clone());
        let written = tokio::task::spawn_blocking(move || images::write(&dir, &programs, &packages));
        for archive in written.await?? {
            self.import(&archive).await?;
        }
        Ok(())
    }

    fn start_kubelet(&mut self) -> anyhow::Result<()> {
        let dir = self.dir.clone();
        let kubernetes = self.programs.kubernetes.clone();
        let flag = |name: &str, file: &str| format!("--{name}={}", dir.join(file).display()).into();
        let kubelet = vec![
            flag("config", "kubelet.json"),
            flag("kubeconfig", "node.kubeconfig"),
            flag("root-dir", "kubelet"),
            flag("cert-dir", "kubelet-certificates"),
            format!("--hostname-override={NAME}").into(),
            format!("--node-ip={POD_GATEWAY}").into(),
        ];
        self.launch("kubelet", kubernetes.join("kubelet"), kubelet)?;
        let proxy = vec![flag("config", "proxy.json")];
        self.launch("kube-proxy", kubernetes.join("kube-proxy"), proxy)?;
        let dns = vec!["-conf".into(), dir.join("Corefile").into()];
        self.launch("coredns", self.programs.coredns.join("coredns"), dns)
    }

    /// Waits until a Pod would be scheduled and could start.
    async fn takes_pods(&self) -> anyhow::Result<()> {
        let client = self.control_plane.client()?;
        let nodes: Api<KubernetesNode> = Api::all(client.clone());
        let is_ready = |node: Option<&KubernetesNode>| {
            let node = node?;
            let conditions = node.status.as_ref()?.conditions.as_ref()?;
            let ready = conditions
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True");
            let tainted = node.spec.as_ref()?.taints.as_ref();
            (ready && tainted.is_none_or(Vec::is_empty)).then_some(())
        };
        object_until(&nodes, NAME, "takes Pods", is_ready)
            .await
            .with_context(|| self.log_tail("kubelet"))?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client, "default");
        object_until(&accounts, "default", "exists", |account| account.map(drop)).await
    }

    /// Loads the images of the archive.
    pub(super) async fn import(&self, archive: &Path) -> anyhow::Result<()> {
        let args = ["images", "import", "--local"].map(AsRef::<OsStr>::as_ref);
        self.ctr(&[&args[..], &[archive.as_os_str()]].concat()).await
    }

    /// Gives a loaded image another name.
    pub(super) async fn tag(&self, image: &str, other: &str) -> anyhow::Result<()> {
        self.ctr(&["images", "tag", "--force", image, other].map(AsRef::as_ref))
            .await
    }

    async fn ctr(&self, args: &[&OsStr]) -> anyhow::Result<()> {
        let output = Command::new(self.programs.containerd.join("ctr"))
            .args([
                "--address",
                "/run/containerd/containerd.sock",
                "--namespace",
                "k8s.io",
            ])
            .args(args)
            .kill_on_drop(true)
            .output()
            .await
            .context("failed to run ctr")?;
        let complained = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "ctr {args:?} failed: {}",
            complained.trim()
        );
        Ok(())
    }

    fn launch(&mut self, name: &str, program: PathBuf, args: Vec<OsString>) -> anyhow::Result<()> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = [self.packages.iptables(), self.programs.containerd.clone()];
        let found = found.into_iter().chain(std::env::split_paths(&path));
        let libraries = self.packages.libraries();
        let launch = Launch {
            program,
            args,
            env: vec![
                ("HOME".into(), self.dir.clone().into()),
                ("PATH".into(), std::env::join_paths(found)?),
                ("XTABLES_LIBDIR".into(), libraries.join("xtables").into()),
                ("LD_LIBRARY_PATH".into(), libraries.into()),
            ],
            log: self.log(name),
        };
        let kept = Kept::start(&self.control_plane.binaries().path("keep"), &launch)?;
        self.running.push(kept);
        Ok(())
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }

    pub(super) fn log_tail(&self, name: &str) -> String {
        let log = self.log(name);
        format!("the end of {name}'s log:\n{}", crate::dump::tail(&log, 25))
    }
}
