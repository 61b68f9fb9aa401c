//! A program on a pseudo-terminal.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read, Write, stdout};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::film::Size;

/// What a program has printed, and when.
#[derive(Debug)]
pub struct Recording {
    /// Its output in pieces, each with the time since its start.
    pub pieces: Vec<(Duration, Vec<u8>)>,
    /// How long it ran.
    pub length: Duration,
    /// Whether it ended well.
    pub succeeded: bool,
}

/// Runs a program to its end on a terminal of that size. What it prints is passed on to standard output, too.
///
/// # Errors
///
/// When there is no pseudo-terminal, or the program cannot be started.
pub fn run(program: &OsString, args: &[OsString], size: Size) -> anyhow::Result<Recording> {
    let (ours, theirs) = open(size).context("failed to open a pseudo-terminal")?;
    let mut child = Command::new(program)
        .args(args)
        .env("TERM", "xterm-256color")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("NO_COLOR")
        .stdin(theirs.try_clone()?)
        .stdout(theirs.try_clone()?)
        .stderr(theirs)
        .spawn()
        .with_context(|| format!("failed to run `{}`", program.display()))?;
    let begun = Instant::now();
    let mut pieces = Vec::new();
    let mut output = File::from(ours);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match output.read(&mut buffer) {
            // It is an I/O error when nobody has the other end open any more.
            Ok(0) | Err(_) if child.try_wait()?.is_some() => break,
            Ok(0) => {}
            Ok(length) => {
                let _ = stdout()
                    .write_all(&buffer[..length])
                    .and_then(|()| stdout().flush());
                pieces.push((begun.elapsed(), buffer[..length].to_vec()));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => drop(child.wait()?),
        }
    }
    Ok(Recording {
        pieces,
        length: begun.elapsed(),
        succeeded: child.wait()?.success(),
    })
}

/// Both ends of a new pseudo-terminal, the program's last.
fn open(size: Size) -> anyhow::Result<(OwnedFd, OwnedFd)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
    let window = Winsize {
        ws_row: size.rows.get(),
        ws_col: size.columns.get(),
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&theirs, window)?;
    Ok((ours, theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_sees_a_terminal_of_that_size() -> anyhow::Result<()> {
        let script = "stty size; test -t 1 && echo terminal; exit 3";
        let size = Size::new(90, 33)?;
        let recording = run(&"sh".into(), &["-c".into(), script.into()], size)?;
        let said: Vec<u8> = recording
            .pieces
            .into_iter()
            .flat_map(|(_, bytes)| bytes)
            .collect();
        assert_eq!(String::from_utf8(said)?, "33 90\r\nterminal\r\n");
        assert!(!recording.succeeded);
        Ok(())
    }
}
