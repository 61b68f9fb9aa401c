//! Records a program on a terminal as an SVG: `make recording` does that with the demo.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use drplan_testkit::record::{Film, Size, run, svg};

#[derive(Parser)]
#[command(about = "Runs a program on a terminal and writes what is to be seen there as an SVG that plays it")]
struct Args {
    /// The SVG to write.
    file: PathBuf,
    /// Columns of the terminal.
    #[arg(long, default_value_t = 96)]
    columns: u16,
    /// Rows of the terminal.
    #[arg(long, default_value_t = 34)]
    rows: u16,
    /// Seconds for which the last picture stands before all begins anew.
    #[arg(long, default_value_t = 8)]
    still: u64,
    /// What it shows, for those who cannot see it.
    #[arg(long, default_value = "A recording of a terminal")]
    title: String,
    /// The program, and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<OsString>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let size = Size::new(args.columns, args.rows)?;
    let (program, rest) = args.program.split_first().context("no program is named")?;
    let recording = run(program, rest, size)?;
    let file = args.file.display();
    if !recording.succeeded {
        eprintln!("error: the program has failed; `{file}` stays as it was");
        return Ok(ExitCode::FAILURE);
    }
    let film = Film::of(&recording, size, Duration::from_secs(args.still));
    let drawing = svg(&film, &args.title);
    std::fs::write(&args.file, &drawing).with_context(|| format!("failed to write `{file}`"))?;
    let (seconds, kilobytes) = (film.length.as_secs(), drawing.len() / 1024);
    eprintln!("{file}: {seconds} s, {kilobytes} KB");
    Ok(ExitCode::SUCCESS)
}
