//! Snapshots, and texts for which a record has no room, as ControllerRevisions: their data cannot be changed, and they go
//! with their execution.

use drplan_api::{DRPlanExecutionStatus, labels, status::SnapshotRef};
use drplan_engine::{
    Kept, Reverted, Run, Snapshot, SnapshotError,
    kept::{kept_of_reverted, kept_outputs},
    snapshot::sha256_hex,
};
use k8s_openapi::{api::apps::v1::ControllerRevision, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    context::Context,
    record::Record,
    store::{StoreError, bounded},
};

/// Why a snapshot cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The record names none.
    #[error("SnapshotLost: the status names no snapshot")]
    Unnamed,
    /// The object is gone or not this execution's.
    #[error("SnapshotLost: ControllerRevision `{name}` is gone")]
    Gone {
        /// Its name.
        name: String,
    },
    /// The object is there and holds something else.
    #[error("SnapshotLost: ControllerRevision `{name}` cannot be used: {source}")]
    Unusable {
        /// Its name.
        name: String,
        /// Why.
        source: SnapshotError,
    },
}

/// Stores `text` as the snapshot of `record`, or finds it stored before. Returns what is stored. Its name follows from what
/// it holds: one that was stored before the plan was edited is another object, which nothing refers to.
///
/// # Errors
/// [`StoreError`]; `Conflict` if the name is taken by something else.
pub async fn store(
    context: &Context,
    record: &Record,
    text: &str,
) -> Result<(SnapshotRef, String), StoreError> {
    let text = inert(text);
    let sha256 = sha256_hex(text.as_bytes());
    let (namespace, name) = (record.key().0, name_of(record, &sha256));
    let api: Api<ControllerRevision> = Api::namespaced(context.client.clone(), &namespace);
    let object = revision(record, &name, "snapshot", &text)?;
    match bounded(api.create(&PostParams::default(), &object)).await {
        Ok(_) => {}
        Err(StoreError::Conflict) => {
            let stored = bounded(api.get_opt(&name)).await?;
            let stored = stored.and_then(|object| text_of(record, object, "snapshot"));
            if stored.as_ref() != Some(&text) {
                return Err(StoreError::Conflict);
            }
        }
        Err(error) => return Err(error),
    }
    Ok((SnapshotRef { name, sha256 }, text))
}

/// Loads the run of `record` from the snapshot that its `status` names; that of a Revert also from the one of the
/// execution it undoes.
///
/// # Errors
/// [`StoreError`] if it cannot be read now; inside, [`Lost`] if it never can.
pub async fn load_run(
    context: &Context,
    record: &Record,
    status: &DRPlanExecutionStatus,
) -> Result<Result<Run, Lost>, StoreError> {
    let Some(reference) = &status.snapshot else {
        return Ok(Err(Lost::Unnamed));
    };
    if status.reverts.is_none() {
        return Ok(load(context, record, reference).await?.map(Run::new));
    }
    let facts = match read(context, record, reference).await? {
        Ok(text) => Reverted::from_text(&text, &reference.sha256),
        Err(lost) => return Ok(Err(lost)),
    };
    let facts = match facts {
        Ok(facts) => facts,
        Err(source) => return Ok(Err(unusable(&reference.name, source))),
    };
    let of_target = facts.snapshot.clone();
    Ok(load(context, record, &of_target).await?.and_then(|snapshot| {
        Run::revert(snapshot, facts).map_err(|source| unusable(&of_target.name, source))
    }))
}

/// Loads the snapshot `reference`, of which `record` is an owner.
///
/// # Errors
/// [`StoreError`] if it cannot be read now; inside, [`Lost`] if it never can.
pub async fn load(
    context: &Context,
    record: &Record,
    reference: &SnapshotRef,
) -> Result<Result<Snapshot, Lost>, StoreError> {
    let text = read(context, record, reference).await?;
    Ok(text.and_then(|text| {
        Snapshot::from_text(&text, &reference.sha256).map_err(|source| unusable(&reference.name, source))
    }))
}

/// Why the snapshot `name` cannot be used.
pub fn unusable(name: &str, source: SnapshotError) -> Lost {
    Lost::Unusable {
        name: name.to_owned(),
        source,
    }
}

async fn read(
    context: &Context,
    record: &Record,
    reference: &SnapshotRef,
) -> Result<Result<String, Lost>, StoreError> {
    let api: Api<ControllerRevision> = Api::namespaced(context.client.clone(), &record.key().0);
    let name = reference.name.clone();
    let stored = bounded(api.get_opt(&name)).await?;
    let text = stored.and_then(|object| text_of(record, object, "snapshot"));
    Ok(text.ok_or(Lost::Gone { name }))
}

