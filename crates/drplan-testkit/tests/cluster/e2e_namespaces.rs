//! References from one namespace to another.

use drplan_testkit::{TestNamespace, object_until};
use serde_json::{Value, json};

use crate::fixtures::{
    Manifest, apply, create, execution, execution_until, plan, plans, post, text, workflow,
};
use crate::shared;

/// A plan over a workflow of another namespace.
fn plan_over(name: &str, namespace: &str) -> Manifest {
    let used = json!([{"workflowRef": {"name": "flow", "namespace": namespace}}]);
    plan(name).with("stages", json!([{"name": "main", "workflows": used}]))
}

async fn judged(t: &TestNamespace, name: &str) -> anyhow::Result<Value> {
    let plan = object_until(&plans(t), name, "a verdict", |plan| {
        let plan = plan?;
        (!text(&plan.data, "/status/phase").is_empty()).then(|| plan.clone())
    })
    .await?;
    Ok(serde_json::to_value(plan)?)
}

#[tokio::test]
async fn a_workflow_of_another_namespace_is_used_where_it_allows_that() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let test = async |other: &TestNamespace| {
            let launch = t.operator_launch()?.arg(format!("--namespace={}", other.name));
            t.launch_operator(launch).await?.ready().await?;
            let call = post("call", &t.stand_in.url("/call"));
            apply(other, &workflow("flow").action(call.clone())).await?;
            apply(t, &plan_over("refused", &other.name)).await?;
            let seen = judged(t, "refused").await?;
            assert_eq!(text(&seen, "/status/phase"), "Invalid");
            assert!(
                text(&seen, "/status/message").contains("allowedNamespaces"),
                "{seen}"
            );

            let allowed = workflow("flow")
                .action(call)
                .with("allowedNamespaces", json!([t.name]));
            apply(other, &allowed).await?;
            apply(t, &plan_over("shop", &other.name)).await?;
            // It heals across the border too.
            for name in ["refused", "shop"] {
                object_until(&plans(t), name, "phase Ready", |plan| {
                    (text(&plan?.data, "/status/phase") == "Ready").then_some(())
                })
                .await?;
            }
            create(t, &execution("run", "shop")).await?;
            let done = execution_until(t, "run", "Succeeded").await?;
            let used = &done["status"]["stageStatuses"][0]["workflowExecutions"][0]["workflowRef"];
            assert_eq!(used, &json!({"name": "flow", "namespace": other.name}));
            Ok(())
        };
        t.control_plane.with_namespace("library", test).await
    };
    control_plane.with_namespace("user", test).await
}

#[tokio::test]
async fn a_reference_to_a_namespace_that_is_not_served_names_the_flag() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        apply(t, &plan_over("shop", "kube-system")).await?;
        let seen = judged(t, "shop").await?;
        assert_eq!(text(&seen, "/status/phase"), "Invalid");
        assert!(text(&seen, "/status/message").contains("--namespace"), "{seen}");
        let mut run = execution("run", "shop");
        run.0["spec"]["planRef"] = json!({"name": "shop", "namespace": "kube-system"});
        create(t, &run).await?;
        let ended = execution_until(t, "run", "Failed").await?;
        let message = text(&ended, "/status/message");
        assert!(
            message.starts_with("Invalid: spec.planRef.namespace: "),
            "{message}"
        );
        Ok(())
    };
    control_plane.with_namespace("not-served", test).await
}
