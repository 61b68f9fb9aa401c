//! What an operator keeps once everything that it did is over.

use anyhow::ensure;
use drplan_testkit::{Answer, OperatorProcess, Seen, TestNamespace, eventually, metric_sum, object_until};
use kube::api::DeleteParams;

use crate::fixtures::{
    annotate, apply_plan, create, execution, execution_until, executions, job, post, released, revert,
};
use crate::shared;

/// Runs of each kind in a round.
const RUNS: usize = 6;
/// Rounds that are compared; one before them fills what is kept on purpose, such as connections.
const ROUNDS: usize = 3;
/// Connections that come and go: HTTP keeps some open for a while, and the API server closes them when it likes.
const CONNECTIONS: f64 = 8.0;

/// Successes, failures after retries, cancellations, Reverts, executions that are deleted while they run: of none of them a
/// task, a connection or an entry stays.
#[tokio::test]
async fn nothing_of_a_run_stays_in_the_operator_after_it() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = t.start_operator().await?;
        apply_plan(t, "good", &[post("call", &t.stand_in.url("/good")), job("work")]).await?;
        t.stand_in.script("/bad", [Answer::status(500)]);
        let bad = post("call", &t.stand_in.url("/bad")).retried(2, "10ms");
        apply_plan(t, "bad", &[bad]).await?;
        t.stand_in.script("/held", [Answer::ok().held()]);
        apply_plan(
            t,
            "held",
            &[post("call", &t.stand_in.url("/held")).timeout("10m")],
        )
        .await?;

        round(t, 0).await?;
        let before = at_rest(&operator).await?;
        for number in 1..=ROUNDS {
            round(t, number).await?;
        }
        let kept = eventually("that nothing is kept", async || {
            let after = at_rest(&operator).await?;
            let same = after.tasks <= before.tasks && after.open <= before.open + CONNECTIONS;
            Ok(Seen::when(same.then_some(after), || {
                format!("{after:?} instead of {before:?}")
            }))
        })
        .await?;
        ensure!(kept.executions == 0.0, "{kept:?}");
        Ok(())
    };
    control_plane.with_namespace("leaks", test).await
}

/// Runs of all kinds, each of which is deleted in the end.
async fn round(t: &TestNamespace, number: usize) -> anyhow::Result<()> {
    for run in 0..RUNS {
        let name = |kind: &str| format!("{kind}-{number}-{run}");
        create(t, &execution(&name("good"), "good")).await?;
        create(t, &execution(&name("bad"), "bad")).await?;
        create(t, &execution(&name("held"), "held")).await?;
        execution_until(t, &name("good"), "Succeeded").await?;
        released(t, &name("good")).await?;
        create(t, &revert(&name("back"), "good", &name("good"))).await?;
        execution_until(t, &name("back"), "Succeeded").await?;
        execution_until(t, &name("bad"), "Failed").await?;
        t.stand_in.wait_for("/held", number * RUNS + run + 1).await?;
        match run % 2 {
            0 => {
                let cancel = "dr.bkbcs.tencent.com/cancel";
                annotate(&executions(t), &name("held"), cancel, Some("now")).await?;
                execution_until(t, &name("held"), "Cancelled").await?;
                released(t, &name("held")).await?;
            }
            // Its deletion ends it once the call has its answer.
            _ => {
                let held = name("held");
                executions(t).delete(&held, &DeleteParams::default()).await?;
                t.stand_in.release("/held");
                object_until(&executions(t), &held, "is gone", |object| {
                    object.is_none().then_some(())
                })
                .await?;
            }
        }
        for kind in ["back", "bad"] {
            released(t, &name(kind)).await?;
        }
    }
    executions(t)
        .delete_collection(&DeleteParams::default(), &kube::api::ListParams::default())
        .await?;
    eventually("that all executions are gone", async || {
        let left = executions(t).list(&kube::api::ListParams::default()).await?.items;
        Ok(Seen::when(left.is_empty().then_some(()), || {
            format!("{} are left", left.len())
        }))
    })
    .await
}

/// What an operator keeps.
#[derive(Clone, Copy, Debug)]
struct Kept {
    tasks: f64,
    open: f64,
    executions: f64,
}

/// What is kept once nothing is under way any more.
async fn at_rest(operator: &OperatorProcess) -> anyhow::Result<Kept> {
    eventually("rest", async || {
        let text = operator.metrics().await?;
        let sum = |name: &str| metric_sum(&text, name);
        let kept = Kept {
            tasks: sum("drplan_tasks"),
            open: sum("process_open_fds"),
            executions: sum("drplan_executions"),
        };
        let busy: f64 = [
            "drplan_executions_active",
            "drplan_http_calls_in_flight",
            "drplan_queue_length",
        ]
        .map(sum)
        .iter()
        .sum();
        let rests =
            busy == 0.0 && kept.executions == 0.0 && sum("drplan_events_queued") == 0.0 && kept.tasks > 0.0;
        Ok(Seen::when(rests.then_some(kept), || {
            format!("{busy} under way, {kept:?}")
        }))
    })
    .await
}
