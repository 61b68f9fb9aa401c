//! Jobs on a real control plane. One binary, so that its tests share one.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use drplan_actions::{HttpCaller, HttpSettings, Identity, JobWatch, Performer};
use drplan_api::{ActionName, ActionPath, StageName, Time, labels, status::ObjectRef};
use drplan_engine::effect::{
    ActionEffect, Command, EffectIdentity, Failure, FailureKind, JobCreation, JobWait, Outcome,
};
use drplan_testkit::{
    ControlPlane, Direction, Proxy, ProxyMode, Seen, TestNamespace, eventually, object_until,
};
use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::Job,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Longer than any test: a wait that ends earlier has ended by a notice.
const NEVER: Duration = Duration::from_secs(60 * 60);

/// One attempt of one action in a test's namespace.
struct Attempt<'a> {
    t: &'a TestNamespace,
    name: String,
    number: u32,
}

impl<'a> Attempt<'a> {
    fn new(t: &'a TestNamespace, name: &str) -> Self {
        Self {
            t,
            name: name.to_owned(),
            number: 1,
        }
    }

    fn job(&self, uid: Option<&str>) -> ObjectRef {
        ObjectRef {
            name: self.name.clone(),
            namespace: Some(self.t.name.clone()),
            uid: uid.map(str::to_owned),
            ..ObjectRef::default()
        }
    }

    fn path(&self) -> ActionPath {
        let stage = StageName::new("db").expect("a label");
        ActionPath::new(&stage, "mysql", 0, &ActionName::new(&self.name).expect("a label"))
    }

    fn effect(&self, command: Command) -> ActionEffect {
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
    fn create(&self, pod_annotations: &Value) -> ActionEffect {
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
            manifest,
            deadline,
        }))
    }

    fn await_end(&self, uid: &str, timeout: Duration) -> ActionEffect {
        self.effect(Command::AwaitJob(JobWait {
            job: self.job(Some(uid)),
            deadline: from_now(timeout),
        }))
    }
}

fn from_now(duration: Duration) -> Time {
    Time::new(Timestamp::now()).plus_millis(u64::try_from(duration.as_millis()).expect("a sane duration"))
}

/// A performer whose watch, over this namespace, goes through `watching`; it runs until the set is dropped.
fn performer(t: &TestNamespace, base: &Client, watching: &Client) -> (Performer, JoinSet<()>) {
    let (watch, namespaces) = (JobWatch::new(), vec![t.name.clone()]);
    let (running, watching) = (watch.clone(), watching.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { running.run(watching, &namespaces).await });
    let http = HttpCaller::new(HttpSettings::default());
    (Performer::new(base.clone(), http, watch, NEVER), tasks)
}

