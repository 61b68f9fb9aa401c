//! Reads and writes of our kinds: every write names the version it changes, every request ends.

use std::{borrow::Cow, fmt, future::Future, time::Duration};

use drplan_api::is_denial;
use http::{HeaderValue, header::ACCEPT};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams, Request},
    core::{NamespaceResourceScope, request::Error as RequestError},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::metrics::{Kind, Metrics};

/// The field manager of our own records.
const FIELD_MANAGER: &str = "drplan-operator";

/// What to accept where the object is known and only its metadata are not. The API server then neither encodes the rest
/// nor sends it.
pub const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// How long one request may take. The API server's own limit is 60 s; a request that takes a tenth of that has lost
/// its connection far more often than it succeeds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a read or write did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The object has another version by now. Nothing was written.
    #[error("the object was changed meanwhile")]
    Conflict,
    /// There is no such object. Nothing was written.
    #[error("the object does not exist")]
    Gone,
    /// The API server will not do it. Nothing was written.
    #[error("the API server refused: {message}")]
    Refused {
        /// Its status code.
        code: u16,
        /// Its words.
        message: String,
    },
    /// No answer, or none that settles it: a write may or may not have happened.
    #[error("the API server {}: {message}", .is_told.then_some("failed").unwrap_or("did not answer"))]
    Unanswered {
        /// What happened instead.
        message: String,
        /// Whether these are the API server's words (429, 5xx), as where a webhook that must be asked is down.
        is_told: bool,
    },
}

impl StoreError {
    /// The names of the variants.
    pub const REASONS: [&'static str; 4] = ["Conflict", "Gone", "Refused", "Unanswered"];

    /// The name of the variant.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Conflict => "Conflict",
            Self::Gone => "Gone",
            Self::Refused { .. } => "Refused",
            Self::Unanswered { .. } => "Unanswered",
        }
    }

    /// [`Self::Unanswered`] without a word of the API server's.
    pub fn silence(message: String) -> Self {
        Self::Unanswered {
            message,
            is_told: false,
        }
    }

    /// Classifies what kube says.
    pub fn of(error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::silence(chain(error));
        };
        match status.code {
            // Whatever code a webhook chose.
            code if is_denial(&status.message) => Self::Refused {
                code,
                message: status.message.clone(),
            },
            409 => Self::Conflict,
            404 => Self::Gone,
            429 | 500.. => Self::Unanswered {
                message: format!("{} {}", status.code, status.message),
                is_told: true,
            },
            code => Self::Refused {
                code,
                message: status.message.clone(),
            },
        }
    }
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// `request`, ended after 10 s.
///
/// # Errors
/// [`StoreError`].
pub async fn bounded<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, StoreError> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(StoreError::of(&error)),
        Err(_) => Err(StoreError::silence(format!(
            "no answer within {} s",
            REQUEST_TIMEOUT.as_secs()
        ))),
    }
}

/// Access to one kind.
pub struct Store<K> {
    client: Client,
    metrics: Metrics,
    label: Kind,
    kind: std::marker::PhantomData<fn() -> K>,
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            metrics: self.metrics.clone(),
            label: self.label,
            kind: std::marker::PhantomData,
        }
    }
}

impl<K> fmt::Debug for Store<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl<K> Store<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + fmt::Debug,
{
    /// Access through `client`; writes are counted as those of `label`.
    pub fn new(client: Client, metrics: Metrics, label: Kind) -> Self {
        Self {
            client,
            metrics,
            label,
            kind: std::marker::PhantomData,
        }
    }

