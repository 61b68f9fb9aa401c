//! Carries one run to its end: decide, persist, perform, wait.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use drplan_api::{
    DRPlanExecutionStatus, Time, labels,
    status::{ExecutionPhase, StepPhase},
};
use drplan_engine::{
    ActionIndex, CancelWish, InFlight, Observed, Run, Step, WaitingOn, action_indices, action_status,
    advance, derive,
    effect::{ActionEffect, Command, Observation},
};
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Api;
use serde_json::json;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    task::AbortHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{self, RunClock},
    contact::Gap,
    context::{Context, Settings},
    events::EventNote,
    execution::{
        commit::{Reread, Written, reread, write},
        finish,
    },
    fault,
    index::Card,
    record::Record,
    store::{StoreError, bounded},
};

/// How old the last proof that this process acts on the run may be when an effect is sent: contract, "Claim".
const PROOF_AGE_MAX: Duration = Duration::from_secs(5);
/// The first and the longest wait after an API server that did not answer.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// One run that this process acts on.
pub struct Drive {
    context: Arc<Context>,
    clock: RunClock,
    /// The object as last written or read.
    record: Record,
    /// The status as last written or read.
    status: DRPlanExecutionStatus,
    /// None where the snapshot is lost.
    run: Option<Run>,
    /// Whether anything of this run was stored by this process.
    is_stored: bool,
    /// Held while the run lives.
    _place: Option<OwnedSemaphorePermit>,
    cards: watch::Receiver<Arc<Card>>,
    gaps: watch::Receiver<Gap>,
    results: BTreeMap<ActionIndex, Observation>,
    in_flight: BTreeMap<ActionIndex, Performing>,
    /// Intents that an earlier process recorded and may have acted on.
    inherited: BTreeSet<(ActionIndex, u32)>,
    /// Intents that this process has acted on.
    performed: BTreeSet<(ActionIndex, u32)>,
    cancel: Option<CancelWish>,
    resume: bool,
    /// The wish to resume that the annotation still shows was taken up.
    resumed: bool,
    lost_contact: Option<u64>,
    /// What a write would have told whose answer was lost.
    untold: Option<Box<Step>>,
    /// Why the run cannot go on in this process.
    broken: Option<String>,
    /// When a write or read last showed that this process acts on the run.
    proof: Instant,
    /// A write's answer was lost, or it was refused as stale.
    in_doubt: bool,
    backoff: Duration,
    places: Vec<OwnedSemaphorePermit>,
    arrivals: (Sender, Receiver),
}

type Sender = mpsc::UnboundedSender<(ActionIndex, Arrival)>;
type Receiver = mpsc::UnboundedReceiver<(ActionIndex, Arrival)>;

/// A command under way. It is cut off where this is dropped: nobody would take its answer.
struct Performing {
    kind: InFlight,
    task: AbortHandle,
}

impl Drop for Performing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What becomes of a command.
enum Arrival {
    /// Its answer.
    Seen(Observation),
    /// It was not sent: the run is another process's.
    Deposed,
    /// Its task panicked, so what it did is not known.
    Panicked(String),
}

/// How driving ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Driven {
    /// The run has ended and its end is entered, or will be by the controller.
    Ended,
    /// This process no longer acts on it.
    Dropped,
    /// It cannot go on, for this reason; a person must look.
    Broke(String),
}

impl Drive {
    /// A run that begins: `status` is its first, not yet stored.
    pub fn begin(
        context: Arc<Context>,
        record: Record,
        status: DRPlanExecutionStatus,
        run: Run,
        place: Option<OwnedSemaphorePermit>,
        cards: watch::Receiver<Arc<Card>>,
    ) -> Self {
        let mut drive = Self::go_on(context, record, status, Some(run), place, cards);
        drive.is_stored = false;
        drive
    }

