use std::{fmt::Write, path::Path};

use serde_json::{Value, json};

use crate::{lines, read};

const RULE: &str = "\n----\n";
const END: &str = "====\n";

/// `tests/messages.txt` holds wrong manifests, each with what is said about it. A stale file is rewritten, so that
/// the difference can be read, and the test fails.
#[test]
fn wrong_manifests_are_told_what_is_wrong_where_and_what_to_write() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages.txt");
    let old = std::fs::read_to_string(&path).unwrap();
    let mut new = String::new();
    for case in old.split_inclusive(END) {
        let case = case.strip_suffix(END).unwrap_or(case);
        let (manifest, _) = case.split_once(RULE).unwrap_or((case.trim_end(), ""));
        let mut value: Value =
            serde_saphyr::from_str(manifest).unwrap_or_else(|error| panic!("{manifest}\n{error}"));
        if value.get("metadata").is_none() {
            value["metadata"] = json!({"name": "a"});
        }
        write!(new, "{manifest}{RULE}{}{END}", lines(&read(&value).problems)).unwrap();
    }
    if old != new {
        std::fs::write(&path, new).unwrap();
        panic!(
            "{} was stale and is rewritten: read the difference",
            path.display()
        );
    }
}
