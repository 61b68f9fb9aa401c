//! Pictures of runs, kept as text beside this file. A stale one is rewritten, and the test fails once.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::{fs, path::Path};

use drplan_api::Time;
use drplan_cli::{
    tree::{Look, render},
    view::RunView,
};
use serde_json::{Value, json};

/// Seconds after ten o'clock.
fn at(seconds: f64) -> Time {
    let start: Time = "2026-01-30T10:00:00.000Z".parse().unwrap();
    start.plus_millis((seconds * 1000.0) as u64)
}

/// An action: name, phase, seconds from begin to end, and what is added.
fn action(name: &str, phase: &str, times: (f64, f64), more: Value) -> Value {
    let mut action = json!({"name": name, "phase": phase, "attempts": 1});
    if phase != "Pending" && phase != "Skipped" {
        action["startTime"] = json!(at(times.0));
    }
    if phase == "Succeeded" || phase == "Failed" {
        action["completionTime"] = json!(at(times.1));
    }
    for (key, value) in more.as_object().into_iter().flatten() {
        action[key] = value.clone();
    }
    action
}

fn done(name: &str, from: f64, to: f64) -> Value {
    let message = json!({"message": "HTTP request completed with status 200"});
    action(name, "Succeeded", (from, to), message)
}

fn pending(name: &str) -> Value {
    action(name, "Pending", (0.0, 0.0), json!({}))
}

/// A workflow or a stage over its parts: phase and times follow from them.
fn group(mut group: Value, parts: &[Value], phase: &str) -> Value {
    let of = |field: &'static str| parts.iter().filter_map(move |part| part[field].as_str());
    if let Some(first) = of("startTime").min() {
        group["startTime"] = json!(first);
    }
    if let Some(last) = of("completionTime")
        .max()
        .filter(|_| phase == "Succeeded" || phase == "Failed")
    {
        group["completionTime"] = json!(last);
    }
    group["phase"] = json!(phase);
    group
}

fn workflow(name: &str, phase: &str, actions: Vec<Value>) -> Value {
    let used = json!({"workflowRef": {"name": name, "namespace": "shop"}, "actionStatuses": actions});
    group(used, &actions, phase)
}

fn stage(name: &str, phase: &str, workflows: Vec<Value>, more: Value) -> Value {
    let mut stage = json!({"name": name, "workflowExecutions": workflows});
    for (key, value) in more.as_object().into_iter().flatten() {
        stage[key] = value.clone();
    }
    group(stage, &workflows, phase)
}

