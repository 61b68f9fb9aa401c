//! Looks at objects: what stands there before an intent is recorded, and whether an intent without result had its
//! effect.

use drplan_api::{
    canonical::Operation,
    limits::ACTION_MESSAGE_BYTES_MAX,
    status::{ActionStatus, ObjectRef, Outputs, StepPhase},
};

use crate::{
    action_phase::{ActionEvent, IllegalTransition},
    advance::{Inquiry, Looked, WaitingOn},
    effect::Failure,
    fold::{Fold, cut},
    graph::ActionIndex,
    object::{Before, Look, MANAGER_PREFIX, Marks, ObjectOutcome, field_manager},
    render::{self, Attempt, RenderError},
    run::{Run, action_status, action_status_mut},
    settle::recorded_path,
    task::Task,
    undo::{ABSENT, Undo},
};

/// How old, in milliseconds, a look may be when an intent rests on it: that of the proof under which effects are sent.
const LOOK_AGE_MAX: u64 = 5_000;
/// How long, in milliseconds, a look after a crash may take.
const LOOK_TIMEOUT: u64 = 60_000;

/// What is known of an object before an intent about it.
pub(crate) enum Known {
    /// The action is about no object, or what stood there is recorded.
    Enough,
    /// It has been asked for.
    Asked,
    /// This stood there; the attempt begins when that was asked for.
    Found(Attempt),
    /// In a Revert: what stands there, if anything, is not what the action made.
    NothingToUndo(String),
    /// It cannot be known.
    Failed(Failure),
}

