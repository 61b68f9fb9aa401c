//! The operator as a whole: what runs beside what, from the first list to the last write.

use std::{sync::Arc, time::Duration};

use drplan_actions::{HttpCaller, JobWatch, Performer};
use drplan_api::GoDuration;
use kube::Client;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, oneshot},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    admission::Admission,
    contact::Contact,
    context::{Context, Queues, Settings, Stores},
    desk::PlanLocks,
    events::EventQueue,
    executions::Executions,
    fault,
    health::Readiness,
    index::{Index, Key},
    leadership::{Candidate, Leadership},
    metrics::{self, Kind, Metrics},
    options::RunOptions,
    plans,
    queue::WorkQueue,
    refusals::Refusals,
    reviews::Reviews,
    setback::SetBack,
    store::{Store, StoreError},
    turns::Turns,
    watch, workflows,
};

/// Workflows and plans looked at at once: enough to hide the latency of a write, few enough to leave the API server to
/// the runs.
const LOOKS_AT_ONCE: usize = 8;
/// Executions looked at at once. A look hands over to a task of the execution's own, so it is short.
const EXECUTIONS_AT_ONCE: usize = 32;
/// The wait before a look that failed is repeated.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How the operator and the world reach each other.
pub struct Reach {
    /// Its own client.
    pub client: Client,
    /// What the client hears.
    pub contact: Contact,
    /// Sends HTTP calls.
    pub http: HttpCaller,
    /// Where events go.
    pub events: EventQueue,
    /// To whom the events yield.
    pub turns: Turns,
    /// Where it says that its caches are warm.
    pub readiness: Readiness,
    /// Where it is asked for metrics.
    pub metrics: Option<TcpListener>,
    /// Where it is asked for admission.
    pub webhooks: Option<TcpListener>,
    /// The name of the Pod, by which the lease shows who holds it.
    pub instance: String,
    /// The name of this process, unique among all that ever were: records name by it who acts.
    pub process: String,
}

/// Runs until `stop`, then drains.
///
/// # Errors
/// [`SetBack`] if it drained by itself, to be started anew.
pub async fn run(options: &RunOptions, reach: Reach, stop: CancellationToken) -> Result<(), SetBack> {
    let Reach {
        client,
        contact,
        http,
        events,
        turns,
        readiness,
        metrics,
        webhooks,
        instance,
        process,
    } = reach;
    let leadership = match options.election.leader_elect {
        false => Leadership::alone(process),
        true => Leadership::elected(process),
    };
    let context = Arc::new(context(
        options,
        leadership,
        (client, contact, http),
        events,
        turns,
    ));
    let admission =
        webhooks.map(|listener| Admission::start(listener, &options.webhook, &context, readiness.clone()));
    // Until the end of the drain: that is when somebody wants to see what is left.
    let _scraped = metrics
        .map(|listener| AbortOnDropHandle::new(tokio::spawn(metrics::serve(listener, Arc::clone(&context)))));
    let is_set_back = CancellationToken::new();
    let stop = stop.child_token();
    let executions = Executions::new(Arc::clone(&context), stop.clone());
    let resign = CancellationToken::new();
    let candidate = options.election.lease().map(|lease| {
        let (client, leadership) = (context.client.clone(), context.leadership.clone());
        Candidate::new(client, lease, &instance, options.election.timing(), leadership)
    });
    let (warmed, warm) = oneshot::channel();
    let election = tokio::spawn(fault::task({
        let resign = resign.clone();
        async move {
            // Nothing is done before everything is known: a run that an earlier process left must be found as such.
            if let (Ok(()), Some(candidate)) = (warm.await, candidate) {
                candidate.stand(resign).await;
            }
        }
    }));
    let watches = tokio::spawn(fault::task({
        let (context, executions, stop) = (Arc::clone(&context), executions.clone(), stop.clone());
        let is_set_back = is_set_back.clone();
        async move {
            let ending = stop.clone();
            let warm = || {
                readiness.set_ready();
                let _ = warmed.send(());
                tokio::spawn(fault::task(act(Arc::clone(&context), executions.clone(), stop)));
            };
            let relists = async {
                watch::relist_all(&context, context.settings.reconcile_interval).await;
                tracing::error!("ending: {SetBack}");
                is_set_back.cancel();
                ending.cancel();
            };
            tokio::join!(watch::watch_all(&context, warm), relists);
        }
    }));
    stop.cancelled().await;
    executions.drain(context.settings.drain_timeout).await;
    // Only now: what was in flight is recorded.
    resign.cancel();
    watches.abort();
    if let Err(error) = election.await {
        tracing::error!(error = %error, "the election ended early");
    }
    if let Some(admission) = admission {
        admission.end().await;
    }
    match is_set_back.is_cancelled() {
        true => Err(SetBack),
        false => Ok(()),
    }
}

