//! One run of a plan at a time, and each name once.

use std::collections::BTreeSet;

use drplan_testkit::{Answer, Seen, TestNamespace, eventually, object_until};
use futures::future::try_join_all;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::fixtures::{
    apply_plan, create, event, events, execution, execution_until, executions, ours, plans, post, released,
    text,
};
use crate::shared;

/// Covers US10.6, EC-3, FR-036.
#[tokio::test]
async fn of_five_executions_created_at_once_one_runs_and_the_others_fail_unentered() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        t.stand_in.script("/slow", [Answer::ok().held()]);
        apply_plan(t, "shop", &[post("slow", &t.stand_in.url("/slow"))]).await?;
        let runs: Vec<_> = (0..5)
            .map(|number| execution(&format!("run-{number}"), "shop"))
            .collect();
        try_join_all(runs.iter().map(|run| create(t, run))).await?;
        let all = eventually("four that failed and one that runs", async || {
            let all = executions(t).list(&ListParams::default()).await?.items;
            let phase = |phase: &str| {
                all.iter()
                    .filter(|run| text(&run.data, "/status/phase") == phase)
                    .count()
            };
            let seen = format!("{} Running, {} Failed", phase("Running"), phase("Failed"));
            Ok(Seen::when(
                (phase("Running"), phase("Failed")).eq(&(1, 4)).then_some(all),
                || seen,
            ))
        })
        .await?;
        t.stand_in.wait_for("/slow", 1).await?;
        let (winner, losers): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|run| text(&run.data, "/status/phase") == "Running");
        let winner = winner[0].metadata.name.clone().unwrap_or_default();
        for loser in losers {
            let message = text(&loser.data, "/status/message");
            assert_eq!(message, format!("Plan has an execution in progress: {winner}"));
            let name = loser.metadata.name.unwrap_or_default();
            assert_eq!(event(t, &name, "ExecutionFailed").await?, message);
        }
        t.stand_in.release("/slow");
        execution_until(t, &winner, "Succeeded").await?;
        let (_, plan) = released(t, &winner).await?;
        let history: Vec<&str> = entries(&plan).iter().map(|entry| text(entry, "/name")).collect();
        assert_eq!(history, [winner]);
        assert_eq!(t.stand_in.requests("/slow").len(), 1);
        let left = executions(t)
            .list(&ListParams::default().labels("drplan=shop"))
            .await?
            .items;
        assert_eq!(left.len(), 5);
        assert!(
            left.iter()
                .all(|run| run.metadata.finalizers.iter().flatten().next().is_none())
        );
        Ok(())
    };
    control_plane.with_namespace("five", test).await
}

fn entries(plan: &Value) -> &[Value] {
    plan["status"]["executionHistory"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

#[tokio::test]
async fn ten_plans_run_at_once() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let names: Vec<String> = (0..10).map(|number| format!("shop-{number}")).collect();
        for name in &names {
            t.stand_in.script(&format!("/{name}"), [Answer::ok().held()]);
            apply_plan(t, name, &[post("call", &t.stand_in.url(&format!("/{name}")))]).await?;
        }
        let runs: Vec<_> = names.iter().map(|name| execution(name, name)).collect();
        try_join_all(runs.iter().map(|run| create(t, run))).await?;
        // None is answered before all have arrived.
        for name in &names {
            t.stand_in.wait_for(&format!("/{name}"), 1).await?;
        }
        for name in &names {
            t.stand_in.release(&format!("/{name}"));
        }
        for name in &names {
            execution_until(t, name, "Succeeded").await?;
            released(t, name).await?;
        }
        let keys: BTreeSet<_> = t
            .stand_in
            .all()
            .iter()
            .filter_map(|call| call.idempotency_key().map(str::to_owned))
            .collect();
        assert_eq!((keys.len(), t.stand_in.all().len()), (10, 10));
        Ok(())
    };
    control_plane.with_namespace("ten", test).await
}

