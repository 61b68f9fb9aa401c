//! An API server that expects certain requests in a certain order and has an answer to each.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Value, json};

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Answers with this code and object.
    Json(u16, Value),
    /// Answers with this code and text.
    Text(u16, &'static str),
    /// Breaks the exchange.
    Broken,
    /// Never answers.
    Hang,
}

pub(super) fn ok(object: Value) -> Answer {
    Answer::Json(200, object)
}

/// Refuses with a Status.
pub(super) fn status(code: u16, reason: &str, message: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    });
    Answer::Json(code, status)
}

pub(super) fn not_found() -> Answer {
    status(404, "NotFound", "configmaps \"a\" not found")
}

pub(super) fn exists() -> Answer {
    status(409, "AlreadyExists", "configmaps \"a\" already exists")
}

pub(super) fn stale() -> Answer {
    status(409, "Conflict", "the object has been modified")
}

/// Refuses an Apply because this manager holds a field.
pub(super) fn held_by(manager: &str) -> Answer {
    let cause = json!({
        "reason": "FieldManagerConflict", "field": ".data.k",
        "message": format!("conflict with \"{manager}\" using v1"),
    });
    let status = json!({
        "kind": "Status", "code": 409, "reason": "Conflict", "message": "Apply failed with 1 conflict",
        "details": {"causes": [cause]},
    });
    Answer::Json(409, status)
}

/// What there is of `v1`.
pub(super) fn kinds() -> Answer {
    let resource = |name: &str, kind: &str, namespaced: bool| json!({"name": name, "kind": kind, "namespaced": namespaced, "singularName": "", "verbs": []});
    ok(
        json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
            resource("configmaps/odd", "ConfigMap", true),
            resource("configmaps", "ConfigMap", true),
            resource("secrets", "Secret", true),
            resource("namespaces", "Namespace", false),
        ]}),
    )
}

/// One request that the server has seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) query: String,
    pub(super) content_type: String,
    pub(super) body: Value,
}

/// The server. It is asked for the kinds of `v1` first.
#[derive(Clone, Default)]
pub(super) struct Script {
    steps: Arc<Mutex<VecDeque<(String, Answer)>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    /// A server that tells its kinds and expects these requests; more of the last one get the last answer.
    pub(super) fn new<const N: usize>(steps: [(&str, Answer); N]) -> Self {
        Self::bare(std::iter::once(("GET /api/v1", kinds())).chain(steps))
    }

    /// A server that expects these requests and no other.
    pub(super) fn bare<'a>(steps: impl IntoIterator<Item = (&'a str, Answer)>) -> Self {
        let steps = steps.into_iter().map(|(step, answer)| (step.to_owned(), answer));
        Self {
            steps: Arc::new(Mutex::new(steps.collect())),
            seen: Arc::default(),
        }
    }

    /// Expects these requests from now on.
    pub(super) fn then<'a>(&self, steps: impl IntoIterator<Item = (&'a str, Answer)>) {
        let steps = steps.into_iter().map(|(step, answer)| (step.to_owned(), answer));
        *self.steps.lock().unwrap() = steps.collect();
    }

    /// A client of it.
    pub(super) fn client(&self) -> Client {
        let script = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let script = script.clone();
            async move { script.answer(request).await }
        });
        Client::new(service, "default")
    }

    /// What was seen, in order, once every expected request has come.
    #[track_caller]
    pub(super) fn seen(&self) -> Vec<Seen> {
        let steps = self.steps.lock().unwrap();
        assert!(steps.len() <= 1, "requests that did not come: {steps:?}");
        self.seen.lock().unwrap().clone()
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, io::Error> {
        let came = format!("{} {}", request.method(), request.uri().path());
        let query = request.uri().query().unwrap_or_default().to_owned();
        let content_type = request.headers().get("content-type");
        let content_type = content_type
            .map_or("", |value| value.to_str().unwrap())
            .to_owned();
        let body = request.into_body().collect().await.map_err(io::Error::other)?;
        let body = serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null);
        let seen = Seen {
            query,
            content_type,
            body,
        };
        self.seen.lock().unwrap().push(seen);
        let (expected, answer) = {
            let mut steps = self.steps.lock().unwrap();
            // The last step stays: its request may be repeated.
            match steps.len() {
                0 => panic!("unexpected: {came}"),
                1 => steps[0].clone(),
                _ => steps.pop_front().unwrap(),
            }
        };
        assert_eq!(came, expected);
        let (code, body) = match answer {
            Answer::Json(code, object) => (code, object.to_string()),
            Answer::Text(code, text) => (code, text.to_owned()),
            Answer::Broken => return Err(io::ErrorKind::ConnectionReset.into()),
            Answer::Hang => std::future::pending().await,
        };
        let body = Body::from(body.into_bytes());
        Ok(Response::builder().status(code).body(body).unwrap())
    }
}
