//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit::EXIT_CODES;

/// What was asked.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl drplan",
    bin_name = "kubectl drplan",
    version,
    about = "Checks, runs, watches and undoes disaster-recovery plans",
    after_help = EXIT_CODES,
    max_term_width = 100
)]
pub struct Options {
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterOptions,
    /// Which command.
    #[command(subcommand)]
    pub command: Command,
}

/// Which cluster and namespace; as kubectl has them.
#[derive(Args, Clone, Debug, Default)]
pub struct ClusterOptions {
    /// Kubeconfig file
    ///
    /// Without it: the files of the environment variable KUBECONFIG, else ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,

    /// Namespace; that of the context by default
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check manifests without a cluster: every problem, with its place and what to write instead
    ///
    /// Workflows, plans and executions are checked together: a plan with the workflows among the files, an execution
    /// with its plan. A workflow that is not among them is a warning. The rules are the operator's own.
    #[command(after_help = EXIT_CODES)]
    Check {
        /// Files, directories (their *.yaml, *.yml and *.json), or - for standard input
        #[arg(required = true, value_name = "FILES")]
        files: Vec<String>,
        /// Look into directories below, too
        #[arg(short = 'R', long)]
        recursive: bool,
        /// How to print what is found
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: Output,
    },

    /// Print the ServiceAccount, Roles and RoleBindings that a plan needs, for `kubectl apply -f -`
    ///
    /// They grant what its actions and undoing them ask for, and nothing else: one Role for each namespace, by names
    /// where these are known. What only a run tells is left open and said in comments.
    #[command(after_help = EXIT_CODES)]
    Rbac(RbacOptions),

    /// Start a plan: creates an execution and says how to watch it
    #[command(after_help = EXIT_CODES)]
    Run {
        /// The plan
        plan: String,
        /// The execution's name; PLAN-YYYYMMDD-HHMMSS (UTC) by default, with a number if that is taken
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// A value for a parameter; may be repeated
        #[arg(long = "param", short = 'p', value_name = "NAME=VALUE", value_parser = parameter)]
        params: Vec<(String, String)>,
        /// Watch it to its end; the exit code tells how it ended
        #[arg(short, long)]
        wait: bool,
    },

    /// Watch an execution: a live tree on a terminal, else a line for each thing that happens
    #[command(after_help = EXIT_CODES)]
    Watch {
        /// The execution
        execution: String,
    },

    /// Cancel an execution: nothing new begins, what runs is awaited
    #[command(after_help = EXIT_CODES)]
    Cancel {
        /// The execution
        execution: String,
        /// Wait for nothing: running Jobs are deleted, the outcome of calls in flight is not awaited
        #[arg(long)]
        now: bool,
        /// Watch it to its end
        #[arg(short, long)]
        wait: bool,
    },

    /// Let an execution that is Unknown go on
    #[command(after_help = EXIT_CODES)]
    Resume {
        /// The execution
        execution: String,
        /// Watch it to its end
        #[arg(short, long)]
        wait: bool,
    },

    /// Undo an execution, action by action, in reverse order
    ///
    /// Creates an execution of type Revert. Every action that may have had an effect is undone by its rollback, else by
    /// deleting what it created; what has no undo is skipped and said. After a Revert that failed another one goes on
    /// from there.
    #[command(after_help = EXIT_CODES)]
    Revert {
        /// The execution to undo
        execution: String,
        /// The Revert's name; PLAN-revert-YYYYMMDD-HHMMSS (UTC) by default, with a number if that is taken
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Also undo an execution that has Failed or was Cancelled, as much of it as was done
        #[arg(long)]
        allow_partial: bool,
        /// Watch it to its end; the exit code tells how it ended
        #[arg(short, long)]
        wait: bool,
    },

    /// List the runs of a plan, newest first
    #[command(after_help = EXIT_CODES)]
    History {
        /// The plan
        plan: String,
    },
}

/// Which plan, and what to tell of its rights.
#[derive(Args, Clone, Debug)]
pub struct RbacOptions {
    /// The plan; with -f it may be left out where there is only one
    #[arg(required_unless_present = "files")]
    pub plan: Option<String>,
    /// Read the plan and its workflows from these files or directories instead of the cluster, or - for standard input
    ///
    /// The plurals of kinds are then guessed, and kinds that are not Kubernetes' own are taken to have a namespace.
    #[arg(short = 'f', long = "filename", value_name = "FILES")]
    pub files: Vec<String>,
    /// Look into directories below, too
    #[arg(short = 'R', long, requires = "files")]
    pub recursive: bool,
    /// The ServiceAccount where the plan names none, as the operator's --default-service-account
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub service_account: String,
    /// A value that an execution supplies for a parameter; may be repeated
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE", value_parser = parameter)]
    pub params: Vec<(String, String)>,
    /// Print only what of it the ServiceAccount lacks now; exit code 3 if that is anything
    #[arg(long, conflicts_with = "files")]
    pub check: bool,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("write it as NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }
}
