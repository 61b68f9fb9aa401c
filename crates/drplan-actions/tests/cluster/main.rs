//! Jobs and objects on a real control plane. One binary, so that its tests share one.

mod attempt;
mod faults;
mod objects;
mod toys;

use std::time::Duration;

use anyhow::Context;
use drplan_actions::Identity;
use drplan_api::status::ObjectRef;
use drplan_engine::effect::{Command, FailureKind, Outcome};
use drplan_testkit::{Seen, eventually, object_until};
use k8s_openapi::api::{
    batch::v1::Job,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use attempt::{Attempt, NEVER, failure, in_namespace, performer, uid};

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
        let refused = performer.set_ttl(as_operator, &other, "drplan:a:b", 600).await;
        let refused = refused.expect_err("another Job has that name").to_string();
        assert!(refused.contains("metadata.uid"), "{refused}");
        performer
            .set_ttl(as_operator, &attempt.job(Some(&uid)), "drplan:a:b", 600)
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
                other @ (Outcome::Answered { .. }
                | Outcome::JobSucceeded
                | Outcome::Object(_)
                | Outcome::Failed(_)) => Seen::NotYet(format!("{other:?}")),
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

/// Covers US6.3.
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
        let other = Attempt {
            number: 2,
            ..Attempt::new(t, "migrate")
        };
        let create = other.create(&json!({"testkit.drplan/hang": "true"}));
        let other_uid = uid(&performer.perform(&Identity::Operator, &create).await)?;
        let jobs: Api<Job> = t.api();
        let hold = |finalizers: Value| Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        jobs.patch(
            "migrate",
            &PatchParams::default(),
            &hold(json!(["testkit.drplan/hold"])),
        )
        .await?;

        // An earlier attempt does not take it for its own.
        let create = Attempt::new(t, "migrate").create(&json!({}));
        let exists = failure(
            performer.perform(&Identity::Operator, &create).await,
            FailureKind::AlreadyExists,
        )?;
        let expect = format!(
            "Job {}/migrate exists and was not made by this attempt: delete it, or give the Job another name",
            t.name
        );
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
        let created = uid(&created)?;
        assert_ne!(created, other_uid);
        // A later one does: the creation may have arrived after it had seemed to fail.
        let create = other.create(&json!({}));
        let adopted = performer.perform(&Identity::Operator, &create).await;
        assert_eq!(uid(&adopted)?, created);
        Ok(())
    })
    .await
}
