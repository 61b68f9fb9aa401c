//! Objects of any kind on a real control plane.

mod apply;
mod clusternet;
mod create;
mod delete;
mod faults;
mod kinds;
mod look;
mod patch;
mod rights;
mod secrets;
mod somebody;

use std::time::Duration;

use anyhow::{bail, ensure};
use drplan_actions::{HttpCaller, HttpSettings, Identity, JobWatch, Performer};
use drplan_api::{ActionPath, canonical::PatchType, labels, status::ObjectRef};
use drplan_engine::{
    effect::{EffectIdentity, Failure, FailureKind},
    object::{
        Before, Deletion, Look, ObjectCommand, ObjectDeletion, ObjectOutcome, ObjectWrite, WriteHow,
        field_manager,
    },
};
use drplan_testkit::{TestNamespace, object_until};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};

use crate::attempt::{NEVER, from_now};
use somebody::{FINALIZER, Somebody};

/// One action of one execution, and one object that it is about: a ConfigMap `settings` in the test's namespace
/// unless another is named.
#[derive(Clone)]
struct Action {
    performer: Performer,
    as_whom: Identity,
    identity: EffectIdentity,
    target: ObjectRef,
    plan: String,
    timeout: Duration,
}

impl Action {
    /// The action `settings` of the plan `shop`.
    fn new(t: &TestNamespace) -> Self {
        Self::through(t, &t.client)
    }

    /// The same, performed through `client`.
    fn through(t: &TestNamespace, client: &Client) -> Self {
        let http = HttpCaller::new(HttpSettings::default());
        Self {
            performer: Performer::new(client.clone(), http, JobWatch::new(), NEVER),
            as_whom: Identity::Operator,
            identity: EffectIdentity {
                execution_uid: "6f1e".to_owned(),
                path: ActionPath::recorded("db", "mysql", 0, "settings"),
            },
            target: ObjectRef {
                api_version: Some("v1".to_owned()),
                kind: Some("ConfigMap".to_owned()),
                name: "settings".to_owned(),
                namespace: Some(t.name.clone()),
                uid: None,
            },
            plan: "shop".to_owned(),
            timeout: NEVER,
        }
    }

    /// About an object of this kind.
    fn kind(mut self, api_version: &str, kind: &str) -> Self {
        self.target.api_version = Some(api_version.to_owned());
        self.target.kind = Some(kind.to_owned());
        self
    }

    /// About an object of this name.
    fn name(mut self, name: &str) -> Self {
        self.target.name = name.to_owned();
        self
    }

    /// About an object in this namespace.
    fn namespace(mut self, namespace: &str) -> Self {
        self.target.namespace = Some(namespace.to_owned());
        self
    }

    /// Another action of the same execution.
    fn action(mut self, name: &str) -> Self {
        self.identity.path = ActionPath::recorded("db", "mysql", 0, name);
        self
    }

    /// The same action of another execution of the plan.
    fn execution(mut self, uid: &str) -> Self {
        self.identity.execution_uid = uid.to_owned();
        self
    }

    /// The same action of another plan.
    fn plan(mut self, plan: &str) -> Self {
        self.plan = plan.to_owned();
        self
    }

    /// As this ServiceAccount of the namespace.
    fn service_account(mut self, t: &TestNamespace, name: &str) -> Self {
        self.as_whom = Identity::ServiceAccount {
            namespace: t.name.clone(),
            name: name.to_owned(),
        };
        self
    }

    /// With so much time that a wait is begun and soon given up.
    fn hasty(mut self) -> Self {
        self.timeout = Duration::from_millis(500);
        self
    }

    fn manager(&self) -> String {
        field_manager("prod", &self.plan, &self.identity.path).0
    }

    async fn perform(&self, command: ObjectCommand) -> Result<ObjectOutcome, Failure> {
        let performed = self
            .performer
            .perform_object(&self.as_whom, &self.identity, &command);
        performed.await
    }

