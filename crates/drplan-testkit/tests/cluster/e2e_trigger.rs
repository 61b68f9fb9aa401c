//! `trigger=execute|revert` on a plan, where the operator was started with `--trigger-annotations`.

use std::sync::Arc;

use drplan_testkit::{Answer, OperatorProcess, TestNamespace, object_until};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::fixtures::{
    annotate, apply, apply_plan, create, event, events, execution, execution_until, execution_where,
    executions, ours, plan, plans, post, released, text,
};
use crate::shared;

/// Starts an operator that takes triggers.
pub(crate) async fn start_operator(t: &TestNamespace) -> anyhow::Result<Arc<OperatorProcess>> {
    let operator = t.operator_launch()?.arg("--trigger-annotations");
    let operator = t.launch_operator(operator).await?;
    operator.ready().await?;
    Ok(operator)
}

/// Annotates plan `name`.
pub(crate) async fn trigger(t: &TestNamespace, name: &str, command: &str) -> anyhow::Result<()> {
    annotate(&plans(t), name, &ours("trigger"), Some(command)).await
}

/// Waits until the plan carries neither a trigger nor one that was accepted.
pub(crate) async fn answered(t: &TestNamespace, name: &str) -> anyhow::Result<()> {
    object_until(&plans(t), name, "no trigger", |plan| {
        let annotations = plan?.metadata.annotations.clone().unwrap_or_default();
        let left = ["trigger", "trigger-accepted"].map(|name| annotations.contains_key(&ours(name)));
        (left == [false, false]).then_some(())
    })
    .await
}

/// The executions that a trigger made, as JSON.
pub(crate) async fn triggered(t: &TestNamespace) -> anyhow::Result<Vec<Value>> {
    let found = executions(t).list(&ListParams::default()).await?.items;
    let found = found.into_iter().map(serde_json::to_value);
    let mut found = found.collect::<Result<Vec<_>, _>>()?;
    found.retain(|run| run["metadata"]["annotations"][ours("triggered-by")].is_string());
    Ok(found)
}

/// Triggers, and waits for the execution that follows.
async fn trigger_one(t: &TestNamespace, name: &str, command: &str) -> anyhow::Result<Value> {
    let known: Vec<Value> = triggered(t).await?;
    trigger(t, name, command).await?;
    answered(t, name).await?;
    let mut new = triggered(t).await?;
    new.retain(|run| {
        known
            .iter()
            .all(|known| known["metadata"]["uid"] != run["metadata"]["uid"])
    });
    assert_eq!(new.len(), 1, "{new:?} by {:?}", events(t, name).await?);
    Ok(new.remove(0))
}

/// Waits until a trigger on `plan` is refused with these words.
async fn refused(t: &TestNamespace, plan: &str, reason: &str, words: &str) -> anyhow::Result<()> {
    answered(t, plan).await?;
    let message = event(t, plan, reason).await?;
    assert!(message.contains(words), "{message}");
    Ok(())
}

/// Says of the plan's triggers that they were written in 2020.
async fn age(t: &TestNamespace, name: &str) -> anyhow::Result<()> {
    let mut old = plans(t).get(name).await?;
    for entry in old.metadata.managed_fields.iter_mut().flatten() {
        entry.time = Some(serde_json::from_value(json!("2020-01-01T00:00:00Z"))?);
    }
    // The API server takes no change of times alone, and what a writer changes makes it young.
    let annotations = old.metadata.annotations.get_or_insert_default();
    annotations.insert("aged".into(), "true".into());
    let parameters = PostParams {
        field_manager: Some("the-past".into()),
        ..PostParams::default()
    };
    plans(t).replace(name, &parameters, &old).await?;
    Ok(())
}

/// Covers US10.2, FR-032, FR-034, FR-035.
#[tokio::test]
async fn trigger_execute_makes_one_execution_of_the_plan_and_is_taken_off() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        start_operator(t).await?;
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
        let made = trigger_one(t, "shop", "execute").await?;
        let name = text(&made, "/metadata/name");
        assert!(name.starts_with("shop-2"), "{name}");
        assert_eq!(
            made["spec"],
            json!({"planRef": "shop", "operationType": "Execute"})
        );
        assert_eq!(made["metadata"]["labels"]["drplan"], "shop");
        assert_eq!(made["metadata"]["labels"][ours("operation")], "Execute");
        let uid = plans(t).get("shop").await?.metadata.uid;
        assert_eq!(made["metadata"]["annotations"][ours("triggered-by")], json!(uid));
        execution_until(t, name, "Succeeded").await?;
        released(t, name).await?;
        let told = event(t, "shop", "TriggerAccepted").await?;
        assert_eq!(told, format!("trigger=execute created execution {name}"));

        // Once more, once it is over.
        let again = trigger_one(t, "shop", "execute").await?;
        execution_until(t, text(&again, "/metadata/name"), "Succeeded").await?;
        assert_eq!(t.stand_in.requests("/call").len(), 2);
        Ok(())
    };
    control_plane.with_namespace("trigger", test).await
}

