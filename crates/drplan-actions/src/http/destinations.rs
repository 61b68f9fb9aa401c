//! Where calls may go.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

use super::HttpSettings;

/// Where calls may go: denied ones never, others if they are allowed or nothing is.
///
/// Link-local addresses (the metadata services of clouds are there) are denied unless `allow` holds a range that
/// they are in; a name is not enough, since whoever owns it may let it resolve to anything.
#[derive(Clone, Debug, Default)]
pub struct Destinations {
    /// `--http-allow`; empty: all.
    pub allow: Vec<Destination>,
    /// `--http-deny`.
    pub deny: Vec<Destination>,
}

/// A host or a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A host name: itself, or with `*.` before it every name below it.
    Host(String),
    /// All addresses that share the first `bits` bits with `address`.
    Range {
        /// Any address of the range.
        address: IpAddr,
        /// How many bits its addresses share.
        bits: u8,
    },
}

/// Denied unless a range allows them: link-local of both families, and AWS's metadata service on IPv6.
const DENIED_BY_DEFAULT: [&str; 3] = ["169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128"];

/// A destination that may not be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is no permitted destination (--http-allow, --http-deny)")]
pub(super) struct Refusal {
    what: String,
}

impl Destinations {
    /// Whether `url` may be called as far as its text tells: an address in it never passes the resolver.
    pub(super) fn permit_literal(&self, url: &Url) -> Result<(), Refusal> {
        let host = url.host_str().unwrap_or_default();
        match host.trim_matches(['[', ']']).parse() {
            Ok(address) => self.permit(host, address),
            Err(_) if self.deny.iter().any(|denied| denied.names(host)) => Err(refusal(host)),
            Err(_) => Ok(()),
        }
    }

    /// Whether `host` may be called at `address`, one that it resolved to.
    fn permit(&self, host: &str, address: IpAddr) -> Result<(), Refusal> {
        let address = address.to_canonical();
        let denied = self
            .deny
            .iter()
            .any(|denied| denied.names(host) || denied.holds(address));
        let allowed_range = self.allow.iter().any(|allowed| allowed.holds(address));
        let allowed = self.allow.is_empty() || allowed_range || self.allow.iter().any(|it| it.names(host));
        let link_local = || {
            let defaults = DENIED_BY_DEFAULT
                .iter()
                .filter_map(|range| range.parse::<Destination>().ok());
            defaults.into_iter().any(|range| range.holds(address))
        };
        if denied || !allowed || (!allowed_range && link_local()) {
            return Err(refusal(&format!("{host} ({address})")));
        }
        Ok(())
    }
}

fn refusal(what: &str) -> Refusal {
    Refusal {
        what: what.to_owned(),
    }
}

impl Destination {
    fn names(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        match self {
            Self::Host(pattern) => match pattern.strip_prefix("*.") {
                Some(parent) => host.len().checked_sub(parent.len() + 1).is_some_and(|at| {
                    host.is_char_boundary(at) && host[at..].eq_ignore_ascii_case(&pattern[1..])
                }),
                None => host.eq_ignore_ascii_case(pattern),
            },
            Self::Range { .. } => false,
        }
    }

    fn holds(&self, address: IpAddr) -> bool {
        let Self::Range { address: base, bits } = self else {
            return false;
        };
        let differing = match (base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => (base.to_bits() ^ address.to_bits()).leading_zeros(),
            (IpAddr::V6(base), IpAddr::V6(address)) => (base.to_bits() ^ address.to_bits()).leading_zeros(),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        differing >= u32::from(*bits)
    }
}

/// A text that is neither a host nor a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is neither a host (db.example.com, *.example.com) nor an address or range (10.0.0.0/8)")]
pub struct BadDestination {
    text: String,
}

impl FromStr for Destination {
    type Err = BadDestination;

