//! Who did it: stamps the authenticated requester on executions and on the commands of plans and executions, and labels
//! executions by plan and operation. Nothing else is written.
//!
//! A stamp comes and goes with the command it signs, so none can be left for a later command of somebody else. What a
//! command has led to is recorded in the status. [`policy`](super::policy) keeps stamps from being written otherwise.

use std::collections::BTreeMap;

use drplan_api::{DRPlan, DRPlanExecution, labels};
use drplan_engine::read_execution;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    core::admission::{AdmissionRequest, Operation},
};
use serde_json::{Value, json};

use crate::{
    raw::Raw,
    record::{annotation, execution_labels},
    store::names,
};

/// Commands with their stamps.
pub const EXECUTION_COMMANDS: [(&str, &str); 2] = [
    (labels::CANCEL, labels::CANCELLED_BY),
    (labels::RESUME, labels::RESUMED_BY),
];
/// Commands with their stamps.
pub const PLAN_COMMANDS: [(&str, &str); 1] = [(labels::TRIGGER, labels::TRIGGERED_BY_USER)];

/// A kind that is stamped.
pub trait Stamped: Resource + Sized + Send + Sync + 'static {
    /// The metadata that are to be written. None: an annotation is taken off.
    fn stamps(request: &AdmissionRequest<Raw<Self>>) -> Stamps;
}

/// Labels and annotations to write.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, Option<String>>,
}

impl Stamped for DRPlan {
    fn stamps(request: &AdmissionRequest<Raw<Self>>) -> Stamps {
        let mut stamps = Stamps::default();
        stamps.sign_commands(request, &PLAN_COMMANDS);
        stamps
    }
}

impl Stamped for DRPlanExecution {
    fn stamps(request: &AdmissionRequest<Raw<Self>>) -> Stamps {
        let mut stamps = Stamps::default();
        stamps.sign_commands(request, &EXECUTION_COMMANDS);
        let creator = match &request.old_object {
            None => Some(user(request)),
            // Tools that replace an object as a whole take off what they do not know.
            Some(old) => annotation(&old.metadata, labels::CREATED_BY).map(str::to_owned),
        };
        if let Some(creator) = creator.filter(|_| is_free_to_sign(request)) {
            stamps.annotations.insert(labels::CREATED_BY, Some(creator));
        }
        if let Some(new) = &request.object {
            let (namespace, _) = names(&new.metadata);
            let reading = read_execution(new.spec.clone(), namespace, None);
            if let Some(wanted) = reading.value.as_ref().filter(|_| reading.is_whole()) {
                stamps.labels = execution_labels(&wanted.plan, wanted.operation.name());
            }
        }
        stamps
    }
}

/// Whether the creator's stamp is ours to write: on a change only if it was taken off. Another one is refused.
fn is_free_to_sign(request: &AdmissionRequest<Raw<DRPlanExecution>>) -> bool {
    let new = request.object.as_ref();
    request.operation == Operation::Create
        || new.is_some_and(|new| annotation(&new.metadata, labels::CREATED_BY).is_none())
}

fn user<K: Resource>(request: &AdmissionRequest<Raw<K>>) -> String {
    request.user_info.username.clone().unwrap_or_default()
}

impl Stamps {
    /// A command that is given or changed is signed; of one that is withdrawn the stamp goes.
    fn sign_commands<K: Resource>(
        &mut self,
        request: &AdmissionRequest<Raw<K>>,
        commands: &[(&'static str, &'static str)],
    ) {
        let Some(new) = &request.object else { return };
        let old = request.old_object.as_ref();
        for (command, stamp) in commands {
            let before = old.and_then(|old| annotation(&old.metadata, command));
            match annotation(&new.metadata, command) {
                Some(after) if Some(after) != before => {
                    self.annotations.insert(stamp, Some(user(request)));
                }
                None if before.is_some() && annotation(&new.metadata, stamp).is_some() => {
                    self.annotations.insert(stamp, None);
                }
                Some(_) | None => {}
            }
        }
    }

    /// The JSON patch that makes `meta` so; empty if it is so already.
    pub fn patch(&self, meta: &ObjectMeta) -> Vec<Value> {
        let mut patch = Vec::new();
        let known = meta.labels.as_ref();
        let labels: Vec<(&str, Option<&str>)> = self
            .labels
            .iter()
            .map(|(name, value)| (*name, Some(value.as_str())))
            .collect();
        write(&mut patch, "labels", known, &labels);
        let annotations: Vec<(&str, Option<&str>)> = self
            .annotations
            .iter()
            .map(|(name, value)| (*name, value.as_deref()))
            .collect();
        write(&mut patch, "annotations", meta.annotations.as_ref(), &annotations);
        patch
    }
}

