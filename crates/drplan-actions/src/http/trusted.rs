//! Certificates that every call trusts.

use std::{io, path::Path};

use reqwest::{Certificate, Client};

/// Certificates that every call trusts besides the system's.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    pub(super) certificates: Vec<Certificate>,
}

/// A file from which no certificates can be taken.
#[derive(Debug, thiserror::Error)]
pub enum BadTrusted {
    /// It cannot be read.
    #[error("failed to read `{file}`: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why not.
        source: io::Error,
    },
    /// There is none in it.
    #[error("`{file}` holds no PEM certificate")]
    Empty {
        /// The file.
        file: String,
    },
    /// What is marked as a certificate is none.
    #[error("`{file}` holds a PEM certificate that is none")]
    Invalid {
        /// The file.
        file: String,
    },
}

impl Trusted {
    /// The certificates in a PEM file.
    ///
    /// # Errors
    /// When there are none that can be used.
    pub fn read(path: &Path) -> Result<Self, BadTrusted> {
        let file = || path.display().to_string();
        let pem = std::fs::read(path).map_err(|source| BadTrusted::Read { file: file(), source })?;
        let invalid = |_| BadTrusted::Invalid { file: file() };
        let certificates = Certificate::from_pem_bundle(&pem).map_err(invalid)?;
        if certificates.is_empty() {
            return Err(BadTrusted::Empty { file: file() });
        }
        // They are parsed when a client is made of them, which should not be in the middle of a failover.
        let client = Client::builder().tls_certs_only(certificates.clone()).build();
        client.map_err(invalid)?;
        Ok(Self { certificates })
    }
}