    /// A run whose claim this process has just stored with `status`.
    pub fn go_on(
        context: Arc<Context>,
        record: Record,
        status: DRPlanExecutionStatus,
        run: Option<Run>,
        place: Option<OwnedSemaphorePermit>,
        cards: watch::Receiver<Arc<Card>>,
    ) -> Self {
        let mut gaps = context.contact.gaps();
        gaps.mark_unchanged();
        let clock = RunClock::start();
        let inherited = interrupted(&status, clock.now());
        Self {
            gaps,
            clock,
            context,
            record,
            status,
            run,
            is_stored: true,
            _place: place,
            cards,
            results: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            inherited,
            performed: BTreeSet::new(),
            cancel: None,
            resume: false,
            resumed: false,
            lost_contact: None,
            untold: None,
            broken: None,
            proof: Instant::now(),
            in_doubt: false,
            backoff: BACKOFF.0,
            places: Vec::new(),
            arrivals: mpsc::unbounded_channel(),
        }
    }

    /// Carries the run to its end, or until another process has it or `stop` has drained it.
    pub async fn drive(mut self, stop: &CancellationToken) -> Driven {
        self.take_commands().await;
        loop {
            self.collect();
            if stop.is_cancelled() {
                // A Job needs nobody who waits for it; the next process finds its end.
                self.in_flight
                    .retain(|_, performing| performing.kind != InFlight::Await);
            }
            if let Some(why) = self.broken.take() {
                return Driven::Broke(why);
            }
            if self.in_doubt && !self.read_again().await {
                match self.in_doubt {
                    true if stop.is_cancelled() && self.holds_nothing() => return Driven::Dropped,
                    true => {
                        self.rest(stop).await;
                        continue;
                    }
                    false => return Driven::Dropped,
                }
            }
            if !self.is_stored && self.record.is_late(self.context.settings.start_deadline) {
                // It never began; the controller ends it as such.
                return Driven::Dropped;
            }
            self.notice_silence();
            let step = match self.decide(stop) {
                Ok(step) => step,
                Err(error) => return Driven::Broke(error.to_string()),
            };
            let changed = step.status != self.status || !self.is_stored;
            if changed {
                match self.persist(&step).await {
                    Persisted::Yes => {}
                    Persisted::Overtaken => {
                        self.in_doubt = true;
                        continue;
                    }
                    Persisted::InDoubt => {
                        self.in_doubt = true;
                        self.untold = Some(Box::new(step));
                        self.rest(stop).await;
                        continue;
                    }
                }
            }
            // All of them are recorded by now, or of no consequence.
            self.results.clear();
            if !step.effects.is_empty() && !self.is_proven(&step.effects) {
                // Make sure that nobody else acts on the run before anything is sent.
                self.in_doubt = true;
                self.places.clear();
                continue;
            }
            if !changed {
                self.tell(&step);
            }
            self.perform(step.effects);
            self.drop_what_has_ended();
            self.clear_commands().await;
            if self.status.phase.is_terminal() {
                self.finish().await;
                return Driven::Ended;
            }
            if stop.is_cancelled() && self.holds_nothing() {
                return Driven::Dropped;
            }
            if !self.in_doubt {
                self.wait(&step.waiting_on, step.wake_at, stop).await;
            }
        }
    }

    /// Whether nothing would be lost with this process.
    fn holds_nothing(&self) -> bool {
        self.in_flight.is_empty() && self.results.is_empty()
    }

    /// Asks the engine, with as many places for HTTP calls as can be had.
    fn decide(&mut self, stop: &CancellationToken) -> Result<Step, drplan_engine::IllegalTransition> {
        let now = self.clock.now();
        let mut places = usize::MAX;
        loop {
            let seen = self.observed(places, stop.is_cancelled());
            let step = advance(self.run.as_ref(), &self.status, &seen, now)?;
            let wanted = step
                .effects
                .iter()
                .filter(|(_, effect)| matches!(effect.command, Command::Call(_)))
                .count();
            while self.places.len() < wanted {
                match Arc::clone(&self.context.http_places).try_acquire_owned() {
                    Ok(permit) => self.places.push(permit),
                    Err(_) => break,
                }
            }
            if self.places.len() >= wanted {
                self.places.truncate(wanted);
                return Ok(step);
            }
            places = self.places.len();
        }
    }

