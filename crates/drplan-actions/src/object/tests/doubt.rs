//! Answers that are lost, and objects that change at the last moment.

use super::{
    script::{Answer, exists, held_by, kinds, not_found, ok, stale, status},
    *,
};

const ALL: &str = "POST /api/v1/namespaces/shop/configmaps";
const GET: &str = "GET /api/v1/namespaces/shop/configmaps/a";
const PATCH: &str = "PATCH /api/v1/namespaces/shop/configmaps/a";
const DELETE: &str = "DELETE /api/v1/namespaces/shop/configmaps/a";

/// Every way to lose an answer.
fn lost() -> [Answer; 4] {
    [
        Answer::Broken,
        Answer::Hang,
        status(504, "Timeout", "request did not complete"),
        Answer::Text(502, "<html>bad gateway</html>"),
    ]
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_answer_a_look_tells_whether_it_was_created() {
    for lost in lost() {
        let there = Script::new([(ALL, lost.clone()), (GET, ok(ours(&[MANAGER])))]);
        assert_written(perform(&there, &create()).await, "u1", true);
        there.seen();
        let absent = Script::new([(ALL, lost.clone()), (GET, not_found())]);
        failed(perform(&absent, &create()).await, FailureKind::ApiUnavailable);
        let other = Script::new([(ALL, lost), (GET, ok(foreign("u9")))]);
        failed(perform(&other, &create()).await, FailureKind::ApiUnavailable);
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_exists_and_may_not_be_read_may_be_ours() {
    let script = Script::new([(ALL, exists()), (GET, status(403, "Forbidden", "no"))]);
    failed(perform(&script, &create()).await, FailureKind::OutcomeUnknown);
}

#[tokio::test(start_paused = true)]
async fn after_its_deadline_an_object_is_found_and_not_created() {
    let late = || match create() {
        ObjectCommand::Write(write) => ObjectCommand::Write(ObjectWrite {
            deadline: clock::now(),
            ..write
        }),
        other @ (ObjectCommand::Look(_) | ObjectCommand::Delete(_)) => other,
    };
    let script = Script::new([(GET, ok(ours(&[MANAGER])))]);
    assert_written(perform(&script, &late()).await, "u1", true);
    let script = Script::new([(GET, not_found())]);
    failed(perform(&script, &late()).await, FailureKind::NotCreated);
    let script = Script::new([(GET, ok(foreign("u9")))]);
    failed(perform(&script, &late()).await, FailureKind::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn an_apply_whose_answer_was_lost_made_what_is_ours_alone() {
    for lost in lost() {
        let script = Script::new([(GET, not_found()), (PATCH, lost), (GET, ok(ours(&[MANAGER])))]);
        assert_written(perform(&script, &apply()).await, "u1", true);
        script.seen();
    }
}

#[tokio::test(start_paused = true)]
async fn an_apply_whose_answer_was_lost_is_repeated_once_and_counts_as_found_unless_it_is_ours_alone() {
    let shared = || ok(ours(&[MANAGER, "kubectl"]));
    let script = Script::new([
        (GET, not_found()),
        (PATCH, Answer::Broken),
        (GET, shared()),
        (PATCH, shared()),
    ]);
    assert_written(perform(&script, &apply()).await, "u1", false);
    script.seen();
    let script = Script::new([
        (GET, not_found()),
        (PATCH, Answer::Broken),
        (GET, not_found()),
        (PATCH, Answer::Broken),
    ]);
    failed(perform(&script, &apply()).await, FailureKind::ApiUnavailable);
    script.seen();
}

#[tokio::test(start_paused = true)]
async fn an_apply_that_met_what_appeared_at_the_last_moment_takes_its_marks_off_again() {
    let mixed = || ok(ours(&["kubectl", MANAGER]));
    let script = Script::new([
        (GET, not_found()),
        (PATCH, mixed()),
        (GET, mixed()),
        (PATCH, ok(foreign("u1"))),
    ]);
    assert_written(perform(&script, &apply()).await, "u1", false);
    let seen = script.seen();
    let annotations = |at: usize| &seen[at].body["metadata"]["annotations"];
    assert_eq!(annotations(2)[labels::EXECUTION_UID], "6f1e");
    assert_eq!(*annotations(4), Value::Null);
}

#[tokio::test(start_paused = true)]
async fn fields_of_the_plan_are_taken_over_only_from_the_version_whose_conflicts_were_told() {
    let other = || held_by("drplan:1111111111:3333333333");
    let script = Script::new([
        (GET, ok(foreign("u9"))),
        (PATCH, other()),
        (PATCH, stale()),
        (GET, ok(foreign("u9"))),
        (PATCH, other()),
        (PATCH, ok(foreign("u9"))),
    ]);
    assert_written(perform(&script, &apply()).await, "u9", false);
    let seen = script.seen();
    assert!(
        !seen[2].query.contains("force=true") && seen[3].query.contains("force=true"),
        "{seen:?}"
    );
    assert_eq!(seen[2].body["metadata"]["resourceVersion"], Value::Null);
    assert_eq!(seen[3].body["metadata"]["resourceVersion"], "7");
    assert_eq!(seen[2].content_type, "application/apply-patch+yaml");
}

#[tokio::test(start_paused = true)]
async fn a_patch_whose_answer_was_lost_may_be_repeated_unless_it_is_a_json_patch() {
    for lost in lost() {
        let check = async |kind, expect| {
            let script = Script::new([(PATCH, lost.clone())]);
            failed(perform(&script, &patch(kind)).await, expect);
            let seen = script.seen();
            assert_eq!(seen.len(), 2, "sent once");
            assert_eq!(seen[1].body, json!({"data": {"k": "v"}}), "as it was written");
            seen[1].content_type.clone()
        };
        let merge = check(PatchType::Merge, FailureKind::ApiUnavailable).await;
        assert_eq!(merge, "application/merge-patch+json");
        let strategic = check(PatchType::Strategic, FailureKind::ApiUnavailable).await;
        assert_eq!(strategic, "application/strategic-merge-patch+json");
        let json = check(PatchType::Json, FailureKind::OutcomeUnknown).await;
        assert_eq!(json, "application/json-patch+json");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_whose_answer_was_lost_has_deleted_what_is_gone_and_spares_its_successor() {
    let deleted = |deletion| ObjectOutcome::Deleted(deletion);
    for lost in lost() {
        for after in [not_found(), ok(foreign("u2"))] {
            let script = Script::new([(GET, ok(foreign("u1"))), (DELETE, lost.clone()), (GET, after)]);
            let outcome = perform(&script, &delete(None)).await;
            assert_eq!(outcome, Ok(deleted(Deletion::Deleted)));
            let seen = script.seen();
            assert_eq!(seen[2].body["preconditions"], json!({"uid": "u1"}));
            assert_eq!(seen[2].body["propagationPolicy"], "Background");
        }
    }
    let script = Script::new([
        (GET, ok(foreign("u1"))),
        (DELETE, stale()),
        (GET, ok(foreign("u2"))),
    ]);
    let outcome = perform(&script, &delete(Some("u1"))).await;
    assert_eq!(outcome, Ok(deleted(Deletion::WasReplaced)));
    let script = Script::new([
        (GET, ok(foreign("u1"))),
        (DELETE, not_found()),
        (GET, not_found()),
    ]);
    let outcome = perform(&script, &delete(Some("u1"))).await;
    assert_eq!(outcome, Ok(deleted(Deletion::WasAbsent)));
}

#[tokio::test(start_paused = true)]
async fn reads_outlast_an_api_server_that_does_not_answer_until_the_deadline() {
    let look = || {
        ObjectCommand::Look(Look {
            target: target("ConfigMap"),
            await_gone: false,
            lists: Vec::new(),
            deadline: clock::now().plus_millis(60_000),
        })
    };
    let script = Script::bare([
        ("GET /api/v1", Answer::Broken),
        ("GET /api/v1", status(503, "ServiceUnavailable", "starting")),
        ("GET /api/v1", kinds()),
        (GET, Answer::Hang),
        (GET, status(429, "TooManyRequests", "later")),
        (GET, ok(foreign("u1"))),
    ]);
    let found = ObjectOutcome::Found {
        before: Before::Present("u1".to_owned()),
        marks: None,
        lists: Vec::new(),
    };
    assert_eq!(perform(&script, &look()).await, Ok(found));
    script.seen();
    let script = Script::new([(GET, Answer::Broken)]);
    failed(perform(&script, &look()).await, FailureKind::ApiUnavailable);
    let script = Script::new([(GET, status(403, "Forbidden", "no"))]);
    failed(perform(&script, &look()).await, FailureKind::Forbidden);
    assert_eq!(script.seen().len(), 2, "a missing right is told at once");
}

#[tokio::test(start_paused = true)]
async fn a_kind_whose_path_is_gone_is_asked_for_again() {
    let script = Script::new([(GET, ok(foreign("u1")))]);
    let performer = performer(&script);
    let look = ObjectCommand::Look(Look {
        target: target("ConfigMap"),
        await_gone: false,
        lists: Vec::new(),
        deadline: clock::now().plus_millis(60_000),
    });
    let looked = async || {
        performer
            .perform_object(&Identity::Operator, &identity(), &look)
            .await
    };
    looked().await.unwrap();
    looked().await.unwrap();
    assert_eq!(script.seen().len(), 3, "the kind is asked for once");
    script.then([
        (GET, Answer::Text(404, "404 page not found\n")),
        ("GET /api/v1", kinds()),
        (GET, not_found()),
    ]);
    let Ok(ObjectOutcome::Found { before, .. }) = looked().await else {
        panic!("it is found to be absent")
    };
    assert_eq!(before, Before::Absent);
    script.seen();
}
