//! What must hold once everything is over.

use drplan_api::status::{ActionStatus, ExecutionPhase, StepPhase};

use super::{Effect, Rules, Run, actions, is_call, path_at};
use crate::{
    api::{Kind, Store, text},
    plan::What,
};

impl Rules {
    /// What is wrong with how it ended.
    pub(crate) fn ended(&self, store: &Store) -> Option<String> {
        let executes = self.runs.iter().filter(|(_, run)| run.reverts.is_none());
        for (uid, run) in executes {
            for (place, action) in actions(&run.status) {
                let path = path_at(&run.status, place);
                let none = Effect::default();
                let effect = self.effects.get(&format!("{uid}/{path}")).unwrap_or(&none);
                let broken = self.check_action(&path, action, effect, store);
                if let Some(broken) = broken {
                    return Some(format!("{}: {path} {broken}", run.name));
                }
            }
            let failed = actions(&run.status).any(|(_, action)| action.phase == StepPhase::Failed);
            if run.status.phase == ExecutionPhase::Succeeded && failed {
                return Some(format!("{} succeeded with a failed action", run.name));
            }
        }
        let reverts = self.runs.values().filter(|run| run.reverts.is_some());
        reverts
            .into_iter()
            .find_map(|revert| self.check_revert(revert, store))
    }

    /// How it ended: executions with their actions, Jobs, objects. What differs from one play to the next is left out.
    pub(crate) fn outcome(&self, store: &Store) -> Vec<String> {
        let mut lines = Vec::new();
        for run in self.runs.values() {
            lines.push(format!("{} {:?}", run.name, run.status.phase));
            for (place, action) in actions(&run.status) {
                let path = path_at(&run.status, place);
                lines.push(format!("{} {path} {:?}", run.name, action.phase));
            }
            let is_undone = run.status.undone.as_ref().is_some_and(|undone| undone.wholly);
            lines.push(format!("{} undone: {is_undone}", run.name));
        }
        for kind in [Kind::Job, Kind::ConfigMap, Kind::Subscription, Kind::Localization] {
            for (key, object) in store.of(kind) {
                let name = if kind == Kind::Job { "" } else { key.2.as_str() };
                let maker = super::made_by(object).map(|(key, _)| key.split_once('/').unwrap().1.to_owned());
                lines.push(format!(
                    "{kind:?} {name} made by {maker:?} holds {}",
                    object["data"]
                ));
            }
        }
        lines
    }

    /// The record of an action and what the world saw of it.
    fn check_action(
        &self,
        path: &str,
        action: &ActionStatus,
        effect: &Effect,
        store: &Store,
    ) -> Option<String> {
        let what = &self.scenario.plan.action(path)?.what;
        match action.phase {
            StepPhase::Pending | StepPhase::Running => {
                return Some(format!("is {:?} for ever", action.phase));
            }
            StepPhase::Skipped if effect.arrived > 0 || effect.was_sent => {
                return Some("was skipped and had an effect".to_owned());
            }
            StepPhase::Failed if effect.arrived > 0 && !action.effect_possible => {
                return Some("had an effect that its record denies, and a Revert would forget it".to_owned());
            }
            StepPhase::Succeeded if is_call(what) && !effect.was_done => {
                return Some("succeeded, and no site did it".to_owned());
            }
            StepPhase::Succeeded if *what == What::Job && effect.jobs.is_empty() => {
                return Some("succeeded without a Job".to_owned());
            }
            StepPhase::Succeeded if is_creation(what) && (effect.arrived == 0 || !action.created) => {
                return Some("succeeded, and made nothing that its Revert will find".to_owned());
            }
            StepPhase::Skipped | StepPhase::Failed | StepPhase::Succeeded => {}
        }
        // What it made last is recorded.
        let (attempt, made) = effect.jobs.last_key_value()?;
        let recorded = action.outputs.job_ref.as_ref();
        let lives = store
            .of(Kind::Job)
            .any(|(_, job)| Some(text(job, "/metadata/uid")) == made.last().map(String::as_str));
        let is_recorded = recorded.is_some_and(|job| {
            job.uid.is_none() && !action.phase.is_ended()
                || job.uid.as_ref() == made.last()
                || job.uid.is_none()
        });
        (lives && *attempt == action.attempts && !is_recorded)
            .then(|| format!("made a Job that is not recorded: {recorded:?}"))
    }

    /// A Revert that succeeded has undone every effect, and nothing else.
    fn check_revert(&self, revert: &Run, store: &Store) -> Option<String> {
        let uid = revert.reverts.as_ref()?;
        let target = self.runs.get(uid)?;
        let gone = !store
            .of(Kind::Execution)
            .any(|(_, execution)| text(execution, "/metadata/uid") == uid);
        for (place, action) in actions(&target.status) {
            let path = path_at(&target.status, place);
            let none = Effect::default();
            let undone = self.effects.get(&format!("{uid}/{path}/undo")).unwrap_or(&none);
            let owes = action.phase == StepPhase::Succeeded || action.effect_possible;
            if !owes && undone.arrived > 0 {
                return Some(format!("{}: {path} had no effect and was undone", revert.name));
            }
            if revert.status.phase != ExecutionPhase::Succeeded || !owes {
                continue;
            }
            let written = self.scenario.plan.action(&path)?;
            match &written.rollback {
                Some(What::Call { .. }) if !undone.was_done => {
                    return Some(format!("{} succeeded, and {path} is not undone", revert.name));
                }
                Some(What::Job) if undone.jobs.is_empty() => {
                    return Some(format!("{} succeeded, and {path} is not undone", revert.name));
                }
                None if written.what == What::Job => {
                    let made = action.outputs.job_ref.as_ref().and_then(|job| job.uid.as_ref());
                    let lives = store
                        .of(Kind::Job)
                        .any(|(_, job)| Some(text(job, "/metadata/uid")) == made.map(String::as_str));
                    if lives {
                        return Some(format!(
                            "{} succeeded, and the Job of {path} is there",
                            revert.name
                        ));
                    }
                }
                _ => {}
            }
        }
        let is_whole = target.status.undone.as_ref().is_some_and(|undone| undone.wholly);
        (revert.status.phase == ExecutionPhase::Succeeded && !is_whole && !gone).then(|| {
            format!(
                "{} succeeded, and {} is not wholly undone",
                revert.name, target.name
            )
        })
    }
}

fn is_creation(what: &What) -> bool {
    matches!(
        what,
        What::Object {
            operation: "Create",
            ..
        }
    )
}
