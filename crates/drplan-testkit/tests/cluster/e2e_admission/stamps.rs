//! Who did it.

use drplan_testkit::{Answer as SiteAnswer, TestNamespace};
use kube::Client;
use serde_json::Value;

use super::{annotate_as, create_as, launch, start, unregister};
use crate::fixtures::{
    apply_plan, event, execution, execution_until, execution_where, ours, plans, post, released, text,
};
use crate::shared;

/// An annotation of ours and its value; none takes it off.
type Pair<'a> = (&'a str, Option<&'a str>);

/// The client of a person with all rights, so that nothing but admission can stand in their way.
async fn person(t: &TestNamespace, name: &str) -> anyhow::Result<Client> {
    t.control_plane.client_as(name, Some("system:masters")).await
}

fn stamp<'a>(object: &'a Value, name: &str) -> &'a str {
    let found = object["metadata"]["annotations"].get(ours(name));
    found.and_then(Value::as_str).unwrap_or_default()
}

/// Covers FR-038.
#[tokio::test]
async fn who_created_and_who_cancelled_stands_in_message_history_and_events() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let (alice, bob) = (person(t, "alice").await?, person(t, "bob").await?);
        t.stand_in
            .script("/held", [SiteAnswer::ok().held(), SiteAnswer::ok().held()]);
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/held"))]).await?;
        start(t).await?;
        // What the object says of its creator is not believed.
        let forged = execution("run", "shop").annotated(&ours("created-by"), "eve");
        assert_eq!(create_as(&alice, &t.name, &forged).await?.code, 201);
        t.stand_in.wait_for("/held", 1).await?;
        let running = execution_until(t, "run", "Running").await?;
        assert_eq!(
            (
                stamp(&running, "created-by"),
                text(&running, "/status/requestedBy")
            ),
            ("alice", "alice")
        );
        assert_eq!(running["metadata"]["labels"]["drplan"], "shop");
        let started = event(t, "run", "ExecutionStarted").await?;
        assert_eq!(started, "Execution started for plan shop, requested by alice");

        let cancel = [("cancel", Some("true")), ("cancelled-by", Some("eve"))];
        assert_eq!(
            annotate_as(&bob, &t.name, "DRPlanExecution", "run", &cancel)
                .await?
                .code,
            200
        );
        execution_where(t, "run", "a recorded cancellation", |run| {
            run.pointer("/status/cancellation").map(drop)
        })
        .await?;
        t.stand_in.release("/held");
        let end = execution_until(t, "run", "Cancelled").await?;
        assert_eq!(text(&end, "/status/message"), "Execution cancelled by user bob");
        assert_eq!(
            event(t, "run", "ExecutionCancelled").await?,
            "Execution cancelled by user bob"
        );
        let (run, plan) = released(t, "run").await?;
        assert_eq!(
            (stamp(&run, "created-by"), stamp(&run, "cancelled-by")),
            ("alice", "")
        );
        assert_eq!(text(&plan, "/status/executionHistory/0/requestedBy"), "alice");

        // A command on the plan is passed on in the name of whoever gave it.
        assert_eq!(
            create_as(&alice, &t.name, &execution("second", "shop"))
                .await?
                .code,
            201
        );
        t.stand_in.wait_for("/held", 2).await?;
        let trigger = [("trigger", Some("cancel"))];
        assert_eq!(
            annotate_as(&bob, &t.name, "DRPlan", "shop", &trigger).await?.code,
            200
        );
        execution_where(t, "second", "a recorded cancellation", |run| {
            run.pointer("/status/cancellation").map(drop)
        })
        .await?;
        t.stand_in.release("/held");
        let end = execution_until(t, "second", "Cancelled").await?;
        assert_eq!(text(&end, "/status/message"), "Execution cancelled by user bob");
        unregister(t).await
    };
    control_plane.with_namespace("admission-who", test).await
}

