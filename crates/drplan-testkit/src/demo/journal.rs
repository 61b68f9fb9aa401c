//! The site's journal as the demo shows it: each call with the number of its key.

use super::claims::key;
use super::screen::{Ink, Screen};
use crate::stand_in::{Outcome, Recorded};

/// The keys of a run's calls, numbered from 1 as they first arrived.
#[derive(Debug)]
pub(super) struct Keys(Vec<String>);

impl Keys {
    /// Those in `journal`.
    pub(super) fn of(journal: &[Recorded]) -> Self {
        let mut keys: Vec<String> = Vec::new();
        for call in journal {
            if !keys.iter().any(|known| known == key(call)) {
                keys.push(key(call).to_owned());
            }
        }
        Self(keys)
    }

    /// Prints `journal`, and in full each key that came more than once. An undo has the key of what it undoes and
    /// `/undo` behind it.
    pub(super) fn show(&self, screen: &Screen, journal: &[Recorded]) {
        let is_repeated = |wanted: &str| journal.iter().filter(|call| key(call) == wanted).count() > 1;
        for call in journal {
            let (ink, outcome) = match call.outcome {
                Outcome::Answered => (Ink::Green, "answered"),
                Outcome::ClientGone => (Ink::Red, "the caller was gone"),
                Outcome::Reset => (Ink::Red, "reset"),
                Outcome::Pending => (Ink::Yellow, "not answered"),
            };
            let emphasis = if is_repeated(key(call)) {
                Ink::Bold
            } else {
                Ink::Plain
            };
            let number = self.number(key(call));
            let what = screen.ink(
                emphasis,
                format!("{:<5}{:<30} key {number}", call.method, call.path),
            );
            screen.at(call.arrived, format!("{what}  {}", screen.ink(ink, outcome)));
        }
        for known in self.0.iter().filter(|known| is_repeated(known)) {
            screen.line(format!("             key {} is {known}", self.number(known)));
        }
    }

    fn number(&self, key: &str) -> String {
        let (of, undo) = match key.strip_suffix("/undo") {
            Some(of) => (of, "/undo"),
            None => (key, ""),
        };
        match self.0.iter().position(|known| known == of) {
            Some(index) => format!("{}{undo}", index + 1),
            None => format!("? {key}"),
        }
    }
}
