//! A process that stood still while another took over: it begins nothing, writes nothing and claims nothing back.

use std::ops::RangeInclusive;

use anyhow::{Context, bail, ensure};
use drplan_testkit::{Answer, AuditQuery, OperatorLaunch, TestNamespace};
use futures::{StreamExt, stream};
use serde_json::Value;

use crate::fixtures::{
    action_of, annotate, apply_plan, create, execution, execution_until, executions, job, logged, phases,
    post, released, text,
};
use crate::shared;

/// Cases under way at once: a case mostly waits for its Job.
const AT_ONCE: usize = 5;

/// Where a process stands still, and how many requests arrive in the end.
struct Case {
    stops: &'static str,
    first: RangeInclusive<usize>,
    last: RangeInclusive<usize>,
    /// Whether the execution is there before the process.
    is_found: bool,
}

const fn case(stops: &'static str, first: RangeInclusive<usize>, last: RangeInclusive<usize>) -> Case {
    Case {
        stops,
        first,
        last,
        is_found: false,
    }
}

impl Case {
    const fn found(mut self) -> Self {
        self.is_found = true;
        self
    }
}

/// The run is POST `first`, a Job `work` of 6 s, POST `last`. The process goes on when its successor has sent `last`: if
/// it stopped before the Job, that is more than 5 s after its newest intent, and it must ask before it sends.
const CASES: &[Case] = &[
    case("before-intent", 1..=1, 1..=1),
    // What a process finds may be its to claim; not any more once it has changed it.
    case("before-intent", 1..=1, 1..=1).found(),
    case("after-intent", 1..=1, 1..=1),
    case("before-effect", 1..=1, 1..=1),
    case("after-effect", 2..=2, 1..=1),
    case("before-result", 2..=2, 1..=1),
    case("after-result", 1..=1, 1..=1),
    case("before-effect#2", 1..=1, 1..=1),
    case("after-effect#2", 1..=1, 1..=1),
    case("before-result#3", 1..=1, 1..=1),
    // Its intent was persisted a moment ago, so it may still be sent.
    case("after-result#3", 1..=1, 1..=2),
    case("before-effect#4", 1..=1, 1..=2),
    case("before-end", 1..=1, 2..=2),
];

