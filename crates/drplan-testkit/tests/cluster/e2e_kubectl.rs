//! What a person sees who has only kubectl.

mod proxied;

use std::process::Stdio;

use anyhow::{Context, bail};
use drplan_testkit::{Seen, TestNamespace, eventually};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::fixtures::{apply_plan, create, execution, execution_until, post, released, text};
use crate::shared;

/// Runs kubectl in the test's namespace with `input`, and returns what it prints.
async fn kubectl(t: &TestNamespace, args: &[&str], input: &str) -> anyhow::Result<String> {
    let mut child = Command::new(t.control_plane.binaries().path("kubectl"))
        .arg(format!("--kubeconfig={}", t.control_plane.kubeconfig().display()))
        .arg(format!("--namespace={}", t.name))
        .args(args)
        // Its cache of what the API server knows.
        .env("HOME", t.control_plane.dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("it is piped")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        bail!("kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The cells of a table of one row, without the column AGE.
fn cells(table: &str) -> (Vec<&str>, Vec<&str>) {
    let mut lines = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    (lines.next().unwrap_or_default(), lines.next().unwrap_or_default())
}

/// Covers US1.1, US12.1, FR-023, SC-007.
#[tokio::test]
async fn kubectl_waits_for_the_end_and_shows_the_columns() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        apply_plan(
            t,
            "shop",
            &[post("a", &t.stand_in.url("/a")), post("b", &t.stand_in.url("/b"))],
        )
        .await?;
        create(t, &execution("run", "shop")).await?;
        let waited = kubectl(
            t,
            &["wait", "--for=condition=Complete", "--timeout=60s", "drpe/run"],
            "",
        )
        .await?;
        assert!(waited.contains("condition met"), "{waited}");
        released(t, "run").await?;

        let table = kubectl(t, &["get", "drpe", "-l", "drplan=shop"], "").await?;
        let (head, row) = cells(&table);
        assert_eq!(head, ["NAME", "PLAN", "OPERATION", "PHASE", "PROGRESS", "AGE"]);
        assert_eq!(
            row[..5],
            ["run", "shop", "Execute", "Succeeded", "2/2"],
            "{table}"
        );
        let table = eventually("the plan's row", async || {
            let table = kubectl(t, &["get", "drp", "shop"], "").await?;
            Ok(Seen::when(
                table.contains("Executed").then(|| table.clone()),
                || table,
            ))
        })
        .await?;
        let (head, row) = cells(&table);
        assert_eq!(head, ["NAME", "STAGES", "PHASE", "CURRENT", "AGE"]);
        assert_eq!(row[..3], ["shop", "1", "Executed"], "{table}");
        let table = kubectl(t, &["get", "drwf", "shop"], "").await?;
        let (head, row) = cells(&table);
        assert_eq!(head, ["NAME", "ACTIONS", "PHASE", "AGE"]);
        assert_eq!(row[..3], ["shop", "2", "Ready"], "{table}");
        Ok(())
    };
    control_plane.with_namespace("kubectl", test).await
}

/// The user guide's quick start, with this namespace for `default` and the stand-in for the host.
const QUICK_START: [&str; 3] = [
    include_str!("../../../drplan-api/tests/guide/0140-simple-notify.yaml"),
    include_str!("../../../drplan-api/tests/guide/0180-my-first-plan.yaml"),
    include_str!("../../../drplan-api/tests/guide/0203-my-first-execution.yaml"),
];

/// Covers SC-001.
#[tokio::test]
async fn the_quick_start_of_the_guide_runs_as_it_is_written() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        for manifest in QUICK_START {
            let here = manifest
                .replace("namespace: default", &format!("namespace: {}", t.name))
                .replace("https://notify.example.com/webhook", &t.stand_in.url("/webhook"));
            kubectl(t, &["apply", "--validate=strict", "-f", "-"], &here).await?;
        }
        let done = execution_until(t, "my-first-execution", "Succeeded").await?;
        let sent = t.stand_in.requests("/webhook");
        assert_eq!((sent.len(), sent[0].method.as_str()), (1, "POST"));
        let body = sent[0].json()?;
        assert_eq!(body["message"], "容灾预案已触发");
        // The flat lists of the guide, and the time of the action's own start.
        let flat = &done["status"]["actionStatuses"][0];
        assert_eq!(
            (text(flat, "/name"), text(flat, "/phase")),
            ("send-notification", "Succeeded")
        );
        assert_eq!(done["status"]["outputs"][0]["statusCode"], 200);
        assert_eq!(
            text(&body, "/timestamp").get(..19),
            text(flat, "/startTime").get(..19)
        );
        assert_eq!(text(&done, "/status/stageStatuses/0/name"), "default");
        Ok(())
    };
    control_plane.with_namespace("quick-start", test).await
}
