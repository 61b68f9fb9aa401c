//! `docs/requirements.md`: what the specification demands, and the tests that would fail if it were not so.
//!
//! `requirements/list.txt` holds the demands. Tests say in their comments which of them they cover, as
//! CONTRIBUTING.md tells.

#[path = "requirements/claims.rs"]
mod claims;
#[path = "requirements/list.rs"]
mod list;
#[path = "requirements/page.rs"]
mod page;
#[path = "requirements/specification.rs"]
mod specification;

use std::{fs, path::Path};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const LIST: &str = include_str!("requirements/list.txt");

#[test]
fn every_requirement_has_a_test_or_a_reason_and_the_page_tells_which() {
    let demands = list::read(LIST).unwrap();
    let found = claims::below(Path::new(ROOT)).unwrap();
    let mut wrong = found.wrong;
    wrong.extend(page::contradictions(&demands, &found.claims));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));

    let file = Path::new(ROOT).join("docs/requirements.md");
    let fresh = page::write(&demands, &found.claims);
    if fs::read_to_string(&file).unwrap_or_default() != fresh {
        fs::write(file, fresh).unwrap();
        panic!("docs/requirements.md was stale and has been written anew: look at it and commit it");
    }
}

/// The specification is not part of the repository; where it is at hand, nothing of it is missing here.
#[test]
fn the_list_holds_what_the_specification_demands_and_no_more() {
    let Ok(text) = fs::read_to_string(Path::new(ROOT).join("../shared/requirements/spec.md")) else {
        return;
    };
    let listed: Vec<String> = list::read(LIST)
        .unwrap()
        .into_iter()
        .map(|demand| demand.id)
        .collect();
    assert_eq!(listed, specification::ids(&text));
}
