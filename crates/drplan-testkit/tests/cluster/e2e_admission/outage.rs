//! Webhooks that are down, and webhooks that hang.

use drplan_testkit::{Answer as SiteAnswer, Seen, TestNamespace, eventually, object_until};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

use super::{annotate_as, asked, create_as, delete_as, launch, patch_as, registered, start, unregister};
use crate::fixtures::{apply_plan, execution, execution_until, executions, plan, post, text, workflow};
use crate::shared;

#[derive(Clone, Copy, Debug)]
enum Outage {
    /// Nothing listens.
    Down,
    /// Connections stand, and nothing answers.
    Hangs,
}

#[tokio::test]
async fn without_webhooks_in_the_middle_of_a_run_whoever_must_act_can() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    for outage in [Outage::Down, Outage::Hangs] {
        let test = async |t: &TestNamespace| act(t, outage).await;
        control_plane.with_namespace("admission-outage", test).await?;
    }
    Ok(())
}

async fn act(t: &TestNamespace, outage: Outage) -> anyhow::Result<()> {
    let (client, ns) = (&t.client, t.name.as_str());
    t.stand_in
        .script("/held", [SiteAnswer::ok().held(), SiteAnswer::ok().held()]);
    apply_plan(
        t,
        "shop",
        &[
            post("call", &t.stand_in.url("/held")),
            post("next", &t.stand_in.url("/next")),
        ],
    )
    .await?;
    apply_plan(t, "spare", &[post("call", &t.stand_in.url("/ok"))]).await?;
    let operator = start(t).await?;
    assert_eq!(create_as(client, ns, &execution("run", "shop")).await?.code, 201);
    t.stand_in.wait_for("/held", 1).await?;
    match outage {
        Outage::Down => operator.kill9().await?,
        Outage::Hangs => operator.stop()?,
    }

    // What would be used in an emergency is not written unseen.
    let unseen = create_as(
        client,
        ns,
        &workflow("new").action(post("call", "http://x.example.com")),
    )
    .await?;
    assert_eq!(unseen.code, 500, "{outage:?}: {unseen:?}");
    assert!(unseen.message.contains("failed calling webhook"), "{unseen:?}");
    // Whoever must act, acts.
    let cancelled = annotate_as(client, ns, "DRPlanExecution", "run", &[("cancel", Some("true"))]).await?;
    assert_eq!(cancelled.code, 200, "{outage:?}: {cancelled:?}");
    let second = create_as(client, ns, &execution("second", "shop")).await?;
    assert_eq!(second.code, 201, "{outage:?}: {second:?}");
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    for kind in ["DRPlan", "DRWorkflow"] {
        let labelled = patch_as(client, ns, kind, "shop", &label).await?;
        assert_eq!(labelled.code, 200, "{outage:?} {kind}: {labelled:?}");
    }
    // A workflow in use is deleted: the one rule that only webhooks hold.
    assert_eq!(delete_as(client, ns, "DRWorkflow", "spare").await?.code, 200);
    assert_eq!(delete_as(client, ns, "DRPlanExecution", "run").await?.code, 200);
    let free = json!({"metadata": {"finalizers": null}});
    assert_eq!(
        patch_as(client, ns, "DRPlanExecution", "run", &free).await?.code,
        200
    );
    assert!(executions(t).get_opt("run").await?.is_none(), "{outage:?}");
    assert_eq!(
        create_as(client, ns, &execution("lost", "spare")).await?.code,
        201
    );

    match outage {
        Outage::Down => operator.restart().await?,
        Outage::Hangs => operator.cont()?,
    }
    t.stand_in.release("/held");
    // The controllers hold the other rules: whatever came in is judged when it is looked at.
    let lost = execution_until(t, "lost", "Failed").await?;
    assert!(text(&lost, "/status/message").starts_with("Missing: "), "{lost}");

    operator.kill9().await?;
    let namespaces: Api<Namespace> = Api::all(t.client.clone());
    let plan_finalizers = json!({"metadata": {"finalizers": null}});
    patch_as(client, ns, "DRPlan", "shop", &plan_finalizers).await?;
    patch_as(client, ns, "DRPlanExecution", "second", &plan_finalizers).await?;
    namespaces.delete(ns, &DeleteParams::default()).await?;
    object_until(&namespaces, ns, "is gone", |namespace| {
        namespace.is_none().then_some(())
    })
    .await?;
    unregister(t).await
}

