//! What a person sees when the demo itself fails.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::timeout;

use super::scene::Scene;
use super::screen::{Ink, Screen};

/// How long one step of the demo may take. The longest one takes ten seconds, with its pauses for the reader; the rest is
/// for machines that are slow and shared.
const PATIENCE: Duration = Duration::from_secs(90);
/// Lines of the operator's log that are shown.
const LINES: usize = 5;

/// Awaits a step, and gives it up when it takes too long.
///
/// # Errors
///
/// Those of the step, or that `what` did not come.
pub(super) async fn within<T>(
    what: &str,
    step: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    match timeout(PATIENCE, step).await {
        Ok(result) => result,
        Err(_) => bail!("{what} did not come within {} s", PATIENCE.as_secs()),
    }
}

impl Scene {
    /// Says why the demo has come to no end, and where the logs are.
    pub(super) fn show_failure(&self, screen: &Screen, error: &anyhow::Error) {
        screen.item(Ink::Red, "failed", &format!("{error:#}"));
        match self.keep_logs() {
            Ok(dir) => {
                screen.say(&format!(
                    "The logs are in {}. The operator said last:",
                    dir.display()
                ));
                screen.quote(&crate::dump::tail(self.operator.log_file(), LINES));
            }
            Err(error) => screen.say(&format!("Its logs could not be kept: {error:#}")),
        }
    }

    /// Copies the logs out of the cluster's directory, which goes with it. Returns where they are.
    fn keep_logs(&self) -> anyhow::Result<PathBuf> {
        let program = std::env::current_exe()?;
        let target = program
            .ancestors()
            .nth(2)
            .context("this program has no directory")?;
        let kept = target.join("demo-logs");
        std::fs::create_dir_all(&kept)?;
        for entry in std::fs::read_dir(self.control_plane.dir())? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|end| end == "log") {
                std::fs::copy(entry.path(), kept.join(entry.file_name()))?;
            }
        }
        Ok(kept)
    }
}
