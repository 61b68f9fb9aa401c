//! The bill of materials: what the image holds, as CycloneDX JSON.

use serde_json::{Value, json};

use crate::{
    packages::{Package, Packages},
    sha256,
};

/// What is in the program besides crates, and what made it.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// What `rustc --version` calls itself: the version of the standard library.
    pub rust: String,
    /// When, as RFC 3339.
    pub created: String,
}

/// The bill of materials. The same crates give the same text.
///
/// # Errors
/// Only what writing JSON can fail with.
pub fn cyclonedx(packages: &Packages, surroundings: &Surroundings) -> anyhow::Result<String> {
    let program = &packages.all[packages.root];
    let mut components: Vec<Value> = packages
        .all
        .iter()
        .filter(|package| package.name != program.name)
        .map(|package| component("library", package))
        .collect();
    let rust = &surroundings.rust;
    components.push(json!({
        "type": "library", "bom-ref": "rust-std", "name": "rust-std", "version": rust,
        "description": "The standard library of Rust, and musl libc, which it brings along.",
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
    }));
    let mut roots = component("data", &packages.roots);
    roots["description"] = "Mozilla's root certificates.".into();
    components.push(roots);
    let dependencies: Vec<Value> = packages
        .all
        .iter()
        .map(|package| {
            let uses: Vec<String> = package
                .uses
                .iter()
                .map(|&used| reference(&packages.all[used]))
                .collect();
            json!({"ref": reference(package), "dependsOn": uses})
        })
        .collect();
    let mut bill = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": surroundings.created,
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [{
                "type": "application", "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION"),
            }]},
            "component": component("application", program),
        },
        "components": components,
        "dependencies": dependencies,
    });
    bill["serialNumber"] = json!(format!("urn:uuid:{}", uuid(&sha256(bill.to_string().as_bytes()))));
    Ok(serde_json::to_string_pretty(&bill)? + "\n")
}

fn component(kind: &str, package: &Package) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": reference(package),
        "name": package.name,
        "version": package.version,
        "purl": reference(package),
        "scope": "required",
    });
    if let Some(license) = &package.license {
        component["licenses"] = json!([{"expression": license}]);
    }
    if let Some(checksum) = &package.checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    if let Some(repository) = &package.repository {
        component["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
    }
    component
}

fn reference(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}

/// The first digits of a hash, marked as a UUID of version 8, which is free in its form.
fn uuid(digits: &str) -> String {
    format!(
        "{}-{}-8{}-8{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[12..15],
        &digits[15..18],
        &digits[18..30]
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn package(name: &str, uses: Vec<usize>) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.2.3".to_owned(),
            license: Some("MIT".to_owned()),
            repository: None,
            checksum: Some("00".to_owned()),
            directory: PathBuf::new(),
            uses,
        }
    }

    #[test]
    fn every_crate_is_named_with_what_it_uses() {
        let packages = Packages {
            all: vec![package("a", vec![]), package("drplan-operator", vec![0])],
            root: 1,
            roots: package("roots", vec![]),
        };
        let surroundings = Surroundings {
            rust: "1.0".to_owned(),
            created: "2026-01-01T00:00:00Z".to_owned(),
        };
        let text = cyclonedx(&packages, &surroundings).expect("it can be written");
        let bill: Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(bill["metadata"]["component"]["name"], "drplan-operator");
        assert_eq!(bill["components"][0]["purl"], "pkg:cargo/a@1.2.3");
        assert_eq!(bill["dependencies"][1]["dependsOn"], json!(["pkg:cargo/a@1.2.3"]));
        assert_eq!(
            text,
            cyclonedx(&packages, &surroundings).expect("it can be written")
        );
        let serial = bill["serialNumber"].as_str().expect("it has one");
        assert_eq!(serial.len(), "urn:uuid:".len() + 36, "{serial}");
    }
}