#[tokio::test]
async fn a_triggered_execution_is_that_of_whoever_annotated_the_plan() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let bob = person(t, "bob").await?;
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/ok"))]).await?;
        t.launch_operator(launch(t)?.arg("--trigger-annotations"))
            .await?
            .ready()
            .await?;
        super::asked(t).await?;
        let trigger = [("trigger", Some("execute"))];
        assert_eq!(
            annotate_as(&bob, &t.name, "DRPlan", "shop", &trigger).await?.code,
            200
        );
        event(t, "shop", "TriggerAccepted").await?;
        let history = "/status/executionHistory/0";
        let run = drplan_testkit::object_until(&plans(t), "shop", "a run in its history", |plan| {
            let plan = plan?;
            let ended = text(&plan.data, &format!("{history}/phase")) == "Succeeded";
            ended.then(|| plan.clone())
        })
        .await?;
        assert_eq!(text(&run.data, &format!("{history}/requestedBy")), "bob");
        let annotations = run.metadata.annotations.unwrap_or_default();
        assert!(
            !annotations.keys().any(|name| name.contains("trigger")),
            "{annotations:?}"
        );
        let name = text(&run.data, &format!("{history}/name")).to_owned();
        let run = execution_until(t, &name, "Succeeded").await?;
        assert_eq!(stamp(&run, "created-by"), "bob");
        unregister(t).await
    };
    control_plane.with_namespace("admission-trigger", test).await
}

#[tokio::test]
async fn nobody_writes_another_name_than_their_own_with_and_without_webhooks() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let (alice, bob) = (person(t, "alice").await?, person(t, "bob").await?);
        t.stand_in.script("/held", [SiteAnswer::ok().held()]);
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/held"))]).await?;
        apply_plan(t, "other", &[post("call", &t.stand_in.url("/ok"))]).await?;
        let operator = start(t).await?;
        assert_eq!(
            create_as(&alice, &t.name, &execution("run", "shop")).await?.code,
            201
        );
        t.stand_in.wait_for("/held", 1).await?;
        let annotate = async |who: &Client, kind: &str, name: &str, pairs: &[(&str, Option<&str>)]| {
            annotate_as(who, &t.name, kind, name, pairs).await
        };
        for webhooks in [true, false] {
            if !webhooks {
                operator.kill9().await?;
            }
            let refused: &[(&str, &str, &[Pair<'_>])] = &[
                ("DRPlanExecution", "run", &[("created-by", Some("bob"))]),
                ("DRPlanExecution", "run", &[("cancelled-by", Some("bob"))]),
                ("DRPlanExecution", "run", &[("resumed-by", Some("alice"))]),
                ("DRPlan", "shop", &[("triggered-by-user", Some("bob"))]),
                ("DRPlan", "shop", &[("trigger-accepted", Some("Execute/x"))]),
                ("DRPlan", "shop", &[("trigger-accepted-for", Some("alice"))]),
            ];
            for (kind, name, pairs) in refused {
                let answer = annotate(&bob, kind, name, pairs).await?;
                assert_eq!(answer.code, 403, "{webhooks} {pairs:?}: {answer:?}");
                assert!(
                    answer
                        .message
                        .contains("metadata.annotations[dr.bkbcs.tencent.com/"),
                    "{answer:?}"
                );
            }
            // Taken off by whoever replaces the object: it comes back, or it is refused.
            let taken_off = annotate(&bob, "DRPlanExecution", "run", &[("created-by", None)]).await?;
            assert_eq!(taken_off.code, if webhooks { 200 } else { 403 }, "{taken_off:?}");
            let run = crate::fixtures::executions(t).get("run").await?;
            assert_eq!(stamp(&serde_json::to_value(run)?, "created-by"), "alice");
        }
        // Without webhooks whoever signs with their own name is believed, anybody else refused, and nobody needs to sign.
        let forged = execution("forged", "other").annotated(&ours("created-by"), "alice");
        assert_eq!(create_as(&bob, &t.name, &forged).await?.code, 403);
        let forged = [("cancel", Some("true")), ("cancelled-by", Some("alice"))];
        assert_eq!(annotate(&bob, "DRPlanExecution", "run", &forged).await?.code, 403);
        assert_eq!(
            create_as(&bob, &t.name, &execution("unsigned", "other"))
                .await?
                .code,
            201
        );
        assert_eq!(
            annotate(&bob, "DRPlanExecution", "run", &[("cancel", Some("true"))])
                .await?
                .code,
            200
        );
        operator.restart().await?;
        let end = execution_until(t, "run", "Cancelled").await?;
        assert_eq!(
            text(&end, "/status/message"),
            "Execution cancelled by unknown user"
        );
        execution_until(t, "unsigned", "Succeeded").await?;
        let (_, plan) = released(t, "unsigned").await?;
        assert_eq!(
            text(&plan, "/status/executionHistory/0/requestedBy"),
            "unknown user"
        );
        unregister(t).await
    };
    control_plane.with_namespace("admission-forge", test).await
}
