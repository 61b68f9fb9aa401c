//! Runs of plans, in every situation.

use drplan_cli::view::RunView;
use serde_json::{Value, json};

use crate::parts::{action, at, done, pending, run, stage, workflow};

/// The plan of five stages in the middle of its third.
pub(crate) fn five_stages() -> RunView {
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
pub(crate) fn failed() -> RunView {
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

pub(crate) fn cancelled() -> RunView {
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

pub(crate) fn cancelling() -> RunView {
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

pub(crate) fn unknown() -> RunView {
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

pub(crate) fn chinese() -> RunView {
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
pub(crate) fn two_hundred() -> RunView {
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
pub(crate) fn all_at_once() -> RunView {
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
