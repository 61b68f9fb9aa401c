//! All that a run uses, stored before its first effect and never changed.

use std::collections::BTreeMap;

use drplan_api::{
    GoDuration, Source, StageName,
    canonical::{PlanFailurePolicy, Workflow},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What a run was started with: stages, values, identity, each workflow once.
///
/// # Guarantees
/// The same plan, workflows and execution compile to the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The format; read before anything else.
    pub format_version: u32,
    /// The namespace of plan and execution.
    pub namespace: String,
    /// The plan's name.
    pub plan: String,
    /// The execution's name.
    pub execution: String,
    /// The execution's UID.
    pub execution_uid: String,
    /// The ServiceAccount of the plan's namespace that actions run as; none: the operator itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// What a failed stage means for those that have not started.
    pub failure_policy: PlanFailurePolicy,
    /// The bound of the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// In plan order.
    pub stages: Vec<SnapshotStage>,
    /// Each workflow that a stage uses, once.
    pub workflows: Vec<SnapshotWorkflow>,
}

/// One stage, its order resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotStage {
    /// Its name.
    pub name: StageName,
    /// The stages it waits for, as indices into `stages`: those it names, or the one before it.
    pub after: Vec<usize>,
    /// Whether its workflows run together.
    pub parallel: bool,
    /// In plan order.
    pub uses: Vec<SnapshotUse>,
}

/// One use of a workflow, with its values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotUse {
    /// Index into `workflows`.
    pub workflow: usize,
    /// The value of every declared parameter but those in `sources`, converted to its type; without value: the empty string.
    pub values: BTreeMap<String, Value>,
    /// Where the values of the other declared parameters are read from when they are sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, Source>,
}

/// One workflow as it was when the run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotWorkflow {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its canonical form.
    pub spec: Workflow,
}

/// Why stored bytes are no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The bytes are not those that were stored.
    #[error("the stored snapshot was altered: its sha256 is {found}, the execution recorded {recorded}")]
    Altered {
        /// What the bytes hash to.
        found: String,
        /// What the status says.
        recorded: String,
    },
    /// A format of another release.
    #[error("the stored snapshot has format {found}, this release reads up to {known}")]
    UnsupportedFormat {
        /// What is stored.
        found: u64,
        /// The newest that this release reads.
        known: u32,
    },
    /// It belongs to another run than the record beside it.
    #[error("the stored snapshot is not that of the execution to undo")]
    OfAnotherRun,
    /// Not the shape of its format.
    #[error("the stored snapshot cannot be read")]
    Unreadable {
        /// Why.
        source: serde_json::Error,
    },
}

impl Snapshot {
    /// The bytes to store. Maps are ordered, so they are the same each time.
    pub fn to_text(&self) -> String {
        // A snapshot holds only strings, numbers, lists and string-keyed maps.
        serde_json::to_string(self).expect("a snapshot has no map with keys other than strings")
    }

    /// Reads what [`Snapshot::to_text`] wrote, if `sha256` is its digest.
    ///
    /// # Errors
    /// [`SnapshotError`]: altered, of an unknown format, or unreadable.
    pub fn from_text(text: &str, sha256: &str) -> Result<Self, SnapshotError> {
        let value = checked_value(text, sha256)?;
        serde_json::from_value(value).map_err(|source| SnapshotError::Unreadable { source })
    }
}

/// The document `text`, if `sha256` is its digest and its format is known.
pub(crate) fn checked_value(text: &str, sha256: &str) -> Result<Value, SnapshotError> {
    let found = sha256_hex(text.as_bytes());
    if found != sha256 {
        return Err(SnapshotError::Altered {
            found,
            recorded: sha256.to_owned(),
        });
    }
    let value: Value = serde_json::from_str(text).map_err(|source| SnapshotError::Unreadable { source })?;
    let known = drplan_api::status::FORMAT_VERSION;
    match value.get("formatVersion").and_then(Value::as_u64) {
        Some(version) if (1..=u64::from(known)).contains(&version) => {}
        version => {
            return Err(SnapshotError::UnsupportedFormat {
                found: version.unwrap_or(0),
                known,
            });
        }
    }
    Ok(value)
}

/// The hexadecimal SHA-256 of `bytes`.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
