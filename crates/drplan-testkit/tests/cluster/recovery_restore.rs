//! A hub that is restored from a backup: of etcd, and object by object.

mod objects;

use std::path::Path;

use drplan_testkit::{Answer, ControlPlane, OperatorProcess, TestNamespace};
use serde_json::Value;

use crate::fixtures::{
    annotate, apply_plan, create, event, events, execution, execution_until, executions, job, ours, phases,
    plans, post, released, text,
};
use crate::options;

/// What is stored, as it was at a moment.
struct Backup<'a> {
    control_plane: &'a ControlPlane,
    directory: &'a Path,
}

impl Backup<'_> {
    async fn restore(&self) -> anyhow::Result<()> {
        self.control_plane.restore(self.directory).await
    }
}

/// How often each call came, if each came under one key alone.
fn calls(t: &TestNamespace) -> Vec<usize> {
    let of = |path: &str| {
        let counts = t.stand_in.count_by_key(path);
        assert!(counts.len() <= 1, "{path}: {counts:?}");
        counts.values().sum()
    };
    ["/a", "/b", "/c"].map(of).into()
}

/// Runs the test with a backup taken while call `b` of the run is in flight, and all of the run done since.
async fn after_a_backup(
    name: &str,
    test: impl AsyncFnOnce(&TestNamespace, &OperatorProcess, Backup<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let control_plane = ControlPlane::start(options().await?).await?;
    let here = async |t: &TestNamespace| {
        t.stand_in.script("/b", [Answer::ok().held(), Answer::ok()]);
        let call = |name: &str| post(name, &t.stand_in.url(&format!("/{name}")));
        apply_plan(t, "shop", &[call("a"), job("work"), call("b"), call("c")]).await?;
        apply_plan(t, "later", &[call("d")]).await?;
        apply_plan(t, "idle", &[call("e")]).await?;
        let operator = t
            .launch_operator(t.operator_launch()?.arg("--reconcile-interval=1s"))
            .await?;
        operator.ready().await?;
        create(t, &execution("run", "shop")).await?;
        t.stand_in.wait_for("/b", 1).await?;
        let directory = control_plane.back_up().await?;
        t.stand_in.release("/b");
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        create(t, &execution("later", "later")).await?;
        execution_until(t, "later", "Succeeded").await?;
        released(t, "later").await?;
        annotate(&plans(t), "idle", "edited", Some("since")).await?;
        assert_eq!(calls(t), [1, 1, 1]);
        let backup = Backup {
            control_plane: &control_plane,
            directory: &directory,
        };
        test(t, &operator, backup).await
    };
    control_plane.with_namespace(name, here).await
}

/// The run has been gone on with from the backup.
async fn repeated(t: &TestNamespace) -> anyhow::Result<()> {
    let done = execution_until(t, "run", "Succeeded").await?;
    released(t, "run").await?;
    assert_eq!(
        phases(&done),
        "a Succeeded, work Succeeded, b Succeeded, c Succeeded"
    );
    // What came after the backup is done once more, under the same keys; what came before is not.
    assert_eq!(calls(t), [1, 2, 2]);
    let told = event(t, "run", "ActionRepeated").await?;
    assert_eq!(
        told,
        "Action b: POST is sent again under the same Idempotency-Key"
    );
    // What was created after it is unknown.
    assert!(executions(t).get_opt("later").await?.is_none());
    let later = plans(t).get("later").await?;
    assert!(
        later.data.pointer("/status/executionHistory/0").is_none(),
        "{later:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_run_goes_on_from_a_restored_etcd_and_repeats_what_came_after_the_backup() -> anyhow::Result<()> {
    after_a_backup("restored", async |t, operator, backup| {
        operator.kill9().await?;
        backup.restore().await?;
        operator.restart().await?;
        repeated(t).await
    })
    .await
}

/// Of an operator that lived through the restore: that it has noticed.
fn set_back(line: &Value) -> Option<Value> {
    let says = text(line, "/message").contains("older than what was seen before");
    (says && line["level"] == "ERROR").then(|| line.clone())
}

/// It holds what it has seen for newer than what it finds, and cannot go on. But a new process would do again what the run
/// has done since, so a person decides first.
#[tokio::test]
async fn an_operator_that_lived_through_the_restore_ends_once_somebody_has_decided_about_the_runs()
-> anyhow::Result<()> {
    after_a_backup("restored-under", async |t, operator, backup| {
        // An API server that starts forbids what it has not read the roles for yet.
        t.expect_refusals();
        backup.restore().await?;
        let told = operator.logged("that a run is set back", |line| {
            let told = set_back(line)?;
            text(&told, "/executions").contains("/run").then_some(())
        });
        told.await?;
        event(t, "run", "SetBack").await?;
        // What it can only have learned since is no reason to touch the run.
        create(t, &execution("new", "later")).await?;
        execution_until(t, "new", "Succeeded").await?;
        assert_eq!(calls(t), [1, 1, 1]);
        // Some versions have caught up with what was seen, so it may be this process that goes on, or the next.
        annotate(&executions(t), "run", &ours("resume"), Some("true")).await?;
        assert_eq!(operator.ended().await?, 1);
        let told = events(t, "run").await?;
        let count = told.iter().filter(|event| event.starts_with("SetBack:")).count();
        assert_eq!(count, 1, "{told:?}");
        operator.restart().await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        assert_eq!(calls(t), [1, 2, 2]);
        Ok(())
    })
    .await
}

/// Nobody need decide about runs that had ended. Both the process that leads and the one that stands by start over.
#[tokio::test]
async fn operators_that_lived_through_a_restore_end_by_themselves_where_nothing_would_be_done_again()
-> anyhow::Result<()> {
    let control_plane = ControlPlane::start(options().await?).await?;
    let test = async |t: &TestNamespace| {
        apply_plan(t, "shop", &[post("a", &t.stand_in.url("/a"))]).await?;
        let launch = || {
            anyhow::Ok(
                t.operator_launch()?
                    .arg("--reconcile-interval=1s")
                    .arg("--leader-elect")
                    .arg(format!("--leader-elect-resource-namespace={}", t.name)),
            )
        };
        let one = t.launch_operator(launch()?).await?;
        one.ready().await?;
        let other = t.launch_operator(launch()?).await?;
        other.ready().await?;
        let run = async |name: &str| {
            create(t, &execution(name, "shop")).await?;
            execution_until(t, name, "Succeeded").await?;
            released(t, name).await
        };
        run("before").await?;
        let directory = control_plane.back_up().await?;
        run("since").await?;
        t.expect_refusals();
        control_plane.restore(&directory).await?;
        for operator in [&one, &other] {
            assert_eq!(operator.ended().await?, 1);
            operator.logged("why it ended", set_back).await?;
        }
        one.restart().await?;
        other.restart().await?;
        run("after").await?;
        // Its name was forgotten with what was stored of it.
        run("since").await?;
        assert_eq!(t.stand_in.requests("/a").len(), 4);
        Ok(())
    };
    control_plane.with_namespace("restored-ended", test).await
}

#[tokio::test]
async fn a_run_that_is_cancelled_before_the_operator_is_started_sends_nothing() -> anyhow::Result<()> {
    after_a_backup("restored-cancelled", async |t, operator, backup| {
        operator.kill9().await?;
        backup.restore().await?;
        annotate(&executions(t), "run", &ours("cancel"), Some("true")).await?;
        operator.restart().await?;
        let ended = execution_until(t, "run", "Cancelled").await?;
        released(t, "run").await?;
        assert_eq!(phases(&ended), "a Succeeded, work Succeeded, b Failed, c Skipped");
        assert_eq!(calls(t), [1, 1, 1]);
        Ok(())
    })
    .await
}
