//! What every part of the operator shares.

use std::{sync::Arc, time::Duration};

use drplan_actions::{Identity, Performer};
use drplan_api::{DRPlan, DRPlanExecution, DRWorkflow};
use kube::Client;
use tokio::sync::Semaphore;

use crate::{
    contact::Contact,
    desk::PlanLocks,
    events::EventQueue,
    index::{Index, Key},
    leadership::Leadership,
    metrics::Metrics,
    queue::WorkQueue,
    raw::Raw,
    refusals::Refusals,
    reviews::Reviews,
    store::Store,
    turns::Turns,
};

/// What every part of the operator shares, behind an `Arc`.
pub struct Context {
    /// The operator's own client.
    pub client: Client,
    /// Access to the three kinds.
    pub stores: Stores,
    /// What the watches brought.
    pub index: Index,
    /// What is to be looked at.
    pub queues: Queues,
    /// Performs effects.
    pub performer: Performer,
    /// Events, beside everything else.
    pub events: EventQueue,
    /// What ServiceAccounts may do.
    pub reviews: Reviews,
    /// What is counted.
    pub metrics: Metrics,
    /// When the API server last answered.
    pub contact: Contact,
    /// Whether this process acts, and who it is.
    pub leadership: Leadership,
    /// Plans whose status is being written.
    pub plan_locks: PlanLocks,
    /// Objects whose writes are refused.
    pub refusals: Refusals,
    /// Whose turn it is to write.
    pub turns: Turns,
    /// Places for running executions.
    pub running_places: Arc<Semaphore>,
    /// Places for HTTP calls.
    pub http_places: Arc<Semaphore>,
    /// What the flags say.
    pub settings: Settings,
}

/// Access to the three kinds.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Workflows.
    pub workflows: Store<Raw<DRWorkflow>>,
    /// Plans.
    pub plans: Store<Raw<DRPlan>>,
    /// Executions.
    pub executions: Store<Raw<DRPlanExecution>>,
}

/// What is to be looked at, by kind.
#[derive(Clone, Debug, Default)]
pub struct Queues {
    /// Workflows.
    pub workflows: WorkQueue<Key>,
    /// Plans.
    pub plans: WorkQueue<Key>,
    /// Executions.
    pub executions: WorkQueue<Key>,
}

/// What the flags say, as far as the parts need it.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The namespaces that are served; empty: all.
    pub namespaces: Vec<String>,
    /// Between two re-lists.
    pub reconcile_interval: Duration,
    /// Silence of the API server after which a run with calls in flight is Unknown.
    pub partition_timeout: Duration,
    /// Time that an execution has to begin.
    pub start_deadline: Duration,
    /// Time for calls in flight at SIGTERM.
    pub drain_timeout: Duration,
    /// Whether `trigger=execute|revert` on a plan creates an execution.
    pub trigger_annotations: bool,
    /// Whether admission stamps who did something, so that stamps can be believed.
    pub stamps: bool,
    /// Executions that may run at once.
    pub max_running: usize,
    /// HTTP calls at once.
    pub max_http: usize,
    /// The ServiceAccount of plans that name none; none: the operator itself.
    pub default_service_account: Option<String>,
}

impl Settings {
    /// The namespaces that are served, as the engine takes them.
    pub fn served(&self) -> Option<&[String]> {
        (!self.namespaces.is_empty()).then_some(self.namespaces.as_slice())
    }

    /// The identity behind a recorded ServiceAccount of `namespace`.
    pub fn identity(namespace: &str, service_account: Option<&str>) -> Identity {
        match service_account {
            None => Identity::Operator,
            Some(name) => Identity::ServiceAccount {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
        }
    }
}
