//! Whether this process acts, and in which term.
//!
//! Several processes may watch; one of them leads. The lease chooses which, so that they do not work against each other.
//! It protects nothing: that is what the claim in each run's record does.

mod ballot;
mod candidate;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drplan_api::status::Epoch;
use tokio::{sync::watch, time::Instant};

pub use ballot::Timing;
pub use candidate::{Candidate, LeaseName};

/// Whether this process leads. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Leadership {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Its name, new in every process.
    process: String,
    role: Mutex<Role>,
    /// The lease transitions of its term, as far as was noticed: [`Leadership::leads`] is exact. None: it does not lead.
    term: watch::Sender<Option<u64>>,
    /// What the records of runs say.
    counts: Mutex<Counts>,
}

/// The most lease transitions that the record of a run was seen with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// Of any run.
    all: Option<u64>,
    /// Of a run that another process acted on last.
    others: Option<u64>,
}

/// The part that a process plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// There is no election: it leads as long as it lives.
    Alone,
    /// Somebody else leads, or nobody.
    Follower,
    /// It leads until then, unless it renews the lease before.
    Leader { transitions: u64, until: Instant },
}

impl Leadership {
    /// Of the process of this name, unique among all, that leads without an election.
    pub fn alone(process: impl Into<String>) -> Self {
        Self::new(process.into(), Role::Alone)
    }

    /// Of the process of this name, unique among all, that stands for election and does not lead yet.
    pub fn elected(process: impl Into<String>) -> Self {
        Self::new(process.into(), Role::Follower)
    }

