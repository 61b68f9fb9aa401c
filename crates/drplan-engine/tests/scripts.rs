//! Runs `scripts/*.txt`: inputs and the decisions that must follow. `scripts/README.md` describes the language.

#![expect(clippy::unwrap_used, reason = "a test harness: a panic is how it tells")]

#[path = "support/checks.rs"]
mod checks;
#[path = "support/inputs.rs"]
mod inputs;
#[path = "support/object_actions.rs"]
mod object_actions;
#[path = "support/plans.rs"]
mod plans;
#[path = "support/player.rs"]
mod player;
#[path = "support/reverts.rs"]
mod reverts;
#[path = "support/script.rs"]
mod script;
#[path = "support/told.rs"]
mod told;
#[path = "support/written_plan.rs"]
mod written_plan;

use std::path::Path;

#[test]
fn every_script_holds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut files: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for found in script::split(&text) {
            count += 1;
            let place = format!("{}:{}", file.file_name().unwrap().to_string_lossy(), found.line);
            let played = std::panic::catch_unwind(|| script::play(&found));
            if let Err(difference) = played.unwrap_or_else(|_| Err("    panicked, see above".to_owned())) {
                wrong.push(format!("{place}: {}\n{difference}", found.title));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count} scripts:\n\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    assert!(count >= 100, "only {count} scripts were found");
}
