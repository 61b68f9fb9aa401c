//! The wish to end, from outside.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that SIGINT ended, by the shell's convention: 128 plus the signal.
const INTERRUPTED: i32 = 128 + 2;

/// A token that is cancelled by the first SIGTERM or SIGINT. A second SIGINT ends the process at once: whoever presses
/// Ctrl-C twice does not want to wait, and a run survives that as it survives a crash.
///
/// # Errors
/// When the operating system refuses the handlers.
///
/// # Assumptions
/// Called within a tokio runtime.
pub fn on_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let wish = token.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(
            signal = name,
            "ending: nothing new starts, calls in flight are awaited"
        );
        wish.cancel();
        interrupt.recv().await;
        tracing::warn!("ending at once after a second SIGINT");
        std::process::exit(INTERRUPTED);
    });
    Ok(token)
}
