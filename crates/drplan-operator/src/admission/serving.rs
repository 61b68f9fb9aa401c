//! The certificate that is served, which changes while connections stand.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// The certificate that is served. Until there is one, no handshake succeeds.
#[derive(Debug, Default)]
pub struct Serving {
    key: RwLock<Option<Arc<CertifiedKey>>>,
}

impl Serving {
    /// Serves `key` from now on.
    pub fn set(&self, key: Arc<CertifiedKey>) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.key.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