/// Covers US11.2, FR-033, FR-034, FR-035.
#[tokio::test]
async fn trigger_revert_takes_the_last_successful_execute_that_is_not_undone() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        start_operator(t).await?;
        let undone = async |name: &str| {
            let patch = Patch::Merge(json!({"status": {"undone": {"wholly": true}}}));
            executions(t)
                .patch_status(name, &PatchParams::default(), &patch)
                .await
        };
        t.stand_in
            .script("/call", [Answer::ok().times(3), Answer::status(400)]);
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
        for (name, phase) in [
            ("one", "Succeeded"),
            ("two", "Succeeded"),
            ("three", "Succeeded"),
            ("four", "Failed"),
        ] {
            create(t, &execution(name, "shop")).await?;
            execution_until(t, name, phase).await?;
            released(t, name).await?;
        }
        undone("three").await?;
        let made = trigger_one(t, "shop", "revert").await?;
        let expected = json!({"planRef": "shop", "operationType": "Revert", "revertExecutionRef": "two"});
        assert_eq!(made["spec"], expected);
        assert_eq!(made["metadata"]["labels"][ours("operation")], "Revert");
        let name = text(&made, "/metadata/name");
        let told = event(t, "shop", "TriggerAccepted").await?;
        assert_eq!(
            told,
            format!("trigger=revert created execution {name}, which undoes two")
        );
        ended(t, name).await?;

        undone("two").await?;
        let made = trigger_one(t, "shop", "revert").await?;
        assert_eq!(made["spec"]["revertExecutionRef"], "one");
        ended(t, text(&made, "/metadata/name")).await?;

        undone("one").await?;
        trigger(t, "shop", "revert").await?;
        refused(
            t,
            "shop",
            "TriggerRefused",
            "trigger=revert is refused: 尚未执行预案",
        )
        .await?;
        assert_eq!(triggered(t).await?.len(), 2);
        Ok(())
    };
    control_plane.with_namespace("trigger-revert", test).await
}

/// Waits for any end.
async fn ended(t: &TestNamespace, name: &str) -> anyhow::Result<()> {
    execution_where(t, name, "an end", |run| {
        run["status"]["completionTime"].as_str().map(drop)
    })
    .await?;
    released(t, name).await?;
    Ok(())
}

/// Covers US10.6, EC-3, FR-030, FR-036.
#[tokio::test]
async fn a_trigger_that_cannot_be_carried_out_is_refused_by_an_event() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        start_operator(t).await?;
        t.stand_in.script("/slow", [Answer::ok().held()]);
        apply_plan(t, "shop", &[post("slow", &t.stand_in.url("/slow"))]).await?;
        trigger(t, "shop", "dance").await?;
        refused(
            t,
            "shop",
            "UnknownTrigger",
            "the values execute, revert and cancel",
        )
        .await?;

        create(t, &execution("run", "shop")).await?;
        t.stand_in.wait_for("/slow", 1).await?;
        trigger(t, "shop", "execute").await?;
        let words = "trigger=execute is refused: Plan has an execution in progress: run";
        refused(t, "shop", "TriggerRefused", words).await?;
        t.stand_in.release("/slow");
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;

        let idle = plan("idle").stage("main", &["shop"]).with("suspend", true.into());
        let broken = plan("broken")
            .stage("main", &["shop"])
            .with("failurePolicy", "Sometimes".into());
        let new = plan("new").stage("main", &["shop"]);
        let long = plan(&"long".repeat(20)).stage("main", &["shop"]);
        for (manifest, command, words) in [
            (long, "execute", "63 "),
            (idle, "execute", "suspended"),
            (broken, "execute", "failurePolicy"),
            (new, "revert", "尚未执行预案"),
        ] {
            let name = text(&manifest.0, "/metadata/name");
            apply(t, &manifest).await?;
            trigger(t, name, command).await?;
            refused(t, name, "TriggerRefused", words).await?;
        }
        assert_eq!(triggered(t).await?.len(), 0);
        assert_eq!(t.stand_in.all().len(), 1);
        Ok(())
    };
    control_plane.with_namespace("trigger-refused", test).await
}

