//! When a certificate ends. What verifies certificates does not tell.

use drplan_api::Time;
use jiff::{civil::DateTime, tz::TimeZone};

/// The tags of DER on the way to the end (RFC 5280, section 4.1).
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The `notAfter` of the certificate `der`; none if it is not written as RFC 5280 has it.
pub(super) fn of(der: &[u8]) -> Option<Time> {
    let mut certificate = Der(Der(der).next_of(SEQUENCE)?);
    let mut signed = Der(certificate.next_of(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.next()?;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        signed.next()?;
    }
    let mut validity = Der(signed.next_of(SEQUENCE)?);
    validity.next()?;
    let (tag, text) = validity.next()?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let text = match tag {
        GENERALIZED_TIME => text.to_owned(),
        UTC_TIME => {
            let century = if text.get(..2)? < "50" { "20" } else { "19" };
            format!("{century}{text}")
        }
        _ => return None,
    };
    let end = DateTime::strptime("%Y%m%d%H%M%S", &text).ok()?;
    Some(Time::new(end.to_zoned(TimeZone::UTC).ok()?.timestamp()))
}

/// What is left of a sequence of values.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value: its tag and its content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            // The number of bytes that hold the length. A certificate needs three at most.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// The content of the next value, if it has this tag.
    fn next_of(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let (tag, content) = self.next()?;
        (tag == wanted).then_some(content)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use rustls::pki_types::CertificateDer;

    use super::*;

    fn certificate(end: &str) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        let end: jiff::Timestamp = end.parse().unwrap();
        params.not_after = std::time::SystemTime::from(end).into();
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn the_end_is_read_in_both_ways_of_writing_it() {
        // From 2050 on years have four digits.
        for end in [
            "2026-11-21T18:00:01.000Z",
            "1999-12-31T23:59:59.000Z",
            "2050-01-01T00:00:00.000Z",
        ] {
            assert_eq!(of(&certificate(end)).unwrap().to_string(), end);
        }
    }

    #[test]
    fn what_is_cut_off_or_no_certificate_has_no_end_and_does_no_harm() {
        let whole = certificate("2026-11-21T18:00:01Z");
        for length in 0..whole.len() {
            assert_eq!(of(&whole[..length]), None, "{length}");
        }
        for bytes in [
            &[0x30, 0x80][..],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x31, 0],
        ] {
            assert_eq!(of(bytes), None);
        }
    }
}
