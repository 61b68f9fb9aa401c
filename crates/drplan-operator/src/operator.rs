//! The operator as a whole: what runs beside what, from the first list to the last write.

use std::{sync::Arc, time::Duration};

use drplan_actions::{HttpCaller, HttpSettings, JobWatch, Performer};
use drplan_api::{GoDuration, status::Epoch};
use kube::Client;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    admission::Admission,
    contact::Contact,
    context::{Context, Queues, Settings, Stores},
    desk::PlanLocks,
    events::EventQueue,
    executions::Executions,
    health::Readiness,
    index::{Index, Key},
    options::RunOptions,
    plans,
    queue::WorkQueue,
    store::{Store, StoreError},
    watch, workflows,
};

/// Workflows and plans looked at at once: enough to hide the latency of a write, few enough to leave the API server to
/// the runs.
const LOOKS_AT_ONCE: usize = 8;
/// Executions looked at at once. A look hands over to a task of the execution's own, so it is short.
const EXECUTIONS_AT_ONCE: usize = 32;
/// The wait before a look that failed is repeated.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Runs until `stop`, then drains. `client` and `contact` belong together. Webhooks are answered to the end, on `webhooks`.
pub async fn run(
    options: &RunOptions,
    client: Client,
    contact: Contact,
    events: EventQueue,
    readiness: Readiness,
    webhooks: Option<TcpListener>,
    stop: CancellationToken,
) {
    let context = Arc::new(context(options, client, contact, events));
    let admission =
        webhooks.map(|listener| Admission::start(listener, &options.webhook, &context, readiness.clone()));
    let executions = Executions::new(Arc::clone(&context), stop.clone());
    let watches = tokio::spawn({
        let (context, executions, stop) = (Arc::clone(&context), executions.clone(), stop.clone());
        async move {
            // Nothing is done before everything is known: a run that an earlier process left must be found as such.
            let warm = || {
                executions.claim_all();
                readiness.set_ready();
                tokio::spawn(work(Arc::clone(&context), executions.clone(), stop));
            };
            tokio::join!(
                watch::watch_all(&context, warm),
                watch::relist_all(&context, context.settings.reconcile_interval)
            );
        }
    });
    stop.cancelled().await;
    executions.drain(context.settings.drain_timeout).await;
    watches.abort();
    if let Some(admission) = admission {
        admission.end().await;
    }
}

fn context(options: &RunOptions, client: Client, contact: Contact, events: EventQueue) -> Context {
    let duration = |duration: GoDuration| Duration::from_millis(duration.as_millis());
    let settings = Settings {
        namespaces: options.namespaces.clone(),
        reconcile_interval: duration(options.reconcile_interval),
        partition_timeout: duration(options.partition_timeout),
        start_deadline: duration(options.start_deadline),
        drain_timeout: duration(options.drain_timeout),
        trigger_annotations: options.trigger_annotations,
        stamps: options.webhook.bind.is_some(),
        max_running: options.max_running,
        max_http: options.max_http,
        default_service_account: (!options.allow_operator_identity)
            .then(|| options.default_service_account.clone()),
    };
    let jobs = JobWatch::new();
    tokio::spawn({
        let (jobs, client, namespaces) = (jobs.clone(), client.clone(), settings.namespaces.clone());
        async move { jobs.run(client, &namespaces).await }
    });
    let http = HttpCaller::new(HttpSettings {
        pinned: options.http_resolve.clone(),
        trusted: options.http_ca.clone().unwrap_or_default(),
        ..HttpSettings::default()
    });
    Context {
        performer: Performer::new(client.clone(), http, jobs, settings.reconcile_interval),
        stores: Stores {
            workflows: Store::new(client.clone()),
            plans: Store::new(client.clone()),
            executions: Store::new(client.clone()),
        },
        client,
        index: Index::default(),
        queues: Queues::default(),
        events,
        contact,
        // Leadership has no part in it yet: every process is of the same term.
        epoch: Epoch {
            process: uuid::Uuid::new_v4().to_string(),
            lease_transitions: 0,
        },
        plan_locks: PlanLocks::default(),
        running_places: Arc::new(Semaphore::new(settings.max_running)),
        http_places: Arc::new(Semaphore::new(settings.max_http)),
        settings,
    }
}

async fn work(context: Arc<Context>, executions: Executions, stop: CancellationToken) {
    let queues = context.queues.clone();
    let workflows = queues.workflows.work(LOOKS_AT_ONCE, stop.clone(), |key: Key| {
        let context = Arc::clone(&context);
        async move {
            let outcome = workflows::reconcile(&context, &key).await;
            look_again(&context.queues.workflows, key, outcome, "workflow");
        }
    });
    let plans = queues.plans.work(LOOKS_AT_ONCE, stop.clone(), |key: Key| {
        let context = Arc::clone(&context);
        async move {
            let outcome = plans::reconcile(&context, &key).await;
            look_again(&context.queues.plans, key, outcome, "plan");
        }
    });
    let runs = queues
        .executions
        .work(EXECUTIONS_AT_ONCE, stop.clone(), |key: Key| {
            let (context, executions) = (Arc::clone(&context), executions.clone());
            async move {
                let outcome = executions.reconcile(&key).await;
                look_again(&context.queues.executions, key, outcome, "execution");
            }
        });
    tokio::join!(workflows, plans, runs);
}

/// A look that failed is repeated after a while; one that met a newer version waits for the watch to bring it.
fn look_again(queue: &WorkQueue<Key>, key: Key, outcome: Result<(), StoreError>, kind: &str) {
    match outcome {
        Ok(()) => {}
        Err(StoreError::Gone) => {}
        Err(error) => {
            tracing::warn!(kind, namespace = key.0, name = key.1, error = %error, "looked at again soon");
            queue.push_after(key, LOOK_AGAIN);
        }
    }
}
