//! Builds the control plane, or runs one until Ctrl-C.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use drplan_testkit::{Binaries, ControlPlane, Options, helm, promtool};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(about = "A real Kubernetes control plane on this machine's loopback, for tests and demos")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the binaries unless they are there, and print their directory.
    Build,
    /// Build what only tests need, unless it is there: promtool and Helm. Print where they are.
    Tools,
    /// Start a control plane, print its KUBECONFIG, and stop it at Ctrl-C.
    Up {
        /// A file with CustomResourceDefinitions to install; may be repeated.
        #[arg(long = "crds", value_name = "FILE")]
        crds: Vec<PathBuf>,
    },
}

#[expect(clippy::print_stdout, reason = "what it prints is what it is for")]
fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Build => {
            println!("{}", Binaries::get()?.dir().display());
            Ok(())
        }
        Command::Tools => {
            println!("{}", promtool()?.display());
            println!("{}", helm()?.display());
            Ok(())
        }
        Command::Up { crds } => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(up(&crds))
        }
    }
}

#[expect(clippy::print_stdout, reason = "what it prints is what it is for")]
async fn up(crds: &[PathBuf]) -> anyhow::Result<()> {
    let read = |file: &PathBuf| {
        std::fs::read_to_string(file).with_context(|| format!("failed to read `{}`", file.display()))
    };
    let crds: Vec<String> = crds.iter().map(read).collect::<Result<_, _>>()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let control_plane = ControlPlane::start(Options::default().with_crds(crds)).await?;
    println!("KUBECONFIG={}", control_plane.kubeconfig().display());
    eprintln!(
        "kubectl is {}",
        control_plane.binaries().path("kubectl").display()
    );
    eprintln!("Ctrl-C stops it");
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
