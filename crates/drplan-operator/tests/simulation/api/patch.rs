//! Patches.

use serde_json::{Map, Value};

/// Merges `patch` into `object` (RFC 7386).
pub(super) fn merge(object: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Map::new().into();
    }
    let fields = object.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Applies the operations of `patch` (RFC 6902, as far as anybody here uses it); none where one does not fit.
pub(super) fn apply(object: &mut Value, patch: &Value) -> Option<()> {
    for operation in patch.as_array()? {
        let path = operation["path"].as_str()?;
        let (parent, last) = path.rsplit_once('/')?;
        let last = last.replace("~1", "/").replace("~0", "~");
        let parent = object.pointer_mut(parent)?;
        match (operation["op"].as_str()?, parent) {
            ("add" | "replace", Value::Object(fields)) => {
                fields.insert(last, operation["value"].clone());
            }
            ("remove", Value::Object(fields)) => {
                fields.remove(&last)?;
            }
            ("add", Value::Array(items)) if last == "-" => items.push(operation["value"].clone()),
            _ => return None,
        }
    }
    Some(())
}