/// Makes `other` an owner of the object `name` of `record`, so that it goes when both are gone.
///
/// # Errors
/// [`StoreError`] if that cannot be done now; inside, [`Lost`] if it never can.
pub async fn share(
    context: &Context,
    record: &Record,
    name: &str,
    other: &Record,
) -> Result<Result<(), Lost>, StoreError> {
    let api: Api<ControllerRevision> = Api::namespaced(context.client.clone(), &record.key().0);
    let found = bounded(api.get_opt(name)).await?;
    let Some(object) = found.filter(|object| is_owned_by(record, object)) else {
        return Ok(Err(Lost::Gone {
            name: name.to_owned(),
        }));
    };
    if is_owned_by(other, &object) {
        return Ok(Ok(()));
    }
    let mut owners = object.metadata.owner_references.unwrap_or_default();
    owners.push(owner(other));
    let patch = json!({"metadata": {
        "uid": object.metadata.uid,
        "resourceVersion": object.metadata.resource_version,
        "ownerReferences": owners,
    }});
    bounded(api.patch(name, &PatchParams::default(), &Patch::Merge(patch))).await?;
    Ok(Ok(()))
}

/// The snapshot's name: that of the execution, and what tells it from those of a later one of the same name and from others
/// of its own.
fn name_of(record: &Record, sha256: &str) -> String {
    let told = sha256_hex(format!("{} {sha256}", record.uid()).as_bytes());
    format!("{}-{}", record.name(), &told[..10])
}

/// Stores `text` under `name`, which follows from it: one that is there holds the same.
///
/// # Errors
/// [`StoreError`].
pub async fn keep(context: &Context, record: &Record, name: &str, text: &str) -> Result<(), StoreError> {
    let api: Api<ControllerRevision> = Api::namespaced(context.client.clone(), &record.key().0);
    let object = revision(record, name, "text", &inert(&Value::from(text).to_string()))?;
    match bounded(api.create(&PostParams::default(), &object)).await {
        Ok(_) | Err(StoreError::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The texts of these names that `record` owns. One that is gone is left out: only a template that reads it misses it.
///
/// # Errors
/// [`StoreError`] if they cannot be read now.
pub async fn load_kept(context: &Context, record: &Record, names: &[&str]) -> Result<Kept, StoreError> {
    let api: Api<ControllerRevision> = Api::namespaced(context.client.clone(), &record.key().0);
    let mut kept = Kept::new();
    for name in names {
        let stored = bounded(api.get_opt(name)).await?;
        let stored = stored.and_then(|object| text_of(record, object, "text"));
        if let Some(Ok(text)) = stored.map(|stored| serde_json::from_str::<String>(&stored)) {
            kept.insert((*name).to_owned(), text.into());
        }
    }
    Ok(kept)
}

/// The texts that the templates of `run` may read and its record does not hold.
///
/// # Errors
/// [`StoreError`] if they cannot be read now.
pub async fn load_outputs(
    context: &Context,
    record: &Record,
    status: &DRPlanExecutionStatus,
    run: Option<&Run>,
) -> Result<Kept, StoreError> {
    let mut names = kept_outputs(status);
    let reverted = run.and_then(|run| run.reverted.as_ref());
    names.extend(reverted.into_iter().flat_map(kept_of_reverted));
    load_kept(context, record, &names).await
}

/// `json` without the characters that the API server writes in another way when an object is patched, be it by us or by
/// the garbage collector: it would find the data changed then, and refuse. The document stays the same.
fn inert(json: &str) -> String {
    let mut inert = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            // In JSON these stand inside strings alone.
            '&' | '<' | '>' | '\u{2028}' | '\u{2029}' => {
                inert.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            other => inert.push(other),
        }
    }
    inert
}

fn revision(record: &Record, name: &str, holds: &str, text: &str) -> Result<ControllerRevision, StoreError> {
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": name,
            "namespace": record.key().0,
            "labels": {labels::EXECUTION: record.name()},
            "ownerReferences": [owner(record)],
        },
        "revision": 1,
        // Text, so that the bytes that were hashed are the bytes that are read.
        "data": {holds: text},
    });
    serde_json::from_value(object).map_err(|error| StoreError::Refused {
        code: 0,
        message: error.to_string(),
    })
}

fn owner(record: &Record) -> OwnerReference {
    OwnerReference {
        api_version: "dr.bkbcs.tencent.com/v1alpha1".to_owned(),
        kind: "DRPlanExecution".to_owned(),
        name: record.name().to_owned(),
        uid: record.uid().to_owned(),
        ..OwnerReference::default()
    }
}

fn is_owned_by(record: &Record, object: &ControllerRevision) -> bool {
    let owners = object.metadata.owner_references.iter().flatten();
    owners.into_iter().any(|owner| owner.uid == record.uid())
}

fn text_of(record: &Record, object: ControllerRevision, holds: &str) -> Option<String> {
    let ours = is_owned_by(record, &object);
    let text = object.data?.0.get(holds)?.as_str()?.to_owned();
    ours.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inert_json_is_the_same_document_without_what_go_escapes() {
        let written = json!({"a & b": "<c>\u{2028}\u{2029}\u{8}\u{7f}ü\"\\u0026"});
        let inert = inert(&written.to_string());
        assert!(
            !inert.contains(['&', '<', '>', '\u{2028}', '\u{2029}']),
            "{inert}"
        );
        assert_eq!(serde_json::from_str::<Value>(&inert).unwrap(), written);
    }
}
