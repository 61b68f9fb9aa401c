//! Decisions in the words of scripts.

use drplan_api::{
    ActionPath,
    status::{ActionStatus, DRPlanExecutionStatus, ExecutionPhase, StepPhase},
};
use drplan_engine::{
    ActionIndex, Step, WaitingOn, action_indices, action_status,
    effect::{ActionEffect, Command},
};

use crate::player::Player;

impl Player {
    /// What `step` decided upon the record `before`.
    pub(crate) fn tell(&mut self, before: &DRPlanExecutionStatus, step: &Step) -> String {
        let mut words = Vec::new();
        let name = |at: ActionIndex| action_status(before, at).unwrap().name.clone();
        for at in action_indices(before) {
            let (old, new) = (
                action_status(before, at).unwrap(),
                action_status(&step.status, at).unwrap(),
            );
            words.extend(tell_end(old, new, self.heard.contains(&at)));
        }
        for (at, effect) in &step.effects {
            let of = |status| action_status(status, *at).unwrap();
            let verb = self.verb((of(before), of(&step.status)), *at, effect);
            words.push(format!("{verb} {}#{}", name(*at), effect.attempt));
        }
        words.extend(step.inquiries.iter().map(|(at, _)| format!("look {}", name(*at))));
        let waits: Vec<String> = step
            .waiting_on
            .iter()
            .filter_map(|wait| self.tell_wait(wait))
            .collect();
        words.extend(waits.iter().filter(|wait| !self.waited.contains(wait)).cloned());
        self.waited = waits;
        if step.status.phase != before.phase && step.status.phase != ExecutionPhase::Running {
            let done = if step.status.phase.is_terminal() {
                "done "
            } else {
                ""
            };
            words.push(format!("{done}{}", step.status.phase.as_str()));
        }
        if words.is_empty() {
            "-".to_owned()
        } else {
            words.join(", ")
        }
    }

    fn verb(
        &self,
        (old, new): (&ActionStatus, &ActionStatus),
        at: ActionIndex,
        effect: &ActionEffect,
    ) -> &'static str {
        let same = old.phase == StepPhase::Running && old.attempts == effect.attempt;
        // Nothing was sent before what stood there was recorded.
        let is_new = old.before != new.before || self.fresh.contains(&at);
        match &effect.command {
            Command::Call(_) | Command::CreateJob(_) | Command::Object(_) if same && !is_new => "repeat",
            Command::Call(_) | Command::CreateJob(_) | Command::Object(_) => match self.target {
                None => "start",
                Some(_) => "undo",
            },
            Command::AwaitJob(_) => "await",
            Command::FindJob(_) => "find",
            Command::StopJob(_) => "stop",
        }
    }

    fn tell_wait(&self, wait: &WaitingOn) -> Option<String> {
        let name = |path: &ActionPath| path.as_str().rsplit('/').next().unwrap().to_owned();
        match wait {
            WaitingOn::Result(_) | WaitingOn::Look(_) => None,
            WaitingOn::Retry(path, time) => Some(format!("{} again at {}", name(path), self.offset(*time))),
            WaitingOn::HttpPlace(path) => Some(format!("{} waits for a place", name(path))),
            WaitingOn::Person => Some("a person must look".to_owned()),
        }
    }
}

/// An end, unless the input told it as the answer to a command or a look.
fn tell_end(old: &ActionStatus, new: &ActionStatus, is_answer: bool) -> Option<String> {
    if old.phase == new.phase {
        return None;
    }
    match new.phase {
        StepPhase::Skipped if new.nothing_to_undo => Some(format!("nothing {}", new.name)),
        StepPhase::Skipped => Some(format!("skip {}", new.name)),
        StepPhase::Failed if !is_answer => Some(format!("fail {}", new.name)),
        StepPhase::Pending | StepPhase::Running | StepPhase::Succeeded | StepPhase::Failed => None,
    }
}
