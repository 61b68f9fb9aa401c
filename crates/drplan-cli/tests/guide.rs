//! `docs/guide.md` is true as far as files can tell: its manifests and its commands; and the links of every document.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Parser;
use drplan_cli::{
    check::{SourceFile, check, text},
    options::Options,
};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn guide() -> String {
    fs::read_to_string(docs().join("guide.md")).unwrap()
}

/// The code blocks of `page` whose fence names `language`, each with the line of its first line.
fn blocks(page: &str, language: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(named) = line.strip_prefix("```") {
            let block = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| *line != "```");
            let block: String = block.map(|line| format!("{line}\n")).collect();
            if named == language {
                blocks.push((number + 2, block));
            }
        }
    }
    blocks
}

/// Covers SC-001.
#[test]
fn every_manifest_of_the_guide_is_checked_without_a_finding() {
    let page = guide();
    let blocks = blocks(&page, "yaml");
    assert!(
        blocks.len() >= 10,
        "the guide has {} blocks of YAML",
        blocks.len()
    );
    let named = |(line, block): &(usize, String)| {
        SourceFile::new(
            format!("docs/guide.md from line {line}"),
            block.as_bytes().to_vec(),
        )
    };
    let files: Vec<SourceFile> = blocks.iter().map(named).collect();
    let checked = check(&files, "default");
    assert!(
        checked.findings.is_empty(),
        "{}",
        text(&files, &checked, false, 100)
    );
    assert!(
        checked.objects.iter().all(|count| *count >= 2),
        "{:?}",
        checked.objects
    );
    assert_eq!(checked.foreign, 0);
    for operation in ["Create", "Apply", "Patch", "Delete"] {
        assert!(page.contains(&format!("operation: {operation}")), "{operation}");
    }
    for kind in [
        "HTTP",
        "Job",
        "Localization",
        "Subscription",
        "KubernetesResource",
    ] {
        assert!(page.contains(&format!("type: {kind}")), "{kind}");
    }
}

#[test]
fn the_first_manifests_of_the_guide_are_those_of_the_example() {
    let page = guide();
    let shown: Vec<String> = blocks(&page, "yaml")
        .into_iter()
        .map(|(_, block)| block)
        .take(2)
        .collect();
    let example = docs().join("../examples/first-steps");
    let files = ["workflow.yaml", "plan.yaml"].map(|file| fs::read_to_string(example.join(file)).unwrap());
    assert_eq!(shown, files);
}

#[test]
fn every_command_of_the_guide_is_one() {
    let page = guide();
    let in_blocks: String = blocks(&page, "").into_iter().map(|(_, block)| block).collect();
    let in_text = page.split('`').map(str::to_owned);
    let lines = in_blocks
        .lines()
        .map(|line| line.split(" #").next().unwrap().to_owned());
    let commands: Vec<String> = lines
        .chain(in_text)
        .filter(|text| text.starts_with("kubectl drplan ") && !text.contains('\n'))
        .collect();
    assert!(commands.len() >= 20, "{commands:#?}");
    for command in commands {
        let parse = |command: &str| {
            // What it prints may go to another command; in a table that needs a backslash.
            let alone = command.split(['|', '\\']).next().unwrap_or_default();
            let words = alone.trim_start_matches("kubectl ").split_whitespace();
            Options::try_parse_from(words).map(drop)
        };
        let is_known = |error: &clap::Error| !error.use_stderr();
        // One that is only mentioned has nothing behind it; its help is there if it is.
        let is_bare = command.split_whitespace().count() == 3;
        let mentioned =
            || is_bare && parse(&format!("{command} --help")).is_err_and(|error| is_known(&error));
        if let Err(error) = parse(&command) {
            assert!(is_known(&error) || mentioned(), "{command}: {error}");
        }
    }
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let documents = fs::read_dir(docs()).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = documents.filter(|path| path.is_file()).collect();
    pages.push(docs().join("../README.md"));
    let mut count = 0;
    for path in pages {
        let page = fs::read_to_string(&path).unwrap();
        let links = page
            .split("](")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap());
        for link in links.filter(|link| !link.starts_with("http")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            assert!(file.exists(), "{}: {link}", path.display());
            if !anchor.is_empty() {
                let target = fs::read_to_string(&file).unwrap();
                let mut headings = target.lines().filter(|line| line.starts_with('#')).map(slug);
                assert!(headings.any(|slug| slug == anchor), "{}: {link}", path.display());
            }
            count += 1;
        }
    }
    assert!(count >= 80, "{count} links");
}

/// The anchor of a heading.
fn slug(heading: &str) -> String {
    let letters = heading.trim_start_matches('#').trim().to_lowercase();
    let letters = letters
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    letters.map(|c| if c == ' ' { '-' } else { c }).collect()
}
