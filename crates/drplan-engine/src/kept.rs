//! Texts that a run keeps in objects of its own: outputs for which its record has no room, and the lists that a Patch
//! replaces.

use std::{collections::BTreeMap, sync::Arc};

use drplan_api::{
    limits::{OUTPUT_TEXT_BYTES_MAX, OUTPUT_TEXTS_BYTES_MAX, REPLACED_BYTES_MAX},
    status::{ActionStatus, DRPlanExecutionStatus},
};
use serde_json::Value;

use crate::{
    announce::Level,
    fold::{Fold, cut},
    graph::ActionIndex,
    revert::Reverted,
    run::{Run, action_indices, action_status, action_status_mut},
    snapshot::sha256_hex,
};

/// Texts by the name of the object that keeps them.
pub type Kept = BTreeMap<String, Arc<str>>;

/// What the templates of an action rest on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The run.
    pub run: &'a Run,
    /// Its record.
    pub status: &'a DRPlanExecutionStatus,
    /// What it keeps beside the record, as far as it is at hand.
    pub kept: &'a Kept,
}

/// Hex digits by which the objects of one execution differ: 40 bits tell its few thousand texts apart.
const HASH_LENGTH: usize = 10;

/// Where a text is recorded.
pub(crate) enum Place {
    /// In the record itself.
    Here(String),
    /// In the object of this name.
    In(String),
}

impl Fold<'_> {
    /// What templates rest on in this pass.
    pub(crate) fn facts<'s>(&'s self, run: &'s Run) -> Facts<'s> {
        Facts {
            run,
            status: &self.status,
            kept: &self.kept,
        }
    }

    /// Records `text`, of which an output keeps 4 KiB: in the record while there is room in it, else in an object.
    pub(crate) fn place_text(&mut self, at: ActionIndex, what: &str, text: &str) -> Place {
        let text = cut(text, OUTPUT_TEXT_BYTES_MAX);
        if json_length(text) <= self.room_for_text(at) {
            Place::Here(text.to_owned())
        } else {
            Place::In(self.keep(at, what, text))
        }
    }

    /// Keeps the lists that a Patch is about to replace, `found` by their JSON pointers.
    pub(crate) fn keep_replaced(&mut self, at: ActionIndex, found: &[(String, Value)]) {
        if found.is_empty() {
            return;
        }
        let lists: serde_json::Map<_, _> = found.iter().cloned().collect();
        let text = Value::Object(lists).to_string();
        if text.len() > REPLACED_BYTES_MAX {
            let message = format!(
                "{}: the lists that it replaces are not kept, they have {} bytes (at most {REPLACED_BYTES_MAX})",
                self.subject(at),
                text.len()
            );
            self.announce_action(Level::Warning, "ReplacedNotKept", message, at);
            return;
        }
        let name = self.keep(at, "replaced", &text);
        if let Some(action) = action_status_mut(&mut self.status, at) {
            action.replaced_stored_in = Some(name);
        }
    }

    /// Asks for `text` to be stored before the record that names it. The name follows from the text, so that storing it
    /// again meets the same.
    fn keep(&mut self, at: ActionIndex, what: &str, text: &str) -> String {
        let identity = self.identity(at).idempotency_key();
        let hash = sha256_hex(format!("{}\n{identity}\n{what}\n{text}", self.seen.execution_uid).as_bytes());
        let name = format!("{}-{}", self.seen.execution, &hash[..HASH_LENGTH]);
        let text: Arc<str> = text.into();
        self.kept.insert(name.clone(), Arc::clone(&text));
        self.to_keep.push((name.clone(), text));
        name
    }

    /// Bytes that the record still has for a text that the action at `at` brought, in the place of its last one.
    fn room_for_text(&self, at: ActionIndex) -> usize {
        let others = action_indices(&self.status)
            .into_iter()
            .filter(|other| *other != at);
        let stored: usize = others
            .filter_map(|other| Some(&action_status(&self.status, other)?.outputs))
            .flat_map(|outputs| [&outputs.body, &outputs.message])
            .flatten()
            .map(|text| json_length(text))
            .sum();
        OUTPUT_TEXTS_BYTES_MAX.saturating_sub(stored)
    }
}

/// Bytes of `text` in JSON, without the quotation marks.
fn json_length(text: &str) -> usize {
    let length = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(length).sum()
}

/// The names of the objects that keep outputs of the run with this record, which its templates may read.
pub fn kept_outputs(status: &DRPlanExecutionStatus) -> Vec<&str> {
    let actions = action_indices(status)
        .into_iter()
        .filter_map(|at| action_status(status, at));
    actions.flat_map(outputs_of).collect()
}

/// All objects in which the run with this record keeps something.
pub fn kept_objects(status: &DRPlanExecutionStatus) -> Vec<&str> {
    let actions = action_indices(status)
        .into_iter()
        .filter_map(|at| action_status(status, at));
    actions
        .flat_map(|action| outputs_of(action).chain(action.replaced_stored_in.as_deref()))
        .collect()
}

/// The names of the objects that keep outputs of the execution that a Revert undoes.
pub fn kept_of_reverted(reverted: &Reverted) -> Vec<&str> {
    let actions = reverted.stages.iter().flatten().flatten();
    actions.flat_map(|action| outputs_of(&action.recorded)).collect()
}

fn outputs_of(action: &ActionStatus) -> impl Iterator<Item = &str> {
    let outputs = &action.outputs;
    let names = [&outputs.body_stored_in, &outputs.message_stored_in];
    names.into_iter().filter_map(|name| name.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_in_json_is_that_of_serde_json() {
        for text in ["", "plain", "ü\"\\\n\t\r\u{8}\u{c}\u{0}\u{1f}\u{7f}"] {
            let quoted = serde_json::to_string(text).unwrap();
            assert_eq!(json_length(text), quoted.len() - 2, "{text:?}");
        }
    }
}
