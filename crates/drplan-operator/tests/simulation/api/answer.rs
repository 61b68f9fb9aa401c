//! What the API server answers.

use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    Kind, Request, Verb,
    apply::manage,
    patch::{apply, merge},
    store::{Change, Delivery, Filter, Key, Store, slim, text},
};

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Body,
    /// What was written.
    pub(crate) changes: Vec<Change>,
    /// The execution of which it shows that who asked acts on it.
    pub(crate) proves: Option<String>,
}

#[derive(Debug)]
pub(crate) enum Body {
    Text(Bytes),
    Events(mpsc::UnboundedReceiver<Delivery>),
}

impl Answer {
    fn of(code: u16, body: impl Into<Bytes>) -> Self {
        Self {
            code,
            body: Body::Text(body.into()),
            changes: Vec::new(),
            proves: None,
        }
    }

    /// A document that is no object.
    pub(crate) fn document(text: String) -> Self {
        Self::of(200, text)
    }

    /// A refusal.
    pub(crate) fn refusal(code: u16, reason: &str) -> Self {
        Self::refusal_with(code, reason, json!({}))
    }

    /// A refusal with details.
    pub(super) fn refusal_with(code: u16, reason: &str, details: Value) -> Self {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": reason, "reason": reason, "details": details, "code": code,
        });
        Self::of(code, status.to_string())
    }
}

impl Store {
    /// Answers `request` at `now`, a time as objects hold it.
    pub(crate) fn answer(&mut self, request: &Request, now: &str) -> Answer {
        let key = (request.kind, request.namespace.clone(), request.name.clone());
        match request.verb {
            Verb::Get => match self.get(&key) {
                Some(stored) if request.slim => Answer::of(200, slim(&stored.value).to_string()),
                Some(stored) => Answer::of(200, stored.bytes.clone()),
                None => Answer::refusal(404, "NotFound"),
            },
            Verb::List => self.answer_list(request),
            Verb::Watch => {
                let version = request
                    .query
                    .get("resourceVersion")
                    .and_then(|text| text.parse().ok());
                match self.watch(filter(request), version) {
                    Some(events) => Answer {
                        code: 200,
                        body: Body::Events(events),
                        changes: Vec::new(),
                        proves: None,
                    },
                    None => Answer::refusal(410, "Expired"),
                }
            }
            Verb::Create => self.create(request, now),
            Verb::Patch if request.content_type == "application/apply-patch+yaml" => {
                self.apply(&key, request, now)
            }
            Verb::Replace | Verb::Patch => self.change(&key, request),
            Verb::Delete => self.delete(&key, request, now),
        }
    }

    fn answer_list(&self, request: &Request) -> Answer {
        let filter = filter(request);
        let version = self.version();
        let (api_version, _, kind) = request.kind.names();
        let (api_version, kind) = match request.slim {
            true => ("meta.k8s.io/v1", "PartialObjectMetadata"),
            false => (api_version, kind),
        };
        let mut text = format!(
            "{{\"apiVersion\":\"{api_version}\",\"kind\":\"{kind}List\",\"metadata\":{{\"resourceVersion\":\"{version}\"}},\"items\":["
        )
        .into_bytes();
        for (index, stored) in self.list(&filter).enumerate() {
            if index > 0 {
                text.push(b',');
            }
            match request.slim {
                true => serde_json::to_writer(&mut text, &slim(&stored.value)).unwrap(),
                false => text.extend_from_slice(&stored.bytes),
            }
        }
        text.extend_from_slice(b"]}");
        Answer::of(200, text)
    }

    fn create(&mut self, request: &Request, now: &str) -> Answer {
        let Ok(mut object) = serde_json::from_slice::<Value>(&request.body) else {
            return Answer::refusal(400, "BadRequest");
        };
        if request.kind == Kind::Event {
            return Answer::of(201, slim(&object).to_string());
        }
        let name = text(&object, "/metadata/name").to_owned();
        let key = (request.kind, request.namespace.clone(), name);
        if self.get(&key).is_some() {
            return Answer::refusal(409, "AlreadyExists");
        }
        if request.kind.has_status()
            && let Some(fields) = object.as_object_mut()
        {
            fields.remove("status");
        }
        let manager = request.query.get("fieldManager").cloned().unwrap_or_default();
        self.made(&key, object, &manager, "Update", request, now)
    }

