//! What an operator tells Prometheus of what it did.

mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::Context;
use drplan_testkit::{Answer, OperatorProcess, Seen, TestNamespace, eventually, promtool};

use crate::e2e_admission;
use crate::fixtures::{
    apply, apply_plan, create, execution, execution_until, job, plan, post, released, revert,
};
use crate::recovery_start::take_snapshot;
use crate::shared;

/// The samples of a scrape, as written: `name{label="value"}` and the value.
async fn scrape(operator: &OperatorProcess) -> anyhow::Result<BTreeMap<String, f64>> {
    let text = operator.metrics().await?;
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (sample, value) = line.rsplit_once(' ').context("a value")?;
            Ok((sample.to_owned(), value.parse()?))
        })
        .collect()
}

/// The samples once all of `wanted` are so. The watch tells the index a moment after a status is stored.
async fn scrape_until(
    operator: &OperatorProcess,
    wanted: &[(&str, f64)],
) -> anyhow::Result<BTreeMap<String, f64>> {
    eventually("the metrics", async || {
        let found = scrape(operator).await?;
        let wrong: Vec<_> = wanted
            .iter()
            .filter(|(sample, value)| found.get(*sample) != Some(value))
            .map(|(sample, value)| format!("{sample} is {:?} instead of {value}", found.get(*sample)))
            .collect();
        let done = wrong.is_empty().then_some(found);
        Ok(Seen::when(done, || wrong.join("\n")))
    })
    .await
}

/// What promtool has to say about a scrape: parse errors, and names against the conventions.
fn lint(text: &str) -> anyhow::Result<String> {
    let mut child = Command::new(promtool()?)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .context("it is piped")?
        .write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    Ok(String::from_utf8([output.stdout, output.stderr].concat())?)
}

/// The names in the first column of the table of metrics.
fn documented() -> BTreeSet<&'static str> {
    let docs = include_str!("../../../../docs/operations.md");
    let section = docs
        .split("\n### ")
        .find(|section| section.starts_with("Metrics\n"));
    let rows = section
        .unwrap_or_default()
        .lines()
        .filter(|line| line.starts_with("| `"));
    rows.filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect()
}

