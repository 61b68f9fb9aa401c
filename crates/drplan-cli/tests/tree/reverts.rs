//! Pictures of Reverts, and of runs that were undone.

use drplan_cli::view::RunView;
use serde_json::{Value, json};

use crate::{
    check, look,
    parts::{EXECUTE, action, at, done, object, pending, run, stage, workflow},
};

const REVERT: &str = "shop-failover-revert-20260130-101500";

fn revert(phase: &str, stages: Vec<Value>, more: Value) -> RunView {
    let status = json!({"operationType": "Revert", "reverts": {"name": EXECUTE, "uid": "u"}});
    RunView::read(&object(REVERT, phase, stages, [status, more]))
}

/// What there is nothing to undo of, and why.
fn nothing(name: &str, why: &str) -> Value {
    let why = json!({"nothingToUndo": true, "message": why});
    action(name, "Skipped", (0.0, 0.0), why)
}

fn no_rollback(name: &str) -> Value {
    nothing(
        name,
        "an HTTP call has no undo but its rollback, and none is defined",
    )
}

fn deleted(name: &str, times: (f64, f64)) -> Value {
    let message = json!({"message": format!("Job shop/{name}-9d2kq7x1ab deleted")});
    action(name, "Succeeded", times, message)
}

/// A stage of one workflow of the same name.
fn of_one(name: &str, phase: &str, actions: Vec<Value>, more: Value) -> Value {
    let mut stage = stage(name, phase, vec![workflow(name, phase, actions)], more.clone());
    if phase == "Skipped" {
        stage["workflowExecutions"][0]["message"] = more["message"].clone();
    }
    stage
}

fn notified() -> Value {
    let why = json!({"message": "nothing to undo"});
    of_one("notify", "Skipped", vec![no_rollback("tell-on-call")], why)
}

fn move_traffic() -> Value {
    let actions = vec![
        done("switch-dns", 1.4, 1.8),
        deleted("warm-caches", (0.1, 1.4)),
        no_rollback("announce"),
    ];
    of_one(
        "move-traffic",
        "Succeeded",
        actions,
        json!({"dependsOn": ["promote-databases"]}),
    )
}

fn promoted(phase: &str, workflows: [Value; 2], more: Value) -> Value {
    let mut stage = stage("promote-databases", phase, workflows.into(), more);
    stage["parallel"] = json!(true);
    stage["dependsOn"] = json!(["stop-writes"]);
    stage
}

/// Its second stage is under way, the first of the plan comes last.
fn under_way() -> RunView {
    let refused = json!({
        "attempts": 2, "attemptTime": at(9.0), "message": "the server answered 503 Service Unavailable",
    });
    let workflows = [
        workflow(
            "promote-database",
            "Running",
            vec![
                action("promote", "Running", (2.6, 0.0), refused),
                deleted("verify", (1.9, 2.6)),
            ],
        ),
        workflow(
            "promote-database",
            "Running",
            vec![
                pending("promote"),
                action("verify", "Running", (1.9, 0.0), json!({})),
            ],
        ),
    ];
    revert(
        "Running",
        vec![
            notified(),
            of_one(
                "stop-writes",
                "Pending",
                vec![pending("read-only"), pending("last-backup")],
                json!({}),
            ),
            promoted("Running", workflows, json!({})),
            move_traffic(),
        ],
        json!({}),
    )
}

fn succeeded() -> RunView {
    let promoted_one = |from: f64| {
        workflow(
            "promote-database",
            "Succeeded",
            vec![
                done("promote", from + 1.0, from + 1.3),
                deleted("verify", (from, from + 1.0)),
            ],
        )
    };
    revert(
        "Succeeded",
        vec![
            notified(),
            of_one(
                "stop-writes",
                "Succeeded",
                vec![done("read-only", 3.6, 3.9), deleted("last-backup", (3.2, 3.6))],
                json!({}),
            ),
            promoted("Succeeded", [promoted_one(1.9), promoted_one(1.9)], json!({})),
            move_traffic(),
        ],
        json!({
            "completionTime": at(3.9),
            "message": format!("{EXECUTE} is undone: 8 actions undone, 2 had nothing to undo, in 3.9s"),
        }),
    )
}

