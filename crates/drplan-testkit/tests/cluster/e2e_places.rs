//! Bounds on what runs at once.

use std::collections::BTreeSet;

use drplan_testkit::{Answer, Outcome, Recorded, Seen, TestNamespace, eventually};
use kube::api::ListParams;
use serde_json::json;

use crate::fixtures::{
    apply, apply_plan, create, execution, execution_until, execution_where, executions, phases, plan, post,
    released, text, workflow,
};
use crate::shared;

fn open(all: &[Recorded]) -> Vec<String> {
    let open = all.iter().filter(|call| call.outcome == Outcome::Pending);
    open.map(|call| call.path.clone()).collect()
}

#[tokio::test]
async fn with_one_place_for_calls_two_are_never_under_way_and_all_get_their_turn() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.launch_operator(t.operator_launch()?.arg("--max-http=1"))
            .await?
            .ready()
            .await?;
        let names = ["a", "b", "c", "d"];
        for name in names {
            let paths = [1, 2].map(|number| format!("/{name}{number}"));
            let mut flow = workflow(name);
            for path in &paths {
                t.stand_in.script(path, [Answer::ok().held()]);
                flow = flow.action(post(&path[1..], &t.stand_in.url(path)));
            }
            apply(t, &flow).await?;
        }
        let together = json!({"parallel": true});
        apply(t, &plan("left").stage_with("main", &["a", "b"], together.clone())).await?;
        apply(t, &plan("right").stage_with("main", &["c", "d"], together)).await?;
        for name in ["left", "right"] {
            create(t, &execution(name, name)).await?;
        }
        t.stand_in
            .wait_until("a call", |all| (!all.is_empty()).then_some(()))
            .await?;
        for name in ["left", "right"] {
            execution_where(t, name, "that it waits for a place", |run| {
                let waits = run["status"]
                    .to_string()
                    .contains("waits for one of the places under --max-http");
                waits.then_some(())
            })
            .await?;
        }
        let mut seen = BTreeSet::new();
        for _ in 0..8 {
            let paths = t
                .stand_in
                .wait_until("a call", |all| {
                    let open = open(all);
                    (!open.is_empty() && !open.iter().any(|path| seen.contains(path))).then_some(open)
                })
                .await?;
            assert_eq!(paths.len(), 1, "{paths:?}");
            // Nor is any other meant to be: an intent is recorded once there is a place for it.
            for name in ["left", "right"] {
                let run = executions(t).get(name).await?;
                let phases = phases(&serde_json::to_value(run)?);
                assert!(phases.matches("Running").count() <= 1, "{phases}");
            }
            seen.extend(paths.iter().cloned());
            t.stand_in.release(&paths[0]);
        }
        for name in ["left", "right"] {
            let done = execution_until(t, name, "Succeeded").await?;
            assert!(!done["status"].to_string().contains("waits for"), "{done}");
        }
        assert_eq!((seen.len(), t.stand_in.all().len()), (8, 8));
        Ok(())
    };
    control_plane.with_namespace("one-call", test).await
}

#[tokio::test]
async fn with_two_places_for_runs_the_others_wait_and_say_so() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.launch_operator(t.operator_launch()?.arg("--max-running=2"))
            .await?
            .ready()
            .await?;
        let names = ["a", "b", "c", "d", "e"];
        for name in names {
            t.stand_in.script(&format!("/{name}"), [Answer::ok().held()]);
            apply_plan(t, name, &[post("call", &t.stand_in.url(&format!("/{name}")))]).await?;
        }
        for name in names {
            create(t, &execution(name, name)).await?;
        }
        let mut ended = 0;
        while ended < names.len() {
            let running = 2.min(names.len() - ended);
            let waiting = names.len() - ended - running;
            let expected = (running, waiting);
            eventually(
                &format!("{running} that run and {waiting} that wait"),
                async || {
                    let all = executions(t).list(&ListParams::default()).await?.items;
                    let count = |phase: &str, message: &str| {
                        let is = |run: &&kube::api::DynamicObject| {
                            text(&run.data, "/status/phase") == phase
                                && text(&run.data, "/status/message").contains(message)
                        };
                        all.iter().filter(is).count()
                    };
                    let seen = (
                        count("Running", ""),
                        count("Pending", "waiting for a place: 2 executions are running"),
                    );
                    assert!(seen.0 <= 2, "{seen:?}");
                    Ok(Seen::when((seen == expected).then_some(()), || {
                        format!("{seen:?}")
                    }))
                },
            )
            .await?;
            let open = t
                .stand_in
                .wait_until("their calls", |all| {
                    (open(all).len() == running).then(|| open(all))
                })
                .await?;
            t.stand_in.release(&open[0]);
            execution_until(t, &open[0][1..], "Succeeded").await?;
            released(t, &open[0][1..]).await?;
            ended += 1;
        }
        assert_eq!(t.stand_in.all().len(), names.len());
        Ok(())
    };
    control_plane.with_namespace("two-runs", test).await
}

#[tokio::test]
async fn what_finds_no_place_before_the_start_deadline_fails_without_any_effect() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let launch = t
            .operator_launch()?
            .arg("--max-running=1")
            .arg("--start-deadline=2s");
        t.launch_operator(launch).await?.ready().await?;
        t.stand_in.script("/slow", [Answer::ok().held()]);
        for name in ["first", "second"] {
            apply_plan(t, name, &[post("call", &t.stand_in.url("/slow"))]).await?;
        }
        create(t, &execution("first", "first")).await?;
        t.stand_in.wait_for("/slow", 1).await?;
        create(t, &execution("second", "second")).await?;
        let ended = execution_until(t, "second", "Failed").await?;
        let message = text(&ended, "/status/message");
        assert!(
            message.starts_with("StartDeadlineExceeded: ") && message.contains("2s"),
            "{message}"
        );
        t.stand_in.release("/slow");
        execution_until(t, "first", "Succeeded").await?;
        assert_eq!(t.stand_in.all().len(), 1);
        Ok(())
    };
    control_plane.with_namespace("too-late", test).await
}
