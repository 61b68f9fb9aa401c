//! Names of Jobs: a function of the action's identity, so that a repeat meets what a lost attempt made.

use drplan_api::{ActionPath, limits::LABEL_NAME_MAX};
use sha2::{Digest, Sha256};

/// Characters kept of a written prefix; with the ten that follow a name stays below 63, the bound of a label value.
const PREFIX_MAX: usize = 52;
/// Characters that follow from the identity.
const SUFFIX_LENGTH: usize = 10;

/// A name that was written: from the second attempt on it ends in `-<attempt>`, so that the failed Job stays. Then it
/// is cut where it would pass the bound of a label value, which the Pods of a Job carry it as.
pub(crate) fn fixed(name: &str, attempt: u32) -> String {
    if attempt <= 1 {
        return name.to_owned();
    }
    let suffix = format!("-{attempt}");
    let kept: String = name.chars().take(LABEL_NAME_MAX - suffix.len()).collect();
    format!("{}{suffix}", kept.trim_end_matches(['-', '.']))
}

/// `prefix`, cut to 52 characters, and ten of base32(sha256(uid, path, attempt)).
pub(crate) fn generated(prefix: &str, execution_uid: &str, path: &ActionPath, attempt: u32) -> String {
    let digest = Sha256::digest(format!("{execution_uid}\n{path}\n{attempt}"));
    let prefix: String = prefix.chars().take(PREFIX_MAX).collect();
    format!("{prefix}{}", base32(&digest, SUFFIX_LENGTH))
}

/// The first `length` characters of `bytes` in the lower-case alphabet of RFC 4648.
fn base32(bytes: &[u8], length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bit = |index: usize| {
        usize::from(
            bytes
                .get(index / 8)
                .is_some_and(|byte| byte >> (7 - index % 8) & 1 == 1),
        )
    };
    let letter = |index: usize| (0..5).fold(0, |value, offset| value << 1 | bit(index * 5 + offset));
    (0..length)
        .map(|index| char::from(ALPHABET[letter(index)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use drplan_api::{ActionName, StageName};

    use super::*;

    #[test]
    fn base32_is_that_of_rfc_4648() {
        assert_eq!(base32(b"foobar", 10), "mzxw6ytboi");
    }

    #[test]
    fn a_generated_name_follows_from_identity_and_attempt_and_fits_a_label() {
        let path = ActionPath::new(
            &StageName::new("s").unwrap(),
            "w",
            0,
            &ActionName::new("a").unwrap(),
        );
        let name = generated(&"x".repeat(80), "uid", &path, 1);
        assert_eq!(name.len(), 62);
        assert_eq!(name, generated(&"x".repeat(80), "uid", &path, 1));
        assert_ne!(name, generated(&"x".repeat(80), "uid", &path, 2));
        assert_ne!(name, generated(&"x".repeat(80), "other", &path, 1));
        assert_eq!(
            (fixed("sync", 1), fixed("sync", 2)),
            ("sync".to_owned(), "sync-2".to_owned())
        );
        assert_eq!(
            fixed(&format!("{}-b", "x".repeat(60)), 12),
            format!("{}-12", "x".repeat(60))
        );
        assert_eq!(fixed(&"x".repeat(63), 2).len(), 63);
    }
}
