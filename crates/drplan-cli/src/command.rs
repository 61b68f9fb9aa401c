//! What each command does.

mod check;
mod create;
mod history;
mod rbac;
mod revert;
mod run;
mod steer;

use crate::{
    cluster::Cluster,
    exit::Exit,
    options::{Command, Options},
    watch,
};

/// Does what was asked.
///
/// # Errors
/// Why it could not be done.
pub async fn perform(options: Options) -> anyhow::Result<Exit> {
    if let Command::Check {
        files,
        recursive,
        output,
    } = &options.command
    {
        return check::check(&options.cluster, files, *recursive, *output);
    }
    if let Command::Rbac(rights) = &options.command {
        return rbac::rbac(&options.cluster, rights).await;
    }
    let cluster = Cluster::connect(&options.cluster).await?;
    match options.command {
        // They need no cluster, or not always, and are done.
        Command::Check { .. } | Command::Rbac(_) => Ok(Exit::Done),
        Command::Run {
            plan,
            name,
            params,
            wait,
        } => run::run(&cluster, &plan, name, params, wait).await,
        Command::Watch { execution } => watch::watch(&cluster, &execution).await,
        Command::Cancel { execution, now, wait } => steer::cancel(&cluster, &execution, now, wait).await,
        Command::Resume { execution, wait } => steer::resume(&cluster, &execution, wait).await,
        Command::Revert {
            execution,
            name,
            allow_partial,
            wait,
        } => revert::revert(&cluster, &execution, name, allow_partial, wait).await,
        Command::History { plan } => history::history(&cluster, &plan).await,
    }
}