#[tokio::test]
async fn an_execution_that_ran_before_does_not_run_again() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        apply_plan(t, "shop", &[post("a", &t.stand_in.url("/a"))]).await?;
        let run = execution("run", "shop");
        let first = create(t, &run).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        executions(t).delete("run", &DeleteParams::default()).await?;
        object_until(&executions(t), "run", "is gone", |run| {
            run.is_none().then_some(())
        })
        .await?;

        // From Git, after somebody has cleaned up.
        create(t, &run).await?;
        let ended = execution_until(t, "run", "Failed").await?;
        let message = text(&ended, "/status/message");
        assert!(
            message.starts_with("AlreadyRan: ") && message.contains("new name"),
            "{message}"
        );
        // From a backup, with what the operator wrote on it.
        let uid = first.metadata.uid.unwrap_or_default();
        create(
            t,
            &execution("restored", "shop").annotated(&ours("started-uid"), &uid),
        )
        .await?;
        let ended = execution_until(t, "restored", "Failed").await?;
        assert!(
            text(&ended, "/status/message").starts_with("AlreadyRan: "),
            "{ended}"
        );

        let (_, plan) = released(t, "restored").await?;
        assert_eq!(entries(&plan).len(), 1);
        assert_eq!(
            (
                text(&entries(&plan)[0], "/uid"),
                text(&entries(&plan)[0], "/phase")
            ),
            (uid.as_str(), "Succeeded")
        );
        assert_eq!(t.stand_in.requests("/a").len(), 1);
        Ok(())
    };
    control_plane.with_namespace("again", test).await
}

#[tokio::test]
async fn a_lock_of_an_execution_that_does_not_exist_gives_way() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let stale = async |name: &str| {
            let current = json!({
                "name": name, "namespace": t.name, "uid": "00000000-0000-0000-0000-000000000001",
                "operation": "Execute", "startTime": "2026-01-01T00:00:00.000Z",
            });
            let patch = Patch::Merge(json!({"status": {"currentExecution": current}}));
            plans(t)
                .patch_status("shop", &PatchParams::default(), &patch)
                .await
        };
        apply_plan(t, "shop", &[post("a", &t.stand_in.url("/a"))]).await?;
        // Found at the start, with one that waits for it.
        stale("lost").await?;
        create(t, &execution("run", "shop")).await?;
        t.start_operator().await?;
        execution_until(t, "run", "Succeeded").await?;
        let message = event(t, "shop", "StaleLockReleased").await?;
        assert!(message.contains("lost"), "{message}");
        released(t, "run").await?;
        // Written while nothing runs; the name is that of an execution with another UID.
        stale("run").await?;
        let (_, plan) = released(t, "run").await?;
        assert_eq!(entries(&plan).len(), 1);
        assert_eq!(text(&entries(&plan)[0], "/phase"), "Succeeded");
        let both = eventually("an event for each", async || {
            let told = events(t, "shop").await?;
            let stale: Vec<String> = told
                .into_iter()
                .filter(|event| event.starts_with("StaleLockReleased"))
                .collect();
            Ok(Seen::when((stale.len() >= 2).then(|| stale.clone()), || {
                format!("{stale:?}")
            }))
        })
        .await?;
        assert_eq!(both.len(), 2, "{both:?}");
        Ok(())
    };
    control_plane.with_namespace("stale", test).await
}

/// Covers EC-6.
#[tokio::test]
async fn the_history_keeps_the_last_ten_runs_newest_first() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        t.stand_in
            .script("/a", [Answer::ok().times(11), Answer::status(400)]);
        apply_plan(t, "shop", &[post("a", &t.stand_in.url("/a"))]).await?;
        for number in 0..12 {
            let name = format!("run-{number}");
            create(t, &execution(&name, "shop")).await?;
            execution_until(t, &name, if number < 11 { "Succeeded" } else { "Failed" }).await?;
            released(t, &name).await?;
        }
        let (_, plan) = released(t, "run-11").await?;
        let history: Vec<String> = entries(&plan)
            .iter()
            .map(|entry| format!("{} {}", text(entry, "/name"), text(entry, "/phase")))
            .collect();
        let mut expected = vec!["run-11 Failed".to_owned()];
        expected.extend((2..11).rev().map(|number| format!("run-{number} Succeeded")));
        assert_eq!(history, expected);
        let status = &plan["status"];
        assert_eq!(
            (text(status, "/phase"), text(status, "/lastExecutionRef")),
            ("Executed", "run-10")
        );
        assert_eq!(text(status, "/lastSuccessfulExecution/name"), "run-10");
        assert_eq!(status["lastExecutionTime"], entries(&plan)[0]["completionTime"]);
        // What the history leaves out is still there.
        let all = executions(t).list(&ListParams::default()).await?.items;
        assert_eq!(all.len(), 12);
        Ok(())
    };
    control_plane.with_namespace("history", test).await
}
