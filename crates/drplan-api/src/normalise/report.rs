//! Places in an object, and the problems gathered while it is read.

use crate::{Problem, ProblemKind, Problems, normalise::Normalised, problem::any_error};

/// A field of an object: `spec.actions[1].http.url`.
#[derive(Clone, Debug)]
pub(super) struct Place(String);

impl Place {
    pub(super) fn new(path: &str) -> Self {
        Self(path.to_owned())
    }

    pub(super) fn field(&self, name: &str) -> Self {
        Self(format!("{}.{name}", self.0))
    }

    pub(super) fn item(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Gathers problems. A function that reads a field returns `None` for an error once it is in here.
#[derive(Default)]
pub(super) struct Report {
    problems: Problems,
}

impl Report {
    pub(super) fn error(&mut self, at: &Place, kind: ProblemKind) {
        self.problems.push(Problem::error(at.as_str(), kind));
    }

    pub(super) fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
    }

    pub(super) fn warn(&mut self, at: &Place, message: &str) {
        let message = message.to_owned();
        self.problems
            .push(Problem::warning(at.as_str(), ProblemKind::Note { message }));
    }

    pub(super) fn note(&mut self, at: &Place, message: impl Into<String>) {
        let message = message.into();
        self.error(at, ProblemKind::Note { message });
    }

    pub(super) fn missing(&mut self, at: &Place, remedy: impl Into<String>) {
        let remedy = remedy.into();
        self.error(at, ProblemKind::Missing { remedy });
    }

    pub(super) fn exclusive(&mut self, at: &Place, one: &str, other: &str, remedy: &str) {
        self.error(
            at,
            ProblemKind::Exclusive {
                one: one.to_owned(),
                other: other.to_owned(),
                remedy: remedy.to_owned(),
            },
        );
    }

    pub(super) fn wrong_shape(&mut self, at: &Place, found: &str, expected: &str) {
        self.error(
            at,
            ProblemKind::WrongShape {
                found: found.to_owned(),
                expected: expected.to_owned(),
            },
        );
    }

    /// Refuses more than `max` of `what`.
    pub(super) fn bound(
        &mut self,
        at: &Place,
        what: &'static str,
        found: usize,
        max: usize,
        remedy: &'static str,
    ) {
        if found > max {
            let (found, max) = (found as u64, max as u64);
            self.error(
                at,
                ProblemKind::TooMany {
                    what,
                    found,
                    max,
                    remedy,
                },
            );
        }
    }

    /// Refuses a field that is reserved for later.
    pub(super) fn reserved<T>(&mut self, at: &Place, written: Option<&T>, remedy: &'static str) {
        if written.is_some() {
            self.error(at, ProblemKind::NotSupported { remedy });
        }
    }

    /// The value that all spellings that were written agree on; `spellings` are relative to `parent`.
    pub(super) fn agreed<T: PartialEq>(
        &mut self,
        parent: &Place,
        spellings: impl IntoIterator<Item = (String, Option<T>)>,
    ) -> Option<T> {
        let mut kept: Option<(String, T)> = None;
        for (spelling, value) in spellings {
            let Some(value) = value else { continue };
            match &kept {
                None => kept = Some((spelling, value)),
                Some((_, first)) if *first == value => {}
                Some((one, _)) => {
                    let one = one.clone();
                    let other = spelling;
                    self.error(parent, ProblemKind::SpellingsDiffer { one, other });
                }
            }
        }
        kept.map(|(_, value)| value)
    }

    /// `value`, unless an error was reported anywhere.
    pub(super) fn finish<T>(self, value: Option<T>) -> Normalised<T> {
        let failed = any_error(&self.problems);
        debug_assert!(failed || value.is_some(), "a value is only missing with a reason");
        Normalised {
            value: value.filter(|_| !failed),
            problems: self.problems,
        }
    }
}
