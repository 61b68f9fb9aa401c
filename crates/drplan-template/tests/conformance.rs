//! Every template of `tests/corpus` does what Go makes of it; the Go program in `tests/oracle` wrote the answers.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where something is not as it should be"
)]

#[path = "corpus/read.rs"]
mod corpus;

use std::process::Command;

use corpus::{Answer, Entry};
use drplan_template::Template;

#[test]
fn every_template_of_the_corpus_agrees_with_go() {
    let data = corpus::data();
    let entries = corpus::entries();
    assert!(entries.len() > 1500, "the corpus has {} entries", entries.len());
    let mut wrong = Vec::new();
    for Entry {
        file,
        source,
        go,
        ours,
    } in &entries
    {
        let found = answer(source, &data);
        let expected = ours.as_ref().unwrap_or(go);
        if found != *expected {
            wrong.push(format!(
                "{file}: {source}\n  expected {expected:?}\n  found    {found:?}"
            ));
        } else if ours.as_ref() == Some(go) {
            wrong.push(format!("{file}: {source}\n  differs from Go only on paper"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ\n{}",
        wrong.len(),
        entries.len(),
        wrong.join("\n")
    );
}

fn answer(source: &str, data: &drplan_template::Value) -> Answer {
    match Template::parse(source) {
        Err(_) => Answer::Refused,
        Ok(template) => match template.render_text(data) {
            Ok(text) => Answer::Ok(text),
            Err(error) if error.to_string().contains("UTF-8") => Answer::NotUtf8,
            Err(_) => Answer::Fails,
        },
    }
}

#[test]
fn the_answers_are_those_of_go() {
    let oracle = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle");
    if Command::new("go").arg("version").output().is_err() {
        eprintln!("SKIPPED: there is no Go here, so the freshness of tests/corpus is not checked");
        return;
    }
    let run = |arguments: &[&str]| {
        Command::new("go")
            .args(["run", "."])
            .args(arguments)
            .current_dir(oracle)
            .output()
            .unwrap()
    };
    let check = run(&["-check", "../corpus"]);
    let text = String::from_utf8_lossy(&check.stdout);
    let trouble = String::from_utf8_lossy(&check.stderr);
    assert!(
        check.status.success(),
        "run `go run . ../corpus` in tests/oracle\n{text}{trouble}"
    );
    let tables = run(&["-tables"]).stdout;
    let known = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/src/unicode/tables.rs")).unwrap();
    assert!(
        tables == known,
        "run `go run . -tables > ../../src/unicode/tables.rs` in tests/oracle"
    );
}
