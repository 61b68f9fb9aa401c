//! The rules by which a lease is taken: those of client-go's leader election.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use tokio::time::Instant;

use super::Counts;

/// The times of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long others wait, after they saw a renewal, before they take the lease.
    pub lease_duration: Duration,
    /// How long a leader that cannot renew goes on.
    pub renew_deadline: Duration,
    /// Between two tries.
    pub retry_period: Duration,
}

/// By how much a follower's wait may be longer than the retry period: client-go's factor.
pub(super) const JITTER: f64 = 1.2;

impl Timing {
    /// What is wrong with these times.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.lease_duration <= self.renew_deadline {
            problems.push(
                "--leader-elect-lease-duration must be longer than --leader-elect-renew-deadline, or two processes lead \
                 at once"
                    .to_owned(),
            );
        }
        if self.renew_deadline <= self.retry_period.mul_f64(JITTER) {
            problems.push(format!(
                "--leader-elect-renew-deadline must be longer than {JITTER} times --leader-elect-retry-period, or one \
                 renewal that fails ends the term"
            ));
        }
        problems
    }
}

/// How long after this process made the lease a run of the process that held one before may still turn up: that one goes
/// on for its renew deadline, and what it sent last may be long on its way.
const PREDECESSOR_PATIENCE: Duration = Duration::from_secs(120);

/// What is known of the lease, and since when.
#[derive(Debug)]
pub(super) struct Ballot {
    /// Who asks, unique among all processes.
    holder: String,
    /// The lease as last seen to change, by this process's own clock: the clocks of others may be wrong.
    seen: Option<(LeaseSpec, Instant)>,
    /// The most transitions that a lease was seen with.
    most: Option<u64>,
    /// When this process last made the lease.
    made: Option<Instant>,
}

/// What may be done about the lease now.
#[derive(Debug, PartialEq)]
pub(super) enum Turn {
    /// Write this, on the version that was read.
    Write(Box<LeaseSpec>),
    /// Somebody else holds it, until then unless it is renewed.
    Held(Instant),
}

impl Ballot {
    pub(super) fn new(holder: String) -> Self {
        Self {
            holder,
            seen: None,
            most: None,
            made: None,
        }
    }

    /// What to do about `lease` as read at `now`; none if it does not exist.
    ///
    /// `counts` is what the records of runs carry. A lease that was deleted and made anew counts on from there and from
    /// the lease before it, or its holder could not claim these runs. Whoever held that one may have led a moment longer:
    /// the new one counts on from a run that it began then, too.
    pub(super) fn turn(
        &mut self,
        lease: Option<&Lease>,
        counts: Counts,
        timing: &Timing,
        now: Instant,
        wall: MicroTime,
    ) -> Turn {
        let found = lease.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == found => *since,
            Some(_) | None => {
                self.seen = Some((found.clone(), now));
                now
            }
        };
        if lease.is_some() {
            self.most = self.most.max(Some(transitions(&found)));
        }
        let holder = found.holder_identity.as_deref().unwrap_or_default();
        let is_own = holder == self.holder;
        // A holder writes for how long it means to hold it.
        let held = found
            .lease_duration_seconds
            .map_or(timing.lease_duration, |seconds| {
                Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
            });
        if !holder.is_empty() && !is_own && now < since + held {
            return Turn::Held(since + held);
        }
        let after = |count: Option<u64>| count.map_or(0, |count| count + 1);
        let transitions = match lease {
            Some(_) if is_own => {
                let was_made = self.made.is_some_and(|made| now < made + PREDECESSOR_PATIENCE);
                let least = after(counts.others.filter(|_| was_made));
                transitions(&found).max(counts.all.unwrap_or(0)).max(least)
            }
            Some(_) => after(Some(transitions(&found)).max(counts.all)),
            None => {
                self.made = Some(now);
                after(self.most.max(counts.all))
            }
        };
        let acquire_time = found.acquire_time.clone().filter(|_| is_own);
        Turn::Write(Box::new(LeaseSpec {
            holder_identity: Some(self.holder.clone()),
            // Whole seconds, rounded up: others must not think that it has ended before this process does.
            lease_duration_seconds: i32::try_from(timing.lease_duration.as_millis().div_ceil(1000)).ok(),
            acquire_time: acquire_time.or_else(|| Some(wall.clone())),
            renew_time: Some(wall),
            lease_transitions: i32::try_from(transitions).ok(),
            ..found
        }))
    }

    /// What gives the lease back, if it is this process's.
    pub(super) fn released(&self, found: &LeaseSpec, wall: MicroTime) -> Option<LeaseSpec> {
        (found.holder_identity.as_deref() == Some(self.holder.as_str())).then(|| LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(wall.clone()),
            renew_time: Some(wall),
            ..found.clone()
        })
    }
}

