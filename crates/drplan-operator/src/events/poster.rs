//! One note as a Kubernetes event, posted until it is stored.

use std::{
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use drplan_api::{Time, is_denial, labels};
use http::{HeaderValue, header::ACCEPT};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Event, EventSource},
    apimachinery::pkg::apis::meta::v1,
};
use kube::{
    Client, Resource,
    api::{ObjectMeta, PostParams, Request},
};
use serde::de::IgnoredAny;
use tokio::time::{sleep, timeout};

use super::EventNote;
use crate::store::METADATA_ONLY;

/// How long one post may take.
const POST_TIMEOUT: Duration = Duration::from_secs(5);
/// Tries of one post. With the pauses between them an API server may be away for half a minute without any loss.
const TRIES_MAX: u32 = 8;
/// The pause after the first try; each further one is twice as long, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// The name of an object is a DNS subdomain.
const NAME_BYTES_MAX: usize = 253;
/// Who posts.
const COMPONENT: &str = "drplan-operator";

/// Posts events.
pub(super) struct Poster {
    client: Client,
    instance: String,
    /// Tells events of one millisecond apart. Begins anywhere, so that it also tells them from another process's.
    count: AtomicU16,
}

/// What became of one try.
#[derive(Debug, PartialEq, Eq)]
enum Posted {
    /// The event is stored.
    Stored,
    /// The same may work later.
    Later(String),
    /// It never will: forbidden, the namespace is gone or going, the event is not accepted.
    Never(String),
}

impl Poster {
    /// Posts with `client`, as `instance`.
    pub(super) fn new(client: Client, instance: String) -> Self {
        Self {
            client,
            instance,
            count: AtomicU16::new(anywhere()),
        }
    }

    /// Posts one event, with repetitions.
    ///
    /// # Errors
    /// Why it was not stored.
    pub(super) async fn post(&self, note: EventNote) -> Result<(), String> {
        let event = self.event(note);
        let namespace = event
            .metadata
            .namespace
            .as_deref()
            .unwrap_or(NAMESPACE_OF_CLUSTER);
        let path = Event::url_path(&(), Some(namespace));
        let text = serde_json::to_vec(&event).map_err(|error| error.to_string())?;
        let mut pause = PAUSE_MIN;
        for tries in 1.. {
            let request = Request::new(path.as_str()).create(&PostParams::default(), text.clone());
            let mut request = request.map_err(|error| error.to_string())?;
            // Nothing of the answer matters but that it is one.
            request
                .headers_mut()
                .insert(ACCEPT, HeaderValue::from_static(METADATA_ONLY));
            let answer = timeout(POST_TIMEOUT, self.client.request::<IgnoredAny>(request)).await;
            match answer.map_or_else(
                |_| Posted::Later(format!("no answer within {POST_TIMEOUT:?}")),
                judge,
            ) {
                Posted::Stored => break,
                Posted::Later(why) if tries >= TRIES_MAX => return Err(why),
                Posted::Later(_) => sleep(pause).await,
                Posted::Never(why) => return Err(why),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(())
    }

    pub(super) fn event(&self, note: EventNote) -> Event {
        let time = v1::Time(Timestamp::from_millisecond(note.time.as_millis()).unwrap_or_default());
        let attempt = note.attempt.map(|attempt| attempt.to_string());
        let action = note.action.map(String::from);
        let annotations = [(labels::ACTION_PATH, action), (labels::ATTEMPT, attempt)];
        let annotations = annotations
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let name = note.regarding.name.as_deref().unwrap_or_default();
        Event {
            metadata: ObjectMeta {
                name: Some(unique_name(name, note.time, count)),
                namespace: Some(
                    note.regarding
                        .namespace
                        .clone()
                        .unwrap_or_else(|| NAMESPACE_OF_CLUSTER.to_owned()),
                ),
                annotations: Some(annotations.collect()),
                ..ObjectMeta::default()
            },
            involved_object: (*note.regarding).clone(),
            type_: Some(if note.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(note.reason.to_owned()),
            message: Some(note.message.into()),
            count: Some(1),
            first_timestamp: Some(time.clone()),
            last_timestamp: Some(time),
            source: Some(EventSource {
                component: Some(COMPONENT.to_owned()),
                host: None,
            }),
            reporting_component: Some(COMPONENT.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

fn anywhere() -> u16 {
    let [.., high, low] = uuid::Uuid::new_v4().into_bytes();
    u16::from_be_bytes([high, low])
}

/// Where Kubernetes keeps the events of objects without a namespace.
const NAMESPACE_OF_CLUSTER: &str = "default";

/// `<name>.<16 hex digits>`, as kubectl and its kin know it, and the same in every try: an event that was stored while
/// its answer was lost is not stored twice.
///
/// The digits are milliseconds and a count, since Kubernetes keeps events by name and their times by seconds: what
/// happened within a second is listed in its order.
pub(super) fn unique_name(name: &str, time: Time, count: u16) -> String {
    let suffix = format!(".{:012x}{count:04x}", time.as_millis());
    let name = &name[..name.floor_char_boundary(NAME_BYTES_MAX - suffix.len())];
    format!("{}{suffix}", name.trim_end_matches(['.', '-']))
}

fn judge<T>(answer: kube::Result<T>) -> Posted {
    match answer {
        Ok(_) => Posted::Stored,
        Err(kube::Error::Api(status)) => match status.code {
            // Whatever code a webhook chose.
            _ if is_denial(&status.message) => Posted::Never(status.to_string()),
            409 if status.reason == "AlreadyExists" => Posted::Stored,
            408 | 429 | 500.. => Posted::Later(status.to_string()),
            _ => Posted::Never(status.to_string()),
        },
        // It answered with success, and what it answered does not matter.
        Err(kube::Error::SerdeError(_)) => Posted::Stored,
        Err(error @ (kube::Error::BuildRequest(_) | kube::Error::HttpError(_))) => {
            Posted::Never(error.to_string())
        }
        Err(error) => Posted::Later(error.to_string()),
    }
}
