//! What others do to the objects of a run while it runs.

use drplan_testkit::{Answer, TestNamespace, object_until};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::fixtures::{
    annotate, apply, apply_plan, create, event, execution, execution_until, executions, job, our_api, ours,
    phases, plan, plans, post, released, text, workflow,
};
use crate::shared;

#[tokio::test]
async fn labels_and_annotations_edited_in_a_loop_neither_stop_nor_repeat_anything() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let at = |path: &str| t.stand_in.url(path);
        t.stand_in.script("/b", [Answer::status(503), Answer::ok()]);
        let calls =
            ["a", "b", "c", "d", "e", "f"].map(|name| post(name, &at(&format!("/{name}"))).retried(9, "1ms"));
        let actions: Vec<_> = calls.into_iter().chain([job("work")]).collect();
        apply_plan(t, "shop", &actions).await?;
        create(t, &execution("run", "shop")).await?;
        // Before it begins as well as after.
        let edited = CancellationToken::new();
        let editing = async {
            let mut count = 0_u32;
            while !edited.is_cancelled() {
                count += 1;
                let patch = json!({"metadata": {
                    "labels": {"edited": format!("{count}"), "drplan": null},
                    "annotations": {"edited.by/loop": format!("{count}")},
                }});
                executions(t)
                    .patch("run", &PatchParams::default(), &Patch::Merge(patch))
                    .await?;
            }
            anyhow::Ok(count)
        };
        let running = async {
            let outcome = async {
                t.start_operator().await?;
                let done = execution_until(t, "run", "Succeeded").await?;
                released(t, "run").await?;
                anyhow::Ok(done)
            }
            .await;
            edited.cancel();
            outcome
        };
        let (count, done) = tokio::join!(editing, running);
        let done = done?;
        assert!(count? > 5);
        assert!(
            phases(&done).ends_with("e Succeeded, f Succeeded, work Succeeded"),
            "{}",
            phases(&done)
        );
        for path in ["/a", "/c", "/d", "/e", "/f"] {
            assert_eq!(t.stand_in.requests(path).len(), 1, "{path}");
        }
        assert_eq!(t.stand_in.requests("/b").len(), 2);
        assert_eq!(t.stand_in.count_by_key("/b").len(), 1);
        Ok(())
    };
    control_plane.with_namespace("edited", test).await
}

#[tokio::test]
async fn a_plan_edited_in_a_loop_is_locked_and_released_all_the_same() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        apply_plan(t, "shop", &[post("a", &t.stand_in.url("/a"))]).await?;
        let edited = CancellationToken::new();
        let editing = async {
            let mut count = 0_u32;
            while !edited.is_cancelled() {
                count += 1;
                annotate(&plans(t), "shop", "edited.by/loop", Some(&count.to_string())).await?;
            }
            anyhow::Ok(())
        };
        let running = async {
            let mut outcome = Ok(());
            for name in ["one", "two"] {
                if outcome.is_ok() {
                    outcome = async {
                        create(t, &execution(name, "shop")).await?;
                        execution_until(t, name, "Succeeded").await?;
                        released(t, name).await?;
                        annotate(&plans(t), "shop", &ours("trigger"), Some("cancel")).await?;
                        object_until(&plans(t), "shop", "the command is off", |plan| {
                            let annotations = plan?.metadata.annotations.clone().unwrap_or_default();
                            (!annotations.contains_key(&ours("trigger"))).then_some(())
                        })
                        .await?;
                        anyhow::Ok(())
                    }
                    .await;
                }
            }
            edited.cancel();
            outcome
        };
        let (editing, running) = tokio::join!(editing, running);
        running?;
        editing?;
        assert_eq!(t.stand_in.requests("/a").len(), 2);
        Ok(())
    };
    control_plane.with_namespace("edited-plan", test).await
}

