//! What each command does.

mod check;

use crate::{
    exit::Exit,
    options::{Command, Options},
};

/// Does what was asked.
///
/// # Errors
/// Why it could not be done.
pub async fn perform(options: Options) -> anyhow::Result<Exit> {
    match options.command {
        Command::Check {
            files,
            recursive,
            output,
        } => check::check(&options.cluster, &files, recursive, output),
        _ => anyhow::bail!("not yet"),
    }
}
