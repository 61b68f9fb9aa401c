//! An API server that holds older objects than were seen: its etcd was restored from a backup.
//!
//! A process that has seen the later ones cannot go on. It takes what it finds for old, its watches wait for versions that
//! do not come for hours, and a version it knows may be given to another state of the object. So it ends, and the next one
//! starts from what is there, as after a crash.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::time::Instant;

use crate::{
    context::Context,
    events::EventNote,
    index::{Key, key_of},
};

/// Re-lists in a row that must find it before the process ends: one API server of several that is behind answers only some
/// of them.
const LISTS_MIN: u32 = 3;
/// Re-lists in the time that the process must have lived, so that an API server that is behind for ever cannot make it end
/// in a loop.
const LIVED_LISTS: u32 = 20;
/// And no longer than this, however rarely it lists.
const LIVED_MAX: Duration = Duration::from_secs(10 * 60);
/// Executions that a line of the log names.
const NAMED_MAX: usize = 5;

/// The process ends since the API server has gone back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "what the API server holds is older than what was seen before, as after a restore from a backup; the next process \
     starts from it: see Backup and restore in docs/operations.md"
)]
pub struct SetBack;

/// What the re-lists found.
#[derive(Debug)]
pub struct Setback {
    /// When the process may end at the earliest.
    settled: Instant,
    /// The highest revision of a list so far, by kind.
    revisions: BTreeMap<&'static str, u128>,
    /// Re-lists in a row that found that the API server has gone back.
    in_a_row: u32,
    /// The executions that are told of.
    told: BTreeSet<Key>,
    /// Of the re-list under way, whether the API server has gone back.
    is_back: bool,
    /// Of the re-list under way, the executions that would go on from the past.
    waiting: BTreeMap<Key, ObjectMeta>,
}

/// What follows from a re-list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing.
    Sound,
    /// It has gone back; it is too early to end.
    Early,
    /// It has gone back, and these executions would go on from the past: a person decides first.
    Waits(Vec<Key>),
    /// The process ends.
    End,
}

impl Setback {
    /// Of a process that starts now and re-lists every `interval`.
    pub fn new(interval: Duration) -> Self {
        Self {
            settled: Instant::now() + (interval * LIVED_LISTS).min(LIVED_MAX),
            revisions: BTreeMap::new(),
            in_a_row: 0,
            told: BTreeSet::new(),
            is_back: false,
            waiting: BTreeMap::new(),
        }
    }

    /// Takes in the version of a list of the kind `plural`, read from etcd: it never falls by itself.
    pub fn listed(&mut self, plural: &'static str, version: Option<&str>) {
        let Some(revision) = version.and_then(|version| version.parse().ok()) else {
            return;
        };
        let highest = self.revisions.entry(plural).or_insert(revision);
        self.is_back |= revision < *highest;
        *highest = revision.max(*highest);
    }

    /// Takes in that an object read live, with this metadata, may be older than it was `known` before. `goes_on`: it is an
    /// execution that a new process would go on with.
    pub fn read(&mut self, meta: &ObjectMeta, known: &ObjectMeta, goes_on: bool) {
        let number = |meta: &ObjectMeta| meta.resource_version.as_ref()?.parse::<u128>().ok();
        if !matches!((number(meta), number(known)), (Some(found), Some(known)) if found < known) {
            return;
        }
        self.is_back = true;
        if goes_on {
            self.waiting.insert(key_of(meta), meta.clone());
        }
    }

    /// Ends a re-list. Whether the process is to end. One that was not `whole` proves nothing.
    pub fn ends(&mut self, context: &Context, whole: bool) -> bool {
        let waiting = self.waiting.clone();
        match self.verdict(whole) {
            Verdict::Sound => false,
            Verdict::Early => {
                tracing::error!(
                    "what the API server holds is older than what was seen before, as after a restore from a backup; if \
                     that lasts this process ends, and the next one starts from it"
                );
                false
            }
            Verdict::Waits(keys) => {
                let mut named: Vec<String> = keys
                    .iter()
                    .take(NAMED_MAX)
                    .map(|(namespace, name)| format!("{namespace}/{name}"))
                    .collect();
                if keys.len() > NAMED_MAX {
                    named.push(format!("and {} more", keys.len() - NAMED_MAX));
                }
                tracing::error!(
                    executions = named.join(", "),
                    "what the API server holds is older than what was seen before, as after a restore from a backup; these \
                     executions would repeat what they did since: cancel, resume or delete each, and this process ends so \
                     that the next one starts from what is there. See Backup and restore in docs/operations.md"
                );
                self.tell(context, &waiting);
                false
            }
            Verdict::End => true,
        }
    }

