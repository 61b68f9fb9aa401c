//! The reasons of events, and the proof that the table names all of them.

use std::{collections::BTreeSet, fs, path::Path};

use super::table::table;

/// Where events come from.
const SOURCES: [&str; 2] = ["../drplan-engine/src", "../drplan-operator/src"];
/// How reasons begin, but for a few that are named here.
const BEGINNINGS: [&str; 7] = [
    "Execution",
    "Revert",
    "Stage",
    "Action",
    "Undo",
    "NothingTo",
    "Trigger",
];

/// Reason, type, object, what it says.
const REASONS: [[&str; 4]; 32] = [
    ["ExecutionStarted", "Normal", "execution", "the run began"],
    [
        "ExecutionSucceeded",
        "Normal",
        "execution",
        "every action succeeded; how long it took",
    ],
    [
        "ExecutionFailed",
        "Warning",
        "execution",
        "the first action that failed, or why it must not start",
    ],
    [
        "ExecutionCancelled",
        "Normal",
        "execution",
        "a cancelled run has come to rest",
    ],
    [
        "ExecutionUnknown",
        "Warning",
        "execution",
        "a person must look: what was in flight and what is known of it",
    ],
    [
        "ExecutionResumed",
        "Normal",
        "execution",
        "an Unknown run goes on",
    ],
    [
        "ReplacedNotKept",
        "Warning",
        "execution",
        "the lists that a Patch replaces are too large to be kept",
    ],
    [
        "RevertStarted",
        "Normal",
        "execution",
        "a Revert began; what it does is told on itself, not on what it undoes",
    ],
    [
        "RevertSucceeded",
        "Normal",
        "execution",
        "everything that could be undone is undone",
    ],
    [
        "RevertFailed",
        "Warning",
        "execution",
        "the undo that failed; what is left stands in the message of the Revert",
    ],
    [
        "StageStarted",
        "Normal",
        "execution",
        "the first action of a stage begins",
    ],
    [
        "StageSucceeded",
        "Normal",
        "execution",
        "all of its workflows succeeded",
    ],
    [
        "StageFailed",
        "Warning",
        "execution",
        "one of its workflows failed, or it was cut short",
    ],
    ["StageSkipped", "Normal", "execution", "it will not begin"],
    [
        "ActionStarted",
        "Normal",
        "execution",
        "the intent of the first attempt is recorded",
    ],
    ["ActionSucceeded", "Normal", "execution", "how long it took"],
    [
        "ActionFailed",
        "Warning",
        "execution",
        "why; there is no further attempt",
    ],
    [
        "ActionRetrying",
        "Warning",
        "execution",
        "why the attempt failed, and which retry of how many follows",
    ],
    [
        "ActionRepeated",
        "Warning",
        "execution",
        "after a crash a POST or PATCH whose answer nobody holds is sent again, under the same Idempotency-Key",
    ],
    [
        "CancelRequested",
        "Warning",
        "execution",
        "a cancellation is recorded; nothing new begins",
    ],
    [
        "NothingToCancel",
        "Warning",
        "execution, plan",
        "the command came when nothing ran; it is taken off",
    ],
    [
        "NothingToResume",
        "Warning",
        "execution",
        "the command came to a run that is not Unknown, or cannot go on",
    ],
    [
        "StatusRefused",
        "Warning",
        "execution, plan",
        "the record cannot be written, so nothing new begins; of a plan, what is shown of it may be old",
    ],
    [
        "ReleaseRefused",
        "Warning",
        "execution",
        "the run has ended, but that cannot be entered in its plan, which is held, or its finalizer cannot be taken off",
    ],
    [
        "SetBack",
        "Warning",
        "execution",
        "what is stored of it is older than what was seen, as after a restore; it waits to be resumed, cancelled or deleted",
    ],
    [
        "UnsupportedFormat",
        "Warning",
        "execution",
        "a later release wrote it; this one leaves it alone",
    ],
    [
        "StaleLockReleased",
        "Warning",
        "plan",
        "its lock was held by an execution that does not exist",
    ],
    [
        "TriggerAccepted",
        "Normal",
        "plan",
        "with --trigger-annotations: the name of the execution that trigger=execute or revert created",
    ],
    [
        "TriggerRefused",
        "Warning",
        "plan",
        "with --trigger-annotations: why trigger=execute or revert created nothing",
    ],
    [
        "TriggerExpired",
        "Warning",
        "plan",
        "with --trigger-annotations: trigger=execute or revert is older than --start-deadline and created nothing",
    ],
    [
        "TriggerRemoved",
        "Warning",
        "plan",
        "trigger=execute or revert starts nothing; the manifest to create instead",
    ],
    [
        "UnknownTrigger",
        "Warning",
        "plan",
        "the annotation trigger has a value that is no command",
    ],
];

/// The table of all reasons.
pub(super) fn rows(page: &mut String) {
    let rows = REASONS.iter().map(|[reason, kind, on, says]| {
        vec![
            format!("`{reason}`"),
            (*kind).to_owned(),
            (*on).to_owned(),
            (*says).to_owned(),
        ]
    });
    table(page, &["reason", "type", "on", "says"], rows.collect());
}

#[test]
fn the_reasons_of_the_reference_are_those_of_the_program() {
    let mut words = BTreeSet::new();
    for source in SOURCES {
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(source), &mut words);
    }
    let told: BTreeSet<&str> = REASONS.iter().map(|[reason, ..]| *reason).collect();
    for reason in &told {
        assert!(words.contains(*reason), "the program knows no event {reason}");
    }
    let is_reason = |word: &&String| BEGINNINGS.iter().any(|start| is_compound(word, start));
    for word in words.iter().filter(is_reason) {
        let is_told = told.contains(word.as_str());
        assert!(
            is_told,
            "{word} looks like the reason of an event; tell of it in reference/events.rs"
        );
    }
}

/// Whether `word` is `start` and one more word with a capital.
fn is_compound(word: &str, start: &str) -> bool {
    word.strip_prefix(start).is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_uppercase())
            && rest.chars().skip(1).all(|c| c.is_ascii_lowercase())
    })
}

/// Every text of one word in the Rust files below `folder`.
fn read(folder: &Path, words: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, words);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let parts: Vec<&str> = text.split('"').collect();
            // What stands behind `reason = ` is in the log alone.
            let literals = parts
                .windows(2)
                .filter(|pair| !pair[0].ends_with("reason = "))
                .map(|pair| pair[1]);
            let is_word =
                |literal: &&str| !literal.is_empty() && literal.bytes().all(|b| b.is_ascii_alphabetic());
            words.extend(literals.filter(is_word).map(str::to_owned));
        }
    }
}
