//! Stored statuses: what cannot be what a run left there is Unknown, and what has ended is not done again.

use std::collections::BTreeSet;

use drplan_api::{DRPlanExecution, DRPlanExecutionStatus, Time, status::ExecutionPhase};
use drplan_engine::{Observed, Reverted, Run, Snapshot, action_status, advance, snapshot::sha256_hex};
use drplan_operator::{
    raw::Raw,
    record::{Progress, Record, Recorded},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{corpus, damage, rounds};

/// Steps that a run is carried on by: its first reads, looks and intents are among them.
const STEPS: usize = 6;
/// What only the status of a run that has begun has.
const BEGUN: [&str; 3] = ["startTime", "epoch", "snapshot"];

/// An object as the operator reads it.
pub(crate) fn raw<K>(object: &Value) -> Raw<K>
where
    Raw<K>: DeserializeOwned,
{
    serde_json::from_value(object.clone()).unwrap()
}

/// A stored execution and what it was started with.
struct Stored {
    execution: &'static Value,
    snapshot: Snapshot,
}

fn stored() -> Vec<Stored> {
    let revisions = corpus::of_kind("ControllerRevision");
    let found: Vec<Stored> = corpus::of_kind("DRPlanExecution")
        .into_iter()
        .filter_map(|execution| {
            let name = execution["status"]["snapshot"]["name"].as_str()?;
            let revision = revisions
                .iter()
                .find(|revision| revision["metadata"]["name"] == name)
                .unwrap();
            let text = revision["data"]["snapshot"].as_str().unwrap();
            let snapshot = Snapshot::from_text(text, &sha256_hex(text.as_bytes())).unwrap();
            Some(Stored { execution, snapshot })
        })
        .collect();
    assert!(found.len() >= 2, "the stored executions are missing");
    found
}

#[test]
fn a_damaged_status_is_unknown_or_what_it_says() {
    let stored = stored();
    let others: Vec<&Value> = stored.iter().map(|stored| stored.execution).collect();
    let (mut went_on, mut unreadable, mut unfit) = (0_u64, 0_u64, 0_u64);
    rounds(|rng| {
        let of = rng.choice(&stored).unwrap();
        let mut execution = of.execution.clone();
        damage::value(&mut execution["status"], &others, rng);
        match Record::of(raw::<DRPlanExecution>(&execution)).status {
            Recorded::NotStarted(_) => {
                let status = &execution["status"];
                let left: Vec<_> = BEGUN
                    .into_iter()
                    .filter(|field| !status[*field].is_null())
                    .collect();
                assert!(
                    left.is_empty(),
                    "would begin again, though its status has {left:?}"
                );
            }
            Recorded::Started(status) => {
                let run = Run::new(of.snapshot.clone());
                unfit += u64::from(!run.fits(&status));
                went_on += u64::from(carry_on(&run, *status));
            }
            Recorded::Unreadable { progress, problem } => {
                unreadable += 1;
                assert!(!problem.to_string().is_empty());
                let phase = execution["status"]["phase"].as_str();
                if matches!(phase, Some("Running")) {
                    assert_eq!(progress, Progress::Started);
                }
            }
            Recorded::UnsupportedFormat(_) => {}
        }
    });
    assert!(
        went_on > 0 && unreadable > 0 && unfit > 0,
        "{went_on} {unreadable} {unfit}"
    );
}

#[test]
fn a_damaged_status_is_reverted_as_it_says_or_not_at_all() {
    let stored = stored();
    let others: Vec<&Value> = stored.iter().map(|stored| stored.execution).collect();
    let mut reverted = 0_u64;
    rounds(|rng| {
        let of = rng.choice(&stored).unwrap();
        let mut execution = of.execution.clone();
        execution["status"]["phase"] = Value::from("Failed");
        damage::value(&mut execution["status"], &others, rng);
        let Recorded::Started(status) = Record::of(raw::<DRPlanExecution>(&execution)).status else {
            return;
        };
        let Some(facts) = Reverted::new("run", &of.snapshot.execution_uid, &status) else {
            return;
        };
        if let Ok(run) = Run::revert(of.snapshot.clone(), facts) {
            reverted += u64::from(carry_on(&run, run.initial_status()));
        }
    });
    assert!(reverted > 0, "no Revert began");
}

/// Carries the run on from `status`, as an operator does that has just claimed it. Whether it took all steps.
fn carry_on(run: &Run, mut status: DRPlanExecutionStatus) -> bool {
    let seen = Observed {
        execution: run.snapshot.execution.clone(),
        execution_uid: run.snapshot.execution_uid.clone(),
        http_places: usize::MAX,
        ..Observed::default()
    };
    let mut sent = BTreeSet::new();
    for step in 0..STEPS {
        if status.phase.is_terminal() {
            return true;
        }
        let now = Time::from_millis(1_900_000_000_000 + 1_000 * i64::try_from(step).unwrap());
        // A record that contradicts itself is given up as Unknown by whoever carries it on.
        let Ok(decided) = advance(Some(run), &status, &seen, now) else {
            return false;
        };
        let was_unknown = status.phase == ExecutionPhase::Unknown;
        for (at, effect) in &decided.effects {
            let before = action_status(&status, *at).map(|action| action.phase);
            assert!(
                before.is_some_and(|phase| !phase.is_ended()),
                "{at:?} is done again: it was {before:?}"
            );
            assert!(!was_unknown, "{at:?} is sent while nobody has looked");
            assert!(run.fits(&status), "{at:?} is sent on a record of another run");
            sent.insert((*at, effect.attempt));
        }
        status = decided.status;
    }
    true
}