    async fn write(&self, how: WriteHow, before: Before) -> Result<ObjectOutcome, Failure> {
        let (field_manager, plan_managers) = field_manager("prod", &self.plan, &self.identity.path);
        let labels = [
            (labels::EXECUTION, "shop-001"),
            (labels::PLAN, "shop"),
            (labels::PLAN_NAMESPACE, "prod"),
        ];
        let annotations = [
            (labels::EXECUTION_UID, self.identity.execution_uid.as_str()),
            (labels::ACTION_PATH, self.identity.path.as_str()),
            (labels::ATTEMPT, "1"),
        ];
        let owned = |pairs: [(&str, &str); 3]| {
            let pairs = pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            pairs.collect()
        };
        let write = ObjectWrite {
            target: self.target.clone(),
            how,
            field_manager,
            plan_managers,
            before,
            labels: owned(labels),
            annotations: owned(annotations),
            deadline: from_now(self.timeout),
            sealed: None,
        };
        self.perform(ObjectCommand::Write(write)).await
    }

    async fn create(&self, object: Value) -> Result<ObjectOutcome, Failure> {
        self.write(WriteHow::Create(object), Before::Absent).await
    }

    async fn apply(&self, object: Value, before: Before) -> Result<ObjectOutcome, Failure> {
        self.write(WriteHow::Apply { object, force: false }, before).await
    }

    async fn force(&self, object: Value, before: Before) -> Result<ObjectOutcome, Failure> {
        self.write(WriteHow::Apply { object, force: true }, before).await
    }

    async fn patch(&self, patch: Value, kind: PatchType) -> Result<ObjectOutcome, Failure> {
        // Of a Patch nothing depends on what was there.
        self.write(WriteHow::Patch { patch, kind }, Before::Absent).await
    }

    async fn merge(&self, patch: Value) -> Result<ObjectOutcome, Failure> {
        self.patch(patch, PatchType::Merge).await
    }

    async fn look(&self, await_gone: bool, lists: &[&str]) -> Result<ObjectOutcome, Failure> {
        let look = Look {
            target: self.target.clone(),
            await_gone,
            lists: lists.iter().map(ToString::to_string).collect(),
            deadline: from_now(self.timeout),
        };
        self.perform(ObjectCommand::Look(look)).await
    }

    async fn delete(&self, uid: Option<&str>, await_gone: bool) -> Result<ObjectOutcome, Failure> {
        let target = ObjectRef {
            uid: uid.map(str::to_owned),
            ..self.target.clone()
        };
        let deletion = ObjectDeletion {
            target,
            await_gone,
            deadline: from_now(self.timeout),
        };
        self.perform(ObjectCommand::Delete(deletion)).await
    }
}

/// A ConfigMap with this one value.
fn with(key: &str, value: &str) -> Value {
    json!({"data": {key: value}})
}

/// Runs the test on a namespace that is being deleted and does not go, with an object in it that is being deleted
/// with it and is held; its UID is told.
async fn in_going_namespace(
    t: &TestNamespace,
    test: impl AsyncFnOnce(&str, &Somebody, String) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let name = format!("{}-going", t.name);
    let namespaces: Api<Namespace> = Api::all(t.client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    namespaces.create(&PostParams::default(), &namespace).await?;
    let somebody = Somebody::in_namespace(&t.client, &name);
    let uid = somebody.makes("k", "v").await?;
    somebody.holds(true).await?;
    namespaces.delete(&name, &DeleteParams::default()).await?;
    object_until(&somebody.maps, "settings", "is being deleted", |map| {
        map?.metadata.deletion_timestamp.as_ref().map(|_| ())
    })
    .await?;
    let result = test(&name, &somebody, uid).await;
    if somebody.maps.get_opt("settings").await?.is_some() {
        somebody.holds(false).await?;
    }
    result
}

/// UID, and whether the action made it.
fn written(result: Result<ObjectOutcome, Failure>) -> anyhow::Result<(String, bool)> {
    match result {
        Ok(ObjectOutcome::Written { uid, created }) => Ok((uid, created)),
        other => bail!("nothing was written: {other:?}"),
    }
}

fn deleted(result: Result<ObjectOutcome, Failure>) -> anyhow::Result<Deletion> {
    match result {
        Ok(ObjectOutcome::Deleted(deletion)) => Ok(deletion),
        other => bail!("nothing was deleted: {other:?}"),
    }
}

/// The message of the failure, which is of this kind.
fn failed(result: Result<ObjectOutcome, Failure>, kind: FailureKind) -> anyhow::Result<String> {
    match result {
        Err(failure) if failure.kind == kind => {
            ensure!(!failure.message.contains('\n'), "{}", failure.message);
            Ok(failure.message)
        }
        other => bail!("expected {kind:?}, got {other:?}"),
    }
}

#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}
