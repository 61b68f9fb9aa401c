//! The certificate of the webhooks: made, read and examined.
//!
//! A certificate of the operator's own comes with an authority of its own, whose key is thrown away once it has signed.
//! So nothing that is stored can sign anything else, and authority and certificate end together. What the API server is
//! told to trust holds the authority before as well, so that a change of certificate breaks no connection.

mod end;
pub mod files;
pub mod secret;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use drplan_api::Time;
use drplan_engine::snapshot::sha256_hex;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    sign::CertifiedKey,
};

/// How far clocks may be apart: a new certificate is valid from that long ago on.
const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);

/// A certificate with its key as they are stored, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// The certificate, those between it and its authority after it.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
    /// What the API server is to trust; none: what it trusts by itself.
    pub bundle: Option<Vec<u8>>,
}

impl fmt::Debug for Stored {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").finish_non_exhaustive()
    }
}

/// Why what is stored cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It is no certificate, key or bundle.
    #[error("`{what}` is no PEM of a {of}: {why}")]
    Damaged {
        /// The part.
        what: &'static str,
        /// What should be there.
        of: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The key is not the certificate's, or of a kind that cannot be used.
    #[error("the certificate and the key do not fit together")]
    Mismatch {
        /// Why.
        source: rustls::Error,
    },
    /// It cannot be used for this name at this time.
    #[error("the certificate does not do for `{name}`")]
    Unfit {
        /// The name.
        name: String,
        /// Why.
        source: rustls::Error,
    },
    /// It could not be made.
    #[error("failed to make a certificate")]
    Make {
        /// Why.
        source: rcgen::Error,
    },
}

/// A certificate that can be served.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// What is served.
    pub key: Arc<CertifiedKey>,
    /// What the API server is to trust, PEM.
    pub bundle: Option<String>,
    roots: Arc<RootCertStore>,
    /// Tells one from another.
    pub fingerprint: String,
    /// When it ends, or one between it and its authority does, whichever is first.
    pub end: Option<Time>,
}

impl Certificate {
    /// Reads what is stored.
    ///
    /// # Errors
    /// [`CertificateError`] if it cannot be served, whatever the name and time.
    pub fn read(stored: &Stored) -> Result<Self, CertificateError> {
        let chain = certificates("tls.crt", &stored.certificate)?;
        let end = chain.iter().filter_map(|one| end::of(one)).min();
        let key = PrivateKeyDer::from_pem_slice(&stored.key)
            .map_err(|error| damaged("tls.key", "private key", &error.to_string()))?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
            .map_err(|source| CertificateError::Mismatch { source })?;
        let mut roots = RootCertStore::empty();
        let bundle = match &stored.bundle {
            None => None,
            Some(pem) => {
                for authority in certificates("ca.crt", pem)? {
                    roots
                        .add(authority)
                        .map_err(|error| damaged("ca.crt", "certificate", &error.to_string()))?;
                }
                Some(String::from_utf8_lossy(pem).into_owned())
            }
        };
        let bundle_bytes = stored.bundle.as_deref().unwrap_or_default();
        Ok(Self {
            key: Arc::new(key),
            bundle,
            roots: Arc::new(roots),
            fingerprint: sha256_hex(&[&stored.certificate[..], &stored.key, bundle_bytes].concat()),
            end,
        })
    }

    /// Whether a client that trusts the bundle takes it for `name` at `time`.
    ///
    /// # Errors
    /// [`CertificateError::Unfit`].
    pub fn fits(&self, name: &str, time: SystemTime) -> Result<(), CertificateError> {
        let unfit = |source| CertificateError::Unfit {
            name: name.to_owned(),
            source,
        };
        let general = |error: &dyn fmt::Display| unfit(rustls::Error::General(error.to_string()));
        let server = ServerName::try_from(name).map_err(|error| general(&error))?;
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.roots), provider)
            .build()
            .map_err(|error| general(&error))?;
        let (end, between) = self
            .key
            .cert
            .split_first()
            .ok_or_else(|| unfit(rustls::Error::NoCertificatesPresented))?;
        verifier
            .verify_server_cert(end, between, &server, &[], UnixTime::since_unix_epoch(since))
            .map(drop)
            .map_err(unfit)
    }
}

/// Makes a certificate for `names` that is valid for `lifetime` from `now` on. The authority of `before` is trusted, too.
///
/// # Errors
/// [`CertificateError::Make`].
pub fn make(
    names: &[String],
    lifetime: Duration,
    now: SystemTime,
    before: Option<&str>,
) -> Result<Stored, CertificateError> {
    let made = |source| CertificateError::Make { source };
    let mut authority = named("drplan-operator webhook authority", lifetime, now);
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().map_err(made)?).map_err(made)?;
    let mut params = named("drplan-operator webhook", lifetime, now);
    for name in names {
        params.subject_alt_names.push(match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into().map_err(made)?),
        });
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(made)?;
    let certificate = params.signed_by(&key, &issuer).map_err(made)?;
    let mut bundle = issuer.pem();
    bundle.push_str(&before.and_then(first_of).unwrap_or_default());
    Ok(Stored {
        certificate: certificate.pem().into_bytes(),
        key: key.serialize_pem().into_bytes(),
        bundle: Some(bundle.into_bytes()),
    })
}

