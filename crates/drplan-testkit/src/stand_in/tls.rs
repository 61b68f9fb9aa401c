//! How a stand-in speaks TLS.

use std::sync::Arc;

use anyhow::Context;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::authority::Credentials;

/// Shows this certificate to everybody and asks nobody for one.
pub(super) fn acceptor(credentials: &Credentials) -> anyhow::Result<TlsAcceptor> {
    let certificate = CertificateDer::from_pem_slice(credentials.certificate.as_bytes())
        .context("the stand-in's certificate cannot be read")?;
    let key = PrivateKeyDer::from_pem_slice(credentials.key.as_bytes())
        .context("the stand-in's key cannot be read")?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
