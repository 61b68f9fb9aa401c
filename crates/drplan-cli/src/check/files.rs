//! The files that are checked, and the documents in them.

use std::{
    fs, io,
    io::Read as _,
    ops::Range,
    path::{Path, PathBuf},
};

/// The name that stands for standard input.
pub(crate) const STDIN: &str = "-";
/// Bytes of one file. etcd keeps no object of more than 1.5 MiB; this is some twenty of the largest.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// A file as read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// As the user named it, or as found in a directory.
    pub name: String,
    /// What is in it.
    pub text: String,
    /// The first byte that is no UTF-8, if one is; the text holds a stand-in there.
    pub not_utf8: Option<usize>,
}

impl SourceFile {
    /// A file of that name and content.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        let (text, not_utf8) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(at))
            }
        };
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        Self {
            name: name.into(),
            text,
            not_utf8,
        }
    }

    /// The line of a byte, from 1, and its column in characters, from 1.
    pub fn line_and_column(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..floor(&self.text, at)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (
            1 + before.matches('\n').count(),
            1 + before[line_start..].chars().count(),
        )
    }
}

/// The nearest beginning of a character at or before `at`.
pub(crate) fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Everything that `names` names: files, the manifests in directories (with `recursive` in those below, too), `-` for
/// standard input.
///
/// # Errors
/// The name of what cannot be read, and why.
pub(crate) fn read(names: &[String], recursive: bool) -> Result<Vec<SourceFile>, (String, io::Error)> {
    let mut files = Vec::new();
    for name in names {
        if name == STDIN {
            let mut bytes = Vec::new();
            let read = io::stdin().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
            read.and_then(|_| bounded(bytes.len() as u64))
                .map_err(|error| (STDIN.to_owned(), error))?;
            files.push(SourceFile::new("<stdin>", bytes));
            continue;
        }
        let mut paths = Vec::new();
        gather(Path::new(name), recursive, &mut paths).map_err(|error| (name.clone(), error))?;
        for path in paths {
            let shown = path.display().to_string();
            let bytes = fs::metadata(&path)
                .and_then(|meta| bounded(meta.len()))
                .and_then(|()| fs::read(&path))
                .map_err(|error| (shown.clone(), error))?;
            files.push(SourceFile::new(shown, bytes));
        }
    }
    Ok(files)
}

fn bounded(bytes: u64) -> io::Result<()> {
    if bytes > FILE_BYTES_MAX {
        return Err(io::Error::other(format!(
            "it has {bytes} bytes, at most {FILE_BYTES_MAX} are read"
        )));
    }
    Ok(())
}

/// `path` itself, or the manifests in it by name.
fn gather(path: &Path, recursive: bool, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        paths.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            // A link to a directory may lead back to where it stands.
            if recursive && !entry.is_symlink() {
                gather(&entry, recursive, paths)?;
            }
        } else if let Some("yaml" | "yml" | "json") = entry.extension().and_then(|end| end.to_str()) {
            paths.push(entry);
        }
    }
    Ok(())
}

/// Where the documents of `text` are, those without content left out. Divided where kubectl divides them: at lines that
/// begin with `---`.
pub(crate) fn documents(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut begin, mut at, mut empty) = (0, 0, true);
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        let divides = bare == "---" || bare.starts_with("--- ") || bare.starts_with("---\t");
        // What stands before the first content (a directive, a comment) belongs to it.
        if divides && !empty {
            found.push(begin..at);
            (begin, empty) = (at, true);
        }
        let content = if divides { &bare[3..] } else { bare };
        let content = content.trim_start();
        empty &= content.is_empty() || content.starts_with('#') || bare.starts_with('%') || bare == "...";
        at += line.len();
    }
    if !empty {
        found.push(begin..text.len());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_divided_at_their_lines_and_empty_ones_left_out() {
        for (text, expected) in [
            ("a: 1\n---\nb: 2\n", vec!["a: 1\n", "---\nb: 2\n"]),
            (
                "---\n---\n# nothing\n---\na: 1",
                vec!["---\n---\n# nothing\n---\na: 1"],
            ),
            ("", vec![]),
            ("# only\n---\n", vec![]),
            ("%YAML 1.2\n---\na: 1\n", vec!["%YAML 1.2\n---\na: 1\n"]),
            (
                "a: |\n  ---\n--- # next\nb: 1\n",
                vec!["a: |\n  ---\n", "--- # next\nb: 1\n"],
            ),
            ("a: ---x\n---x: 1\n", vec!["a: ---x\n---x: 1\n"]),
        ] {
            let found: Vec<&str> = documents(text).into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn a_place_is_told_in_characters() {
        let file = SourceFile::new("f", "\u{feff}a: 灾\nb: 备 x\n".into());
        assert_eq!(file.line_and_column(file.text.find('x').unwrap()), (2, 6));
        assert_eq!(file.line_and_column(file.text.find('灾').unwrap() + 1), (1, 4));
        assert_eq!(SourceFile::new("f", b"a: \xff".to_vec()).not_utf8, Some(3));
    }
}
