//! The program `kubectl-drplan`, which kubectl runs as `kubectl drplan`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use drplan_cli::{command, exit::Exit, options::Options};

/// One thread is enough: it waits for the API server, the clock and the terminal.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match command::perform(Options::parse()).await {
        Ok(exit) => exit.into(),
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            Exit::NotDone.into()
        }
    }
}
