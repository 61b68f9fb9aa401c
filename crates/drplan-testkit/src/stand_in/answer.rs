//! What a stand-in answers.

use std::time::Duration;

use serde_json::{Value, json};

/// One way to answer a request.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) delay: Duration,
    pub(super) held: bool,
    pub(super) end: End,
    /// With the body of an admission webhook that refuses what it is asked about, with this as its status.
    pub(super) refusal: Option<Value>,
    pub(super) times: usize,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With its last byte.
    Complete,
    /// With half of the body.
    Truncated,
    /// Before it begins: the connection is reset.
    Reset,
}

impl Answer {
    /// 200 with an empty body.
    pub fn ok() -> Self {
        Self::status(200)
    }

    /// This status with an empty body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            delay: Duration::ZERO,
            held: false,
            end: End::Complete,
            refusal: None,
            times: 1,
        }
    }

    /// No answer: the connection is reset after the request has been read.
    pub fn reset() -> Self {
        Self {
            end: End::Reset,
            ..Self::ok()
        }
    }

    /// An admission webhook's refusal of whatever it is asked about, in these words.
    pub fn refusal(words: &str) -> Self {
        Self {
            refusal: Some(json!({"code": 403, "message": words})),
            ..Self::ok().header("content-type", "application/json")
        }
    }

    /// [`Self::refusal`] with this code and reason instead of 403 without any.
    pub fn refusal_with(code: u16, reason: &str, words: &str) -> Self {
        Self {
            refusal: Some(json!({"code": code, "reason": reason, "message": words})),
            ..Self::refusal(words)
        }
    }

    /// With this header as well.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With this JSON body and its content type.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    /// After this time.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Only once [`HttpStandIn::release`](super::HttpStandIn::release) lets it go.
    #[must_use]
    pub fn held(mut self) -> Self {
        self.held = true;
        self
    }

    /// What is sent as the body to whoever asked with this one.
    pub(super) fn body_for(&self, asked: &[u8]) -> Vec<u8> {
        let Some(status) = &self.refusal else {
            return self.body.clone();
        };
        let review: Value = serde_json::from_slice(asked).unwrap_or_default();
        let response = json!({
            "uid": review["request"]["uid"],
            "allowed": false,
            "status": status,
        });
        let review = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": response,
        });
        review.to_string().into_bytes()
    }

    /// With half of the body, then the connection closes.
    #[must_use]
    pub fn truncated(mut self) -> Self {
        self.end = End::Truncated;
        self
    }

    /// This many times, before the next answer of the script.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }
}
