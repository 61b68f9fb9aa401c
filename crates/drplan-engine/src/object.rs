//! What is done to Kubernetes objects: the commands of Localization, Subscription and KubernetesResource actions, of
//! their undo, and of the undo of Jobs.

use drplan_api::{ActionPath, Time, canonical::PatchType, status::ObjectRef};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{effect::EffectIdentity, sealed::Sealed};

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
    /// The field manager of the action, `drplan:<hash of the plan>:<hash of the action>`.
    pub field_manager: String,
    /// What the managers of all actions of the same plan begin with, `drplan:<hash of the plan>:`.
    pub plan_managers: String,
    /// What stood there when the intent was recorded.
    pub before: Before,
    /// Our labels, for objects that were absent.
    pub labels: Vec<(String, String)>,
    /// Our annotations, for objects that were absent.
    pub annotations: Vec<(String, String)>,
    /// When the attempt is over, wall time.
    pub deadline: Time,
    /// Values that are read first; then [`ObjectWrite::opened`] is what is sent.
    pub sealed: Option<Box<Sealed>>,
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
        /// Who made it, if an action did. After a crash this tells whether an intent without result had its effect.
        marks: Option<Marks>,
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

/// What an object that an action made tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The UID of the execution that made it.
    pub execution_uid: String,
    /// The path of the action that made it.
    pub action_path: String,
    /// The field managers of everything but its status, sorted, each once.
    pub managers: Vec<String>,
}

impl Marks {
    /// Whether the action of this identity made it, in any attempt.
    pub fn made_by(&self, identity: &EffectIdentity) -> bool {
        self.execution_uid == identity.execution_uid && self.action_path == identity.path.as_str()
    }

    /// Whether nobody but `field_manager` has written fields of it, its status aside.
    pub fn managed_only_by(&self, field_manager: &str) -> bool {
        self.managers == [field_manager]
    }
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

/// What the field managers of all actions begin with.
pub(crate) const MANAGER_PREFIX: &str = "drplan:";
/// Characters of each hash in a field manager: 40 bits tell the plans of a cluster and the actions of a plan apart, and
/// the whole stays far below the 128 characters that Kubernetes allows.
const MANAGER_HASH_LENGTH: usize = 10;

/// The field manager of the action at `path` of the plan, and what those of all its actions begin with. The same in
/// every execution, so that what an action does not write any more is taken off by its next Apply.
pub fn field_manager(namespace: &str, plan: &str, path: &ActionPath) -> (String, String) {
    let plan_managers = format!("{MANAGER_PREFIX}{}:", short_hash(&format!("{namespace}/{plan}")));
    (
        format!("{plan_managers}{}", short_hash(path.as_str())),
        plan_managers,
    )
}

/// The first hex digits of the SHA-256 of `text`.
fn short_hash(text: &str) -> String {
    let mut hex: String = Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    hex.truncate(MANAGER_HASH_LENGTH);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_manager_follows_from_plan_and_path_alone() {
        let path = |action: &str| ActionPath::recorded("db", "mysql", 0, action);
        let (manager, plan_managers) = field_manager("shop", "failover", &path("switch"));
        // printf %s shop/failover | sha256sum; printf %s 'db/mysql[0]/switch' | sha256sum
        assert_eq!(plan_managers, "drplan:fc6e7f7e9e:");
        assert_eq!(manager, "drplan:fc6e7f7e9e:a44f8e4427");
        let (other, same_plan) = field_manager("shop", "failover", &path("announce"));
        assert!(other != manager && other.starts_with(&plan_managers) && same_plan == plan_managers);
        assert_ne!(
            field_manager("bank", "failover", &path("switch")).1,
            plan_managers
        );
    }

    #[test]
    fn marks_tell_the_action_and_strangers_among_the_managers() {
        let identity = EffectIdentity {
            execution_uid: "6f1e".to_owned(),
            path: ActionPath::recorded("db", "mysql", 0, "switch"),
        };
        let marks = |uid: &str, path: &str, managers: &[&str]| Marks {
            execution_uid: uid.to_owned(),
            action_path: path.to_owned(),
            managers: managers.iter().map(ToString::to_string).collect(),
        };
        assert!(marks("6f1e", "db/mysql[0]/switch", &[]).made_by(&identity));
        assert!(!marks("6f1e", "db/mysql[1]/switch", &[]).made_by(&identity));
        assert!(!marks("0000", "db/mysql[0]/switch", &[]).made_by(&identity));
        assert!(marks("", "", &["drplan:a:b"]).managed_only_by("drplan:a:b"));
        assert!(!marks("", "", &["drplan:a:b", "kubectl"]).managed_only_by("drplan:a:b"));
    }
}
