//! One attempt of one action, performed in a test's namespace.

use std::{collections::BTreeMap, time::Duration};

use drplan_actions::{HttpCaller, HttpSettings, JobWatch, Performer};
use drplan_api::{ActionName, ActionPath, StageName, Time, labels, status::ObjectRef};
use drplan_engine::effect::{
    ActionEffect, Command, EffectIdentity, Failure, FailureKind, JobCreation, JobWait, Outcome,
};
use drplan_testkit::{ControlPlane, Options, TestNamespace};
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::toys;

/// Longer than any test: a wait that ends earlier has ended by a notice.
pub(crate) const NEVER: Duration = Duration::from_secs(60 * 60);

/// One attempt of one action in a test's namespace.
pub(crate) struct Attempt<'a> {
    pub(crate) t: &'a TestNamespace,
    pub(crate) name: String,
    pub(crate) number: u32,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(t: &'a TestNamespace, name: &str) -> Self {
        Self {
            t,
            name: name.to_owned(),
            number: 1,
        }
    }

    pub(crate) fn job(&self, uid: Option<&str>) -> ObjectRef {
        ObjectRef {
            name: self.name.clone(),
            namespace: Some(self.t.name.clone()),
            uid: uid.map(str::to_owned),
            ..ObjectRef::default()
        }
    }

    pub(crate) fn path(&self) -> ActionPath {
        let stage = StageName::new("db").expect("a label");
        ActionPath::new(&stage, "mysql", 0, &ActionName::new(&self.name).expect("a label"))
    }

    pub(crate) fn effect(&self, command: Command) -> ActionEffect {
        let identity = EffectIdentity {
            execution_uid: "6f1e".to_owned(),
            path: self.path(),
        };
        ActionEffect {
            identity,
            attempt: self.number,
            command,
        }
    }

    /// Creates a Job whose Pods have these annotations.
    pub(crate) fn create(&self, pod_annotations: &Value) -> ActionEffect {
        let annotations = BTreeMap::from([
            (labels::EXECUTION_UID, "6f1e".to_owned()),
            (labels::ACTION_PATH, self.path().to_string()),
            (labels::ATTEMPT, self.number.to_string()),
        ]);
        let manifest = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": self.name,
                "namespace": self.t.name,
                "labels": {labels::EXECUTION: "shop-001"},
                "annotations": annotations,
            },
            "spec": {
                "backoffLimit": 0,
                "template": {
                    "metadata": {"annotations": pod_annotations},
                    "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]},
                },
            },
        });
        let deadline = from_now(NEVER);
        self.effect(Command::CreateJob(JobCreation {
            target: self.job(None),
            field_manager: "drplan:a:b".to_owned(),
            manifest,
            deadline,
        }))
    }

    pub(crate) fn await_end(&self, uid: &str, timeout: Duration) -> ActionEffect {
        self.effect(Command::AwaitJob(JobWait {
            job: self.job(Some(uid)),
            deadline: from_now(timeout),
        }))
    }
}

pub(crate) fn from_now(duration: Duration) -> Time {
    Time::new(Timestamp::now()).plus_millis(u64::try_from(duration.as_millis()).expect("a sane duration"))
}

/// A performer whose watch, over this namespace, goes through `watching`; it runs until the set is dropped.
pub(crate) fn performer(t: &TestNamespace, base: &Client, watching: &Client) -> (Performer, JoinSet<()>) {
    let (watch, namespaces) = (JobWatch::new(), vec![t.name.clone()]);
    let (running, watching) = (watch.clone(), watching.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { running.run(watching, &namespaces).await });
    let http = HttpCaller::new(HttpSettings::default());
    (Performer::new(base.clone(), http, watch, NEVER), tasks)
}

pub(crate) fn uid(outcome: &Outcome) -> anyhow::Result<String> {
    match outcome {
        Outcome::JobCreated { uid } => Ok(uid.clone()),
        Outcome::Answered { .. } | Outcome::JobSucceeded | Outcome::Object(_) | Outcome::Failed(_) => {
            anyhow::bail!("no Job was created: {outcome:?}")
        }
    }
}

pub(crate) fn failure(outcome: Outcome, kind: FailureKind) -> anyhow::Result<Failure> {
    match outcome {
        Outcome::Failed(failure) if failure.kind == kind => Ok(failure),
        Outcome::Failed(_)
        | Outcome::Answered { .. }
        | Outcome::JobCreated { .. }
        | Outcome::Object(_)
        | Outcome::JobSucceeded => {
            anyhow::bail!("expected {kind:?}, got {outcome:?}")
        }
    }
}

pub(crate) async fn in_namespace(
    name: &str,
    test: impl AsyncFnOnce(&TestNamespace) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let options = async || Ok(Options::default().with_crds([toys::CRDS.to_owned()]));
    let control_plane = ControlPlane::shared_with(options).await?;
    control_plane.with_namespace(name, test).await
}
