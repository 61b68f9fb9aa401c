//! What is stored before the first effect of a run: the mark of its start, the plan's lock, the snapshot.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use drplan_api::{
    canonical::Request,
    labels,
    problem::any_error,
    status::{FORMAT_VERSION, SnapshotRef},
};
use drplan_engine::{Compiled, Kept, Run, Snapshot, derive};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    clock,
    desk::{self, LockAnswer},
    execution::{
        drive::Drive,
        judge::{Judged, Refusal, RunWish, Workflows, invalid_plan, judge_plan, target_of},
        snapshots,
        start::{EDITS_MAX, Look, Starting, already_ran},
    },
    fault,
    index::PlanEntry,
    record::{Record, Recorded, execution_labels, finalizers},
    reviews::{Reviewed, review},
    says,
    store::{StoreError, chain},
};

/// The wait before a look at what is expected to change soon: a command on the plan, a workflow that is missing.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long an execution waits for rights: every API server learns of a Role by a watch of its own, a moment after
/// it was applied.
const RIGHTS_PATIENCE: Duration = Duration::from_secs(5);
/// What tells the API server to keep no account of who set which field. Otherwise each of the many writes of a status
/// compares all fields of two versions, a tenth of what such a write costs.
const NOT_MANAGED: [BTreeMap<&str, &str>; 1] = [BTreeMap::new()];

/// Whether an execution got its plan's lock.
enum Locked {
    /// It did; this is the execution as written.
    Taken(Box<Record>),
    /// It did not, and this is what follows.
    Not(Look),
}

impl From<Refusal> for Look {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse {
            reason: refusal.reason,
            message: refusal.message,
        }
    }
}

impl Starting {
    /// Compiles or finds what is to be undone, takes the lock, stores the snapshot.
    pub(super) async fn prepare(&mut self, record: &Record, request: &Request) -> Result<Look, StoreError> {
        let (namespace, name) = record.key();
        let wish = RunWish {
            namespace: &namespace,
            name: &name,
            uid: record.uid(),
            request,
        };
        let (found, workflows) = match self.ahead.take().filter(|ahead| ahead.plan == request.plan) {
            Some(ahead) => (ahead.found, ahead.workflows),
            None => (
                self.context.stores.plans.get(&namespace, &request.plan).await?,
                Workflows::new(),
            ),
        };
        let entry = found.map(PlanEntry::of);
        match judge_plan(&self.context, &wish, entry.as_ref(), workflows).await? {
            Judged::Execute(compiled) => self.prepare_execute(record, request, *compiled, entry).await,
            Judged::Revert => self.prepare_revert(record, request, &wish).await,
            Judged::Missing(message) => Ok(self.missing(message)),
            Judged::Refused(refusal) => Ok(refusal.into()),
        }
    }

    async fn prepare_execute(
        &mut self,
        record: &Record,
        request: &Request,
        compiled: Compiled,
        entry: Option<PlanEntry>,
    ) -> Result<Look, StoreError> {
        let run = Run::new(compiled.snapshot);
        if let Some(look) = self.lacking(record, &run).await {
            return Ok(look);
        }
        let context = Arc::clone(&self.context);
        // What the execution was started with depends on nothing that the lock is about. Without the lock nothing refers to
        // it, and it goes with the execution.
        let store = async {
            fault::point("before-snapshot").await;
            let stored = snapshots::store(&context, record, &run.snapshot.to_text()).await?;
            fault::point("after-snapshot").await;
            Ok(stored)
        };
        let (locked, stored) = tokio::join!(self.take_lock(record, request, entry), store);
        let record = match locked? {
            Locked::Taken(record) => record,
            Locked::Not(look) => return Ok(look),
        };
        let (reference, text) = stored?;
        let snapshot =
            Snapshot::from_text(&text, &reference.sha256).map_err(|error| StoreError::Refused {
                code: 0,
                message: chain(&error),
            })?;
        Ok(self.ready(&record, reference, Run::new(snapshot), Kept::new()))
    }

    /// Takes the lock, finds what is to be undone again, stores the snapshot. A Revert needs neither the plan's
    /// workflows nor that it is valid.
    async fn prepare_revert(
        &mut self,
        record: &Record,
        request: &Request,
        wish: &RunWish<'_>,
    ) -> Result<Look, StoreError> {
        let record = match self.take_lock(record, request, None).await? {
            Locked::Taken(record) => record,
            Locked::Not(look) => return Ok(look),
        };
        // Another Revert of it may have ended before the lock was taken.
        let target = match target_of(&self.context, wish).await? {
            Some(Ok(target)) => target,
            Some(Err(refusal)) => return Ok(refusal.into()),
            None => return Ok(Look::Wait(LOOK_AGAIN)),
        };
        fault::point("before-snapshot").await;
        let (reference, run) = match target.store(&self.context, &record).await? {
            Ok(stored) => stored,
            Err(refusal) => return Ok(refusal.into()),
        };
        fault::point("after-snapshot").await;
        if let Some(look) = self.lacking(&record, &run).await {
            return Ok(look);
        }
        let kept = snapshots::load_outputs(&self.context, &record, &run.initial_status(), Some(&run)).await?;
        Ok(self.ready(&record, reference, run, kept))
    }