    fn observed(&self, http_places: usize, draining: bool) -> Observed {
        let newest = action_indices(&self.status).into_iter().filter_map(|at| {
            let action =
                action_status(&self.status, at).filter(|action| action.phase == StepPhase::Running)?;
            Some((at, action.attempts))
        });
        let fresh =
            newest.filter(|intent| !self.performed.contains(intent) && !self.inherited.contains(intent));
        Observed {
            execution_uid: self.record.uid().to_owned(),
            results: self.results.clone(),
            in_flight: self
                .in_flight
                .iter()
                .map(|(at, performing)| (*at, performing.kind))
                .collect(),
            fresh: fresh.map(|(at, _)| at).collect(),
            cancel: self.cancel.clone(),
            resume: self.resume && self.run.is_some(),
            lost_contact_millis: self.lost_contact,
            http_places,
            draining,
        }
    }

    /// Writes the step's status and tells what happened.
    async fn persist(&mut self, step: &Step) -> Persisted {
        let (before, after) = self.fault_points(step);
        fault::point(before).await;
        // It proves what held when it was asked for: this process may stand still before it learns of the answer.
        let asked = Instant::now();
        match write(&self.context, &self.record.meta, &step.status).await {
            Written::Stored(meta) => {
                fault::point(after).await;
                self.record.meta = *meta;
                self.status = step.status.clone();
                self.is_stored = true;
                self.proof = asked;
                self.backoff = BACKOFF.0;
                self.lost_contact = None;
                self.tell(step);
                Persisted::Yes
            }
            Written::Overtaken => Persisted::Overtaken,
            Written::InDoubt(error) => {
                self.log_unanswered(&error);
                Persisted::InDoubt
            }
        }
    }

    /// The names of the points before and after this write, for tests that end the process there.
    fn fault_points(&self, step: &Step) -> (&'static str, &'static str) {
        if step.status.phase.is_terminal() {
            ("before-end", "after-end")
        } else if !self.results.is_empty() {
            ("before-result", "after-result")
        } else {
            ("before-intent", "after-intent")
        }
    }

    fn tell(&self, step: &Step) {
        let (namespace, name) = self.record.key();
        for told in &step.announcements {
            let path = told.path.as_ref().map(|path| path.as_str());
            let (plan, uid, reason, attempt) =
                (&self.status.plan, self.record.uid(), told.reason, told.attempt);
            match told.level {
                drplan_engine::Level::Info => {
                    tracing::info!(
                        plan,
                        namespace,
                        execution = name,
                        execution_uid = uid,
                        path,
                        attempt,
                        reason,
                        "{}",
                        told.message
                    );
                }
                drplan_engine::Level::Warning => {
                    tracing::warn!(
                        plan,
                        namespace,
                        execution = name,
                        execution_uid = uid,
                        path,
                        attempt,
                        reason,
                        "{}",
                        told.message
                    );
                }
                drplan_engine::Level::Error => {
                    tracing::error!(
                        plan,
                        namespace,
                        execution = name,
                        execution_uid = uid,
                        path,
                        attempt,
                        reason,
                        "{}",
                        told.message
                    );
                }
            }
            if told.event {
                let warning = told.level != drplan_engine::Level::Info;
                self.context.events.push(EventNote {
                    action: path.map(str::to_owned),
                    attempt,
                    ..EventNote::execution(&self.record.meta, warning, told.reason, told.message.clone())
                });
            }
        }
    }

    fn log_unanswered(&self, error: &StoreError) {
        let (namespace, name) = self.record.key();
        tracing::warn!(
            plan = self.status.plan,
            namespace,
            execution = name,
            execution_uid = self.record.uid(),
            error = %error,
            "the status could not be written; results are kept and it is tried again"
        );
    }

    /// Whether `effects` may be sent on the last proof: it is young, and younger than the time a retry became due.
    fn is_proven(&self, effects: &[(ActionIndex, ActionEffect)]) -> bool {
        let age = self.proof.elapsed();
        let due_since = |at: ActionIndex| {
            let time = action_status(&self.status, at).and_then(|action| action.attempt_time)?;
            Some(Duration::from_millis(self.clock.now().millis_since(time)))
        };
        age < PROOF_AGE_MAX
            && effects
                .iter()
                .all(|(at, effect)| effect.attempt <= 1 || due_since(*at).is_none_or(|due| age <= due))
    }

