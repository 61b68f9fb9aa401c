//! Creating: once, whatever happens to the answer.

use std::io::ErrorKind;

use super::{
    script::{Answer, Script, exists, forbidden, not_found, ok, status, unavailable},
    *,
};

async fn create(script: &Script, deadline: Time) -> Outcome {
    perform(script.client(), JobWatch::new(), creation(deadline)).await
}

#[tokio::test(start_paused = true)]
async fn a_job_is_created_as_it_was_rendered() {
    let script = Script::new([("POST jobs", Answer::Json(201, running("u1")))]);
    assert_created(create(&script, in_an_hour()).await, "u1");
    let sent = script.seen().remove(0);
    let Command::CreateJob(creation) = creation(in_an_hour()) else {
        unreachable!()
    };
    assert_eq!(sent.body, creation.manifest);
    assert_eq!(sent.query, "&fieldManager=drplan%3Aa%3Ab");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_this_attempt_made_is_adopted() {
    let script = Script::new([("POST jobs", exists()), ("GET jobs/migrate", ok(complete("u1")))]);
    assert_created(create(&script, in_an_hour()).await, "u1");
    script.seen();
}

#[tokio::test(start_paused = true)]
async fn our_job_is_adopted_even_while_it_is_being_deleted() {
    let script = Script::new([
        ("POST jobs", exists()),
        ("GET jobs/migrate", ok(deleting(running("u1")))),
    ]);
    assert_created(create(&script, in_an_hour()).await, "u1");
    script.seen();
}

#[tokio::test(start_paused = true)]
async fn a_job_of_an_earlier_attempt_that_arrived_late_is_adopted() {
    let script = Script::new([("POST jobs", exists()), ("GET jobs/migrate", ok(running("u1")))]);
    let creation = creation_of(3, in_an_hour());
    let outcome = perform_as(3, script.client(), JobWatch::new(), creation).await;
    assert_created(outcome, "u1");
    script.seen();
}

#[tokio::test(start_paused = true)]
async fn a_job_of_a_later_attempt_or_of_none_is_not_ours() {
    let mut unmarked = running("u1");
    unmarked["metadata"]["annotations"]["dr.bkbcs.tencent.com/attempt"] = json!("first");
    let mut elsewhere = running("u1");
    elsewhere["metadata"]["annotations"]["dr.bkbcs.tencent.com/action-path"] = json!("db/mysql[1]/migrate");
    let later = job("u1", 2, json!([]));
    for found in [later, job("u1", 0, json!([])), unmarked, elsewhere] {
        let script = Script::new([("POST jobs", exists()), ("GET jobs/migrate", ok(found))]);
        let failure = failure(create(&script, in_an_hour()).await, FailureKind::AlreadyExists);
        assert_eq!(
            failure.message,
            "Job shop/migrate exists and was not made by this attempt: delete it, or give the Job another name"
        );
        script.seen();
    }
}

#[tokio::test(start_paused = true)]
async fn a_namesake_that_is_being_deleted_is_waited_for() {
    let other = || ok(deleting(job("u0", 9, json!([]))));
    let script = Script::new([
        ("POST jobs", exists()),
        ("GET jobs/migrate", other()),
        ("POST jobs", exists()),
        ("GET jobs/migrate", not_found()),
        ("POST jobs", Answer::Json(201, running("u1"))),
    ]);
    assert_created(create(&script, in_an_hour()).await, "u1");
    script.seen();
}

#[tokio::test(start_paused = true)]
async fn a_namesake_that_does_not_go_in_time_is_named_with_its_finalizers() {
    let other = || ok(deleting(job("u0", 9, json!([]))));
    let script = Script::new([
        ("POST jobs", exists()),
        ("GET jobs/migrate", other()),
        ("GET jobs/migrate", other()),
    ]);
    let outcome = create(&script, clock::now().plus_millis(500)).await;
    let failure = failure(outcome, FailureKind::AlreadyExists);
    let expect = "Job shop/migrate exists and is still being deleted (finalizers: foregroundDeletion)";
    assert_eq!(failure.message, expect);
    script.seen();
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_answer_a_look_tells_whether_there_is_a_job() {
    let lost = [
        Answer::Broken(ErrorKind::ConnectionReset),
        unavailable(),
        status(504, "Timeout", "request did not complete"),
        Answer::Hang,
    ];
    for lost in lost {
        let there = Script::new([
            ("POST jobs", lost.clone()),
            ("GET jobs/migrate", ok(running("u1"))),
        ]);
        assert_created(create(&there, in_an_hour()).await, "u1");
        there.seen();
        let absent = Script::new([("POST jobs", lost), ("GET jobs/migrate", not_found())]);
        failure(create(&absent, in_an_hour()).await, FailureKind::ApiUnavailable);
        absent.seen();
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_never_answers_leaves_the_outcome_unknown() {
    let script = Script::new([("POST jobs", Answer::Hang), ("GET jobs/migrate", Answer::Hang)]);
    failure(create(&script, in_an_hour()).await, FailureKind::OutcomeUnknown);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_final_and_needs_no_look() {
    let check = async |answer: Answer, kind: FailureKind| {
        let script = Script::new([("POST jobs", answer)]);
        let failure = failure(create(&script, in_an_hour()).await, kind);
        assert!(
            failure.message.starts_with("create Job shop/migrate: "),
            "{}",
            failure.message
        );
        assert_eq!(script.seen().len(), 1);
    };
    check(forbidden(), FailureKind::Forbidden).await;
    check(
        status(422, "Invalid", "spec.template: Required value"),
        FailureKind::Invalid,
    )
    .await;
    check(
        status(404, "NotFound", "namespaces \"shop\" not found"),
        FailureKind::Invalid,
    )
    .await;
    check(
        status(429, "TooManyRequests", "later"),
        FailureKind::ApiUnavailable,
    )
    .await;
    check(
        Answer::Broken(ErrorKind::ConnectionRefused),
        FailureKind::ApiUnavailable,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_namesake_that_may_not_be_read_may_be_ours() {
    let script = Script::new([("POST jobs", exists()), ("GET jobs/migrate", forbidden())]);
    failure(create(&script, in_an_hour()).await, FailureKind::OutcomeUnknown);
}

#[tokio::test(start_paused = true)]
async fn after_the_deadline_a_job_is_found_but_not_created() {
    let script = Script::new([("GET jobs/migrate", ok(complete("u1")))]);
    assert_created(create(&script, an_hour_ago()).await, "u1");
    let script = Script::new([("GET jobs/migrate", not_found())]);
    failure(create(&script, an_hour_ago()).await, FailureKind::NotCreated);
    let script = Script::new([("GET jobs/migrate", ok(job("u0", 9, json!([]))))]);
    failure(create(&script, an_hour_ago()).await, FailureKind::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn a_manifest_without_our_annotations_is_not_sent() {
    let Command::CreateJob(mut creation) = creation(in_an_hour()) else {
        unreachable!()
    };
    creation.manifest["metadata"]["annotations"] = annotations(2);
    let script = Script::new([("POST jobs", Answer::Hang)]);
    let outcome = perform(script.client(), JobWatch::new(), Command::CreateJob(creation)).await;
    failure(outcome, FailureKind::Render);
    assert!(script.seen().is_empty());
}