/// A client through `proxy`, with all rights, that sends nothing twice by itself.
async fn client_through(t: &TestNamespace, proxy: &Proxy) -> anyhow::Result<Client> {
    let path = proxy.kubeconfig_for(&t.control_plane, "operator", Some("system:masters"))?;
    let kubeconfig = Kubeconfig::read_from(path)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

fn uid(outcome: &Outcome) -> anyhow::Result<String> {
    match outcome {
        Outcome::JobCreated { uid } => Ok(uid.clone()),
        Outcome::Answered { .. } | Outcome::JobSucceeded | Outcome::Failed(_) => {
            anyhow::bail!("no Job was created: {outcome:?}")
        }
    }
}

fn failure(outcome: Outcome, kind: FailureKind) -> anyhow::Result<Failure> {
    match outcome {
        Outcome::Failed(failure) if failure.kind == kind => Ok(failure),
        Outcome::Failed(_)
        | Outcome::Answered { .. }
        | Outcome::JobCreated { .. }
        | Outcome::JobSucceeded => {
            anyhow::bail!("expected {kind:?}, got {outcome:?}")
        }
    }
}

async fn in_namespace(
    name: &str,
    test: impl AsyncFnOnce(&TestNamespace) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    ControlPlane::shared().await?.with_namespace(name, test).await
}

#[tokio::test]
async fn a_job_is_created_awaited_and_given_a_time_to_live() -> anyhow::Result<()> {
    in_namespace("acts-complete", async |t| {
        let (performer, _watch) = performer(t, &t.client, &t.client);
        let attempt = Attempt::new(t, "migrate");
        let as_operator = &Identity::Operator;
        let created = performer.perform(as_operator, &attempt.create(&json!({}))).await;
        let uid = uid(&created)?;
        let again = performer.perform(as_operator, &attempt.create(&json!({}))).await;
        assert_eq!(again, created, "the same attempt adopts its Job");
        let found = performer
            .perform(as_operator, &attempt.effect(Command::FindJob(attempt.job(None))))
            .await;
        assert_eq!(found, created);
        let ended = performer
            .perform(as_operator, &attempt.await_end(&uid, NEVER))
            .await;
        assert_eq!(ended, Outcome::JobSucceeded);
        let late = performer
            .perform(as_operator, &attempt.await_end(&uid, Duration::ZERO))
            .await;
        assert_eq!(late, Outcome::JobSucceeded, "however late it is looked at");
        let other = ObjectRef {
            uid: Some("00000000-0000-0000-0000-000000000000".to_owned()),
            ..attempt.job(None)
        };
        let refused = performer.set_ttl(as_operator, &other, 600).await;
        let refused = refused.expect_err("another Job has that name").to_string();
        assert!(refused.contains("metadata.uid"), "{refused}");
        performer
            .set_ttl(as_operator, &attempt.job(Some(&uid)), 600)
            .await?;
        let job = t.api::<Job>().get("migrate").await?;
        assert_eq!(
            job.spec.context("it has a spec")?.ttl_seconds_after_finished,
            Some(600)
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_failed_job_tells_its_exit_code_and_log_to_its_service_account() -> anyhow::Result<()> {
    in_namespace("acts-fail", async |t| {
        let (performer, _watch) = performer(t, &t.client, &t.client);
        let attempt = Attempt::new(t, "migrate");
        let identity = Identity::ServiceAccount {
            namespace: t.name.clone(),
            name: "dr".to_owned(),
        };
        let user = format!("system:serviceaccount:{}:dr", t.name);
        let create = attempt.create(&json!({"testkit.drplan/fail": "7"}));

        let refused = failure(
            performer.perform(&identity, &create).await,
            FailureKind::Forbidden,
        )?;
        let expect = format!("User \"{user}\" cannot create resource \"jobs\"");
        assert!(refused.message.contains(&expect), "{}", refused.message);

        let role = json!({"metadata": {"name": "dr"}, "rules": [
            {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "delete", "patch"]},
            {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
        ]});
        let role: Role = serde_json::from_value(role)?;
        t.api::<Role>().create(&PostParams::default(), &role).await?;
        let binding = json!({
            "metadata": {"name": "dr"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "dr"},
            "subjects": [{"kind": "ServiceAccount", "name": "dr", "namespace": t.name}],
        });
        let binding: RoleBinding = serde_json::from_value(binding)?;
        t.api::<RoleBinding>()
            .create(&PostParams::default(), &binding)
            .await?;

        // The authorizer learns of the binding by a watch of its own.
        let created = eventually("the right to create Jobs", async || {
            Ok(match performer.perform(&identity, &create).await {
                Outcome::JobCreated { uid } => Seen::Done(uid),
                other @ (Outcome::Answered { .. } | Outcome::JobSucceeded | Outcome::Failed(_)) => {
                    Seen::NotYet(format!("{other:?}"))
                }
            })
        })
        .await?;
        let ended = performer
            .perform(&identity, &attempt.await_end(&created, NEVER))
            .await;
        let failed = failure(ended, FailureKind::JobFailed)?;
        assert_eq!(failed.exit_code, Some(7));
        let start = format!(
            "Job {}/migrate failed: BackoffLimitExceeded: container main exited with 7",
            t.name
        );
        assert!(failed.message.starts_with(&start), "{}", failed.message);
        let log = failed.log.context("it has a log")?;
        assert!(
            log.ends_with("testkit: this is the last line of the container's log\n"),
            "{log}"
        );
        let reads = t
            .audit()
            .impersonated(&user)
            .resource("pods")
            .subresource("log")
            .wait_for(1)
            .await?;
        assert_eq!(reads.len(), 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_job_that_hangs_is_deleted_at_its_deadline_with_its_pods() -> anyhow::Result<()> {
    in_namespace("acts-timeout", async |t| {
        let (performer, _watch) = performer(t, &t.client, &t.client);
        let attempt = Attempt::new(t, "migrate");
        let create = attempt.create(&json!({"testkit.drplan/hang": "true"}));
        let uid = uid(&performer.perform(&Identity::Operator, &create).await)?;
        let wait = attempt.await_end(&uid, Duration::from_millis(100));
        failure(
            performer.perform(&Identity::Operator, &wait).await,
            FailureKind::JobTimedOut,
        )?;
        object_until(&t.api::<Job>(), "migrate", "is gone", |job| {
            job.is_none().then_some(())
        })
        .await?;
        let gone = performer
            .perform(&Identity::Operator, &attempt.await_end(&uid, NEVER))
            .await;
        failure(gone, FailureKind::JobLost)?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_running_job_is_stopped_and_its_waiter_told() -> anyhow::Result<()> {
    in_namespace("acts-stop", async |t| {
        let (performer, _watch) = performer(t, &t.client, &t.client);
        let attempt = Attempt::new(t, "migrate");
        let create = attempt.create(&json!({"testkit.drplan/hang": "true"}));
        let uid = uid(&performer.perform(&Identity::Operator, &create).await)?;
        let wait = attempt.await_end(&uid, NEVER);
        let stop = attempt.effect(Command::StopJob(attempt.job(Some(&uid))));
        let (waited, stopped) = tokio::join!(
            performer.perform(&Identity::Operator, &wait),
            performer.perform(&Identity::Operator, &stop),
        );
        failure(stopped, FailureKind::Stopped)?;
        failure(waited, FailureKind::JobLost)?;
        let never = Attempt {
            number: 2,
            ..Attempt::new(t, "migrate")
        };
        let stop = never.effect(Command::StopJob(never.job(None)));
        failure(
            performer.perform(&Identity::Operator, &stop).await,
            FailureKind::NotCreated,
        )?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_namesake_is_respected_and_one_that_is_going_is_waited_for() -> anyhow::Result<()> {
    in_namespace("acts-namesake", async |t| {
        let (performer, _watch) = performer(t, &t.client, &t.client);
        let first = Attempt::new(t, "migrate");
        let create = first.create(&json!({"testkit.drplan/hang": "true"}));
        let first_uid = uid(&performer.perform(&Identity::Operator, &create).await)?;
        let jobs: Api<Job> = t.api();
        let hold = |finalizers: Value| Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        jobs.patch(
            "migrate",
            &PatchParams::default(),
            &hold(json!(["testkit.drplan/hold"])),
        )
        .await?;

        let second = Attempt {
            number: 2,
            ..Attempt::new(t, "migrate")
        };
        let create = second.create(&json!({}));
        let exists = failure(
            performer.perform(&Identity::Operator, &create).await,
            FailureKind::AlreadyExists,
        )?;
        let expect = format!("Job {}/migrate exists and was not made by this attempt", t.name);
        assert_eq!(exists.message, expect);

        jobs.delete("migrate", &DeleteParams::background()).await?;
        let release = async {
            // Only after the creation has met the namesake.
            t.audit()
                .verb("create")
                .resource("jobs")
                .code(409)
                .wait_for(2)
                .await?;
            jobs.patch("migrate", &PatchParams::default(), &hold(json!([])))
                .await?;
            anyhow::Ok(())
        };
        let (created, released) = tokio::join!(performer.perform(&Identity::Operator, &create), release);
        released?;
        assert_ne!(uid(&created)?, first_uid);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_job_whose_creation_was_not_answered_is_found() -> anyhow::Result<()> {
    in_namespace("acts-lost-answer", async |t| {
        let proxy = Proxy::to_api_server(&t.control_plane).await?;
        let client = client_through(t, &proxy).await?;
        // A connection that is open already, so that the creation gets through.
        client.apiserver_version().await?;
        proxy.set(ProxyMode::Hang(Direction::ToClient)).await?;
        let (performer, _watch) = performer(t, &client, &t.client);
        let attempt = Attempt::new(t, "migrate");
        let create = attempt.create(&json!({"testkit.drplan/hang": "true"}));
        let break_connection = async {
            let uid = object_until(&t.api::<Job>(), "migrate", "exists", |job| {
                job?.metadata.uid.clone()
            })
            .await?;
            proxy.set(ProxyMode::Cut).await?;
            proxy.set(ProxyMode::Pass).await?;
            anyhow::Ok(uid)
        };
        let (created, existing) =
            tokio::join!(performer.perform(&Identity::Operator, &create), break_connection);
        assert_eq!(uid(&created)?, existing?);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_end_and_a_disappearance_while_the_watch_is_cut_are_noticed_when_it_is_back() -> anyhow::Result<()>
{
    in_namespace("acts-watch-cut", async |t| {
        let proxy = Proxy::to_api_server(&t.control_plane).await?;
        let (performer, _watch) = performer(t, &t.client, &client_through(t, &proxy).await?);
        let (ends, vanishes) = (Attempt::new(t, "ends"), Attempt::new(t, "vanishes"));
        let create = vanishes.create(&json!({"testkit.drplan/hang": "true"}));
        let vanishing = uid(&performer.perform(&Identity::Operator, &create).await)?;
        let ending = uid(&performer
            .perform(
                &Identity::Operator,
                &ends.create(&json!({"testkit.drplan/seconds": "2"})),
            )
            .await)?;
        proxy.connected(1).await?;
        let wait = (
            ends.await_end(&ending, NEVER),
            vanishes.await_end(&vanishing, NEVER),
        );
        let change_unseen = async {
            proxy.set(ProxyMode::Cut).await?;
            t.api::<Job>()
                .delete("vanishes", &DeleteParams::background())
                .await?;
            object_until(&t.api::<Job>(), "vanishes", "is gone", |job| {
                job.is_none().then_some(())
            })
            .await?;
            object_until(&t.api::<Job>(), "ends", "is complete", |job| {
                job?.status.as_ref()?.completion_time.as_ref().map(|_| ())
            })
            .await?;
            proxy.set(ProxyMode::Pass).await
        };
        let (ended, vanished, changed) = tokio::join!(
            performer.perform(&Identity::Operator, &wait.0),
            performer.perform(&Identity::Operator, &wait.1),
            change_unseen,
        );
        changed?;
        assert_eq!(ended, Outcome::JobSucceeded);
        failure(vanished, FailureKind::JobLost)?;
        Ok(())
    })
    .await
}
