//! Values that are read when they are sent: what is read, where it goes, and what is told of it.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use drplan_api::{Time, normalise_plan, normalise_workflow, status::DRPlanExecutionStatus};
use drplan_engine::{
    ExecutionSource, Facts, Kept, PlanSource, Run, WorkflowSource, action_indices, compile,
    effect::{ActionEffect, Failure, FailureKind, Outcome},
    render::{Attempt, render},
};
use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{
    super::{HttpCaller, HttpSettings},
    identity,
    server::{Server, Then, answer},
};
use crate::{Identity, JobWatch, Performer};

const CANARY: &str = "s3cret/with \"quotes\"";

/// An API server that answers each request with the next of these, and the last one from then on: a code and an object.
/// Zero: never.
#[derive(Clone)]
struct Api {
    answers: Arc<Mutex<Vec<(u16, Value)>>>,
    paths: Arc<Mutex<Vec<String>>>,
}

impl Api {
    fn answering(answers: &[(u16, Value)]) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.iter().rev().cloned().collect())),
            paths: Arc::default(),
        }
    }

    /// One that holds the Secret `db` with the canary.
    fn with_secret() -> Self {
        Self::answering(&[(200, holding(CANARY))])
    }

    fn performer(&self) -> Performer {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                api.paths.lock().unwrap().push(request.uri().path().to_owned());
                let next = {
                    let mut answers = api.answers.lock().unwrap();
                    let next = answers.last().cloned().unwrap();
                    if answers.len() > 1 {
                        answers.pop();
                    }
                    next
                };
                if next.0 == 0 {
                    std::future::pending::<()>().await;
                }
                let mut response = Response::new(Body::from(next.1.to_string().into_bytes()));
                *response.status_mut() = next.0.try_into().unwrap();
                Ok::<_, Infallible>(response)
            }
        });
        let client = kube::Client::new(service, "shop");
        let http = HttpCaller::new(HttpSettings::default());
        Performer::new(client, http, JobWatch::new(), Duration::from_secs(3600))
    }

    fn paths(&self) -> Vec<String> {
        self.paths.lock().unwrap().clone()
    }
}

fn holding(value: &str) -> Value {
    let data = k8s_openapi::ByteString(value.as_bytes().to_vec());
    json!({"kind": "Secret", "data": {"k": data, "l": data}})
}

fn refusing(code: u16, reason: &str) -> Value {
    // What may quote contents does.
    let quoted = if code == 500 { CANARY } else { "not now" };
    json!({"kind": "Status", "code": code, "reason": reason, "message": quoted})
}

/// The call of these fields with the parameter `s`, which is read from the Secret `db`.
fn effect(http: Value) -> ActionEffect {
    let from = |key: &str| json!({"secretKeyRef": {"name": "db", "key": key}});
    let workflow = json!({
        "parameters": [{"name": "s", "valueFrom": from("k")}, {"name": "t", "valueFrom": from("l")}],
        "actions": [{"name": "call", "type": "HTTP", "timeout": "2s", "http": http}],
    });
    let workflow = normalise_workflow(&serde_json::from_value(workflow).unwrap())
        .value
        .unwrap();
    let plan = json!({"workflowRef": {"name": "w"}});
    let plan = normalise_plan(&serde_json::from_value(plan).unwrap(), "shop")
        .value
        .unwrap();
    let workflows = BTreeMap::from([(
        ("shop".to_owned(), "w".to_owned()),
        WorkflowSource::Known(workflow),
    )]);
    let source = PlanSource {
        namespace: "shop",
        name: "failover",
        plan: &plan,
        workflows: &workflows,
        service_account_name: None,
        served_namespaces: None,
    };
    let run = Run::new(compile(&source, &ExecutionSource::default()).unwrap().snapshot);
    let now = Time::from_millis(0);
    let status = DRPlanExecutionStatus {
        start_time: Some(now),
        ..run.initial_status()
    };
    let kept = Kept::new();
    let facts = Facts {
        run: &run,
        status: &status,
        kept: &kept,
    };
    let attempt = Attempt {
        number: 1,
        time: now,
        counts_from: now,
        first_start: now,
    };
    ActionEffect {
        identity: identity(),
        attempt: 1,
        command: render(facts, action_indices(&status)[0], attempt)
            .unwrap()
            .command,
    }
}

async fn outcome(api: &Api, http: Value) -> Outcome {
    let outcome = api.performer().perform(&Identity::Operator, &effect(http)).await;
    assert!(!format!("{outcome:?}").contains("s3cret"), "{outcome:?}");
    outcome
}

async fn failed(api: &Api, http: Value) -> Failure {
    match outcome(api, http).await {
        Outcome::Failed(failure) => failure,
        Outcome::Answered { .. }
        | Outcome::JobCreated { .. }
        | Outcome::JobSucceeded
        | Outcome::Object(_) => {
            panic!("it succeeded")
        }
    }
}

async fn body(api: &Api, http: Value) -> String {
    let outcome = outcome(api, http).await;
    let Outcome::Answered { body, .. } = outcome else {
        panic!("{outcome:?}")
    };
    body.unwrap()
}

