//! The Secret in which the replicas of an operator agree on one certificate.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams, Preconditions},
};

use super::{Certificate, CertificateError, Stored, make};
use crate::{
    admission::flags::SecretName,
    store::{StoreError, bounded, chain},
};

/// The type of the Secret; the API server sees to it that certificate and key are there.
const TYPE: &str = "kubernetes.io/tls";
/// Other replicas that came first, in a row, after which the rest is left to the next round.
const CONFLICTS_MAX: usize = 5;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The Secret could not be read or written.
    #[error("failed to read or write the Secret `{secret}` of the webhooks' certificate")]
    Store {
        /// The Secret.
        secret: String,
        /// Why.
        source: StoreError,
    },
    /// No certificate could be made.
    #[error("failed to make the webhooks' certificate")]
    Make {
        /// Why.
        source: CertificateError,
    },
}

/// The Secret, and what has to be in it.
pub struct CertificateSecret {
    client: Client,
    name: SecretName,
    /// What the certificate is for; the first is what the API server asks for.
    names: Vec<String>,
    lifetime: Duration,
}

impl CertificateSecret {
    /// The Secret `name` for a certificate for `names`, which is valid for `lifetime`.
    pub fn new(client: Client, name: SecretName, names: Vec<String>, lifetime: Duration) -> Self {
        Self {
            client,
            name,
            names,
            lifetime,
        }
    }

    /// The certificate that is stored. One that is missing, damaged, foreign, or beyond two thirds of its life, is
    /// replaced first, by compare-and-swap: of several replicas one does it. `serving` is the bundle of what is served
    /// now, whose authority stays trusted.
    ///
    /// # Errors
    /// [`SecretError`]; to be tried again.
    pub async fn certificate(&self, serving: Option<&str>) -> Result<Certificate, SecretError> {
        for _ in 0..CONFLICTS_MAX {
            match self.try_certificate(serving).await {
                Err(SecretError::Store {
                    source: StoreError::Conflict | StoreError::Gone,
                    ..
                }) => {}
                answer => return answer,
            }
        }
        Err(self.failed(StoreError::Conflict))
    }

    async fn try_certificate(&self, serving: Option<&str>) -> Result<Certificate, SecretError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.name.namespace);
        let found = bounded(api.get_opt(&self.name.name))
            .await
            .map_err(|error| self.failed(error))?;
        let stored = match &found {
            None => None,
            Some(secret) => match self.examine(secret) {
                Ok(certificate) => return Ok(certificate),
                Err(error) => {
                    tracing::info!(
                        secret = %self.name,
                        "the webhooks' certificate is replaced: {}",
                        chain(&error)
                    );
                    read(secret).ok().and_then(|certificate| certificate.bundle)
                }
            },
        };
        // What is served was agreed on; what is stored by now, anybody may have written. Others may serve with it still.
        let before = serving.map(str::to_owned).or(stored);
        let made = make(&self.names, self.lifetime, SystemTime::now(), before.as_deref())
            .map_err(|source| SecretError::Make { source })?;
        let certificate = Certificate::read(&made).map_err(|source| SecretError::Make { source })?;
        self.put(&api, found, made)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(certificate)
    }

    /// The certificate of `secret`, if it does for another third of its life.
    fn examine(&self, secret: &Secret) -> Result<Certificate, CertificateError> {
        let certificate = read(secret)?;
        if secret.type_.as_deref() != Some(TYPE) {
            return Err(super::damaged(
                "type",
                "TLS Secret",
                "it is another type of Secret",
            ));
        }
        let until = SystemTime::now() + self.lifetime / 3;
        for name in &self.names {
            certificate.fits(name, until)?;
        }
        Ok(certificate)
    }

    async fn put(&self, api: &Api<Secret>, found: Option<Secret>, made: Stored) -> Result<(), StoreError> {
        let parts = [
            ("tls.crt", made.certificate),
            ("tls.key", made.key),
            ("ca.crt", made.bundle.unwrap_or_default()),
        ];
        let data: BTreeMap<String, ByteString> = parts
            .map(|(name, bytes)| (name.to_owned(), ByteString(bytes)))
            .into();
        let secret = |metadata: ObjectMeta| Secret {
            metadata,
            type_: Some(TYPE.to_owned()),
            data: Some(data.clone()),
            ..Secret::default()
        };
        let name = &self.name.name;
        let managed = [(
            "app.kubernetes.io/managed-by".to_owned(),
            "drplan-operator".to_owned(),
        )];
        let new = ObjectMeta {
            name: Some(name.clone()),
            labels: Some(managed.into()),
            ..ObjectMeta::default()
        };
        match found {
            None => bounded(api.create(&PostParams::default(), &secret(new)))
                .await
                .map(drop),
            // The type and data of an immutable one cannot be changed.
            Some(found) if found.type_.as_deref() != Some(TYPE) || found.immutable == Some(true) => {
                let same = Preconditions {
                    uid: found.metadata.uid,
                    resource_version: found.metadata.resource_version,
                };
                bounded(api.delete(name, &DeleteParams::default().preconditions(same))).await?;
                bounded(api.create(&PostParams::default(), &secret(new)))
                    .await
                    .map(drop)
            }
            Some(found) => {
                let same = ObjectMeta {
                    managed_fields: None,
                    ..found.metadata
                };
                bounded(api.replace(name, &PostParams::default(), &secret(same)))
                    .await
                    .map(drop)
            }
        }
    }

    fn failed(&self, source: StoreError) -> SecretError {
        SecretError::Store {
            secret: self.name.to_string(),
            source,
        }
    }
}

fn read(secret: &Secret) -> Result<Certificate, CertificateError> {
    let part = |name: &str| secret.data.as_ref()?.get(name).map(|bytes| bytes.0.clone());
    Certificate::read(&Stored {
        certificate: part("tls.crt").unwrap_or_default(),
        key: part("tls.key").unwrap_or_default(),
        bundle: Some(part("ca.crt").unwrap_or_default()),
    })
}