    fn verdict(&mut self, whole: bool) -> Verdict {
        let is_back = std::mem::take(&mut self.is_back);
        let waiting = std::mem::take(&mut self.waiting);
        if !is_back {
            if whole {
                self.in_a_row = 0;
            }
            return Verdict::Sound;
        }
        self.in_a_row += 1;
        if !waiting.is_empty() {
            return Verdict::Waits(waiting.into_keys().collect());
        }
        let is_certain = self.in_a_row >= LISTS_MIN && Instant::now() >= self.settled;
        match is_certain && whole {
            true => Verdict::End,
            false => Verdict::Early,
        }
    }

    /// Tells each of `waiting` once.
    fn tell(&mut self, context: &Context, waiting: &BTreeMap<Key, ObjectMeta>) {
        self.told.retain(|key| waiting.contains_key(key));
        if !context.leadership.leads() {
            return;
        }
        for (key, meta) in waiting {
            if self.told.insert(key.clone()) {
                let message = "what is stored of this execution is older than what was seen of it, as after a restore \
                               from a backup; to go on from there would repeat what it did since: resume it if it may, else \
                               cancel or delete it";
                let note = EventNote::execution(meta, true, "SetBack", message.to_owned());
                context.events.push(note);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn meta(name: &str, version: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("town".to_owned()),
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        }
    }

    /// One re-list in which an object is older, and an execution would go on or not.
    fn older(setback: &mut Setback, goes_on: bool) -> Verdict {
        setback.read(&meta("run", "40"), &meta("run", "100"), goes_on);
        setback.verdict(true)
    }

    #[tokio::test(start_paused = true)]
    async fn the_process_ends_once_it_has_lived_and_three_lists_in_a_row_were_older() {
        let mut setback = Setback::new(INTERVAL);
        for _ in 0..10 {
            assert_eq!(older(&mut setback, false), Verdict::Early);
        }
        tokio::time::advance(INTERVAL * LIVED_LISTS).await;
        assert_eq!(older(&mut setback, false), Verdict::End);

        let mut setback = Setback::new(INTERVAL);
        tokio::time::advance(INTERVAL * LIVED_LISTS).await;
        for _ in 0..10 {
            assert_eq!(older(&mut setback, false), Verdict::Early);
            assert_eq!(older(&mut setback, false), Verdict::Early);
            // The next is answered by one that is not behind.
            setback.read(&meta("run", "100"), &meta("run", "100"), false);
            assert_eq!(setback.verdict(true), Verdict::Sound);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_was_cut_short_proves_nothing() {
        let mut setback = Setback::new(Duration::from_secs(3600));
        tokio::time::advance(LIVED_MAX).await;
        older(&mut setback, false);
        older(&mut setback, false);
        assert_eq!(setback.verdict(false), Verdict::Sound);
        setback.read(&meta("run", "40"), &meta("run", "100"), false);
        assert_eq!(setback.verdict(false), Verdict::Early);
        assert_eq!(older(&mut setback, false), Verdict::End);
    }

    #[tokio::test(start_paused = true)]
    async fn executions_that_would_go_on_from_the_past_keep_the_process_from_ending() {
        let mut setback = Setback::new(INTERVAL);
        tokio::time::advance(LIVED_MAX).await;
        for _ in 0..10 {
            let run = ("town".to_owned(), "run".to_owned());
            assert_eq!(older(&mut setback, true), Verdict::Waits(vec![run]));
        }
        assert_eq!(older(&mut setback, false), Verdict::End);
    }

    #[tokio::test(start_paused = true)]
    async fn the_version_of_a_list_shows_it_where_no_object_does() {
        let mut setback = Setback::new(INTERVAL);
        tokio::time::advance(LIVED_MAX).await;
        for version in ["100", "100", "107", "", "opaque"] {
            setback.listed("drplans", Some(version));
            setback.listed("drworkflows", None);
            assert_eq!(setback.verdict(true), Verdict::Sound);
        }
        // Another kind may be kept elsewhere.
        setback.listed("drworkflows", Some("7"));
        assert_eq!(setback.verdict(true), Verdict::Sound);
        for verdict in [Verdict::Early, Verdict::Early, Verdict::End] {
            setback.listed("drplans", Some("60"));
            assert_eq!(setback.verdict(true), verdict);
        }
    }
}
