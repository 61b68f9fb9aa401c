//! A certificate authority of the control plane's own, so that its clients verify what they talk to.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use serde_json::{Value, json};

/// Signs the certificates of one control plane's servers and users.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its private key, both PEM.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS #8.
    pub key: String,
}

impl Authority {
    /// Makes an authority with a key of its own.
    ///
    /// # Errors
    ///
    /// When the machine has no randomness to give.
    pub fn generate() -> anyhow::Result<Self> {
        let mut params = named("drplan-testkit", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    /// The authority's own certificate, PEM.
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// Makes a certificate for a server on 127.0.0.1, under that address and these names.
    ///
    /// # Errors
    ///
    /// When a name is not a DNS name.
    pub fn server(&self, names: &[&str]) -> anyhow::Result<Credentials> {
        self.server_at(&[], names)
    }

    /// [`Self::server`] under these addresses too.
    ///
    /// # Errors
    ///
    /// As [`Self::server`].
    pub fn server_at(&self, addresses: &[Ipv4Addr], names: &[&str]) -> anyhow::Result<Credentials> {
        let mut params = named(names.first().unwrap_or(&"localhost"), None);
        let addresses = [&[Ipv4Addr::LOCALHOST], addresses].concat();
        params.subject_alt_names = addresses
            .into_iter()
            .map(|address| SanType::IpAddress(IpAddr::V4(address)))
            .collect();
        for name in names {
            params
                .subject_alt_names
                .push(SanType::DnsName((*name).try_into()?));
        }
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.sign(&params)
    }

    /// Makes a certificate that the API server takes as this user in this group.
    ///
    /// Kubernetes would take several groups from one certificate, but rcgen writes one organization only.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be signed.
    pub fn client(&self, user: &str, group: Option<&str>) -> anyhow::Result<Credentials> {
        let mut params = named(user, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> anyhow::Result<Credentials> {
        let key = KeyPair::generate()?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .context("failed to sign a certificate")?;
        Ok(Credentials {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Returns a kubeconfig for the API server on this port of 127.0.0.1.
    pub(crate) fn kubeconfig(&self, port: u16, credentials: &Credentials) -> Value {
        let name = "testkit";
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {
                "server": format!("https://127.0.0.1:{port}"),
                "certificate-authority-data": BASE64_STANDARD.encode(self.certificate()),
            }}],
            "users": [{"name": name, "user": {
                "client-certificate-data": BASE64_STANDARD.encode(&credentials.certificate),
                "client-key-data": BASE64_STANDARD.encode(&credentials.key),
            }}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Credentials {
    /// Writes `NAME.crt` and `NAME.key` into the directory.
    pub(crate) fn write(&self, dir: &Path, name: &str) -> anyhow::Result<()> {
        for (ending, text) in [("crt", &self.certificate), ("key", &self.key)] {
            let file = dir.join(format!("{name}.{ending}"));
            std::fs::write(&file, text).with_context(|| format!("failed to write `{}`", file.display()))?;
        }
        Ok(())
    }
}

fn named(common_name: &str, organization: Option<&str>) -> CertificateParams {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, common_name);
    if let Some(organization) = organization {
        subject.push(DnType::OrganizationName, organization);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params
}
