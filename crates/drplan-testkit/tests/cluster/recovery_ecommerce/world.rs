//! What there is after an execution of the shop, and what was done for it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use drplan_testkit::{AuditEntry, Recorded, Seen, eventually};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::lives::Requests;
use super::rights;
use super::shop::{PLAN, Shop, action_path, actions};
use crate::fixtures::{executions, phases, plans, text};

/// An execution that has ended, and the objects that its run, or the one it undid, left.
pub(super) struct World {
    execution: Value,
    plan: Value,
    made: Vec<Value>,
}

impl World {
    /// Looks after the execution of this name has ended.
    pub(super) async fn see(shop: &Shop<'_>, name: &str) -> anyhow::Result<Self> {
        Ok(Self {
            execution: serde_json::to_value(executions(shop.t).get(name).await?)?,
            plan: serde_json::to_value(plans(shop.t).get(PLAN).await?)?,
            made: shop.made("run").await?,
        })
    }

    fn uid(&self) -> &str {
        text(&self.execution, "/metadata/uid")
    }

    /// Each call was sent as often as it may be, each object made once.
    pub(super) async fn has_run_once(&self, shop: &Shop<'_>, requests: &Requests) -> anyhow::Result<()> {
        let summary = &self.execution["status"]["summary"];
        for (counted, number) in [("Stages", 5), ("Workflows", 10), ("Actions", 22)] {
            ensure!(summary[format!("completed{counted}")] == number, "{summary}");
        }
        let (mut calls, mut objects) = (0, Vec::new());
        let manifests = shop.manifests()?;
        for (path, action) in actions(&manifests) {
            if action["type"] == "HTTP" {
                let key = format!("{}/{path}", self.uid());
                requests.check(
                    &path,
                    same_requests(shop, &key)?.len(),
                    path.starts_with("notify-"),
                )?;
                calls += 1;
            } else {
                objects.push(path);
            }
        }
        ensure!((calls, objects.len()) == (4, 18), "{calls} calls, {objects:?}");
        objects.sort();
        let paths: Vec<&str> = self.made.iter().map(action_path).collect();
        ensure!(paths == objects, "{paths:?}");
        for (path, asked) in asked_about(shop, "create", &self.made).await? {
            let made = asked.iter().filter(|entry| entry.code() == 201).count();
            // Of one that was made while its maker died the log says that time ran out.
            let is_once = made == 1 || made == 0 && !requests.is_calm();
            ensure!(is_once, "{path} was made {made} times: {asked:?}");
        }
        let asked = rights::asked(shop)?;
        ensure!(
            asked.iter().all(|entry| entry.verb != "delete"),
            "something was deleted: {asked:?}"
        );
        Ok(())
    }

    /// All that `run` did is undone, last first, under the same keys.
    pub(super) async fn has_undone(
        &self,
        shop: &Shop<'_>,
        run: &Self,
        requests: &Requests,
    ) -> anyhow::Result<()> {
        ensure!(self.made.is_empty(), "left over: {:?}", self.made);
        let manifests = shop.manifests()?;
        let deletions = asked_about(shop, "delete", &run.made).await?;
        let (mut undos, mut keys) = (Vec::new(), BTreeSet::new());
        for (path, action) in actions(&manifests) {
            let key = format!("{}/{path}", run.uid());
            let is_call = action["type"] == "HTTP";
            let times = if is_call && action["rollback"].is_null() {
                keys.insert(key);
                continue;
            } else if is_call {
                let undo = format!("{key}/undo");
                let sent = same_requests(shop, &undo)?;
                requests.check(&path, sent.len(), false)?;
                ensure!(sent[0].path == "/revert", "{path} is undone by {}", sent[0].path);
                keys.extend([key, undo]);
                sent.iter().map(|request| request.arrived).collect()
            } else {
                let asked = deletions.get(&path).context("every object is deleted")?;
                let deleted = asked.iter().filter(|entry| entry.code() == 200).count();
                // A Job goes after its pods: it is there a while after it was deleted.
                let is_once = deleted <= 1 || path.ends_with("/health-check");
                ensure!(is_once, "{path} was deleted {deleted} times: {asked:?}");
                let received = asked.iter().map(|entry| entry.request_received_timestamp);
                received.collect()
            };
            undos.push((path, times));
        }
        ensure!(undos.len() == 20, "{undos:?}");
        in_reverse(&undos)?;
        let phases = phases(&self.execution);
        let counts = ["Succeeded", "Skipped"].map(|phase| phases.matches(phase).count());
        ensure!(counts == [20, 2], "{phases}");
        let all = shop.site.all();
        let sent: BTreeSet<String> = all
            .iter()
            .map(|request| request.idempotency_key().unwrap_or_default().to_owned())
            .collect();
        ensure!(sent == keys, "the calls had the keys {sent:?}");
        let target = executions(shop.t).get("run").await?.data;
        ensure!(
            target["status"]["undone"]["wholly"] == true,
            "{}",
            target["status"]
        );
        Ok(())
    }

