//! The services that the plan calls, played by stand-ins, and their journals.

use serde_json::Value;

use super::screen::{Ink, Screen};
use crate::authority::Authority;
use crate::operator::OperatorLaunch;
use crate::stand_in::{HttpStandIn, Outcome, Recorded};

/// A service that the plan calls.
#[derive(Debug)]
pub(super) struct Service {
    /// What people call it.
    pub(super) name: &'static str,
    /// Its host, as the plan's workflows have it.
    pub(super) host: &'static str,
    /// Who plays it.
    pub(super) stand_in: HttpStandIn,
}

impl Service {
    /// Starts one that speaks HTTPS under its host's name.
    pub(super) async fn start(
        authority: &Authority,
        name: &'static str,
        host: &'static str,
    ) -> anyhow::Result<Self> {
        let stand_in = HttpStandIn::start_secure(&authority.server(&[host])?).await?;
        Ok(Self { name, host, stand_in })
    }

    /// Has an operator find it where its host is called.
    pub(super) fn found_by(&self, launch: OperatorLaunch) -> OperatorLaunch {
        let address = self.stand_in.address();
        launch.arg(format!("--http-resolve={}:443:{address}", self.host))
    }
}

/// What a call is about, as its body says.
pub(super) fn about(call: &Recorded) -> String {
    let body = call.json().unwrap_or_default();
    let said = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
    said("service").or_else(|| said("event")).unwrap_or_default()
}

/// The call's key, empty if it has none.
pub(super) fn key(call: &Recorded) -> &str {
    call.idempotency_key().unwrap_or_default()
}

/// The journals of several services, and the keys in them, numbered from 1 as they first arrived.
#[derive(Debug)]
pub(super) struct Journals {
    of: Vec<(String, Vec<Recorded>)>,
    keys: Vec<String>,
}

impl Journals {
    /// The journals as they are.
    pub(super) fn of(services: &[&Service]) -> Self {
        let title = |service: &&Service| format!("{}, {}", service.name, service.host);
        let of: Vec<_> = services
            .iter()
            .map(|service| (title(service), service.stand_in.all()))
            .collect();
        let mut journals = Self { of, keys: Vec::new() };
        for call in journals.calls() {
            if !journals.keys.iter().any(|known| known == key(&call)) {
                journals.keys.push(key(&call).to_owned());
            }
        }
        journals
    }

    /// Every call, in order of arrival.
    pub(super) fn calls(&self) -> Vec<Recorded> {
        let mut calls: Vec<Recorded> = self.of.iter().flat_map(|(_, calls)| calls).cloned().collect();
        calls.sort_by_key(|call| call.arrived);
        calls
    }

    /// Without what stands in `before`, but with its numbers of keys.
    pub(super) fn since(mut self, before: &Self) -> Self {
        for ((_, calls), (_, known)) in self.of.iter_mut().zip(&before.of) {
            calls.drain(..known.len().min(calls.len()));
        }
        self
    }

    /// Prints them. An undo has the key of what it undoes and `/undo` behind it.
    pub(super) fn show(&self, screen: &Screen) {
        for (title, calls) in self.of.iter().filter(|(_, calls)| !calls.is_empty()) {
            screen.line(format!("  {}", screen.ink(Ink::Bold, title)));
            for call in calls {
                self.show_call(screen, call);
            }
        }
    }

    /// Prints in full each key that came more than once.
    pub(super) fn show_repeated_keys(&self, screen: &Screen) {
        for call in self.calls().iter().filter(|call| call.is_repeat) {
            let number = self.number(key(call));
            let text = format!("Key {number} was sent twice, because of the kill, and took effect once.");
            screen.line(format!("  {}", screen.ink(Ink::Magenta, text)));
            let (uid, path) = key(call).split_once('/').unwrap_or_default();
            screen.say("It is the run's UID and the action's path:");
            screen.line(format!("    {uid}/\n    {path}"));
        }
    }

    fn show_call(&self, screen: &Screen, call: &Recorded) {
        let (ink, outcome) = match (call.outcome, call.is_repeat) {
            (Outcome::Answered, false) => (Ink::Green, "took effect"),
            (Outcome::ClientGone, false) => (Ink::Red, "took effect, never answered"),
            (Outcome::Answered, true) => (Ink::Magenta, "known key, no effect"),
            (Outcome::ClientGone, true) => (Ink::Red, "known key, caller dead"),
            (Outcome::Reset, _) => (Ink::Red, "reset"),
            (Outcome::Pending, _) => (Ink::Red, "not answered yet"),
        };
        let what = format!("{:<15} {:<17}", call.path, about(call));
        let number = format!("key {:<6}", self.number(key(call)));
        screen.at(
            call.arrived,
            format!("{what} {number} {}", screen.ink(ink, outcome)),
        );
    }

    fn number(&self, key: &str) -> String {
        let (of, undo) = match key.strip_suffix("/undo") {
            Some(of) => (of, "/undo"),
            None => (key, ""),
        };
        match self.keys.iter().position(|known| known == of) {
            Some(index) => format!("{}{undo}", index + 1),
            None => format!("? {key}"),
        }
    }
}