#[tokio::test]
async fn stopped_past_its_successors_start_a_process_begins_nothing_and_writes_nothing() -> anyhow::Result<()>
{
    let control_plane = shared().await?;
    let outcomes: Vec<(String, anyhow::Result<()>)> = stream::iter(CASES.iter().enumerate())
        .map(|(number, case)| {
            let control_plane = control_plane.clone();
            async move {
                let test = async |t: &TestNamespace| stand_still(t, case).await;
                let outcome = control_plane
                    .with_namespace(&format!("stopped-{number}"), test)
                    .await;
                let found = if case.is_found { ", found" } else { "" };
                (format!("{}{found}", case.stops), outcome)
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    if outcomes.iter().all(|(_, outcome)| outcome.is_ok()) {
        return Ok(());
    }
    let lines = outcomes.iter().map(|(stops, outcome)| {
        let outcome = outcome
            .as_ref()
            .map_or_else(|error| format!("{error:#}"), |()| "ok".to_owned());
        format!("{stops:20} {outcome}\n")
    });
    bail!("stopped at:\n{}", lines.collect::<String>())
}

async fn stand_still(t: &TestNamespace, case: &Case) -> anyhow::Result<()> {
    let answers = match case.stops {
        // The process that will stop has its answer.
        "before-end" => vec![Answer::ok(), Answer::ok().held()],
        _ => vec![Answer::ok().held()],
    };
    t.stand_in.script("/last", answers);
    apply_three(t).await?;
    let launch = operator_as(t, "first")?.env("DRPLAN_FAULT", format!("{}=stop", case.stops));
    let (stopped, created) = if case.is_found {
        let created = create(t, &execution("run", "shop")).await?;
        (t.launch_operator(launch).await?, created)
    } else {
        let stopped = t.launch_operator(launch).await?;
        stopped.ready().await?;
        (stopped, create(t, &execution("run", "shop")).await?)
    };
    stopped.stopped().await?;

    let successor = t.launch_operator(operator_as(t, "second")?).await?;
    successor.ready().await?;
    let sent = if case.stops == "before-end" { 2 } else { 1 };
    t.stand_in.wait_for("/last", sent).await?;
    let claimed = epoch_now(t).await?;

    let since = since_now(t, "first");
    stopped.cont()?;
    logged(&stopped, "the run is dropped").await?;
    looks_again(t, &since).await?;
    let writes = successful_writes(&since)?;
    ensure!(writes.is_empty(), "after it went on it wrote {writes:?}");

    t.stand_in.release("/last");
    let done = execution_until(t, "run", "Succeeded").await?;
    released(t, "run").await?;
    ensure!(
        phases(&done) == "first Succeeded, work Succeeded, last Succeeded",
        phases(&done)
    );
    ensure!(
        epoch(&done).as_ref() == Some(&claimed),
        "another process has claimed it"
    );
    let status_writes = since
        .clone()
        .resource("drplanexecutions")
        .subresource("status")
        .code(200);
    ensure!(status_writes.entries()?.is_empty(), "it wrote a status");
    let jobs = t
        .audit()
        .resource("jobs")
        .verb("create")
        .code(201)
        .wait_for(1)
        .await?;
    ensure!(jobs.len() == 1, "{} Jobs were created", jobs.len());
    let uid = created.metadata.uid.context("it was created")?;
    for (name, expected) in [("first", &case.first), ("last", &case.last)] {
        let counts = t.stand_in.count_by_key(&format!("/{name}"));
        let count = counts
            .get(&format!("{uid}/main/shop[0]/{name}"))
            .copied()
            .unwrap_or(0);
        ensure!(
            counts.len() == 1 && expected.contains(&count),
            "requests of {name}: {counts:?} instead of {expected:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_call_in_flight_of_a_process_that_stood_still_comes_to_nothing() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.stand_in
            .script("/first", [Answer::ok().held(), Answer::status(204)]);
        t.stand_in.script("/last", [Answer::ok().held()]);
        apply_three(t).await?;
        let stopped = t.launch_operator(operator_as(t, "first")?).await?;
        stopped.ready().await?;
        create(t, &execution("run", "shop")).await?;
        t.stand_in.wait_for("/first", 1).await?;
        stopped.stop()?;
        let successor = t.launch_operator(operator_as(t, "second")?).await?;
        successor.ready().await?;
        t.stand_in.wait_for("/last", 1).await?;
        let claimed = epoch_now(t).await?;
        // Its answer waits for it.
        t.stand_in.release("/first");

        let since = since_now(t, "first");
        stopped.cont()?;
        logged(&stopped, "the run is dropped").await?;
        looks_again(t, &since).await?;
        assert_eq!(successful_writes(&since)?, Vec::<String>::new());
        t.stand_in.release("/last");
        let done = execution_until(t, "run", "Succeeded").await?;
        assert_eq!(epoch(&done), Some(claimed));
        // What counts is what the one who acted on it saw.
        assert_eq!(
            action_of(&done, "main/shop[0]/first")["outputs"]["statusCode"],
            204
        );
        let counts = ["/first", "/last"].map(|path| t.stand_in.count_by_key(path));
        assert!(
            counts[0].values().eq([&2]) && counts[1].values().eq([&1]),
            "{counts:?}"
        );
        Ok(())
    };
    control_plane.with_namespace("claim-in-flight", test).await
}

#[tokio::test]
async fn a_claim_that_comes_too_late_is_no_claim() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.stand_in.script("/last", [Answer::ok().held()]);
        apply_three(t).await?;
        let dead = t
            .launch_operator(t.operator_launch()?.env("DRPLAN_FAULT", "after-result=kill"))
            .await?;
        create(t, &execution("run", "shop")).await?;
        assert_eq!(dead.ended().await?, 128 + 9);
        let late = operator_as(t, "first")?.env("DRPLAN_FAULT", "before-claim=stop");
        let late = t.launch_operator(late).await?;
        late.stopped().await?;

        let successor = t.launch_operator(operator_as(t, "second")?).await?;
        successor.ready().await?;
        t.stand_in.wait_for("/last", 1).await?;
        let claimed = epoch_now(t).await?;
        let since = since_now(t, "first");
        late.cont()?;
        logged(&late, &format!("the run is left to process {claimed}")).await?;
        assert!(successful_writes(&since)?.is_empty());

        t.stand_in.release("/last");
        let done = execution_until(t, "run", "Succeeded").await?;
        assert_eq!(epoch(&done), Some(claimed));
        for path in ["/first", "/last"] {
            assert_eq!(t.stand_in.requests(path).len(), 1, "{path}");
        }
        Ok(())
    };
    control_plane.with_namespace("claim-late", test).await
}

#[tokio::test]
async fn of_two_operators_that_see_a_new_execution_one_runs_it() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        for user in ["first", "second", "third"] {
            t.launch_operator(operator_as(t, user)?).await?.ready().await?;
        }
        apply_plan(
            t,
            "shop",
            &[post("first", &t.stand_in.url("/first")), job("work")],
        )
        .await?;
        for name in ["a", "b", "c"] {
            create(t, &execution(name, "shop")).await?;
            execution_until(t, name, "Succeeded").await?;
            released(t, name).await?;
        }
        let counts = t.stand_in.count_by_key("/first");
        assert!(
            counts.len() == 3 && counts.values().all(|count| *count == 1),
            "{counts:?}"
        );
        Ok(())
    };
    control_plane.with_namespace("claim-together", test).await
}