fn run(phase: &str, stages: Vec<Value>, more: Value) -> RunView {
    let mut status = json!({
        "phase": phase, "plan": "shop-failover", "operationType": "Execute",
        "startTime": at(0.0), "stageStatuses": stages,
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        status[key] = value.clone();
    }
    RunView::read(&json!({
        "metadata": {"name": "shop-failover-20260130-100000", "namespace": "shop", "uid": "u"},
        "status": status,
    }))
}

/// The plan of five stages in the middle of its third.
fn five_stages() -> RunView {
    let promote = |begin: f64| {
        vec![
            action(
                "promote",
                "Running",
                (begin, 0.0),
                json!({
                    "attempts": 3, "attemptTime": at(78.0),
                    "message": "the server answered 503 Service Unavailable",
                }),
            ),
            pending("verify"),
        ]
    };
    run(
        "Running",
        vec![
            stage(
                "notify",
                "Succeeded",
                vec![workflow(
                    "notify",
                    "Succeeded",
                    vec![done("tell-on-call", 0.2, 0.5)],
                )],
                json!({}),
            ),
            stage(
                "stop-writes",
                "Succeeded",
                vec![workflow(
                    "stop-writes",
                    "Succeeded",
                    vec![done("read-only", 0.5, 0.9), done("last-backup", 0.9, 41.0)],
                )],
                json!({}),
            ),
            stage(
                "promote-databases",
                "Running",
                vec![
                    workflow("promote-database", "Running", promote(41.2)),
                    workflow(
                        "promote-database",
                        "Running",
                        vec![
                            done("promote", 41.2, 44.0),
                            action(
                                "verify",
                                "Running",
                                (44.0, 0.0),
                                json!({
                                    "outputs": {"jobRef": {"name": "verify-9d2kq7x1ab", "namespace": "shop"}},
                                }),
                            ),
                        ],
                    ),
                ],
                json!({"parallel": true, "dependsOn": ["stop-writes"]}),
            ),
            stage(
                "move-traffic",
                "Pending",
                vec![workflow(
                    "move-traffic",
                    "Pending",
                    vec![pending("switch-dns"), pending("warm-caches"), pending("announce")],
                )],
                json!({"dependsOn": ["promote-databases"]}),
            ),
            stage(
                "clean-up",
                "Pending",
                vec![workflow("clean-up", "Pending", vec![pending("archive")])],
                json!({"dependsOn": ["move-traffic", "notify"]}),
            ),
        ],
        json!({"deadline": at(1800.0)}),
    )
}

/// A run that has failed at its second action.
fn failed() -> RunView {
    let cause = "connecting to https://ops.shop.example/databases/orders/promote failed: the certificate has expired on \
                 2026-01-29; renew it and run the plan again, or set insecureSkipVerify for a drill";
    let skipped = |name: &str| {
        action(
            name,
            "Skipped",
            (0.0, 0.0),
            json!({"message": "skipped: promote failed"}),
        )
    };
    let message = "skipped: stage promote-databases failed";
    run(
        "Failed",
        vec![
            stage(
                "stop-writes",
                "Succeeded",
                vec![workflow(
                    "stop-writes",
                    "Succeeded",
                    vec![done("read-only", 0.0, 0.4)],
                )],
                json!({}),
            ),
            stage(
                "promote-databases",
                "Failed",
                vec![workflow(
                    "promote-database",
                    "Failed",
                    vec![
                        action(
                            "promote",
                            "Failed",
                            (0.4, 12.0),
                            json!({"attempts": 4, "message": cause}),
                        ),
                        skipped("verify"),
                    ],
                )],
                json!({"message": "1 of 1 workflows failed"}),
            ),
            stage(
                "move-traffic",
                "Skipped",
                vec![{
                    let mut skipped = workflow(
                        "move-traffic",
                        "Skipped",
                        vec![action(
                            "switch-dns",
                            "Skipped",
                            (0.0, 0.0),
                            json!({"message": message}),
                        )],
                    );
                    skipped["message"] = json!(message);
                    skipped
                }],
                json!({"message": message}),
            ),
        ],
        json!({
            "completionTime": at(12.1),
            "message": "Action 'promote-databases/promote-database[0]/promote' failed: the certificate has expired; mend the cause, then create a new execution",
        }),
    )
}

fn cancelled() -> RunView {
    let skipped = |name: &str| action(name, "Skipped", (0.0, 0.0), json!({"message": "cancelled"}));
    run(
        "Cancelled",
        vec![stage(
            "stop-writes",
            "Failed",
            vec![workflow(
                "stop-writes",
                "Failed",
                vec![done("read-only", 0.0, 0.4), skipped("last-backup")],
            )],
            json!({"message": "cancelled"}),
        )],
        json!({"completionTime": at(0.5), "message": "Execution cancelled by user"}),
    )
}

fn cancelling() -> RunView {
    run(
        "Running",
        vec![stage(
            "stop-writes",
            "Running",
            vec![workflow(
                "stop-writes",
                "Running",
                vec![
                    done("read-only", 0.0, 0.4),
                    action("last-backup", "Running", (0.4, 0.0), json!({})),
                ],
            )],
            json!({}),
        )],
        json!({
            "cancellation": {"time": at(3.0), "reason": "by user"},
            "message": "cancelling: waiting for stop-writes/stop-writes[0]/last-backup",
        }),
    )
}

fn unknown() -> RunView {
    run(
        "Unknown",
        vec![stage(
            "stop-writes",
            "Running",
            vec![workflow(
                "stop-writes",
                "Running",
                vec![
                    action(
                        "read-only",
                        "Running",
                        (0.0, 0.0),
                        json!({"message": "sent, and no answer is stored"}),
                    ),
                    pending("last-backup"),
                ],
            )],
            json!({}),
        )],
        json!({
            "unknownSince": at(200.0),
            "message": "no answer from the API server for 2m; in flight: stop-writes/stop-writes[0]/read-only (sent at 10:00:00)",
        }),
    )
}

fn chinese() -> RunView {
    run(
        "Running",
        vec![
            stage(
                "通知值班人员",
                "Succeeded",
                vec![workflow("通知", "Succeeded", vec![done("发送短信", 0.0, 0.3)])],
                json!({}),
            ),
            stage(
                "切换数据库",
                "Running",
                vec![workflow(
                    "mysql-主从切换",
                    "Running",
                    vec![
                        action(
                            "停止写入",
                            "Running",
                            (0.3, 0.0),
                            json!({
                                "attempts": 2, "attemptTime": at(9.0),
                                "message": "数据库管理接口返回了 503：主库仍有未完成的事务，请等待事务结束后重试，或者联系数据库管理员处理长事务",
                            }),
                        ),
                        pending("提升从库"),
                    ],
                )],
                json!({}),
            ),
        ],
        json!({}),
    )
}

/// Two hundred actions, the 121st of which runs.
fn two_hundred() -> RunView {
    let actions: Vec<Value> = (0..200)
        .map(|index| {
            let name = format!("step-{index:03}");
            match index {
                0..120 if index == 50 => {
                    action(&name, "Failed", (50.0, 51.0), json!({"message": "answered 500"}))
                }
                0..120 => done(&name, f64::from(index), f64::from(index) + 0.9),
                120 => action(&name, "Running", (120.0, 0.0), json!({})),
                _ => pending(&name),
            }
        })
        .collect();
    run(
        "Running",
        vec![
            stage(
                "before",
                "Succeeded",
                vec![workflow("before", "Succeeded", vec![done("a", 0.0, 0.1)])],
                json!({}),
            ),
            stage(
                "many",
                "Running",
                vec![workflow("many", "Running", actions)],
                json!({}),
            ),
            stage(
                "after",
                "Pending",
                vec![workflow("after", "Pending", vec![pending("z")])],
                json!({}),
            ),
        ],
        json!({}),
    )
}

/// Thirty workflows that run at once: nothing can be folded.
fn all_at_once() -> RunView {
    let workflows = (0..30).map(|_| {
        workflow(
            "copy",
            "Running",
            vec![
                action("copy", "Running", (1.0, 0.0), json!({})),
                pending("verify"),
            ],
        )
    });
    run(
        "Running",
        vec![stage(
            "copies",
            "Running",
            workflows.collect(),
            json!({"parallel": true}),
        )],
        json!({}),
    )
}

fn check(name: &str, run: &RunView, now: Time, look: &Look) {
    let lines = render(run, now, look);
    let shown: String = lines.iter().map(|line| format!("{}\n", line.plain())).collect();
    for line in &lines {
        let is_command = line.plain().contains("kubectl drplan");
        assert!(
            line.width() <= look.width || is_command,
            "{name}: {}",
            line.plain()
        );
    }
    if let Some(height) = look.height {
        assert!(lines.len() <= height, "{name}: {} lines", lines.len());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/tree/{name}.txt"));
    if fs::read_to_string(&path).unwrap_or_default() != shown {
        fs::write(&path, &shown).unwrap();
        panic!(
            "{} was stale and has been rewritten; look at it:\n{shown}",
            path.display()
        );
    }
}

fn look(width: usize, height: Option<usize>) -> Look {
    Look {
        height,
        flags: " -n shop".to_owned(),
        live: height.is_some(),
        ..Look::wide(width)
    }
}

#[test]
fn five_stages_with_a_retry_narrow_and_wide() {
    check("five-stages-80", &five_stages(), at(70.0), &look(80, None));
    check("five-stages-200", &five_stages(), at(70.0), &look(200, None));
    check("five-stages-40", &five_stages(), at(70.0), &look(40, None));
    check(
        "five-stages-attempt-under-way",
        &five_stages(),
        at(80.0),
        &look(80, None),
    );
}

#[test]
fn a_small_screen_folds_what_has_ended_then_what_has_not_begun() {
    check("five-stages-80x20", &five_stages(), at(70.0), &look(80, Some(20)));
    check("five-stages-80x12", &five_stages(), at(70.0), &look(80, Some(12)));
    check("five-stages-80x5", &five_stages(), at(70.0), &look(80, Some(5)));
}

#[test]
fn a_failure_has_its_cause_below_and_the_next_commands_at_the_end() {
    check("failed-80", &failed(), at(500.0), &look(80, None));
    check("failed-200", &failed(), at(500.0), &look(200, None));
}

#[test]
fn cancelled_cancelling_and_unknown_say_what_can_be_done() {
    check("cancelled", &cancelled(), at(500.0), &look(80, None));
    check("cancelling", &cancelling(), at(5.0), &look(80, Some(24)));
    check("unknown", &unknown(), at(500.0), &look(80, None));
}

#[test]
fn chinese_is_aligned() {
    check("chinese-80", &chinese(), at(5.0), &look(80, None));
    check("chinese-40", &chinese(), at(5.0), &look(40, None));
}

#[test]
fn two_hundred_actions_fit_on_a_screen_of_24_rows() {
    check(
        "two-hundred-80x24",
        &two_hundred(),
        at(125.0),
        &look(80, Some(24)),
    );
    check(
        "all-at-once-80x24",
        &all_at_once(),
        at(125.0),
        &look(80, Some(24)),
    );
}

#[test]
fn a_terminal_of_ascii_is_served_too() {
    let ascii = Look {
        unicode: false,
        ..look(80, None)
    };
    check("five-stages-ascii", &five_stages(), at(70.0), &ascii);
}

#[test]
fn a_run_that_has_not_begun_says_what_it_waits_for() {
    let run = RunView::read(&json!({
        "metadata": {"name": "x", "namespace": "shop"},
        "spec": {"planRef": "shop-failover", "operationType": "Execute"},
        "status": {"phase": "Pending", "message": "waiting for a place: 500 executions are running (--max-running)"},
    }));
    check("pending", &run, at(0.0), &look(80, Some(24)));
}

#[test]
fn no_size_of_a_screen_breaks_it() {
    for run in [five_stages(), failed(), chinese(), two_hundred(), all_at_once()] {
        for width in [1, 2, 5, 10, 17, 33, 79, 300] {
            for height in [1, 2, 3, 7, 9, 11, 50] {
                let lines = render(&run, at(130.0), &look(width, Some(height)));
                assert!(lines.len() <= height);
            }
        }
    }
}

#[test]
fn colours_are_names_of_the_terminal_and_never_backgrounds() {
    for line in render(&failed(), at(500.0), &look(80, None)) {
        for code in line.coloured().split("\x1b[").skip(1) {
            let code = code.split('m').next().unwrap();
            assert!(
                ["0", "1", "2", "32", "35", "36", "1;31"].contains(&code),
                "{code}"
            );
        }
    }
}
