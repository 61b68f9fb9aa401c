//! Addresses that are closed unless somebody opens just them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Destination;

/// A range that is closed by default.
pub(super) struct Closed {
    /// What it is, in words.
    pub(super) what: &'static str,
    range: Destination,
    bits: u8,
}

impl Closed {
    /// Whether `allowed` opens it for `address`: a range that holds the address and reaches no further than this one.
    /// `0.0.0.0/0` is written by those who think of everything but this.
    pub(super) fn is_opened_by(&self, allowed: &Destination, address: IpAddr) -> bool {
        allowed.holds(address) && allowed.bits().is_some_and(|bits| bits >= self.bits)
    }
}

const LINK: &str = "link-local, where clouds serve metadata";
const METADATA: &str = "the metadata service of a cloud";
const HERE: &str = "this machine under another name";

/// Link-local ranges hold the metadata services of most clouds (AWS, Azure, Google, Tencent, Huawei, OpenStack).
static RANGES: [Closed; 13] = [
    v4([169, 254, 0, 0], 16, LINK),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, LINK),
    // Connections to the unspecified address end at loopback.
    v4([0, 0, 0, 0], 8, HERE),
    v6([0; 8], 128, HERE),
    // Alibaba Cloud.
    v4([100, 100, 100, 200], 32, METADATA),
    // Volcano Engine.
    v4([100, 96, 0, 96], 32, METADATA),
    // Oracle Cloud Classic.
    v4([192, 0, 0, 192], 32, METADATA),
    // Azure's WireServer, which hands out the machine's configuration.
    v4([168, 63, 129, 16], 32, METADATA),
    // AWS: metadata, and the credentials of EKS Pods.
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32, METADATA),
    // Google.
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, METADATA),
    // Oracle Cloud.
    v6([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128, METADATA),
    // Scaleway.
    v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128, METADATA),
    // Linode.
    v6([0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1], 128, METADATA),
];

/// Names of metadata services, for where a proxy looks names up.
const NAMES: [&str; 5] = [
    "metadata.google.internal",
    "metadata.goog",
    "metadata.tencentyun.com",
    "instance-data.ec2.internal",
    "metadata.platformequinix.com",
];

const fn v4([a, b, c, d]: [u8; 4], bits: u8, what: &'static str) -> Closed {
    closed(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits, what)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], bits: u8, what: &'static str) -> Closed {
    closed(IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), bits, what)
}

const fn closed(address: IpAddr, bits: u8, what: &'static str) -> Closed {
    let range = Destination::Range { address, bits };
    Closed { what, range, bits }
}

/// The closed range that `address` is in.
pub(super) fn range_of(address: IpAddr) -> Option<&'static Closed> {
    RANGES.iter().find(|closed| closed.range.holds(address))
}

/// Whether `host` is known to be a cloud's metadata service.
pub(super) fn serves_metadata(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    NAMES.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// The IPv4 address that an IPv6 one carries for a translator or a tunnel on the way: NAT64 (RFC 6052, RFC 8215), 6to4,
/// and two forms that are out of use.
pub(super) fn carried(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else { return None };
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let bits = u32::from(high) << 16 | u32::from(low);
        Some(IpAddr::V4(Ipv4Addr::from_bits(bits)))
    };
    match (a, b, c, d, e, f) {
        (0x64, 0xff9b, 0, 0, 0, 0) | (0x64, 0xff9b, 1, _, _, _) | (0, 0, 0, 0, 0xffff, 0) => v4(g, h),
        (0, 0, 0, 0, 0, 0) if address != Ipv6Addr::LOCALHOST && address != Ipv6Addr::UNSPECIFIED => v4(g, h),
        (0x2002, high, low, _, _, _) => v4(high, low),
        _ => None,
    }
}
