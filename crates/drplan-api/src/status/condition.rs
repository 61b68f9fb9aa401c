//! Conditions, as `kubectl wait` reads them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Time;

/// A condition, as `kubectl wait` reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Its name.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds. Values: True, False, Unknown.
    pub status: String,
    /// One word.
    #[serde(default)]
    pub reason: String,
    /// One line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: Time,
}

/// Sets condition `kind`, keeping the time of its last change where the status stays. Returns whether anything changed.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    kind: &str,
    holds: bool,
    reason: &str,
    message: &str,
    now: Time,
) -> bool {
    let status = if holds { "True" } else { "False" };
    let new = |time| Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: time,
    };
    match conditions.iter_mut().find(|condition| condition.kind == kind) {
        Some(old) => {
            let time = if old.status == status {
                old.last_transition_time
            } else {
                now
            };
            let changed = *old != new(time);
            *old = new(time);
            changed
        }
        None => {
            conditions.push(new(now));
            true
        }
    }
}
