//! What a stand-in remembers and what it has been told.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::answer::Answer;

/// A request that has arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// When it had been read.
    pub arrived: Timestamp,
    /// The method, in capitals.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, without the question mark; empty if there is none.
    pub query: String,
    /// The headers in order of arrival, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether a request with the same method, path and `Idempotency-Key` came before. A service that honours such keys
    /// answers it as it answered the first, and does nothing.
    pub is_repeat: bool,
    /// What has become of it by now.
    pub outcome: Outcome,
}

/// What has become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It waits for its answer.
    Pending,
    /// The answer has been handed over for sending.
    Answered,
    /// The connection was reset, as told.
    Reset,
    /// The client left before there was an answer.
    ClientGone,
}

impl Recorded {
    /// The header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        self.headers
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of the header `Idempotency-Key`.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.header("idempotency-key")
    }

    /// Whether the two ask for the same thing under the same key.
    fn is_same_as(&self, other: &Self) -> bool {
        let key = self.idempotency_key();
        key.is_some()
            && (&self.method, &self.path, key) == (&other.method, &other.path, other.idempotency_key())
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// When it is not JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// A script for a path: answers left to give. The last one is given for ever.
#[derive(Debug, Default)]
struct Script {
    answers: Vec<Answer>,
    next: usize,
    given: usize,
}

impl Script {
    fn next(&mut self) -> Option<Answer> {
        let last = self.answers.len().checked_sub(1)?;
        while self.next < last && self.given >= self.answers[self.next].times {
            self.next += 1;
            self.given = 0;
        }
        self.given += 1;
        self.answers.get(self.next).cloned()
    }
}

/// Everything one stand-in knows.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) requests: Vec<Recorded>,
    scripts: BTreeMap<String, Script>,
    /// Ends of `Idempotency-Key`s: the next request with such a key is held.
    to_hold: Vec<String>,
    /// How often requests to a path have been released.
    released: BTreeMap<String, usize>,
}

impl Ledger {
    pub(super) fn script(&mut self, path: &str, answers: Vec<Answer>) {
        self.scripts.insert(
            path.into(),
            Script {
                answers,
                ..Script::default()
            },
        );
    }

    /// Records the request; returns its number and its answer.
    pub(super) fn arrive(&mut self, mut request: Recorded) -> (usize, Answer) {
        request.is_repeat = self.requests.iter().any(|before| before.is_same_as(&request));
        let with_method = format!("{} {}", request.method, request.path);
        let exact = self.scripts.get_mut(&with_method).and_then(Script::next);
        let answer = exact.or_else(|| self.scripts.get_mut(&request.path).and_then(Script::next));
        let mut answer = answer.unwrap_or_else(Answer::ok);
        let key = request.idempotency_key().unwrap_or_default();
        if let Some(index) = self.to_hold.iter().position(|end| key.ends_with(end)) {
            self.to_hold.swap_remove(index);
            answer.held = true;
        }
        self.requests.push(request);
        (self.requests.len() - 1, answer)
    }

    pub(super) fn outcome(&mut self, number: usize, outcome: Outcome) {
        if let Some(request) = self.requests.get_mut(number) {
            request.outcome = outcome;
        }
    }

    pub(super) fn hold(&mut self, key_end: &str) {
        self.to_hold.push(key_end.into());
    }

    pub(super) fn release(&mut self, path: &str) {
        *self.released.entry(path.into()).or_default() += 1;
    }

    pub(super) fn released(&self, path: &str) -> usize {
        self.released.get(path).copied().unwrap_or(0)
    }
}