    /// Reads the object again after a conflict or a lost answer. False if it could not be read (`in_doubt` stays) or
    /// the run is another's (`in_doubt` is cleared).
    async fn read_again(&mut self) -> bool {
        let asked = Instant::now();
        match reread(&self.context, &self.record.meta).await {
            Ok(Reread::Ours(record, status)) => {
                if status.epoch.is_some() {
                    self.status = *status;
                    self.is_stored = true;
                }
                if let Some(step) = self.untold.take().filter(|step| step.status == self.status) {
                    // Only its answer was lost.
                    self.tell(&step);
                }
                self.record = *record;
                self.proof = asked;
                self.in_doubt = false;
                self.take_commands().await;
                true
            }
            Ok(Reread::Lost(why)) => {
                let (namespace, name) = self.record.key();
                tracing::warn!(
                    namespace,
                    execution = name,
                    execution_uid = self.record.uid(),
                    "the run is dropped: {why}"
                );
                self.in_doubt = false;
                false
            }
            Err(error) => {
                self.log_unanswered(&error);
                false
            }
        }
    }

    /// Takes up what the object's annotations and its deletion ask for.
    async fn take_commands(&mut self) {
        if let Some(wish) = self.record.cancel_wish() {
            self.cancel = Some(wish);
        }
        self.resume =
            self.record.annotation(labels::RESUME).is_some() && self.status.phase == ExecutionPhase::Unknown;
        let graceful = self.cancel.as_ref().is_none_or(|wish| !wish.now);
        if self.record.is_deleting() && graceful {
            let now = self.run.is_none() || self.namespace_ends().await;
            let recorded = self.status.cancellation.as_ref();
            if recorded.is_none() || (now && recorded.is_some_and(|recorded| !recorded.now)) {
                let reason = if now {
                    "by deletion, without waiting"
                } else {
                    "by deletion"
                };
                self.cancel = Some(CancelWish {
                    now,
                    reason: reason.to_owned(),
                });
            }
        } else if self.run.is_none() {
            // Without its snapshot a run can only end.
            if let Some(wish) = &mut self.cancel {
                wish.now = true;
            }
        }
    }

