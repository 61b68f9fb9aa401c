//! What must never start, and what must never go on without its snapshot.

use anyhow::Context;
use drplan_testkit::{Answer, TestNamespace, object_until};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

use crate::fixtures::{
    action_of, annotate, apply_plan, create, event, execution, execution_until, execution_where, executions,
    job, ours, phases, plans, post, released, text,
};
use crate::shared;

/// Waits until the execution has failed for this reason, without a trace in its plan.
async fn never_starts(t: &TestNamespace, name: &str, reason: &str) -> anyhow::Result<String> {
    let failed = execution_until(t, name, "Failed").await?;
    let message = text(&failed, "/status/message").to_owned();
    assert!(message.starts_with(&format!("{reason}: ")), "{message}");
    assert!(failed["status"].get("startTime").is_none() && failed["status"].get("stageStatuses").is_none());
    released(t, name).await?;
    Ok(message)
}

async fn history(t: &TestNamespace, plan: &str) -> anyhow::Result<Vec<String>> {
    let plan = plans(t).get(plan).await?;
    let entries = plan.data["status"]["executionHistory"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    Ok(entries
        .iter()
        .map(|entry| format!("{} {}", text(entry, "/name"), text(entry, "/phase")))
        .collect())
}

#[tokio::test]
async fn copies_of_what_was_started_before_never_start() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
        // From a backup: it says under which UID it was started.
        let foreign = "00000000-0000-0000-0000-000000000001";
        let restored = execution("restored", "shop").annotated(&ours("started-uid"), foreign);
        create(t, &restored).await?;
        let message = never_starts(t, "restored", "AlreadyRan").await?;
        assert!(message.contains("create one under a new name"), "{message}");
        assert_eq!(history(t, "shop").await?, Vec::<String>::new());
        assert_eq!(t.stand_in.all().len(), 0);

        // From Git, after the first one was cleaned away.
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        executions(t).delete("run", &DeleteParams::default()).await?;
        object_until(&executions(t), "run", "is gone", |run| {
            run.is_none().then_some(())
        })
        .await?;
        create(t, &execution("run", "shop")).await?;
        never_starts(t, "run", "AlreadyRan").await?;
        assert_eq!(history(t, "shop").await?, ["run Succeeded"]);
        assert_eq!(t.stand_in.all().len(), 1);
        event(t, "run", "ExecutionFailed").await?;
        Ok(())
    };
    control_plane.with_namespace("start-copies", test).await
}

#[tokio::test]
async fn what_is_older_than_the_start_deadline_never_starts_and_what_has_begun_goes_on() -> anyhow::Result<()>
{
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        for name in ["forgotten", "locked", "begun"] {
            apply_plan(t, name, &[post("call", &t.stand_in.url(&format!("/{name}")))]).await?;
        }
        for (name, fault) in [("locked", "before-intent=kill"), ("begun", "after-intent=kill")] {
            let operator = t
                .launch_operator(t.operator_launch()?.env("DRPLAN_FAULT", fault))
                .await?;
            create(t, &execution(name, name)).await?;
            assert_eq!(operator.ended().await?, 128 + 9);
            if name == "locked" {
                // Nobody may begin it while the next one is prepared.
                annotate(&executions(t), name, "test", Some("seen")).await?;
            }
            if name == "locked" {
                assert_eq!(
                    text(&plans(t).get(name).await?.data, "/status/currentExecution/name"),
                    name
                );
                let late = t.operator_launch()?.arg("--start-deadline=1ms");
                let late = t.launch_operator(late).await?;
                let message = never_starts(t, name, "StartDeadlineExceeded").await?;
                assert!(message.contains("create a new execution"), "{message}");
                assert_eq!(history(t, name).await?, ["locked Failed"]);
                late.kill9().await?;
            }
        }
        create(t, &execution("forgotten", "forgotten")).await?;
        let operator = t.operator_launch()?.arg("--start-deadline=1ms");
        t.launch_operator(operator).await?;
        never_starts(t, "forgotten", "StartDeadlineExceeded").await?;
        assert_eq!(history(t, "forgotten").await?, Vec::<String>::new());
        execution_until(t, "begun", "Succeeded").await?;
        let counts = ["/forgotten", "/locked", "/begun"].map(|path| t.stand_in.requests(path).len());
        assert_eq!(counts, [0, 0, 1]);
        Ok(())
    };
    control_plane.with_namespace("start-late", test).await
}

