//! Reaching behind the API server, to store what it would refuse.

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::control_plane::ControlPlane;

/// Where the API server stores a custom object.
///
/// Objects of custom resources are stored as JSON. The built-in kinds are stored as protobuf, in other places.
pub fn etcd_key(group: &str, plural: &str, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("/registry/{group}/{plural}/{namespace}/{name}"),
        None => format!("/registry/{group}/{plural}/{name}"),
    }
}

impl ControlPlane {
    /// Stores the object under the key, unseen by validation, conversion and admission.
    ///
    /// # Errors
    ///
    /// When etcd does not answer or refuses.
    pub async fn etcd_put(&self, key: &str, object: &Value) -> anyhow::Result<()> {
        self.etcd_put_bytes(key, object.to_string().as_bytes()).await
    }

    /// [`Self::etcd_put`] with anything at all.
    ///
    /// # Errors
    ///
    /// As [`Self::etcd_put`].
    pub async fn etcd_put_bytes(&self, key: &str, value: &[u8]) -> anyhow::Result<()> {
        let body = json!({"key": BASE64_STANDARD.encode(key), "value": BASE64_STANDARD.encode(value)});
        self.etcd("put", &body).await.map(drop)
    }

    /// Returns what is stored under the key, if anything.
    ///
    /// # Errors
    ///
    /// When etcd does not answer.
    pub async fn etcd_get(&self, key: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let answer = self
            .etcd("range", &json!({"key": BASE64_STANDARD.encode(key)}))
            .await?;
        let Some(value) = answer.pointer("/kvs/0/value").and_then(Value::as_str) else {
            return Ok(None);
        };
        Ok(Some(BASE64_STANDARD.decode(value)?))
    }

    /// Deletes the key, finalizers or not.
    ///
    /// # Errors
    ///
    /// When etcd does not answer.
    pub async fn etcd_delete(&self, key: &str) -> anyhow::Result<()> {
        self.etcd("deleterange", &json!({"key": BASE64_STANDARD.encode(key)}))
            .await
            .map(drop)
    }

    /// Forgets every version of everything but the last one, as etcd is told from time to time. A watch from an older
    /// version is refused from then on, once the API server does not remember what came after it itself.
    ///
    /// # Errors
    ///
    /// When etcd does not answer or refuses.
    pub async fn etcd_compact(&self) -> anyhow::Result<()> {
        let answer = self
            .etcd("range", &json!({"key": BASE64_STANDARD.encode("/")}))
            .await?;
        let revision = answer
            .pointer("/header/revision")
            .context("etcd: an answer without revision")?;
        self.etcd("compaction", &json!({"revision": revision, "physical": true}))
            .await
            .map(drop)
    }

    async fn etcd(&self, what: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("http://127.0.0.1:{}/v3/kv/{what}", self.inner.etcd_port);
        let answer = reqwest::Client::new().post(&url).json(body).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer
            .with_context(|| format!("etcd: failed to {what}"))?
            .json()
            .await
            .context("etcd: unreadable answer")
    }
}
