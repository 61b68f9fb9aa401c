//! The controller of Jobs.

use std::time::Duration;

use drplan_api::labels;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    api::{Change, Key, field, text},
    dice::Dice,
    scenario::Fates,
    world::World,
};

/// Sees to a Job that was written.
pub(crate) fn follow(world: &World, change: &Change) {
    match (&change.before, &change.after) {
        (None, Some(job)) => run(world, &change.key, job),
        (Some(before), Some(job))
            if field(before, "/metadata/deletionTimestamp").is_null()
                && !field(job, "/metadata/deletionTimestamp").is_null() =>
        {
            let (world, key) = (world.clone(), change.key.clone());
            let uid = text(job, "/metadata/uid").to_owned();
            let takes = dice(&world, job, 2).small(3000);
            tokio::spawn(async move {
                sleep(Duration::from_millis(takes)).await;
                world.act("the garbage collector", |store, _| {
                    let found = store
                        .get(&key)
                        .map(|stored| text(&stored.value, "/metadata/uid") == uid);
                    if found == Some(true) {
                        store.remove(&key).into_iter().collect()
                    } else {
                        Vec::new()
                    }
                });
            });
        }
        _ => {}
    }
}

fn run(world: &World, key: &Key, job: &Value) {
    let mut dice = dice(world, job, 1);
    let takes = dice.small(15_000);
    let condition = match dice.below(100) {
        0..75 => "Complete",
        75..95 => "Failed",
        _ if world.scenario.fates == Fates::Random => return,
        _ => "Complete",
    };
    let annotations = field(job, "/metadata/annotations");
    let is_first = annotations[labels::ATTEMPT] == "1";
    let is_undo = annotations[labels::ACTION_PATH]
        .as_str()
        .is_some_and(|path| path.ends_with("/undo"));
    let condition = match world.scenario.fates {
        Fates::Random => condition,
        Fates::BadOnce if is_first => "Failed",
        Fates::Bad if !is_undo => "Failed",
        Fates::Good | Fates::BadOnce | Fates::Bad => "Complete",
    };
    let (world, key) = (world.clone(), key.clone());
    let uid = text(job, "/metadata/uid").to_owned();
    tokio::spawn(async move {
        sleep(Duration::from_millis(takes)).await;
        world.edit("the Job controller", &key, |job| {
            let is_same = text(job, "/metadata/uid") == uid;
            if is_same && field(job, "/metadata/deletionTimestamp").is_null() {
                let condition =
                    json!({"type": condition, "status": "True", "reason": "Because", "message": "it ended"});
                job["status"] = json!({"conditions": [condition]});
            }
        });
    });
}

/// The Job's own dice.
fn dice(world: &World, job: &Value, which: u64) -> Dice {
    let annotations = field(job, "/metadata/annotations");
    let of = |name: &str| annotations[name].as_str().unwrap_or_default().to_owned();
    let path = format!("{}#{}", of(labels::ACTION_PATH), of(labels::ATTEMPT));
    Dice::of_text(world.scenario.seed, &path, which)
}
