//! Writes that the API server will not do, so that people are told where the object itself cannot say it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::store::StoreError;

/// How long the API server must go on failing before that is told: a restart of it takes less.
const LASTS: Duration = Duration::from_secs(5);
/// Objects that are remembered. The oldest is forgotten then, and told of again.
const STANDING_MAX: usize = 1000;

/// The objects whose writes are refused now, by UID. Clones share what they know.
///
/// # Guarantees
/// An object is told of once, until [`Self::over`].
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    standing: Arc<Mutex<BTreeMap<String, Standing>>>,
}

#[derive(Clone, Copy, Debug)]
struct Standing {
    since: Instant,
    is_told: bool,
}

impl Refusals {
    /// Takes in that a write of the object `uid` ended with `error`. Whether that is to be told now: a refusal at once, an
    /// API server that answers and fails, as while a webhook is down that must be asked, once it lasts.
    pub fn meets(&self, uid: &str, error: &StoreError) -> bool {
        let is_refused = match error {
            StoreError::Refused { .. } => true,
            StoreError::Unanswered { is_told: true, .. } => false,
            StoreError::Unanswered { is_told: false, .. } | StoreError::Conflict | StoreError::Gone => {
                return false;
            }
        };
        let now = Instant::now();
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if !standing.contains_key(uid) && standing.len() >= STANDING_MAX {
            let oldest = standing.iter().min_by_key(|(_, one)| one.since);
            if let Some(oldest) = oldest.map(|(uid, _)| uid.clone()) {
                standing.remove(&oldest);
            }
        }
        let one = standing.entry(uid.to_owned()).or_insert(Standing {
            since: now,
            is_told: false,
        });
        let is_due = is_refused || now - one.since >= LASTS;
        is_due && !std::mem::replace(&mut one.is_told, true)
    }

    /// Takes in that what was to be written of the object `uid` is written, or need not be.
    pub fn over(&self, uid: &str) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(message: &str) -> StoreError {
        StoreError::Refused {
            code: 403,
            message: message.to_owned(),
        }
    }

    fn failed() -> StoreError {
        StoreError::Unanswered {
            message: "500 failed calling webhook".to_owned(),
            is_told: true,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_told_once_until_it_is_over() {
        let refusals = Refusals::default();
        assert!(refusals.meets("a", &refused("no")));
        // Words that change with each answer are no news.
        assert!(!refusals.meets("a", &refused("no, at 10:01")));
        assert!(refusals.meets("b", &refused("no")));
        refusals.over("a");
        assert!(refusals.meets("a", &refused("no")));
        for part_of_the_course in [
            StoreError::Conflict,
            StoreError::Gone,
            StoreError::silence("no answer".to_owned()),
        ] {
            assert!(!refusals.meets("c", &part_of_the_course));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_once_it_lasts() {
        let refusals = Refusals::default();
        assert!(!refusals.meets("a", &failed()));
        tokio::time::advance(LASTS).await;
        assert!(refusals.meets("a", &failed()));
        assert!(!refusals.meets("a", &failed()));
        assert!(!refusals.meets("a", &refused("no")));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let refusals = Refusals::default();
        for number in 0..STANDING_MAX + 10 {
            assert!(refusals.meets(&number.to_string(), &refused("no")));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(refusals.standing.lock().unwrap().len(), STANDING_MAX);
        assert!(!refusals.meets("500", &refused("no")));
        assert!(refusals.meets("3", &refused("no")), "it was the oldest");
    }
}
