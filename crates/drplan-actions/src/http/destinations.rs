//! Where calls may go.

mod closed;
mod written;

use std::net::IpAddr;

use reqwest::Url;

pub use written::{BadDestination, Destination};

/// Where calls may go: denied ones never, others if they are allowed or nothing is.
///
/// What counts is the address that a connection is made to. Addresses that lead to the machine itself in disguise, to
/// link-local neighbours and to the metadata services of clouds are closed unless `allow` holds a range for just them;
/// a name is not enough, since whoever owns it may let it resolve to anything.
#[derive(Clone, Debug, Default)]
pub struct Destinations {
    /// `--http-allow`; empty: all.
    pub allow: Vec<Destination>,
    /// `--http-deny`.
    pub deny: Vec<Destination>,
}

/// A destination that may not be called, with the flag that decides it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{what} is denied by --http-deny={by}")]
    Denied { what: String, by: Destination },
    #[error("{what} is not among the destinations of --http-allow")]
    NotAllowed { what: String },
    #[error("{what} is {closed}, which only an address or range in --http-allow opens")]
    Closed { what: String, closed: &'static str },
    #[error("{what} serves a cloud's metadata, which with --http-proxy only its name in --http-allow opens")]
    ClosedName { what: String },
}

impl Destinations {
    /// Whether `url` may be called as far as its text tells: an address in it never passes the resolver, and a name
    /// that cannot be permitted at any address is not even looked up.
    pub(super) fn permit_written(&self, url: &Url) -> Result<(), Refusal> {
        let host = url.host_str().unwrap_or_default();
        if let Some(address) = literal(host) {
            return self.permit(host, address);
        }
        self.permit_name(host)?;
        let by_address = self.allow.iter().any(Destination::is_range);
        if self.allow.is_empty() || by_address || self.allow.iter().any(|allowed| allowed.names(host)) {
            return Ok(());
        }
        Err(Refusal::NotAllowed {
            what: host.to_owned(),
        })
    }

    /// The same where a proxy will look the host up: a name is judged by name alone, so that no range allows it.
    pub(super) fn permit_by_proxy(&self, url: &Url) -> Result<(), Refusal> {
        let host = url.host_str().unwrap_or_default();
        if let Some(address) = literal(host) {
            return self.permit(host, address);
        }
        self.permit_name(host)?;
        let named = |allowed: &Destination| allowed.names(host);
        if closed::serves_metadata(host) && !self.allow.iter().any(|allowed| allowed.is_exactly(host)) {
            return Err(Refusal::ClosedName {
                what: host.to_owned(),
            });
        }
        if self.allow.is_empty() || self.allow.iter().any(named) {
            return Ok(());
        }
        Err(Refusal::NotAllowed {
            what: host.to_owned(),
        })
    }

