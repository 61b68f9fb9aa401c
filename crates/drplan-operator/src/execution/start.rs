//! Whether an execution may begin, and its end if it may not.

use std::{sync::Arc, time::Duration};

use drplan_api::{DRPlan, DRPlanExecutionStatus, labels, status::ExecutionPhase};
use drplan_engine::derive;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    context::Context,
    events::EventNote,
    execution::{
        drive::Drive,
        finish,
        judge::{Workflows, read_workflows},
        resume::leave_unreadable,
        unsupported,
    },
    fault,
    index::{Card, Key},
    raw::Raw,
    record::{Progress, Record, Recorded, execution_labels},
    says,
    store::StoreError,
    turns::Turn,
};

/// How long an execution waits for a plan or workflow that does not exist.
const MISSING_PATIENCE: Duration = Duration::from_secs(30);
/// The first and the longest wait after an API server that did not answer.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The wait after somebody else's write: nobody notices it, and a conflict that never ends does not spin.
const CONFLICT_PAUSE: Duration = Duration::from_millis(10);

/// Edits in a row after which everything is looked at anew.
pub(super) const EDITS_MAX: usize = 20;

/// What became of the wish to begin.
pub enum Begun {
    /// It may: everything is stored but its first status.
    Ready(Box<Drive>),
    /// It ended, or it is not this process's, or this process leads no longer.
    Over {
        /// The version on which that was seen, if another look at it would see the same.
        rested: Option<String>,
        /// Whether what another process stores of the run now cannot have been on its way when this one began.
        is_fenced: bool,
    },
}

/// What one look decided.
pub(super) enum Look {
    Ready(Box<Drive>),
    Over,
    /// Look again when something changes, or after this.
    Wait(Duration),
    /// Refused for good.
    Refuse {
        reason: &'static str,
        message: String,
    },
    /// Cancelled before it began.
    Cancel(String),
    /// Waits, and says so.
    Pending(String),
}

