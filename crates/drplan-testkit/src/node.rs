//! A real node: kubelet, containerd, runc and kube-proxy run containers beside a control plane, in namespaces of their
//! own, and what is shipped is tried on it.
//!
//! [`run`] is the whole trial, [`keep`] a node to look at. Both start this program once more inside of an
//! [`Enclosure`], where [`inside`] starts the node. The machine is left as it was, whatever ends first.

mod cgroups;
mod enclosure;
mod images;
mod machine;
mod needs;
mod packages;
mod programs;
mod settings;
mod trial;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use k8s_openapi::api::core::v1::{Node as KubernetesNode, ServiceAccount};
use kube::Api;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::Instant;

use crate::binaries::{Binaries, helm};
use crate::control_plane::{CLUSTERNET_KINDS, ControlPlane, Options};
use crate::eventually::{Seen, eventually, eventually_within, object_until};
use crate::kept::{Kept, Launch};
use crate::kubectl::Kubectl;

use enclosure::Enclosure;
use machine::Machine;
pub use needs::missing;
use packages::Packages;
use programs::Programs;

/// The node's name.
const NAME: &str = "drplan-node";
/// Where Pods find the node, and the API server on it.
const POD_GATEWAY: &str = "10.244.0.1";
/// The Service of the name service.
const DNS: &str = "10.96.0.10";
/// What [`keep`] prints when the node is there.
const READY: &str = "The node goes on until Ctrl-C";

/// What to do inside of the namespaces.
#[derive(Debug, Clone, Subcommand)]
pub enum Inside {
    /// Try the image and the chart.
    #[command(hide = true)]
    Trial {
        /// The archive of the operator's image.
        image: PathBuf,
        /// Where files are kept.
        dir: PathBuf,
        /// The cgroup for containers.
        cgroup: String,
    },
    /// Keep a node.
    #[command(hide = true)]
    Idle {
        /// Where files are kept.
        dir: PathBuf,
        /// The cgroup for containers.
        cgroup: String,
    },
}

/// Tries the archive of the operator's image, and the chart, on a real node. Returns whether everything was as it
/// should be.
///
/// # Errors
///
/// When something is [`missing`], or what the node needs cannot be built.
pub async fn run(image: &Path) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let (binaries, packages) = prepare().await?;
    let image = std::path::absolute(image)?;
    ensure!(
        image.exists(),
        "there is no image `{}`: make image",
        image.display()
    );
    let machine = Machine::look()?;
    eprintln!("node: the machine before: {machine}");

    let enclosure = Enclosure::start(&binaries, &packages, &["trial", &image.to_string_lossy()])?;
    let code = enclosure.ended().await;
    drop(enclosure);
    if code != 0 {
        eprintln!("node: FAILED, exit code {code}");
        return Ok(false);
    }
    as_it_was(&machine, "the node has been stopped").await?;
    killed(&machine).await?;
    eprintln!("node: everything passed in {} s", begun.elapsed().as_secs());
    Ok(true)
}

/// Runs a node without anything on it until Ctrl-C.
///
/// # Errors
///
/// As [`run`].
pub async fn keep() -> anyhow::Result<()> {
    let (binaries, packages) = prepare().await?;
    let enclosure = Enclosure::start(&binaries, &packages, &["idle"])?;
    let is_up = enclosure.dir().join("kubeconfig");
    let up = eventually("the node", async || {
        let pid = enclosure.pid().filter(|_| is_up.exists());
        Ok(Seen::when(pid, || "it starts".into()))
    });
    let pid = tokio::select! {
        pid = up => pid?,
        code = enclosure.ended() => bail!("the node has ended with exit code {code}"),
    };
    eprintln!("{READY}. From another terminal, its kubectl:");
    eprintln!(
        "  nsenter -t {pid} -m -n -p -u -i {} --kubeconfig {} get pods -A",
        binaries.path("kubectl").display(),
        is_up.display()
    );
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        code = enclosure.ended() => bail!("the node has ended with exit code {code}"),
    }
    Ok(())
}