    fn from_str(text: &str) -> Result<Self, BadDestination> {
        let bad = || BadDestination {
            text: text.to_owned(),
        };
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits.parse::<u8>().map_err(|_| bad())?)),
            None => (text, None),
        };
        if let Ok(address) = base.parse::<IpAddr>() {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.unwrap_or(most);
            return if bits <= most {
                Ok(Self::Range { address, bits })
            } else {
                Err(bad())
            };
        }
        let name = base.strip_prefix("*.").unwrap_or(base);
        let valid = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_');
        if bits.is_some() || name.is_empty() || !name.bytes().all(valid) {
            return Err(bad());
        }
        Ok(Self::Host(base.trim_end_matches('.').to_owned()))
    }
}

/// Resolves names to the addresses that may be called.
pub(super) struct Resolver {
    settings: Arc<HttpSettings>,
    pinned: Vec<SocketAddr>,
}

impl Resolver {
    /// Every name resolves to the `pinned` addresses, if there are any, with their ports.
    pub(super) fn new(settings: Arc<HttpSettings>, pinned: Vec<SocketAddr>) -> Self {
        Self { settings, pinned }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (settings, pinned) = (self.settings.clone(), self.pinned.clone());
        Box::pin(async move {
            let host = name.as_str();
            let found = match pinned.is_empty() {
                true => tokio::net::lookup_host((host, 0)).await?.collect(),
                false => pinned,
            };
            // With a proxy only its own name comes here, and the operator chose it.
            let proxy = settings.proxy.as_ref().and_then(Url::host_str);
            if proxy.is_some_and(|proxy| proxy.eq_ignore_ascii_case(host)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Vec<Destination> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn hosts_and_ranges_are_read_and_others_refused() {
        for good in [
            "a",
            "db.example.com",
            "*.example.com",
            "10.0.0.0/8",
            "10.1.2.3",
            "fd00::/8",
            "::1",
            "0.0.0.0/0",
        ] {
            good.parse::<Destination>().unwrap();
        }
        for bad in [
            "",
            "*.",
            "a/8",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/x",
            "https://a",
            "a b",
            "a:80",
        ] {
            assert!(bad.parse::<Destination>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_denied_or_not_allowed_is_refused_by_name_and_by_address() {
        let check = |allow: &[&str], deny: &[&str], host: &str, address: &str, expect: bool| {
            let destinations = Destinations {
                allow: list(allow),
                deny: list(deny),
            };
            let permitted = destinations.permit(host, address.parse().unwrap()).is_ok();
            assert_eq!(
                permitted, expect,
                "allow {allow:?} deny {deny:?}: {host} at {address}"
            );
        };
        check(&[], &[], "a", "10.0.0.1", true);
        check(&[], &[], "a", "127.0.0.1", true);
        check(&[], &[], "metadata", "169.254.169.254", false);
        check(&[], &[], "metadata", "::ffff:169.254.169.254", false);
        check(&[], &[], "a", "fe80::1", false);
        check(&[], &[], "a", "fd00:ec2::254", false);
        check(&["metadata"], &[], "metadata", "169.254.169.254", false);
        check(&["169.254.169.254"], &[], "metadata", "169.254.169.254", true);
        check(
            &["169.254.0.0/16"],
            &["169.254.169.254"],
            "m",
            "169.254.169.254",
            false,
        );
        check(&["db.example.com"], &[], "DB.example.com.", "1.2.3.4", true);
        check(&["db.example.com"], &[], "x.example.com", "1.2.3.4", false);
        check(&["*.example.com"], &[], "x.y.example.com", "1.2.3.4", true);
        check(&["*.example.com"], &[], "example.com", "1.2.3.4", false);
        check(&["*.example.com"], &[], "badexample.com", "1.2.3.4", false);
        check(&["1.2.0.0/16"], &[], "x", "1.2.3.4", true);
        check(&["1.2.0.0/16"], &["x"], "x", "1.2.3.4", false);
        check(&["1.2.0.0/16"], &["1.2.3.0/24"], "x", "1.2.3.4", false);
        check(&[], &["0.0.0.0/0"], "x", "1.2.3.4", false);
        check(&[], &["0.0.0.0/0"], "x", "::1", true);
    }
}