    fn permit_name(&self, host: &str) -> Result<(), Refusal> {
        match self.deny.iter().find(|denied| denied.names(host)) {
            Some(by) => Err(Refusal::Denied {
                what: host.to_owned(),
                by: by.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Whether `host` may be called at `address`, one that it resolved to.
    pub(super) fn permit(&self, host: &str, address: IpAddr) -> Result<(), Refusal> {
        let address = address.to_canonical();
        let what = || match literal(host) {
            Some(_) => address.to_string(),
            None => format!("{host} ({address})"),
        };
        self.permit_name(host)?;
        // An address that carries another may end at that one: both must be permitted.
        let meant = || std::iter::once(address).chain(closed::carried(address));
        for address in meant() {
            if let Some(by) = self.deny.iter().find(|denied| denied.holds(address)) {
                let (what, by) = (what(), by.clone());
                return Err(Refusal::Denied { what, by });
            }
            if let Some(closed) = closed::range_of(address)
                && !self
                    .allow
                    .iter()
                    .any(|allowed| closed.is_opened_by(allowed, address))
            {
                let (what, closed) = (what(), closed.what);
                return Err(Refusal::Closed { what, closed });
            }
        }
        let allowed = |it: &Destination| it.names(host) || it.holds(address);
        if self.allow.is_empty() || self.allow.iter().any(allowed) {
            return Ok(());
        }
        Err(Refusal::NotAllowed { what: what() })
    }
}

/// The address that `host` is, as a URL shows it.
fn literal(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Vec<Destination> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn destinations(allow: &[&str], deny: &[&str]) -> Destinations {
        Destinations {
            allow: list(allow),
            deny: list(deny),
        }
    }

    #[test]
    fn what_is_denied_or_not_allowed_is_refused_by_name_and_by_address() {
        let check = |allow: &[&str], deny: &[&str], host: &str, address: &str, expect: bool| {
            let permitted = destinations(allow, deny).permit(host, address.parse().unwrap());
            let permitted = permitted.is_ok();
            assert_eq!(
                permitted, expect,
                "allow {allow:?} deny {deny:?}: {host} at {address}"
            );
        };
        check(&[], &[], "a", "10.0.0.1", true);
        check(&[], &[], "a", "127.0.0.1", true);
        check(&["metadata"], &[], "metadata", "169.254.169.254", false);
        check(&["169.254.169.254"], &[], "metadata", "169.254.169.254", true);
        check(&["169.254.0.0/16"], &[], "metadata", "169.254.169.254", true);
        check(&["169.0.0.0/8"], &[], "metadata", "169.254.169.254", false);
        check(&["0.0.0.0/0"], &[], "metadata", "169.254.169.254", false);
        check(&["100.64.0.0/10"], &[], "metadata", "100.100.100.200", false);
        check(&["100.64.0.0/10"], &[], "a", "100.100.100.201", true);
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
        check(&[], &["10.0.0.0/8"], "x", "::ffff:10.0.0.1", false);
        check(&[], &["10.0.0.0/8"], "x", "64:ff9b::10.0.0.1", false);
        check(&["64:ff9b::/96"], &[], "x", "64:ff9b::10.0.0.1", true);
        check(&["64:ff9b::/96"], &[], "x", "64:ff9b::a9fe:a9fe", false);
    }

    #[test]
    fn links_and_metadata_are_closed_in_every_disguise() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.0.23",
            "100.100.100.200",
            "100.96.0.96",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "fe80::1",
            "fe80::a9fe:a9fe",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "2002:a9fe:a9fe::1",
        ] {
            let refusal = destinations(&[], &[]).permit("m", address.parse().unwrap());
            assert!(
                matches!(refusal, Err(Refusal::Closed { .. })),
                "{address}: {refusal:?}"
            );
        }
    }

    #[test]
    fn an_address_in_a_url_is_judged_however_it_is_spelled() {
        for host in [
            "169.254.169.254",
            "169.254.169.254.",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "169.254.43518",
            "169.16689662",
            "0xa9.0xfe.0xa9.0xfe",
            "①⑥⑨.254.169.254",
            "169。254。169。254",
            "%31%36%39.254.169.254",
            "user@169.254.169.254",
            "user:password@2852039166:80",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[fd00:ec2::254]",
            "0",
            "[::]",
        ] {
            let url = Url::parse(&format!("http://{host}/latest")).unwrap();
            for refusal in [
                destinations(&[], &[]).permit_written(&url),
                destinations(&[], &[]).permit_by_proxy(&url),
                destinations(&["*.example"], &[]).permit_written(&url),
            ] {
                assert!(
                    matches!(refusal, Err(Refusal::Closed { .. })),
                    "{host}: {refusal:?}"
                );
            }
        }
    }

    #[test]
    fn a_name_that_nothing_could_permit_is_not_looked_up_and_one_for_a_proxy_is_judged_by_name() {
        let check = |allow: &[&str], deny: &[&str], host: &str, written: bool, by_proxy: bool| {
            let (destinations, url) = (
                destinations(allow, deny),
                Url::parse(&format!("http://{host}/")).unwrap(),
            );
            let found = (
                destinations.permit_written(&url).is_ok(),
                destinations.permit_by_proxy(&url).is_ok(),
            );
            assert_eq!(
                found,
                (written, by_proxy),
                "allow {allow:?} deny {deny:?}: {host}"
            );
        };
        check(&[], &[], "a.example", true, true);
        check(&[], &["*.example"], "a.example", false, false);
        check(&["b.example"], &[], "a.example", false, false);
        check(&["a.example"], &[], "a.example", true, true);
        check(&["10.0.0.0/8"], &[], "a.example", true, false);
        check(&["10.0.0.0/8"], &[], "10.0.0.1", true, true);
        check(&[], &["10.0.0.0/8"], "10.0.0.1", false, false);
        check(&[], &["10.0.0.0/8"], "a.example", true, true);
        check(&[], &[], "metadata.google.internal", true, false);
        check(&["*.internal"], &[], "metadata.google.internal", true, false);
        check(
            &["metadata.google.internal"],
            &[],
            "METADATA.google.internal.",
            true,
            true,
        );
    }

    #[test]
    fn a_refusal_names_the_flag_and_the_address() {
        let check = |allow: &[&str], deny: &[&str], host: &str, address: &str, expect: &str| {
            let refusal = destinations(allow, deny)
                .permit(host, address.parse().unwrap())
                .unwrap_err();
            assert_eq!(refusal.to_string(), expect);
        };
        check(
            &[],
            &["10.0.0.0/8"],
            "db",
            "10.1.2.3",
            "db (10.1.2.3) is denied by --http-deny=10.0.0.0/8",
        );
        check(
            &[],
            &["*.example.com"],
            "db.example.com",
            "10.1.2.3",
            "db.example.com is denied by --http-deny=*.example.com",
        );
        check(
            &["a"],
            &[],
            "db",
            "10.1.2.3",
            "db (10.1.2.3) is not among the destinations of --http-allow",
        );
        check(
            &["a"],
            &[],
            "10.1.2.3",
            "10.1.2.3",
            "10.1.2.3 is not among the destinations of --http-allow",
        );
        check(
            &[],
            &[],
            "db",
            "::ffff:169.254.169.254",
            "db (169.254.169.254) is link-local, where clouds serve metadata, which only an address or range in \
             --http-allow opens",
        );
    }
}
