//! Hosts whose addresses the operator says, instead of the name service.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use reqwest::Url;

/// `HOST:PORT:ADDRESS`: calls to that host and port go to this address.
///
/// The address may have a port of its own, `HOST:PORT:ADDRESS:PORT`, an IPv6 one then in brackets. Everything else of a
/// call stays as it is written: the `Host` header, the name that the certificate must be for, what messages show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedHost {
    host: String,
    port: u16,
    address: SocketAddr,
}

/// A text that pins no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not HOST:PORT:ADDRESS, such as db.example.com:443:10.0.0.7: {why}")]
pub struct BadPinnedHost {
    text: String,
    why: &'static str,
}

impl FromStr for PinnedHost {
    type Err = BadPinnedHost;

    fn from_str(text: &str) -> Result<Self, BadPinnedHost> {
        let bad = |why| BadPinnedHost {
            text: text.to_owned(),
            why,
        };
        let mut parts = text.splitn(3, ':');
        let (Some(host), Some(port), Some(address)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad("one of the three is missing"));
        };
        let valid = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_');
        let host = host.trim_end_matches('.');
        if host.is_empty() || !host.bytes().all(valid) || host.parse::<IpAddr>().is_ok() {
            return Err(bad("HOST is no name"));
        }
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| bad("PORT is no port"))?;
        let address = address_of(address, port).ok_or_else(|| bad("ADDRESS is no IP address"))?;
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
            address,
        })
    }
}

/// An address with or without brackets, and with `port` unless it has one of its own.
fn address_of(text: &str, port: u16) -> Option<SocketAddr> {
    let bracketed = || {
        text.strip_prefix('[')?
            .strip_suffix(']')?
            .parse::<Ipv6Addr>()
            .ok()
    };
    let alone = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| bracketed().map(IpAddr::V6));
    match alone {
        Some(address) => Some(SocketAddr::new(address, port)),
        None => text
            .parse::<SocketAddr>()
            .ok()
            .filter(|address| address.port() != 0),
    }
}

/// Where calls to `url` go by `pinned`, in that order; none: where its name resolves to.
pub(super) fn addresses(pinned: &[PinnedHost], url: &Url) -> Vec<SocketAddr> {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    pinned
        .iter()
        .filter(|pinned| {
            host.eq_ignore_ascii_case(&pinned.host) && url.port_or_known_default() == Some(pinned.port)
        })
        .map(|pinned| pinned.address)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_are_pinned_to_an_address_which_may_have_a_port_of_its_own() {
        let check = |text: &str, url: &str, expect: Option<&str>| {
            let pinned = text.parse::<PinnedHost>().unwrap();
            let found = addresses(&[pinned], &Url::parse(url).unwrap());
            let expect: Vec<SocketAddr> = expect.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(found, expect, "{text}: {url}");
        };
        check(
            "a.example:443:10.0.0.7",
            "https://a.example/x",
            Some("10.0.0.7:443"),
        );
        check(
            "A.example.:443:10.0.0.7",
            "https://a.EXAMPLE./x",
            Some("10.0.0.7:443"),
        );
        check("a.example:443:10.0.0.7", "http://a.example/", None);
        check("a.example:443:10.0.0.7", "https://b.a.example/", None);
        check(
            "a.example:8443:10.0.0.7",
            "https://a.example:8443/",
            Some("10.0.0.7:8443"),
        );
        check(
            "a.example:80:10.0.0.7:8080",
            "http://a.example/",
            Some("10.0.0.7:8080"),
        );
        check("a:443:::1", "https://a/", Some("[::1]:443"));
        check("a:443:[::1]", "https://a/", Some("[::1]:443"));
        check("a:443:[::1]:8443", "https://a/", Some("[::1]:8443"));
    }

    #[test]
    fn what_pins_no_host_is_refused_with_the_reason() {
        let check = |text: &str, why: &str| {
            let error = text.parse::<PinnedHost>().unwrap_err().to_string();
            assert!(error.ends_with(why), "{error}");
        };
        check("", "one of the three is missing");
        check("a:443", "one of the three is missing");
        check(":443:10.0.0.7", "HOST is no name");
        check("*:443:10.0.0.7", "HOST is no name");
        check("https://a:443:10.0.0.7", "PORT is no port");
        check("10.0.0.1:443:10.0.0.7", "HOST is no name");
        check("a:0:10.0.0.7", "PORT is no port");
        check("a:https:10.0.0.7", "PORT is no port");
        check("a:443:", "ADDRESS is no IP address");
        check("a:443:b.example", "ADDRESS is no IP address");
        check("a:443:10.0.0.7:0", "ADDRESS is no IP address");
        check("a:443:[10.0.0.7]", "ADDRESS is no IP address");
    }
}
