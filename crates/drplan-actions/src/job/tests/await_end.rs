//! Waiting: nothing is concluded without a live read.

use std::io::ErrorKind;

use super::{
    script::{Answer, Script, forbidden, not_found, ok, status, unavailable},
    *,
};

async fn await_end(script: &Script, deadline: Time) -> Outcome {
    perform(script.client(), JobWatch::new(), wait(deadline)).await
}

/// A failed container of a Pod, started again since or not.
fn container(name: &str, exit_code: i32, finished_at: &str, previous: bool) -> Value {
    let ended = json!({"terminated": {"exitCode": exit_code, "reason": "Error", "finishedAt": finished_at}});
    let state = json!({"running": {}});
    match previous {
        true => json!({"name": name, "state": state, "lastState": ended, "image": "", "imageID": "",
            "ready": false, "restartCount": 1}),
        false => json!({"name": name, "state": ended, "image": "", "imageID": "",
            "ready": false, "restartCount": 0}),
    }
}

fn pod(name: &str, init: Value, containers: Value) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {},
        "status": {"initContainerStatuses": init, "containerStatuses": containers},
    })
}

fn pods(items: Value) -> Answer {
    ok(json!({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": items}))
}

#[tokio::test(start_paused = true)]
async fn a_job_that_completed_has_succeeded_however_late_it_is_read() {
    for deadline in [in_an_hour(), an_hour_ago()] {
        let script = Script::new([("GET jobs/migrate", ok(complete("u1")))]);
        assert_eq!(await_end(&script, deadline).await, Outcome::JobSucceeded);
        assert_eq!(script.seen().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_running_job_is_read_again_without_any_notice() {
    let script = Script::new([
        ("GET jobs/migrate", ok(running("u1"))),
        ("GET jobs/migrate", ok(running("u1"))),
        ("GET jobs/migrate", ok(complete("u1"))),
    ]);
    let started = tokio::time::Instant::now();
    assert_eq!(await_end(&script, in_an_hour()).await, Outcome::JobSucceeded);
    assert_eq!(script.seen().len(), 3);
    // The clock is paused: this is what was waited for, not what it took.
    assert_eq!(started.elapsed().as_secs(), 2 * RELIST.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_failed_job_is_explained_by_the_container_that_failed_first() {
    let late = pod(
        "migrate-b",
        json!([]),
        json!([container("main", 1, "2026-01-30T10:00:09Z", false)]),
    );
    let early = pod(
        "migrate-a",
        json!([container("prepare", 0, "2026-01-30T10:00:00Z", false)]),
        json!([
            container("side", 2, "2026-01-30T10:00:08Z", false),
            container("main", 3, "2026-01-30T10:00:07Z", true),
        ]),
    );
    let log = format!("{}ä end\n", "x".repeat(5000));
    let script = Script::new([
        ("GET jobs/migrate", ok(failed("u1"))),
        ("GET pods", pods(json!([late, early]))),
        ("GET pods/migrate-a/log", Answer::Text(log.clone().into_bytes())),
    ]);
    let failure = failure(await_end(&script, in_an_hour()).await, FailureKind::JobFailed);
    let expect = "Job shop/migrate failed: BackoffLimitExceeded: container main exited with 3";
    assert_eq!(failure.message, expect);
    assert_eq!(failure.exit_code, Some(3));
    assert_eq!(failure.log.as_deref(), Some(&log[log.len() - 4096..]));
    let seen = script.seen();
    assert!(
        seen[1]
            .query
            .contains("labelSelector=batch.kubernetes.io%2Fcontroller-uid%3Du1"),
        "{}",
        seen[1].query
    );
    assert!(
        seen[2].query.contains("container=main&previous=true"),
        "{}",
        seen[2].query
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_of_a_failed_job_is_said_and_no_error() {
    let script = Script::new([("GET jobs/migrate", ok(failed("u1"))), ("GET pods", forbidden())]);
    let without_pods = failure(await_end(&script, in_an_hour()).await, FailureKind::JobFailed);
    assert_eq!(
        without_pods.message,
        "Job shop/migrate failed: BackoffLimitExceeded: Job has reached the specified backoff limit \
         (its Pods could not be read: jobs.batch \"migrate\" is forbidden)"
    );
    let items = json!([pod(
        "p",
        json!([]),
        json!([container("main", 137, "2026-01-30T10:00:00Z", false)])
    )]);
    let script = Script::new([
        ("GET jobs/migrate", ok(failed("u1"))),
        ("GET pods", pods(items)),
        ("GET pods/p/log", Answer::Hang),
    ]);
    let without_log = failure(await_end(&script, in_an_hour()).await, FailureKind::JobFailed);
    assert_eq!((without_log.exit_code, without_log.log), (Some(137), None));
    assert_eq!(
        without_log.message,
        "Job shop/migrate failed: BackoffLimitExceeded: container main exited with 137 \
         (its log could not be read: the API server did not answer within 10.0s)"
    );
    let script = Script::new([
        ("GET jobs/migrate", ok(failed("u1"))),
        ("GET pods", pods(json!([]))),
    ]);
    let gone = failure(await_end(&script, in_an_hour()).await, FailureKind::JobFailed);
    assert_eq!(gone.exit_code, None);
    assert!(
        gone.message
            .ends_with("BackoffLimitExceeded: Job has reached the specified backoff limit")
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_gone_or_replaced_is_lost() {
    for gone in [not_found(), ok(complete("u2"))] {
        let script = Script::new([
            ("GET jobs/migrate", ok(running("u1"))),
            ("GET jobs/migrate", gone),
        ]);
        let lost = failure(await_end(&script, in_an_hour()).await, FailureKind::JobLost);
        assert_eq!(lost.message, "JobLost: Job shop/migrate is gone without a result");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_being_deleted_is_awaited_until_it_is_gone_or_has_ended() {
    let going = || ("GET jobs/migrate", ok(deleting(running("u1"))));
    let script = Script::new([going(), going(), ("GET jobs/migrate", not_found())]);
    failure(await_end(&script, in_an_hour()).await, FailureKind::JobLost);
    let script = Script::new([going(), ("GET jobs/migrate", ok(deleting(complete("u1"))))]);
    assert_eq!(await_end(&script, in_an_hour()).await, Outcome::JobSucceeded);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_exactly_what_was_read_is_deleted() {
    let script = Script::new([
        ("GET jobs/migrate", ok(running("u1"))),
        ("GET jobs/migrate", ok(running("u1"))),
        ("DELETE jobs/migrate", ok(deleting(running("u1")))),
    ]);
    let late = failure(
        await_end(&script, clock::now().plus_millis(9000)).await,
        FailureKind::JobTimedOut,
    );
    assert_eq!(
        late.message,
        "JobTimedOut: Job shop/migrate did not end in time and was deleted"
    );
    let sent = &script.seen()[2].body;
    assert_eq!(sent["propagationPolicy"], "Foreground");
    assert_eq!(
        sent["preconditions"],
        json!({"uid": "u1", "resourceVersion": "7"})
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_that_completes_between_the_read_and_the_delete_has_succeeded() {
    let script = Script::new([
        ("GET jobs/migrate", ok(running("u1"))),
        (
            "DELETE jobs/migrate",
            status(409, "Conflict", "the object has been modified"),
        ),
        ("GET jobs/migrate", ok(complete("u1"))),
    ]);
    assert_eq!(await_end(&script, an_hour_ago()).await, Outcome::JobSucceeded);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_fails_for_less_than_the_deadline_changes_nothing() {
    let script = Script::new([
        ("GET jobs/migrate", unavailable()),
        ("GET jobs/migrate", Answer::Broken(ErrorKind::ConnectionRefused)),
        ("GET jobs/migrate", Answer::Hang),
        ("GET jobs/migrate", forbidden()),
        ("GET jobs/migrate", status(429, "TooManyRequests", "later")),
        ("GET jobs/migrate", ok(complete("u1"))),
    ]);
    assert_eq!(await_end(&script, in_an_hour()).await, Outcome::JobSucceeded);
    assert_eq!(script.seen().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_nothing_is_concluded_until_well_after_the_deadline() {
    let script = Script::new([("GET jobs/migrate", Answer::Broken(ErrorKind::ConnectionRefused))]);
    let started = tokio::time::Instant::now();
    let unknown = failure(
        await_end(&script, in_an_hour()).await,
        FailureKind::OutcomeUnknown,
    );
    assert!(
        unknown
            .message
            .starts_with("what became of Job shop/migrate is not known: "),
        "{}",
        unknown.message
    );
    assert!(started.elapsed() > Duration::from_secs(60 * 60));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_may_not_be_read_leaves_the_outcome_unknown() {
    let script = Script::new([("GET jobs/migrate", forbidden())]);
    failure(
        await_end(&script, in_an_hour()).await,
        FailureKind::OutcomeUnknown,
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_without_recorded_uid_is_found_by_its_annotations() {
    let command = Command::AwaitJob(JobWait {
        job: job_ref(None),
        deadline: in_an_hour(),
    });
    let script = Script::new([("GET jobs/migrate", ok(complete("u1")))]);
    assert_eq!(
        perform(script.client(), JobWatch::new(), command.clone()).await,
        Outcome::JobSucceeded
    );
    let script = Script::new([("GET jobs/migrate", ok(job("u1", 3, json!([]))))]);
    failure(
        perform(script.client(), JobWatch::new(), command).await,
        FailureKind::NotCreated,
    );
}
