//! Scripts: a plan in few lines, then inputs with the decisions that must follow.

use std::fmt::Write as _;

use crate::{player::Player, written_plan::read_plan};

/// One script of a file.
pub(crate) struct Script {
    pub(crate) title: String,
    /// The line in the file, from 1.
    pub(crate) line: usize,
    lines: Vec<String>,
}

/// The scripts of a file: each begins with `#` lines after an empty line.
pub(crate) fn split(text: &str) -> Vec<Script> {
    let mut scripts: Vec<Script> = Vec::new();
    let mut previous = "";
    for (index, line) in text.lines().enumerate() {
        if let Some(title) = line.strip_prefix("# ") {
            match scripts.last_mut() {
                Some(script) if previous.starts_with('#') => {
                    script.title.push(' ');
                    script.title.push_str(title);
                }
                _ => scripts.push(Script {
                    title: title.to_owned(),
                    line: index + 1,
                    lines: Vec::new(),
                }),
            }
        } else if !line.trim().is_empty() {
            let script = scripts.last_mut().expect("a file begins with a title");
            script.lines.push(line.to_owned());
        }
        previous = line;
    }
    scripts
}

/// Plays `script`.
///
/// # Errors
/// The script as it would be right.
pub(crate) fn play(script: &Script) -> Result<(), String> {
    let is_plan = |line: &&String| {
        ["plan", "stage", "action", "rollback", "value"]
            .iter()
            .any(|word| line.split([' ', ':']).next() == Some(*word))
    };
    let setting: Vec<&String> = script.lines.iter().take_while(is_plan).collect();
    let mut player = Player::new(read_plan(&setting));
    let mut played = String::new();
    let mut right = true;
    for line in &script.lines[setting.len()..] {
        let (asked, found, expected) = match line
            .strip_prefix("check ")
            .and_then(|rest| rest.split_once(" = "))
        {
            Some((what, expected)) => (format!("check {what}="), player.check(what.trim()), expected),
            None => {
                let (input, expected) = line
                    .split_once('>')
                    .unwrap_or_else(|| panic!("no `>` in: {line}"));
                (format!("{input}>"), player.take(input.trim()), expected)
            }
        };
        let expected = expected.split("  #").next().unwrap_or_default().trim();
        let _ = write!(played, "\n    {asked} {found}");
        if found != expected {
            right = false;
            let _ = write!(played, "\n        but the script has: {expected}");
        }
    }
    if right { Ok(()) } else { Err(played) }
}
