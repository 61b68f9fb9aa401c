//! What a run asks the engine: what it shows of itself, and the looks at the world that the engine wants first.

use std::{sync::Arc, time::Duration};

use drplan_api::Time;
use drplan_engine::{ActionIndex, IllegalTransition, Inquiry, Observed, Step, advance, effect::Command};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::execution::{drive::Drive, under_way::Performer};

/// How long a write waits for looks that let more begin in it.
const LOOK_PATIENCE: Duration = Duration::from_millis(100);

impl Drive {
    /// Asks the engine. Looks that it wants first are asked for at once, and waited for a moment.
    pub(super) async fn decide(&mut self, stop: &CancellationToken) -> Result<Step, IllegalTransition> {
        let now = self.clock.now();
        let patience = Instant::now() + LOOK_PATIENCE;
        loop {
            let mut step = self.ask(now, stop)?;
            let asked = std::mem::take(&mut step.inquiries);
            if asked.is_empty() {
                return Ok(step);
            }
            self.look(asked, now);
            while self.under_way.is_looking() {
                let notice = tokio::select! {
                    biased;
                    notice = self.under_way.next() => notice,
                    () = tokio::time::sleep_until(patience) => {
                        let mut step = self.ask(now, stop)?;
                        self.look(std::mem::take(&mut step.inquiries), now);
                        return Ok(step);
                    }
                };
                self.heed(notice);
            }
        }
    }

    /// Asks the engine, with as many places for HTTP calls as can be had.
    fn ask(&mut self, now: Time, stop: &CancellationToken) -> Result<Step, IllegalTransition> {
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
        let mut seen = Observed {
            execution: self.record.name().to_owned(),
            kept: self.kept.clone(),
            execution_uid: self.record.uid().to_owned(),
            cancel: self.orders.cancel.clone(),
            resume: self.orders.resume,
            resumed_by: self.orders.resumed_by.clone(),
            lost_contact_millis: self.lost_contact,
            http_places,
            draining,
            ..Observed::default()
        };
        self.under_way.show(&self.status, &mut seen);
        seen
    }

    fn look(&mut self, inquiries: Vec<(ActionIndex, Inquiry)>, now: Time) {
        let identity = self.identity();
        let (context, proof, meta) = (&self.context, self.proof, &self.record.meta);
        self.under_way.look(
            &Performer {
                context,
                identity,
                proof,
                meta,
            },
            inquiries,
            now,
        );
    }
}
