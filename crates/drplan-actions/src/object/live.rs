//! What an object tells about itself.

use std::collections::BTreeMap;

use drplan_api::labels;
use drplan_engine::{effect::EffectIdentity, object::Marks};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

/// Our labels on what an action made.
const LABELS: [&str; 3] = [labels::EXECUTION, labels::PLAN, labels::PLAN_NAMESPACE];
/// Our annotations on what an action made.
const ANNOTATIONS: [&str; 3] = [labels::EXECUTION_UID, labels::ACTION_PATH, labels::ATTEMPT];

/// An object as the API server has it.
pub(super) struct Live {
    metadata: ObjectMeta,
    /// All of it, if that was asked for.
    pub(super) object: Value,
}

/// Labels or annotations.
pub(super) type Pairs = Vec<(String, String)>;

impl Live {
    /// The object in this answer, if it is one.
    pub(super) fn of(object: Value) -> Option<Self> {
        let metadata: ObjectMeta = serde_json::from_value(object.get("metadata")?.clone()).ok()?;
        metadata.uid.as_ref()?;
        Some(Self { metadata, object })
    }

    pub(super) fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(super) fn resource_version(&self) -> &str {
        self.metadata.resource_version.as_deref().unwrap_or_default()
    }

    pub(super) fn is_being_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// What holds an object that is being deleted, for people.
    pub(super) fn held_by(&self) -> String {
        match self.metadata.finalizers.as_deref().unwrap_or_default() {
            [] => "no finalizer holds it".to_owned(),
            finalizers => format!("held by finalizers: {}", finalizers.join(", ")),
        }
    }

    /// Whether the action of `identity` made it, in any attempt.
    pub(super) fn made_by(&self, identity: &EffectIdentity) -> bool {
        self.marks().is_some_and(|marks| marks.made_by(identity))
    }

    /// Whether nobody but `field_manager` has written fields of it, its status aside.
    pub(super) fn managed_only_by(&self, field_manager: &str) -> bool {
        self.managers() == [field_manager]
    }

    /// Who made it, if an action did.
    pub(super) fn marks(&self) -> Option<Marks> {
        let annotations = self.metadata.annotations.as_ref()?;
        Some(Marks {
            execution_uid: annotations.get(labels::EXECUTION_UID)?.clone(),
            action_path: annotations.get(labels::ACTION_PATH)?.clone(),
            managers: self.managers(),
        })
    }

    /// Those of our labels and annotations that it carries.
    pub(super) fn our_labels_and_annotations(&self) -> (Pairs, Pairs) {
        let those = |all: &Option<BTreeMap<String, String>>, keys: [&str; 3]| {
            let all = all.iter().flatten();
            all.filter(|(key, _)| keys.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        (
            those(&self.metadata.labels, LABELS),
            those(&self.metadata.annotations, ANNOTATIONS),
        )
    }

    fn managers(&self) -> Vec<String> {
        let fields = self.metadata.managed_fields.iter().flatten();
        let mut managers: Vec<String> = fields
            .filter(|entry| entry.subresource.as_deref() != Some("status"))
            .filter_map(|entry| entry.manager.clone())
            .collect();
        managers.sort();
        managers.dedup();
        managers
    }
}
