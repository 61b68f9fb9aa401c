//! Whose turn it is to write to the API server: a crowd of runs waits here, and not in the server's own queues.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Executions that take their way to the first effect at once. Each asks and writes one thing after another, so this is
/// how many requests of theirs an API server has at most, and how many connections they take. Its answers come within
/// some 10 ms, so ten times as many begin in a second as an API server of two cores can keep up with.
const BEGIN_AT_ONCE: usize = 16;
/// Status writes of runs under way at once: fewer, so that a crowd begins before any of it is far. They saturate an API
/// server of two cores several times over; more would wait there, with a connection each.
const STEPS_AT_ONCE: usize = 8;

/// Turns, in the order in which they were asked for. Clones share them.
#[derive(Clone, Debug)]
pub struct Turns {
    begin: Arc<Semaphore>,
    steps: Arc<Semaphore>,
}

/// A turn; the next one has it once this is dropped. None only where turns are no longer given out.
pub type Turn = Option<OwnedSemaphorePermit>;

impl Default for Turns {
    fn default() -> Self {
        Self {
            begin: Arc::new(Semaphore::new(BEGIN_AT_ONCE)),
            steps: Arc::new(Semaphore::new(STEPS_AT_ONCE)),
        }
    }
}

impl Turns {
    /// Waits for the turn to begin a run: to look at everything, and to write what comes before the first effect.
    pub async fn begin(&self) -> Turn {
        Arc::clone(&self.begin).acquire_owned().await.ok()
    }

    /// Waits for the turn of one write of a run.
    pub async fn step(&self) -> Turn {
        Arc::clone(&self.steps).acquire_owned().await.ok()
    }

    /// Whether nobody has a turn.
    pub fn are_free(&self) -> bool {
        self.begin.available_permits() == BEGIN_AT_ONCE && self.steps.available_permits() == STEPS_AT_ONCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_are_bounded_and_free_again_once_they_are_given_back() {
        let turns = Turns::default();
        assert!(turns.are_free());
        let mut taken = Vec::new();
        for _ in 0..STEPS_AT_ONCE {
            taken.push(turns.step().await);
        }
        let other = turns.clone();
        let next = tokio::spawn(async move { other.step().await.is_some() });
        tokio::task::yield_now().await;
        assert!(!next.is_finished());
        // Who begins does not wait for those who are under way.
        drop(turns.begin().await);
        assert!(!turns.are_free());
        taken.clear();
        assert!(next.await.unwrap());
        assert!(turns.are_free());
    }
}
