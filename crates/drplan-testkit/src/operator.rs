//! The operator as a child process.

mod binary;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::timeout;

use crate::binaries::Binaries;
use crate::eventually::{Seen, eventually};
use crate::kept::{Kept, Launch};
use crate::port::free_port;

pub use binary::{cli_binary, operator_binary, operator_crds};

/// How to run an operator.
#[derive(Debug, Clone)]
pub struct OperatorLaunch {
    /// The kubeconfig it is given.
    pub kubeconfig: PathBuf,
    /// The namespace it is limited to; all of them if `None`.
    pub namespace: Option<String>,
    /// More arguments.
    pub args: Vec<String>,
    /// More environment variables.
    pub env: Vec<(String, String)>,
    /// Whether actions of plans without a ServiceAccount may do anything: as the operator itself, or, where that has the
    /// rights of the chart only, as a ServiceAccount with all rights. On unless switched off.
    pub operator_identity: bool,
    /// Another program than [`operator_binary`].
    pub program: Option<PathBuf>,
    /// The user, if [`crate::TestNamespace::launch_operator`] gives it what the chart would give it.
    pub(crate) chart_user: Option<String>,
    /// Whether it is given that for all namespaces, also where the operator is limited to some.
    pub(crate) everywhere: bool,
}

impl OperatorLaunch {
    /// An operator for all namespaces.
    pub fn new(kubeconfig: impl Into<PathBuf>) -> Self {
        Self {
            kubeconfig: kubeconfig.into(),
            namespace: None,
            args: Vec::new(),
            env: Vec::new(),
            operator_identity: true,
            program: None,
            chart_user: None,
            everywhere: false,
        }
    }

    /// Limited to this namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// With this kubeconfig, which may lead through a proxy or be a restricted user's. It is given no rights.
    #[must_use]
    pub fn kubeconfig(mut self, kubeconfig: impl Into<PathBuf>) -> Self {
        self.kubeconfig = kubeconfig.into();
        self.chart_user = None;
        self
    }

    /// With the rights that the chart gives for all namespaces, which outlive any one of them.
    #[must_use]
    pub fn rights_everywhere(mut self) -> Self {
        self.everywhere = true;
        self
    }

    /// With this argument as well.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// With this environment variable as well.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// With actions of plans without a ServiceAccount running as the default one of their namespace.
    #[must_use]
    pub fn default_identity(mut self) -> Self {
        self.operator_identity = false;
        self
    }

    /// With this program.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }
}

/// A running operator. It is killed when it is dropped, and when this process ends.
#[derive(Debug)]
pub struct OperatorProcess {
    launch: Launch,
    keep: PathBuf,
    health_port: u16,
    metrics_port: u16,
    kept: Mutex<Option<Arc<Kept>>>,
}

/// The sum of all samples of the metric `name` in a scrape's `text`, 0 if there are none.
pub fn metric_sum(text: &str, name: &str) -> f64 {
    let samples = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (_, value) = rest.starts_with([' ', '{']).then(|| rest.rsplit_once(' '))??;
        value.parse::<f64>().ok()
    });
    samples.sum()
}

impl OperatorProcess {
    /// Starts the operator and waits until it is ready. `log` is where its output goes.
    ///
    /// # Errors
    ///
    /// When it cannot be built, ends, or is not ready at the deadline: then the end of its log.
    pub async fn start(launch: OperatorLaunch, log: PathBuf) -> anyhow::Result<Self> {
        let operator = Self::start_unready(launch, log).await?;
        operator.ready().await?;
        Ok(operator)
    }

    /// Starts the operator without waiting.
    ///
    /// # Errors
    ///
    /// When it cannot be built or started.
    pub async fn start_unready(launch: OperatorLaunch, log: PathBuf) -> anyhow::Result<Self> {
        let binaries = tokio::task::spawn_blocking(Binaries::get).await??;
        let is_operator = launch.program.is_none();
        let program = match launch.program {
            Some(program) => program,
            None => tokio::task::spawn_blocking(operator_binary).await??,
        };
        let (health_port, metrics_port) = (free_port()?, free_port()?);
        let health_bind = format!("127.0.0.1:{health_port}");
        let mut args: Vec<OsString> = match is_operator {
            true => vec!["run".into()],
            false => Vec::new(),
        };
        args.extend(["--health-bind".into(), health_bind.into()]);
        if is_operator {
            args.extend([
                "--metrics-bind".into(),
                format!("127.0.0.1:{metrics_port}").into(),
            ]);
        }
        if is_operator && launch.operator_identity {
            args.push("--allow-operator-identity".into());
        }
        if let Some(namespace) = launch.namespace {
            args.extend(["--namespace".into(), namespace.into()]);
        }
        args.extend(launch.args.into_iter().map(OsString::from));
        let mut env = vec![(OsString::from("KUBECONFIG"), OsString::from(launch.kubeconfig))];
        env.extend(
            launch
                .env
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        let launch = Launch {
            program,
            args,
            env,
            log,
        };
        let operator = Self {
            launch,
            keep: binaries.path("keep"),
            health_port,
            metrics_port,
            kept: Mutex::default(),
        };
        operator.run()?;
        Ok(operator)
    }

    /// Kills it if it runs, starts it again as before and waits until it is ready. Its log goes on in the same file.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.kill9().await?;
        self.run()?;
        self.ready().await
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    ///
    /// When it ends first or is not ready at the deadline: then the end of its log.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let url = self.health_url("/readyz");
        let http = reqwest::Client::new();
        let ready = eventually("the operator to be ready", async || {
            if let Some(code) = self.kept()?.exit_code() {
                return Ok(Seen::Done(Some(code)));
            }
            let status = http
                .get(&url)
                .timeout(Duration::from_secs(5))
                .send()
                .await?
                .status();
            Ok(Seen::when(status.is_success().then_some(None), || {
                format!("{status} from {url}")
            }))
        });
        let ended = ready.await.with_context(|| self.log_tail(40))?;
        match ended {
            None => Ok(()),
            Some(code) => bail!(
                "the operator has ended with exit code {code}, {}",
                self.log_tail(40)
            ),
        }
    }