/// Says what is missing on this machine, and builds or fetches all that a node is made of.
async fn prepare() -> anyhow::Result<(Binaries, Packages)> {
    let get = || {
        let missing = missing();
        ensure!(
            missing.is_empty(),
            "a real node cannot run here:\n- {}",
            missing.join("\n- ")
        );
        let binaries = Binaries::get()?;
        let packages = Packages::get()?;
        Programs::get(&packages)?;
        helm()?;
        Ok((binaries, packages))
    };
    tokio::task::spawn_blocking(get).await?
}

/// Waits until the machine is as it was: the kernel takes namespaces apart after their last process has ended.
async fn as_it_was(machine: &Machine, after: &str) -> anyhow::Result<()> {
    eventually_within(Duration::from_secs(30), "the machine to be as it was", async || {
        let changed = machine.changed()?;
        Ok(Seen::when(changed.is_empty().then_some(()), || {
            changed.join("; ")
        }))
    })
    .await?;
    eprintln!("node: {after}, and the machine is as it was: {machine}");
    Ok(())
}

/// Kills a program that keeps a node, as nobody can prevent, and sees that nothing of the node is left.
async fn killed(machine: &Machine) -> anyhow::Result<()> {
    let mut keeper = Command::new(std::env::current_exe()?)
        .arg("up")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(keeper.stderr.take().context("it has no output")?).lines();
    let mut said = Vec::new();
    loop {
        let line = lines.next_line().await?;
        let Some(line) = line else {
            bail!("the node did not come up:\n{}", said.join("\n"));
        };
        if line.starts_with(READY) {
            break;
        }
        said.push(line);
    }
    ensure!(
        !machine.changed()?.is_empty(),
        "a node runs, and nothing is different on the machine"
    );
    let pid = keeper.id().and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.and_then(Pid::from_raw).context("it has ended")?;
    kill_process(pid, Signal::KILL)?;
    keeper.wait().await?;
    as_it_was(machine, "a program that kept a node was killed (kill -9)").await
}

/// What is done inside of the namespaces, where this process is the first.
///
/// # Errors
///
/// When the node does not come up, or something is not as it should be.
pub async fn inside(what: Inside) -> anyhow::Result<()> {
    match what {
        Inside::Trial { image, dir, cgroup } => {
            let node = Node::start(&dir, &cgroup, &trial::HOSTS).await?;
            trial::run(&node, &image).await
        }
        Inside::Idle { dir, cgroup } => {
            let node = Node::start(&dir, &cgroup, &[]).await?;
            std::fs::copy(node.control_plane.kubeconfig(), dir.join("kubeconfig"))?;
            std::future::pending().await
        }
    }
}

/// A node that runs, with its control plane.
struct Node {
    dir: PathBuf,
    packages: Packages,
    programs: Programs,
    control_plane: ControlPlane,
    /// containerd, kubelet, kube-proxy and CoreDNS.
    running: Vec<Kept>,
}

impl Node {
    /// Starts it, and waits until it takes Pods. The name service knows these addresses of hosts too.
    async fn start(dir: &Path, cgroup: &str, hosts: &[(&str, &str)]) -> anyhow::Result<Self> {
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
        eprintln!(
            "node: it takes Pods after {:.1} s",
            begun.elapsed().as_secs_f64()
        );
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
        self.launch(
            "containerd",
            containerd,
            vec!["--config".into(), config.into()],
        )?;
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
    async fn import(&self, archive: &Path) -> anyhow::Result<()> {
        let args = ["images", "import", "--local"].map(AsRef::<std::ffi::OsStr>::as_ref);
        self.ctr(&[&args[..], &[archive.as_os_str()]].concat()).await
    }

    /// Gives a loaded image another name.
    async fn tag(&self, image: &str, other: &str) -> anyhow::Result<()> {
        self.ctr(&["images", "tag", "--force", image, other].map(AsRef::as_ref))
            .await
    }

    async fn ctr(&self, args: &[&std::ffi::OsStr]) -> anyhow::Result<()> {
        let output = Command::new(self.programs.containerd.join("ctr"))
            .args(["--address", "/run/containerd/containerd.sock", "--namespace", "k8s.io"])
            .args(args)
            .kill_on_drop(true)
            .output()
            .await
            .context("failed to run ctr")?;
        let complained = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ctr {args:?} failed: {}", complained.trim());
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

    fn log_tail(&self, name: &str) -> String {
        let log = self.log(name);
        format!("the end of {name}'s log:\n{}", crate::dump::tail(&log, 25))
    }
}