    /// What follows where actions would fail for want of a right; none if none would, or nobody knows.
    async fn lacking(&mut self, record: &Record, run: &Run) -> Option<Look> {
        let problems = match review(&self.context, run).await {
            Reviewed::Asked(problems) => problems,
            Reviewed::NotAsked(error) => {
                let (namespace, execution) = record.key();
                tracing::warn!(
                    plan = run.snapshot.plan,
                    namespace,
                    execution,
                    execution_uid = record.uid(),
                    error = %error,
                    "the rights of the ServiceAccount were not reviewed; the run tells whether they suffice"
                );
                return None;
            }
        };
        if !any_error(&problems) {
            self.lacking_since = None;
            return None;
        }
        let since = *self.lacking_since.get_or_insert_with(Instant::now);
        if since.elapsed() < RIGHTS_PATIENCE {
            return Some(Look::Wait(LOOK_AGAIN));
        }
        let plan = &run.snapshot.plan;
        Some(Look::Refuse {
            reason: "RightsMissing",
            message: format!("plan `{plan}` cannot run: {}", says::problems(&problems)),
        })
    }

    /// Marks the execution as started and takes the plan's lock for it.
    async fn take_lock(
        &mut self,
        record: &Record,
        request: &Request,
        found: Option<PlanEntry>,
    ) -> Result<Locked, StoreError> {
        let (namespace, name) = record.key();
        let run = desk::Run {
            namespace: namespace.clone(),
            name: name.clone(),
            uid: record.uid().to_owned(),
            plan: request.plan.clone(),
            operation: request.operation.name().to_owned(),
            requested_by: record.who(labels::CREATED_BY, &self.context.settings),
        };
        let context = Arc::clone(&self.context);
        let mut plan = desk::hold(&context, &run, found).await;
        let (record, ()) = tokio::join!(self.mark_started(record, request), plan.get_ready());
        let record = record?;
        let look = match plan.lock().await? {
            LockAnswer::Taken => return Ok(Locked::Taken(Box::new(record))),
            LockAnswer::Busy(other) => Look::Refuse {
                reason: "PlanBusy",
                message: desk::busy(&other),
            },
            LockAnswer::AlreadyRan => already_ran(&record),
            LockAnswer::PlanGone => self.missing(format!(
                "plan `{}` does not exist or is being deleted",
                request.plan
            )),
            LockAnswer::CommandPending => {
                self.context.queues.plans.push((namespace, request.plan.clone()));
                Look::Wait(LOOK_AGAIN)
            }
            LockAnswer::Unreadable(problem) => invalid_plan(&request.plan, problem).into(),
        };
        Ok(Locked::Not(look))
    }

    fn ready(&mut self, record: &Record, reference: SnapshotRef, run: Run, kept: Kept) -> Look {
        let mut status = run.initial_status();
        status.requested_by = Some(record.who(labels::CREATED_BY, &self.context.settings));
        status.snapshot = Some(reference);
        status.epoch = Some(self.context.leadership.epoch());
        let drive = Drive::begin(
            Arc::clone(&self.context),
            record.clone(),
            status,
            run,
            kept,
            (self.place.take(), self.turn.take()),
            self.cards.clone(),
        );
        Look::Ready(Box::new(drive))
    }

    /// Writes on the execution under which UID it was started, its labels and the finalizer.
    async fn mark_started(&mut self, record: &Record, request: &Request) -> Result<Record, StoreError> {
        let wanted = execution_labels(&request.plan, request.operation.name());
        if record.has_labels(&wanted)
            && record.has_finalizer()
            && record.annotation(labels::STARTED_UID).is_some()
        {
            return self.fence(record).await;
        }
        fault::point("before-metadata").await;
        let executions = &self.context.stores.executions;
        let mut looked_at = record.clone();
        for _ in 0..EDITS_MAX {
            let patch = json!({
                "annotations": {labels::STARTED_UID: record.uid()},
                "labels": wanted,
                "finalizers": finalizers(&looked_at.meta, true),
                "managedFields": NOT_MANAGED,
            });
            match executions.merge_metadata(&looked_at.meta, patch).await {
                Ok(meta) => {
                    self.is_fenced = true;
                    fault::point("after-metadata").await;
                    return Ok(Record { meta, ..looked_at });
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
            // What was decided holds as long as nothing else has changed.
            looked_at = self.edited(record).await?;
        }
        Err(StoreError::Conflict)
    }

    /// Changes an execution that another process has marked, and that is still its to begin if a write of its is on the
    /// way: that one is refused from now on.
    async fn fence(&mut self, record: &Record) -> Result<Record, StoreError> {
        let Recorded::NotStarted(status) = &record.status else {
            return Ok(record.clone());
        };
        if self.is_fenced {
            return Ok(record.clone());
        }
        let mut status = status.clone();
        status.format_version = Some(FORMAT_VERSION);
        status.message = format!("taken up by process {}", self.context.leadership.process());
        derive(&mut status, clock::now());
        let executions = &self.context.stores.executions;
        let meta = executions.put_status(&record.meta, &*status).await?;
        self.is_fenced = true;
        Ok(Record {
            meta,
            ..record.clone()
        })
    }
}
