//! Faults that happen.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};

use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use super::{Error, VARIABLE, process};

/// Reads `DRPLAN_FAULT`; to be called at the start, so that a test with a slip fails at once.
///
/// # Errors
/// When faults are asked for that cannot happen.
pub fn arm() -> Result<(), Error> {
    let faults = ARMED.as_ref().map_err(Clone::clone)?;
    for Fault {
        name,
        passing,
        effect,
        ..
    } in &faults.0
    {
        tracing::warn!(fault = name, passing, ?effect, "a fault will happen");
    }
    Ok(())
}

/// A place where a test may kill or stop the process, or make the task panic.
///
/// # Panics
/// When told to.
///
/// # Guarantees
/// Nothing after a place of death happens; nothing after a place of stopping happens before the process is continued.
pub async fn point(name: &'static str) {
    pass(name).await;
}

/// [`point`] for one of many things that pass there: the place has the name `<name>@<which>` too.
///
/// # Panics
/// When told to.
pub async fn point_of(name: &'static str, which: impl FnOnce() -> String) {
    let this = format!("{name}@{}", which());
    pass(&this).await;
    pass(name).await;
}

async fn pass(name: &str) {
    if process::dies_at(name) {
        std::future::pending::<()>().await;
    }
    let Ok(faults) = ARMED.as_ref() else { return };
    let Some(effect) = faults.pass(name, |effect| effect != Effect::Swallow) else {
        return;
    };
    tracing::warn!(fault = name, ?effect, "a fault happens");
    // The signal may reach another thread first and this one, on a busy machine, much later: what comes after this
    // place waits for what ends the fault.
    match effect {
        Effect::Kill => {
            send(Signal::KILL);
            std::future::pending().await
        }
        Effect::Stop => {
            let continued = signal(SignalKind::from_raw(Signal::CONT.as_raw()));
            let mut continued = continued.expect("a runtime listens for signals where it is told to");
            send(Signal::STOP);
            continued.recv().await;
        }
        Effect::Panic | Effect::Swallow => panic!("a fault happens at {name}, as told"),
    }
}

fn send(signal: Signal) {
    let sent = kill_process(getpid(), signal);
    // A process may always send signals to itself; a test whose fault does not happen must not pass.
    assert!(sent.is_ok(), "failed to send {signal:?}: {sent:?}");
}

/// Whether a test wants this watch event to be dropped.
pub fn swallows(what: &str) -> bool {
    let Ok(faults) = ARMED.as_ref() else { return false };
    let swallows = faults.pass(what, |effect| effect == Effect::Swallow).is_some();
    if swallows {
        tracing::warn!(fault = what, "a fault happens: a watch event is dropped");
    }
    swallows
}

static ARMED: LazyLock<Result<Faults, Error>> =
    LazyLock::new(|| Faults::parse(&std::env::var(VARIABLE).unwrap_or_default()));

/// All faults that will happen.
#[derive(Debug)]
struct Faults(Vec<Fault>);

#[derive(Debug)]
struct Fault {
    name: String,
    /// The passing at which it happens, from 1.
    passing: u64,
    effect: Effect,
    passed: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Kill,
    Stop,
    Panic,
    Swallow,
}

impl Faults {
    fn parse(text: &str) -> Result<Self, Error> {
        let faults = text.split(',').map(str::trim).filter(|fault| !fault.is_empty());
        faults.map(Fault::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Passes the place `name`, and returns what happens there at this passing.
    fn pass(&self, name: &str, at: impl Fn(Effect) -> bool) -> Option<Effect> {
        let mut happens = None;
        for fault in self
            .0
            .iter()
            .filter(|fault| fault.name == name && at(fault.effect))
        {
            if fault.passed.fetch_add(1, Ordering::SeqCst) + 1 == fault.passing {
                happens = happens.or(Some(fault.effect));
            }
        }
        happens
    }
}

impl Fault {
    fn parse(fault: &str) -> Result<Self, Error> {
        let wrong = || Error::Syntax {
            fault: fault.to_owned(),
        };
        let (place, effect) = fault.split_once('=').ok_or_else(wrong)?;
        let (name, passing) = match place.split_once('#') {
            Some((name, passing)) => (name, passing.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?),
            None => (place, 1),
        };
        let effect = match effect {
            "kill" => Effect::Kill,
            "stop" => Effect::Stop,
            "panic" => Effect::Panic,
            "swallow" => Effect::Swallow,
            _ => return Err(wrong()),
        };
        if name.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            name: name.to_owned(),
            passing,
            effect,
            passed: AtomicU64::new(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kill_or_stop(effect: Effect) -> bool {
        effect != Effect::Swallow
    }

    #[test]
    fn a_fault_happens_at_its_passing_and_never_again() {
        let faults = Faults::parse("intent.saved=kill, effect.sent#3=stop").unwrap();
        let pass = |name| faults.pass(name, kill_or_stop);
        assert_eq!(pass("effect.sent"), None);
        assert_eq!(pass("intent.saved"), Some(Effect::Kill));
        assert_eq!(pass("intent.saved"), None);
        assert_eq!(pass("elsewhere"), None);
        assert_eq!(pass("effect.sent"), None);
        assert_eq!(pass("effect.sent"), Some(Effect::Stop));
        assert_eq!(pass("effect.sent"), None);
    }

    #[test]
    fn one_place_can_have_several_faults_and_what_is_swallowed_is_counted_apart() {
        let faults = Faults::parse("executions#2=swallow,executions=stop,executions#2=kill").unwrap();
        assert_eq!(faults.pass("executions", kill_or_stop), Some(Effect::Stop));
        assert_eq!(
            faults.pass("executions", |effect| effect == Effect::Swallow),
            None
        );
        assert_eq!(faults.pass("executions", kill_or_stop), Some(Effect::Kill));
        assert_eq!(
            faults.pass("executions", |effect| effect == Effect::Swallow),
            Some(Effect::Swallow)
        );
    }

    #[test]
    fn a_place_is_told_apart_by_what_passes() {
        let faults = Faults::parse("sent@Call:db/move[0]/switch=kill,sent#2=stop").unwrap();
        let pass = |name| faults.pass(name, kill_or_stop);
        assert_eq!(pass("sent@Call:db/move[1]/switch"), None);
        assert_eq!(pass("sent"), None);
        assert_eq!(pass("sent@Call:db/move[0]/switch"), Some(Effect::Kill));
        assert_eq!(pass("sent"), Some(Effect::Stop));
    }

    #[test]
    fn a_slip_is_an_error_that_names_it() {
        assert_eq!(Faults::parse("").unwrap().0.len(), 0);
        for wrong in [
            "intent",
            "intent=die",
            "=kill",
            "#1=kill",
            "intent#0=kill",
            "intent#x=stop",
            "intent#=stop",
        ] {
            let error = Faults::parse(&format!("fine=kill,{wrong}")).unwrap_err();
            assert_eq!(
                error,
                Error::Syntax {
                    fault: wrong.to_owned()
                }
            );
        }
    }
}