    /// All of this that does not depend on time, names of namespaces and UIDs, after what `run` made.
    pub(super) fn comparable(&self, shop: &Shop<'_>, run: &Self) -> anyhow::Result<Value> {
        let mut whole = json!({
            "phases": phases(&self.execution),
            "execution": self.execution,
            "made": self.made,
            "plan": {"spec": self.plan["spec"], "status": self.plan["status"]},
        });
        strip(&mut whole);
        let mut text = shop.as_written(&whole.to_string());
        for object in &run.made {
            // Named after the run's UID.
            if object["kind"] == "Job" {
                let name = object["metadata"]["name"].as_str().context("it has a name")?;
                text = text.replace(name, &format!("job of {}", action_path(object)));
            }
        }
        Ok(serde_json::from_str(&text)?)
    }
}

/// The requests under this key, which are all the same.
fn same_requests(shop: &Shop<'_>, key: &str) -> anyhow::Result<Vec<Recorded>> {
    let mut sent = shop.site.all();
    sent.retain(|request| request.idempotency_key() == Some(key));
    let first = sent
        .first()
        .with_context(|| format!("nothing came under {key}"))?;
    for again in &sent {
        let same = (
            &first.method,
            &first.path,
            &first.query,
            &first.headers,
            &first.body,
        );
        let this = (
            &again.method,
            &again.path,
            &again.query,
            &again.headers,
            &again.body,
        );
        ensure!(this == same, "{this:?} repeats {same:?}");
    }
    Ok(sent)
}

/// What was asked of the API server about each of these objects with this verb, by the paths of their actions. Waits
/// until each was asked about with another answer than a refusal.
async fn asked_about(
    shop: &Shop<'_>,
    verb: &str,
    objects: &[Value],
) -> anyhow::Result<BTreeMap<String, Vec<AuditEntry>>> {
    let path_of = |entry: &AuditEntry| {
        let about = entry.object_ref.as_ref()?;
        let object = objects.iter().find(|object| {
            let resource = format!("{}s", text(object, "/kind").to_lowercase());
            about.resource == resource && about.name == text(object, "/metadata/name")
        });
        object.map(action_path)
    };
    eventually(&format!("every {verb} to be in the audit log"), async || {
        let mut asked: BTreeMap<String, Vec<AuditEntry>> = BTreeMap::new();
        for entry in rights::asked(shop)? {
            if let Some(path) = path_of(&entry).filter(|_| entry.verb == verb) {
                asked.entry(path.to_owned()).or_default().push(entry);
            }
        }
        let is_refusal = |entry: &AuditEntry| (400..500).contains(&entry.code());
        let done = asked.values().filter(|entries| !entries.iter().all(is_refusal));
        let done = done.count();
        let is_all = done == objects.len();
        Ok(Seen::when(is_all.then_some(asked), || format!("{done} of them")))
    })
    .await
}

/// Whatever runs after something else is undone before it.
fn in_reverse(undos: &[(String, Vec<Timestamp>)]) -> anyhow::Result<()> {
    let parts = |path: &str| {
        let mut parts = path.split('/').map(str::to_owned);
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    };
    let mut compared = 0;
    for (number, (early, undone_last)) in undos.iter().enumerate() {
        for (late, undone_first) in &undos[number + 1..] {
            let ((stage, used), (late_stage, late_used)) = (parts(early), parts(late));
            // In a stage all run together.
            if stage == late_stage && used != late_used {
                continue;
            }
            ensure!(
                undone_first.iter().max() < undone_last.iter().min(),
                "{late} is undone at {undone_first:?}, {early} at {undone_last:?}"
            );
            compared += 1;
        }
    }
    // 111 pairs of different stages, 18 of the same workflow.
    ensure!(compared == 129, "{compared} pairs");
    Ok(())
}

/// Takes out what differs from run to run.
fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| !(DIFFERS.contains(&name.as_str()) || is_uid(value)));
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Fields that hold times, versions and what is made of UIDs, and one that says what a crash has left in doubt.
const DIFFERS: [&str; 15] = [
    "attemptTime",
    "completionTime",
    "creationTimestamp",
    "deadline",
    "duration",
    "effectPossible",
    "epoch",
    "lastExecutionTime",
    "lastProbeTime",
    "lastTransitionTime",
    "managedFields",
    "message",
    "resourceVersion",
    "snapshot",
    "startTime",
];

fn is_uid(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12]))
}
