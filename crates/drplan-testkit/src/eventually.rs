//! Waiting for what will be true, and saying what was seen instead when it never is.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use anyhow::bail;
use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher, watcher::watch_object};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout_at};

/// How long to wait before giving up: long enough for a slow machine that is shared with others, on which eight tests run
/// at once. A test that passes never waits it out.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// What a look at the world gave.
#[derive(Debug, Clone)]
pub enum Seen<T> {
    /// What was awaited.
    Done(T),
    /// Something else: what.
    NotYet(String),
}

impl<T> Seen<T> {
    /// Done if there is a value, else not yet, and `instead` says what was seen.
    pub fn when(value: Option<T>, instead: impl FnOnce() -> String) -> Self {
        value.map_or_else(|| Self::NotYet(instead()), Self::Done)
    }
}

/// Looks until it sees what was awaited, for at most [`DEADLINE`].
///
/// A look that fails counts as not yet, since a server that does not answer is an ordinary sight in a test of faults.
///
/// # Errors
///
/// At the deadline: what was awaited, and what was last seen.
pub async fn eventually<T>(
    what: &str,
    look: impl AsyncFnMut() -> anyhow::Result<Seen<T>>,
) -> anyhow::Result<T> {
    eventually_within(DEADLINE, what, look).await
}

/// [`eventually`] with a deadline of its own.
///
/// # Errors
///
/// As [`eventually`].
pub async fn eventually_within<T>(
    deadline: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> anyhow::Result<Seen<T>>,
) -> anyhow::Result<T> {
    let end = Instant::now() + deadline;
    let mut last = "nothing: the first look did not end".to_owned();
    let mut pause = Duration::from_millis(5);
    loop {
        match timeout_at(end, look()).await {
            Ok(Ok(Seen::Done(value))) => return Ok(value),
            Ok(Ok(Seen::NotYet(seen))) => last = seen,
            Ok(Err(error)) => last = format!("{error:#}"),
            Err(_) => last = format!("{last} (and a later look did not end)"),
        }
        if Instant::now() + pause >= end {
            bail!("waited {} s for {what}, last seen: {last}", deadline.as_secs());
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Watches the object until `check` returns a value for it (`None` while there is no such object), for at most
/// [`DEADLINE`].
///
/// # Errors
///
/// At the deadline: what was awaited, and the object as last seen.
pub async fn object_until<K, T>(
    api: &Api<K>,
    name: &str,
    what: &str,
    mut check: impl FnMut(Option<&K>) -> Option<T>,
) -> anyhow::Result<T>
where
    K: Resource + Clone + Serialize + DeserializeOwned + Debug + Send + 'static,
{
    let end = Instant::now() + DEADLINE;
    let mut last = "nothing: the first look did not end".to_owned();
    let mut states = pin!(watch_object(api.clone(), name).backoff(watcher::DefaultBackoff::default()));
    while let Ok(Some(state)) = timeout_at(end, states.next()).await {
        match state {
            Ok(object) => {
                if let Some(value) = check(object.as_ref()) {
                    return Ok(value);
                }
                last = object.map_or_else(|| "no such object".into(), |object| describe(&object));
            }
            Err(error) => last = format!("{:#}", anyhow::Error::from(error)),
        }
    }
    bail!(
        "waited {} s for `{name}`: {what}, last seen: {last}",
        DEADLINE.as_secs()
    )
}

/// The object as JSON without what only machines read.
fn describe(object: &impl Serialize) -> String {
    let mut value = match serde_json::to_value(object) {
        Ok(value) => value,
        Err(error) => return format!("an object that cannot be shown: {error}"),
    };
    if let Some(metadata) = value
        .get_mut("metadata")
        .and_then(|metadata| metadata.as_object_mut())
    {
        metadata.remove("managedFields");
    }
    value.to_string()
}
