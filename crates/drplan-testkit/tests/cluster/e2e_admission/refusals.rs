//! What is refused because of what stands or runs, and what is not.

use drplan_testkit::{Answer as SiteAnswer, TestNamespace, object_until};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

use super::{annotate_as, asked, create_as, delete_as, launch, patch_as, start, unregister};
use crate::fixtures::{
    apply, apply_plan, create, execution, execution_until, executions, plan, post, released, revert, text,
    workflow,
};
use crate::shared;

/// Covers FR-044, EC-5, US10.6.
#[tokio::test]
async fn a_workflow_in_use_and_what_runs_cannot_be_deleted() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let (client, ns) = (&t.client, t.name.as_str());
        t.stand_in.script("/held", [SiteAnswer::ok().held()]);
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/held"))]).await?;
        start(t).await?;
        let used = delete_as(client, ns, "DRWorkflow", "shop").await?;
        assert_eq!(used.code, 403, "{used:?}");
        assert_eq!(
            used.reason(),
            format!(
                "DRWorkflow {ns}/shop is used by DRPlan {ns}/shop; delete the plan, or take the reference out of its \
                 stages first"
            )
        );

        create(t, &execution("run", "shop")).await?;
        t.stand_in.wait_for("/held", 1).await?;
        let second = create_as(client, ns, &execution("second", "shop")).await?;
        assert_eq!(second.code, 403, "{second:?}");
        assert_eq!(
            second.reason(),
            "Plan has an execution in progress: run; wait for its end, or cancel it"
        );
        let cancel = format!("kubectl annotate drpe run -n {ns} dr.bkbcs.tencent.com/cancel=true");
        let of_plan = delete_as(client, ns, "DRPlan", "shop").await?;
        assert_eq!(
            of_plan.reason(),
            format!(
                "execution `run` of plan `shop` is running; cancel it first and wait for its end: {cancel}"
            )
        );
        let of_run = delete_as(client, ns, "DRPlanExecution", "run").await?;
        assert_eq!(
            of_run.reason(),
            format!("execution `run` is Running; cancel it first and wait for its end: {cancel}")
        );
        // What the message says can be typed.
        let kubectl = drplan_testkit::Kubectl::new(&t.control_plane, ns);
        let words: Vec<&str> = cancel.split_whitespace().skip(1).collect();
        kubectl.run(&words).await?;
        execution_where_cancelling(t).await?;
        let again = delete_as(client, ns, "DRPlanExecution", "run").await?;
        assert!(
            again
                .reason()
                .starts_with("execution `run` is being cancelled; delete it when"),
            "{again:?}"
        );
        t.stand_in.release("/held");
        execution_until(t, "run", "Cancelled").await?;
        released(t, "run").await?;

        for (kind, name) in [
            ("DRPlanExecution", "run"),
            ("DRPlan", "shop"),
            ("DRWorkflow", "shop"),
        ] {
            let gone = delete_as(client, ns, kind, name).await?;
            assert_eq!(gone.code, 200, "{kind}: {gone:?}");
        }
        unregister(t).await
    };
    control_plane.with_namespace("admission-delete", test).await
}

async fn execution_where_cancelling(t: &TestNamespace) -> anyhow::Result<()> {
    crate::fixtures::execution_where(t, "run", "a recorded cancellation", |run| {
        run.pointer("/status/cancellation").map(drop)
    })
    .await
}

#[tokio::test]
async fn a_namespace_with_a_run_in_it_can_be_deleted() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.stand_in.script("/held", [SiteAnswer::ok().held()]);
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/held"))]).await?;
        // Roles in the namespace would go before the executions; that for its own Secret does.
        t.expect_refusals();
        let operator = t.launch_operator(launch(t)?.rights_everywhere()).await?;
        operator.ready().await?;
        asked(t).await?;
        create(t, &execution("run", "shop")).await?;
        t.stand_in.wait_for("/held", 1).await?;
        let namespaces: Api<Namespace> = Api::all(t.client.clone());
        namespaces.delete(&t.name, &DeleteParams::default()).await?;
        object_until(&namespaces, &t.name, "is gone", |namespace| {
            namespace.is_none().then_some(())
        })
        .await?;
        unregister(t).await
    };
    control_plane.with_namespace("admission-ns", test).await
}

