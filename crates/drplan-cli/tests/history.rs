//! The table of a plan's runs.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use drplan_api::Time;
use drplan_cli::history::lines;
use serde_json::{Value, json};

fn at(minute: u64, second: u64) -> Time {
    let start: Time = "2026-01-30T10:00:00.000Z".parse().unwrap();
    start.plus_millis((minute * 60 + second) * 1000)
}

fn execution(name: &str, operation: &str, phase: &str, minute: u64, more: Value) -> Value {
    let mut status = json!({
        "phase": phase, "plan": "shop", "operationType": operation,
        "startTime": at(minute, 0), "completionTime": at(minute, 12),
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        status[key] = value.clone();
    }
    json!({"metadata": {"name": name, "uid": name}, "status": status})
}

/// Three runs, two Reverts of one of them, and one that is gone.
fn runs(columns: usize) -> Vec<String> {
    let by =
        |wholly: bool, by: &str| json!({"undone": {"wholly": wholly, "actions": [{"path": "p", "by": by}]}});
    let of = |name: &str| json!({"reverts": {"name": name, "uid": name}});
    let executions = [
        execution(
            "shop-20260130-100100",
            "Execute",
            "Succeeded",
            1,
            by(true, "shop-revert-20260130-100300"),
        ),
        execution(
            "shop-revert-20260130-100200",
            "Revert",
            "Failed",
            2,
            of("shop-20260130-100100"),
        ),
        execution(
            "shop-revert-20260130-100300",
            "Revert",
            "Succeeded",
            3,
            of("shop-20260130-100100"),
        ),
        execution("双活切换-演练", "Execute", "Succeeded", 4, json!({})),
        execution("shop-20260130-100500", "Execute", "Failed", 5, by(false, "back")),
    ];
    let history = json!({"executionHistory": [{
        "uid": "gone", "name": "shop-20260130-100000", "operationType": "Execute", "phase": "Succeeded",
        "startTime": at(0, 0), "completionTime": at(0, 30), "requestedBy": "ann",
    }]});
    lines(&history, &executions, at(10, 0), Some(columns))
}

#[test]
fn a_revert_names_what_it_undoes_and_a_run_what_undid_it() {
    assert_eq!(
        runs(200),
        [
            "NAME                          OPERATION   PHASE                 STARTED (UTC)         TOOK   BY    NOTE",
            "shop-20260130-100500          Execute     Failed                2026-01-30 10:05:00   12s          undone in part by back",
            "双活切换-演练                 Execute     Succeeded             2026-01-30 10:04:00   12s",
            "shop-revert-20260130-100300   Revert      Succeeded             2026-01-30 10:03:00   12s          of shop-20260130-100100",
            "shop-revert-20260130-100200   Revert      Failed                2026-01-30 10:02:00   12s          of shop-20260130-100100",
            "shop-20260130-100100          Execute     Succeeded             2026-01-30 10:01:00   12s          undone by shop-revert-20260130-100300",
            "shop-20260130-100000          Execute     Succeeded (deleted)   2026-01-30 10:00:00   30s    ann",
        ]
    );
}

#[test]
fn on_a_narrow_screen_each_run_has_a_second_line() {
    assert_eq!(
        runs(80),
        [
            "NAME                          PHASE       STARTED (UTC)         TOOK",
            "shop-20260130-100500          Failed      2026-01-30 10:05:00   12s",
            "  Execute, undone in part by back",
            "双活切换-演练                 Succeeded   2026-01-30 10:04:00   12s",
            "  Execute",
            "shop-revert-20260130-100300   Succeeded   2026-01-30 10:03:00   12s",
            "  Revert of shop-20260130-100100",
            "shop-revert-20260130-100200   Failed      2026-01-30 10:02:00   12s",
            "  Revert of shop-20260130-100100",
            "shop-20260130-100100          Succeeded   2026-01-30 10:01:00   12s",
            "  Execute, undone by shop-revert-20260130-100300",
            "shop-20260130-100000          Succeeded   2026-01-30 10:00:00   30s",
            "  Execute, deleted, by ann",
        ]
    );
}

#[test]
fn a_plan_that_never_ran_has_no_lines() {
    assert_eq!(lines(&json!(null), &[], at(0, 0), None), Vec::<String>::new());
}
