//! Objects against an API server that answers as each test says, on a paused clock: waiting takes no time.

mod doubt;
mod script;
mod words;

use std::time::Duration;

use drplan_api::{ActionPath, canonical::PatchType, labels, status::ObjectRef};
use drplan_engine::{
    effect::{EffectIdentity, Failure, FailureKind},
    object::{Before, Deletion, Look, ObjectCommand, ObjectDeletion, ObjectOutcome, ObjectWrite, WriteHow},
};
use serde_json::{Value, json};

use crate::{HttpCaller, HttpSettings, Identity, JobWatch, Performer, clock};
use script::Script;

const MANAGER: &str = "drplan:1111111111:2222222222";
const PATH: &str = "/api/v1/namespaces/shop/configmaps";

fn identity() -> EffectIdentity {
    EffectIdentity {
        execution_uid: "6f1e".to_owned(),
        path: ActionPath::recorded("db", "mysql", 0, "settings"),
    }
}

fn target(kind: &str) -> ObjectRef {
    ObjectRef {
        api_version: Some("v1".to_owned()),
        kind: Some(kind.to_owned()),
        name: "a".to_owned(),
        namespace: Some("shop".to_owned()),
        uid: None,
    }
}

fn write(how: WriteHow, before: Before) -> ObjectCommand {
    ObjectCommand::Write(ObjectWrite {
        target: target("ConfigMap"),
        how,
        field_manager: MANAGER.to_owned(),
        plan_managers: "drplan:1111111111:".to_owned(),
        before,
        labels: vec![(labels::EXECUTION.to_owned(), "shop-001".to_owned())],
        annotations: vec![
            (labels::EXECUTION_UID.to_owned(), "6f1e".to_owned()),
            (labels::ACTION_PATH.to_owned(), "db/mysql[0]/settings".to_owned()),
            (labels::ATTEMPT.to_owned(), "1".to_owned()),
        ],
        deadline: clock::now().plus_millis(60_000),
        sealed: None,
    })
}

fn create() -> ObjectCommand {
    write(WriteHow::Create(json!({"data": {"k": "v"}})), Before::Absent)
}

fn apply() -> ObjectCommand {
    let object = json!({"data": {"k": "v"}});
    write(WriteHow::Apply { object, force: false }, Before::Absent)
}

fn patch(kind: PatchType) -> ObjectCommand {
    let patch = json!({"data": {"k": "v"}});
    write(WriteHow::Patch { patch, kind }, Before::Present("u1".to_owned()))
}

fn delete(uid: Option<&str>) -> ObjectCommand {
    ObjectCommand::Delete(ObjectDeletion {
        target: ObjectRef {
            uid: uid.map(str::to_owned),
            ..target("ConfigMap")
        },
        await_gone: false,
        deadline: clock::now().plus_millis(60_000),
    })
}

/// An object as the API server has it: with these annotations, its fields held by these managers.
fn object(uid: &str, annotations: Value, managers: &[&str]) -> Value {
    let fields: Vec<Value> = managers
        .iter()
        .map(|manager| json!({"manager": manager, "operation": "Apply"}))
        .collect();
    json!({"metadata": {
        "name": "a", "namespace": "shop", "uid": uid, "resourceVersion": "7",
        "annotations": annotations, "managedFields": fields,
    }})
}

fn ours(managers: &[&str]) -> Value {
    let annotations = json!({
        labels::EXECUTION_UID: "6f1e", labels::ACTION_PATH: "db/mysql[0]/settings", labels::ATTEMPT: "1",
    });
    object("u1", annotations, managers)
}

fn foreign(uid: &str) -> Value {
    object(uid, json!({}), &["kubectl"])
}

fn performer(script: &Script) -> Performer {
    let http = HttpCaller::new(HttpSettings::default());
    Performer::new(script.client(), http, JobWatch::new(), Duration::from_secs(30))
}

async fn perform(script: &Script, command: &ObjectCommand) -> Result<ObjectOutcome, Failure> {
    performer(script)
        .perform_object(&Identity::Operator, &identity(), command)
        .await
}

#[track_caller]
fn failed(result: Result<ObjectOutcome, Failure>, kind: FailureKind) -> Failure {
    let failure = result.expect_err("it fails");
    assert_eq!(failure.kind, kind, "{}", failure.message);
    failure
}

#[track_caller]
fn assert_written(result: Result<ObjectOutcome, Failure>, uid: &str, created: bool) {
    let uid = uid.to_owned();
    assert_eq!(result.unwrap(), ObjectOutcome::Written { uid, created });
}
