//! What may be stored: from one version of an object to the next.

use std::borrow::Cow;

use drplan_api::{
    DRPlanExecutionStatus,
    status::{ActionStatus, ExecutionPhase, StepPhase},
};

use super::{Rules, Run, actions, at, made_by, order, path_at};
use crate::{
    api::{Change, Kind, Store, field, text},
    plan::{PLAN, Plan, What},
    scenario::Wish,
    world::plan_key,
};

impl Rules {
    /// Something was written.
    pub(crate) fn wrote(&mut self, by: &str, change: &Change, store: &Store) -> Option<String> {
        match change.key.0 {
            Kind::Execution => self.wrote_execution(by, change, store),
            Kind::Plan => self.wrote_plan(by, change, store),
            Kind::Job => self.wrote_job(change),
            kind if kind.is_object() => self.wrote_object(by, change),
            _ => None,
        }
    }

    fn wrote_job(&mut self, change: &Change) -> Option<String> {
        let (None, Some(job)) = (&change.before, &change.after) else {
            return None;
        };
        let (key, attempt) = made_by(job)?;
        let effect = self.effects.entry(key.clone()).or_default();
        effect.arrived += 1;
        let jobs = effect.jobs.entry(attempt).or_default();
        jobs.push(text(job, "/metadata/uid").to_owned());
        (jobs.len() > 1).then(|| format!("attempt {attempt} of {key} has made {} Jobs", jobs.len()))
    }

    /// What an action makes is noted; what somebody else made stays, unless the plan says otherwise.
    fn wrote_object(&mut self, by: &str, change: &Change) -> Option<String> {
        let made_it = change
            .before
            .is_none()
            .then_some(change.after.as_deref())
            .flatten()
            .and_then(made_by);
        if let Some((key, _)) = made_it {
            self.effects.entry(key).or_default().arrived += 1;
        }
        let gone = change.before.as_deref().filter(|_| change.after.is_none())?;
        let deletes = |what: &What| matches!(what, What::Object { operation: "Delete", name, .. } if *name == change.key.2);
        let mut actions = self.scenario.plan.actions();
        let is_written =
            actions.any(|action| deletes(&action.what) || action.rollback.as_ref().is_some_and(deletes));
        (by.starts_with("operator") && !is_written && made_by(gone).is_none())
            .then(|| format!("{by} deletes {}, which is somebody else's", change.key.2))
    }

    /// The lock goes after the end of its run, and no run begins without it.
    fn wrote_plan(&mut self, by: &str, change: &Change, store: &Store) -> Option<String> {
        let before = change.before.as_deref()?;
        let held = text(before, "/status/currentExecution/uid");
        let now = change
            .after
            .as_deref()
            .map_or("", |plan| text(plan, "/status/currentExecution/uid"));
        if held.is_empty() || held == now {
            return None;
        }
        let lives = store.of(Kind::Execution).any(|(_, execution)| {
            text(execution, "/metadata/uid") == held && !crate::world::is_terminal(execution)
        });
        lives.then(|| format!("{by} releases the lock of {held}, which has not ended"))
    }

    fn wrote_execution(&mut self, by: &str, change: &Change, store: &Store) -> Option<String> {
        let after = change.after.as_deref()?;
        let status = field(after, "/status");
        if change.before.as_deref().map(|before| field(before, "/status")) == Some(status) || status.is_null()
        {
            return None;
        }
        let status: DRPlanExecutionStatus = match serde_json::from_value(status.clone()) {
            Ok(status) => status,
            Err(error) => return Some(format!("{by} writes a status that cannot be read: {error}")),
        };
        let uid = text(after, "/metadata/uid").to_owned();
        let before = self
            .runs
            .get(&uid)
            .map(|run| run.status.clone())
            .unwrap_or_default();
        let broken = self.check_step(by, &change.key.2, &before, &status);
        let broken = broken.or_else(|| self.check_lock(&uid, &before, &status, store));
        self.note(by, &uid, &change.key.2, &before, status);
        broken.or_else(|| {
            let is_alive = |run: &&Run| {
                matches!(
                    run.status.phase,
                    ExecutionPhase::Running | ExecutionPhase::Unknown
                )
            };
            let alive: Vec<&str> = self
                .runs
                .values()
                .filter(is_alive)
                .map(|run| run.name.as_str())
                .collect();
            (alive.len() > 1).then(|| format!("{} run at once", alive.join(" and ")))
        })
    }

