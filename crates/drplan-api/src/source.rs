//! Values that are read when they are sent.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a value is read from, in the plan's namespace, when it is sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Source {
    /// A key of a Secret.
    #[serde(rename = "secretKeyRef")]
    Secret(SourceKey),
    /// A key of a ConfigMap.
    #[serde(rename = "configMapKeyRef")]
    ConfigMap(SourceKey),
}

/// A key of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceKey {
    /// The object's name.
    pub name: String,
    /// The key in its data.
    pub key: String,
}

impl Source {
    /// The kind of the object: `Secret` or `ConfigMap`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Secret(_) => "Secret",
            Self::ConfigMap(_) => "ConfigMap",
        }
    }

    /// Object and key.
    pub fn at(&self) -> &SourceKey {
        match self {
            Self::Secret(at) | Self::ConfigMap(at) => at,
        }
    }

    /// Whether nobody may see the value.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }
}

/// What is shown in place of the value: `secret:<name>/<key>`.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SourceKey { name, key } = self.at();
        write!(f, "{}:{name}/{key}", self.kind().to_ascii_lowercase())
    }
}