/// Covers FR-043.
#[tokio::test]
async fn what_may_come_later_is_admitted_with_a_warning() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let (client, ns) = (&t.client, t.name.as_str());
        start(t).await?;
        let early = create_as(client, ns, &plan("shop").stage("main", &["shop"])).await?;
        assert_eq!(early.code, 201, "{early:?}");
        assert_eq!(
            early.warnings,
            [format!(
                "spec.stages[0].workflows[0].workflowRef: workflow `{ns}/shop` does not exist; create it, or correct \
                 the reference; until then the plan is Invalid"
            )]
        );
        let early = create_as(client, ns, &execution("early", "shop")).await?;
        assert_eq!((early.code, early.warnings.len()), (201, 1), "{early:?}");
        assert!(early.warnings[0].contains("waits 30 s"), "{early:?}");
        let nowhere = create_as(client, ns, &execution("nowhere", "nothing")).await?;
        assert!(
            nowhere.warnings[0].contains("plan `nothing` does not exist"),
            "{nowhere:?}"
        );

        let flow = workflow("shop").action(post("call", &t.stand_in.url("/ok")));
        assert_eq!(create_as(client, ns, &flow).await?.code, 201);
        execution_until(t, "early", "Succeeded").await?;
        released(t, "early").await?;
        let again = create_as(client, ns, &execution("again", "shop")).await?;
        assert_eq!(
            again.warnings,
            ["spec.planRef: plan `shop` is executed already and not undone; it runs once more"]
        );
        execution_until(t, "again", "Succeeded").await?;
        released(t, "again").await?;
        assert_eq!(delete_as(client, ns, "DRPlanExecution", "again").await?.code, 200);
        let copied = super::try_create(client, ns, &execution("again", "shop")).await?;
        let told = "metadata.name: an execution named `again` was started before, so this one will fail; create one \
                    under a new name";
        assert!(copied.warnings.contains(&told.to_owned()), "{copied:?}");
        apply(
            t,
            &plan("shop").stage("main", &["shop"]).with("suspend", json!(true)),
        )
        .await?;
        let suspended = create_as(client, ns, &execution("suspended", "shop")).await?;
        assert!(
            suspended
                .warnings
                .iter()
                .any(|one| one.contains("set spec.suspend to false")),
            "{suspended:?}"
        );
        let end = execution_until(t, "suspended", "Failed").await?;
        assert!(
            text(&end, "/status/message").starts_with("PlanSuspended: "),
            "{end}"
        );
        unregister(t).await
    };
    control_plane.with_namespace("admission-early", test).await
}

#[tokio::test]
async fn changes_are_judged_by_their_spec_and_an_execution_never_changes_its() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let (client, ns) = (&t.client, t.name.as_str());
        // It was stored while nobody was asked.
        apply(t, &workflow("bad")).await?;
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/ok"))]).await?;
        start(t).await?;
        let metadata = json!({"metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/x"]}});
        assert_eq!(
            patch_as(client, ns, "DRWorkflow", "bad", &metadata).await?.code,
            200
        );
        let still_bad = patch_as(
            client,
            ns,
            "DRWorkflow",
            "bad",
            &json!({"spec": {"description": "x"}}),
        )
        .await?;
        assert_eq!(
            (still_bad.code, still_bad.reason()),
            (422, "spec.actions: is missing; write at least one action")
        );
        assert_eq!(delete_as(client, ns, "DRWorkflow", "bad").await?.code, 200);
        // While it waits for its finalizer, anything goes.
        let deleting = patch_as(
            client,
            ns,
            "DRWorkflow",
            "bad",
            &json!({"spec": {"description": "x"}}),
        )
        .await?;
        assert_eq!(deleting.code, 200, "{deleting:?}");
        let free = json!({"metadata": {"finalizers": null}});
        assert_eq!(patch_as(client, ns, "DRWorkflow", "bad", &free).await?.code, 200);

        let unknown = json!({"spec": {"stages": [{"name": "main", "dependsOn": ["x"], "workflows": [{"workflowRef": {"name": "shop"}}]}]}});
        let refused = patch_as(client, ns, "DRPlan", "shop", &unknown).await?;
        assert_eq!(refused.code, 422, "{refused:?}");
        assert!(
            refused
                .reason()
                .contains("stage `x` does not exist; this plan has main"),
            "{refused:?}"
        );

        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        let other_spelling = json!({"spec": {"planRef": {"name": "shop"}, "operation": "Execute"}});
        let respelled = patch_as(client, ns, "DRPlanExecution", "run", &other_spelling).await?;
        assert_eq!(respelled.code, 200, "{respelled:?}");
        for change in [
            json!({"planRef": "other"}),
            json!({"params": [{"name": "a", "value": "b"}]}),
        ] {
            let changed = patch_as(client, ns, "DRPlanExecution", "run", &json!({"spec": change})).await?;
            assert_eq!(
                (changed.code, changed.reason()),
                (422, "spec: never changes; create a new execution")
            );
        }
        let labelled = json!({"metadata": {"labels": {"x": "y"}, "ownerReferences": []}});
        assert_eq!(
            patch_as(client, ns, "DRPlanExecution", "run", &labelled)
                .await?
                .code,
            200
        );
        unregister(t).await
    };
    control_plane.with_namespace("admission-change", test).await
}

#[tokio::test]
async fn a_dry_run_is_judged_and_leaves_nothing() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/ok"))]).await?;
        start(t).await?;
        let tried = super::try_create(&t.client, &t.name, &execution("run", "shop")).await?;
        assert_eq!(tried.code, 201, "{tried:?}");
        let tried = super::try_create(&t.client, &t.name, &revert("undo", "shop", "run")).await?;
        assert_eq!(tried.code, 422, "{tried:?}");
        assert!(executions(t).get_opt("run").await?.is_none());
        let cancelled = annotate_as(
            &t.client,
            &t.name,
            "DRPlanExecution",
            "run",
            &[("cancel", Some("true"))],
        )
        .await?;
        assert_eq!(cancelled.code, 404);
        unregister(t).await
    };
    control_plane.with_namespace("admission-dry", test).await
}
