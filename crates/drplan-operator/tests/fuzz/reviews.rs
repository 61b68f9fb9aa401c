//! Bodies that the webhooks are sent: each is answered, for the request that it is, or refused as none.

use std::{cell::RefCell, convert::Infallible, sync::Arc, time::Duration};

use axum::{Router, body::to_bytes};
use clap::Parser;
use drplan_actions::HttpCaller;
use drplan_operator::{
    admission::review::router,
    contact::Contact,
    events::EventQueue,
    leadership::Leadership,
    operator,
    options::{Command, Options},
    turns::Turns,
};
use http::{Request, Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{corpus, damage, rounds};

/// The webhooks' paths, with the kind that each is asked about.
const PATHS: [(&str, &str); 5] = [
    ("/validate/drworkflows", "DRWorkflow"),
    ("/validate/drplans", "DRPlan"),
    ("/validate/drplanexecutions", "DRPlanExecution"),
    ("/stamp/drplans", "DRPlan"),
    ("/stamp/drplanexecutions", "DRPlanExecution"),
];

#[test]
fn damaged_bodies_are_answered() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let router = runtime.block_on(async { webhooks() });
    let others: Vec<&Value> = corpus::OBJECTS.iter().collect();
    let answered = RefCell::new([0_u64; 2]);
    rounds(|rng| {
        let (path, kind) = *rng.choice(&PATHS).unwrap();
        let mut review = review(kind, rng);
        if rng.bool() {
            damage::value(&mut review["request"]["object"], &others, rng);
        } else {
            damage::value(&mut review, &others, rng);
        }
        let uid = review["request"]["uid"].clone();
        let body = match rng.u8(0..4) {
            0 => damage::text(&review.to_string(), rng),
            _ => review.to_string().into_bytes(),
        };
        let is_whole = serde_json::from_slice::<Value>(&body).is_ok_and(|sent| sent == review);
        let request = Request::post(format!("{path}?timeout=5s"))
            .header("content-type", "application/json")
            .body(axum::body::Body::from(body))
            .unwrap();
        let (status, answer) = runtime.block_on(async {
            let answer = router.clone().oneshot(request).await.unwrap();
            let status = answer.status();
            (status, to_bytes(answer.into_body(), usize::MAX).await.unwrap())
        });
        match status {
            StatusCode::OK => {
                let answer: Value = serde_json::from_slice(&answer).unwrap();
                assert!(answer["response"]["allowed"].is_boolean(), "{answer}");
                if is_whole {
                    assert_eq!(answer["response"]["uid"], uid);
                }
                answered.borrow_mut()[0] += 1;
            }
            StatusCode::BAD_REQUEST => answered.borrow_mut()[1] += 1,
            other => panic!("{path}: {other}: {}", String::from_utf8_lossy(&answer)),
        }
    });
    let [judged, refused] = answered.into_inner();
    assert!(judged > 0 && refused > 0, "{judged} judged, {refused} refused");
}

/// What the API server asks about one of the examples.
fn review(kind: &str, rng: &mut fastrand::Rng) -> Value {
    let objects = corpus::of_kind(kind);
    let object = *rng.choice(&objects).unwrap();
    let old = *rng.choice(&objects).unwrap();
    let operation = *rng.choice(&["CREATE", "UPDATE", "DELETE", "CONNECT"]).unwrap();
    let with = |wanted: bool, object: &Value| if wanted { object.clone() } else { Value::Null };
    let plural = format!("{}s", kind.to_lowercase());
    let group = "dr.bkbcs.tencent.com";
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "7f0b1b0e",
            "kind": {"group": group, "version": "v1alpha1", "kind": kind},
            "resource": {"group": group, "version": "v1alpha1", "resource": plural},
            "name": "x",
            "namespace": "default",
            "operation": operation,
            "userInfo": {"username": "jane", "groups": ["system:authenticated"]},
            "object": with(operation != "DELETE", object),
            "oldObject": with(matches!(operation, "UPDATE" | "DELETE"), old),
            "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    })
}

/// The webhooks of an operator whose API server knows of nothing.
fn webhooks() -> Router {
    let Command::Run(options) =
        Options::try_parse_from(["drplan-operator", "run", "--webhook-bind=127.0.0.1:0"])
            .unwrap()
            .command
    else {
        unreachable!("run was asked for")
    };
    let nothing = tower::service_fn(|_: Request<Body>| async {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404});
        let body = Body::from(status.to_string().into_bytes());
        Ok::<_, Infallible>(Response::builder().status(404).body(body).unwrap())
    });
    let client = kube::Client::new(nothing, "default");
    let turns = Turns::default();
    let events = EventQueue::start(client.clone(), "here".to_owned(), turns.clone());
    let contact = Contact::new(Duration::from_secs(120));
    let http = HttpCaller::new(options.http_settings());
    let leadership = Leadership::alone("here");
    router(Arc::new(operator::context(
        &options,
        leadership,
        (client, contact, http),
        events,
        turns,
    )))
}
