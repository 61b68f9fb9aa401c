//! Whether a Revert may begin: what it undoes, and why not.

use std::collections::BTreeSet;

use drplan_api::{
    DRPlanExecutionStatus, labels,
    status::{ActionStatus, ExecutionPhase, SnapshotRef, StepPhase},
};
use drplan_engine::{ActionIndex, Reverted, Run, action_indices, action_status, kept::kept_objects};

use crate::{
    context::Context,
    execution::{
        judge::Refusal,
        snapshots::{self, Lost},
    },
    record::{Record, Recorded},
    store::StoreError,
};

/// What the original documents have the product say where nothing was executed.
const NOT_EXECUTED: &str = "尚未执行预案";
/// Actions that a message lists as done.
const LISTED_MAX: usize = 5;

/// The execution that a Revert may undo.
pub(super) struct Target {
    record: Record,
    status: Box<DRPlanExecutionStatus>,
    snapshot: SnapshotRef,
}

/// Which execution a Revert asks to undo.
pub(super) struct Wish<'a> {
    /// The namespace of all.
    pub(super) namespace: &'a str,
    /// The plan of the Revert.
    pub(super) plan: &'a str,
    /// The execution's name.
    pub(super) target: &'a str,
    /// Whether one that Failed or was Cancelled will do.
    pub(super) allow_partial: bool,
}

impl Wish<'_> {
    /// Reads the execution live and decides whether it may be undone. What holds under the plan's lock holds until the
    /// Revert has ended.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read now.
    pub(super) async fn target(&self, context: &Context) -> Result<Result<Target, Refusal>, StoreError> {
        let found = context.stores.executions.get(self.namespace, self.target).await?;
        Ok(match found {
            None => Err(self.missing()),
            Some(raw) => self.judge(Record::of(raw)),
        })
    }

    fn missing(&self) -> Refusal {
        let (target, namespace, plan) = (self.target, self.namespace, self.plan);
        refuse(
            "RevertTargetMissing",
            format!(
                "{NOT_EXECUTED}: execution `{target}` does not exist in namespace {namespace}; name one that does: \
                 kubectl get drpe -n {namespace} -l {}={plan}",
                labels::PLAN
            ),
        )
    }

    fn judge(&self, record: Record) -> Result<Target, Refusal> {
        let target = self.target;
        let status = match &record.status {
            Recorded::Started(status) => status.clone(),
            Recorded::NotStarted(_) => {
                return Err(refuse(
                    "RevertTargetNotExecuted",
                    format!("{NOT_EXECUTED}: execution `{target}` has not begun"),
                ));
            }
            Recorded::Unreadable { problem, .. } => {
                return Err(refuse(
                    "RevertTargetUnreadable",
                    format!("the record of execution `{target}` cannot be read: {problem}"),
                ));
            }
            Recorded::UnsupportedFormat(format) => {
                return Err(refuse(
                    "UnsupportedFormat",
                    format!(
                        "the record of execution `{target}` has format {format}, which this release does not know"
                    ),
                ));
            }
        };
        if status.plan != self.plan {
            return Err(refuse(
                "RevertTargetOfOtherPlan",
                format!(
                    "execution `{target}` is of plan `{}`; write spec.planRef: {}, or name an execution of plan `{}`",
                    status.plan, status.plan, self.plan
                ),
            ));
        }
        if status.operation_type != "Execute" {
            return Err(refuse(
                "RevertTargetIsRevert",
                format!(
                    "execution `{target}` is a Revert itself; to do again what it undid, create an execution with \
                     operationType: Execute"
                ),
            ));
        }
        self.check_phase(&status)?;
        if let Some(undone) = status.undone.as_ref().filter(|undone| undone.wholly) {
            let reverts: BTreeSet<&str> = undone.actions.iter().map(|action| action.by.as_str()).collect();
            let by = match reverts.is_empty() {
                true => String::new(),
                false => format!(" by {}", Vec::from_iter(reverts).join(", ")),
            };
            return Err(refuse(
                "AlreadyReverted",
                format!("execution `{target}` is undone already{by}; there is nothing left to revert"),
            ));
        }
        match status.snapshot.clone() {
            Some(snapshot) => Ok(Target {
                record,
                status,
                snapshot,
            }),
            None => Err(refuse(
                "RevertTargetNotExecuted",
                format!(
                    "{NOT_EXECUTED}: execution `{target}` ended before it began, so there is nothing to undo"
                ),
            )),
        }
    }

    fn check_phase(&self, status: &DRPlanExecutionStatus) -> Result<(), Refusal> {
        let target = self.target;
        let phase = status.phase.as_str();
        match status.phase {
            ExecutionPhase::Succeeded => Ok(()),
            ExecutionPhase::Failed | ExecutionPhase::Cancelled if self.allow_partial => Ok(()),
            ExecutionPhase::Failed | ExecutionPhase::Cancelled => Err(refuse(
                "RevertTargetNotSucceeded",
                format!(
                    "execution `{target}` ended {phase}; to undo as much of it as was done, write \
                     spec.allowPartial: true"
                ),
            )),
            ExecutionPhase::Unknown => Err(refuse(
                "RevertTargetNotEnded",
                format!(
                    "execution `{target}` is Unknown; cancel it first: kubectl annotate drpe {target} -n {} \
                     {}=true",
                    self.namespace,
                    labels::CANCEL
                ),
            )),
            ExecutionPhase::Pending | ExecutionPhase::Running => Err(refuse(
                "RevertTargetNotEnded",
                format!("execution `{target}` is {phase}; wait for its end, or cancel it first"),
            )),
        }
    }
}

