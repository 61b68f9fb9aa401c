//! Commands and looks under way, and what they brought: a run's hands.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use drplan_actions::Identity;
use drplan_api::{
    DRPlanExecutionStatus, Time,
    status::{ActionStatus, StepPhase},
};
use drplan_engine::{
    ActionIndex, InFlight, Inquiry, Looked, Observed, action_indices, action_status,
    effect::{ActionEffect, Command, Failure, FailureKind, Observation, Outcome},
    object::ObjectCommand,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::AbortHandle,
    time::Instant,
};

use crate::{
    context::Context,
    execution::commit::{Reread, reread},
    fault,
};

/// How old the last proof that this process acts on the run may be when an effect is sent.
pub(super) const PROOF_AGE_MAX: Duration = Duration::from_secs(5);
/// The first and the longest wait between reads of an API server that does not answer.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// What of a run is under way in this process, and what it brought.
pub(super) struct UnderWay {
    commands: BTreeMap<ActionIndex, Performing>,
    looking: BTreeMap<ActionIndex, Performing>,
    results: BTreeMap<ActionIndex, Observation>,
    looks: BTreeMap<ActionIndex, (Looked, Instant)>,
    /// Intents that an earlier process recorded and may have acted on.
    inherited: BTreeSet<(ActionIndex, u32)>,
    /// Intents that this process has acted on.
    performed: BTreeSet<(ActionIndex, u32)>,
    arrivals: (mpsc::UnboundedSender<Arrived>, mpsc::UnboundedReceiver<Arrived>),
}

type Arrived = (ActionIndex, Arrival);

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
    /// The answer to a look.
    Looked(Looked),
    /// It was not sent: the run is another process's.
    Deposed,
    /// Its task panicked, so what it did is not known.
    Panicked(String),
}

/// What the one who drives the run must see to, besides the answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// An answer arrived.
    Answer,
    /// Whose the run is, is in doubt.
    Deposed,
    /// What was done is not known.
    Broke(String),
}

/// Who performs for which run, on which proof.
pub(super) struct Performer<'a> {
    /// What performs.
    pub(super) context: &'a Arc<Context>,
    /// As whom.
    pub(super) identity: Identity,
    /// When this process last knew that it acts on the run.
    pub(super) proof: Instant,
    /// The run's object.
    pub(super) meta: &'a ObjectMeta,
}

impl UnderWay {
    /// Nothing, in a process that takes up `status` at `now`: what runs in it may have been acted on.
    pub(super) fn new(status: &DRPlanExecutionStatus, now: Time) -> Self {
        let inherited = newest_intents(status)
            .filter(|(_, action)| action.may_have_been_sent(now))
            .map(|(at, action)| (at, action.attempts));
        Self {
            commands: BTreeMap::new(),
            looking: BTreeMap::new(),
            results: BTreeMap::new(),
            looks: BTreeMap::new(),
            inherited: inherited.collect(),
            performed: BTreeSet::new(),
            arrivals: mpsc::unbounded_channel(),
        }
    }

    /// Writes into `seen` what is under way and what it brought.
    pub(super) fn show(&self, status: &DRPlanExecutionStatus, seen: &mut Observed) {
        seen.results = self.results.clone();
        seen.looks = self
            .looks
            .iter()
            .map(|(at, (looked, _))| (*at, looked.clone()))
            .collect();
        seen.looking = self.looking.keys().copied().collect();
        seen.in_flight = self
            .commands
            .iter()
            .map(|(at, performing)| (*at, performing.kind))
            .collect();
        let acted_on =
            |intent: &(ActionIndex, u32)| self.performed.contains(intent) || self.inherited.contains(intent);
        let intents = newest_intents(status).map(|(at, action)| (at, action.attempts));
        seen.fresh = intents
            .filter(|intent| !acted_on(intent))
            .map(|(at, _)| at)
            .collect();
    }

