//! What a run costs in writes, by the API server's own account.

use drplan_testkit::{Answer, TestNamespace, object_until};

use crate::{
    fixtures::{Action, apply_plan, create, execution, execution_until, job, plans, post, released, text},
    shared,
};

/// Writes of the execution's status, and all other writes by the operator but events, until the run is released.
async fn writes(t: &TestNamespace, actions: &[Action]) -> anyhow::Result<(usize, Vec<String>)> {
    t.start_operator().await?;
    apply_plan(t, "shop", actions).await?;
    object_until(&plans(t), "shop", "phase Ready", |plan| {
        (text(&plan?.data, "/status/phase") == "Ready").then_some(())
    })
    .await?;
    let audit = t.control_plane.audit().from_now().namespace(&t.name);
    create(t, &execution("run", "shop")).await?;
    execution_until(t, "run", "Succeeded").await?;
    released(t, "run").await?;
    let all = audit.user(&format!("operator:{}", t.name)).entries()?;
    let written = all.into_iter().filter(|entry| {
        let writes = ["create", "update", "patch", "delete"].contains(&entry.verb.as_str());
        writes
            && entry.code() < 300
            && entry
                .object_ref
                .as_ref()
                .is_none_or(|object| object.resource != "events")
    });
    let (mut statuses, mut others) = (0, Vec::new());
    for entry in written {
        let object = entry.object_ref.unwrap_or_default();
        if object.resource == "drplanexecutions" && object.subresource == "status" {
            statuses += 1;
        } else {
            others.push(format!(
                "{} {}/{}",
                entry.verb, object.resource, object.subresource
            ));
        }
    }
    others.sort();
    Ok((statuses, others))
}

/// Covers SC-003.
#[tokio::test]
async fn a_chain_of_n_calls_costs_n_plus_1_status_writes() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        let calls: Vec<Action> = (0..20)
            .map(|n| post(&format!("call-{n}"), &t.stand_in.url("/call")))
            .collect();
        let (statuses, others) = writes(t, &calls).await?;
        assert_eq!(statuses, 21, "{others:?}");
        // Of the execution: the mark of its start with the finalizer, and that taken off. Of the plan: finalizer,
        // lock, release, finalizer. And the snapshot.
        assert_eq!(
            others,
            [
                "create controllerrevisions/",
                "patch drplanexecutions/",
                "patch drplanexecutions/",
                "patch drplans/",
                "patch drplans/",
                "update drplans/status",
                "update drplans/status",
            ]
        );
        Ok(())
    };
    shared().await?.with_namespace("writes-chain", test).await
}

#[tokio::test]
async fn a_retry_costs_one_write_more_and_so_does_a_job() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.stand_in
            .script("/flaky", [Answer::status(503).times(2), Answer::ok()]);
        let flaky = post("flaky", &t.stand_in.url("/flaky")).retried(3, "10ms");
        let (statuses, others) =
            writes(t, &[flaky, job("work"), post("last", &t.stand_in.url("/last"))]).await?;
        assert_eq!(statuses, 3 + 1 + 2 + 1, "{others:?}");
        Ok(())
    };
    shared().await?.with_namespace("writes-retry", test).await
}
