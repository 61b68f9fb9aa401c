//! Carries one run to its end: decide, persist, perform, wait.

mod asking;
mod storing;

use std::{sync::Arc, time::Duration};

use drplan_actions::Identity;
use drplan_api::{DRPlanExecutionStatus, Time, status::ExecutionPhase};
use drplan_engine::{ActionIndex, Kept, Run, Step, WaitingOn, derive, effect::ActionEffect};
use k8s_openapi::api::core::v1::ObjectReference;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{self, RunClock},
    contact::Gap,
    context::{Context, Settings},
    events::execution_reference,
    execution::{
        orders::{Orders, is_ordered},
        under_way::{Notice, Performer, UnderWay},
    },
    index::Card,
    record::Record,
    turns::Turn,
};

use storing::Persisted;

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
    /// What it keeps beside its record.
    kept: Kept,
    /// Whether anything of this run was stored by this process.
    is_stored: bool,
    /// Held while the run lives.
    _place: Option<OwnedSemaphorePermit>,
    /// The turn for the next write, while it is this run's.
    turn: Option<Turn>,
    /// The run, as its events name it.
    regarding: Arc<ObjectReference>,
    cards: watch::Receiver<Arc<Card>>,
    gaps: watch::Receiver<Gap>,
    under_way: UnderWay,
    orders: Orders,
    lost_contact: Option<u64>,
    /// What a write would have told whose answer was lost.
    untold: Option<Box<Step>>,
    /// Why the run cannot go on in this process.
    broken: Option<String>,
    /// When a write or read last showed that this process acts on the run.
    proof: Instant,
    /// A write's answer was lost, or it was refused as stale.
    in_doubt: bool,
    /// That writes are refused was told, and none was stored since.
    refusal_told: bool,
    backoff: Duration,
    places: Vec<OwnedSemaphorePermit>,
}

/// How driving ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Driven {
    /// The run has ended and its end is entered, or will be by the controller.
    Ended,
    /// This process does not act on it, or no longer: another one does, or nobody yet.
    Dropped,
    /// It cannot go on, for this reason; a person must look.
    Broke(String),
}

impl Drive {
    /// A run that begins: `status` is its first, not yet stored. It is still its turn to begin.
    pub fn begin(
        context: Arc<Context>,
        record: Record,
        status: DRPlanExecutionStatus,
        run: Run,
        kept: Kept,
        (place, turn): (Option<OwnedSemaphorePermit>, Option<Turn>),
        cards: watch::Receiver<Arc<Card>>,
    ) -> Self {
        let mut drive = Self::go_on(
            context,
            record,
            status,
            Some(run),
            kept,
            place,
            cards,
            Instant::now(),
        );
        drive.is_stored = false;
        drive.turn = turn;
        drive
    }

