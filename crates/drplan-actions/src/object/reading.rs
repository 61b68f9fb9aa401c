//! Reads that outlast passing faults.

use std::time::Duration;

use super::{exchange::Refusal, live::Live, place::Place};
use crate::deadline::Deadline;

/// The first wait after a read that was not answered; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
/// The longest wait between two reads.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a read may take when the deadline is over: what was sent before it is worth one more look.
const LAST_READ: Duration = Duration::from_secs(10);

/// Asks until there is an answer, or a refusal that time alone does not change, or the deadline is over; at least
/// once. `ask` is told how long it may take.
pub(super) async fn until_answered<T, F: Future<Output = Result<T, Refusal>>>(
    deadline: Deadline,
    ask: impl Fn(Duration) -> F,
) -> Result<T, Refusal> {
    let mut pause = PAUSE_FIRST;
    loop {
        match ask(deadline.remaining().max(LAST_READ)).await {
            Err(refusal) if refusal.error.is_transient() && !deadline.passed() => {
                let wished = Duration::from_millis(refusal.error.retry_after_millis.unwrap_or(0));
                tokio::time::sleep(pause.max(wished).min(deadline.remaining())).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            answer => return answer,
        }
    }
}

impl Place {
    /// What stands here now, without its contents.
    pub(super) async fn read(&self, deadline: Deadline) -> Result<Option<Live>, Refusal> {
        until_answered(deadline, |patience| self.get(false, patience)).await
    }

    /// What stands here now, with its contents.
    pub(super) async fn read_whole(&self, deadline: Deadline) -> Result<Option<Live>, Refusal> {
        until_answered(deadline, |patience| self.get(true, patience)).await
    }
}
