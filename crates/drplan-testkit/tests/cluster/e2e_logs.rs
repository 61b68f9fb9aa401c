//! What the operator logs of a run, and what it keeps to itself.

use drplan_testkit::{Answer, TestNamespace};
use serde_json::{Value, json};

use crate::fixtures::{apply_plan, create, event, execution, execution_until, post, text};
use crate::shared;

/// Covers SC-006.
#[tokio::test]
async fn every_line_of_a_run_says_of_which_and_none_shows_a_secret() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = t
            .launch_operator(t.operator_launch()?.arg("--log-level=trace"))
            .await?;
        operator.ready().await?;
        t.stand_in.script("/flaky", [Answer::status(503), Answer::ok()]);
        t.stand_in
            .script("/bad", [Answer::status(400).body("hunter2 is what you sent")]);
        let secret =
            json!({"Authorization": "Bearer hunter2", "X-Api-Key": "hunter2", "Cookie": "id=hunter2"});
        let flaky = post("flaky", &t.stand_in.url("/flaky"))
            .doing("headers", secret.clone())
            .retried(2, "1ms");
        let bad = post("bad", &t.stand_in.url("/bad?token=hunter2")).doing("headers", secret);
        apply_plan(t, "shop", &[flaky, bad]).await?;
        create(t, &execution("run", "shop")).await?;
        let ended = execution_until(t, "run", "Failed").await?;
        event(t, "run", "ExecutionFailed").await?;
        assert_eq!(
            t.stand_in.requests("/flaky")[0].header("authorization"),
            Some("Bearer hunter2")
        );

        let log = operator.log()?;
        let of_run: Vec<&Value> = log.iter().filter(|line| line["execution"] == "run").collect();
        let uid = text(&ended, "/metadata/uid");
        for line in &of_run {
            assert_eq!(
                (text(line, "/plan"), text(line, "/execution_uid")),
                ("shop", uid),
                "{line}"
            );
        }
        for (reason, level, attempt) in [
            ("ExecutionStarted", "INFO", None),
            ("StageStarted", "INFO", None),
            ("WorkflowStarted", "INFO", None),
            ("ActionStarted", "INFO", Some(1)),
            ("ActionRetrying", "WARN", Some(2)),
            ("ActionSucceeded", "INFO", Some(2)),
            ("ActionFailed", "ERROR", Some(1)),
            ("ExecutionFailed", "ERROR", None),
        ] {
            let line = of_run.iter().find(|line| line["reason"] == reason).expect(reason);
            assert_eq!(text(line, "/level").to_uppercase(), level, "{line}");
            assert_eq!(line["attempt"].as_u64(), attempt, "{line}");
            assert_eq!(text(line, "/path").is_empty(), attempt.is_none(), "{line}");
        }
        let shown: Vec<String> = log
            .iter()
            .map(Value::to_string)
            .filter(|line| line.contains("hunter2"))
            .collect();
        assert_eq!(shown, Vec::<String>::new());
        assert!(
            !ended["status"].to_string().contains("hunter2"),
            "{}",
            ended["status"]
        );
        Ok(())
    };
    control_plane.with_namespace("logs", test).await
}
