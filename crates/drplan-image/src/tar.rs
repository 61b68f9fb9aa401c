//! Tar archives that hold nothing but names, modes and bytes: everything belongs to root and has one time.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail, ensure};

/// Tar counts in blocks of this size.
const BLOCK: usize = 512;
/// What the name field of a header holds, in bytes.
const NAME_MAX: usize = 100;

/// A file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its mode, such as `0o644`.
    pub mode: u32,
    /// Its content.
    pub content: Vec<u8>,
}

impl File {
    /// A file that everybody may read.
    pub fn readable(content: impl Into<Vec<u8>>) -> Self {
        Self {
            mode: 0o644,
            content: content.into(),
        }
    }

    /// A program that everybody may run.
    pub fn program(content: impl Into<Vec<u8>>) -> Self {
        Self {
            mode: 0o755,
            content: content.into(),
        }
    }
}

/// Files by their path, without `/` before it.
pub type Files = BTreeMap<String, File>;

/// An archive of these files and the directories they lie in, in order of their names, all of the second `time` since
/// 1970.
///
/// # Errors
/// A path beyond 100 bytes or a file beyond 8 GiB.
pub fn write(files: &Files, time: u64) -> anyhow::Result<Vec<u8>> {
    let mut archive = Vec::new();
    let mut made = BTreeSet::new();
    for (path, file) in files {
        for (end, _) in path.match_indices('/') {
            let directory = &path[..=end];
            if made.insert(directory) {
                archive.extend(header(directory, 0o755, 0, time, b'5')?);
            }
        }
        archive.extend(header(path, file.mode, file.content.len(), time, b'0')?);
        archive.extend(&file.content);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    Ok(archive)
}

fn header(path: &str, mode: u32, size: usize, time: u64, kind: u8) -> anyhow::Result<[u8; BLOCK]> {
    ensure!(path.len() <= NAME_MAX, "`{path}` is too long for a tar archive");
    ensure!(size < 1 << 33, "`{path}` is too large for a tar archive");
    let mut header = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, path.as_bytes());
    put(100, format!("{mode:07o}\0").as_bytes());
    // Owner and group: root.
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, format!("{time:011o}\0").as_bytes());
    // The sum is taken with blanks in its own place.
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

/// The files of an archive that [`write`] wrote.
///
/// # Errors
/// Bytes that are no such archive.
pub fn read(archive: &[u8]) -> anyhow::Result<Files> {
    let mut files = Files::new();
    let mut rest = archive;
    loop {
        let (header, after) = rest
            .split_at_checked(BLOCK)
            .context("the tar archive is cut off")?;
        if header.iter().all(|&byte| byte == 0) {
            return Ok(files);
        }
        let path = text(&header[..NAME_MAX])?;
        let size = usize::try_from(number(&header[124..136])?)?;
        let mode = u32::try_from(number(&header[100..108])?)?;
        let padded = size.next_multiple_of(BLOCK);
        let (content, after) = after
            .split_at_checked(padded)
            .with_context(|| format!("`{path}` is cut off in the tar archive"))?;
        rest = after;
        match header[156] {
            b'0' => {
                let content = content[..size].to_vec();
                files.insert(path.to_owned(), File { mode, content });
            }
            b'5' => {}
            kind => bail!("`{path}` is no file and no directory but `{}`", char::from(kind)),
        }
    }
}

fn text(field: &[u8]) -> anyhow::Result<&str> {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    std::str::from_utf8(&field[..end]).context("a name in the tar archive is not UTF-8")
}

fn number(field: &[u8]) -> anyhow::Result<u64> {
    u64::from_str_radix(text(field)?.trim(), 8).context("a number in the tar archive is not octal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let files = Files::from([
            ("a/b/program".to_owned(), File::program(vec![7; 1000])),
            ("a/empty".to_owned(), File::readable("")),
            ("text".to_owned(), File::readable("a line\n")),
        ]);
        let archive = write(&files, 1_700_000_000).expect("it can be written");
        assert_eq!(archive.len() % BLOCK, 0);
        assert_eq!(read(&archive).expect("it can be read"), files);
        assert!(read(&archive[..BLOCK * 3]).is_err(), "half of it is none");
    }

    #[test]
    fn a_path_that_does_not_fit_is_an_error() {
        let files = Files::from([("x".repeat(101), File::readable(""))]);
        let error = write(&files, 0).expect_err("it is too long");
        assert!(
            error.to_string().ends_with("is too long for a tar archive"),
            "{error}"
        );
    }
}
