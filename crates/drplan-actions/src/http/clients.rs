//! The HTTP clients of a process: one for each way to trust.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use drplan_engine::effect::{Failure, FailureKind, HttpCall};
use reqwest::{Certificate, Client, Url, redirect, retry};

use super::{
    HttpSettings,
    request::{none, shown},
    resolver::{Lookup, Resolver},
};
use crate::text::one_line;

/// Clients kept at once. One holds the system's certificates, some 0.5 MiB.
const CLIENTS_MAX: usize = 16;

/// Makes and keeps clients.
pub(super) struct Clients {
    settings: Arc<HttpSettings>,
    lookup: Lookup,
    made: Mutex<HashMap<Key, Client>>,
}

/// What makes one client differ from another.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    ca_bundle: Option<String>,
    insecure: bool,
    /// Whether it is for `http` alone, so that no certificates are needed.
    plain: bool,
    /// Where its calls go, if that is not the name service's to say.
    pinned: Vec<SocketAddr>,
}

impl Clients {
    pub(super) fn new(settings: Arc<HttpSettings>, lookup: Lookup) -> Self {
        Self {
            settings,
            lookup,
            made: Mutex::default(),
        }
    }

    /// The client for `call`, which goes to the `pinned` addresses if there are any.
    pub(super) fn client(
        &self,
        call: &HttpCall,
        url: &Url,
        pinned: Vec<SocketAddr>,
    ) -> Result<Client, Failure> {
        let key = Key {
            ca_bundle: call.ca_bundle.clone(),
            insecure: call.insecure_skip_verify,
            plain: url.scheme() == "http" && self.settings.proxy.is_none(),
            pinned,
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&key) {
            return Ok(client.clone());
        }
        let client = self.make(&key, call, url)?;
        // Forgetting all is the simplest bound: the next calls make them again, those in use live on.
        if made.len() >= CLIENTS_MAX {
            made.clear();
        }
        made.insert(key, client.clone());
        Ok(client)
    }

    fn make(&self, key: &Key, call: &HttpCall, url: &Url) -> Result<Client, Failure> {
        let mut builder = Client::builder()
            .user_agent(concat!("drplan/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .referer(false)
            .redirect(redirect::Policy::none())
            // A request on a connection that the server is about to close would be sent again by the library,
            // and so would one that HTTP/2 lets a server reject: one connection for each call, HTTP/1.1, no retry.
            .http1_only()
            .pool_max_idle_per_host(0)
            .retry(retry::never())
            // A body is kept as it is sent; without this a small answer could unpack to a large one.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .dns_resolver(Resolver::new(
                self.settings.clone(),
                self.lookup.clone(),
                key.pinned.clone(),
            ));
        if let Some(proxy) = &self.settings.proxy {
            let proxy = reqwest::Proxy::all(proxy.url.clone());
            builder = builder.proxy(proxy.map_err(|_| none(call, url, "the proxy's address is not valid"))?);
        }
        let trusted = &self.settings.trusted.certificates;
        if !trusted.is_empty() && !key.plain {
            builder = builder.tls_certs_merge(trusted.clone());
        }
        if let Some(bundle) = &key.ca_bundle {
            let certificates = Certificate::from_pem_bundle(bundle.as_bytes()).unwrap_or_default();
            if certificates.is_empty() {
                return Err(none(call, url, "caBundle holds no PEM certificate"));
            }
            builder = builder.tls_certs_merge(certificates);
        } else if key.plain {
            builder = builder.tls_certs_only([]);
        }
        builder
            .tls_danger_accept_invalid_certs(key.insecure)
            .build()
            .map_err(|error| {
                // Certificates that do not parse, or a system without any: an image without CA certificates.
                let cause =
                    std::iter::successors(Some(&error as &(dyn std::error::Error + 'static)), |e| e.source());
                let cause = cause.last().map(ToString::to_string).unwrap_or_default();
                let message = format!("{} {}: TLS: {}", call.method, shown(url), one_line(&cause, 200));
                Failure::new(FailureKind::Tls, message)
            })
    }
}
