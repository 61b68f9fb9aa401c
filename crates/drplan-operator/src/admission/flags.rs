//! The flags of the webhooks.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use clap::Args;
use drplan_api::{GoDuration, names::is_dns_label, names::is_dns_subdomain};

/// The shortest life of a certificate: it is renewed after two thirds of it, and served some time after that.
const LIFETIME_MIN: GoDuration = GoDuration::from_secs(15);
/// Where a Service takes requests unless its port is named.
const SERVICE_PORT: u16 = 443;

/// Whether, where and with which certificate webhooks are served.
#[derive(Args, Clone, Debug)]
pub struct WebhookFlags {
    /// Serve admission webhooks here, and register them; without it there is no admission
    ///
    /// The operator then makes a ValidatingWebhookConfiguration, a MutatingWebhookConfiguration and a
    /// ValidatingAdmissionPolicy with its binding, and heals them. They go with --webhook-owner, and without it they stay
    /// when the operator ends: delete them before you run it without this flag, with
    /// `kubectl delete -l app.kubernetes.io/managed-by=drplan-operator validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings`.
    #[arg(
        long = "webhook-bind",
        id = "webhook-bind",
        env = "WEBHOOK_BIND",
        value_name = "ADDRESS:PORT"
    )]
    pub bind: Option<SocketAddr>,

    /// The ClusterRole with which what is registered goes: it becomes its owner
    ///
    /// While there is none of this name, nothing is registered. Without this flag, what is registered stays.
    #[arg(
        long = "webhook-owner",
        id = "webhook-owner",
        env = "WEBHOOK_OWNER",
        value_name = "CLUSTERROLE"
    )]
    pub owner: Option<String>,

    /// The URL under which the API server reaches --webhook-bind, for an operator that runs outside of the cluster
    #[arg(
        long = "webhook-url",
        id = "webhook-url",
        env = "WEBHOOK_URL",
        value_name = "https://HOST:PORT",
        conflicts_with = "webhook-service"
    )]
    pub url: Option<WebhookUrl>,

    /// The Service through which the API server reaches --webhook-bind
    ///
    /// Without this flag and --webhook-url: `drplan-webhook` in the operator's own namespace, port 443.
    #[arg(
        long = "webhook-service",
        id = "webhook-service",
        env = "WEBHOOK_SERVICE",
        value_name = "NAMESPACE/NAME[:PORT]"
    )]
    pub service: Option<ServiceAddress>,

    /// The Secret in which the operator keeps the webhooks' certificate; it makes, renews and heals it
    ///
    /// Nothing else should write it: what does not fit is replaced. Without this flag: `drplan-webhook-certificate` in
    /// the namespace of the Service or of the operator.
    #[arg(
        long = "webhook-secret",
        id = "webhook-secret",
        env = "WEBHOOK_SECRET",
        value_name = "NAMESPACE/NAME",
        conflicts_with = "webhook-cert-dir"
    )]
    pub secret: Option<SecretName>,

    /// A directory with tls.crt, tls.key and ca.crt to serve with, such as a Secret of cert-manager; read again on changes
    ///
    /// Without ca.crt the API server must trust the certificate by itself.
    #[arg(
        long = "webhook-cert-dir",
        id = "webhook-cert-dir",
        env = "WEBHOOK_CERT_DIR",
        value_name = "DIRECTORY"
    )]
    pub cert_dir: Option<PathBuf>,

    /// How long a certificate of the operator's own is valid; it is renewed after two thirds of that
    #[arg(
        long = "webhook-cert-lifetime",
        id = "webhook-cert-lifetime",
        env = "WEBHOOK_CERT_LIFETIME",
        value_name = "DURATION",
        default_value = "2160h",
        value_parser = lifetime
    )]
    pub cert_lifetime: GoDuration,
}

/// Why a flag's text is no address.
#[derive(Debug, thiserror::Error)]
#[error("`{found}` is not {expected}")]
pub struct AddressError {
    found: String,
    expected: &'static str,
}

