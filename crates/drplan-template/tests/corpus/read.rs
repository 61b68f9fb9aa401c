//! Reads the files of the corpus.

use std::fs;
use std::path::Path;

use drplan_template::Value;

/// A template and what becomes of it.
pub(crate) struct Entry {
    /// The name of its file.
    pub(crate) file: String,
    /// The template.
    pub(crate) source: String,
    /// What Go makes of it.
    pub(crate) go: Answer,
    /// What we make of it, where that differs, for the reason given in the file.
    pub(crate) ours: Option<Answer>,
}

/// What becomes of a template.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// It does not parse.
    Refused,
    /// It parses but cannot be rendered.
    Fails,
    /// It renders to bytes that are no text.
    NotUtf8,
    /// It renders to this.
    Ok(String),
}

/// The data that all templates of the corpus see.
pub(crate) fn data() -> Value {
    let text = fs::read_to_string(folder().join("data.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap().into()
}

/// All entries, in the order of their files.
pub(crate) fn entries() -> Vec<Entry> {
    let mut files: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let mut entries = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap();
        let text = text.strip_suffix('\n').unwrap();
        entries.extend(text.split("\n====\n").map(|entry| read(&name, entry)));
    }
    entries
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus"))
}

fn read(file: &str, entry: &str) -> Entry {
    let mut entry = entry;
    while entry.starts_with("#: ") {
        entry = entry.split_once('\n').unwrap().1;
    }
    let (go, ours) = match entry.split_once("\n---- ours ") {
        Some((go, ours)) => (go, Some(ours)),
        None => (entry, None),
    };
    let (source, go) = go
        .split_once("\n---- ")
        .unwrap_or_else(|| panic!("{file}: no answer to {entry}"));
    let ours = ours.map(|ours| {
        let (verdict, output) = ours.split_once('\n').unwrap_or((ours, ""));
        let (verdict, reason) = verdict
            .split_once(": ")
            .unwrap_or_else(|| panic!("{file}: no reason: {ours}"));
        assert!(reason.len() > 10, "{file}: no reason: {ours}");
        answer(verdict, output)
    });
    let (verdict, output) = go.split_once('\n').unwrap_or((go, ""));
    Entry {
        file: file.to_owned(),
        source: source.to_owned(),
        go: answer(verdict, output),
        ours,
    }
}

fn answer(verdict: &str, output: &str) -> Answer {
    match verdict {
        "refused" => Answer::Refused,
        "fails" => Answer::Fails,
        "not utf-8" => Answer::NotUtf8,
        "json" => Answer::Ok(serde_json::from_str(output).unwrap()),
        "ok" => Answer::Ok(output.to_owned()),
        other => panic!("no verdict: {other}"),
    }
}