    /// The object, read live; none if there is none.
    ///
    /// # Errors
    /// [`StoreError`], never `Gone`.
    pub async fn get(&self, namespace: &str, name: &str) -> Result<Option<K>, StoreError> {
        match bounded(self.api(namespace).get(name)).await {
            Ok(object) => Ok(Some(object)),
            Err(StoreError::Gone) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the status if the object still has the version of `meta`. Returns the metadata as written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_status(
        &self,
        meta: &ObjectMeta,
        status: &impl Serialize,
    ) -> Result<ObjectMeta, StoreError> {
        let (namespace, name) = names(meta);
        let object = StatusOf {
            api_version: K::api_version(&()),
            kind: K::kind(&()),
            metadata: Identity {
                name,
                namespace,
                uid: meta.uid.as_deref(),
                resource_version: meta.resource_version.as_deref(),
            },
            status,
        };
        let text = serde_json::to_vec(&object).map_err(unwritable)?;
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let request = self
            .request(namespace)
            .replace_subresource("status", name, &params, text);
        self.status_written(request).await
    }

    /// Applies JSON patch operations to the status if the object still has the version of `meta`. Returns the metadata
    /// as written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn patch_status(
        &self,
        meta: &ObjectMeta,
        mut operations: Vec<Value>,
    ) -> Result<ObjectMeta, StoreError> {
        // A patch that carries a resourceVersion is a compare-and-swap.
        let version =
            json!({"op": "replace", "path": "/metadata/resourceVersion", "value": meta.resource_version});
        operations.insert(0, version);
        let (namespace, name) = names(meta);
        let operations = serde_json::from_value(Value::Array(operations)).map_err(unwritable)?;
        let patch: Patch<Value> = Patch::Json(operations);
        let request = self
            .request(namespace)
            .patch_subresource("status", name, &parameters(), &patch);
        self.status_written(request).await
    }

    /// Merges `metadata` into the object's if it still has the version of `meta`. Returns the metadata as written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn merge_metadata(
        &self,
        meta: &ObjectMeta,
        mut metadata: Value,
    ) -> Result<ObjectMeta, StoreError> {
        metadata["resourceVersion"] = json!(meta.resource_version);
        metadata["uid"] = json!(meta.uid);
        let (namespace, name) = names(meta);
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let request = self.request(namespace).patch(name, &parameters(), &patch);
        self.written(request).await
    }

    /// [`Self::written`], of a status: counted.
    async fn status_written(
        &self,
        request: Result<http::Request<Vec<u8>>, RequestError>,
    ) -> Result<ObjectMeta, StoreError> {
        let asked = Instant::now();
        let outcome = self.written(request).await;
        let failure = outcome.as_ref().err();
        self.metrics.status_written(self.label, asked.elapsed(), failure);
        outcome
    }

    /// Sends a write and asks for no more than metadata in return: the rest is what was sent.
    async fn written(
        &self,
        request: Result<http::Request<Vec<u8>>, RequestError>,
    ) -> Result<ObjectMeta, StoreError> {
        let mut request = request.map_err(unwritable)?;
        request
            .headers_mut()
            .insert(ACCEPT, HeaderValue::from_static(METADATA_ONLY));
        let answer: Answer = bounded(self.client.request(request)).await?;
        Ok(answer.metadata)
    }

    fn request(&self, namespace: &str) -> Request {
        Request::new(K::url_path(&(), Some(namespace)))
    }

    fn api(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// An object as far as a write of its status needs it: the API server keeps everything else as it is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusOf<'a, S> {
    api_version: Cow<'a, str>,
    kind: Cow<'a, str>,
    metadata: Identity<'a>,
    status: &'a S,
}

/// Which object, in which version.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    name: &'a str,
    namespace: &'a str,
    uid: Option<&'a str>,
    resource_version: Option<&'a str>,
}

/// What an answer is read for.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    metadata: ObjectMeta,
}

/// What cannot be sent at all.
fn unwritable(error: impl fmt::Display) -> StoreError {
    StoreError::Refused {
        code: 0,
        message: error.to_string(),
    }
}

fn parameters() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

/// Namespace and name of an object that came from the API server.
pub fn names(meta: &ObjectMeta) -> (&str, &str) {
    (
        meta.namespace.as_deref().unwrap_or_default(),
        meta.name.as_deref().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn of(code: u16, reason: &str, message: &str) -> &'static str {
        let status = Status::failure(message, reason).with_code(code);
        StoreError::of(&kube::Error::Api(status.boxed())).reason()
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(of(404, "NotFound", "drplans \"shop\" not found"), "Gone");
        assert_eq!(of(409, "Conflict", "the object has been modified"), "Conflict");
        assert_eq!(
            of(409, "AlreadyExists", "leases \"a\" already exists"),
            "Conflict"
        );
        assert_eq!(of(403, "Forbidden", "no"), "Refused");
        assert_eq!(of(503, "ServiceUnavailable", "no"), "Unanswered");
    }

    #[test]
    fn a_webhooks_denial_is_a_refusal_whatever_its_code() {
        let words = "admission webhook \"quota.example.com\" denied the request: too many";
        for (code, reason) in [
            (403, ""),
            (404, "NotFound"),
            (409, "Conflict"),
            (409, "AlreadyExists"),
            (429, "TooManyRequests"),
            (500, "InternalError"),
        ] {
            assert_eq!(of(code, reason, words), "Refused", "{code} {reason}");
        }
    }
}