fn write(
    patch: &mut Vec<Value>,
    field: &str,
    known: Option<&BTreeMap<String, String>>,
    wanted: &[(&str, Option<&str>)],
) {
    let mut exists = known.is_some();
    for (name, value) in wanted {
        let found = known.and_then(|known| known.get(*name)).map(String::as_str);
        if found == *value {
            continue;
        }
        if !exists {
            patch.push(json!({"op": "add", "path": format!("/metadata/{field}"), "value": {}}));
            exists = true;
        }
        let path = format!("/metadata/{field}/{}", name.replace('~', "~0").replace('/', "~1"));
        patch.push(match value {
            Some(value) => json!({"op": "add", "path": path, "value": value}),
            None => json!({"op": "remove", "path": path}),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The annotations and labels that `user` leaves on an execution, as `name=value`, without their prefix.
    fn stamped(user: &str, old: Option<Value>, new: Value) -> Vec<String> {
        let object = |annotations: Value| {
            json!({"metadata": {"name": "run", "namespace": "shop", "annotations": annotations},
                   "spec": {"planRef": {"name": "shop"}, "operation": "Execute"}})
        };
        let kind = json!({"group": "g", "version": "v", "kind": "k"});
        let request: AdmissionRequest<Raw<DRPlanExecution>> = serde_json::from_value(json!({
            "uid": "1", "kind": kind, "resource": {"group": "g", "version": "v", "resource": "r"},
            "operation": if old.is_some() { "UPDATE" } else { "CREATE" },
            "userInfo": {"username": user},
            "object": object(new), "oldObject": old.map(object),
        }))
        .unwrap();
        let meta = &request.object.as_ref().unwrap().metadata;
        let patch = DRPlanExecution::stamps(&request).patch(meta);
        let said = |step: &Value| {
            let path = step["path"].as_str().unwrap().replace("~1", "/");
            let name = path.rsplit('/').next().unwrap().to_owned();
            match step["op"].as_str() {
                Some("remove") => format!("-{name}"),
                _ => format!("{name}={}", step["value"].as_str().unwrap_or("{}")),
            }
        };
        patch
            .iter()
            .map(said)
            .filter(|step| !step.starts_with(['p', 'd', 'o', 'l']))
            .collect()
    }

    fn ours(pairs: &[(&str, &str)]) -> Value {
        let named = pairs
            .iter()
            .map(|(name, value)| (format!("dr.bkbcs.tencent.com/{name}"), json!(value)));
        Value::Object(named.collect())
    }

    #[test]
    fn who_asks_is_stamped_and_what_the_object_says_of_it_is_not_believed() {
        let check = |user, old: Option<&[(&str, &str)]>, new: &[(&str, &str)], expected: &[&str]| {
            assert_eq!(
                stamped(user, old.map(ours), ours(new)),
                expected,
                "{old:?} {new:?}"
            );
        };
        check("alice", None, &[], &["created-by=alice"]);
        check("alice", None, &[("created-by", "bob")], &["created-by=alice"]);
        let alices = &[("created-by", "alice")];
        check("bob", Some(alices), alices, &[]);
        // Somebody else's name is for the policy to refuse; a stamp that was taken off comes back.
        check("bob", Some(alices), &[("created-by", "bob")], &[]);
        check("bob", Some(alices), &[], &["created-by=alice"]);
        check("bob", Some(&[]), &[], &[]);

        let cancelled = &[("cancel", "true"), ("cancelled-by", "bob")];
        check("bob", Some(&[]), &[("cancel", "true")], &["cancelled-by=bob"]);
        check(
            "bob",
            Some(&[]),
            &[("cancel", "true"), ("cancelled-by", "eve")],
            &["cancelled-by=bob"],
        );
        check("eve", Some(cancelled), cancelled, &[]);
        check(
            "eve",
            Some(cancelled),
            &[("cancel", "now"), ("cancelled-by", "bob")],
            &["cancelled-by=eve"],
        );
        check(
            "eve",
            Some(cancelled),
            &[("cancelled-by", "bob")],
            &["-cancelled-by"],
        );
        check("bob", Some(&[]), &[("resume", "true")], &["resumed-by=bob"]);
    }

    #[test]
    fn executions_are_labelled_by_what_they_ask_for_in_any_spelling() {
        let request: AdmissionRequest<Raw<DRPlanExecution>> = serde_json::from_value(json!({
            "uid": "1", "kind": {"group": "g", "version": "v", "kind": "k"},
            "resource": {"group": "g", "version": "v", "resource": "r"},
            "operation": "CREATE", "userInfo": {},
            "object": {"metadata": {"namespace": "shop"}, "spec": {"planRef": {"name": "shop"}, "operation": "Execute"}},
        }))
        .unwrap();
        let patch = DRPlanExecution::stamps(&request).patch(&ObjectMeta::default());
        let paths: Vec<&str> = patch.iter().filter_map(|step| step["path"].as_str()).collect();
        assert_eq!(
            paths,
            [
                "/metadata/labels",
                "/metadata/labels/dr.bkbcs.tencent.com~1operation",
                "/metadata/labels/dr.bkbcs.tencent.com~1plan",
                "/metadata/labels/drplan",
                "/metadata/annotations",
                "/metadata/annotations/dr.bkbcs.tencent.com~1created-by",
            ]
        );
    }
}
