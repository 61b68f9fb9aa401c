//! Reverts in the simulation: a run that has ended is undone over the same world, and what must hold of that.

use std::collections::BTreeSet;

use drplan_api::{
    canonical::{Operation, Work},
    status::{DRPlanExecutionStatus, ExecutionPhase, ObjectRef, SnapshotRef, StepPhase},
};
use drplan_engine::{
    ActionIndex, Reverted, Run, action_status,
    effect::{ActionEffect, Command},
    object::ObjectCommand,
    snapshot::sha256_hex,
    undone_by,
};

use crate::{fates::UNDO, faults::Faults, plans, process::Process, shell::Shell, soundness::operation};

/// Reverts with faults.
const FAULTY_REVERTS: u64 = 3;
/// Reverts after which a run counts as one that cannot be undone: more than any random plan needs.
const REVERTS_MAX: u64 = 200;

/// The execution that a Revert undoes.
pub(crate) struct Target {
    status: DRPlanExecutionStatus,
    /// The UID of the Revert.
    pub(crate) revert: String,
    /// Paths that were undone when the Revert began.
    done: BTreeSet<String>,
}

impl Shell {
    /// One Revert after the other, until one has succeeded.
    pub(crate) fn revert_until_undone(&mut self, seed: u64) {
        for number in 0..REVERTS_MAX {
            self.faults = match number < FAULTY_REVERTS {
                true => Faults::some(seed ^ (number + 1) << 32),
                false => Faults::none(),
            };
            self.begin_revert(number);
            self.play();
            if self.stored.phase == ExecutionPhase::Succeeded {
                self.check_undone();
                return;
            }
        }
        panic!("still not undone: {}", self.stored.message);
    }

    fn begin_revert(&mut self, number: u64) {
        let status = match self.target.take() {
            Some(target) => target.status,
            None => DRPlanExecutionStatus {
                snapshot: Some(SnapshotRef {
                    name: "snapshot".to_owned(),
                    sha256: String::new(),
                }),
                ..self.stored.clone()
            },
        };
        let text = Reverted::new("failover-1", plans::UID, &status)
            .unwrap()
            .to_text();
        let reverted = Reverted::from_text(&text, &sha256_hex(text.as_bytes())).unwrap();
        self.run = Run::revert(self.run.snapshot.clone(), reverted).unwrap();
        self.stored = self.run.initial_status();
        let undone = status.undone.iter().flat_map(|undone| &undone.actions);
        let done = undone
            .filter(|action| action.done)
            .map(|action| action.path.clone());
        self.target = Some(Target {
            done: done.collect(),
            status,
            revert: format!("revert-{number}"),
        });
        self.process = Process::default();
        self.processes += 1;
        (self.start, self.wake_at) = (self.now, Some(self.now));
    }

    /// What is undone is entered in the target before the Revert is recorded as ended.
    pub(crate) fn enter_undone(&mut self, status: &DRPlanExecutionStatus) {
        let target = self.target.as_mut().unwrap();
        let undone = undone_by(&target.revert, status, target.status.undone.as_ref());
        let twice = undone_by(&target.revert, status, Some(&undone));
        assert_eq!(twice, undone, "entered twice it is something else");
        target.status.undone = Some(undone);
    }

    /// The UID of the object that the deletion which undoes the action at `at` is of, if that is recorded.
    pub(crate) fn made_uid(&self, at: ActionIndex) -> Option<&str> {
        let target = self.target.as_ref().filter(|_| self.run.written(at).is_none())?;
        let outputs = &action_status(&target.status, at)?.outputs;
        let objects = [
            &outputs.job_ref,
            &outputs.localization_ref,
            &outputs.subscription_ref,
            &outputs.resource_ref,
        ];
        let object: Option<&ObjectRef> = objects.into_iter().flatten().map(Box::as_ref).next();
        object?.uid.as_deref()
    }

