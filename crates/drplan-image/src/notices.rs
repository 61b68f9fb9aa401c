//! The licences of what is linked into the program, which have to go with it.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::packages::{Package, Packages};

/// How the names of such files begin.
const NAMES: [&str; 6] = [
    "license",
    "licence",
    "copying",
    "copyright",
    "notice",
    "unlicense",
];
/// Where crates keep licences of what they bring along, below their own directory.
const FOLDERS: [&str; 2] = ["", "aws-lc"];
/// Of musl, which comes with Rust's standard library.
const MUSL: &str = "Copyright © 2005-2020 Rich Felker, et al.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated \
documentation files (the \"Software\"), to deal in the Software without restriction, including without limitation the \
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit \
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the \
Software.

THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE \
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR \
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR \
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.";

/// Every licence once, after the crates that are under it.
///
/// # Errors
/// A file that cannot be read.
pub fn gather(packages: &Packages) -> anyhow::Result<String> {
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut without = Vec::new();
    for package in packages
        .all
        .iter()
        .filter(|package| package.checksum.is_some())
        .chain([&packages.roots])
    {
        let texts = texts(&package.directory)?;
        if texts.is_empty() {
            without.push(package);
        }
        for text in texts {
            let crates = by_text.entry(text).or_default();
            let name = format!("{} {}", package.name, package.version);
            if crates.last() != Some(&name) {
                crates.push(name);
            }
        }
    }
    by_text.insert(MUSL.to_owned(), vec!["musl libc".to_owned()]);
    let mut entries: Vec<(Vec<String>, String)> =
        by_text.into_iter().map(|(text, crates)| (crates, text)).collect();
    entries.sort();
    let mut notices =
        "The image holds the crates below. What each is, and which version, is in sbom.cdx.json.\n"
            .to_owned();
    for (crates, text) in entries {
        write!(notices, "\n{}\n{}\n\n{text}\n", "=".repeat(80), crates.join(", "))?;
    }
    if !without.is_empty() {
        write!(
            notices,
            "\n{}\nCrates that bring no file with their licence:\n\n",
            "=".repeat(80)
        )?;
    }
    for package in without {
        let told = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        let Package { name, version, .. } = package;
        writeln!(
            notices,
            "{name} {version}: {}, {}",
            told(&package.license),
            told(&package.repository)
        )?;
    }
    Ok(notices)
}

/// The licences in a crate's directory, without the differences that line ends and blanks make.
fn texts(directory: &Path) -> anyhow::Result<Vec<String>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in FOLDERS {
        let Ok(entries) = fs::read_dir(directory.join(folder)) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .to_lowercase();
            if NAMES.iter().any(|start| name.starts_with(start)) && path.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    files
        .iter()
        .map(|file| {
            let bytes = fs::read(file).with_context(|| format!("failed to read `{}`", file.display()))?;
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
            Ok(lines.join("\n").trim_matches('\n').to_owned())
        })
        .collect()
}
