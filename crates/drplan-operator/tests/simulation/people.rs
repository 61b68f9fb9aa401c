//! What people do.

use std::time::Duration;

use drplan_api::labels;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    api::{Change, Kind, field, text},
    dice::Dice,
    plan::execution,
    scenario::{Fault, Wish},
    storm,
    world::{World, execution_key, is_terminal, plan_key},
};

/// Between two looks of whoever is on call.
const LOOK: Duration = Duration::from_secs(4);
/// How often a Revert is tried.
const REVERTS_MAX: usize = 4;

/// Does what is wished.
pub(crate) fn come(world: &World) {
    for (number, wish) in world.scenario.wishes.iter().enumerate() {
        let (world, wish) = (world.clone(), wish.clone());
        tokio::spawn(async move {
            fulfil(&world, number, &wish).await;
            world.wish_over();
        });
    }
    for fault in &world.scenario.faults {
        if let Fault::Compact { at } = fault {
            let (world, at) = (world.clone(), world.at(*at));
            tokio::spawn(async move {
                sleep_until(at).await;
                world.tell(|| "the API server forgets old versions".to_owned());
                world.act("etcd", |store, _| {
                    store.compact();
                    Vec::new()
                });
            });
        }
    }
    for fault in &world.scenario.faults {
        if let Fault::Storm { at, millis, .. } = *fault {
            tokio::spawn(storm::rage(world.clone(), at, millis));
        }
    }
    tokio::spawn(be_on_call(world.clone()));
}

/// Deletes the lease some time after a process took it, where that is a fault.
pub(crate) fn see_lease(world: &World, by: &str, change: &Change) {
    let holder = |lease: Option<&Value>| {
        let holder = lease.map(|lease| text(lease, "/spec/holderIdentity").to_owned());
        holder.filter(|holder| !holder.is_empty())
    };
    let (before, after) = (holder(change.before.as_deref()), holder(change.after.as_deref()));
    if after.is_none() || before == after {
        return;
    }
    let taking = world.lease_taken();
    for fault in &world.scenario.faults {
        let Fault::Unseat { nth, after, slow } = *fault else {
            continue;
        };
        if nth != taking {
            continue;
        }
        let operators = 0..world.scenario.operators;
        let is_holder = |operator: &usize| by.starts_with(&format!("operator-{operator}-"));
        if let Some(holder) = operators.into_iter().find(is_holder) {
            world.slow(holder, Instant::now() + Duration::from_millis(slow));
        }
        let (world, key) = (world.clone(), change.key.clone());
        tokio::spawn(async move {
            sleep(Duration::from_millis(after)).await;
            world.act("somebody", |store, _| store.remove(&key).into_iter().collect());
        });
    }
}

async fn fulfil(world: &World, number: usize, wish: &Wish) {
    match wish {
        Wish::Run { at } => {
            sleep_until(world.at(*at)).await;
            world.create("somebody", execution(&format!("run-{number}"), None));
        }
        Wish::Cancel { at, now } => {
            sleep_until(world.at(*at)).await;
            for name in unfinished(world) {
                let value = if *now { "now" } else { "true" };
                annotate(world, &name, labels::CANCEL, value);
            }
        }
        Wish::Delete { at } => {
            sleep_until(world.at(*at)).await;
            let key = execution_key("run-0");
            world.act("somebody", |store, now| {
                let Some(stored) = store.get(&key) else {
                    return Vec::new();
                };
                let mut object = (*stored.value).clone();
                if object["metadata"]["deletionTimestamp"].is_null() {
                    object["metadata"]["deletionTimestamp"] = json!(now);
                }
                let mut changes: Vec<_> = store.write(&key, object).into_iter().collect();
                changes.extend(store.collect_garbage(&key));
                changes
            });
        }
        Wish::Label { at } => {
            sleep_until(world.at(*at)).await;
            world.edit("somebody", &execution_key("run-0"), |object| {
                object["metadata"]["labels"]["somebody"] = json!("was here");
            });
        }
        Wish::Edit { at } => {
            sleep_until(world.at(*at)).await;
            // The first run keeps to the plan as it was.
            while get(world, "run-0").is_some_and(|run| text(&run, "/status/phase").is_empty()) {
                sleep(Duration::from_secs(1)).await;
            }
            world.edit("somebody", &plan_key(), |plan| {
                plan["spec"]["failurePolicy"] = json!("Continue");
                plan["spec"]["timeout"] = json!("1s");
                let generation = plan["metadata"]["generation"].as_u64().unwrap_or(0);
                plan["metadata"]["generation"] = json!(generation + 1);
            });
        }
        Wish::Revert => revert(world).await,
    }
}

/// Reverts the first execution that ran, again until it is undone.
async fn revert(world: &World) {
    for number in 0..REVERTS_MAX {
        let target = loop {
            let Some(execution) = get(world, "run-0") else {
                return;
            };
            if is_terminal(&execution) && others_ended(world) {
                break execution;
            }
            sleep(Duration::from_secs(1)).await;
        };
        let has_run = !field(&target, "/status/startTime").is_null();
        let is_undone = field(&target, "/status/undone/wholly") == &json!(true);
        if !has_run || is_undone || !field(&target, "/metadata/deletionTimestamp").is_null() {
            return;
        }
        let name = format!("revert-{number}");
        world.create("somebody", execution(&name, Some("run-0")));
        while get(world, &name).is_some_and(|execution| !is_terminal(&execution)) {
            sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Resumes or cancels what is Unknown.
async fn be_on_call(world: World) {
    for number in 0.. {
        sleep(LOOK).await;
        let unknown = |execution: &Value| text(execution, "/status/phase") == "Unknown";
        let found: Vec<String> = world.read(|store| {
            let all = store
                .of(Kind::Execution)
                .filter(|(_, execution)| unknown(execution));
            all.map(|(key, _)| key.2.clone()).collect()
        });
        for name in found {
            let mut dice = Dice::of_text(world.scenario.seed, &name, number);
            match dice.below(10) {
                0..5 => {}
                5..8 => annotate(&world, &name, labels::RESUME, "true"),
                8 => annotate(&world, &name, labels::CANCEL, "true"),
                _ => annotate(&world, &name, labels::CANCEL, "now"),
            }
        }
    }
}

fn annotate(world: &World, name: &str, annotation: &str, value: &str) {
    world.tell(|| format!("somebody annotates {name}: {annotation}={value}"));
    world.edit("somebody", &execution_key(name), |object| {
        object["metadata"]["annotations"][annotation] = json!(value);
    });
}

fn get(world: &World, name: &str) -> Option<Value> {
    world.read(|store| {
        store
            .get(&execution_key(name))
            .map(|stored| (*stored.value).clone())
    })
}

fn unfinished(world: &World) -> Vec<String> {
    world.read(|store| {
        let all = store
            .of(Kind::Execution)
            .filter(|(_, execution)| !is_terminal(execution));
        all.map(|(key, _)| key.2.clone()).collect()
    })
}

fn others_ended(world: &World) -> bool {
    unfinished(world).is_empty()
}
