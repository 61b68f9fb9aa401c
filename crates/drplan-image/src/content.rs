//! What is in the image: three layers, of which the lower ones change rarely.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    oci::{Image, split_name},
    program::Platform,
    source::Source,
    tar::{File, Files},
};

/// What the operator runs as. No account of the machine has this number by custom.
pub const USER: &str = "65532:65532";
/// Where the program is.
pub const PROGRAM: &str = "drplan-operator";
/// Where the certificates are that the operator trusts when it calls out; that is where it looks on most systems.
pub const ROOTS: &str = "etc/ssl/certs/ca-certificates.crt";
/// Where the licences of others are.
pub const NOTICES: &str = "usr/share/doc/drplan/THIRD-PARTY-LICENSES";
/// Where the bill of materials is. Scanners look for files that end so.
pub const BILL: &str = "usr/share/doc/drplan/sbom.cdx.json";
/// Where our own licence is.
pub const LICENSE: &str = "usr/share/doc/drplan/LICENSE";

/// What was made for an image.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The static program.
    pub program: Vec<u8>,
    /// The bill of materials.
    pub bill: String,
    /// The licences of others.
    pub notices: String,
    /// Our own licence.
    pub license: String,
}

impl Parts {
    /// The image of these parts, called `name`, made from `source`, which is published at `url` if that is known.
    pub fn image(self, source: &Source, platform: Platform, name: &str, url: Option<&str>) -> Image {
        let readable = |path: &str, text: String| (path.to_owned(), File::readable(text));
        let trust = Files::from([
            readable(ROOTS, root_certificates()),
            readable(
                "etc/passwd",
                "root:x:0:0::/:/none\ndrplan:x:65532:65532::/:/none\n".to_owned(),
            ),
            readable("etc/group", "root:x:0:\ndrplan:x:65532:\n".to_owned()),
        ]);
        let documents = Files::from([
            readable(LICENSE, self.license),
            readable(NOTICES, self.notices),
            readable(BILL, self.bill),
        ]);
        let program = Files::from([(PROGRAM.to_owned(), File::program(self.program))]);
        let created = source.time.to_string();
        let (_, version) = split_name(name);
        let mut labels = BTreeMap::from([
            ("title", "drplan-operator"),
            (
                "description",
                "Runs disaster-recovery plans of Kubernetes clusters.",
            ),
            ("version", version),
            ("revision", source.revision.as_str()),
            ("created", created.as_str()),
            ("licenses", "Apache-2.0"),
        ]);
        if let Some(url) = url {
            labels.insert("source", url);
        }
        Image {
            name: name.to_owned(),
            architecture: platform.architecture().to_owned(),
            time: source.seconds(),
            user: USER.to_owned(),
            entrypoint: vec![format!("/{PROGRAM}")],
            arguments: vec!["run".to_owned()],
            labels: labels
                .into_iter()
                .map(|(label, value)| (format!("org.opencontainers.image.{label}"), value.to_owned()))
                .collect(),
            layers: vec![
                ("certificates and accounts".to_owned(), trust),
                ("licences and bill of materials".to_owned(), documents),
                ("the operator".to_owned(), program),
            ],
            created,
        }
    }
}

/// Mozilla's root certificates as PEM.
fn root_certificates() -> String {
    let mut pem = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = BASE64_STANDARD.encode(certificate);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}