fn failed() -> RunView {
    let why = "stage promote-databases failed";
    let skipped = |name: &str, why: &str| action(name, "Skipped", (0.0, 0.0), json!({"message": why}));
    let cause =
        "https://ops.shop.example/databases/orders/demote answered 409 Conflict: writes are not drained";
    let workflows = [
        workflow(
            "promote-database",
            "Failed",
            vec![
                action("promote", "Failed", (2.6, 2.9), json!({"message": cause})),
                deleted("verify", (1.9, 2.6)),
            ],
        ),
        workflow(
            "promote-database",
            "Succeeded",
            vec![done("promote", 2.6, 2.9), deleted("verify", (1.9, 2.6))],
        ),
    ];
    revert(
        "Failed",
        vec![
            notified(),
            of_one(
                "stop-writes",
                "Skipped",
                vec![skipped("read-only", why), skipped("last-backup", why)],
                json!({"message": why}),
            ),
            promoted("Failed", workflows, json!({"message": "1 of 2 workflows failed"})),
            move_traffic(),
        ],
        json!({
            "completionTime": at(2.9),
            "message": format!(
                "Undo of 'promote-databases/promote-database[0]/promote' failed: {cause}; not undone: \
                 stop-writes/stop-writes[0]/read-only, stop-writes/stop-writes[0]/last-backup, \
                 promote-databases/promote-database[0]/promote; mend the cause, then create a new Revert, which goes \
                 on from there"
            ),
        }),
    )
}

/// A Revert that was refused before it began.
fn refused(message: &str) -> RunView {
    RunView::read(&json!({
        "metadata": {"name": REVERT, "namespace": "shop", "uid": "u"},
        "spec": {"planRef": "shop-failover", "operationType": "Revert", "revertExecutionRef": EXECUTE},
        "status": {"phase": "Failed", "message": message, "completionTime": at(0.1)},
    }))
}

fn chinese() -> RunView {
    let mut run = revert(
        "Running",
        vec![
            of_one(
                "通知值班人员",
                "Skipped",
                vec![nothing("发送短信", "没有定义回滚")],
                json!({"message": "nothing to undo"}),
            ),
            of_one(
                "切换数据库",
                "Running",
                vec![
                    action("停止写入", "Running", (0.3, 0.0), json!({})),
                    done("提升从库", 0.0, 0.3),
                ],
                json!({}),
            ),
        ],
        json!({}),
    );
    run.name = "双活切换-回滚".to_owned();
    run
}

/// An Execute that has Succeeded, of which this is undone.
fn undone(undone: Value) -> RunView {
    let actions = vec![done("read-only", 0.0, 0.4)];
    run(
        "Succeeded",
        vec![of_one("stop-writes", "Succeeded", actions, json!({}))],
        json!({"completionTime": at(0.4), "message": "1 action succeeded in 400ms", "undone": undone}),
    )
}

#[test]
fn a_revert_is_shown_in_the_order_in_which_it_undoes() {
    check("revert-80", &under_way(), at(5.0), &look(80, None));
    check("revert-200", &under_way(), at(5.0), &look(200, None));
    check("revert-40", &under_way(), at(5.0), &look(40, None));
    check("revert-80x16", &under_way(), at(5.0), &look(80, Some(16)));
}

#[test]
fn a_revert_that_has_ended_says_what_it_undid_and_what_is_left() {
    check("revert-succeeded-80", &succeeded(), at(500.0), &look(80, None));
    check("revert-failed-80", &failed(), at(500.0), &look(80, None));
    check("revert-failed-200", &failed(), at(500.0), &look(200, None));
}

#[test]
fn a_refusal_says_what_would_be_accepted() {
    let not_succeeded = format!(
        "RevertTargetNotSucceeded: execution `{EXECUTE}` ended Failed; to undo as much of it as was done, write \
         spec.allowPartial: true"
    );
    check(
        "revert-refused",
        &refused(&not_succeeded),
        at(5.0),
        &look(80, None),
    );
    let already = format!(
        "AlreadyReverted: execution `{EXECUTE}` is undone already by back; there is nothing left to revert"
    );
    check(
        "revert-refused-already",
        &refused(&already),
        at(5.0),
        &look(80, None),
    );
    let lock = "Plan has an execution in progress: shop-failover-20260130-101000";
    check("revert-refused-lock", &refused(lock), at(5.0), &look(80, None));
}

#[test]
fn a_run_says_what_was_undone_of_it() {
    check("undone-not", &undone(json!(null)), at(500.0), &look(80, None));
    let by = |wholly: bool| json!({"wholly": wholly, "actions": [{"path": "p", "done": true, "by": REVERT}]});
    check("undone-in-part", &undone(by(false)), at(500.0), &look(80, None));
    check("undone-wholly", &undone(by(true)), at(500.0), &look(80, None));
}

#[test]
fn a_revert_in_chinese_is_aligned() {
    check("revert-chinese-80", &chinese(), at(5.0), &look(80, None));
}
