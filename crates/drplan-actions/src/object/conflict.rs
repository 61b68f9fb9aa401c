//! Fields that other managers hold.

use kube::core::Status;

/// Conflicts that a message names; the rest is counted.
const NAMED_MAX: usize = 3;

/// A field of an Apply that another manager holds with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldConflict {
    /// Its path, such as `.spec.replicas`.
    field: String,
    /// The manager.
    manager: String,
}

impl FieldConflict {
    /// Whether the manager is an action of the plan whose managers begin with `plan_managers`.
    pub(super) fn is_of(&self, plan_managers: &str) -> bool {
        !plan_managers.is_empty() && self.manager.starts_with(plan_managers)
    }
}

/// The conflicts that an answer lists; none if it was refused for another reason.
pub(super) fn conflicts(status: &Status) -> Vec<FieldConflict> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| FieldConflict {
            field: cause.field.clone(),
            manager: manager(&cause.message),
        })
        .collect()
}

/// The conflicts with managers outside the plan, for people.
pub(super) fn shown<'a>(conflicts: impl Iterator<Item = &'a FieldConflict>) -> String {
    let all: Vec<&FieldConflict> = conflicts.collect();
    let named: Vec<String> = all
        .iter()
        .take(NAMED_MAX)
        .map(|conflict| format!("{} belongs to {}", conflict.field, conflict.manager))
        .collect();
    match all.len().saturating_sub(NAMED_MAX) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The manager that a cause names: `conflict with "kubectl" using apps/v1 at …`, quoted as Go quotes.
fn manager(message: &str) -> String {
    let mut quoted = message
        .split_once('"')
        .map_or(message, |(_, quoted)| quoted)
        .chars();
    let mut manager = String::new();
    while let Some(c) = quoted.next() {
        match c {
            '"' => break,
            '\\' => manager.extend(quoted.next()),
            c => manager.push(c),
        }
    }
    manager
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn managers_are_read_from_causes() {
        assert_eq!(
            manager(r#"conflict with "kubectl-edit" using apps/v1"#),
            "kubectl-edit"
        );
        assert_eq!(
            manager(r#"conflict with "a" with subresource "scale" using apps/v1 at 2026-01-30T10:00:00Z"#),
            "a"
        );
        assert_eq!(manager(r#"conflict with "o\"dd""#), "o\"dd");
        assert_eq!(manager("conflict with nobody"), "conflict with nobody");
    }

    #[test]
    fn only_managers_of_the_plan_are_its_own() {
        let of = |manager: &str| FieldConflict {
            field: ".spec.replicas".to_owned(),
            manager: manager.to_owned(),
        };
        assert!(of("drplan:1111111111:2222222222").is_of("drplan:1111111111:"));
        assert!(!of("drplan:3333333333:2222222222").is_of("drplan:1111111111:"));
        assert!(!of("kubectl").is_of(""), "an unknown plan has no managers");
    }

    #[test]
    fn a_message_names_three_conflicts_and_counts_the_rest() {
        let all: Vec<FieldConflict> = (0..5)
            .map(|number| FieldConflict {
                field: format!(".data.k{number}"),
                manager: "kubectl".to_owned(),
            })
            .collect();
        assert_eq!(
            shown(all.iter()),
            ".data.k0 belongs to kubectl, .data.k1 belongs to kubectl, .data.k2 belongs to kubectl and 2 more"
        );
    }
}
