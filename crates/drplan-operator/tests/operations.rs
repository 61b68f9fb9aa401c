//! `docs/operations.md` shows the flags as they are.

use std::{fmt::Write, fs};

use clap::{Arg, CommandFactory};
use drplan_operator::options::Options;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
const BEGIN: &str = "<!-- Generated from the command line's definition; a test rewrites it. -->\n";
const END: &str = "<!-- End of what is generated. -->\n";

#[test]
fn the_flags_in_the_documentation_are_those_of_the_program() {
    let text = fs::read_to_string(FILE).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("it has the first mark");
    let (_, after) = rest.split_once(END).expect("it has the second mark");
    let fresh = format!("{before}{BEGIN}{}{END}{after}", flags());
    if fresh != text {
        fs::write(FILE, fresh).unwrap();
        panic!("docs/operations.md was stale and has been written anew: look at it and commit it");
    }
}

fn flags() -> String {
    let command = Options::command();
    let run = command.find_subcommand("run").expect("it is a subcommand");
    let mut text = String::from("\n");
    for arg in run.get_arguments().filter(|arg| arg.get_id() != "help") {
        flag(&mut text, arg).expect("a String takes everything");
    }
    text
}

/// A list item: flag, variable and default, then what it does.
fn flag(text: &mut String, arg: &Arg) -> std::fmt::Result {
    write!(text, "- `--{}", arg.get_long().expect("there are no others"))?;
    if let Some(names) = arg.get_value_names().filter(|_| arg.get_action().takes_values()) {
        write!(text, " {}", names.join(" "))?;
    }
    write!(text, "`")?;
    if let Some(variable) = arg.get_env() {
        write!(text, ", `{}`", variable.to_string_lossy())?;
    }
    let defaults: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        write!(text, ", default `{}`", defaults.join(","))?;
    }
    let help = arg
        .get_long_help()
        .or(arg.get_help())
        .expect("every flag has its help");
    let help = help.to_string();
    writeln!(text)?;
    writeln!(text)?;
    for line in help.lines() {
        match line.trim() {
            "" => writeln!(text)?,
            line => writeln!(text, "  {line}")?,
        }
    }
    writeln!(text)
}
