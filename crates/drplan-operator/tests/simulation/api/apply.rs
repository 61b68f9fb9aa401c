//! Server-side apply, as far as leaves go: who holds which field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Answer, Key, Request, Store, field};

/// By JSON pointer, who holds it.
pub(super) type Owners = BTreeMap<String, BTreeSet<String>>;

impl Store {
    /// Notes that `manager` wrote the leaves in which `after` differs from `before`, or all of them if it made it.
    pub(super) fn own(&mut self, key: &Key, manager: &str, before: &Value, after: &Value) {
        let (was, is) = (leaves(before), leaves(after));
        let owners = self.owners.entry(key.clone()).or_default();
        for (pointer, value) in &is {
            if was.get(pointer) != Some(value) {
                owners.insert(pointer.clone(), BTreeSet::from([manager.to_owned()]));
            }
        }
        owners.retain(|pointer, _| is.contains_key(pointer));
    }

    /// Notes that somebody made `object`.
    pub(crate) fn hold(&mut self, key: &Key, manager: &str, object: &mut Value) {
        if key.0.is_object() {
            self.own(key, manager, &Value::Null, object);
            manage(object, manager, "Update");
        }
    }

    /// Answers an apply.
    pub(super) fn apply(&mut self, key: &Key, request: &Request, now: &str) -> Answer {
        let Ok(mut sent) = serde_json::from_slice::<Value>(&request.body) else {
            return Answer::refusal(400, "BadRequest");
        };
        let manager = request.query.get("fieldManager").cloned().unwrap_or_default();
        let force = request.query.get("force").is_some_and(|force| force == "true");
        let Some(stored) = self.get(key) else {
            if !field(&sent, "/metadata/resourceVersion").is_null() {
                return Answer::refusal(409, "Conflict");
            }
            return self.made(key, sent, &manager, "Apply", request, now);
        };
        let before = (*stored.value).clone();
        if let Some(meta) = sent["metadata"].as_object_mut()
            && let Some(version) = meta.remove("resourceVersion")
            && version != before["metadata"]["resourceVersion"]
        {
            return Answer::refusal(409, "Conflict");
        }
        let (known, wished) = (leaves(&before), leaves(&sent));
        let mut owners = self.owners.get(key).cloned().unwrap_or_default();
        let mut conflicts = Vec::new();
        for (pointer, value) in &wished {
            let held = owners.entry(pointer.clone()).or_default();
            let others = held.iter().find(|other| **other != manager);
            match (known.get(pointer) == Some(value), others) {
                (false, Some(other)) if !force => conflicts.push(json!({
                    "reason": "FieldManagerConflict",
                    "message": format!("conflict with \"{other}\" using v1"),
                    "field": pointer.replace('/', "."),
                })),
                (true, _) => {
                    held.insert(manager.clone());
                }
                (false, _) => *held = BTreeSet::from([manager.clone()]),
            }
        }
        if !conflicts.is_empty() {
            return Answer::refusal_with(409, "Conflict", json!({"causes": conflicts}));
        }
        let mut after = before.clone();
        for (pointer, value) in &wished {
            set(&mut after, pointer, value.clone());
        }
        // What this manager alone held and does not write any more goes.
        let applied = self
            .appliers
            .get(&(key.clone(), manager.clone()))
            .cloned()
            .unwrap_or_default();
        for pointer in applied.iter().filter(|pointer| !wished.contains_key(*pointer)) {
            let held = owners.entry(pointer.clone()).or_default();
            held.remove(&manager);
            if held.is_empty() {
                owners.remove(pointer);
                unset(&mut after, pointer);
            }
        }
        self.appliers
            .insert((key.clone(), manager.clone()), wished.keys().cloned().collect());
        self.owners.insert(key.clone(), owners);
        manage(&mut after, &manager, "Apply");
        let change = self.write(key, after);
        self.written(200, key, request.slim, change)
    }

    /// Makes an object.
    pub(super) fn made(
        &mut self,
        key: &Key,
        mut object: Value,
        manager: &str,
        how: &str,
        request: &Request,
        now: &str,
    ) -> Answer {
        let uid = self.new_uid();
        self.own(key, manager, &Value::Null, &object);
        if how == "Apply" {
            let wished = leaves(&object).into_keys().collect();
            self.appliers.insert((key.clone(), manager.to_owned()), wished);
        }
        let meta = &mut object["metadata"];
        meta["namespace"] = json!(key.1);
        meta["uid"] = json!(uid);
        meta["creationTimestamp"] = json!(now);
        meta["generation"] = json!(1);
        if !manager.is_empty() {
            manage(&mut object, manager, how);
        }
        let change = self.write(key, object);
        self.written(201, key, request.slim, change)
    }
}

/// Lists `manager` among those who wrote it.
pub(super) fn manage(object: &mut Value, manager: &str, how: &str) {
    let entry = json!({"manager": manager, "operation": how, "fieldsType": "FieldsV1", "fieldsV1": {}});
    let fields = &mut object["metadata"]["managedFields"];
    match fields.as_array_mut() {
        Some(entries) if entries.contains(&entry) => {}
        Some(entries) => entries.push(entry),
        None => *fields = json!([entry]),
    }
}

/// What an object holds, by JSON pointer, its identity aside.
fn leaves(object: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        match name.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                for part in ["labels", "annotations"] {
                    collect(&format!("/metadata/{part}"), &value[part], &mut found);
                }
            }
            _ => collect(&format!("/{name}"), value, &mut found),
        }
    }
    found
}

fn collect(pointer: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(&format!("{pointer}/{name}"), value, found);
            }
        }
        leaf => {
            found.insert(pointer.to_owned(), leaf.clone());
        }
    }
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut place = object;
    for part in pointer.split('/').skip(1) {
        let name = part.replace("~1", "/").replace("~0", "~");
        if !place.is_object() {
            *place = Map::new().into();
        }
        place = &mut place[name];
    }
    *place = value;
}

fn unset(object: &mut Value, pointer: &str) {
    let Some((parent, last)) = pointer.rsplit_once('/') else {
        return;
    };
    if let Some(Value::Object(fields)) = object.pointer_mut(parent) {
        fields.remove(&last.replace("~1", "/").replace("~0", "~"));
    }
}