    /// A run whose claim this process has just stored with `status`, by a write that it sent at `proof`.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of the run, and none goes with another"
    )]
    pub fn go_on(
        context: Arc<Context>,
        record: Record,
        status: DRPlanExecutionStatus,
        run: Option<Run>,
        kept: Kept,
        place: Option<OwnedSemaphorePermit>,
        cards: watch::Receiver<Arc<Card>>,
        proof: Instant,
    ) -> Self {
        let mut gaps = context.contact.gaps();
        gaps.mark_unchanged();
        let clock = RunClock::start();
        let under_way = UnderWay::new(&status, clock.now());
        Self {
            gaps,
            clock,
            context,
            turn: None,
            regarding: execution_reference(&record.meta),
            record,
            status,
            run,
            kept,
            is_stored: true,
            _place: place,
            cards,
            under_way,
            orders: Orders::default(),
            lost_contact: None,
            untold: None,
            broken: None,
            proof,
            in_doubt: false,
            refusal_told: false,
            backoff: BACKOFF.0,
            places: Vec::new(),
        }
    }

    /// Carries the run to its end, or until another process has it or `stop` has drained it.
    pub async fn drive(mut self, stop: &CancellationToken) -> Driven {
        self.take_orders().await;
        loop {
            self.collect();
            if self.turn.is_none() && self.under_way.has_results() && !self.in_doubt {
                // A write follows. What comes while its turn is awaited is in it, and nothing is decided before.
                self.turn = Some(self.context.turns.step().await);
                self.collect();
            }
            if stop.is_cancelled() {
                self.under_way.leave_jobs();
            }
            if let Some(why) = self.broken.take() {
                return Driven::Broke(why);
            }
            if self.in_doubt && !self.read_again().await {
                match self.in_doubt {
                    true if stop.is_cancelled() && self.under_way.is_empty() => return Driven::Dropped,
                    true => {
                        self.rest(stop).await;
                        continue;
                    }
                    false => return Driven::Dropped,
                }
            }
            if !self.context.leadership.leads() {
                if self.cannot_wait_for_a_term(stop) {
                    return Driven::Dropped;
                }
                self.stand_by(stop).await;
                continue;
            }
            if !self.is_stored && self.record.is_late(self.context.settings.start_deadline) {
                // It never began; the controller ends it as such.
                return Driven::Dropped;
            }
            self.notice_silence();
            let step = match self.decide(stop).await {
                Ok(step) => step,
                Err(error) => return Driven::Broke(error.to_string()),
            };
            let changed = step.status != self.status || !self.is_stored;
            if changed {
                if self.turn.is_none() {
                    self.turn = Some(self.context.turns.step().await);
                    if self.under_way.has_arrivals() || !self.context.leadership.leads() {
                        // One write holds both; or the term has ended meanwhile.
                        continue;
                    }
                }
                let persisted = self.persist(&step).await;
                if !step.status.phase.is_terminal() {
                    self.turn = None;
                }
                match persisted {
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
            } else {
                self.turn = None;
            }
            self.under_way.clear_results();
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
            self.under_way.drop_what_has_ended(&self.status);
            let has_run = self.has_run();
            self.in_doubt |= self
                .orders
                .clear(&self.context, &mut self.record, &self.status, has_run)
                .await;
            if self.status.phase.is_terminal() {
                self.finish().await;
                return Driven::Ended;
            }
            if stop.is_cancelled() && self.under_way.is_empty() {
                return Driven::Dropped;
            }
            if !self.in_doubt {
                self.wait(&step.waiting_on, step.wake_at, stop).await;
            }
        }
    }

    /// Takes in what has arrived.
    fn collect(&mut self) {
        for notice in self.under_way.collect() {
            self.heed(notice);
        }
    }

    fn heed(&mut self, notice: Notice) {
        match notice {
            Notice::Answer => {}
            Notice::Deposed => self.in_doubt = true,
            Notice::Broke(why) => self.broken = Some(why),
        }
    }

    /// Whether the run can go on: its snapshot is at hand, and the record lists what it holds.
    fn has_run(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.fits(&self.status))
    }

    async fn take_orders(&mut self) {
        let has_run = self.has_run();
        self.orders
            .take(&self.context, &self.record, &self.status, has_run)
            .await;
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
        if self.under_way.is_empty() {
            self.lost_contact = None;
        }
    }

    fn perform(&mut self, effects: Vec<(ActionIndex, ActionEffect)>) {
        let identity = self.identity();
        let (context, proof, meta) = (&self.context, self.proof, &self.record.meta);
        let performer = Performer {
            context,
            identity,
            proof,
            meta,
        };
        self.under_way.perform(&performer, effects, &mut self.places);
        self.places.clear();
    }

    fn identity(&self) -> Identity {
        Settings::identity(&self.record.key().0, self.status.service_account_name.as_deref())
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
                biased;
                notice = self.under_way.next() => {
                    self.heed(notice);
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

    /// Whether there is nothing to wait for while somebody else leads: the run has not begun, or this process ends.
    fn cannot_wait_for_a_term(&self, stop: &CancellationToken) -> bool {
        !self.is_stored || (stop.is_cancelled() && self.under_way.is_idle())
    }

    /// Waits while this process does not lead: nothing is decided or written, and results are kept. Whoever leads now
    /// may claim the run, which the next read shows.
    async fn stand_by(&mut self, stop: &CancellationToken) {
        self.places.clear();
        self.turn = None;
        let leadership = self.context.leadership.clone();
        let tick = Instant::now() + self.context.settings.reconcile_interval;
        let was_stopping = stop.is_cancelled();
        loop {
            tokio::select! {
                biased;
                () = leadership.begun() => {
                    // What happened meanwhile is not known.
                    self.in_doubt = true;
                    return;
                }
                notice = self.under_way.next() => self.heed(notice),
                changed = self.cards.changed() => {
                    if changed.is_err() || self.concerns() {
                        self.in_doubt = true;
                        return;
                    }
                }
                () = stop.cancelled(), if !was_stopping => return,
                () = tokio::time::sleep_until(tick) => {
                    self.in_doubt = true;
                    return;
                }
            }
            if was_stopping && self.under_way.is_idle() {
                return;
            }
        }
    }

    /// Whether the object as last seen by the watch asks for something that is not known yet, or is another process's.
    fn concerns(&mut self) -> bool {
        let card = self.cards.borrow_and_update().clone();
        let deleting = card.metadata.deletion_timestamp.is_some() && !self.record.is_deleting();
        let process = card.status.process.as_deref();
        let deposed = process.is_some_and(|process| process != self.context.leadership.process());
        is_ordered(&card.metadata) || deleting || deposed
    }

    /// Waits a little after an API server that did not answer; what arrives meanwhile is kept.
    async fn rest(&mut self, stop: &CancellationToken) {
        self.turn = None;
        self.places.clear();
        let until = Instant::now() + self.backoff;
        self.backoff = (self.backoff * 2).min(BACKOFF.1);
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => return,
                notice = self.under_way.next() => self.heed(notice),
                () = stop.cancelled(), if self.under_way.is_idle() => {
                    tokio::time::sleep_until(until).await;
                    return;
                }
            }
        }
    }
}

/// Makes `status` Unknown, for `why`.
pub fn mark_unknown(status: &mut DRPlanExecutionStatus, why: &str) {
    let now = clock::now();
    status.phase = ExecutionPhase::Unknown;
    status.unknown_since = Some(now);
    status.message = format!("{why}; look at what was in flight, then resume or cancel the execution");
    derive(status, now);
}