    async fn namespace_ends(&self) -> bool {
        let api: Api<Namespace> = Api::all(self.context.client.clone());
        match bounded(api.get_opt(&self.record.key().0)).await {
            Ok(Some(namespace)) => namespace.metadata.deletion_timestamp.is_some(),
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Takes annotations off that are recorded, or have nothing to act on.
    async fn clear_commands(&mut self) {
        let terminal = self.status.phase.is_terminal();
        let cancel = self.record.annotation(labels::CANCEL).is_some()
            && self.status.cancellation.is_some()
            && !terminal;
        let resume = self.record.annotation(labels::RESUME).is_some()
            && (self.status.phase != ExecutionPhase::Unknown || self.run.is_none())
            && !terminal;
        self.cancel = None;
        if !cancel && !resume {
            return;
        }
        self.resumed |= resume && std::mem::take(&mut self.resume) && self.run.is_some();
        let is_vain = resume && !self.resumed;
        let mut annotations = serde_json::Map::new();
        for (name, taken) in [(labels::CANCEL, cancel), (labels::RESUME, resume)] {
            if taken {
                annotations.insert(name.to_owned(), serde_json::Value::Null);
            }
        }
        match self
            .context
            .stores
            .executions
            .merge_metadata(&self.record.meta, json!({ "annotations": annotations }))
            .await
        {
            Ok(raw) => {
                self.record.meta = raw.metadata;
                self.resumed = false;
                if is_vain {
                    let message = match self.run {
                        Some(_) => "the execution is not Unknown".to_owned(),
                        None => "the snapshot of this execution is lost; cancel it".to_owned(),
                    };
                    let note = EventNote::execution(&self.record.meta, true, "NothingToResume", message);
                    self.context.events.push(note);
                }
            }
            Err(_) => self.in_doubt = true,
        }
    }

    /// A silence of the API server beyond the partition timeout, or one that has just ended.
    fn notice_silence(&mut self) {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        if self.gaps.has_changed().unwrap_or(false) {
            let gap = *self.gaps.borrow_and_update();
            self.lost_contact = Some(millis(gap.length));
        }
        let silence = self.context.contact.silence();
        if silence > self.context.settings.partition_timeout {
            self.lost_contact = Some(millis(silence));
        }
        if self.in_flight.is_empty() && self.results.is_empty() {
            self.lost_contact = None;
        }
    }

    /// Sends commands. Each answers through the channel.
    fn perform(&mut self, effects: Vec<(ActionIndex, ActionEffect)>) {
        let identity = Settings::identity(&self.record.key().0, self.status.service_account_name.as_deref());
        for (at, effect) in effects {
            let kind = match &effect.command {
                Command::Call(_) => InFlight::Call,
                Command::CreateJob(_) | Command::FindJob(_) => InFlight::FindOrCreate,
                Command::AwaitJob(_) => InFlight::Await,
                Command::StopJob(_) => InFlight::Stop,
            };
            let place = if kind == InFlight::Call {
                self.places.pop()
            } else {
                None
            };
            let attempt = effect.attempt;
            self.performed.insert((at, attempt));
            let (context, identity) = (Arc::clone(&self.context), identity.clone());
            let (proof, meta) = (self.proof, self.record.meta.clone());
            let work = tokio::spawn(async move {
                fault::point("before-effect").await;
                // This process may have stood still since.
                if proof.elapsed() >= PROOF_AGE_MAX && !is_still_ours(&context, &meta).await {
                    return Arrival::Deposed;
                }
                let outcome = context.performer.perform(&identity, &effect).await;
                fault::point("after-effect").await;
                Arrival::Seen(Observation { attempt, outcome })
            });
            let task = work.abort_handle();
            // One that is there is replaced, and cut off by that.
            self.in_flight.insert(at, Performing { kind, task });
            let answer = self.arrivals.0.clone();
            tokio::spawn(async move {
                let arrival = match work.await {
                    Ok(arrival) => arrival,
                    Err(error) if error.is_panic() => Arrival::Panicked(error.to_string()),
                    // Cut off.
                    Err(_) => return,
                };
                // The receiver is gone only if the run was dropped; then nobody wants the answer.
                let _ = answer.send((at, arrival));
                // After the answer: whoever of this run takes the place has heard of it, and one write holds both.
                drop(place);
            });
        }
        self.places.clear();
    }

    /// Takes in what has arrived.
    fn collect(&mut self) {
        while let Ok((at, arrival)) = self.arrivals.1.try_recv() {
            self.arrived(at, arrival);
        }
    }

    fn arrived(&mut self, at: ActionIndex, arrival: Arrival) {
        self.in_flight.remove(&at);
        match arrival {
            Arrival::Seen(observation) => drop(self.results.insert(at, observation)),
            Arrival::Deposed => self.in_doubt = true,
            Arrival::Panicked(why) => self.broken = Some(why),
        }
    }

    /// Calls whose action was ended without them are dropped.
    fn drop_what_has_ended(&mut self) {
        let status = &self.status;
        self.in_flight.retain(|at, _| {
            action_status(status, *at).is_some_and(|action| action.phase == StepPhase::Running)
        });
    }

    /// Waits until something happened that the engine should see.
    async fn wait(&mut self, waiting_on: &[WaitingOn], wake_at: Option<Time>, stop: &CancellationToken) {
        let wants_place = waiting_on
            .iter()
            .any(|why| matches!(why, WaitingOn::HttpPlace(_)));
        let wake = wake_at.map(|time| self.clock.instant(time));
        let tick = Instant::now() + self.context.settings.reconcile_interval;
        let was_stopping = stop.is_cancelled();
        loop {
            let place = async {
                match wants_place {
                    true => Arc::clone(&self.context.http_places).acquire_owned().await.ok(),
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                Some((at, arrival)) = self.arrivals.1.recv() => {
                    self.arrived(at, arrival);
                    return;
                }
                changed = self.cards.changed() => {
                    if changed.is_err() || self.concerns() {
                        self.in_doubt = true;
                        return;
                    }
                }
                _ = self.gaps.changed() => {
                    self.gaps.mark_changed();
                    return;
                }
                () = async { match wake { Some(wake) => tokio::time::sleep_until(wake).await, None => std::future::pending().await } } => return,
                permit = place => {
                    self.places.extend(permit);
                    return;
                }
                () = stop.cancelled(), if !was_stopping => return,
                () = tokio::time::sleep_until(tick) => {
                    // The safety net: a command or a deletion whose notice was lost is found by this read.
                    self.in_doubt = true;
                    return;
                }
            }
        }
    }

    /// Whether the object as last seen by the watch asks for something that is not known yet, or is another process's.
    fn concerns(&mut self) -> bool {
        let card = self.cards.borrow_and_update().clone();
        let annotated = |name: &str| crate::record::annotation(&card.metadata, name).is_some();
        let deleting = card.metadata.deletion_timestamp.is_some() && !self.record.is_deleting();
        let process = card.status.process.as_deref();
        let deposed = process.is_some_and(|process| process != self.context.epoch.process);
        annotated(labels::CANCEL) || annotated(labels::RESUME) || deleting || deposed
    }

    /// Waits a little after an API server that did not answer; what arrives meanwhile is kept.
    async fn rest(&mut self, stop: &CancellationToken) {
        self.places.clear();
        let until = Instant::now() + self.backoff;
        self.backoff = (self.backoff * 2).min(BACKOFF.1);
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                Some((at, arrival)) = self.arrivals.1.recv() => self.arrived(at, arrival),
                () = stop.cancelled(), if self.in_flight.is_empty() => {
                    tokio::time::sleep_until(until).await;
                    return;
                }
            }
        }
    }

    async fn finish(&mut self) {
        let mut pause = BACKOFF.0;
        // The controller of executions goes on with it if this gives up.
        for _ in 0..FINISH_TRIES {
            let record = Record {
                status: crate::record::Recorded::Started(Box::new(self.status.clone())),
                ..self.record.clone()
            };
            match finish::finish(&self.context, &record, self.run.as_ref()).await {
                Ok(()) | Err(StoreError::Gone) => return,
                Err(StoreError::Conflict) => match reread(&self.context, &self.record.meta).await {
                    Ok(Reread::Ours(record, _)) => self.record = *record,
                    Ok(Reread::Lost(_)) => return,
                    Err(_) => tokio::time::sleep(pause).await,
                },
                Err(error) => {
                    self.log_unanswered(&error);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(BACKOFF.1);
                }
            }
        }
    }
}

/// Whether this process acts on the run with this metadata, read live as often as it takes.
async fn is_still_ours(context: &Context, meta: &ObjectMeta) -> bool {
    let mut pause = BACKOFF.0;
    loop {
        match reread(context, meta).await {
            Ok(Reread::Ours(_, _)) => return true,
            Ok(Reread::Lost(_)) => return false,
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(BACKOFF.1);
    }
}

/// Tries to enter a run's end before the controller takes over with its own, slower tries.
const FINISH_TRIES: usize = 10;

enum Persisted {
    Yes,
    Overtaken,
    InDoubt,
}

/// Makes `status` Unknown, for `why`.
pub fn mark_unknown(status: &mut DRPlanExecutionStatus, why: &str) {
    let now = clock::now();
    status.phase = ExecutionPhase::Unknown;
    status.unknown_since = Some(now);
    status.message = format!("{why}; look at what was in flight, then resume or cancel the execution");
    derive(status, now);
}

/// The intents of `status` that may have been acted on by `now`.
fn interrupted(status: &DRPlanExecutionStatus, now: Time) -> BTreeSet<(ActionIndex, u32)> {
    let running = action_indices(status).into_iter().filter_map(|at| {
        let action = action_status(status, at).filter(|action| action.phase == StepPhase::Running)?;
        action
            .attempt_time
            .is_none_or(|time| time <= now)
            .then_some((at, action.attempts))
    });
    running.collect()
}
