//! One request and its answer, bounded in time and sent once: a kube client by itself waits for ever, logs contents
//! that it cannot read, and does not tell 201 from 200.

use std::time::Duration;

use drplan_api::is_denial;
use http::{Request, header};
use k8s_openapi::serde::de::DeserializeOwned;
use kube::{
    Client,
    client::Body,
    core::{Status, request::Error as BuildError},
};
use serde_json::Value;

use super::{
    Stop,
    conflict::{FieldConflict, conflicts},
    quotation, secret,
};
use crate::ApiError;

/// The longest wait for one answer. The API server itself gives up after 60 s; a healthy one answers within one
/// (Kubernetes' own objective), so more than this is a dead connection.
const ANSWER_SECONDS_MAX: u64 = 30;

/// Why a request did not work.
pub(crate) struct Refusal {
    pub(crate) error: ApiError,
    /// The fields that other managers hold, if it was refused for them.
    pub(super) conflicts: Vec<FieldConflict>,
    /// Nothing is served at this path: the kind is gone, or was made anew under another plural.
    unserved: Option<String>,
    /// The reason in one word, such as `NotFound`.
    reason: String,
}

impl Refusal {
    /// The end of an attempt to do `what`.
    pub(super) fn stop(self, what: &str) -> Stop {
        match self.unserved {
            Some(path) => Stop::NotServed(format!(
                "{what}: the API server serves nothing at {path}: install the CustomResourceDefinition or correct \
                 kind and apiVersion"
            )),
            None => Stop::Failed(self.error.failure(what)),
        }
    }

    /// Whether there is no such object, or no such namespace.
    pub(crate) fn is_not_found(&self) -> bool {
        self.error.code == Some(404) && self.unserved.is_none() && self.reason == "NotFound"
    }

    /// What happened without an answer of the API server.
    pub(super) fn of(error: ApiError) -> Self {
        Self {
            error,
            conflicts: Vec::new(),
            unserved: None,
            reason: String::new(),
        }
    }
}

/// The document at `path`, none if nothing is there.
pub(super) async fn document<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    patience: Duration,
) -> Result<Option<T>, Refusal> {
    let request = Request::get(path)
        .body(Vec::new())
        .map_err(BuildError::BuildRequest);
    match exchange(client, request, patience, false).await {
        Ok((_, body)) => {
            let read = serde_json::from_value(body);
            read.map(Some).map_err(|_| Refusal::of(ApiError::unreadable()))
        }
        Err(refusal) if refusal.error.code == Some(404) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// Sends `request` and tells the code and the body of the answer, if it is no refusal. `secret`: refusals may quote
/// what must not be told.
pub(crate) async fn exchange(
    client: &Client,
    request: Result<Request<Vec<u8>>, BuildError>,
    patience: Duration,
    secret: bool,
) -> Result<(u16, Value), Refusal> {
    let request = request.map_err(|error| Refusal::of(ApiError::refused(error.to_string())))?;
    let path = request.uri().path().to_owned();
    let answer = async {
        let response = client.send(request.map(Body::from)).await?;
        let (parts, body) = response.into_parts();
        Ok((parts, body.collect_bytes().await?))
    };
    let patience = bounded(patience);
    let (parts, body) = match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer.map_err(|error: kube::Error| Refusal::of(ApiError::of(&error)))?,
        Err(_) => return Err(Refusal::of(ApiError::timed_out(patience))),
    };
    let code = parts.status.as_u16();
    let json = serde_json::from_slice::<Value>(&body).ok();
    if parts.status.is_success() {
        return match json {
            Some(object) => Ok((code, object)),
            None => Err(Refusal::of(ApiError::unreadable())),
        };
    }
    let status = json
        .filter(|json| json["kind"] == "Status")
        .and_then(|json| serde_json::from_value::<Status>(json).ok());
    let unserved = (code == 404 && status.is_none()).then_some(path);
    let status = status.unwrap_or_else(|| Status::failure(&String::from_utf8_lossy(&body), ""));
    let status = match secret {
        true => secret::without_contents(status),
        false => quotation::cut(status),
    };
    // What a webhook says in its refusal is not about the object.
    let denied = is_denial(&status.message);
    let mut refusal = Refusal {
        conflicts: if denied { Vec::new() } else { conflicts(&status) },
        reason: if denied {
            String::new()
        } else {
            status.reason.clone()
        },
        unserved,
        error: ApiError::of(&kube::Error::Api(status.with_code(code).boxed())),
    };
    // A server that sheds load says so in a header alone.
    let seconds = parts.headers.get(header::RETRY_AFTER);
    let seconds = seconds.and_then(|seconds| seconds.to_str().ok()?.parse::<u64>().ok());
    refusal.error.retry_after_millis = refusal
        .error
        .retry_after_millis
        .or(seconds.map(|seconds| seconds.saturating_mul(1000)));
    Err(refusal)
}

/// `patience`, and no more than any answer is worth.
pub(super) fn bounded(patience: Duration) -> Duration {
    patience.min(Duration::from_secs(ANSWER_SECONDS_MAX))
}