    /// The URL of a path of its health server.
    pub fn health_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.health_port)
    }

    /// What it answers to Prometheus.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let url = format!("http://127.0.0.1:{}/metrics", self.metrics_port);
        let answer = reqwest::get(&url).await?.error_for_status()?;
        Ok(answer.text().await?)
    }

    /// Its process id.
    ///
    /// # Errors
    ///
    /// When it has never been started.
    pub fn pid(&self) -> anyhow::Result<i32> {
        Ok(self.kept()?.pid())
    }

    /// Kills it at once (SIGKILL), as a lost machine does, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent.
    pub async fn kill9(&self) -> anyhow::Result<()> {
        let kept = self.kept()?;
        kept.signal(Signal::KILL)?;
        kept.ended().await;
        Ok(())
    }

    /// Stops it as it stands (SIGSTOP) and returns when it has stopped: it holds its connections and does nothing.
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent or it does not stop.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.kept()?.pause()
    }

    /// Waits until it has stopped by itself, as a fault of the action `stop` makes it.
    ///
    /// # Errors
    ///
    /// When it goes on until the deadline.
    pub async fn stopped(&self) -> anyhow::Result<()> {
        let kept = self.kept()?;
        eventually("the operator to stop", async || {
            Ok(Seen::when(kept.has_stopped().then_some(()), || self.log_tail(10)))
        })
        .await
    }

    /// Lets it go on.
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent.
    pub fn cont(&self) -> anyhow::Result<()> {
        self.kept()?.signal(Signal::CONT)
    }

    /// Asks it to end (SIGTERM), and returns its exit code.
    ///
    /// # Errors
    ///
    /// When it has not ended at the deadline.
    pub async fn terminate(&self) -> anyhow::Result<i32> {
        self.kept()?.signal(Signal::TERM)?;
        self.ended().await
    }

    /// Waits until it has ended, and returns its exit code: its own, or 128 plus the signal that ended it.
    ///
    /// # Errors
    ///
    /// When it has not ended at the deadline.
    pub async fn ended(&self) -> anyhow::Result<i32> {
        let kept = self.kept()?;
        let ended = timeout(crate::eventually::DEADLINE, kept.ended()).await;
        ended.with_context(|| format!("the operator goes on, {}", self.log_tail(40)))
    }

    /// The file with all it has printed.
    pub fn log_file(&self) -> &Path {
        &self.launch.log
    }

    /// The last lines it has printed.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = &self.launch.log;
        format!(
            "the end of `{}`:\n{}",
            log.display(),
            crate::dump::tail(log, lines)
        )
    }

    /// Its log so far, one JSON object for each line. Lines that are not JSON are left out, such as a panic's.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn log(&self) -> anyhow::Result<Vec<Value>> {
        let text = fs::read_to_string(&self.launch.log)?;
        Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// Waits until `check` returns a value for a line of the log, and returns the first such value.
    ///
    /// # Errors
    ///
    /// At the deadline.
    pub async fn logged<T>(&self, what: &str, check: impl Fn(&Value) -> Option<T>) -> anyhow::Result<T> {
        eventually(what, async || {
            Ok(Seen::when(self.log()?.iter().find_map(&check), || {
                self.log_tail(10)
            }))
        })
        .await
    }

    fn run(&self) -> anyhow::Result<()> {
        let kept = Kept::start(&self.keep, &self.launch)?;
        *self.lock() = Some(Arc::new(kept));
        Ok(())
    }

    fn kept(&self) -> anyhow::Result<Arc<Kept>> {
        self.lock().clone().context("the operator was never started")
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
