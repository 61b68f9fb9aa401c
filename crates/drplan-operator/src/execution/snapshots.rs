//! Snapshots as ControllerRevisions: their data cannot be changed, and they go with their execution.

use drplan_api::{labels, status::SnapshotRef};
use drplan_engine::{Snapshot, SnapshotError, snapshot::sha256_hex};
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::{Api, api::PostParams};
use serde_json::json;

use crate::{
    context::Context,
    record::Record,
    store::{StoreError, bounded},
};

/// Why a snapshot cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
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

/// Stores `snapshot` for `record`, or finds the one that was stored before. The stored one counts.
///
/// # Errors
/// [`StoreError`]; `Conflict` if the name is taken by something else.
pub async fn store(
    context: &Context,
    record: &Record,
    snapshot: &Snapshot,
) -> Result<(SnapshotRef, Snapshot), StoreError> {
    let (namespace, name) = (record.key().0, name_of(record));
    let text = snapshot.to_text();
    let api: Api<ControllerRevision> = Api::namespaced(context.client.clone(), &namespace);
    let object = revision(record, &name, &text)?;
    match bounded(api.create(&PostParams::default(), &object)).await {
        Ok(_) => Ok((
            SnapshotRef {
                name,
                sha256: sha256_hex(text.as_bytes()),
            },
            snapshot.clone(),
        )),
        // Made by an earlier try; what it holds is what the run uses, even if the plan was edited since.
        Err(StoreError::Conflict) => {
            let stored = bounded(api.get_opt(&name))
                .await?
                .and_then(|object| text_of(record, object));
            let text = stored.ok_or(StoreError::Conflict)?;
            let sha256 = sha256_hex(text.as_bytes());
            let snapshot = Snapshot::from_text(&text, &sha256).map_err(|error| StoreError::Refused {
                code: 0,
                message: crate::store::chain(&error),
            })?;
            Ok((SnapshotRef { name, sha256 }, snapshot))
        }
        Err(error) => Err(error),
    }
}

/// Loads the snapshot that the status of `record` names.
///
/// # Errors
/// [`StoreError`] if it cannot be read now; inside, [`Lost`] if it never can.
pub async fn load(
    context: &Context,
    record: &Record,
    reference: &SnapshotRef,
) -> Result<Result<Snapshot, Lost>, StoreError> {
    let api: Api<ControllerRevision> = Api::namespaced(context.client.clone(), &record.key().0);
    let name = reference.name.clone();
    let Some(text) = bounded(api.get_opt(&name))
        .await?
        .and_then(|object| text_of(record, object))
    else {
        return Ok(Err(Lost::Gone { name }));
    };
    Ok(Snapshot::from_text(&text, &reference.sha256).map_err(|source| Lost::Unusable { name, source }))
}

/// The snapshot's name: that of the execution, and what tells it from a later one of the same name.
fn name_of(record: &Record) -> String {
    format!("{}-{}", record.name(), &sha256_hex(record.uid().as_bytes())[..10])
}

fn revision(record: &Record, name: &str, text: &str) -> Result<ControllerRevision, StoreError> {
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": name,
            "namespace": record.key().0,
            "labels": {labels::EXECUTION: record.name()},
            "ownerReferences": [{
                "apiVersion": "dr.bkbcs.tencent.com/v1alpha1",
                "kind": "DRPlanExecution",
                "name": record.name(),
                "uid": record.uid(),
            }],
        },
        "revision": 1,
        // Text, so that the bytes that were hashed are the bytes that are read.
        "data": {"snapshot": text},
    });
    serde_json::from_value(object).map_err(|error| StoreError::Refused {
        code: 0,
        message: error.to_string(),
    })
}

fn text_of(record: &Record, object: ControllerRevision) -> Option<String> {
    let ours = object
        .metadata
        .owner_references
        .iter()
        .flatten()
        .any(|owner| owner.uid == record.uid());
    let text = object.data?.0.get("snapshot")?.as_str()?.to_owned();
    ours.then_some(text)
}