#[tokio::test]
async fn an_object_is_read_once_for_all_its_keys_and_anew_for_each_attempt() {
    let server = Server::start(async |_, mut stream| answer(&mut stream, "200 OK", "").await).await;
    let api = Api::answering(&[(200, holding("first")), (200, holding("second"))]);
    let performer = api.performer();
    let http = json!({"url": server.url("/?a={{ .params.s }}&b={{ .params.t }}")});
    for value in ["first", "second"] {
        performer
            .perform(&Identity::Operator, &effect(http.clone()))
            .await;
        let request = server.requests().await.pop().unwrap();
        assert!(
            request.starts_with(&format!("GET /?a={value}&b={value} ")),
            "{request}"
        );
    }
    assert_eq!(api.paths(), ["/api/v1/namespaces/shop/secrets/db"; 2]);
}

#[tokio::test]
async fn what_cannot_be_read_now_is_tried_again_and_what_is_wrong_is_not() {
    let server = Server::start(async |_, mut stream| answer(&mut stream, "200 OK", "").await).await;
    let check = async |code: u16, object: Value, kind: FailureKind, expect: &str| {
        let api = Api::answering(&[(code, object)]);
        let failure = failed(&api, json!({"url": server.url("/?a={{ .params.s }}")})).await;
        assert_eq!(failure.kind, kind, "{}", failure.message);
        assert!(failure.message.contains(expect), "{}", failure.message);
    };
    check(
        503,
        refusing(503, "ServiceUnavailable"),
        FailureKind::NotRead,
        "read Secret shop/db",
    )
    .await;
    check(
        429,
        refusing(429, "TooManyRequests"),
        FailureKind::NotRead,
        "read Secret shop/db",
    )
    .await;
    check(0, Value::Null, FailureKind::NotRead, "within 2").await;
    check(
        500,
        refusing(500, "InternalError"),
        FailureKind::NotRead,
        "are not shown",
    )
    .await;
    check(
        404,
        refusing(404, "NotFound"),
        FailureKind::Invalid,
        "there is no Secret shop/db",
    )
    .await;
    check(
        403,
        refusing(403, "Forbidden"),
        FailureKind::Forbidden,
        "verb get on secrets db",
    )
    .await;
    check(200, json!({"data": {}}), FailureKind::Invalid, "has no such key").await;
    check(
        200,
        json!({"data": {"k": "/w=="}}),
        FailureKind::Invalid,
        "no UTF-8 text",
    )
    .await;
    check(
        200,
        holding(&"s3cret".repeat(2000)),
        FailureKind::Invalid,
        "more than 8192 bytes",
    )
    .await;
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_value_goes_to_the_host_that_it_was_written_for() {
    let other =
        Server::start(async |request: String, mut stream| answer(&mut stream, "200 OK", &request).await)
            .await;
    let away = |path: &str| {
        format!(
            "HTTP/1.1 307 X\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
            other.url(path)
        )
    };
    let server = Server::saying(away("/b"), Then::Close).await;
    let from = json!({"secretKeyRef": {"name": "db", "key": "k"}});
    // User-Agent, as what is written there is harmless, would go along.
    let http = json!({
        "url": server.url("/a"), "method": "POST", "followRedirects": true, "saveBody": true,
        "headers": {"X-S": "{{ .params.s }}", "Accept": "{{ .params.s }}", "Content-Type": "text/plain"},
        "headersFrom": [{"name": "User-Agent", "valueFrom": from}],
    });
    let there = body(&Api::with_secret(), http.clone()).await;
    assert!(there.contains("content-type: text/plain"), "{there}");
    for header in ["x-s", "accept: ***", "user-agent: ***"] {
        assert!(!there.contains(header), "{there}");
    }
    assert!(
        !other
            .requests()
            .await
            .iter()
            .any(|request| request.contains("s3cret"))
    );

    let mut with_body = http;
    with_body["body"] = json!("{\"s\": {{ .params.s }}}");
    let failure = failed(&Api::with_secret(), with_body).await;
    assert_eq!(failure.kind, FailureKind::BadAnswer);
    let expect = "a body with a value of a Secret or ConfigMap is not sent on to another host";
    assert!(failure.message.ends_with(expect), "{}", failure.message);
    assert_eq!(other.connections(), 1);
}

#[tokio::test]
async fn what_a_server_says_back_is_told_without_the_value() {
    let percent = CANARY.replace(' ', "%20").replace('"', "%22");
    let call = |server: &Server| json!({"url": server.url("/?a={{ .params.s }}"), "followRedirects": true, "saveBody": true});
    let refusal = format!("HTTP/1.1 401 {CANARY}\r\nX-Echo: {CANARY}\r\nContent-Length: 0\r\n\r\n");
    let server = Server::saying(refusal, Then::Close).await;
    let failure = failed(&Api::with_secret(), call(&server)).await;
    assert_eq!(failure.message, format!("GET {} answered 401", server.url("/")));

    let away = format!("HTTP/1.1 302 X\r\nLocation: /{percent}/x\r\nContent-Length: 0\r\n\r\n");
    let away = Arc::new(away);
    let server = Server::start(move |request: String, mut stream: TcpStream| {
        let away = away.clone();
        async move {
            match request.starts_with("GET /?") {
                true => stream.write_all(away.as_bytes()).await.unwrap(),
                false => answer(&mut stream, "404 No", "").await,
            }
        }
    })
    .await;
    let failure = failed(&Api::with_secret(), call(&server)).await;
    assert!(failure.message.ends_with("/***/x"), "{}", failure.message);

    // The value stands where what is kept of the body ends.
    let filler = "x".repeat(4096 - 5);
    let text = format!("{filler}{CANARY} and more");
    let words = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    let server = Server::saying(words, Then::Close).await;
    assert_eq!(
        body(&Api::with_secret(), call(&server)).await,
        format!("{filler}*** a")
    );
}
