//! A real node: kubelet, containerd, runc and kube-proxy run containers beside a control plane, in namespaces of their
//! own, and what is shipped is tried on it.
//!
//! [`run()`] is the whole trial, [`keep()`] a node to look at. Both start this program once more inside of namespaces,
//! where [`inside()`] starts the node. The machine is left as it was, whatever ends first.

mod cgroups;
mod enclosure;
mod host;
mod images;
mod machine;
mod needs;
mod packages;
mod programs;
mod settings;
mod trial;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::Instant;

use crate::binaries::{Binaries, helm};
use crate::eventually::{Seen, eventually, eventually_within};

use enclosure::Enclosure;
use host::Node;
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
/// When something is [`missing()`], or what the node needs cannot be built.
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
    eventually_within(
        Duration::from_secs(30),
        "the machine to be as it was",
        async || {
            let changed = machine.changed()?;
            Ok(Seen::when(changed.is_empty().then_some(()), || {
                changed.join("; ")
            }))
        },
    )
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
