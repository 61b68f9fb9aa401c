//! Tries the image and the chart on a real node, or keeps a node until Ctrl-C.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use drplan_testkit::node::{self, Inside};

#[derive(Parser)]
#[command(about = "A real Kubernetes node in namespaces of its own")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Try the operator's image and the chart on a node.
    Test {
        /// The archive that `make image` wrote.
        image: PathBuf,
    },
    /// Start a node, say how to reach it, and stop it at Ctrl-C.
    Up,
    /// Say what this machine lacks to run a node; exit code 1 if it lacks anything.
    Needs,
    #[command(flatten)]
    Inside(Inside),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Test { image } => node::run(&image).await,
        Command::Up => node::keep().await.map(|()| true),
        Command::Needs => {
            let missing = node::missing();
            for need in &missing {
                eprintln!("{need}");
            }
            Ok(missing.is_empty())
        }
        Command::Inside(inside) => node::inside(inside).await.map(|()| true),
    }
}