    /// What must hold when an undo is sent: all that came behind its action is undone, it is not undone yet, and
    /// only what its action made is deleted.
    pub(crate) fn check_undo(&self, at: ActionIndex, effect: &ActionEffect) {
        let Some(target) = &self.target else {
            return;
        };
        let path = self.run.path(at);
        assert!(!target.done.contains(path.as_str()), "{path} is undone twice");
        for later in self
            .run
            .graph
            .actions()
            .filter(|other| self.came_behind(*other, at))
        {
            let action = action_status(&self.stored, later).unwrap();
            assert!(
                action.phase == StepPhase::Succeeded || action.nothing_to_undo,
                "{path} is undone before {}: {action:?}",
                self.run.path(later)
            );
        }
        let action = action_status(&target.status, at).unwrap();
        assert!(
            action.phase == StepPhase::Succeeded || action.effect_possible || self.is_touched(at),
            "{path} is undone though it certainly did nothing"
        );
        if let (Command::Object(ObjectCommand::Delete(deletion)), None) =
            (&effect.command, self.run.written(at))
        {
            let uid = deletion.target.uid.as_deref().expect("a deletion of one object");
            let objects = &self.world.objects;
            assert!(
                !objects.stands(uid) || objects.made_by(uid, path.as_str()),
                "{path} deletes what it did not make"
            );
        }
    }

    /// Whether the action at `at` of the target has left anything in the world.
    fn is_touched(&self, at: ActionIndex) -> bool {
        let name = self.run.action(at).name.as_str();
        let path = self.run.path(at);
        let called = self.world.touched.get(name).copied().unwrap_or(false);
        called || self.world.objects.is_touched_by(path.as_str())
    }

    /// Whether `later` began only after `earlier` had ended.
    fn came_behind(&self, later: ActionIndex, earlier: ActionIndex) -> bool {
        let stages = &self.run.snapshot.stages;
        if later.stage != earlier.stage {
            let mut waits = stages[later.stage].after.clone();
            while let Some(before) = waits.pop() {
                if before == earlier.stage {
                    return true;
                }
                waits.extend(&stages[before].after);
            }
            return false;
        }
        match later.workflow == earlier.workflow {
            true => later.action > earlier.action,
            false => !stages[later.stage].parallel && later.workflow > earlier.workflow,
        }
    }

    /// What must hold of a Revert that has ended.
    pub(crate) fn check_end_of_revert(&self) {
        let target = self.target.as_ref().unwrap();
        let undone = target.status.undone.as_ref().expect("entered before the end");
        assert_eq!(undone.wholly, self.stored.phase == ExecutionPhase::Succeeded);
        for path in &target.done {
            let entry = undone.actions.iter().find(|action| action.path == *path);
            assert!(entry.is_some_and(|entry| entry.done), "{path} is forgotten");
        }
        for at in self.run.graph.actions() {
            let action = action_status(&self.stored, at).unwrap();
            let entry = undone
                .actions
                .iter()
                .find(|entry| entry.path == self.run.path(at).as_str());
            assert!(action.phase.is_ended());
            match action.phase {
                StepPhase::Succeeded => assert!(entry.unwrap().done),
                StepPhase::Failed => assert!(!entry.unwrap().done),
                _ => {}
            }
        }
    }

    /// What must hold once all is undone: what the run made is gone, and every rollback that was owed has been done.
    fn check_undone(&self) {
        let target = self.target.as_ref().unwrap();
        for at in self.run.graph.actions() {
            let (path, action) = (self.run.path(at), action_status(&target.status, at).unwrap());
            let name = action.name.as_str();
            let objects = &self.world.objects;
            let Some(rollback) = &self.run.action(at).rollback else {
                // An Apply over what was there may have made it anew where that went meanwhile: it counts as found.
                let was_found = action.before.as_deref().is_some_and(|before| before != "absent");
                let left = objects.left_by(path.as_str());
                assert!(
                    left.is_empty() || was_found,
                    "{path} made {left:?}, and nobody deleted it"
                );
                let mut jobs = self.world.jobs.iter();
                // One that failed stays to be looked at if another followed it.
                let left = jobs.find(|(_, job)| job.action == name && !job.deleted && job.failure.is_none());
                assert!(left.is_none(), "{path} made {left:?}, and nobody deleted it");
                continue;
            };
            let is_owed = action.phase == StepPhase::Succeeded || self.is_touched(at);
            let undo = format!("{name}{UNDO}");
            let is_done = match &rollback.work {
                Work::Http(_) => self.world.touched.get(&undo) == Some(&true),
                Work::Job(_) => {
                    let mut jobs = self.world.jobs.values();
                    jobs.any(|job| job.action == undo && job.failure.is_none())
                }
                // Where nothing stands nothing is deleted.
                work if operation(work) == Some(Operation::Delete) => true,
                _ => objects.is_done(path.undo().as_str()),
            };
            assert!(is_done || !is_owed, "the rollback of {path} was never done");
        }
    }
}
