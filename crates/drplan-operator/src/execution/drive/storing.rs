//! What a run stores, and what it reads again where that is in doubt.

use std::{sync::Arc, time::Duration};

use drplan_engine::{ActionIndex, Facts, Step, action_status, effect::ActionEffect, undone_by};
use tokio::time::Instant;

use crate::{
    events::EventNote,
    execution::{
        commit::{Reread, Written, reread, write},
        drive::{BACKOFF, Drive},
        finish, snapshots,
        tell::tell,
        under_way::PROOF_AGE_MAX,
        undone,
    },
    fault,
    record::Record,
    store::StoreError,
};

/// Tries to enter a run's end before the controller takes over with its own, slower tries.
const FINISH_TRIES: usize = 10;

/// What became of a write.
pub(super) enum Persisted {
    /// It is stored.
    Yes,
    /// The object changed meanwhile: read it again.
    Overtaken,
    /// Nothing is known of it.
    InDoubt,
}

impl Drive {
    /// Writes the step's status and tells what happened.
    pub(super) async fn persist(&mut self, step: &Step) -> Persisted {
        match self.store_beside(step).await {
            Ok(()) => {}
            Err(StoreError::Conflict | StoreError::Gone) => return Persisted::Overtaken,
            Err(error) => {
                self.log_unanswered(&error);
                self.tell_refusal(&error);
                return Persisted::InDoubt;
            }
        }
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
                self.refusal_told = false;
                self.backoff = BACKOFF.0;
                self.lost_contact = None;
                self.tell(step);
                Persisted::Yes
            }
            Written::Overtaken => Persisted::Overtaken,
            Written::InDoubt(error) => {
                self.log_unanswered(&error);
                self.tell_refusal(&error);
                Persisted::InDoubt
            }
        }
    }

    /// Stores what must be there before the step's status: texts that it refers to, and at the end of a Revert what it
    /// has undone.
    async fn store_beside(&mut self, step: &Step) -> Result<(), StoreError> {
        for (name, text) in &step.to_keep {
            if !self.kept.contains_key(name) {
                fault::point("before-keep").await;
                snapshots::keep(&self.context, &self.record, name, text).await?;
                fault::point("after-keep").await;
                self.kept.insert(name.clone(), Arc::clone(text));
            }
        }
        let is_end = step.status.phase.is_terminal();
        if let Some(reverts) = step.status.reverts.as_ref().filter(|_| is_end) {
            // Once, for what the target is told: a look at it would come between the next two reads and writes as well, and
            // somebody who edits the Revert in a loop is quicker than that.
            let told = (
                reverts.uid.clone(),
                undone_by(self.record.name(), &step.status, None),
            );
            if self.told_target.as_ref() != Some(&told) {
                undone::enter(&self.context, &self.record.meta, &step.status).await?;
                self.told_target = Some(told);
            }
        }
        Ok(())
    }

    /// The names of the points before and after this write, for tests that end the process there.
    fn fault_points(&self, step: &Step) -> (&'static str, &'static str) {
        if step.status.phase.is_terminal() {
            ("before-end", "after-end")
        } else if self.under_way.has_results() {
            ("before-result", "after-result")
        } else {
            ("before-intent", "after-intent")
        }
    }

    /// Tells and counts what happened in a step that is stored.
    pub(super) fn tell(&self, step: &Step) {
        self.context.metrics.step_stored(self.run.as_ref(), step);
        tell(
            &self.context,
            &self.record,
            &self.regarding,
            &self.status.plan,
            &step.announcements,
        );
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

    /// A status that is refused cannot tell why the run stands still: an event does, once. So it does where the API
    /// server goes on failing, as it does while a webhook is down that must be asked.
    fn tell_refusal(&mut self, error: &StoreError) {
        let lasts = self.backoff == BACKOFF.1;
        let is_refusal = match error {
            StoreError::Refused { .. } => true,
            StoreError::Unanswered { is_told, .. } => *is_told && lasts,
            StoreError::Conflict | StoreError::Gone => false,
        };
        if !is_refusal || self.refusal_told {
            return;
        }
        self.refusal_told = true;
        let message =
            format!("the status cannot be written, so nothing new begins; it is tried again: {error}");
        let note = EventNote::execution(&self.record.meta, true, "StatusRefused", message);
        self.context.events.push(note);
    }

    /// Whether `effects` may be sent on the last proof: it is young, and younger than the time a retry became due.
    pub(super) fn is_proven(&self, effects: &[(ActionIndex, ActionEffect)]) -> bool {
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
    pub(super) async fn read_again(&mut self) -> bool {
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
                self.take_orders().await;
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

    pub(super) async fn finish(&mut self) {
        let mut pause = BACKOFF.0;
        // The controller of executions goes on with it if this gives up.
        for _ in 0..FINISH_TRIES {
            let record = Record {
                status: crate::record::Recorded::Started(Box::new(self.status.clone())),
                ..self.record.clone()
            };
            let run = self.run.as_ref().map(|run| Facts {
                run,
                status: &self.status,
                kept: &self.kept,
            });
            match finish::finish(&self.context, &record, run).await {
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
