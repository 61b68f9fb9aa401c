//! The operator's program.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use drplan_actions::HttpCaller;
use drplan_operator::{
    admission, client,
    contact::Contact,
    events::EventQueue,
    fault,
    health::{self, Readiness},
    listen::{self, Listen},
    logging,
    operator::{self, Reach},
    options::{Command, Options, RunOptions},
    shutdown,
    turns::Turns,
};

// With musl's own allocator, malloc and free take a third of the operator's time while 100 plans run.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    match Options::read().command {
        Command::Crds => exit_code(print_crds(), |error| {
            let _ = writeln!(io::stderr(), "error: {error:#}");
        }),
        Command::Run(options) => exit_code(run(&options), |error| {
            tracing::error!(error = format!("{error:#}"), "the operator cannot run");
        }),
    }
}

/// The one place where an error and its causes are told.
fn exit_code(result: anyhow::Result<()>, tell: impl FnOnce(anyhow::Error)) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(error);
            ExitCode::FAILURE
        }
    }
}

fn print_crds() -> anyhow::Result<()> {
    let yaml = drplan_api::crds_yaml().context("failed to write the CRDs as YAML")?;
    io::stdout()
        .write_all(yaml.as_bytes())
        .context("failed to print the CRDs")
}

// One thread: what the operator does is waiting, and with two of them a fifth of its time goes to waking and locking each
// other. The longest piece of work is compiling the largest plan, which is far below every timeout.
#[tokio::main(flavor = "current_thread")]
async fn run(options: &RunOptions) -> anyhow::Result<()> {
    logging::init(options.log_level)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
    fault::arm()?;
    let ending = shutdown::on_signal().context("failed to listen for signals")?;

    let readiness = Readiness::default();
    let listener = listen::bind(options.health_bind, "health probes").await?;
    tokio::spawn(health::serve(listener, readiness.clone()));
    let metrics = match options.metrics_bind {
        Listen::At(address) => Some(listen::bind(address, "metrics").await?),
        Listen::Off => None,
    };

    let webhooks = match options.webhook.bind {
        Some(address) => Some(admission::server::bind(address).await?),
        None => None,
    };

    let contact = Contact::new(Duration::from_millis(options.partition_timeout.as_millis()));
    let client = client::connect(options.kubeconfig.as_deref(), &contact).await?;
    tokio::spawn({
        let (contact, client) = (contact.clone(), client.clone());
        async move { contact.keep_probing(client).await }
    });
    let instance = instance();
    let http = HttpCaller::new(options.http_settings());
    let turns = Turns::default();
    let events = EventQueue::start(client.clone(), instance.clone(), turns.clone());
    let reach = Reach {
        client,
        contact,
        http,
        events: events.clone(),
        turns,
        readiness,
        metrics,
        webhooks,
        instance,
        process: uuid::Uuid::new_v4().to_string(),
    };
    let outcome = operator::run(options, reach, ending).await;
    events.drain(EVENTS_DRAIN_TIMEOUT).await;
    outcome?;
    tracing::info!("ended");
    Ok(())
}

/// How long the end waits for events: between the drain timeout of 25 s and the 30 s after which a Pod is killed.
const EVENTS_DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The name of the Pod, which is its host name; events and the lease tell by it which process it was.
fn instance() -> String {
    std::env::var("HOSTNAME")
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "drplan-operator".to_owned())
}
