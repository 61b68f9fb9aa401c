//! From a name to the addresses that may be connected to.

use std::{io, net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::HttpSettings;

/// Who says what a name resolves to.
#[derive(Clone, Default)]
pub(super) enum Lookup {
    /// The name service of the machine.
    #[default]
    System,
    /// A test.
    #[cfg(test)]
    Scripted(Script),
}

/// The addresses of a name.
#[cfg(test)]
pub(super) type Script = Arc<dyn Fn(&str) -> Vec<std::net::IpAddr> + Send + Sync>;

impl Lookup {
    async fn addresses(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((host, 0)).await?.collect()),
            #[cfg(test)]
            Self::Scripted(says) => Ok(says(host)
                .into_iter()
                .map(|address| (address, 0).into())
                .collect()),
        }
    }
}

/// Resolves names to the addresses that may be called.
///
/// The client connects to what it is answered and asks once for each connection, so what was judged is what is
/// connected to: a name that resolves differently the next time gains nothing.
pub(super) struct Resolver {
    settings: Arc<HttpSettings>,
    lookup: Lookup,
    pinned: Vec<SocketAddr>,
}

impl Resolver {
    /// Every name resolves to the `pinned` addresses, if there are any, with their ports.
    pub(super) fn new(settings: Arc<HttpSettings>, lookup: Lookup, pinned: Vec<SocketAddr>) -> Self {
        Self {
            settings,
            lookup,
            pinned,
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (settings, lookup, pinned) = (self.settings.clone(), self.lookup.clone(), self.pinned.clone());
        Box::pin(async move {
            let host = name.as_str();
            let found = match pinned.is_empty() {
                true => lookup.addresses(host).await?,
                false => pinned,
            };
            // With a proxy only its own name comes here, and the operator chose it.
            if settings.proxy.is_some() {
                return Ok(Box::new(found.into_iter()) as Addrs);
            }
            let mut refused = None;
            let mut permitted: Vec<SocketAddr> = Vec::new();
            for address in found {
                match settings.destinations.permit(host, address.ip()) {
                    Ok(()) => permitted.push(address),
                    Err(refusal) => refused = Some(refusal),
                }
            }
            match refused {
                Some(refusal) if permitted.is_empty() => Err(refusal.into()),
                Some(_) | None => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}
