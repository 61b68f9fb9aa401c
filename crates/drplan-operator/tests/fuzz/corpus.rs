//! What is damaged.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The manifests of the examples, file by file.
pub(crate) static FILES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let files = yaml_files(&Path::new(ROOT).join("examples"));
    assert!(files.len() > 10, "only {} examples were found", files.len());
    files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect()
});

/// The objects of the examples and those that were stored.
pub(crate) static OBJECTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let stored = yaml_files(&Path::new(ROOT).join("crates/drplan-testkit/tests/cluster/stored"));
    let stored = stored.iter().map(|file| fs::read_to_string(file).unwrap());
    let texts = FILES.iter().cloned().chain(stored);
    texts.flat_map(|text| documents(&text)).collect()
});

/// The objects of kind `kind`.
pub(crate) fn of_kind(kind: &str) -> Vec<&'static Value> {
    let found: Vec<&Value> = OBJECTS.iter().filter(|object| object["kind"] == kind).collect();
    assert!(!found.is_empty(), "there is no {kind}");
    found
}

fn documents(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    documents.into_iter().filter(Value::is_object).collect()
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(yaml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    found
}
