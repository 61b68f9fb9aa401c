//! Objects of our kinds whose bodies may be of any shape: one that cannot be read never hides the others.

use std::{borrow::Cow, fmt, marker::PhantomData};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// An object of kind `K` with its spec and status unread.
#[derive(Deserialize)]
#[serde(bound = "")]
pub struct Raw<K, S: StatusPart = Value> {
    /// As the API server keeps it.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// As stored.
    #[serde(default)]
    pub spec: Value,
    /// As stored.
    #[serde(default, deserialize_with = "S::read")]
    pub status: S,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

/// How much of a status is kept.
pub trait StatusPart: Default + Clone + fmt::Debug + Send + 'static {
    /// Reads it from any shape.
    ///
    /// # Errors
    /// Only those of the text itself.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

impl StatusPart for Value {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer)
    }
}

impl<K, S: StatusPart> Raw<K, S> {
    /// Its metadata, spec and status. The metadata are without managed fields, which are long and of no use to who keeps
    /// an object.
    pub fn into_parts(self) -> (ObjectMeta, Value, S) {
        let Self {
            mut metadata,
            spec,
            status,
            ..
        } = self;
        metadata.managed_fields = None;
        (metadata, spec, status)
    }
}

impl<K, S: StatusPart> Clone for Raw<K, S> {
    fn clone(&self) -> Self {
        Self {
            metadata: self.metadata.clone(),
            spec: self.spec.clone(),
            status: self.status.clone(),
            kind: PhantomData,
        }
    }
}

impl<K, S: StatusPart> fmt::Debug for Raw<K, S> {
    /// Names the object; its body may hold what logs must not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw")
            .field("name", &self.metadata.name)
            .field("namespace", &self.metadata.namespace)
            .finish_non_exhaustive()
    }
}

impl<K: Resource, S: StatusPart> Resource for Raw<K, S> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Of an execution's status, what is kept in memory for each of thousands: its phase and who acts on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// As stored, as JSON if it is no text; none if there is none.
    pub phase: Option<String>,
    /// The operation as stored.
    pub operation: Option<String>,
    /// When it began, as stored.
    pub start_time: Option<String>,
    /// When it ended, as stored.
    pub completion_time: Option<String>,
    /// The process that acts on it, as stored.
    pub process: Option<String>,
    /// How often the lease had changed hands when that process got it.
    pub lease_transitions: Option<u64>,
    /// Whether a Revert has undone it wholly.
    pub is_undone: bool,
}

impl StatusPart for Glance {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GlanceVisitor)
    }
}

struct GlanceVisitor;

impl<'de> Visitor<'de> for GlanceVisitor {
    type Value = Glance;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Glance, A::Error> {
        let mut glance = Glance::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let slot = match key.as_ref() {
                "phase" => &mut glance.phase,
                "operationType" => &mut glance.operation,
                "startTime" => &mut glance.start_time,
                "completionTime" => &mut glance.completion_time,
                "epoch" => {
                    let epoch = map.next_value::<Value>()?;
                    glance.process = epoch.get("process").and_then(Value::as_str).map(str::to_owned);
                    glance.lease_transitions = epoch.get("leaseTransitions").and_then(Value::as_u64);
                    continue;
                }
                "undone" => {
                    let undone = map.next_value::<Value>()?;
                    glance.is_undone = undone.get("wholly").and_then(Value::as_bool) == Some(true);
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *slot = match map.next_value::<Value>()? {
                Value::Null => None,
                Value::String(text) => Some(text),
                // That something stands there counts: a phase that is none is not the same as no phase.
                other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    Some(other.to_string())
                }
            };
        }
        Ok(glance)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Glance, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Glance::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Glance, E> {
        Ok(Glance::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Glance, E> {
        Ok(Glance::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Glance, E> {
        Ok(Glance::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Glance, E> {
        Ok(Glance::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Glance, E> {
        Ok(Glance::default())
    }

    fn visit_unit<E>(self) -> Result<Glance, E> {
        Ok(Glance::default())
    }
}

#[cfg(test)]
mod tests {
    use drplan_api::DRPlanExecution;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_glance_is_had_of_any_status() {
        for (status, phase) in [
            (
                json!({"phase": "Running", "stageStatuses": [{"a": [1, 2]}]}),
                Some("Running"),
            ),
            (json!({"phase": 7}), Some("7")),
            (json!("broken"), None),
            (json!([1, {"phase": "Running"}]), None),
            (json!(null), None),
            (json!(3.5), None),
        ] {
            let object = json!({"metadata": {"name": "x"}, "spec": "broken", "status": status});
            let raw: Raw<DRPlanExecution, Glance> = serde_json::from_value(object.clone()).unwrap();
            assert_eq!(
                (raw.status.phase.as_deref(), raw.metadata.name.as_deref()),
                (phase, Some("x")),
                "{object}"
            );
            let text: Raw<DRPlanExecution, Glance> = serde_json::from_str(&object.to_string()).unwrap();
            assert_eq!(text.status, raw.status);
        }
    }
}