/// How often the lease has changed hands.
pub(super) fn transitions(spec: &LeaseSpec) -> u64 {
    spec.lease_transitions
        .and_then(|transitions| u64::try_from(transitions).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const TIMING: Timing = Timing {
        lease_duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry_period: Duration::from_secs(2),
    };

    const NONE: Counts = Counts {
        all: None,
        others: None,
    };

    /// Of runs of another process.
    fn counts(most: u64) -> Counts {
        Counts {
            all: Some(most),
            others: Some(most),
        }
    }

    fn wall(second: i64) -> MicroTime {
        MicroTime(Timestamp::from_second(second).unwrap())
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn lease(spec: LeaseSpec) -> Lease {
        Lease {
            spec: Some(spec),
            ..Lease::default()
        }
    }

    fn written(turn: Turn) -> LeaseSpec {
        match turn {
            Turn::Write(spec) => *spec,
            Turn::Held(_) => panic!("it is held"),
        }
    }

    fn of(holder: &str, transitions: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            lease_transitions: Some(transitions),
            renew_time: Some(wall(1)),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_that_does_not_exist_is_made() {
        let begin = Instant::now();
        let spec = written(Ballot::new("a".to_owned()).turn(None, NONE, &TIMING, begin, wall(5)));
        assert_eq!(spec.holder_identity.as_deref(), Some("a"));
        assert_eq!(
            (spec.lease_duration_seconds, spec.lease_transitions),
            (Some(15), Some(0))
        );
        assert_eq!(
            (spec.acquire_time, spec.renew_time),
            (Some(wall(5)), Some(wall(5)))
        );
        // Runs remember more terms than it.
        let spec = written(Ballot::new("a".to_owned()).turn(None, counts(4), &TIMING, begin, wall(5)));
        assert_eq!(spec.lease_transitions, Some(5));
        // So does whoever saw the one that was deleted.
        let mut ballot = Ballot::new("a".to_owned());
        ballot.turn(Some(&lease(of("b", 7))), counts(4), &TIMING, begin, wall(5));
        let spec = written(ballot.turn(None, counts(4), &TIMING, begin, wall(5)));
        assert_eq!(spec.lease_transitions, Some(8));
    }

    #[test]
    fn a_lease_made_anew_counts_on_from_what_its_predecessor_began_meanwhile() {
        let begin = Instant::now();
        let mut ballot = Ballot::new("a".to_owned());
        let mut found = written(ballot.turn(None, NONE, &TIMING, begin, wall(5)));
        assert_eq!(found.lease_transitions, Some(0));
        let mut renewed = |counts, after| {
            let turn = ballot.turn(
                Some(&lease(found.clone())),
                counts,
                &TIMING,
                begin + seconds(after),
                wall(9),
            );
            found = written(turn);
            found.lease_transitions
        };
        assert_eq!(renewed(NONE, 2), Some(0));
        assert_eq!(renewed(counts(0), 4), Some(1));
        // What the process has claimed is its own.
        let own = Counts {
            all: Some(1),
            others: None,
        };
        assert_eq!(renewed(own, 6), Some(1));
        // Much later nobody can be its predecessor: that one has a lease of its own.
        assert_eq!(renewed(counts(1), 130), Some(1));
    }

    #[test]
    fn a_lease_is_taken_once_nobody_has_renewed_it_for_its_duration_by_the_own_clock() {
        let begin = Instant::now();
        let mut ballot = Ballot::new("a".to_owned());
        // What the holder's clock says counts for nothing.
        let mut held = of("b", 3);
        let mut turn = |held: &LeaseSpec, after| {
            ballot.turn(
                Some(&lease(held.clone())),
                NONE,
                &TIMING,
                begin + seconds(after),
                wall(9),
            )
        };
        assert_eq!(turn(&held, 0), Turn::Held(begin + seconds(15)));
        assert_eq!(turn(&held, 14), Turn::Held(begin + seconds(15)));
        held.renew_time = Some(wall(2));
        assert_eq!(turn(&held, 14), Turn::Held(begin + seconds(29)));
        let spec = written(turn(&held, 29));
        assert_eq!(spec.holder_identity.as_deref(), Some("a"));
        assert_eq!(spec.lease_transitions, Some(4));
        assert_eq!(spec.acquire_time, Some(wall(9)));
    }

    #[test]
    fn the_holder_renews_without_a_new_term_and_a_released_lease_is_taken_at_once() {
        let begin = Instant::now();
        let mut ballot = Ballot::new("a".to_owned());
        let own = LeaseSpec {
            acquire_time: Some(wall(1)),
            ..of("a", 3)
        };
        let spec = written(ballot.turn(Some(&lease(own.clone())), counts(3), &TIMING, begin, wall(9)));
        assert_eq!(
            (spec.lease_transitions, spec.acquire_time),
            (Some(3), Some(wall(1)))
        );
        assert_eq!(spec.renew_time, Some(wall(9)));
        let released = ballot.released(&own, wall(10)).unwrap();
        assert_eq!(released.holder_identity.as_deref(), Some(""));
        let mut other = Ballot::new("b".to_owned());
        let spec = written(other.turn(Some(&lease(released)), NONE, &TIMING, begin, wall(11)));
        assert_eq!(spec.lease_transitions, Some(4));
        assert_eq!(other.released(&own, wall(12)), None);
    }

    #[test]
    fn times_that_let_two_processes_lead_are_refused() {
        let timing = |lease, renew, retry| Timing {
            lease_duration: seconds(lease),
            renew_deadline: seconds(renew),
            retry_period: seconds(retry),
        };
        assert!(TIMING.problems().is_empty());
        assert!(timing(10, 10, 2).problems()[0].contains("--leader-elect-lease-duration must be longer"));
        assert!(timing(15, 10, 9).problems()[0].contains("--leader-elect-renew-deadline must be longer"));
        assert_eq!(timing(1, 2, 3).problems().len(), 2);
    }
}