    fn change(&mut self, key: &Key, request: &Request) -> Answer {
        let Some(stored) = self.get(key) else {
            return Answer::refusal(404, "NotFound");
        };
        let before = std::sync::Arc::clone(&stored.value);
        let Ok(sent) = serde_json::from_slice::<Value>(&request.body) else {
            return Answer::refusal(400, "BadRequest");
        };
        let mut asked = match (request.verb, request.content_type.as_str()) {
            (Verb::Patch, "application/json-patch+json") => {
                let mut patched = (*before).clone();
                if apply(&mut patched, &sent).is_none() {
                    return Answer::refusal(422, "Invalid");
                }
                patched
            }
            (Verb::Patch, _) => {
                let mut patched = (*before).clone();
                merge(&mut patched, &sent);
                patched
            }
            _ => sent,
        };
        for field in ["uid", "resourceVersion"] {
            let wanted = &asked["metadata"][field];
            if !wanted.is_null() && *wanted != before["metadata"][field] {
                return Answer::refusal(409, "Conflict");
            }
        }
        let mut after = (*before).clone();
        if request.status {
            after["status"] = asked["status"].take();
        } else {
            let had_status = before.get("status").cloned();
            after = asked;
            match had_status.filter(|_| key.0.has_status()) {
                Some(status) => after["status"] = status,
                None if key.0.has_status() => {
                    after.as_object_mut().unwrap().remove("status");
                }
                None => {}
            }
            for field in [
                "uid",
                "creationTimestamp",
                "namespace",
                "name",
                "generation",
                "resourceVersion",
            ] {
                after["metadata"][field] = before["metadata"][field].clone();
            }
            let deleted = &before["metadata"]["deletionTimestamp"];
            if !deleted.is_null() {
                after["metadata"]["deletionTimestamp"] = deleted.clone();
            }
            if after["spec"] != before["spec"] {
                let generation = before["metadata"]["generation"].as_u64().unwrap_or(0);
                after["metadata"]["generation"] = json!(generation + 1);
            }
            if key.0 == Kind::Revision && after["data"] != before["data"] {
                return Answer::refusal(422, "Invalid");
            }
        }
        if key.0.is_object() {
            let manager = request.query.get("fieldManager").cloned().unwrap_or_default();
            self.own(key, &manager, &before, &after);
            manage(&mut after, &manager, "Update");
        }
        let change = self.write(key, after);
        self.written(200, key, request.slim, change)
    }

    fn delete(&mut self, key: &Key, request: &Request, now: &str) -> Answer {
        let Some(stored) = self.get(key) else {
            return Answer::refusal(404, "NotFound");
        };
        let mut object = (*stored.value).clone();
        let options = serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
        for field in ["uid", "resourceVersion"] {
            let wanted = &options["preconditions"][field];
            if !wanted.is_null() && *wanted != object["metadata"][field] {
                return Answer::refusal(409, "Conflict");
            }
        }
        if object["metadata"]["deletionTimestamp"].is_null() {
            object["metadata"]["deletionTimestamp"] = json!(now);
        }
        if options["propagationPolicy"] == "Foreground" {
            let finalizers = &mut object["metadata"]["finalizers"];
            match finalizers.as_array_mut() {
                Some(list) if list.iter().any(|held| held == "foregroundDeletion") => {}
                Some(list) => list.push(json!("foregroundDeletion")),
                None => *finalizers = json!(["foregroundDeletion"]),
            }
        }
        let change = self.write(key, object);
        let mut answer = self.written(200, key, request.slim, change);
        if self.get(key).is_none() {
            answer.changes.extend(self.collect_garbage(key));
        }
        answer
    }

    /// Removes what only gone objects owned.
    pub(crate) fn collect_garbage(&mut self, _gone: &Key) -> Vec<Change> {
        let living: Vec<String> = self
            .of(Kind::Execution)
            .map(|(_, object)| text(object, "/metadata/uid").to_owned())
            .collect();
        let is_orphan = |object: &Value| {
            let owners = object["metadata"]["ownerReferences"].as_array();
            owners.is_some_and(|owners| {
                !owners.is_empty()
                    && !owners
                        .iter()
                        .any(|owner| living.iter().any(|uid| owner["uid"] == *uid))
            })
        };
        let orphans: Vec<Key> = self
            .of(Kind::Revision)
            .filter(|(_, object)| is_orphan(object))
            .map(|(key, _)| key.clone())
            .collect();
        orphans.iter().filter_map(|key| self.remove(key)).collect()
    }

    pub(super) fn written(&self, code: u16, key: &Key, is_slim: bool, change: Option<Change>) -> Answer {
        let gone = change.as_ref().filter(|change| change.after.is_none());
        let mut answer = match (self.get(key), gone) {
            (Some(stored), _) if is_slim => Answer::of(code, slim(&stored.value).to_string()),
            (Some(stored), _) => Answer::of(code, stored.bytes.clone()),
            (None, Some(gone)) => {
                Answer::of(code, gone.before.as_deref().unwrap_or(&Value::Null).to_string())
            }
            (None, None) => Answer::refusal(404, "NotFound"),
        };
        answer.changes.extend(change);
        answer
    }
}

fn filter(request: &Request) -> Filter {
    let label = request
        .query
        .get("labelSelector")
        .map(|text| match text.split_once('=') {
            Some((label, value)) => (label.to_owned(), Some(value.to_owned())),
            None => (text.clone(), None),
        });
    let fields = request.query.get("fieldSelector");
    let name = fields.and_then(|text| text.strip_prefix("metadata.name="));
    Filter {
        kind: request.kind,
        namespace: request.namespace.clone(),
        label,
        name: name.map(str::to_owned),
        slim: request.slim,
    }
}
