//! The objects that a run makes, and what was asked of the API server about them.

use drplan_api::labels;
use drplan_api::status::{ActionStatus, ObjectRef};
use jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, Client, ResourceExt};

use crate::audit::AuditEntry;

/// The kinds that the plan's actions make: group, version and kind.
const KINDS: [(&str, &str, &str); 3] = [
    ("batch", "v1", "Job"),
    ("apps.clusternet.io", "v1alpha1", "Localization"),
    ("apps.clusternet.io", "v1alpha1", "Subscription"),
];

/// An object that an action made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    /// The plural of its kind, its namespace and its name.
    pub(super) id: [String; 3],
    /// Its UID.
    pub(super) uid: String,
    /// The path of the action.
    pub(super) path: String,
}

/// Something that was asked of the API server about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// The verb.
    pub(super) verb: String,
    /// As [`Made::id`].
    pub(super) id: [String; 3],
    /// The HTTP status of the answer.
    pub(super) code: u16,
    /// When it arrived.
    pub(super) arrived: Timestamp,
}

/// What the actions of the execution of this name made and still is there.
pub(super) async fn made(client: &Client, execution: &str) -> anyhow::Result<Vec<Made>> {
    let label = ListParams::default().labels(&format!("{}={execution}", labels::EXECUTION));
    let mut made = Vec::new();
    for (group, version, kind) in KINDS {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let objects: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        for object in objects.list(&label).await? {
            made.push(Made {
                id: [
                    resource.plural.clone(),
                    object.namespace().unwrap_or_default(),
                    object.name_any(),
                ],
                uid: object.uid().unwrap_or_default(),
                path: object
                    .annotations()
                    .get(labels::ACTION_PATH)
                    .cloned()
                    .unwrap_or_default(),
            });
        }
    }
    Ok(made)
}

/// The entries about single objects.
pub(super) fn asked(entries: Vec<AuditEntry>) -> Vec<Asked> {
    let asked = entries.into_iter().filter_map(|entry| {
        let code = entry.code();
        let about = entry.object_ref.filter(|about| !about.name.is_empty())?;
        Some(Asked {
            verb: entry.verb,
            id: [about.resource, about.namespace, about.name],
            code,
            arrived: entry.request_received_timestamp,
        })
    });
    asked.collect()
}

/// The object that an action recorded as its own.
pub(super) fn object_of(action: &ActionStatus) -> Option<&ObjectRef> {
    let outputs = &action.outputs;
    outputs
        .job_ref
        .as_deref()
        .or(outputs.localization_ref.as_deref())
        .or(outputs.subscription_ref.as_deref())
}

/// The UID of [`object_of`].
pub(super) fn object_uid(action: &ActionStatus) -> Option<String> {
    object_of(action)?.uid.clone()
}

/// How many there are of each kind: `6 Jobs, 6 Localizations, 6 Subscriptions`.
pub(super) fn counted(made: &[Made]) -> String {
    let count = |(group, version, kind): (&str, &str, &str)| {
        let plural = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)).plural;
        let number = made.iter().filter(|object| object.id[0] == plural).count();
        (number > 0).then(|| format!("{number} {kind}s"))
    };
    let counts: Vec<String> = KINDS.into_iter().filter_map(count).collect();
    counts.join(", ")
}
