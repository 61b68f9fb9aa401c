//! Rollbacks that fail, and what a person can do then: a rollback is stored with its run, so nobody can write it anew.

use anyhow::ensure;
use drplan_testkit::TestNamespace;
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use serde_json::json;

use super::{Operation, Over, act, somebody::Somebody, somebody::data_of};
use crate::{
    fixtures::{
        action_of, apply_plan, create, execution, execution_until, job, ours, post, released, revert, text,
    },
    shared,
};

const NAME: &str = "over";

async fn is(somebody: &Somebody, data: &str) -> anyhow::Result<()> {
    let seen = somebody.sees(NAME).await?.unwrap_or_default();
    ensure!(data_of(&seen) == data, "{} instead of {data}", data_of(&seen));
    Ok(())
}

#[tokio::test]
async fn a_field_that_somebody_took_is_given_back_by_hand() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        let somebody = Somebody::in_own(t);
        t.start_operator().await?;
        somebody.makes(NAME).await?;
        let over = |operation: Operation, data: &str| act(operation, &t.name, data);
        let action = over(Over, "ours: v").undone_by(over(Over, "ours: back"));
        apply_plan(t, NAME, &[action]).await?;
        create(t, &execution("run", NAME)).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        is(&somebody, "k=theirs ours=v").await?;

        somebody.changes(NAME, json!({"ours": "theirs"})).await?;
        create(t, &revert("back-1", NAME, "run")).await?;
        let failed = execution_until(t, "back-1", "Failed").await?;
        released(t, "back-1").await?;
        let message = text(&failed, "/status/message");
        ensure!(
            message.contains(
                ".data.ours belongs to somebody; set by hand what the rollback has there; not undone:"
            ),
            "{message}"
        );
        is(&somebody, "k=theirs ours=theirs").await?;

        somebody.changes(NAME, json!({"ours": "back"})).await?;
        create(t, &revert("back-2", NAME, "run")).await?;
        execution_until(t, "back-2", "Succeeded").await?;
        is(&somebody, "k=theirs ours=back").await
    };
    shared().await?.with_namespace("rollback-conflict", test).await
}

#[tokio::test]
async fn a_job_that_failed_as_a_rollback_is_a_new_one_in_the_next_revert() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let rollback = job("").told("fail", "{{ .outputs.call.body }}");
        let call = post("call", &t.stand_in.url("/call")).undone_by(rollback);
        apply_plan(t, "shop", &[call.doing("saveBody", json!(true))]).await?;
        t.stand_in
            .script("/call", [drplan_testkit::Answer::ok().body("7")]);
        create(t, &execution("run", "shop")).await?;
        let done = execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        let uid = text(&done, "/metadata/uid");
        for (attempt, name) in ["back-1", "back-2"].into_iter().enumerate() {
            create(t, &revert(name, "shop", "run")).await?;
            let failed = execution_until(t, name, "Failed").await?;
            released(t, name).await?;
            let action = action_of(&failed, "main/shop[0]/call");
            ensure!(action["attempts"] == attempt + 1, "{action}");
            ensure!(text(action, "/message").contains("exited with 7"), "{action}");
        }
        let jobs = t.api::<Job>().list(&ListParams::default()).await?.items;
        let mut attempts = Vec::new();
        for job in &jobs {
            let annotations = job.metadata.annotations.clone().unwrap_or_default();
            ensure!(annotations[&ours("execution-uid")] == uid, "{annotations:?}");
            ensure!(
                annotations[&ours("action-path")] == "main/shop[0]/call/undo",
                "{annotations:?}"
            );
            attempts.push(annotations[&ours("attempt")].clone());
        }
        attempts.sort();
        ensure!(attempts == ["1", "2"], "{attempts:?}");
        Ok(())
    };
    shared().await?.with_namespace("rollback-job", test).await
}
