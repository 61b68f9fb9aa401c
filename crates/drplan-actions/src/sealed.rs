//! Reads the values that something needs before it is sent.

use std::time::Duration;

use drplan_api::{Source, SourceKey};
use drplan_engine::{
    effect::{ActionEffect, Command, Failure, FailureKind},
    object::ObjectCommand,
    sealed::{Sealed, Values},
};
use http::Request;
use kube::{Client, core::request::Error as BuildError};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    Identity,
    deadline::Deadline,
    mask::Mask,
    object::exchange::{Refusal, exchange},
};

/// An effect as it is sent, with what must not be told of it. Never stored, and gone with the attempt.
pub struct Opened {
    pub(crate) effect: ActionEffect,
    pub(crate) mask: Mask,
}

impl Opened {
    /// `effect`, which needs no values.
    pub(crate) fn plain(effect: ActionEffect) -> Self {
        Self {
            effect,
            mask: Mask::default(),
        }
    }
}

/// `effect` with the values that it needs, read as `identity` with its `client`.
///
/// # Errors
/// Why one cannot be read, or cannot stand where it should. Nothing was sent.
pub(crate) async fn open(
    client: &Client,
    identity: &Identity,
    effect: &ActionEffect,
) -> Result<Opened, Failure> {
    let (sealed, patience) = match &effect.command {
        Command::Call(call) => (&call.sealed, Duration::from_millis(call.timeout.as_millis())),
        Command::Object(ObjectCommand::Write(write)) => {
            (&write.sealed, Deadline::at(write.deadline).remaining())
        }
        Command::CreateJob(_)
        | Command::AwaitJob(_)
        | Command::FindJob(_)
        | Command::StopJob(_)
        | Command::Object(ObjectCommand::Look(_) | ObjectCommand::Delete(_)) => (&None, Duration::ZERO),
    };
    let Some(sealed) = sealed else {
        return Ok(Opened::plain(effect.clone()));
    };
    let begin = Instant::now();
    let values = match tokio::time::timeout(patience, read(client, identity, sealed, patience)).await {
        Ok(values) => values?,
        Err(_) => {
            let message = format!(
                "Secrets and ConfigMaps were not read within {}s",
                patience.as_secs_f64()
            );
            return Err(Failure::new(FailureKind::NotRead, message));
        }
    };
    let secrets = values.iter().filter(|(source, _)| source.is_secret());
    let mask = Mask::of(secrets.map(|(_, value)| value.as_str()));
    let unfit = |error: drplan_engine::render::RenderError| {
        mask.hide_in_failure(Failure::new(FailureKind::Render, error.to_string()))
    };
    let command = match &effect.command {
        Command::Call(call) => {
            let mut opened = call.opened(&values).map_err(unfit)?;
            // One attempt is bounded as a whole, and something is left to send it.
            let left = patience
                .saturating_sub(begin.elapsed())
                .max(Duration::from_millis(1));
            let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            opened.timeout = drplan_api::GoDuration::from_millis(millis);
            Command::Call(opened)
        }
        Command::Object(ObjectCommand::Write(write)) => {
            Command::Object(ObjectCommand::Write(write.opened(&values).map_err(unfit)?))
        }
        other @ (Command::CreateJob(_)
        | Command::AwaitJob(_)
        | Command::FindJob(_)
        | Command::StopJob(_)
        | Command::Object(_)) => other.clone(),
    };
    let effect = ActionEffect {
        command,
        ..effect.clone()
    };
    Ok(Opened { effect, mask })
}

/// Each source's value; each object is read once.
async fn read(
    client: &Client,
    identity: &Identity,
    sealed: &Sealed,
    patience: Duration,
) -> Result<Values, Failure> {
    let mut values = Values::new();
    let mut last: Option<((&str, &str), Value)> = None;
    // In the order of kinds and names, so that the keys of one object follow each other.
    for source in &sealed.sources {
        let which = (source.kind(), source.at().name.as_str());
        let object = match last.take() {
            Some((known, object)) if known == which => object,
            Some(_) | None => object(client, identity, sealed, source, patience).await?,
        };
        values.insert(source.clone(), value(sealed, source, &object)?);
        last = Some((which, object));
    }
    Ok(values)
}

async fn object(
    client: &Client,
    identity: &Identity,
    sealed: &Sealed,
    source: &Source,
    patience: Duration,
) -> Result<Value, Failure> {
    let (namespace, name) = (&sealed.namespace, &source.at().name);
    let plural = format!("{}s", source.kind().to_ascii_lowercase());
    // Names were checked: they cannot lead to another path.
    let request = Request::get(format!("/api/v1/namespaces/{namespace}/{plural}/{name}"))
        .body(Vec::new())
        .map_err(BuildError::BuildRequest);
    let refused = |refusal: Refusal| {
        let what = format!("{} {namespace}/{name}", source.kind());
        if refusal.is_not_found() {
            let message = format!(
                "{source} cannot be read: there is no {what}; create it with the key {}",
                source.at().key
            );
            return Failure::new(FailureKind::Invalid, message);
        }
        if refusal.error.kind == FailureKind::Forbidden {
            let message = format!(
                "{source} cannot be read: give {identity} a Role with the verb get on {plural} {name} in {namespace}"
            );
            return Failure::new(FailureKind::Forbidden, message);
        }
        let failure = refusal.error.failure(&format!("read {what}"));
        match refusal.error.is_transient() {
            true => Failure {
                kind: FailureKind::NotRead,
                ..failure
            },
            false => failure,
        }
    };
    let (_, object) = exchange(client, request, patience, true).await.map_err(refused)?;
    Ok(object)
}

/// The value of `source` in its `object`.
fn value(sealed: &Sealed, source: &Source, object: &Value) -> Result<String, Failure> {
    let SourceKey { name, key } = source.at();
    let what = format!("{} {}/{name}", source.kind(), sealed.namespace);
    let unfit = |why: String| Failure::new(FailureKind::Invalid, format!("{source} cannot be used: {why}"));
    let found = object
        .get("data")
        .and_then(|data| data.get(key))
        .and_then(Value::as_str);
    let Some(found) = found else {
        let binary = object.get("binaryData").and_then(|data| data.get(key));
        return Err(unfit(match binary {
            Some(_) => format!("in {what} it is binary, and only text can be sent"),
            None => format!("{what} has no such key; add it"),
        }));
    };
    let text = match source {
        Source::ConfigMap(_) => Some(found.to_owned()),
        Source::Secret(_) => decoded(found),
    };
    let text = text.ok_or_else(|| {
        unfit(format!(
            "in {what} it is no UTF-8 text, and only text can be sent"
        ))
    })?;
    let max = sealed.bytes_max(source);
    if text.len() > max {
        return Err(unfit(format!("in {what} it has more than {max} bytes")));
    }
    Ok(text)
}

/// What `text` is the base64 of, if that is text.
fn decoded(text: &str) -> Option<String> {
    let bytes: k8s_openapi::ByteString = serde_json::from_value(Value::from(text)).ok()?;
    String::from_utf8(bytes.0).ok()
}
