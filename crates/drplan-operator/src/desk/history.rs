//! What a plan's status says of its runs: pure, for others to write.

use drplan_api::{
    DRPlanStatus, Time,
    status::{CurrentExecution, ExecutionPhase, HistoryEntry, PlanPhase, SuccessfulExecution, set_condition},
};
use drplan_engine::snapshot::sha256_hex;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{events::EventNote, index::Key};

/// Runs kept in a plan's history.
const HISTORY_MAX: usize = 10;
/// Names kept in `startedNames`.
const STARTED_NAMES_MAX: usize = 200;

/// A run, as far as a plan records it.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its plan.
    pub plan: String,
    /// Execute or Revert.
    pub operation: String,
    /// Who asked for it.
    pub requested_by: String,
}

impl Run {
    pub(super) fn plan_key(&self) -> Key {
        (self.namespace.clone(), self.plan.clone())
    }
}

/// How a run ended, for the plan's record.
#[derive(Clone, Debug)]
pub struct End {
    /// The run.
    pub run: Run,
    /// Its terminal phase.
    pub phase: ExecutionPhase,
    /// When.
    pub completion_time: Option<Time>,
}

/// Records in a plan's `status` that `run` has the lock since `now`.
pub(super) fn enter_start(status: &mut DRPlanStatus, run: &Run, now: Time) {
    status.current_execution = Some(CurrentExecution {
        name: run.name.clone(),
        namespace: run.namespace.clone(),
        uid: run.uid.clone(),
        operation: run.operation.clone(),
        start_time: now,
    });
    status.execution_history.retain(|entry| entry.uid != run.uid);
    status.execution_history.insert(
        0,
        HistoryEntry {
            name: run.name.clone(),
            namespace: run.namespace.clone(),
            uid: run.uid.clone(),
            operation_type: run.operation.clone(),
            phase: ExecutionPhase::Running,
            start_time: now,
            completion_time: None,
            requested_by: Some(run.requested_by.clone()),
        },
    );
    status.execution_history.truncate(HISTORY_MAX);
    let name = started_name(&run.name);
    status.started_names.retain(|known| *known != name);
    status.started_names.insert(0, name);
    status.started_names.truncate(STARTED_NAMES_MAX);
}

/// Records the end of a run in `status`, if the run is its current one or in its history as running.
pub fn enter_end(status: &mut DRPlanStatus, end: &End) {
    let uid = &end.run.uid;
    let held = status
        .current_execution
        .as_ref()
        .is_some_and(|current| current.uid == *uid);
    if held {
        status.current_execution = None;
    }
    let entry = status
        .execution_history
        .iter_mut()
        .find(|entry| entry.uid == *uid);
    let known = entry.as_ref().is_some_and(|entry| entry.phase.is_terminal());
    if let Some(entry) = entry {
        entry.phase = end.phase;
        entry.completion_time = end.completion_time;
    }
    if known || !held {
        return;
    }
    status.last_execution_time = end.completion_time;
    if end.phase == ExecutionPhase::Succeeded {
        status.last_execution_ref = Some(end.run.name.clone());
        if let Some(completion_time) = end.completion_time {
            status.last_successful_execution = Some(SuccessfulExecution {
                name: end.run.name.clone(),
                namespace: end.run.namespace.clone(),
                completion_time,
            });
            if end.run.operation == "Execute" {
                set_condition(
                    &mut status.conditions,
                    "Executed",
                    true,
                    "Executed",
                    "",
                    completion_time,
                );
                if status.phase == Some(PlanPhase::Ready) {
                    status.phase = Some(PlanPhase::Executed);
                }
            }
        }
    }
}

/// Whether another execution of the name of `run` has had the plan's lock before.
pub fn has_run(status: &DRPlanStatus, run: &Run) -> bool {
    status.started_names.contains(&started_name(&run.name))
        && !status.execution_history.iter().any(|entry| entry.uid == run.uid)
}

/// Releases the lock of a run that does not exist. Returns what is to be told once that is written.
pub fn release_stale(plan: &ObjectMeta, status: &mut DRPlanStatus, current: &CurrentExecution) -> EventNote {
    status.current_execution = None;
    if let Some(entry) = status
        .execution_history
        .iter_mut()
        .find(|entry| entry.uid == current.uid)
    {
        entry.phase = ExecutionPhase::Unknown;
    }
    let message = format!(
        "Released the lock of execution {}, which does not exist",
        current.name
    );
    EventNote::plan(plan, true, "StaleLockReleased", message)
}

/// How a name is remembered: ten hexadecimal digits of its SHA-256.
fn started_name(name: &str) -> String {
    sha256_hex(name.as_bytes())[..10].to_owned()
}