/// What every part shares; the watch of Jobs has begun.
pub fn context(
    options: &RunOptions,
    leadership: Leadership,
    (client, contact, http): (Client, Contact, HttpCaller),
    events: EventQueue,
    turns: Turns,
) -> Context {
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
    let metrics = Metrics::default();
    let jobs = JobWatch::new();
    tokio::spawn(fault::task({
        let (jobs, client, namespaces) = (jobs.clone(), client.clone(), settings.namespaces.clone());
        async move { jobs.run(client, &namespaces).await }
    }));
    Context {
        performer: Performer::new(client.clone(), http, jobs, settings.reconcile_interval),
        stores: Stores {
            workflows: Store::new(client.clone(), metrics.clone(), Kind::Workflow),
            plans: Store::new(client.clone(), metrics.clone(), Kind::Plan),
            executions: Store::new(client.clone(), metrics.clone(), Kind::Execution),
        },
        client,
        index: Index::default(),
        queues: Queues::default(),
        events,
        contact,
        metrics,
        reviews: Reviews::default(),
        leadership,
        plan_locks: PlanLocks::default(),
        refusals: Refusals::default(),
        turns,
        running_places: Arc::new(Semaphore::new(settings.max_running)),
        http_places: Arc::new(Semaphore::new(settings.max_http)),
        settings,
    }
}

/// Acts in every term that this process has, until `stop`.
async fn act(context: Arc<Context>, executions: Executions, stop: CancellationToken) {
    let leadership = context.leadership.clone();
    while !stop.is_cancelled() {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = leadership.begun() => {}
        }
        let mut terms = leadership.terms();
        terms.mark_unchanged();
        executions.claim_all();
        let term = stop.child_token();
        let working = work(Arc::clone(&context), executions.clone(), term.clone());
        let counting = async {
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    changed = terms.changed() => {
                        if changed.is_err() || terms.borrow_and_update().is_none() {
                            break;
                        }
                        // It counts on: what its predecessor began is its to claim.
                        executions.claim_all();
                    }
                }
            }
            term.cancel();
        };
        tokio::join!(working, counting);
    }
}

async fn work(context: Arc<Context>, executions: Executions, stop: CancellationToken) {
    let queues = context.queues.clone();
    let workflows = queues.workflows.work(LOOKS_AT_ONCE, stop.clone(), |key: Key| {
        let context = Arc::clone(&context);
        async move {
            let outcome = workflows::reconcile(&context, &key).await;
            look_again(&context, &context.queues.workflows, key, outcome, Kind::Workflow);
        }
    });
    let plans = queues.plans.work(LOOKS_AT_ONCE, stop.clone(), |key: Key| {
        let context = Arc::clone(&context);
        async move {
            let outcome = plans::reconcile(&context, &key).await;
            look_again(&context, &context.queues.plans, key, outcome, Kind::Plan);
        }
    });
    let runs = queues
        .executions
        .work(EXECUTIONS_AT_ONCE, stop.clone(), |key: Key| {
            let (context, executions) = (Arc::clone(&context), executions.clone());
            async move {
                let outcome = executions.reconcile(&key).await;
                look_again(
                    &context,
                    &context.queues.executions,
                    key,
                    outcome,
                    Kind::Execution,
                );
            }
        });
    tokio::join!(workflows, plans, runs);
}

/// A look that failed is repeated after a while; one that met a newer version waits for the watch to bring it.
fn look_again(
    context: &Context,
    queue: &WorkQueue<Key>,
    key: Key,
    outcome: Result<(), StoreError>,
    kind: Kind,
) {
    match outcome {
        Ok(()) => {}
        Err(StoreError::Gone) => {}
        Err(error) => {
            context.metrics.look_failed(kind);
            let kind = kind.name();
            tracing::warn!(kind, namespace = key.0, name = key.1, error = %error, "looked at again soon");
            queue.push_after(key, LOOK_AGAIN);
        }
    }
}
