//! Decides the next step of an execution.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use drplan_api::{
    ActionPath, Time,
    status::{DRPlanExecutionStatus, ExecutionPhase},
};

use crate::{
    action_phase::{ActionEvent, IllegalTransition},
    announce::Announcement,
    effect::{ActionEffect, EffectIdentity, Failure, Observation},
    fold::Fold,
    graph::ActionIndex,
    kept::Kept,
    object::{Look, ObjectOutcome},
    run::Run,
};

/// All that the shell has seen and the record does not hold yet.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The name of the execution.
    pub execution: String,
    /// The UID of the execution.
    pub execution_uid: String,
    /// What the run keeps beside its record.
    pub kept: Kept,
    /// What commands brought, by action.
    pub results: BTreeMap<ActionIndex, Observation>,
    /// What looks that precede an intent found, by action.
    pub looks: BTreeMap<ActionIndex, Looked>,
    /// Looks under way.
    pub looking: BTreeSet<ActionIndex>,
    /// Commands that this process is performing.
    pub in_flight: BTreeMap<ActionIndex, InFlight>,
    /// Actions whose newest intent was persisted and has certainly not been acted on: by this process, which has
    /// not begun to; or by an earlier one, before its time had come. One whose time is still to come counts by
    /// itself.
    pub fresh: BTreeSet<ActionIndex>,
    /// A wish to end the run early.
    pub cancel: Option<CancelWish>,
    /// A wish to go on from Unknown.
    pub resume: bool,
    /// Who wished that, where it is known.
    pub resumed_by: Option<String>,
    /// Milliseconds that the API server did not answer, if that was longer than the partition timeout.
    pub lost_contact_millis: Option<u64>,
    /// HTTP calls that may be sent now.
    pub http_places: usize,
    /// Whether this process is ending: results are recorded, nothing is begun or sent.
    pub draining: bool,
}

/// The answer to a look.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// When it was asked for; an intent that rests on it begins then, so that both rendered the same.
    pub asked_at: Time,
    /// What was found, or why that is not known.
    pub answer: Result<ObjectOutcome, Failure>,
}

/// A look that precedes an intent. It changes nothing, so it needs no intent of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Inquiry {
    /// Whose it is.
    pub identity: EffectIdentity,
    /// What is looked at.
    pub look: Look,
}

/// A command under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InFlight {
    /// An HTTP call.
    Call,
    /// A Job is being created or looked up.
    FindOrCreate,
    /// A Job is awaited.
    Await,
    /// A Job is being deleted.
    Stop,
    /// Something is being done to an object.
    Object,
}

/// A wish to end the run early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelWish {
    /// Whether running actions are not awaited.
    pub now: bool,
    /// `by user alice`, `execution deleted`, `namespace terminating`, `snapshot lost`.
    pub reason: String,
}

/// What to do next.
#[derive(Clone, Debug)]
pub struct Step {
    /// Persist this before performing `effects`, if it differs from what is persisted.
    pub status: DRPlanExecutionStatus,
    /// Store these texts, by the names of their objects, before `status`, which refers to them.
    pub to_keep: Vec<(String, Arc<str>)>,
    /// Ask these now, before anything is persisted; what they find lets more begin in the same write.
    pub inquiries: Vec<(ActionIndex, Inquiry)>,
    /// Perform these once `status` is persisted. One for an action that has another under way replaces it.
    pub effects: Vec<(ActionIndex, ActionEffect)>,
    /// Tell these once `status` is persisted.
    pub announcements: Vec<Announcement>,
    /// What happened to actions; true once `status` is persisted.
    pub happened: Vec<(ActionIndex, ActionEvent)>,
    /// Whether the run ends with this step; true once `status` is persisted.
    pub ends: bool,
    /// Why nothing more happens.
    pub waiting_on: Vec<WaitingOn>,
    /// Ask again at this time at the latest; at once if it has passed.
    pub wake_at: Option<Time>,
}

/// Why an action, or the run, does not go on by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitingOn {
    /// A command is under way.
    Result(ActionPath),
    /// What stands at its object's place is being looked at.
    Look(ActionPath),
    /// The next attempt has a time.
    Retry(ActionPath, Time),
    /// All places for HTTP calls are taken.
    HttpPlace(ActionPath),
    /// A person must resume or cancel.
    Person,
}

impl std::fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Result(path) => write!(f, "{path} is running"),
            Self::Look(path) => write!(f, "{path} looks at what is there"),
            Self::Retry(path, time) => write!(f, "{path} is tried again at {time}"),
            Self::HttpPlace(path) => write!(f, "{path} waits for one of the places under --max-http"),
            Self::Person => write!(f, "a person must look and then resume or cancel"),
        }
    }
}

/// Decides the next step of an execution.
///
/// Level-triggered: reads everything recorded and everything seen, never "what changed". `run` is none where the
/// snapshot is lost; then the run becomes Unknown, and the only way is to the end, by cancellation. A record that does
/// not list what the run holds is treated alike, until somebody has put it right.
///
/// A command under way is left alone unless the step has another for its action. One whose action has ended in the
/// step's status (a call dropped by `cancel=now`) is dropped.
///
/// # Errors
/// [`IllegalTransition`] if record and engine disagree about what is possible; the run must not go on.
///
/// # Guarantees
/// Every effect in the step has its intent in the step's status. A finished action has no effects, a terminal run
/// never changes. The same arguments give the same step.
pub fn advance(
    run: Option<&Run>,
    status: &DRPlanExecutionStatus,
    seen: &Observed,
    now: Time,
) -> Result<Step, IllegalTransition> {
    let fitting = run.filter(|run| status.phase == ExecutionPhase::Pending || run.fits(status));
    let mut fold = Fold::new(fitting, status, seen, now);
    fold.is_record_altered = run.is_some() && fitting.is_none();
    if status.phase.is_terminal() {
        return Ok(fold.into_step());
    }
    fold.begin();
    fold.skip_what_owes_nothing()?;
    fold.take_cancel();
    fold.take_doubt();
    fold.take_results()?;
    fold.settle_stages();
    fold.walk()?;
    Ok(fold.settle())
}