    fn new(process: String, role: Role) -> Self {
        let shared = Shared {
            process,
            role: Mutex::new(role),
            term: watch::Sender::new((role == Role::Alone).then_some(0)),
            counts: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The process, as records name it.
    pub fn process(&self) -> &str {
        &self.shared.process
    }

    /// Whether this process may begin anything now. By the monotonic clock, so that one that stood still knows at once
    /// that its time is over.
    pub fn leads(&self) -> bool {
        !matches!(self.role(), Role::Follower)
    }

    /// Whether there is no election.
    pub fn is_alone(&self) -> bool {
        self.role() == Role::Alone
    }

    /// Waits until this process leads.
    pub async fn begun(&self) {
        let mut term = self.shared.term.subscribe();
        // The sender lives as long as this does, so neither wait fails.
        while term.wait_for(Option::is_some).await.is_ok() && !self.leads() {
            let _ = term.wait_for(Option::is_none).await;
        }
    }

    /// Waits until this process leads no longer.
    pub async fn ended(&self) {
        let _ = self.shared.term.subscribe().wait_for(Option::is_none).await;
    }

    /// Tells of every change of the lease transitions of its term, none while it does not lead.
    pub fn terms(&self) -> watch::Receiver<Option<u64>> {
        self.shared.term.subscribe()
    }

    /// What the first status of a run carries.
    pub fn epoch(&self) -> Epoch {
        self.epoch_of(match self.role() {
            Role::Alone | Role::Follower => 0,
            Role::Leader { transitions, .. } => transitions,
        })
    }

    /// What the status of a run carries that this process claims from `found`.
    pub fn epoch_after(&self, found: Option<&Epoch>) -> Epoch {
        match self.role() {
            // Without a lease of its own it leaves the count of those who have one as it is.
            Role::Alone => self.epoch_of(found.map_or(0, |found| found.lease_transitions)),
            Role::Follower | Role::Leader { .. } => self.epoch(),
        }
    }

    /// Whether a run that `found` acts on may be claimed: it is this process's, or that of an earlier term, or of the
    /// process `from` that had it when this one began to lead.
    pub fn may_claim(&self, found: &Epoch, from: Option<&str>) -> bool {
        let is_left = from == Some(found.process.as_str());
        match self.role() {
            _ if found.process == self.shared.process => true,
            Role::Alone => is_left,
            Role::Follower => false,
            Role::Leader { transitions, .. } => {
                found.lease_transitions < transitions || (found.lease_transitions == transitions && is_left)
            }
        }
    }

    /// Whether the run of an earlier term, with so many `transitions`, is this process's to claim.
    pub fn succeeds(&self, transitions: u64) -> bool {
        matches!(self.role(), Role::Leader { transitions: own, .. } if transitions < own)
    }

    /// Notes that a run's record carries so many lease transitions, of the process that acted on it last.
    pub fn saw(&self, transitions: u64, process: Option<&str>) {
        let mut counts = lock(&self.shared.counts);
        counts.all = counts.all.max(Some(transitions));
        if process != Some(self.process()) {
            counts.others = counts.others.max(Some(transitions));
        }
    }

    /// What was seen of lease transitions.
    fn counts(&self) -> Counts {
        *lock(&self.shared.counts)
    }

    /// Begins a term, or goes on with it until `until`.
    fn lead(&self, transitions: u64, until: Instant) {
        *lock(&self.shared.role) = Role::Leader { transitions, until };
        self.shared
            .term
            .send_if_modified(|term| term.replace(transitions) != Some(transitions));
    }

    /// Ends the term. Whether there was one.
    fn follow(&self) -> bool {
        *lock(&self.shared.role) = Role::Follower;
        self.shared.term.send_if_modified(|term| term.take().is_some())
    }

    fn role(&self) -> Role {
        let role = *lock(&self.shared.role);
        match role {
            Role::Leader { until, .. } if until <= Instant::now() => Role::Follower,
            Role::Alone | Role::Follower | Role::Leader { .. } => role,
        }
    }

    fn epoch_of(&self, transitions: u64) -> Epoch {
        Epoch {
            process: self.shared.process.clone(),
            lease_transitions: transitions,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves it whole: each change is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn epoch(process: &str, lease_transitions: u64) -> Epoch {
        Epoch {
            process: process.to_owned(),
            lease_transitions,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_term_ends_by_itself_and_whoever_asks_later_knows() {
        let leadership = Leadership::elected("me");
        assert!(!leadership.leads());
        leadership.lead(3, Instant::now() + Duration::from_secs(10));
        leadership.begun().await;
        assert!(leadership.leads());
        assert_eq!(leadership.epoch().lease_transitions, 3);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(!leadership.leads());
        let waits = tokio::time::timeout(Duration::from_secs(60), leadership.begun()).await;
        assert!(waits.is_err(), "a term that ran out unnoticed is none");
        assert!(leadership.follow());
        leadership.ended().await;
        assert!(!leadership.follow());
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_claims_what_earlier_terms_left_and_nothing_of_a_later_one() {
        let leadership = Leadership::elected("me");
        assert!(!leadership.may_claim(&epoch("a", 0), Some("a")));
        assert!(leadership.may_claim(&epoch(leadership.process(), 0), None));
        leadership.lead(3, Instant::now() + Duration::from_secs(10));
        let check = |transitions, from, expected| {
            assert_eq!(
                leadership.may_claim(&epoch("a", transitions), from),
                expected,
                "{transitions} {from:?}"
            );
        };
        check(2, None, true);
        check(3, Some("a"), true);
        check(3, Some("b"), false);
        check(3, None, false);
        check(4, Some("a"), false);
        assert!(leadership.succeeds(2) && !leadership.succeeds(3));
    }

    #[test]
    fn without_an_election_what_was_found_at_the_start_is_claimed_and_the_count_stays() {
        let leadership = Leadership::alone("me");
        assert!(leadership.leads());
        assert!(leadership.may_claim(&epoch("a", 7), Some("a")));
        assert!(!leadership.may_claim(&epoch("a", 7), None));
        assert!(!leadership.succeeds(0));
        assert_eq!(leadership.epoch().lease_transitions, 0);
        assert_eq!(
            leadership.epoch_after(Some(&epoch("a", 7))),
            epoch(leadership.process(), 7)
        );
    }
}
