//! Rendering before the run: what depends on what only the run brings is told by rendering with two guesses at it.

use drplan_api::{Time, status::DRPlanExecutionStatus};
use drplan_template::Value;

use super::Place;
use crate::{
    data::{OUTPUT_FIELDS, data},
    graph::ActionIndex,
    kept::{Facts, Kept},
    run::Run,
};

/// A guess at what the run brings. Nothing is made of it but a comparison.
struct Guess {
    text: &'static str,
    status_code: i64,
    /// Milliseconds since 1970.
    time: i64,
}

/// They differ in everything. Both are of a run that goes well.
const GUESSES: [Guess; 2] = [
    Guess {
        text: "a",
        status_code: 200,
        time: 0,
    },
    Guess {
        text: "b",
        status_code: 201,
        time: 1_000_000_000_000,
    },
];

/// The place that `render` finds whatever the run brings; without names if only these depend on it.
///
/// # Errors
/// Why it is not known, as the end of a sentence about the action.
pub(super) fn known(
    run: &Run,
    at: ActionIndex,
    is_rollback: bool,
    render: impl Fn(&Value) -> Option<Place>,
) -> Result<Place, String> {
    let [one, other] = GUESSES.map(|guess| render(&guessed(run, at, is_rollback, &guess)));
    let (Some(one), Some(other)) = (one, other) else {
        return Err("does not say before the run which object it is about".to_owned());
    };
    if (&one.kind, &one.namespace) != (&other.kind, &other.namespace) {
        return Err("is about an object whose kind or namespace only the run tells".to_owned());
    }
    let names = one.names.clone().filter(|_| one.names == other.names);
    Ok(Place { names, ..one })
}

/// What the templates of the action at `at` may see.
pub(super) fn any(run: &Run, at: ActionIndex, is_rollback: bool) -> Value {
    guessed(run, at, is_rollback, &GUESSES[0])
}

/// What the templates of the action at `at` see, with `guess` for what is not known.
fn guessed(run: &Run, at: ActionIndex, is_rollback: bool, guess: &Guess) -> Value {
    let time = Time::from_millis(guess.time);
    let (status, kept) = (DRPlanExecutionStatus::default(), Kept::new());
    let facts = Facts {
        run,
        status: &status,
        kept: &kept,
    };
    let mut seen = data(facts, at, time);
    // A Revert knows what was brought.
    if run.reverted.is_some() {
        return seen;
    }
    let Value::Map(members) = &mut seen else {
        return seen;
    };
    let before = at.action + usize::from(is_rollback);
    let earlier = (0..before).map(|action| {
        let name = run.action(ActionIndex { action, ..at }).name.as_str().to_owned();
        (name, outputs(guess))
    });
    members.insert("outputs".to_owned(), Value::Map(earlier.collect()));
    if run.snapshot.execution_uid.is_empty() {
        for name in ["executionName", "executionUID"] {
            members.insert(name.to_owned(), Value::String(guess.text.to_owned()));
        }
    }
    seen
}

fn outputs(guess: &Guess) -> Value {
    let text = || Value::String(guess.text.to_owned());
    let outputs = OUTPUT_FIELDS.map(|field| {
        let value = match field {
            "statusCode" => Value::Int(guess.status_code),
            "exitCode" => Value::Int(0),
            reference if reference.ends_with("Ref") => {
                let members = ["apiVersion", "kind", "name", "namespace", "uid"];
                Value::Map(members.map(|member| (member.to_owned(), text())).into())
            }
            _ => text(),
        };
        (field.to_owned(), value)
    });
    Value::Map(outputs.into())
}
