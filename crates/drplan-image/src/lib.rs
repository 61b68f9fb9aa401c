//! Builds the operator's container image without Docker.
//!
//! The same sources give the same bytes: [`program`] builds with pinned compilers and without the paths of this
//! machine, [`tar`] and [`oci`] write nothing that depends on time or order, and all times are that of the commit.
//! [`inspect`] reads an archive back and says what is wrong with it.

pub mod bill;
pub mod compiler;
pub mod content;
pub mod inspect;
pub mod notices;
pub mod oci;
pub mod packages;
pub mod program;
pub mod source;
pub mod tar;

/// The SHA-256 of these bytes, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