#[tokio::test]
async fn a_plan_with_a_missing_workflow_is_judged_by_the_execution() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        start_operator(t).await?;
        apply(t, &plan("shop").stage("main", &["shop"])).await?;
        let made = trigger_one(t, "shop", "execute").await?;
        let name = text(&made, "/metadata/name");
        execution_where(t, name, "that it waits", |run| {
            text(run, "/status/message").contains("workflow").then_some(())
        })
        .await?;
        // It counts as in progress while it waits.
        trigger(t, "shop", "execute").await?;
        refused(t, "shop", "TriggerRefused", name).await?;
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
        execution_until(t, name, "Succeeded").await?;
        Ok(())
    };
    control_plane.with_namespace("trigger-missing", test).await
}

#[tokio::test]
async fn what_a_backup_brings_along_or_an_outage_has_left_starts_nothing() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        for name in ["old", "accepted", "unknown"] {
            apply_plan(t, name, &[post("call", &t.stand_in.url("/call"))]).await?;
        }
        trigger(t, "old", "execute").await?;
        let accepted = ours("trigger-accepted");
        annotate(&plans(t), "accepted", &accepted, Some("Execute/made")).await?;
        age(t, "old").await?;
        age(t, "accepted").await?;
        trigger(t, "unknown", "execute").await?;
        let reset = json!({"metadata": {"managedFields": [{}]}});
        plans(t)
            .patch("unknown", &PatchParams::default(), &Patch::Merge(reset))
            .await?;
        let restored = plan("restored").stage("main", &["old"]);
        create(t, &restored.annotated(&ours("trigger"), "execute")).await?;
        let halfway = plan("halfway").stage("main", &["old"]);
        create(t, &halfway.annotated(&accepted, "Execute/made")).await?;

        start_operator(t).await?;
        let dropped = "trigger=execute is dropped: it was written more than 10m0s ago";
        for (name, reason, words) in [
            ("old", "TriggerExpired", dropped),
            ("accepted", "TriggerExpired", dropped),
            ("unknown", "TriggerRefused", "does not tell when it was written"),
            ("restored", "TriggerRefused", "the plan was created with it"),
            ("halfway", "TriggerRefused", "the plan was created with it"),
        ] {
            refused(t, name, reason, words).await?;
        }
        assert_eq!(executions(t).list(&ListParams::default()).await?.items.len(), 0);
        // Whoever means it says so again.
        let made = trigger_one(t, "restored", "execute").await?;
        execution_until(t, text(&made, "/metadata/name"), "Succeeded").await?;
        Ok(())
    };
    control_plane.with_namespace("trigger-old", test).await
}

#[tokio::test]
async fn an_acceptance_that_names_another_execution_or_nothing_starts_nothing() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        start_operator(t).await?;
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        for (written, reason, words) in [
            (
                "Execute/run",
                "TriggerRefused",
                "an execution named run exists and is not its own",
            ),
            ("Execute/Not a name", "UnknownTrigger", "Not a name"),
            ("true", "UnknownTrigger", "trigger-accepted=true"),
        ] {
            annotate(&plans(t), "shop", &ours("trigger-accepted"), Some(written)).await?;
            answered(t, "shop").await?;
            let told = drplan_testkit::eventually(words, async || {
                let told = events(t, "shop").await?;
                let found = told
                    .iter()
                    .any(|event| event.starts_with(reason) && event.contains(words));
                Ok(drplan_testkit::Seen::when(found.then_some(()), || {
                    format!("{told:?}")
                }))
            });
            told.await?;
        }
        assert_eq!(executions(t).list(&ListParams::default()).await?.items.len(), 1);
        assert_eq!(t.stand_in.all().len(), 1);
        Ok(())
    };
    control_plane.with_namespace("trigger-foreign", test).await
}

#[tokio::test]
async fn a_trigger_on_a_plan_edited_in_a_loop_makes_one_execution() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        start_operator(t).await?;
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
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
            let outcome = async {
                let made = trigger_one(t, "shop", "execute").await?;
                execution_until(t, text(&made, "/metadata/name"), "Succeeded").await
            }
            .await;
            edited.cancel();
            outcome
        };
        let (editing, running) = tokio::join!(editing, running);
        running?;
        editing?;
        assert_eq!(t.stand_in.requests("/call").len(), 1);
        assert_eq!(triggered(t).await?.len(), 1);
        Ok(())
    };
    control_plane.with_namespace("trigger-edited", test).await
}
