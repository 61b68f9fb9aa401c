//! The archive of an image: the same every time, read back as it was written, and refused when it is not as it should be.

use std::collections::BTreeMap;

use drplan_image::{
    content::{self, Parts},
    inspect::{inspect, inspect_within},
    oci::Image,
    program::{Platform, is_static},
    source::Source,
    tar::File,
};

/// The smallest program that asks for no loader: a header that says it has no further ones.
fn program() -> Vec<u8> {
    let mut program = b"\x7fELF\x02\x01\x01".to_vec();
    program.resize(64, 0);
    program
}

fn image() -> Image {
    let names = ["drplan-engine", "kube-client", "rustls", "rust-std"];
    let components: Vec<String> = names
        .iter()
        .map(|name| format!(r#"{{"name": "{name}"}}"#))
        .collect();
    let parts = Parts {
        program: program(),
        bill: format!(
            r#"{{"bomFormat": "CycloneDX", "components": [{}]}}"#,
            components.join(",")
        ),
        notices: "MIT".to_owned(),
        license: "Apache-2.0".to_owned(),
    };
    let source = Source {
        root: "/nowhere".into(),
        revision: "0123abcd".to_owned(),
        time: "2026-01-30T10:00:00Z".parse().expect("a time"),
    };
    parts.image(&source, Platform::Amd64, "localhost/drplan-operator:1.2.3", None)
}

fn bytes(image: &Image) -> Vec<u8> {
    image.archive().expect("it can be written").bytes
}

#[test]
fn the_same_image_is_the_same_bytes_and_the_digest_is_that_of_what_is_in_it() {
    let first = image().archive().expect("it can be written");
    assert_eq!(bytes(&image()), first.bytes);
    let found = inspect(&first.bytes).expect("it is as it should be");
    assert_eq!(
        (found.digest.as_str(), found.size),
        (first.digest.as_str(), first.size)
    );

    let mut renamed = image();
    renamed.name = "registry.example.com/operator:1.2.3".to_owned();
    let renamed = renamed.archive().expect("it can be written");
    assert_eq!(
        renamed.digest, first.digest,
        "where it is pushed to is not part of it"
    );
    let mut older = image();
    older.time -= 1;
    assert_ne!(older.archive().expect("it can be written").digest, first.digest);
}

#[test]
fn labels_tell_what_it_is() {
    let found = inspect(&bytes(&image())).expect("it is as it should be");
    let labels: BTreeMap<&str, &str> = found
        .labels
        .iter()
        .map(|(label, value)| {
            (
                label.trim_start_matches("org.opencontainers.image."),
                value.as_str(),
            )
        })
        .collect();
    assert_eq!(labels["title"], "drplan-operator");
    assert_eq!(labels["version"], "1.2.3");
    assert_eq!(labels["revision"], "0123abcd");
    assert_eq!(labels["created"], "2026-01-30T10:00:00Z");
    assert_eq!(labels["licenses"], "Apache-2.0");
}

#[test]
fn an_image_that_is_not_as_it_should_be_is_refused() {
    let check = |change: &dyn Fn(&mut Image), expected: &str| {
        let mut image = image();
        change(&mut image);
        let error = inspect(&bytes(&image)).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error:#}");
    };
    check(&|image| image.user = "0:0".to_owned(), "runs as \"0:0\"");
    check(
        &|image| drop(image.labels.remove("org.opencontainers.image.revision")),
        "revision is missing",
    );
    check(
        &|image| drop(image.layers[2].1.insert("bin/sh".to_owned(), File::program("#!"))),
        "nobody knows: `bin/sh`",
    );
    check(
        &|image| drop(image.layers[0].1.remove(content::ROOTS)),
        "has no `etc/ssl/certs/ca-certificates.crt`",
    );
    check(
        &|image| {
            drop(
                image.layers[0]
                    .1
                    .insert(content::ROOTS.to_owned(), File::readable("")),
            );
        },
        "0 root certificates",
    );
    check(
        &|image| {
            let mut program = program();
            // One program header, right behind the file's own: PT_INTERP.
            (program[32], program[54], program[56]) = (64, 56, 1);
            program.extend([3, 0, 0, 0]);
            drop(
                image.layers[2]
                    .1
                    .insert(content::PROGRAM.to_owned(), File::program(program)),
            );
        },
        "not static",
    );
}

#[test]
fn an_image_that_is_too_large_is_refused() {
    let image = image().archive().expect("it can be written");
    assert!(inspect_within(&image.bytes, image.size).is_ok());
    let error = inspect_within(&image.bytes, image.size - 1).expect_err("it is too large");
    assert!(error.to_string().ends_with("are the limit"), "{error:#}");
}

#[test]
fn a_byte_that_changed_on_the_way_is_noticed() {
    let mut bytes = bytes(&image());
    let at = bytes.windows(4).position(|found| found == b"root").unwrap_or(600);
    bytes[at] ^= 1;
    assert!(inspect(&bytes).is_err());
}

#[test]
fn only_a_program_without_a_loader_is_static() {
    assert!(is_static(&program()));
    assert!(!is_static(b"#!/bin/sh"));
    assert!(!is_static(&program()[..40]), "one that is cut off is none");
    let of_this_test = std::env::current_exe()
        .and_then(std::fs::read)
        .expect("it can be read");
    assert!(!is_static(&of_this_test));
}
