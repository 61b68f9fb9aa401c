//! What the demo says about a run, each with the evidence that it is true.

pub(super) mod revert;
pub(super) mod run;

use super::screen::{Ink, Screen};

/// A sentence, and whether it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) text: String,
    /// What was seen instead, if it is not true.
    pub(super) instead: Option<String>,
}

impl Claim {
    pub(super) fn new(text: impl Into<String>, holds: bool, seen: impl std::fmt::Debug) -> Self {
        Self {
            text: text.into(),
            instead: (!holds).then(|| format!("{seen:?}")),
        }
    }
}

/// Prints `claims` and returns whether all of them are true.
pub(super) fn show(screen: &Screen, claims: &[Claim]) -> bool {
    for claim in claims {
        match &claim.instead {
            None => screen.item(Ink::Green, "true", &claim.text),
            Some(seen) => {
                screen.item(Ink::Red, "FALSE", &claim.text);
                screen.line(format!("           seen: {seen}"));
            }
        }
    }
    claims.iter().all(|claim| claim.instead.is_none())
}