/// Waits until the execution `key` with `uid` may begin, or ends it. It `is_inherited` where the process before this one
/// may have sent the first status of its run, and that write may still be on its way.
pub async fn start(
    context: &Arc<Context>,
    key: &Key,
    uid: &str,
    mut cards: watch::Receiver<Arc<Card>>,
    stop: &CancellationToken,
    is_inherited: bool,
) -> Begun {
    let mut starting = Starting {
        context: Arc::clone(context),
        place: None,
        turn: None,
        ahead: None,
        missing_since: None,
        lacking_since: None,
        is_fenced: !is_inherited,
        is_put_off: false,
        cards: cards.clone(),
    };
    let mut backoff = BACKOFF.0;
    while !stop.is_cancelled() && context.leadership.leads() {
        cards.mark_unchanged();
        starting.turn = tokio::select! {
            biased;
            turn = context.turns.begin() => Some(turn),
            () = stop.cancelled() => break,
        };
        let pause = match starting.look(key, uid).await {
            Ok(None) => break,
            // What another process began may be this one's to claim.
            Ok(Some((record, Look::Over))) => {
                let rests = !matches!(record.status, Recorded::Started(_));
                return Begun::Over {
                    rested: record.meta.resource_version.filter(|_| rests),
                    is_fenced: starting.is_fenced,
                };
            }
            Ok(Some((_, Look::Ready(drive)))) => return Begun::Ready(drive),
            Ok(Some((_, Look::Wait(pause)))) => pause,
            Ok(Some((record, decided))) => match starting.write(record, decided).await {
                Ok(true) => break,
                Ok(false) => starting.patience(),
                Err(error) => after(&error, &mut backoff),
            },
            Err(error) => after(&error, &mut backoff),
        };
        starting.is_put_off |= backoff == BACKOFF.1;
        starting.turn = None;
        let place = async {
            match starting.place {
                None => Arc::clone(&context.running_places).acquire_owned().await.ok(),
                Some(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = context.leadership.ended() => {}
            _ = cards.changed() => {}
            () = tokio::time::sleep(pause) => {}
            permit = place => starting.place = permit,
        }
    }
    Begun::Over {
        rested: None,
        is_fenced: starting.is_fenced,
    }
}

fn after(error: &StoreError, backoff: &mut Duration) -> Duration {
    match error {
        StoreError::Conflict | StoreError::Gone => CONFLICT_PAUSE,
        StoreError::Refused { .. } | StoreError::Unanswered { .. } => {
            tracing::warn!(error = %error, "an execution cannot begin yet");
            let pause = *backoff;
            *backoff = (pause * 2).min(BACKOFF.1);
            pause
        }
    }
}

/// The plan that an execution most likely names, and its workflows.
pub(super) struct Ahead {
    pub(super) plan: String,
    pub(super) found: Option<Raw<DRPlan>>,
    pub(super) workflows: Workflows,
}

pub(super) struct Starting {
    pub(super) context: Arc<Context>,
    pub(super) place: Option<OwnedSemaphorePermit>,
    pub(super) turn: Option<Turn>,
    /// What was read live beside the execution.
    pub(super) ahead: Option<Ahead>,
    missing_since: Option<Instant>,
    /// Since when rights are known to be missing.
    pub(super) lacking_since: Option<Instant>,
    /// Whether this process has changed the execution, or need not: every write of the one before it is refused then.
    pub(super) is_fenced: bool,
    /// Whether the API server has failed for some seconds, so that whoever looks at the execution should be told.
    is_put_off: bool,
    pub(super) cards: watch::Receiver<Arc<Card>>,
}

impl Starting {
    /// Reads everything live and decides; none if the execution is gone.
    async fn look(&mut self, key: &Key, uid: &str) -> Result<Option<(Record, Look)>, StoreError> {
        let plan = self.cards.borrow().plan().map(str::to_owned);
        let (context, namespace) = (&self.context, &key.0);
        let beside = async {
            let plan = plan?;
            let entry = context.index.plan(&(namespace.clone(), plan.clone()));
            let workflows = async {
                match &entry {
                    Some(entry) => read_workflows(context, entry).await,
                    None => Ok(Workflows::new()),
                }
            };
            let (found, workflows) =
                tokio::try_join!(context.stores.plans.get(namespace, &plan), workflows).ok()?;
            Some(Ahead {
                plan,
                found,
                workflows,
            })
        };
        let (found, ahead) = tokio::join!(context.stores.executions.get(&key.0, &key.1), beside);
        let found = found?;
        self.ahead = ahead;
        let Some(raw) = found.filter(|raw| raw.metadata.uid.as_deref() == Some(uid)) else {
            return Ok(None);
        };
        let record = Record::of(raw);
        let look = match self.decide(&record).await {
            // Whoever looks at the execution sees why it does not begin.
            Err(error @ StoreError::Refused { .. }) => Look::Pending(format!("cannot begin yet: {error}")),
            Err(error @ StoreError::Unanswered { is_told: true, .. }) if self.is_put_off => {
                Look::Pending(format!("cannot begin yet: {error}"))
            }
            decided => decided?,
        };
        Ok(Some((record, look)))
    }

    async fn decide(&mut self, record: &Record) -> Result<Look, StoreError> {
        match &record.status {
            Recorded::NotStarted(_) => {}
            Recorded::Unreadable {
                progress: Progress::NotStarted,
                problem,
            } => {
                return Ok(Look::Refuse {
                    reason: "Unreadable",
                    message: problem.to_string(),
                });
            }
            Recorded::UnsupportedFormat(format) => {
                unsupported::tell(&self.context, record, "status", *format);
                return Ok(Look::Over);
            }
            // Its phase says that it has not begun, or nothing, and the rest that it has.
            Recorded::Unreadable {
                progress: Progress::Started,
                problem,
            } => {
                leave_unreadable(&self.context, record, problem).await?;
                return Ok(Look::Over);
            }
            Recorded::Started(_) | Recorded::Unreadable { .. } => return Ok(Look::Over),
        }
        if record.is_deleting() {
            return Ok(Look::Cancel("by deletion".to_owned()));
        }
        if let Some(wish) = record.cancel_wish(&self.context.settings) {
            return Ok(Look::Cancel(wish.reason));
        }
        if record
            .annotation(labels::STARTED_UID)
            .is_some_and(|started| started != record.uid())
        {
            return Ok(already_ran(record));
        }
        if record.is_late(self.context.settings.start_deadline) {
            let message = format!(
                "it had not begun within {} of its creation; create a new execution if it is still wanted",
                says_duration(self.context.settings.start_deadline)
            );
            return Ok(Look::Refuse {
                reason: "StartDeadlineExceeded",
                message,
            });
        }
        let request = match &record.request {
            Ok(request) => request.clone(),
            Err(problems) => {
                return Ok(Look::Refuse {
                    reason: "Invalid",
                    message: says::problems(problems),
                });
            }
        };
        if self.place.is_none() {
            self.place = Arc::clone(&self.context.running_places).try_acquire_owned().ok();
        }
        if self.place.is_none() {
            let most = self.context.settings.max_running;
            return Ok(Look::Pending(format!(
                "waiting for a place: {most} executions are running (--max-running)"
            )));
        }
        self.prepare(record, &request).await
    }

    /// How long to wait at most before the next look: until the start deadline is worth checking again.
    fn patience(&self) -> Duration {
        self.context.settings.start_deadline.min(Duration::from_secs(5))
    }

    /// Something that the plan needs does not exist: it is awaited for a while.
    pub(super) fn missing(&mut self, message: String) -> Look {
        let since = *self.missing_since.get_or_insert_with(Instant::now);
        if since.elapsed() < MISSING_PATIENCE {
            Look::Pending(format!("waiting: {message}"))
        } else {
            Look::Refuse {
                reason: "Missing",
                message,
            }
        }
    }

    /// Writes the labels by which people find the executions of a plan, on one that ends without having begun.
    async fn label(&self, record: Record) -> Result<Record, StoreError> {
        let Ok(request) = &record.request else {
            return Ok(record);
        };
        let wanted = execution_labels(&request.plan, request.operation.name());
        if record.has_labels(&wanted) {
            return Ok(record);
        }
        let executions = &self.context.stores.executions;
        let patch = json!({"labels": wanted});
        let meta = executions.merge_metadata(&record.meta, patch).await?;
        Ok(Record { meta, ..record })
    }

    /// Stores `status`, with the labels if it is an end, and returns the execution as written.
    ///
    /// What was decided took longer than the time between two edits of somebody who edits labels or annotations in a loop,
    /// and it holds as long as nothing else has changed.
    async fn store(&self, mut record: Record, status: &DRPlanExecutionStatus) -> Result<Record, StoreError> {
        for _ in 0..EDITS_MAX {
            match self.try_store(&record, status).await {
                Ok(meta) => return Ok(Record { meta, ..record }),
                Err(StoreError::Conflict) => record = self.edited(&record).await?,
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    async fn try_store(
        &self,
        record: &Record,
        status: &DRPlanExecutionStatus,
    ) -> Result<ObjectMeta, StoreError> {
        let executions = &self.context.stores.executions;
        if !status.phase.is_terminal() {
            return executions.put_status(&record.meta, status).await;
        }
        let record = self.label(record.clone()).await?;
        fault::point("before-end").await;
        executions.put_status(&record.meta, status).await
    }

    /// Reads `record` again after somebody has edited it.
    ///
    /// # Errors
    /// [`StoreError`]; `Conflict` if more than other people's labels and annotations has changed.
    pub(super) async fn edited(&self, record: &Record) -> Result<Record, StoreError> {
        let (namespace, name) = record.key();
        let found = self.context.stores.executions.get(&namespace, &name).await?;
        let newer = Record::of(found.ok_or(StoreError::Gone)?);
        match newer.asks_the_same_as(record) {
            true => Ok(newer),
            false => Err(StoreError::Conflict),
        }
    }

    /// Writes what was decided. True if the execution has ended by it.
    async fn write(&self, record: Record, decided: Look) -> Result<bool, StoreError> {
        let now = clock::now();
        let mut status = match &record.status {
            Recorded::NotStarted(status) => (**status).clone(),
            Recorded::Started(_) | Recorded::Unreadable { .. } | Recorded::UnsupportedFormat(_) => {
                DRPlanExecutionStatus::default()
            }
        };
        status.format_version = Some(drplan_api::status::FORMAT_VERSION);
        if let Ok(request) = &record.request {
            status.plan.clone_from(&request.plan);
            status.operation_type = request.operation.name().to_owned();
        }
        status.requested_by = Some(record.who(labels::CREATED_BY, &self.context.settings));
        let (warning, reason) = match decided {
            Look::Refuse { reason, message } => {
                status.phase = ExecutionPhase::Failed;
                status.message = if reason == "PlanBusy" {
                    message
                } else {
                    format!("{reason}: {message}")
                };
                (true, "ExecutionFailed")
            }
            Look::Cancel(reason) => {
                status.phase = ExecutionPhase::Cancelled;
                status.message = format!("Execution cancelled {reason}");
                (false, "ExecutionCancelled")
            }
            Look::Pending(message) => {
                if status.message == message {
                    return Ok(false);
                }
                status.message = message;
                derive(&mut status, now);
                self.store(record, &status).await?;
                return Ok(false);
            }
            Look::Ready(_) | Look::Over | Look::Wait(_) => return Ok(false),
        };
        status.completion_time = Some(now);
        derive(&mut status, now);
        let record = self.store(record, &status).await?;
        self.context
            .metrics
            .execution_ended(&status.operation_type, status.phase);
        fault::point("after-end").await;
        self.context.events.push(EventNote::execution(
            &record.meta,
            warning,
            reason,
            status.message.clone(),
        ));
        let (namespace, name) = record.key();
        tracing::info!(
            plan = status.plan,
            namespace,
            execution = name,
            execution_uid = record.uid(),
            reason,
            "{}",
            status.message
        );
        let ended = Record {
            status: Recorded::Started(Box::new(status)),
            ..record
        };
        finish::finish(&self.context, &ended, None).await?;
        Ok(true)
    }
}

pub(super) fn already_ran(record: &Record) -> Look {
    let message = format!(
        "an execution named `{}` was started before, this is a copy of it; create one under a new name to run the plan again",
        record.name()
    );
    Look::Refuse {
        reason: "AlreadyRan",
        message,
    }
}

fn says_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    drplan_api::GoDuration::from_millis(millis).to_string()
}