impl Fold<'_> {
    /// Sees to it that what stands at the object of the action at `at` is recorded before `attempt` of it.
    ///
    /// # Errors
    /// [`RenderError`] if the object does not render.
    pub(crate) fn know_before(
        &mut self,
        run: &Run,
        at: ActionIndex,
        attempt: Attempt,
    ) -> Result<Known, RenderError> {
        if action_status(&self.status, at).is_none_or(|action| action.before.is_some()) {
            return Ok(Known::Enough);
        }
        let is_first = self.is(at, StepPhase::Pending);
        // That it cannot be known stays so however long it took to find out; but each attempt asks for itself.
        let counts = |looked: &&Looked| match &looked.answer {
            Ok(_) => self.now.millis_since(looked.asked_at) <= LOOK_AGE_MAX,
            Err(_) => is_first || looked.asked_at >= attempt.time,
        };
        let fresh = self.seen.looks.get(&at).filter(counts);
        let Some(Looked { asked_at, answer }) = fresh.cloned() else {
            let Some(look) = render::look(self.facts(run), at, attempt)? else {
                return Ok(Known::Enough);
            };
            self.ask(at, look);
            return Ok(Known::Asked);
        };
        match answer {
            Err(failure) => Ok(Known::Failed(failure)),
            Ok(ObjectOutcome::Written { .. } | ObjectOutcome::Deleted(_)) => Ok(Known::Enough),
            Ok(ObjectOutcome::Found { before, marks, lists }) => {
                if let Some(why) = self.is_foreign(run, at, &before, marks.as_ref()) {
                    return Ok(Known::NothingToUndo(why.to_owned()));
                }
                self.keep_replaced(at, &lists);
                if let Some(action) = action_status_mut(&mut self.status, at) {
                    action.before = Some(match before {
                        Before::Absent => ABSENT.to_owned(),
                        Before::Present(uid) => uid,
                    });
                }
                let first_start = if is_first { asked_at } else { attempt.first_start };
                Ok(Known::Found(Attempt {
                    time: asked_at,
                    counts_from: asked_at,
                    first_start,
                    ..attempt
                }))
            }
        }
    }

    /// Whether the action deletes, and nothing stood there: a request could only meet what somebody has made since.
    pub(crate) fn has_nothing_to_delete(&self, run: &Run, at: ActionIndex) -> bool {
        let before = action_status(&self.status, at).and_then(|action| action.before.as_deref());
        run.task(at).operation() == Some(Operation::Delete) && before == Some(ABSENT)
    }

    /// Ends such an action.
    pub(crate) fn end_with_nothing_to_delete(&mut self, at: ActionIndex) -> Result<(), IllegalTransition> {
        let action = self.apply(at, ActionEvent::Succeeded)?;
        let name = object(action).map_or("", |object| object.name.as_str());
        action.message = cut(&format!("{name} was absent"), ACTION_MESSAGE_BYTES_MAX).to_owned();
        self.ended_well(at);
        Ok(())
    }

    /// An attempt whose look failed changed nothing. The next waits for its time, and looks for itself.
    pub(crate) fn failed_look(
        &mut self,
        at: ActionIndex,
        failure: &Failure,
    ) -> Result<(), IllegalTransition> {
        let effect_possible = action_status(&self.status, at).is_some_and(|action| action.effect_possible);
        self.failed_attempt(at, failure)?;
        let asked_at = self
            .seen
            .looks
            .get(&at)
            .map_or(self.now, |looked| looked.asked_at);
        let path = recorded_path(&self.status, at);
        let Some(action) = action_status_mut(&mut self.status, at) else {
            return Ok(());
        };
        action.effect_possible = effect_possible;
        if action.phase == StepPhase::Running {
            let soonest = asked_at.plus_millis(1);
            let time = action.attempt_time.map_or(soonest, |time| time.max(soonest));
            action.attempt_time = Some(time);
            self.waiting_on.push(WaitingOn::Retry(path, time));
            self.wake(time);
        }
        Ok(())
    }

    /// Why the undo of an action that may have made an object leaves what was found at its place.
    fn is_foreign(
        &self,
        run: &Run,
        at: ActionIndex,
        before: &Before,
        marks: Option<&Marks>,
    ) -> Option<&'static str> {
        let Task::Delete {
            undo: Undo::DeleteIfOurs { and_ours_alone, .. },
            ..
        } = run.task(at)
        else {
            return None;
        };
        let action = run.action_identity(at);
        let (manager, _) = field_manager(&run.snapshot.namespace, &run.snapshot.plan, &run.path(at));
        let recorded = run.reverted_action(at).map(|reverted| &reverted.recorded);
        match (before, marks.filter(|marks| marks.made_by(&action))) {
            (Before::Present(uid), _) if recorded.is_some_and(|recorded| stood_there(recorded, uid)) => {
                Some("what stands there was there before it and is left alone")
            }
            (Before::Absent, _) => Some("what it may have made is not there"),
            (Before::Present(_), None) => Some("what stands there was not made by it and is left alone"),
            (Before::Present(_), Some(marks)) if *and_ours_alone && !marks.managed_only_by(&manager) => {
                Some("what stands there has fields of others and is left alone")
            }
            (Before::Present(_), Some(_)) => None,
        }
    }

    /// After a crash, with the run to end: whether the action's object carries its identity tells what became of it.
    pub(crate) fn find_object(
        &mut self,
        at: ActionIndex,
        object: ObjectRef,
        unknown: &str,
    ) -> Result<(), IllegalTransition> {
        // A running action knows the UID of its object only where it deletes it.
        let deleted = object.uid.clone();
        let Some(looked) = self.seen.looks.get(&at) else {
            let deadline = self.now.plus_millis(LOOK_TIMEOUT);
            self.ask(
                at,
                Look {
                    target: ObjectRef { uid: None, ..object },
                    await_gone: false,
                    lists: Vec::new(),
                    deadline,
                },
            );
            return Ok(());
        };
        let identity = self.identity(at);
        // An Apply may have marked what somebody else made at the same moment.
        let is_create = self
            .run
            .is_some_and(|run| run.task(at).operation() == Some(Operation::Create));
        let is_gone = |before: &Before| match (before, &deleted) {
            (_, None) => false,
            (Before::Absent, Some(_)) => true,
            (Before::Present(found), Some(deleted)) => found != deleted,
        };
        // What an undo finds may have been made by an earlier Revert, whose doubt it resolves.
        let stood_there = |uid: &str| {
            let action = action_status(&self.status, at);
            !identity.is_undo() && action.is_some_and(|action| stood_there(action, uid))
        };
        match &looked.answer {
            Ok(ObjectOutcome::Found { before, .. }) if is_gone(before) => {
                let action = self.apply(at, ActionEvent::Succeeded)?;
                action.message = "it was deleted before the process ended".to_owned();
                self.ended_well(at);
                Ok(())
            }
            Ok(ObjectOutcome::Found {
                before: Before::Present(uid),
                marks: Some(marks),
                ..
            }) if marks.made_by(&identity) && (is_create || is_ours_alone(marks)) && !stood_there(uid) => {
                let uid = uid.clone();
                let action = self.apply(at, ActionEvent::Succeeded)?;
                action.created = true;
                action.message = "it was made before the process ended".to_owned();
                if let Some(object) = object_mut(&mut action.outputs) {
                    object.uid = Some(uid);
                }
                self.ended_well(at);
                Ok(())
            }
            Ok(ObjectOutcome::Found { .. } | ObjectOutcome::Written { .. } | ObjectOutcome::Deleted(_))
            | Err(_) => self.fail_unknown(at, unknown),
        }
    }

    fn ask(&mut self, at: ActionIndex, look: Look) {
        let path = recorded_path(&self.status, at);
        if !self.seen.looking.contains(&at) {
            self.inquiries.push((
                at,
                Inquiry {
                    identity: self.identity(at),
                    look,
                },
            ));
        }
        self.waiting_on.push(WaitingOn::Look(path));
    }
}

/// Whether the object with this UID stood there when the intent was recorded: then it is not the action's, whatever it
/// says of itself.
fn stood_there(action: &ActionStatus, uid: &str) -> bool {
    action.before.as_deref() == Some(uid)
}

/// Whether nobody but one action has written fields of what carries its marks.
fn is_ours_alone(marks: &Marks) -> bool {
    matches!(marks.managers.as_slice(), [manager] if manager.starts_with(MANAGER_PREFIX))
}

/// The object of a Localization, Subscription or KubernetesResource action.
pub(crate) fn object(action: &ActionStatus) -> Option<&ObjectRef> {
    let outputs = &action.outputs;
    outputs
        .localization_ref
        .as_deref()
        .or(outputs.subscription_ref.as_deref())
        .or(outputs.resource_ref.as_deref())
}

/// The same in its outputs, to change it.
pub(crate) fn object_mut(outputs: &mut Outputs) -> Option<&mut ObjectRef> {
    outputs
        .localization_ref
        .as_deref_mut()
        .or(outputs.subscription_ref.as_deref_mut())
        .or(outputs.resource_ref.as_deref_mut())
}