#[tokio::test]
async fn metrics_follow_what_runs_did_and_what_is() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = t.start_operator().await?;
        t.stand_in
            .script("/flaky", [Answer::status(503), Answer::status(503), Answer::ok()]);
        t.stand_in.script("/broken", [Answer::status(400)]);
        let url = |path: &str| t.stand_in.url(path);
        let actions = [
            post("flaky", &url("/flaky"))
                .retried(3, "1ms")
                .undone_by(post("", &url("/back"))),
            job("work"),
        ];
        apply_plan(t, "shop", &actions).await?;
        apply_plan(t, "broken", &[post("call", &url("/broken"))]).await?;
        apply(t, &plan("invalid").stage("main", &["nowhere"])).await?;
        for (run, plan, end) in [("run", "shop", "Succeeded"), ("fails", "broken", "Failed")] {
            create(t, &execution(run, plan)).await?;
            execution_until(t, run, end).await?;
            released(t, run).await?;
        }
        create(t, &revert("undo", "shop", "run")).await?;
        execution_until(t, "undo", "Succeeded").await?;
        released(t, "undo").await?;

        let samples = scrape_until(
            &operator,
            &[
                (r#"drplan_executions{phase="Succeeded"}"#, 2.0),
                (r#"drplan_executions{phase="Failed"}"#, 1.0),
                (r#"drplan_executions{phase="Running"}"#, 0.0),
                (
                    r#"drplan_executions_ended_total{operation="Execute",phase="Succeeded"}"#,
                    1.0,
                ),
                (
                    r#"drplan_executions_ended_total{operation="Execute",phase="Failed"}"#,
                    1.0,
                ),
                (
                    r#"drplan_executions_ended_total{operation="Execute",phase="Cancelled"}"#,
                    0.0,
                ),
                (
                    r#"drplan_executions_ended_total{operation="Revert",phase="Succeeded"}"#,
                    1.0,
                ),
                (
                    r#"drplan_action_duration_seconds_count{type="HTTP",outcome="Succeeded"}"#,
                    2.0,
                ),
                (
                    r#"drplan_action_duration_seconds_count{type="HTTP",outcome="Failed"}"#,
                    1.0,
                ),
                (
                    r#"drplan_action_duration_seconds_count{type="Job",outcome="Succeeded"}"#,
                    1.0,
                ),
                (
                    r#"drplan_action_duration_seconds_count{type="Deletion",outcome="Succeeded"}"#,
                    1.0,
                ),
                (r#"drplan_action_retries_total{type="HTTP"}"#, 2.0),
                (r#"drplan_plans{phase="Invalid"}"#, 1.0),
                (r#"drplan_plans{phase="Ready"}"#, 2.0),
                (r#"drplan_workflows{phase="Ready"}"#, 2.0),
                ("drplan_executions_active", 0.0),
                ("drplan_executions_active_max", 500.0),
                ("drplan_http_calls_in_flight", 0.0),
                ("drplan_leader", 1.0),
                ("drplan_events_lost_total", 0.0),
                ("drplan_events_queued", 0.0),
                (r#"drplan_execution_oldest_age_seconds{phase="Running"}"#, 0.0),
            ],
        )
        .await?;
        let now = jiff::Timestamp::now().as_duration().as_secs_f64();
        let failed = r#"drplan_execution_last_end_timestamp_seconds{operation="Execute",phase="Failed"}"#;
        for (sample, least, most) in [
            (failed, now - 600.0, now),
            ("drplan_api_last_contact_timestamp_seconds", now - 600.0, now),
            (
                r#"drplan_status_write_duration_seconds_count{kind="execution"}"#,
                8.0,
                100.0,
            ),
            ("process_resident_memory_bytes", 1e6, 1e9),
            ("process_open_fds", 4.0, 1000.0),
        ] {
            let value = samples.get(sample).copied().with_context(|| sample.to_owned())?;
            assert!((least..=most).contains(&value), "{sample} {value}");
        }

        // A run that hangs in a call, one that waits for a plan, and a successor of the operator that finds no snapshot.
        t.stand_in.script("/flaky", [Answer::ok().held()]);
        create(t, &execution("hangs", "shop")).await?;
        t.stand_in.wait_for("/flaky", 4).await?;
        create(t, &execution("waits", "nowhere")).await?;
        let under_way = [
            (r#"drplan_executions{phase="Running"}"#, 1.0),
            (r#"drplan_executions{phase="Pending"}"#, 1.0),
            ("drplan_http_calls_in_flight", 1.0),
        ];
        let samples = scrape_until(&operator, &under_way).await?;
        assert!(
            samples[r#"drplan_execution_oldest_age_seconds{phase="Running"}"#] > 0.0,
            "{samples:?}"
        );
        operator.kill9().await?;
        take_snapshot(t, "hangs").await?;
        operator.restart().await?;
        let after = [
            (r#"drplan_executions{phase="Unknown"}"#, 1.0),
            (r#"drplan_executions{phase="Running"}"#, 0.0),
            (
                r#"drplan_executions_ended_total{operation="Execute",phase="Succeeded"}"#,
                0.0,
            ),
            (failed, samples[failed]),
        ];
        scrape_until(&operator, &after).await?;
        Ok(())
    };
    control_plane.with_namespace("metrics", test).await
}

#[tokio::test]
async fn metrics_are_named_by_the_conventions_and_each_is_documented() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = e2e_admission::start(t).await?;
        t.stand_in.script("/call", [Answer::status(503), Answer::ok()]);
        apply_plan(
            t,
            "shop",
            &[post("call", &t.stand_in.url("/call")).retried(1, "1ms")],
        )
        .await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        let retried = [
            (r#"drplan_action_retries_total{type="HTTP"}"#, 1.0),
            (r#"drplan_executions{phase="Succeeded"}"#, 1.0),
        ];
        scrape_until(&operator, &retried).await?;
        let text = operator.metrics().await?;
        assert_eq!(lint(&text)?, "");
        let families: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        assert_eq!(families, documented());
        // No label tells a name.
        for name in ["shop", "run", t.name.as_str()] {
            assert!(!text.contains(&format!("\"{name}\"")), "{name}: {text}");
        }
        e2e_admission::unregister(t).await
    };
    control_plane.with_namespace("metrics-names", test).await
}
