//! Jobs against an API server that answers as each test says, on a paused clock: waiting takes no time.

mod await_end;
mod create;
mod find_and_stop;
mod script;

use std::time::Duration;

use drplan_api::{ActionName, ActionPath, StageName, Time, status::ObjectRef};
use drplan_engine::effect::{
    ActionEffect, Command, EffectIdentity, Failure, FailureKind, JobCreation, JobWait, Outcome,
};
use kube::Client;
use serde_json::{Value, json};

use crate::{HttpCaller, HttpSettings, Identity, JobWatch, Performer, clock};

/// How often a Job is read again in these tests.
const RELIST: Duration = Duration::from_secs(30);

/// The Job of these tests, with its UID once that is recorded.
fn job_ref(uid: Option<&str>) -> ObjectRef {
    ObjectRef {
        name: "migrate".to_owned(),
        namespace: Some("shop".to_owned()),
        uid: uid.map(str::to_owned),
        ..ObjectRef::default()
    }
}

fn in_an_hour() -> Time {
    clock::now().plus_millis(60 * 60 * 1000)
}

fn an_hour_ago() -> Time {
    Time::from_millis(clock::now().as_millis() - 60 * 60 * 1000)
}

/// The Job as the API server has it: with UID `uid`, made by attempt `attempt`, with these conditions.
fn job(uid: &str, attempt: u32, conditions: Value) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "migrate",
            "namespace": "shop",
            "uid": uid,
            "resourceVersion": "7",
            "annotations": annotations(attempt),
        },
        "spec": {"template": {}},
        "status": {"conditions": conditions},
    })
}

fn annotations(attempt: u32) -> Value {
    json!({
        "dr.bkbcs.tencent.com/execution-uid": "6f1e",
        "dr.bkbcs.tencent.com/action-path": "db/mysql[0]/migrate",
        "dr.bkbcs.tencent.com/attempt": attempt.to_string(),
    })
}

fn running(uid: &str) -> Value {
    job(uid, 1, json!([]))
}

fn complete(uid: &str) -> Value {
    job(uid, 1, json!([{"type": "Complete", "status": "True"}]))
}

fn failed(uid: &str) -> Value {
    let message = "Job has reached the specified backoff limit";
    job(
        uid,
        1,
        json!([{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": message}]),
    )
}

/// The same object while it is being deleted.
fn deleting(mut object: Value) -> Value {
    object["metadata"]["deletionTimestamp"] = json!("2026-01-30T10:00:00Z");
    object["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
    object
}

fn creation(deadline: Time) -> Command {
    creation_of(1, deadline)
}

/// The creation that attempt `attempt` asks for under the name of the first one.
fn creation_of(attempt: u32, deadline: Time) -> Command {
    let manifest = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "migrate", "namespace": "shop", "annotations": annotations(attempt)},
        "spec": {"template": {"spec": {"fieldOfTheFuture": 1}}},
    });
    Command::CreateJob(JobCreation {
        target: job_ref(None),
        field_manager: "drplan:a:b".to_owned(),
        manifest,
        deadline,
    })
}

fn wait(deadline: Time) -> Command {
    Command::AwaitJob(JobWait {
        job: job_ref(Some("u1")),
        deadline,
    })
}

/// Performs `command` of the first attempt as the operator.
async fn perform(client: Client, watch: JobWatch, command: Command) -> Outcome {
    perform_as(1, client, watch, command).await
}

/// Performs `command` of attempt `attempt` as the operator.
async fn perform_as(attempt: u32, client: Client, watch: JobWatch, command: Command) -> Outcome {
    let http = HttpCaller::new(HttpSettings::default());
    let (stage, action) = (StageName::new("db").unwrap(), ActionName::new("migrate").unwrap());
    let path = ActionPath::new(&stage, "mysql", 0, &action);
    let identity = EffectIdentity {
        execution_uid: "6f1e".to_owned(),
        path,
    };
    let effect = ActionEffect {
        identity,
        attempt,
        command,
    };
    Performer::new(client, http, watch, RELIST)
        .perform(&Identity::Operator, &effect)
        .await
}

/// The failure in `outcome`, of this kind.
#[track_caller]
fn failure(outcome: Outcome, kind: FailureKind) -> Failure {
    let Outcome::Failed(failure) = outcome else {
        panic!("expected {kind:?}, got {outcome:?}")
    };
    assert_eq!(failure.kind, kind, "{}", failure.message);
    failure
}

#[track_caller]
fn assert_created(outcome: Outcome, uid: &str) {
    assert_eq!(outcome, Outcome::JobCreated { uid: uid.to_owned() });
}
