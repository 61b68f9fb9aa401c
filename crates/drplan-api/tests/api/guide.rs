use std::path::Path;

use drplan_api::problem::any_error;
use serde_json::Value;

use crate::{lines, read};

/// The manifests of the user guide, named by their line in it.
fn manifests() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guide");
    let mut manifests: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let manifest = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, manifest)
        })
        .collect();
    manifests.sort_by(|(one, _), (other, _)| one.cmp(other));
    manifests
}

#[test]
fn every_manifest_of_the_guide_works_but_the_revert_without_target() {
    let manifests = manifests();
    assert_eq!(
        manifests.len(),
        23,
        "15 manifests, 6 fragments of actions and 2 here-documents"
    );
    for (name, manifest) in manifests {
        let read = read(&manifest);
        let refused = name.starts_with("0943-");
        assert_eq!(
            any_error(&read.problems),
            refused,
            "{name}: {}",
            lines(&read.problems)
        );
        assert_eq!(read.value.is_none(), refused, "{name}");
    }
}

#[test]
fn the_revert_of_the_guide_is_refused_with_the_manifest_to_write_instead() {
    let (_, manifest) = manifests()
        .into_iter()
        .find(|(name, _)| name.starts_with("0943-"))
        .unwrap();
    let refused = read(&manifest);
    let message = lines(&refused.problems);
    let (_, shown) = message.split_once("Write:\n").unwrap();
    let right = shown.replace("<name of the execution to undo>", "failover-execution-001");
    let right: Value = serde_saphyr::from_str(&right).unwrap();
    let accepted = read(&right);
    assert_eq!(lines(&accepted.problems), "");
    assert_eq!(right["metadata"], manifest["metadata"]);

    let line = drplan_api::problem::one_line(&refused.problems);
    assert!(!line.contains('\n'), "{line}");
    let (_, shown) = line.split_once("Write: ").unwrap();
    let shown = shown.replace("<name of the execution to undo>", "failover-execution-001");
    assert_eq!(serde_saphyr::from_str::<Value>(&shown).unwrap(), right);
}

#[test]
fn the_path_and_value_of_the_guide_become_a_patch_with_a_number() {
    let (_, manifest) = manifests()
        .into_iter()
        .find(|(name, _)| name.starts_with("0525-"))
        .unwrap();
    let workflow = read(&manifest).value.unwrap();
    let patch = &workflow["actions"][0]["work"]["Localization"]["overrides"][0];
    assert_eq!(
        patch["value"],
        "- op: replace\n  path: \"/spec/replicas\"\n  value: {{ .params.replicas }}\n"
    );
}
