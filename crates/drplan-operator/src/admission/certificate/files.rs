//! A certificate that somebody else makes and renews, such as cert-manager, as files.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Certificate, CertificateError, Stored};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file could not be read.
    #[error("failed to read `{}`", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// They cannot be served.
    #[error("what is in `{}` cannot be served", directory.display())]
    Unusable {
        /// Where they are.
        directory: PathBuf,
        /// Why.
        source: CertificateError,
    },
}

/// The certificate in `directory`: `tls.crt`, `tls.key`, and `ca.crt` if it is there.
///
/// # Errors
/// [`FilesError`]; while files are being replaced they may not fit together, so it is worth another try.
pub async fn read(directory: &Path) -> Result<Certificate, FilesError> {
    let read = |name: &str| {
        let file = directory.join(name);
        async move {
            match tokio::fs::read(&file).await {
                Ok(bytes) => Ok(bytes),
                Err(source) => Err(FilesError::Read { file, source }),
            }
        }
    };
    let bundle = match read("ca.crt").await {
        Ok(bytes) => Some(bytes),
        Err(FilesError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let stored = Stored {
        certificate: read("tls.crt").await?,
        key: read("tls.key").await?,
        bundle,
    };
    Certificate::read(&stored).map_err(|source| FilesError::Unusable {
        directory: directory.to_owned(),
        source,
    })
}
