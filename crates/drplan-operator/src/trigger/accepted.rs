//! A trigger that was accepted, as the plan records it, and the name of the execution that carries it out.

use std::fmt;

use drplan_api::{Time, canonical::RunOperation, limits::OBJECT_NAME_MAX, names::is_dns_subdomain};
use drplan_engine::snapshot::sha256_hex;

use crate::{index::PlanEntry, trigger::Wish};

/// Digits that tell executions triggered within one second apart, those of other plans included whose names are cut.
const NAME_DIGITS: usize = 5;

/// A trigger that was accepted: which execution carries it out. A Revert's target is part of it, so that a repeat after
/// a crash undoes what was the last success when somebody asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The execution's name.
    pub(super) execution: String,
    /// What it does.
    pub(super) operation: RunOperation,
}

impl Accepted {
    /// Reads `Execute/<execution>` or `Revert/<execution>/<target>`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.trim().split('/').collect();
        let (execution, operation) = match parts.as_slice() {
            ["Execute", execution] => (execution, RunOperation::Execute),
            ["Revert", execution, target] => (execution, revert_of(target)),
            _ => return None,
        };
        let is_name = |name: &&str| name.len() <= OBJECT_NAME_MAX && is_dns_subdomain(name);
        parts.iter().skip(1).all(is_name).then(|| Self {
            execution: (*execution).to_owned(),
            operation,
        })
    }

    /// What was asked for.
    pub(super) fn wish(&self) -> Wish {
        match self.operation {
            RunOperation::Execute => Wish::Execute,
            RunOperation::Revert { .. } => Wish::Revert,
        }
    }
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.operation.name(), self.execution)?;
        match &self.operation {
            RunOperation::Execute => Ok(()),
            RunOperation::Revert { target, .. } => write!(f, "/{target}"),
        }
    }
}

/// A Revert of `target`, whole.
pub(super) fn revert_of(target: &str) -> RunOperation {
    RunOperation::Revert {
        target: target.to_owned(),
        allow_partial: false,
    }
}

/// `<plan>-<UTC date>-<UTC time>-<digits>`, the plan's name cut so that it is a label value. The digits follow from the
/// version of the plan that carries the trigger.
pub(super) fn name_of(plan: &PlanEntry, now: Time) -> String {
    // 2026-01-30T10:00:00.000Z
    let digits: String = now
        .to_string()
        .chars()
        .filter(char::is_ascii_digit)
        .take(14)
        .collect();
    let (date, time) = digits.split_at_checked(8).unwrap_or((&digits, ""));
    let version = format!("{:?}\n{:?}", plan.meta.uid, plan.meta.resource_version);
    let version = &sha256_hex(version.as_bytes())[..NAME_DIGITS];
    let suffix = format!("-{date}-{time}-{version}");
    let kept: String = plan
        .key()
        .1
        .chars()
        .take(OBJECT_NAME_MAX - suffix.len())
        .collect();
    format!("{}{suffix}", kept.trim_end_matches(['-', '.']))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::raw::Raw;

    fn plan(name: &str, version: &str) -> PlanEntry {
        let meta = json!({"name": name, "namespace": "shop", "uid": "u1", "resourceVersion": version});
        let raw: Raw<drplan_api::DRPlan> = serde_json::from_value(json!({"metadata": meta})).unwrap();
        PlanEntry::of(raw)
    }

    #[test]
    fn a_name_tells_plan_and_time_differs_by_trigger_and_is_never_too_long() {
        let now: Time = "2026-01-30T10:02:03.456Z".parse().unwrap();
        let name = name_of(&plan("shop", "7"), now);
        assert!(name.starts_with("shop-20260130-100203-"), "{name}");
        assert_eq!(name, name_of(&plan("shop", "7"), now));
        assert_ne!(name, name_of(&plan("shop", "8"), now));
        let long = name_of(&plan(&format!("{}.{}", "a".repeat(40), "b".repeat(22)), "7"), now);
        assert!(long.len() <= OBJECT_NAME_MAX && is_dns_subdomain(&long), "{long}");
        assert!(
            long.starts_with(&format!("{}-20260130-100203-", "a".repeat(40))),
            "{long}"
        );
    }

    #[test]
    fn an_acceptance_is_read_as_it_was_written_and_nothing_else_is() {
        for (text, operation) in [
            ("Execute/shop-1", RunOperation::Execute),
            ("Revert/shop-2/shop-1", revert_of("shop-1")),
        ] {
            let accepted = Accepted::parse(text).unwrap();
            assert_eq!(accepted.operation, operation);
            assert_eq!(accepted.to_string(), text);
        }
        for text in [
            "",
            "true",
            "Execute",
            "Execute/",
            "Execute/A b",
            "Execute/a/b",
            "Revert/a",
            "execute/a",
        ] {
            assert_eq!(Accepted::parse(text), None, "{text}");
        }
    }
}
