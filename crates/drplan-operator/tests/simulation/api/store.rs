//! What the API server keeps, and who watches it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Kind, apply::Owners};

/// Kind, namespace, name.
pub(crate) type Key = (Kind, String, String);

/// An object in one version.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) value: Arc<Value>,
    pub(crate) bytes: Bytes,
}

/// What a write changed.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) key: Key,
    pub(crate) before: Option<Arc<Value>>,
    /// None: it is gone.
    pub(crate) after: Option<Arc<Value>>,
}

/// What a watch tells.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) line: Bytes,
}

struct Watch {
    filter: Filter,
    events: mpsc::UnboundedSender<Delivery>,
}

/// What a list or watch asks for.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    /// Label, and the value that it must have.
    pub(crate) label: Option<(String, Option<String>)>,
    pub(crate) name: Option<String>,
    pub(crate) slim: bool,
}

impl Filter {
    fn takes(&self, key: &Key, object: &Value) -> bool {
        let label = self.label.as_ref().is_none_or(|(label, wanted)| {
            let value = object["metadata"]["labels"][label].as_str();
            value.is_some() && wanted.as_deref().is_none_or(|wanted| value == Some(wanted))
        });
        key.0 == self.kind
            && (self.namespace.is_empty() || self.namespace == key.1)
            && self.name.as_ref().is_none_or(|name| *name == key.2)
            && label
    }
}

/// A version: of which object, as it is then (none: gone), and as it was last.
type Entry = (u64, Key, Option<Arc<Value>>, Arc<Value>);

#[derive(Default)]
pub(crate) struct Store {
    objects: BTreeMap<Key, Stored>,
    version: u64,
    uids: u64,
    log: Vec<Entry>,
    /// What was before is forgotten.
    compacted: u64,
    watches: Vec<Watch>,
    /// Who holds which fields of the objects that actions write.
    pub(super) owners: BTreeMap<Key, Owners>,
    /// What a manager applied last.
    pub(super) appliers: BTreeMap<(Key, String), BTreeSet<String>>,
}

impl Store {
    pub(crate) fn get(&self, key: &Key) -> Option<&Stored> {
        self.objects.get(key)
    }

    /// The objects of a kind.
    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        let from = (kind, String::new(), String::new());
        let of_kind = self
            .objects
            .range(from..)
            .take_while(move |(key, _)| key.0 == kind);
        of_kind.map(|(key, stored)| (key, &stored.value))
    }

    pub(crate) fn list(&self, filter: &Filter) -> impl Iterator<Item = &Stored> {
        let all = self.objects.iter();
        all.filter(|(key, stored)| filter.takes(key, &stored.value))
            .map(|(_, stored)| stored)
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// A UID that no other object has.
    pub(crate) fn new_uid(&mut self) -> String {
        self.uids += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.uids)
    }

    /// Writes `object`, which may be gone by that: when nothing holds it any more. None if nothing changes.
    pub(crate) fn write(&mut self, key: &Key, mut object: Value) -> Option<Change> {
        let before = self.objects.get(key).map(|stored| Arc::clone(&stored.value));
        if before.as_deref() == Some(&object) {
            return None;
        }
        self.version += 1;
        let meta = &mut object["metadata"];
        meta["resourceVersion"] = json!(self.version.to_string());
        let held = meta["finalizers"].as_array().is_some_and(|list| !list.is_empty());
        let goes = !meta["deletionTimestamp"].is_null() && !held;
        let object = Arc::new(object);
        if goes {
            self.objects.remove(key);
            self.owners.remove(key);
            self.appliers.retain(|(of, _), _| of != key);
        } else {
            let bytes = Bytes::from(serde_json::to_vec(&*object).unwrap());
            let stored = Stored {
                value: Arc::clone(&object),
                bytes,
            };
            self.objects.insert(key.clone(), stored);
        }
        let after = (!goes).then(|| Arc::clone(&object));
        self.tell(key, before.as_ref(), after.as_ref(), &object);
        self.log
            .push((self.version, key.clone(), after.clone(), Arc::clone(&object)));
        Some(Change {
            key: key.clone(),
            before,
            after,
        })
    }

    /// Removes an object at once.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Change> {
        let mut object = (*self.objects.get(key)?.value).clone();
        object["metadata"]["deletionTimestamp"] = json!("2026-01-30T10:00:00Z");
        object["metadata"]["finalizers"] = Value::Null;
        self.write(key, object)
    }

    fn tell(&mut self, key: &Key, before: Option<&Arc<Value>>, after: Option<&Arc<Value>>, object: &Value) {
        self.watches.retain(|watch| {
            if !watch.filter.takes(key, object) {
                return !watch.events.is_closed();
            }
            let kind = match (before, after) {
                (_, None) => "DELETED",
                (None, Some(_)) => "ADDED",
                (Some(_), Some(_)) => "MODIFIED",
            };
            let line = event(kind, object, watch.filter.slim);
            watch.events.send(Delivery { line }).is_ok()
        });
    }

    /// Watches from `version` on; none if what came after it is forgotten.
    pub(crate) fn watch(
        &mut self,
        filter: Filter,
        version: Option<u64>,
    ) -> Option<mpsc::UnboundedReceiver<Delivery>> {
        let (events, receiver) = mpsc::unbounded_channel();
        if let Some(version) = version {
            if version < self.compacted {
                return None;
            }
            let missed = self.log.iter().rev().take_while(|(at, ..)| *at > version);
            let missed: Vec<_> = missed
                .filter(|(_, key, _, object)| filter.takes(key, object))
                .collect();
            for (_, _, after, object) in missed.into_iter().rev() {
                let kind = if after.is_some() { "MODIFIED" } else { "DELETED" };
                let line = event(kind, object, filter.slim);
                events.send(Delivery { line }).unwrap();
            }
        } else {
            for stored in self.list(&filter) {
                let line = event("ADDED", &stored.value, filter.slim);
                events.send(Delivery { line }).unwrap();
            }
        }
        self.watches.push(Watch { filter, events });
        Some(receiver)
    }

    /// Forgets what was before; who watches from there must list again.
    pub(crate) fn compact(&mut self) {
        self.compacted = self.version;
        self.watches.clear();
    }
}

fn event(kind: &str, object: &Value, is_slim: bool) -> Bytes {
    let slimmed = is_slim.then(|| slim(object));
    let mut line = format!("{{\"type\":\"{kind}\",\"object\":").into_bytes();
    serde_json::to_writer(&mut line, slimmed.as_ref().unwrap_or(object)).unwrap();
    line.extend_from_slice(b"}\n");
    line.into()
}

/// The metadata of `object`.
pub(super) fn slim(object: &Value) -> Value {
    json!({
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": object["metadata"],
    })
}

/// The text at `pointer`, empty if there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    field(object, pointer).as_str().unwrap_or_default()
}

/// The value at `pointer`.
pub(crate) fn field<'a>(object: &'a Value, pointer: &str) -> &'a Value {
    // As `Value::pointer`, which makes a new text of each part.
    let mut parts = pointer.split('/').skip(1);
    let found = parts.try_fold(object, |object, part| match object {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        other => other.get(part),
    });
    found.unwrap_or(&Value::Null)
}