impl Target {
    /// The Revert's run, stored: `revert` becomes an owner of the target's snapshot and gets one of its own.
    ///
    /// # Errors
    /// [`StoreError`]; doing it again goes on where it stopped.
    pub(super) async fn store(
        &self,
        context: &Context,
        revert: &Record,
    ) -> Result<Result<(SnapshotRef, Run), Refusal>, StoreError> {
        if let Err(lost) = snapshots::share(context, &self.record, &self.snapshot.name, revert).await? {
            return Ok(Err(self.lost(&lost)));
        }
        for name in kept_objects(&self.status) {
            // One that is gone is missed only by a template that reads it.
            let _: Result<(), Lost> = snapshots::share(context, &self.record, name, revert).await?;
        }
        let snapshot = match snapshots::load(context, revert, &self.snapshot).await? {
            Ok(snapshot) => snapshot,
            Err(lost) => return Ok(Err(self.lost(&lost))),
        };
        let facts = Reverted::new(self.record.name(), self.record.uid(), &self.status);
        let Some(facts) = facts else {
            // It was judged by the same record, which names its snapshot.
            return Err(StoreError::Conflict);
        };
        let (reference, text) = snapshots::store(context, revert, &facts.to_text()).await?;
        let run = Reverted::from_text(&text, &reference.sha256)
            .and_then(|facts| Run::revert(snapshot, facts))
            .map_err(|error| snapshots::unusable(&reference.name, error));
        Ok(run.map(|run| (reference, run)).map_err(|lost| self.lost(&lost)))
    }

    /// Why an execution whose snapshot is lost cannot be reverted, and what it did, for those who undo it by hand.
    fn lost(&self, lost: &Lost) -> Refusal {
        let done: Vec<String> = action_indices(&self.status)
            .into_iter()
            .filter_map(|at| Some((at, action_status(&self.status, at)?)))
            .filter(|(_, action)| has_done_something(action))
            .map(|(at, action)| named(&self.status, at, action))
            .collect();
        let more = match done.len().saturating_sub(LISTED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more (see its status)"),
        };
        let done = done[..done.len().min(LISTED_MAX)].join(", ");
        let message = format!("{lost}; undo by hand what it did: {done}{more}");
        refuse(
            "SnapshotLost",
            message.trim_start_matches("SnapshotLost: ").to_owned(),
        )
    }
}

fn refuse(reason: &'static str, message: String) -> Refusal {
    Refusal {
        reason,
        message,
        problems: Vec::new(),
    }
}

fn has_done_something(action: &ActionStatus) -> bool {
    match action.phase {
        StepPhase::Succeeded | StepPhase::Running => true,
        StepPhase::Failed => action.effect_possible,
        StepPhase::Pending | StepPhase::Skipped => false,
    }
}

fn named(status: &DRPlanExecutionStatus, at: ActionIndex, action: &ActionStatus) -> String {
    let stage = &status.stage_statuses[at.stage];
    let workflow = &stage.workflow_executions[at.workflow].workflow_ref.name;
    format!("{}/{workflow}[{}]/{}", stage.name, at.workflow, action.name)
}
