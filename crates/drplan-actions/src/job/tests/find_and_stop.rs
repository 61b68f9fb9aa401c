//! Finding without creating, stopping, and the time to live.

use super::{
    script::{Answer, Script, forbidden, not_found, ok, status, unavailable},
    *,
};

async fn find(script: &Script) -> Outcome {
    perform(script.client(), JobWatch::new(), Command::FindJob(job_ref(None))).await
}

async fn stop(script: &Script, uid: Option<&str>) -> Outcome {
    perform(script.client(), JobWatch::new(), Command::StopJob(job_ref(uid))).await
}

#[tokio::test(start_paused = true)]
async fn a_job_is_found_by_its_annotations_or_was_never_created() {
    let script = Script::new([
        ("GET jobs/migrate", unavailable()),
        ("GET jobs/migrate", ok(running("u1"))),
    ]);
    assert_created(find(&script).await, "u1");
    let script = Script::new([("GET jobs/migrate", not_found())]);
    failure(find(&script).await, FailureKind::NotCreated);
    let script = Script::new([("GET jobs/migrate", ok(job("u1", 2, json!([]))))]);
    failure(find(&script).await, FailureKind::NotCreated);
    for silent in [unavailable(), forbidden(), Answer::Hang] {
        let script = Script::new([("GET jobs/migrate", silent)]);
        failure(find(&script).await, FailureKind::OutcomeUnknown);
    }
}

#[tokio::test(start_paused = true)]
async fn a_running_job_is_stopped_with_its_pods() {
    for uid in [None, Some("u1")] {
        let script = Script::new([
            ("GET jobs/migrate", ok(running("u1"))),
            ("DELETE jobs/migrate", ok(deleting(running("u1")))),
        ]);
        failure(stop(&script, uid).await, FailureKind::Stopped);
        let sent = &script.seen()[1].body;
        assert_eq!(sent["propagationPolicy"], "Foreground");
        assert_eq!(sent["preconditions"]["uid"], "u1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_has_ended_keeps_its_result_and_stays() {
    let script = Script::new([("GET jobs/migrate", ok(complete("u1")))]);
    assert_eq!(stop(&script, Some("u1")).await, Outcome::JobSucceeded);
    let script = Script::new([("GET jobs/migrate", ok(failed("u1"))), ("GET pods", forbidden())]);
    failure(stop(&script, Some("u1")).await, FailureKind::JobFailed);
    let script = Script::new([
        ("GET jobs/migrate", ok(running("u1"))),
        ("DELETE jobs/migrate", status(409, "Conflict", "modified")),
        ("GET jobs/migrate", ok(complete("u1"))),
    ]);
    assert_eq!(stop(&script, Some("u1")).await, Outcome::JobSucceeded);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_not_there_was_stopped_if_it_was_created() {
    let check = async |uid: Option<&str>, answer: Answer, kind: FailureKind| {
        let script = Script::new([("GET jobs/migrate", answer)]);
        failure(stop(&script, uid).await, kind);
        assert_eq!(script.seen().len(), 1);
    };
    check(Some("u1"), not_found(), FailureKind::Stopped).await;
    check(Some("u1"), ok(running("u2")), FailureKind::Stopped).await;
    check(None, not_found(), FailureKind::NotCreated).await;
    check(None, ok(job("u2", 2, json!([]))), FailureKind::NotCreated).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_may_not_be_deleted_leaves_the_outcome_unknown() {
    let script = Script::new([
        ("GET jobs/migrate", ok(running("u1"))),
        ("DELETE jobs/migrate", forbidden()),
        ("GET jobs/migrate", forbidden()),
    ]);
    failure(stop(&script, Some("u1")).await, FailureKind::OutcomeUnknown);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_refuses_a_deletion_with_404_has_not_said_that_the_job_is_gone() {
    let words = "admission webhook \"keep.example.com\" denied the request: keep it";
    let rounds: [(&str, Answer); 60] = std::array::from_fn(|number| match number % 2 {
        0 => ("GET jobs/migrate", ok(running("u1"))),
        _ => ("DELETE jobs/migrate", status(404, "NotFound", words)),
    });
    let outcome = failure(
        stop(&Script::new(rounds), Some("u1")).await,
        FailureKind::OutcomeUnknown,
    );
    assert!(outcome.message.contains(words), "{}", outcome.message);
}

#[tokio::test(start_paused = true)]
async fn the_time_to_live_is_set_on_that_very_job() {
    let script = Script::new([("PATCH jobs/migrate", ok(complete("u1")))]);
    let performer = Performer::new(
        script.client(),
        HttpCaller::new(HttpSettings::default()),
        JobWatch::new(),
        RELIST,
    );
    performer
        .set_ttl(&Identity::Operator, &job_ref(Some("u1")), "drplan:a:b", 60)
        .await
        .unwrap();
    let expect = json!({"metadata": {"uid": "u1"}, "spec": {"ttlSecondsAfterFinished": 60}});
    assert_eq!(script.seen()[0].body, expect);
}