async fn apply_three(t: &TestNamespace) -> anyhow::Result<()> {
    let actions = [
        post("first", &t.stand_in.url("/first")).timeout("10m"),
        job("work").told("seconds", "6"),
        // It is held for as long as the test takes.
        post("last", &t.stand_in.url("/last")).timeout("10m"),
    ];
    apply_plan(t, "shop", &actions).await
}

/// An operator with a user of its own, by which the audit log tells it from others.
fn operator_as(t: &TestNamespace, user: &str) -> anyhow::Result<OperatorLaunch> {
    let kubeconfig = t
        .control_plane
        .kubeconfig_for(&user_of(t, user), Some("system:masters"))?;
    Ok(t.operator_launch()?.kubeconfig(kubeconfig))
}

fn user_of(t: &TestNamespace, user: &str) -> String {
    format!("{user}:{}", t.name)
}

/// Waits until the process that dropped the run has looked at it again, and then for each of two changes: whoever may
/// claim it does so at the first look.
async fn looks_again(t: &TestNamespace, since: &AuditQuery) -> anyhow::Result<()> {
    let reads = since
        .clone()
        .resource("drplanexecutions")
        .subresource("")
        .name("run")
        .verb("get");
    // When it was refused, when its task ended, and then to see whose run it is.
    reads.wait_for(3).await?;
    for change in ["first", "second"] {
        let before = reads.entries()?.len();
        annotate(&executions(t), "run", "example.com/change", Some(change)).await?;
        reads.wait_for(before + 1).await?;
    }
    Ok(())
}

fn since_now(t: &TestNamespace, user: &str) -> AuditQuery {
    let user = user_of(t, user);
    t.control_plane.audit().from_now().namespace(&t.name).user(&user)
}

fn successful_writes(query: &AuditQuery) -> anyhow::Result<Vec<String>> {
    let writes = ["create", "update", "patch", "delete", "deletecollection"];
    let query = writes.iter().fold(query.clone(), |query, verb| query.verb(verb));
    let found = query.entries()?.into_iter().filter(|entry| entry.code() < 300);
    // Of what was persisted before it stopped may be told.
    let found = found.filter(|entry| {
        entry
            .object_ref
            .as_ref()
            .is_none_or(|object| object.resource != "events")
    });
    Ok(found
        .map(|entry| format!("{} {} ({})", entry.verb, entry.request_uri, entry.code()))
        .collect())
}

/// Who acts on it, read live.
async fn epoch_now(t: &TestNamespace) -> anyhow::Result<String> {
    let run = executions(t).get("run").await?;
    epoch(&run.data).context("it was claimed")
}

fn epoch(execution: &Value) -> Option<String> {
    let process = text(execution, "/status/epoch/process");
    (!process.is_empty()).then(|| process.to_owned())
}
