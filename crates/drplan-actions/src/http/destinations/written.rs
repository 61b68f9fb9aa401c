//! Destinations as they are written in flags.

use std::{fmt, net::IpAddr, str::FromStr};

/// A host or a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A host name: itself, or with `*.` before it every name below it.
    Host(String),
    /// All addresses that share the first `bits` bits with `address`.
    Range {
        /// The first address of the range.
        address: IpAddr,
        /// How many bits its addresses share.
        bits: u8,
    },
}

impl Destination {
    pub(super) fn names(&self, host: &str) -> bool {
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

    /// Whether it is `host` and no other.
    pub(super) fn is_exactly(&self, host: &str) -> bool {
        matches!(self, Self::Host(name) if !name.starts_with("*.")) && self.names(host)
    }

    pub(super) fn holds(&self, address: IpAddr) -> bool {
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

    pub(super) fn is_range(&self) -> bool {
        self.bits().is_some()
    }

    pub(super) fn bits(&self) -> Option<u8> {
        match self {
            Self::Host(_) => None,
            Self::Range { bits, .. } => Some(*bits),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host),
            Self::Range { address, bits } if *bits == most(*address) => address.fmt(f),
            Self::Range { address, bits } => write!(f, "{address}/{bits}"),
        }
    }
}

/// How many bits an address of this family has.
fn most(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// A text that is neither a host nor a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is neither a host (db.example.com, *.example.com) nor an address or range (10.0.0.0/8): {why}"
)]
pub struct BadDestination {
    text: String,
    why: String,
}

impl FromStr for Destination {
    type Err = BadDestination;

    fn from_str(text: &str) -> Result<Self, BadDestination> {
        let text = text.trim();
        let bad = |why: String| BadDestination {
            text: text.to_owned(),
            why,
        };
        if text.is_empty() {
            return Err(bad("there is nothing".to_owned()));
        }
        if text.contains("://") {
            return Err(bad("write the host of a URL alone".to_owned()));
        }
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits)),
            None => (text, None),
        };
        match (base.trim_matches(['[', ']']).parse::<IpAddr>(), bits) {
            (Ok(address), bits) => range(address, bits).map_err(bad),
            (Err(_), Some(_)) => Err(bad("only an address has a length after `/`".to_owned())),
            (Err(_), None) => host(text).map_err(bad),
        }
    }
}

fn range(address: IpAddr, bits: Option<&str>) -> Result<Destination, String> {
    let most_bits = most(address);
    let bits = match bits {
        None => most_bits,
        Some(bits) => bits
            .parse::<u8>()
            .ok()
            .filter(|bits| *bits <= most_bits)
            .ok_or_else(|| format!("its length must be a number from 0 to {most_bits}"))?,
    };
    let first = first(address, bits);
    if first != address {
        return Err(format!(
            "that range begins at {first}; write {first}/{bits}, or {address} for one address"
        ));
    }
    match address.to_canonical() {
        // An IPv4 range in IPv6 dress is judged as the IPv4 range, as addresses are.
        v4 if v4 != address && bits >= 96 => Ok(Destination::Range {
            address: v4,
            bits: bits - 96,
        }),
        _ => Ok(Destination::Range { address, bits }),
    }
}

/// The first address of the range.
fn first(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

fn host(text: &str) -> Result<Destination, String> {
    let lower = text.trim_end_matches('.').to_ascii_lowercase();
    let name = lower.strip_prefix("*.").unwrap_or(&lower);
    if name.contains('*') {
        return Err("`*` stands for whole names below a host only: *.example.com; all addresses are 0.0.0.0/0 and ::/0".to_owned());
    }
    if let Some((_, port)) = name.rsplit_once(':')
        && port.bytes().all(|c| c.is_ascii_digit())
    {
        return Err("write it without port; it holds for every port".to_owned());
    }
    if !name.is_ascii() {
        return Err("write the name as it stands in the name service (xn--…)".to_owned());
    }
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(fits);
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err("a name is made of letters, digits, `-`, `_` and single dots".to_owned());
    }
    // A URL's parser takes such a name for an address, so it would never be met.
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last
        .strip_prefix("0x")
        .is_some_and(|rest| rest.bytes().all(|c| c.is_ascii_hexdigit()));
    if hex || last.bytes().all(|c| c.is_ascii_digit()) {
        return Err("it looks like an address; write all four numbers".to_owned());
    }
    Ok(Destination::Host(lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ranges_are_read() {
        let check = |text: &str, expect: &str| {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), expect, "{text}");
        };
        check("a", "a");
        check(" DB.example.com. ", "db.example.com");
        check("*.example.com", "*.example.com");
        check("my_host-1", "my_host-1");
        check("10.0.0.0/8", "10.0.0.0/8");
        check("10.1.2.3", "10.1.2.3");
        check("10.1.2.3/32", "10.1.2.3");
        check("fd00::/8", "fd00::/8");
        check("::1", "::1");
        check("[::1]", "::1");
        check("0.0.0.0/0", "0.0.0.0/0");
        check("::/0", "::/0");
        check("::ffff:10.0.0.0/104", "10.0.0.0/8");
        check("::ffff:10.0.0.1", "10.0.0.1");
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        let check = |text: &str, why: &str| {
            let error = text.parse::<Destination>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        };
        check("", "there is nothing");
        check("*", "0.0.0.0/0 and ::/0");
        check("*.", "`*` stands for whole names");
        check("a.*.example", "`*` stands for whole names");
        check("*example.com", "`*` stands for whole names");
        check("a/8", "only an address has a length");
        check("10.0.0.0/33", "a number from 0 to 32");
        check("::/129", "a number from 0 to 128");
        check("10.0.0.0/x", "a number from 0 to 32");
        check("10.0.0.0/", "a number from 0 to 32");
        check("10.0.0.7/8", "begins at 10.0.0.0; write 10.0.0.0/8, or 10.0.0.7");
        check("fd00::7/8", "begins at fd00::; write fd00::/8");
        check("https://a", "write the host of a URL alone");
        check("a b", "made of letters");
        check("a..b", "made of letters");
        check("a:80", "without port");
        check("10.0.0.1:80", "without port");
        check("10.0.0", "looks like an address");
        check("10.0.0.256", "looks like an address");
        check("0xa9fea9fe", "looks like an address");
        check("bücher.example", "xn--");
    }
}