    /// From one status to the next.
    fn check_step(
        &self,
        by: &str,
        name: &str,
        before: &DRPlanExecutionStatus,
        after: &DRPlanExecutionStatus,
    ) -> Option<String> {
        if before.phase.is_terminal() {
            let undone = DRPlanExecutionStatus {
                undone: after.undone.clone(),
                ..before.clone()
            };
            return (undone != *after).then(|| format!("{by} changes {name}, which had ended"));
        }
        let (was, is) = (before.epoch.as_ref(), after.epoch.as_ref());
        if let (Some(was), Some(is)) = (was, is)
            && was.lease_transitions > is.lease_transitions
        {
            return Some(format!("{by} claims {name} from a later term"));
        }
        if was.is_some() && is.is_none() {
            return Some(format!("{by} takes the epoch off {name}"));
        }
        if is.is_some_and(|is| is.process != by) {
            return Some(format!(
                "{by} writes {name} in the name of {:?}",
                is.unwrap().process
            ));
        }
        if is.is_none() && !after.phase.is_terminal() && after.phase != ExecutionPhase::Pending {
            return Some(format!("{by} lets {name} run without an epoch"));
        }
        let stops = before.cancellation.is_some() || after.cancellation.is_some();
        for (place, action) in actions(after) {
            let nothing = ActionStatus::default();
            let earlier = at(before, place).unwrap_or(&nothing);
            let path = path_at(after, place);
            if earlier.phase.is_ended()
                && (earlier.phase != action.phase || earlier.attempts != action.attempts)
            {
                return Some(format!(
                    "{name}: {path} had ended as {:?} and is {:?}",
                    earlier.phase, action.phase
                ));
            }
            if action.attempts < earlier.attempts {
                return Some(format!("{name}: {path} forgets an attempt"));
            }
            let begins = earlier.phase == StepPhase::Pending && action.phase == StepPhase::Running;
            let again = earlier.phase == StepPhase::Running && action.attempts > earlier.attempts;
            if (begins || again) && stops {
                return Some(format!("{name}: {path} gets an attempt after it was cancelled"));
            }
            if again && action.attempts > earlier.attempts + 1 {
                return Some(format!("{name}: {path} leaves an attempt out"));
            }
            if again && after.reverts.is_none() && action.attempts > self.most_attempts(&path) {
                return Some(format!("{name}: {path} is tried too often"));
            }
            if begins && let Some(why) = order::kept_from(&self.plan_of(name), after, place) {
                return Some(format!("{name}: {path} begins although {why}"));
            }
        }
        None
    }

    /// The plan as the execution of this name found it: what somebody edits later is for others.
    fn plan_of(&self, name: &str) -> Cow<'_, Plan> {
        let mut wishes = self.scenario.wishes.iter();
        let is_edited = wishes.any(|wish| matches!(wish, Wish::Edit { .. }));
        match is_edited && name.starts_with("run") && name != "run-0" {
            // What lets more begin.
            true => Cow::Owned(Plan {
                stop: false,
                ..self.scenario.plan.clone()
            }),
            false => Cow::Borrowed(&self.scenario.plan),
        }
    }

    fn most_attempts(&self, path: &str) -> u32 {
        let action = self.scenario.plan.action(path);
        let retry = action.and_then(|action| action.retry.as_ref());
        1 + retry.map_or(0, |retry| u32::try_from(retry.limit).unwrap())
    }

    fn check_lock(
        &self,
        uid: &str,
        before: &DRPlanExecutionStatus,
        after: &DRPlanExecutionStatus,
        store: &Store,
    ) -> Option<String> {
        let runs = |status: &DRPlanExecutionStatus| {
            matches!(status.phase, ExecutionPhase::Running | ExecutionPhase::Unknown)
        };
        if !runs(after) {
            return None;
        }
        let plan = store.get(&plan_key());
        let held = plan.map(|plan| text(&plan.value, "/status/currentExecution/uid"));
        if held != Some(uid) {
            return Some(format!("{uid} runs, and the lock of {PLAN} is {held:?}'s"));
        }
        if runs(before) {
            return None;
        }
        let snapshot = after.snapshot.as_ref().map(|snapshot| snapshot.name.clone());
        let stored = snapshot.is_some_and(|name| {
            let mut revisions = store.of(Kind::Revision);
            revisions.any(|(key, _)| key.2 == name)
        });
        (!stored).then(|| format!("{uid} runs without a snapshot"))
    }
}