/// Covers EC-4.
#[tokio::test]
async fn workflow_and_plan_edited_mid_run_change_nothing_in_it() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        t.stand_in.script("/slow", [Answer::ok().held()]);
        let at = |path: &str| t.stand_in.url(path);
        apply_plan(
            t,
            "shop",
            &[post("slow", &at("/slow")), post("after", &at("/after"))],
        )
        .await?;
        create(t, &execution("run", "shop")).await?;
        t.stand_in.wait_for("/slow", 1).await?;
        let edited = workflow("shop")
            .action(post("slow", &at("/edited")))
            .action(post("after", &at("/edited")));
        apply(t, &edited).await?;
        apply(
            t,
            &plan("shop")
                .with("suspend", true.into())
                .stage("other", &["shop", "missing"]),
        )
        .await?;
        // The operator has seen it.
        object_until(&plans(t), "shop", "the edit", |plan| {
            (text(&plan?.data, "/status/phase") == "Invalid").then_some(())
        })
        .await?;
        t.stand_in.release("/slow");
        let done = execution_until(t, "run", "Succeeded").await?;
        assert_eq!(phases(&done), "slow Succeeded, after Succeeded");
        assert_eq!(
            (
                t.stand_in.requests("/after").len(),
                t.stand_in.requests("/edited").len()
            ),
            (1, 0)
        );
        let (_, plan) = released(t, "run").await?;
        assert_eq!(text(&plan, "/status/executionHistory/0/phase"), "Succeeded");
        Ok(())
    };
    control_plane.with_namespace("edited-specs", test).await
}

/// Covers EC-4.
#[tokio::test]
async fn workflow_and_plan_deleted_mid_run_change_nothing_in_it_and_the_plan_goes_after_it()
-> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        t.stand_in.script("/slow", [Answer::ok().held()]);
        let at = |path: &str| t.stand_in.url(path);
        apply_plan(
            t,
            "shop",
            &[post("slow", &at("/slow")), post("after", &at("/after"))],
        )
        .await?;
        create(t, &execution("run", "shop")).await?;
        t.stand_in.wait_for("/slow", 1).await?;
        our_api(t, "DRWorkflow")
            .delete("shop", &DeleteParams::default())
            .await?;
        plans(t).delete("shop", &DeleteParams::default()).await?;
        let plan = plans(t).get("shop").await?;
        assert!(plan.metadata.deletion_timestamp.is_some(), "it waits for the run");
        // A plan that is going takes no new run.
        create(t, &execution("late", "shop")).await?;
        t.stand_in.release("/slow");
        let done = execution_until(t, "run", "Succeeded").await?;
        assert_eq!(phases(&done), "slow Succeeded, after Succeeded");
        object_until(&plans(t), "shop", "is gone", |plan| plan.is_none().then_some(())).await?;
        let late = executions(t).get("late").await?;
        assert!(
            !["Running", "Succeeded"].contains(&text(&late.data, "/status/phase")),
            "{:?}",
            late.data
        );
        object_until(&executions(t), "run", "no finalizer", |run| {
            run?.metadata
                .finalizers
                .iter()
                .flatten()
                .next()
                .is_none()
                .then_some(())
        })
        .await?;
        assert_eq!(
            text(&executions(t).get("run").await?.data, "/status/phase"),
            "Succeeded"
        );
        assert_eq!(t.stand_in.requests("/slow").len(), 1);
        Ok(())
    };
    control_plane.with_namespace("deleted-specs", test).await
}

#[tokio::test]
async fn an_execution_of_a_foreign_object_keeps_foreign_finalizers_and_annotations() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        apply_plan(t, "shop", &[post("a", &t.stand_in.url("/a"))]).await?;
        let mut run = execution("run", "shop").annotated("someone.else/note", "kept");
        run.0["metadata"]["finalizers"] = json!(["someone.else/wait"]);
        create(t, &run).await?;
        execution_until(t, "run", "Succeeded").await?;
        event(t, "run", "ExecutionSucceeded").await?;
        let kept = object_until(&executions(t), "run", "only the foreign finalizer", |run| {
            let run = run?;
            (run.metadata.finalizers.as_deref() == Some(&["someone.else/wait".to_owned()]))
                .then(|| run.clone())
        })
        .await?;
        let annotations = kept.metadata.annotations.unwrap_or_default();
        assert_eq!(
            annotations.get("someone.else/note").map(String::as_str),
            Some("kept")
        );
        assert_eq!(annotations.get(&ours("started-uid")), kept.metadata.uid.as_ref());
        let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        executions(t)
            .patch("run", &PatchParams::default(), &patch)
            .await?;
        Ok(())
    };
    control_plane.with_namespace("foreign", test).await
}
