//! The proxy on the way to the API server, chosen as kubectl chooses it.
//!
//! kube could go through proxies too, but holds `NO_PROXY` against the proxy instead of the API server, and does not read
//! every list that others read.

use std::{env, net::IpAddr};

use anyhow::{Context, bail};
use http::Uri;
use hyper_util::{
    client::{
        legacy::{
            Client as HttpClient,
            connect::{HttpConnector, proxy::Tunnel},
        },
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioExecutor,
};
use kube::{Client, Config, client::ConfigExt};
use tower::{BoxError, ServiceBuilder};

/// A client for the API server of `config`, through a proxy if there is one for it.
///
/// # Errors
/// A proxy that cannot be used, or credentials.
pub(super) fn client(mut config: Config) -> anyhow::Result<Client> {
    let known = config.proxy_url.take();
    match choose(&config.cluster_url, known, &Environment::read())? {
        None => Client::try_from(config).context("failed to make a client for the API server"),
        Some(proxy) => through(&proxy, config).context("failed to make a client for the API server"),
    }
}

fn through(proxy: &Intercept, config: Config) -> kube::Result<Client> {
    let mut connector = HttpConnector::new();
    // The scheme is TLS' to look at.
    connector.enforce_http(false);
    connector.set_connect_timeout(config.connect_timeout);
    let mut tunnel = Tunnel::new(proxy.uri().clone(), connector);
    if let Some(credentials) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(credentials.clone());
    }
    let connector = config.rustls_https_connector_with_connector(tunnel)?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .map_err(BoxError::from)
        .service(HttpClient::builder(TokioExecutor::new()).build(connector));
    Ok(Client::new(service, config.default_namespace))
}

/// What the environment says of proxies.
#[derive(Debug, Default)]
struct Environment {
    https_proxy: String,
    no_proxy: String,
}

impl Environment {
    fn read() -> Self {
        let first = |names: [&str; 2]| {
            let values = names.into_iter().filter_map(|name| env::var(name).ok());
            let mut values = values.map(|value| value.trim().to_owned());
            values.find(|value| !value.is_empty()).unwrap_or_default()
        };
        Self {
            https_proxy: first(["HTTPS_PROXY", "https_proxy"]),
            no_proxy: first(["NO_PROXY", "no_proxy"]),
        }
    }
}

/// The proxy for `server`: that of the kubeconfig, else that of the environment, but for what `NO_PROXY` lists and for
/// this machine. `known` is what kube found: the kubeconfig's, or else the environment's.
fn choose(server: &Uri, known: Option<Uri>, environment: &Environment) -> anyhow::Result<Option<Intercept>> {
    let Environment {
        https_proxy,
        no_proxy,
    } = environment;
    let is_of_environment = known.is_none() || https_proxy.parse().ok() == known;
    let (proxy, no_proxy, place) = match known.filter(|_| !is_of_environment) {
        Some(known) => (known.to_string(), "", "proxy-url of the kubeconfig"),
        None if https_proxy.is_empty() || is_this_machine(server) => return Ok(None),
        None => (https_proxy.clone(), no_proxy.as_str(), "HTTPS_PROXY"),
    };
    let of_any = |no_proxy: &str| {
        let matcher = Matcher::builder().all(proxy.as_str()).no(no_proxy).build();
        matcher.intercept(server)
    };
    // The value may hold a password.
    let Some(found) = of_any("").filter(|found| found.uri().scheme_str() == Some("http")) else {
        bail!("the proxy cannot be used: {place} is not written as http://HOST:PORT");
    };
    Ok(Some(found).filter(|_| of_any(no_proxy).is_some()))
}

/// Whether `server` is this machine, to which no proxy leads.
fn is_this_machine(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "https://hub.example.com:6443/";
    const PROXY: &str = "http://proxy:3128";

    fn chosen(
        server: &str,
        known: Option<&str>,
        https_proxy: &str,
        no_proxy: &str,
    ) -> anyhow::Result<String> {
        let environment = Environment {
            https_proxy: https_proxy.to_owned(),
            no_proxy: no_proxy.to_owned(),
        };
        let known = known.map(|known| known.parse().unwrap());
        let found = choose(&server.parse().unwrap(), known, &environment)?;
        Ok(found.map_or_else(|| "none".to_owned(), |found| found.uri().to_string()))
    }

    fn of(known: Option<&str>, https_proxy: &str, no_proxy: &str) -> String {
        chosen(SERVER, known, https_proxy, no_proxy).unwrap()
    }

    #[test]
    fn the_kubeconfigs_proxy_comes_first_and_the_environments_is_not_for_what_no_proxy_lists() {
        assert_eq!(of(None, "", ""), "none");
        assert_eq!(of(Some("http://own:1"), "", ""), "http://own:1/");
        assert_eq!(of(Some("http://own:1"), PROXY, "*"), "http://own:1/");
        // As kube hands it over, and as it does not.
        for known in [Some(PROXY), None] {
            assert_eq!(of(known, PROXY, ""), "http://proxy:3128/");
            assert_eq!(of(known, PROXY, "a.example.com,proxy,"), "http://proxy:3128/");
            assert_eq!(of(known, PROXY, "x, example.com"), "none");
            assert_eq!(of(known, PROXY, "*"), "none");
        }
        assert_eq!(of(None, "proxy:3128", ""), "http://proxy:3128/");
    }

    #[test]
    fn this_machine_is_reached_directly() {
        for server in [
            "https://127.0.0.1:6443",
            "https://[::1]:6443",
            "https://localhost:1",
        ] {
            assert_eq!(chosen(server, None, PROXY, "").unwrap(), "none", "{server}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_told_without_its_password() {
        for wrong in [
            "socks5://me:secret@proxy:1",
            "https://me:secret@proxy",
            "http://me:secret @proxy",
        ] {
            let error = chosen(SERVER, None, wrong, "").unwrap_err().to_string();
            assert!(
                error.contains("HTTPS_PROXY") && !error.contains("secret"),
                "{error}"
            );
        }
        let known = Some("http://me:secret@proxy:3128");
        let found = choose(
            &SERVER.parse().unwrap(),
            known.map(|known| known.parse().unwrap()),
            &Environment::default(),
        );
        let found = found.unwrap().unwrap();
        assert_eq!(found.uri().to_string(), "http://proxy:3128/");
        assert!(found.basic_auth().is_some());
    }
}
