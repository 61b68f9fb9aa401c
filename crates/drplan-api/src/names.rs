//! Names that passed validation.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Problem, ProblemKind,
    limits::{LABEL_NAME_MAX, OBJECT_NAME_MAX, PARAMETER_NAME_MAX},
};

/// The methods that an HTTP action may use.
pub const HTTP_METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// Whether `text` is a DNS-1123 label: lower-case letters, digits and `-`, at most 63, no `-` at either end.
pub fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= LABEL_NAME_MAX
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        && bytes.first() != Some(&b'-')
        && bytes.last() != Some(&b'-')
}

/// Whether `text` is a DNS-1123 subdomain, as names of objects are: parts of lower-case letters, digits and `-`, joined
/// by `.`, at most 253 characters.
pub fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|part| {
            let bytes = part.as_bytes();
            bytes
                .iter()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
                && bytes.first().is_some_and(|b| *b != b'-')
                && bytes.last().is_some_and(|b| *b != b'-')
        })
}

/// What is wrong with the `name` of a plan or an execution, which stands at `path`, if it does not fit into a label.
pub fn too_long_for_label(path: &str, name: &str) -> Option<Problem> {
    let kind = ProblemKind::TooMany {
        what: "the number of characters of the name",
        found: name.len() as u64,
        max: OBJECT_NAME_MAX as u64,
        remedy: "names of plans and executions become labels; choose a shorter one",
    };
    (name.len() > OBJECT_NAME_MAX).then(|| Problem::error(path, kind))
}

/// Whether `text` is a parameter name: `[A-Za-z_][A-Za-z0-9_-]{0,62}`.
pub fn is_parameter_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= PARAMETER_NAME_MAX
        && bytes
            .first()
            .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'-')
}

macro_rules! validated_name {
    ($(#[$doc:meta])* $name:ident, $valid:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The name, if `text` is a valid one.
            pub fn new(text: &str) -> Option<Self> {
                $valid(text).then(|| Self(text.to_owned()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

validated_name!(
    /// The name of a stage, unique in its plan.
    StageName,
    is_dns_label
);
validated_name!(
    /// The name of an action, unique in its workflow.
    ActionName,
    is_dns_label
);
validated_name!(
    /// The name of a parameter.
    ParameterName,
    is_parameter_name
);

/// Where an action stands in its run: `stage/workflow[index]/action`, the index from 0 over the stage's
/// `workflows`. The second half of the identity of an effect (the first is the execution's UID).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionPath(String);

impl ActionPath {
    /// The path of `action` in the `index`-th workflow of `stage`.
    pub fn new(stage: &StageName, workflow: &str, index: usize, action: &ActionName) -> Self {
        Self(format!("{stage}/{workflow}[{index}]/{action}"))
    }

    /// The path of an action as a record names it.
    pub fn recorded(stage: &str, workflow: &str, index: usize, action: &str) -> Self {
        Self(format!("{stage}/{workflow}[{index}]/{action}"))
    }

    /// What stands for the action's undo in the identity of effects: `stage/workflow[index]/action/undo`.
    pub fn undo(&self) -> Self {
        Self(format!("{self}/undo"))
    }

    /// Whether it stands for an action's undo.
    pub fn is_undo(&self) -> bool {
        self.0.split('/').count() == 4
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ActionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_may_be_named_undo() {
        let path = ActionPath::recorded("db", "mysql", 0, "undo");
        assert!(!path.is_undo() && path.undo().is_undo());
    }

    #[test]
    fn labels_and_parameter_names_follow_their_patterns() {
        for good in ["a", "switch-dns", "0a", &"a".repeat(63)] {
            assert!(is_dns_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", &"a".repeat(64), "ä"] {
            assert!(!is_dns_label(bad), "{bad}");
        }
        for good in ["a", "a.b", "0.a-b", &"a".repeat(253)] {
            assert!(is_dns_subdomain(good), "{good}");
        }
        for bad in ["", ".a", "a.", "a..b", "a.-b", "A", &"a".repeat(254)] {
            assert!(!is_dns_subdomain(bad), "{bad}");
        }
        for good in ["a", "_a", "targetCluster", "a-b", "A9_"] {
            assert!(is_parameter_name(good), "{good}");
        }
        for bad in ["", "9a", "-a", "a.b", "a b", &"a".repeat(64)] {
            assert!(!is_parameter_name(bad), "{bad}");
        }
    }
}