fn named(name: &str, lifetime: Duration, now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + lifetime).into();
    params
}

/// The authority that signed the certificate of this bundle: the first in it.
fn first_of(bundle: &str) -> Option<String> {
    const END: &str = "-----END CERTIFICATE-----";
    let end = bundle.find(END)? + END.len();
    Some(format!("{}\n", bundle[..end].trim_start()))
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let of = "certificate";
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| damaged(what, of, &error.to_string()))?;
    if found.is_empty() {
        return Err(damaged(what, of, "there is none"));
    }
    Ok(found)
}

fn damaged(what: &'static str, of: &'static str, why: &str) -> CertificateError {
    CertificateError::Damaged {
        what,
        of,
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn names() -> Vec<String> {
        vec!["hook.dr.svc".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()]
    }

    #[test]
    fn a_certificate_does_for_its_names_and_its_time_and_for_clocks_that_are_behind() {
        let now = SystemTime::now();
        let made = Certificate::read(&make(&names(), DAY, now, None).unwrap()).unwrap();
        for name in names() {
            made.fits(&name, now).unwrap();
        }
        made.fits("127.0.0.1", now - CLOCK_SKEW / 2).unwrap();
        made.fits("127.0.0.1", now + DAY - Duration::from_secs(60))
            .unwrap();
        for (name, time) in [
            ("other.dr.svc", now),
            ("127.0.0.2", now),
            ("not a name", now),
            ("127.0.0.1", now + DAY + Duration::from_secs(60)),
            ("127.0.0.1", now - CLOCK_SKEW * 2),
        ] {
            assert!(made.fits(name, time).is_err(), "{name}");
        }
    }

    #[test]
    fn the_next_certificate_comes_with_the_authority_of_the_one_before_and_no_more() {
        let now = SystemTime::now();
        let pem = |stored: &Stored| String::from_utf8(stored.bundle.clone().unwrap()).unwrap();
        let first = make(&names(), DAY, now, None).unwrap();
        let second = make(&names(), DAY, now, Some(&pem(&first))).unwrap();
        let third = make(&names(), DAY, now, Some(&pem(&second))).unwrap();
        let count = |stored: &Stored| pem(stored).matches("BEGIN").count();
        assert_eq!((count(&first), count(&second), count(&third)), (1, 2, 2));
        // Who trusts the new bundle takes both.
        let served_before = Stored {
            bundle: second.bundle.clone(),
            ..first
        };
        Certificate::read(&served_before)
            .unwrap()
            .fits("::1", now)
            .unwrap();
        Certificate::read(&second).unwrap().fits("::1", now).unwrap();
        let two_ago = Stored {
            bundle: third.bundle,
            ..served_before
        };
        assert!(Certificate::read(&two_ago).unwrap().fits("::1", now).is_err());
    }

    #[test]
    fn what_is_damaged_or_does_not_fit_together_is_told_and_the_key_never_is() {
        let now = SystemTime::now();
        let one = make(&names(), DAY, now, None).unwrap();
        let other = make(&names(), DAY, now, None).unwrap();
        let check = |stored: Stored, expected: &str| {
            let told = Certificate::read(&stored).unwrap_err().to_string();
            assert!(told.contains(expected), "{told}");
        };
        let with = |change: fn(&mut Stored, Stored)| {
            let mut stored = one.clone();
            change(&mut stored, other.clone());
            stored
        };
        check(
            with(|stored, _| stored.certificate.clear()),
            "`tls.crt` is no PEM of a certificate: there is none",
        );
        check(
            with(|stored, _| stored.key = b"x".to_vec()),
            "`tls.key` is no PEM of a private key",
        );
        check(with(|stored, _| stored.bundle = Some(b"x".to_vec())), "`ca.crt`");
        check(
            with(|stored, other| stored.key = other.key),
            "do not fit together",
        );
        let foreign = with(|stored, other| stored.bundle = other.bundle);
        assert!(Certificate::read(&foreign).unwrap().fits("::1", now).is_err());
        let shown = format!("{one:?} {:?}", Certificate::read(&one).unwrap());
        let key = String::from_utf8(one.key).unwrap();
        assert!(!shown.contains(key.lines().nth(1).unwrap()), "{shown}");
    }
}
