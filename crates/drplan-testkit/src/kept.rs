//! Child processes that cannot outlive this one.

use std::ffi::OsString;
use std::fs::{self, DirEntry, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

/// What to run, and how. Kept by its user to run it again.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Environment variables in addition to this process's.
    pub env: Vec<(OsString, OsString)>,
    /// Where its output is appended to.
    pub log: PathBuf,
}

/// A running child process.
///
/// It runs under a keeper (`controlplane/keep`), which kills it when the pipe to this process closes. So it goes
/// when the value is dropped, and when this process ends in any way, `kill -9` included.
#[derive(Debug)]
pub struct Kept {
    pid: Pid,
    /// Closing it ends the child. `None` while it is being dropped.
    lifeline: Option<ChildStdin>,
    exit_code: watch::Receiver<Option<i32>>,
    waiter: Mutex<Option<JoinHandle<Option<i32>>>>,
}

impl Kept {
    /// Starts the program under the keeper `keep`.
    ///
    /// # Errors
    ///
    /// When the program or its log file cannot be opened.
    pub fn start(keep: &Path, launch: &Launch) -> anyhow::Result<Self> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&launch.log)
            .with_context(|| format!("failed to open the log `{}`", launch.log.display()))?;
        let mut command = Command::new(keep);
        command.arg("--").arg(&launch.program).args(&launch.args);
        command
            .envs(launch.env.iter().map(|(name, value)| (name, value)))
            .stderr(log);
        Self::start_keeper(command).with_context(|| {
            format!(
                "failed to start `{}`, see `{}`",
                launch.program.display(),
                launch.log.display()
            )
        })
    }

    /// Starts the program under the keeper `keep` with its output where this process's errors go.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub(crate) fn start_shown(keep: &Path, command: &[OsString]) -> anyhow::Result<Self> {
        let mut keeper = Command::new(keep);
        keeper.arg("--").args(command);
        let program = command.first().cloned().unwrap_or_default();
        Self::start_keeper(keeper).with_context(|| format!("failed to start `{}`", program.display()))
    }

    /// Starts a keeper without a child, which removes `dir` when this process ends.
    pub(crate) fn start_remover(keep: &Path, dir: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(keep);
        command.arg("--remove").arg(dir);
        Self::start_keeper(command)
            .with_context(|| format!("failed to start the remover of `{}`", dir.display()))
    }

    fn start_keeper(mut command: Command) -> anyhow::Result<Self> {
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let lifeline = keeper.stdin.take();
        let mut line = String::new();
        if let Some(stdout) = keeper.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let Some(pid) = line.trim().parse().ok().and_then(Pid::from_raw) else {
            let status = keeper.wait()?;
            bail!("the keeper ended with {status} before it started anything");
        };
        let (exited, exit_code) = watch::channel(None);
        let waiter = std::thread::Builder::new()
            .name("waiter".into())
            .spawn(move || exited.send_replace(Some(exit_code_of(&mut keeper))))?;
        Ok(Self {
            pid,
            lifeline,
            exit_code,
            waiter: Mutex::new(Some(waiter)),
        })
    }

    /// The process id of the program itself.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends the signal to the program, unless it has ended.
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        if self.exit_code().is_some() {
            return Ok(());
        }
        match kill_process(self.pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("failed to send {signal:?} to {}", self.pid())),
        }
    }

    /// Stops the program as it stands (SIGSTOP), and returns when all of its threads have stopped.
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent, or a thread goes on for ten seconds.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)?;
        for _ in 0..10_000 {
            if self.exit_code().is_some() || self.has_stopped() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        bail!("{} does not stop", self.pid())
    }

    pub(crate) fn has_stopped(&self) -> bool {
        let stopped = |thread: std::io::Result<DirEntry>| {
            let stat = thread.and_then(|thread| fs::read_to_string(thread.path().join("stat")));
            // The state follows the name, which is in parentheses and may contain some. A thread that is gone does
            // nothing either.
            stat.map_or(true, |stat| {
                stat.rsplit_once(") ")
                    .is_some_and(|(_, rest)| rest.starts_with('T'))
            })
        };
        fs::read_dir(format!("/proc/{}/task", self.pid())).is_ok_and(|mut threads| threads.all(stopped))
    }

    /// The exit code if it has ended: its own, or 128 plus the signal that ended it.
    pub fn exit_code(&self) -> Option<i32> {
        *self.exit_code.borrow()
    }

    /// Waits until it has ended, and returns the exit code.
    pub fn ended(&self) -> impl Future<Output = i32> + Send + use<> {
        let mut exit_code = self.exit_code.clone();
        // The sender is only dropped after it has sent.
        async move {
            exit_code
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|code| *code)
                .unwrap_or(-1)
        }
    }

    /// Kills it and waits until it is gone.
    pub(crate) fn end(&mut self) {
        drop(self.lifeline.take());
        let waiter = self.waiter.lock().ok().and_then(|mut waiter| waiter.take());
        if let Some(waiter) = waiter {
            drop(waiter.join());
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.end();
    }
}

fn exit_code_of(keeper: &mut Child) -> i32 {
    keeper.wait().ok().and_then(|status| status.code()).unwrap_or(-1)
}