/// A URL of the webhooks, without their paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrl {
    /// `https://host:port/path`, without a slash at the end.
    pub base: String,
    /// Its host, as a certificate names it.
    pub host: String,
}

impl FromStr for WebhookUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || AddressError {
            found: text.to_owned(),
            expected: "a URL such as https://10.0.0.7:9443",
        };
        let uri: http::Uri = text.trim().parse().map_err(|_| wrong())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        if uri.scheme_str() != Some("https") || uri.query().is_some() || text.contains(['#', '@']) {
            return Err(wrong());
        }
        Ok(Self {
            base: text.trim().trim_end_matches('/').to_owned(),
            host: host.trim_matches(['[', ']']).to_owned(),
        })
    }
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAddress {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The Service's port.
    pub port: u16,
}

impl ServiceAddress {
    /// The Service that is meant unless one is named.
    pub fn of_namespace(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: "drplan-webhook".to_owned(),
            port: SERVICE_PORT,
        }
    }
}

impl FromStr for ServiceAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || AddressError {
            found: text.to_owned(),
            expected: "NAMESPACE/NAME or NAMESPACE/NAME:PORT",
        };
        let (address, port) = match text.trim().split_once(':') {
            Some((address, port)) => (address, port.parse().map_err(|_| wrong())?),
            None => (text.trim(), SERVICE_PORT),
        };
        let (namespace, name) = address.split_once('/').ok_or_else(wrong)?;
        if !is_dns_label(namespace) || !is_dns_label(name) || port == 0 {
            return Err(wrong());
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            port,
        })
    }
}

/// A Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl SecretName {
    /// The Secret that is meant unless one is named.
    pub fn of_namespace(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: "drplan-webhook-certificate".to_owned(),
        }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for SecretName {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = text.trim().split_once('/');
        match names.filter(|(namespace, name)| is_dns_label(namespace) && is_dns_subdomain(name)) {
            Some((namespace, name)) => Ok(Self {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            }),
            None => Err(AddressError {
                found: text.to_owned(),
                expected: "NAMESPACE/NAME",
            }),
        }
    }
}

fn lifetime(text: &str) -> Result<GoDuration, String> {
    match text.trim().parse::<GoDuration>() {
        Ok(lifetime) if lifetime < LIFETIME_MIN => Err(format!("must be {LIFETIME_MIN} or more")),
        Ok(lifetime) => Ok(lifetime),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_what_is_none_is_refused() {
        let url = |text: &str| text.parse::<WebhookUrl>().map(|url| (url.base, url.host)).ok();
        let pair = |one: &str, other: &str| Some((one.to_owned(), other.to_owned()));
        assert_eq!(url("https://a.example/"), pair("https://a.example", "a.example"));
        assert_eq!(url("https://[::1]:9443/x"), pair("https://[::1]:9443/x", "::1"));
        for wrong in [
            "",
            "a.example",
            "http://a.example",
            "https://",
            "https://a?b=c",
            "https://u@a",
            "https://a#b",
        ] {
            assert_eq!(url(wrong), None, "{wrong}");
        }
        let service = |text: &str| {
            text.parse::<ServiceAddress>()
                .map(|one| (one.namespace, one.name, one.port))
        };
        assert_eq!(
            service("dr/hook").unwrap(),
            ("dr".to_owned(), "hook".to_owned(), 443)
        );
        assert_eq!(service("dr/hook:8443").unwrap().2, 8443);
        for wrong in [
            "hook",
            "dr/",
            "dr/hook:",
            "dr/hook:0",
            "dr/hook:x",
            "Dr/hook",
            "a/b/c",
        ] {
            assert!(service(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            "dr/cert.a".parse::<SecretName>().unwrap().to_string(),
            "dr/cert.a"
        );
        for wrong in ["cert", "/cert", "dr/", "dr/C"] {
            assert!(wrong.parse::<SecretName>().is_err(), "{wrong}");
        }
        assert!(lifetime("14s").is_err() && lifetime("x").is_err());
        assert_eq!(lifetime("15s"), Ok(GoDuration::from_secs(15)));
    }
}
