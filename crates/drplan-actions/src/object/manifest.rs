//! Objects as they are sent.

use drplan_engine::effect::{Failure, FailureKind};
use serde_json::{Map, Value};

use super::{live::Pairs, place::Place};

/// `object` with the apiVersion, kind, name and namespace of its place.
pub(super) fn placed(object: &Value, place: &Place) -> Result<Value, Failure> {
    let mut object = mapping(object, place)?;
    object.insert("apiVersion".to_owned(), place.resource.api_version.clone().into());
    object.insert("kind".to_owned(), place.resource.kind.clone().into());
    let metadata = mapping_at(&mut object, "metadata");
    metadata.insert("name".to_owned(), place.name.clone().into());
    match &place.namespace {
        Some(namespace) => metadata.insert("namespace".to_owned(), namespace.clone().into()),
        None => metadata.remove("namespace"),
    };
    Ok(object.into())
}

/// Adds these labels and annotations to an object that is placed.
pub(super) fn mark(object: &mut Value, labels: &Pairs, annotations: &Pairs) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    for (key, pairs) in [("labels", labels), ("annotations", annotations)] {
        if !pairs.is_empty() {
            let texts = pairs
                .iter()
                .map(|(key, value)| (key.clone(), value.clone().into()));
            mapping_at(metadata, key).extend(texts);
        }
    }
}

/// Makes the write of an object that is placed depend on nothing having changed since this version.
pub(super) fn require_version(object: &mut Value, resource_version: &str) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".to_owned(), resource_version.into());
    }
}

/// `patch` without a namespace where the kind has none; else as it was written.
pub(super) fn patch(patch: &Value, place: &Place) -> Value {
    let mut patch = patch.clone();
    if place.namespace.is_none()
        && let Some(metadata) = patch.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.remove("namespace");
    }
    patch
}

fn mapping(object: &Value, place: &Place) -> Result<Map<String, Value>, Failure> {
    let not_a_mapping = || {
        Failure::new(
            FailureKind::Render,
            format!("the manifest of {place} is no mapping"),
        )
    };
    object.as_object().cloned().ok_or_else(not_a_mapping)
}

/// The mapping at `key`, made if there is none.
fn mapping_at<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let slot = parent.entry(key).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Map::new().into();
    }
    slot.as_object_mut().expect("it was made a mapping just now")
}
