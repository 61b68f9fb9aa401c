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
    /// Answers 200 with this text.
    Text(Vec<u8>),
    /// Breaks the exchange.
    Broken(io::ErrorKind),
    /// Never answers.
    Hang,
}

/// Answers 200 with this object.
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
    status(404, "NotFound", "jobs.batch \"migrate\" not found")
}

pub(super) fn exists() -> Answer {
    status(409, "AlreadyExists", "jobs.batch \"migrate\" already exists")
}

pub(super) fn unavailable() -> Answer {
    status(503, "ServiceUnavailable", "the server is on fire")
}

pub(super) fn forbidden() -> Answer {
    status(403, "Forbidden", "jobs.batch \"migrate\" is forbidden")
}

/// One request that the server has seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) query: String,
    pub(super) body: Value,
}

/// The server. `GET jobs/migrate` stands for that path in the namespace `shop`, whatever the query.
#[derive(Clone, Default)]
pub(super) struct Script {
    steps: Arc<Mutex<VecDeque<(String, Answer)>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    /// A server that expects these requests; more of the last one get the last answer.
    pub(super) fn new<const N: usize>(steps: [(&str, Answer); N]) -> Self {
        let steps = steps
            .into_iter()
            .map(|(request, answer)| (request.to_owned(), answer))
            .collect();
        Self {
            steps: Arc::new(Mutex::new(steps)),
            seen: Arc::default(),
        }
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
        let path = request.uri().path();
        let resource = path
            .split_once("/namespaces/shop/")
            .map_or(path, |(_, resource)| resource);
        let came = format!("{} {resource}", request.method());
        let query = request.uri().query().unwrap_or_default().to_owned();
        let body = request
            .into_body()
            .collect()
            .await
            .map_err(io::Error::other)?
            .to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        self.seen.lock().unwrap().push(Seen { query, body });
        let (expected, answer) = {
            let mut steps = self.steps.lock().unwrap();
            // The last step stays: its request may be repeated.
            if steps.len() > 1 {
                steps.pop_front().unwrap()
            } else {
                steps[0].clone()
            }
        };
        assert_eq!(came, expected);
        match answer {
            Answer::Json(code, object) => {
                let body = Body::from(object.to_string().into_bytes());
                Ok(Response::builder().status(code).body(body).unwrap())
            }
            Answer::Text(text) => Ok(Response::new(Body::from(text))),
            Answer::Broken(kind) => Err(kind.into()),
            Answer::Hang => std::future::pending().await,
        }
    }
}
