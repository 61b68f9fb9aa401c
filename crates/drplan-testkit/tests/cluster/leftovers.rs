use std::path::Path;
use std::process::Stdio;

use anyhow::Context;
use drplan_testkit::{Seen, Signal, eventually};
use rustix::process::{Pid, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::processes;

/// Starts a control plane in a process of its own and ends that process with the signal: nothing may be left.
async fn nothing_is_left_after(signal: Signal) -> anyhow::Result<()> {
    let (mut child, dir) = up().await?;
    let dir = Path::new(&dir);
    // Five components and their keepers' five, and the keeper of the directory.
    assert_eq!(processes::with_directory(dir).len(), 11);
    let pid = child
        .id()
        .and_then(|pid| Pid::from_raw(pid.try_into().ok()?))
        .context("it runs")?;
    kill_process(pid, signal)?;
    child.wait().await?;
    eventually("everything to be gone", async || {
        let left = processes::with_directory(dir);
        Ok(Seen::when(
            (left.is_empty() && !dir.exists()).then_some(()),
            || format!("{left:?}, {dir:?}"),
        ))
    })
    .await
}

/// Runs `drplan-controlplane up`; returns it and the directory of its control plane.
async fn up() -> anyhow::Result<(Child, String)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_drplan-controlplane"))
        .arg("up")
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("it has a standard output")?;
    let line = BufReader::new(stdout)
        .lines()
        .next_line()
        .await?
        .context("it ended before it was up")?;
    let kubeconfig = line
        .strip_prefix("KUBECONFIG=")
        .context("it prints its KUBECONFIG first")?;
    let dir = Path::new(kubeconfig)
        .parent()
        .context("the kubeconfig is in a directory")?;
    Ok((child, dir.to_string_lossy().into_owned()))
}

#[tokio::test]
async fn nothing_is_left_when_the_process_is_killed() -> anyhow::Result<()> {
    nothing_is_left_after(Signal::KILL).await
}

#[tokio::test]
async fn nothing_is_left_after_an_interrupt() -> anyhow::Result<()> {
    nothing_is_left_after(Signal::INT).await
}
