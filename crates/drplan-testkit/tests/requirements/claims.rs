//! What tests say that they cover: `/// Covers FR-016, US3.5.` in the comment of a test, or `# Covers …` in that of a
//! case of a text file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// One test says that it covers one demand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    pub(crate) id: String,
    /// From the repository's root.
    pub(crate) file: String,
    /// Of a function its name, of a case of a text file the sentence above it.
    pub(crate) test: String,
}

/// What is said in a tree of files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) claims: Vec<Claim>,
    /// Comments that say it and stand at no test.
    pub(crate) wrong: Vec<String>,
}

/// All claims of the crates below `root`, in order of file and line.
///
/// # Errors
/// When a file or folder cannot be read.
pub(crate) fn below(root: &Path) -> io::Result<Found> {
    let mut files = Vec::new();
    gather(&root.join("crates"), &mut files)?;
    files.sort();
    let mut found = Found::default();
    for path in files {
        let text = fs::read_to_string(&path)?;
        let file = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
        match file.ends_with(".rs") {
            true => in_rust(&file, &text, &mut found),
            false => in_text(&file, &text, &mut found),
        }
    }
    Ok(found)
}

/// Rust files, and text files of tests.
fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let ends_with = |end: &str| path.extension().is_some_and(|found| found == end);
        if path.is_dir() {
            gather(&path, files)?;
        } else if ends_with("rs") || ends_with("txt") {
            files.push(path);
        }
    }
    Ok(())
}

fn in_rust(file: &str, text: &str, found: &mut Found) {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut attached = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if !line.starts_with("#[test]") && !line.starts_with("#[tokio::test") {
            continue;
        }
        let is_head = |line: &&&str| line.starts_with("///") || line.starts_with("#[");
        let head = lines[..at].iter().rev().take_while(is_head).count();
        let comment: Vec<(usize, &str)> = (at - head..at)
            .filter_map(|number| Some((number, lines[number].strip_prefix("///")?.trim())))
            .collect();
        let name = lines[at..].iter().find_map(|line| function(line));
        attached.extend(comment.iter().map(|(number, _)| *number));
        let comment: Vec<&str> = comment.into_iter().map(|(_, words)| words).collect();
        claim(file, name.unwrap_or_default(), &comment, found);
    }
    for (number, line) in lines.iter().enumerate() {
        let words = line.trim_start_matches(['/', '!']).trim();
        let is_claim = line.starts_with("//") && words.starts_with("Covers ");
        if is_claim && !attached.contains(&number) {
            found
                .wrong
                .push(format!("{file}:{}: stands at no test: {line}", number + 1));
        }
    }
}

/// The name of the function that begins in this line.
fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// Cases begin with lines of comment: what they show, and what they cover.
fn in_text(file: &str, text: &str, found: &mut Found) {
    let mut comment: Vec<&str> = Vec::new();
    for line in text.lines().chain([""]) {
        if let Some(words) = line.strip_prefix("# ") {
            comment.push(words);
            continue;
        }
        let title: Vec<&str> = comment
            .iter()
            .copied()
            .take_while(|words| !words.starts_with("Covers "))
            .collect();
        claim(file, title.join(" ").trim_end_matches('.'), &comment, found);
        comment.clear();
    }
}

/// The ids behind `Covers` at the beginning of a line, up to the end of the sentence.
fn claim(file: &str, test: &str, comment: &[&str], found: &mut Found) {
    let mut lines = comment
        .iter()
        .skip_while(|words| !words.starts_with("Covers "))
        .peekable();
    if lines.peek().is_none() {
        return;
    }
    let mut sentence = String::new();
    let mut is_complete = false;
    for words in lines {
        if is_complete {
            found.wrong.push(format!(
                "{file}: {test}: what it covers stands last, not: {words}"
            ));
            return;
        }
        sentence.push_str(words);
        sentence.push(' ');
        is_complete = words.ends_with('.');
    }
    let ids = sentence.trim_start_matches("Covers ").trim_end();
    for id in ids.trim_end_matches('.').split(',').map(str::trim) {
        found.claims.push(Claim {
            id: id.to_owned(),
            file: file.to_owned(),
            test: test.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(found: &Found) -> Vec<String> {
        let told = found
            .claims
            .iter()
            .map(|claim| format!("{} {}", claim.id, claim.test));
        told.collect()
    }

    #[test]
    fn comments_of_tests_claim() {
        let text = "/// It ends.\n///\n/// Covers FR-1,\n/// US1.2.\n#[tokio::test]\nasync fn it_ends() {\n}\n\n/// Covers SC-1.\n#[test]\n#[expect(\n    x\n)]\nfn it_is_fast<T>() {}\n";
        let mut found = Found::default();
        in_rust("a.rs", text, &mut found);
        assert_eq!(
            claims(&found),
            ["FR-1 it_ends", "US1.2 it_ends", "SC-1 it_is_fast"]
        );
        assert_eq!(found.wrong, Vec::<String>::new());
    }

    #[test]
    fn a_claim_at_no_test_or_before_other_sentences_is_told() {
        let text =
            "/// Covers FR-1.\nfn helps() {}\n\n/// Covers FR-2.\n/// And more.\n#[test]\nfn tests() {}\n";
        let mut found = Found::default();
        in_rust("a.rs", text, &mut found);
        assert_eq!(
            found.wrong,
            [
                "a.rs: tests: what it covers stands last, not: And more.",
                "a.rs:1: stands at no test: /// Covers FR-1."
            ]
        );
    }

    #[test]
    fn cases_of_text_files_claim() {
        let text = "# A rule,\n# and its end.\n# Covers FR-1, FR-2.\nplan: a\n\n# Another.\nplan: b\n";
        let mut found = Found::default();
        in_text("a.txt", text, &mut found);
        assert_eq!(
            claims(&found),
            ["FR-1 A rule, and its end", "FR-2 A rule, and its end"]
        );
    }
}
