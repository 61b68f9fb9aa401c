//! Somebody who edits labels without a pause, and that runs get on all the while.
//!
//! An operator sees of the edits what it would see if each was written when it is made: whenever it asks for an object,
//! those made since are written as one. So a write meets a newer version if an edit was made since the read before it.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    api::{Key, Kind, text},
    scenario::{Fault, Scenario},
    world::{World, has_finalizers, is_terminal},
};

/// How long an execution may wait for a write of the operator's while it is edited and nothing else is wrong. A look at
/// everything takes a tenth of a second, a failure that is tried again costs a second.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks whether all gets on. Watches learn of edits as often.
const LOOK: Duration = Duration::from_millis(100);

impl Scenario {
    /// How many edits of objects of `kind` were made by then.
    fn edits_made(&self, kind: Kind, millis: u64) -> u64 {
        let made = self.faults.iter().map(|fault| match *fault {
            Fault::Storm {
                at,
                millis: length,
                every,
                of_plan,
            } if kind == Kind::Execution || kind == Kind::Plan && of_plan => {
                millis.min(at + length).saturating_sub(at) / every
            }
            _ => 0,
        });
        made.sum()
    }

    /// Whether somebody's edits are all that may hinder a run for more than a moment.
    fn is_only_edited(&self) -> bool {
        let harmless = |fault: &Fault| match fault {
            Fault::Storm { .. } => true,
            Fault::Crash { back_after, .. } => *back_after == 0,
            _ => false,
        };
        self.operators == 1 && !self.elects && self.faults.iter().all(harmless)
    }
}

impl World {
    /// Writes the edits that were made of objects of `kind`.
    pub(crate) fn catch_up_with_edits(&self, kind: Kind) {
        let made = self.scenario.edits_made(kind, self.millis());
        if !self.edits_are_written(kind, made) {
            return;
        }
        let edited: Vec<Key> = self.read(|store| {
            let of_kind = store
                .of(kind)
                .filter(|(_, object)| kind != Kind::Execution || !is_over(object));
            of_kind.map(|(key, _)| key.clone()).collect()
        });
        for key in edited {
            self.edit("somebody", &key, |object| {
                object["metadata"]["labels"]["edited"] = json!(made.to_string());
            });
        }
    }
}

/// Sees to it that runs get on while somebody edits.
pub(crate) async fn rage(world: World, at: u64, length: u64) {
    sleep_until(world.at(at)).await;
    world.tell(|| "somebody begins to edit labels without a pause".to_owned());
    let mut waiting: BTreeMap<(String, &str), Instant> = BTreeMap::new();
    while world.millis() < at + length {
        world.catch_up_with_edits(Kind::Execution);
        world.catch_up_with_edits(Kind::Plan);
        let process = world.acting();
        let now: Vec<(String, &str)> = world.read(|store| {
            let executions = store.of(Kind::Execution);
            executions
                .filter_map(|(key, execution)| Some((key.2.clone(), awaited(execution, &process)?)))
                .collect()
        });
        waiting.retain(|known, _| now.contains(known));
        for wait in now {
            waiting.entry(wait).or_insert_with(Instant::now);
        }
        let mut late = waiting.iter().filter(|(_, since)| since.elapsed() > PATIENCE);
        if world.scenario.is_only_edited()
            && let Some(((name, what), _)) = late.next()
        {
            world.violate(format!("{name} waits {what} for as long as it is edited"));
            return;
        }
        sleep(LOOK).await;
    }
    world.tell(|| "somebody ceases to edit labels".to_owned());
}

/// Whether nothing is left to do for an execution.
fn is_over(execution: &Value) -> bool {
    is_terminal(execution) && !has_finalizers(execution)
}

/// Which write an execution waits for that depends on nothing but the operator, of which `process` lives.
fn awaited(execution: &Value, process: &str) -> Option<&'static str> {
    match text(execution, "/status/phase") {
        "" | "Pending" => Some("to begin or to be refused"),
        "Running" if text(execution, "/status/epoch/process") != process => Some("to be claimed"),
        _ if is_terminal(execution) && has_finalizers(execution) => Some("to be released"),
        _ => None,
    }
}
