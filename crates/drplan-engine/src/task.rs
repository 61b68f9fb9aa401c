//! What is done for an action: what its author wrote, or in a Revert its undo.

use drplan_api::{
    GoDuration,
    canonical::{Doing, Operation, RetryPolicy, Work},
    status::ObjectRef,
};
use drplan_template::Value;

use crate::{
    graph::ActionIndex,
    render::{self, RenderError},
    run::Run,
    undo::{Undo, undo_of},
};

/// The bound of one attempt of an undo by deletion where its action has none for a request to the API server: what
/// such an action has by default.
const DELETION_TIMEOUT: GoDuration = GoDuration::from_secs(5 * 60);

/// What is done for an action.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task<'a> {
    /// What is written: the action itself, or in a Revert its rollback.
    Written(&'a Doing),
    /// In a Revert: what `doing` made is deleted.
    Delete {
        /// What, and when.
        undo: &'a Undo,
        /// The action.
        doing: &'a Doing,
    },
    /// In a Revert: nothing, for this reason.
    Nothing(&'a str),
}

impl<'a> Task<'a> {
    /// The bound of one attempt.
    ///
    /// # Errors
    /// [`RenderError`] if it is a template that does not render to a duration of at most 24 h.
    pub(crate) fn timeout(self, data: &Value) -> Result<GoDuration, RenderError> {
        match self {
            Self::Written(doing) => render::timeout(doing, data),
            Self::Delete { doing, .. } => match doing.work {
                Work::Http(_) | Work::Job(_) => Ok(DELETION_TIMEOUT),
                Work::Localization(_) | Work::Subscription(_) | Work::KubernetesResource(_) => {
                    render::timeout(doing, data)
                }
            },
            Self::Nothing(_) => Ok(DELETION_TIMEOUT),
        }
    }

    /// When it is tried again: a deletion as often as its action.
    pub(crate) fn retry(self) -> Option<&'a RetryPolicy> {
        match self {
            Self::Written(doing) | Self::Delete { doing, .. } => doing.retry.as_ref(),
            Self::Nothing(_) => None,
        }
    }

    /// What is written, if that is what is done.
    pub(crate) fn work(self) -> Option<&'a Work> {
        match self {
            Self::Written(doing) => Some(&doing.work),
            Self::Delete { .. } | Self::Nothing(_) => None,
        }
    }

    /// Whether it is an HTTP call.
    pub(crate) fn is_call(self) -> bool {
        matches!(self.work(), Some(Work::Http(_)))
    }

    /// Whether what stands at an object's place is recorded before its intent.
    pub(crate) fn looks_first(self) -> bool {
        match self {
            Self::Written(doing) => match doing.work {
                Work::Http(_) | Work::Job(_) => false,
                Work::Localization(_) | Work::Subscription(_) | Work::KubernetesResource(_) => true,
            },
            Self::Delete { undo, .. } => matches!(undo, Undo::DeleteIfOurs { .. }),
            Self::Nothing(_) => false,
        }
    }

    /// What is written to be done to an object.
    pub(crate) fn operation(self) -> Option<Operation> {
        match self.work()? {
            Work::Localization(localization) => Some(localization.operation),
            Work::Subscription(subscription) => Some(subscription.operation),
            Work::KubernetesResource(resource) => Some(resource.operation),
            Work::Http(_) | Work::Job(_) => None,
        }
    }

    /// Whether it is a Job that is made.
    pub(crate) fn is_job(self) -> bool {
        matches!(self.work(), Some(Work::Job(_)))
    }
}

impl Run {
    /// What is done for the action at `at`.
    pub(crate) fn task(&self, at: ActionIndex) -> Task<'_> {
        let action = self.action(at);
        let Some(undo) = self.undos.get(&at) else {
            return Task::Written(&action.doing);
        };
        match undo {
            Undo::Nothing(why) => Task::Nothing(why),
            Undo::Rollback => match &action.rollback {
                Some(rollback) => Task::Written(rollback),
                None => Task::Nothing("no rollback is defined"),
            },
            Undo::Delete(_) | Undo::DeleteIfOurs { .. } => Task::Delete {
                undo,
                doing: &action.doing,
            },
        }
    }

    /// The type of what is done for the action at `at`, as written in manifests; of an undo by deletion `Deletion`.
    pub fn doing(&self, at: ActionIndex) -> &'static str {
        match self.task(at) {
            Task::Written(doing) => doing.work.type_name(),
            Task::Delete { .. } => "Deletion",
            Task::Nothing(_) => "",
        }
    }

    /// What is written for the action at `at` and done in this run: itself, or in a Revert its rollback.
    pub fn written(&self, at: ActionIndex) -> Option<&Doing> {
        match self.task(at) {
            Task::Written(doing) => Some(doing),
            Task::Delete { .. } | Task::Nothing(_) => None,
        }
    }

    /// Attempts of the action's undo that earlier Reverts made and know the end of.
    pub(crate) fn earlier_attempts(&self, at: ActionIndex) -> u32 {
        let undone = self.reverted_action(at).and_then(|action| action.undone.as_ref());
        undone.map_or(0, |undone| {
            undone.attempts.saturating_sub(u32::from(undone.in_doubt))
        })
    }

    /// Whether an earlier Revert made this attempt of the action's undo and nobody knows its end.
    pub(crate) fn is_in_doubt(&self, at: ActionIndex, attempt: u32) -> bool {
        let undone = self.reverted_action(at).and_then(|action| action.undone.as_ref());
        undone.is_some_and(|undone| undone.in_doubt && undone.attempts == attempt)
    }

    /// The Job that such an attempt may have made, without its UID.
    pub(crate) fn job_in_doubt(&self, at: ActionIndex) -> Option<ObjectRef> {
        let undone = self.reverted_action(at)?.undone.as_ref()?;
        let job = undone.job_ref.clone().filter(|_| self.task(at).is_job())?;
        Some(ObjectRef { uid: None, ..job })
    }

    /// What the Revert of `reverted` owes the action at `at`.
    pub(crate) fn owed(&self, at: ActionIndex) -> Option<Undo> {
        let reverted = self.reverted_action(at)?;
        Some(undo_of(
            self.action(at),
            &reverted.recorded,
            reverted.undone.as_ref(),
        ))
    }
}