    /// Whether no command is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.commands.is_empty()
    }

    /// Whether nothing would be lost with this process.
    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.results.is_empty()
    }

    /// Whether answers wait to be recorded.
    pub(super) fn has_results(&self) -> bool {
        !self.results.is_empty()
    }

    /// Whether a look is under way.
    pub(super) fn is_looking(&self) -> bool {
        !self.looking.is_empty()
    }

    /// The answers are recorded, or of no consequence.
    pub(super) fn clear_results(&mut self) {
        self.results.clear();
    }

    /// A Job needs nobody who waits for it; the next process finds its end.
    pub(super) fn leave_jobs(&mut self) {
        self.commands
            .retain(|_, performing| performing.kind != InFlight::Await);
    }

    /// Commands whose action was ended without them are dropped, and looks that nothing may rest on any more.
    pub(super) fn drop_what_has_ended(&mut self, status: &DRPlanExecutionStatus) {
        self.commands.retain(|at, _| {
            action_status(status, *at).is_some_and(|action| action.phase == StepPhase::Running)
        });
        let open =
            |at: &ActionIndex| action_status(status, *at).is_some_and(|action| !action.phase.is_ended());
        self.looking.retain(|at, _| open(at));
        self.looks
            .retain(|at, (_, since)| open(at) && since.elapsed() < PROOF_AGE_MAX);
    }

    /// Sends commands. Each takes one of `places` if it is a call, and answers through the channel.
    pub(super) fn perform(
        &mut self,
        performer: &Performer<'_>,
        effects: Vec<(ActionIndex, ActionEffect)>,
        places: &mut Vec<OwnedSemaphorePermit>,
    ) {
        for (at, effect) in effects {
            let kind = match &effect.command {
                Command::Call(_) => InFlight::Call,
                Command::CreateJob(_) | Command::FindJob(_) => InFlight::FindOrCreate,
                Command::AwaitJob(_) => InFlight::Await,
                Command::StopJob(_) => InFlight::Stop,
                Command::Object(_) => InFlight::Object,
            };
            let place = if kind == InFlight::Call {
                places.pop()
            } else {
                None
            };
            let attempt = effect.attempt;
            self.performed.insert((at, attempt));
            let (context, identity) = (Arc::clone(performer.context), performer.identity.clone());
            let (proof, meta) = (performer.proof, performer.meta.clone());
            let performing = self.spawn(at, kind, place, async move {
                let path = effect.identity.path.clone();
                let which = || format!("{kind:?}:{path}");
                fault::point_of("before-effect", which).await;
                // Before the proof is looked at, since reading takes time.
                let opened = match context.performer.open(&identity, effect).await {
                    Ok(opened) => opened,
                    Err(failure) => {
                        let outcome = Outcome::Failed(failure);
                        return Arrival::Seen(Observation { attempt, outcome });
                    }
                };
                // This process may have stood still since.
                if proof.elapsed() >= PROOF_AGE_MAX && !is_still_ours(&context, &meta).await {
                    return Arrival::Deposed;
                }
                let outcome = context.performer.perform_opened(&identity, &opened).await;
                fault::point_of("after-effect", which).await;
                Arrival::Seen(Observation { attempt, outcome })
            });
            // One that is there is replaced, and cut off by that.
            self.commands.insert(at, performing);
        }
    }

    /// Asks what stands where; `asked_at` is the time by the run's clock.
    pub(super) fn look(
        &mut self,
        performer: &Performer<'_>,
        inquiries: Vec<(ActionIndex, Inquiry)>,
        asked_at: Time,
    ) {
        for (at, Inquiry { identity: of, look }) in inquiries {
            let (context, identity) = (Arc::clone(performer.context), performer.identity.clone());
            let effect = ActionEffect {
                identity: of,
                attempt: 0,
                command: Command::Object(ObjectCommand::Look(look)),
            };
            let performing = self.spawn(at, InFlight::Object, None, async move {
                let answer = match context.performer.perform(&identity, &effect).await {
                    Outcome::Object(outcome) => Ok(outcome),
                    Outcome::Failed(failure) => Err(failure),
                    Outcome::Answered { .. } | Outcome::JobCreated { .. } | Outcome::JobSucceeded => Err(
                        Failure::new(FailureKind::BadAnswer, "a look was answered by something else"),
                    ),
                };
                Arrival::Looked(Looked { asked_at, answer })
            });
            self.looking.insert(at, performing);
        }
    }

    /// Runs `work`, whose end is told through the channel, while it holds `place`.
    fn spawn(
        &self,
        at: ActionIndex,
        kind: InFlight,
        place: Option<OwnedSemaphorePermit>,
        work: impl Future<Output = Arrival> + Send + 'static,
    ) -> Performing {
        let work = tokio::spawn(fault::task(work));
        let task = work.abort_handle();
        let answer = self.arrivals.0.clone();
        tokio::spawn(fault::task(async move {
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
        }));
        Performing { kind, task }
    }

    /// Waits for the next answer and takes it in.
    pub(super) async fn next(&mut self) -> Notice {
        match self.arrivals.1.recv().await {
            Some(arrived) => self.take(arrived),
            // This holds a sender, so the channel is never closed.
            None => std::future::pending().await,
        }
    }

    /// Whether something has arrived that is not taken in.
    pub(super) fn has_arrivals(&self) -> bool {
        !self.arrivals.1.is_empty()
    }

    /// Takes in what has arrived already.
    pub(super) fn collect(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        while let Ok(arrived) = self.arrivals.1.try_recv() {
            notices.push(self.take(arrived));
        }
        notices
    }

    fn take(&mut self, (at, arrival): Arrived) -> Notice {
        match arrival {
            Arrival::Seen(observation) => {
                self.commands.remove(&at);
                self.results.insert(at, observation);
                Notice::Answer
            }
            Arrival::Looked(looked) => {
                self.looking.remove(&at);
                self.looks.insert(at, (looked, Instant::now()));
                Notice::Answer
            }
            Arrival::Deposed => {
                self.commands.remove(&at);
                Notice::Deposed
            }
            Arrival::Panicked(why) => {
                self.commands.remove(&at);
                self.looking.remove(&at);
                Notice::Broke(why)
            }
        }
    }
}

/// The running actions of `status`, whose newest attempt has its intent recorded.
fn newest_intents(status: &DRPlanExecutionStatus) -> impl Iterator<Item = (ActionIndex, &ActionStatus)> {
    action_indices(status).into_iter().filter_map(|at| {
        let running = action_status(status, at).filter(|action| action.phase == StepPhase::Running);
        running.map(|action| (at, action))
    })
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