#[tokio::test]
async fn the_controllers_hold_every_rule_that_webhooks_hold_but_those_of_deletion() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.stand_in.script("/held", [SiteAnswer::ok().held()]);
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/held"))]).await?;
        t.start_operator().await?;
        let (client, ns) = (&t.client, t.name.as_str());
        // The same words as those of a refusal, in the status.
        assert_eq!(create_as(client, ns, &workflow("bad")).await?.code, 201);
        let message = object_until(
            &crate::fixtures::our_api(t, "DRWorkflow"),
            "bad",
            "a phase",
            |object| {
                let object = object?;
                (text(&object.data, "/status/phase") == "Invalid")
                    .then(|| text(&object.data, "/status/message").to_owned())
            },
        )
        .await?;
        assert_eq!(message, "spec.actions: is missing; write at least one action");
        assert_eq!(
            create_as(
                client,
                ns,
                &plan("circle").stage_with("a", &["shop"], json!({"dependsOn": ["a"]}))
            )
            .await?
            .code,
            201
        );
        assert_eq!(
            create_as(client, ns, &execution("circle", "circle")).await?.code,
            201
        );
        let end = execution_until(t, "circle", "Failed").await?;
        assert!(
            text(&end, "/status/message").contains("wait for each other in a circle"),
            "{end}"
        );

        assert_eq!(create_as(client, ns, &execution("run", "shop")).await?.code, 201);
        t.stand_in.wait_for("/held", 1).await?;
        assert_eq!(
            create_as(client, ns, &execution("second", "shop")).await?.code,
            201
        );
        let second = execution_until(t, "second", "Failed").await?;
        assert_eq!(
            text(&second, "/status/message"),
            "Plan has an execution in progress: run"
        );
        assert_eq!(
            create_as(client, ns, &crate::fixtures::revert("undo", "shop", "run"))
                .await?
                .code,
            201
        );
        let undo = execution_until(t, "undo", "Failed").await?;
        assert!(
            text(&undo, "/status/message").starts_with("RevertTargetNotEnded: "),
            "{undo}"
        );
        // A spec that changes under a run changes nothing in it.
        let changed = patch_as(
            client,
            ns,
            "DRPlanExecution",
            "run",
            &json!({"spec": {"planRef": "circle"}}),
        )
        .await?;
        assert_eq!(changed.code, 200);
        t.stand_in.release("/held");
        let end = execution_until(t, "run", "Succeeded").await?;
        assert_eq!(text(&end, "/status/plan"), "shop");
        Ok(())
    };
    control_plane.with_namespace("admission-none", test).await
}

/// Uninstalling takes the roles away; nothing may ask a Service then that is gone, while an operator still ends.
#[tokio::test]
async fn what_is_registered_goes_with_the_role_that_owns_it() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.expect_refusals();
        let role = format!("drplan-operator-webhooks-operator-{}", t.name);
        let owned = launch(t)?.arg(format!("--webhook-owner={role}"));
        t.launch_operator(owned).await?.ready().await?;
        asked(t).await?;
        assert_eq!(registered(t).await?.len(), 1);
        let roles: Api<ClusterRole> = Api::all(t.client.clone());
        roles.delete(&role, &DeleteParams::default()).await?;
        eventually("the webhooks to be gone", async || {
            let left = registered(t).await?;
            Ok(Seen::when(left.is_empty().then_some(()), || format!("{left:?}")))
        })
        .await?;
        assert_eq!(create_as(&t.client, &t.name, &workflow("new")).await?.code, 201);
        Ok(())
    };
    control_plane.with_namespace("admission-owner", test).await
}