#[tokio::test]
async fn without_its_snapshot_a_run_waits_for_a_person_and_can_only_end() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = t.start_operator().await?;
        for name in ["deleted", "altered"] {
            t.stand_in
                .script(&format!("/{name}"), [Answer::ok().held(), Answer::ok()]);
            let next = t.stand_in.url("/next");
            let call = post("call", &t.stand_in.url(&format!("/{name}")));
            apply_plan(t, name, &[call, post("next", &next)]).await?;
            create(t, &execution(name, name)).await?;
            t.stand_in.wait_for(&format!("/{name}"), 1).await?;
        }
        apply_plan(t, "job", &[job("work").told("hang", "true")]).await?;
        create(t, &execution("job", "job")).await?;
        let made = execution_where(t, "job", "a Job", |seen| {
            let made = &action_of(seen, "main/job[0]/work")["outputs"]["jobRef"];
            made["uid"].is_string().then(|| text(made, "/name").to_owned())
        })
        .await?;
        operator.kill9().await?;
        for name in ["deleted", "altered", "job"] {
            let lost = take_snapshot(t, name).await?;
            if name == "altered" {
                let mut altered = lost;
                let data = altered.data.as_mut().context("it has data")?;
                let stored = text(&data.0, "/snapshot").replace("/next", "/elsewhere");
                data.0 = json!({"snapshot": stored});
                put_snapshot(t, altered).await?;
            }
        }

        operator.restart().await?;
        for name in ["deleted", "altered", "job"] {
            let doubted = execution_until(t, name, "Unknown").await?;
            let message = text(&doubted, "/status/message");
            assert!(message.contains("SnapshotLost"), "{message}");
            event(t, name, "ExecutionUnknown").await?;
            assert_eq!(
                text(&plans(t).get(name).await?.data, "/status/currentExecution/name"),
                name
            );
            // There is nothing to go on with.
            annotate(&executions(t), name, &ours("resume"), Some("true")).await?;
            event(t, name, "NothingToResume").await?;
            execution_where(t, name, "that the command is answered", |seen| {
                let annotations = &seen["metadata"]["annotations"];
                annotations.get(ours("resume")).is_none().then_some(())
            })
            .await?;
            annotate(&executions(t), name, &ours("cancel"), Some("true")).await?;
            let ended = execution_until(t, name, "Cancelled").await?;
            released(t, name).await?;
            match name {
                "job" => assert_eq!(phases(&ended), "work Failed"),
                _ => {
                    assert_eq!(phases(&ended), "call Failed, next Skipped");
                    let message = text(action_of(&ended, &format!("main/{name}[0]/call")), "/message");
                    assert!(message.starts_with("OutcomeUnknown"), "{message}");
                }
            }
        }
        for path in ["/deleted", "/altered"] {
            assert_eq!(t.stand_in.requests(path).len(), 1, "{path}");
        }
        assert_eq!(
            t.stand_in.requests("/next").len() + t.stand_in.requests("/elsewhere").len(),
            0
        );
        // With nobody who knows what to do with it, it does not go on.
        object_until(&t.api::<Job>(), &made, "goes", |job| {
            job.is_none_or(|job| job.metadata.deletion_timestamp.is_some())
                .then_some(())
        })
        .await
    };
    control_plane.with_namespace("start-snapshot", test).await
}

/// Takes an execution's snapshot away, and returns it.
pub(crate) async fn take_snapshot(t: &TestNamespace, execution: &str) -> anyhow::Result<ControllerRevision> {
    let of_it = ListParams::default().labels(&format!("{}={execution}", ours("execution")));
    let snapshots = t.api::<ControllerRevision>().list(&of_it).await?.items;
    let [snapshot] = snapshots.as_slice() else {
        anyhow::bail!("{execution} has {} snapshots", snapshots.len());
    };
    let name = snapshot.metadata.name.clone().unwrap_or_default();
    t.api::<ControllerRevision>()
        .delete(&name, &DeleteParams::default())
        .await?;
    Ok(snapshot.clone())
}

/// Puts a snapshot back, or another in its place.
pub(crate) async fn put_snapshot(t: &TestNamespace, mut snapshot: ControllerRevision) -> anyhow::Result<()> {
    snapshot.metadata.resource_version = None;
    snapshot.metadata.uid = None;
    t.api::<ControllerRevision>()
        .create(&PostParams::default(), &snapshot)
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_snapshot_that_is_put_back_lets_the_run_go_on() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.stand_in.script("/call", [Answer::ok().held(), Answer::ok()]);
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
        let operator = t.start_operator().await?;
        create(t, &execution("run", "shop")).await?;
        t.stand_in.wait_for("/call", 1).await?;
        operator.kill9().await?;
        let snapshot = take_snapshot(t, "run").await?;
        operator.restart().await?;
        execution_until(t, "run", "Unknown").await?;
        operator.kill9().await?;
        put_snapshot(t, snapshot).await?;
        annotate(&executions(t), "run", &ours("resume"), Some("true")).await?;
        operator.restart().await?;
        let done: Value = execution_until(t, "run", "Succeeded").await?;
        assert_eq!(phases(&done), "call Succeeded");
        let counts = t.stand_in.count_by_key("/call");
        assert_eq!(counts.values().copied().collect::<Vec<_>>(), [2], "{counts:?}");
        Ok(())
    };
    control_plane.with_namespace("start-restored", test).await
}
