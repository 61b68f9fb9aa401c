//! Reads and writes of our kinds: every write names the version it changes, every request ends.

use std::{fmt, future::Future, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::metrics::{Kind, Metrics};

/// The field manager of our own records.
const FIELD_MANAGER: &str = "drplan-operator";

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
    #[error("the API server did not answer: {message}")]
    Unanswered {
        /// What happened instead.
        message: String,
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

    /// Classifies what kube says.
    pub fn of(error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::Unanswered {
                message: chain(error),
            };
        };
        match status.code {
            409 => Self::Conflict,
            404 => Self::Gone,
            429 | 500.. => Self::Unanswered {
                message: format!("{} {}", status.code, status.message),
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
        Err(_) => Err(StoreError::Unanswered {
            message: format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()),
        }),
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

    /// Replaces the status if the object still has `version`. Returns the object as written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_status(&self, meta: &ObjectMeta, status: &impl Serialize) -> Result<K, StoreError> {
        let patch = vec![json!({"op": "add", "path": "/status", "value": status})];
        self.patch_status(meta, patch).await
    }

    /// Applies JSON patch operations to the status if the object still has the version of `meta`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn patch_status(&self, meta: &ObjectMeta, mut operations: Vec<Value>) -> Result<K, StoreError> {
        // A patch that carries a resourceVersion is a compare-and-swap.
        let version =
            json!({"op": "replace", "path": "/metadata/resourceVersion", "value": meta.resource_version});
        operations.insert(0, version);
        let (namespace, name) = names(meta);
        let patch: Patch<Value> =
            Patch::Json(serde_json::from_value(Value::Array(operations)).map_err(|error| {
                StoreError::Refused {
                    code: 0,
                    message: error.to_string(),
                }
            })?);
        let asked = Instant::now();
        let outcome = bounded(self.api(namespace).patch_status(name, &parameters(), &patch)).await;
        let failure = outcome.as_ref().err();
        self.metrics.status_written(self.label, asked.elapsed(), failure);
        outcome
    }

    /// Merges `metadata` into the object's if it still has the version of `meta`. Returns the object as written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn merge_metadata(&self, meta: &ObjectMeta, mut metadata: Value) -> Result<K, StoreError> {
        metadata["resourceVersion"] = json!(meta.resource_version);
        metadata["uid"] = json!(meta.uid);
        let (namespace, name) = names(meta);
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        bounded(self.api(namespace).patch(name, &parameters(), &patch)).await
    }

    fn api(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
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
