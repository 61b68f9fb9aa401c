//! What is done to Kubernetes objects: the commands of Localization, Subscription and KubernetesResource actions, of
//! their undo, and of the undo of Jobs.

use drplan_api::{Time, canonical::PatchType, status::ObjectRef};
use serde_json::Value;

/// What to do to one object. The `target` names apiVersion, kind and name, and a namespace that counts only where the
/// kind has one.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectCommand {
    /// Read what stands there, before an intent is recorded; changes nothing. Answers with `Found`.
    Look(Look),
    /// Create, apply or patch it; answers with `Written`.
    Write(ObjectWrite),
    /// Delete it; answers with `Deleted`.
    Delete(ObjectDeletion),
}

/// A look at what stands at a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// The place.
    pub target: ObjectRef,
    /// Whether an object that is being deleted is waited for until it is gone (before a Create).
    pub await_gone: bool,
    /// JSON pointers to lists that a patch will replace; what stands there now is part of the answer.
    pub lists: Vec<String>,
    /// When the look is given up, wall time.
    pub deadline: Time,
}

/// A write of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectWrite {
    /// The place.
    pub target: ObjectRef,
    /// What is sent.
    pub how: WriteHow,
    /// The field manager of the action, `drplan:<plan>:<action>`.
    pub field_manager: String,
    /// What the managers of all actions of the same plan begin with, `drplan:<plan>:`.
    pub plan_managers: String,
    /// What stood there when the intent was recorded.
    pub before: Before,
    /// Our labels, for objects that were absent.
    pub labels: Vec<(String, String)>,
    /// Our annotations, for objects that were absent.
    pub annotations: Vec<(String, String)>,
    /// When the attempt is over, wall time.
    pub deadline: Time,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteHow {
    /// The complete object. One that exists is a failure, unless this very action of this execution made it.
    Create(Value),
    /// What the author wrote, by server-side apply.
    Apply {
        /// The object as far as it was written.
        object: Value,
        /// Whether fields of managers outside the plan are taken over.
        force: bool,
    },
    /// What the author wrote, as a patch.
    Patch {
        /// The patch document.
        patch: Value,
        /// How it is sent.
        kind: PatchType,
    },
}

/// What stood at a place when an intent was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Absent,
    /// An object with this UID.
    Present(String),
}

/// A deletion.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectDeletion {
    /// The place; a UID in it is a precondition.
    pub target: ObjectRef,
    /// Whether it has succeeded only when the object is gone.
    pub await_gone: bool,
    /// When the attempt is over, wall time.
    pub deadline: Time,
}

/// What became of a command that worked.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectOutcome {
    /// What stands there.
    Found {
        /// Nothing, or its UID.
        before: Before,
        /// What stands at each list of the look that is there.
        lists: Vec<(String, Value)>,
    },
    /// It is as it should be.
    Written {
        /// Its UID.
        uid: String,
        /// Whether this action made it: for Create always; for Apply where it was absent and the answer said 201, or
        /// the answer was lost and the object carries our UID and no other manager's fields.
        created: bool,
    },
    /// It is deleted, or gone, as far as was asked.
    Deleted(Deletion),
}

/// What a deletion met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// The object; it is deleted now.
    Deleted,
    /// Nothing.
    WasAbsent,
    /// Another object of the name, which was left alone.
    WasReplaced,
}
