//! Objects that existed, that somebody made anew or changed, that a finalizer holds, or whose namespace is being deleted:
//! what Create, Apply, Patch and Delete do about them, and what their undo does.

mod clusternet;
mod forward;
mod jobs;
mod rollback;
mod somebody;
mod undo;

use anyhow::{bail, ensure};
use drplan_testkit::TestNamespace;
use serde_json::Value;

use crate::fixtures::{Action, action_of, execution_until, ours, released, resource, text};
use somebody::{HOLD, Somebody, data_of};

/// How the object is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Somebody made it before.
    Existed,
    /// Somebody deleted it and made another of its name.
    Recreated,
    /// Somebody changed it.
    Changed,
    /// A finalizer of somebody's holds it.
    Held,
    /// Its namespace is being deleted.
    Going,
}

/// What is done to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Create,
    /// An Apply that makes the object.
    Apply,
    /// An Apply over an object of somebody's.
    Over,
    Patch,
    Delete,
}

use Operation::{Apply, Create, Delete, Over, Patch};
use State::{Changed, Existed, Going, Held, Recreated};

impl Operation {
    /// The name of plan, workflow, run and object.
    fn name(self) -> &'static str {
        match self {
            Create => "create",
            Apply => "apply",
            Over => "over",
            Patch => "patch",
            Delete => "delete",
        }
    }

    /// As users write it.
    fn written(self) -> &'static str {
        match self {
            Create => "Create",
            Apply | Over => "Apply",
            Patch => "Patch",
            Delete => "Delete",
        }
    }
}

/// What stands at the object's place in the end.
#[derive(Clone, Copy, Debug)]
enum Stands {
    /// Nothing.
    Nothing,
    /// What somebody left there, down to its version.
    Untouched,
    /// Somebody's object with everything that was somebody's, and this data.
    Theirs(&'static str),
    /// What the action made, with this data.
    Ours(&'static str),
    /// What somebody's finalizer holds: it is being deleted, with this data.
    Leaving(&'static str),
}

use Stands::{Leaving, Nothing, Ours, Theirs, Untouched};

/// One of the cells of the table.
#[derive(Clone, Copy, Debug)]
struct Cell {
    state: State,
    operation: Operation,
    /// What becomes of the action, or of its undo.
    phase: &'static str,
    /// Its message has this.
    says: &'static str,
    stands: Stands,
}

const fn cell(
    state: State,
    operation: Operation,
    phase: &'static str,
    says: &'static str,
    stands: Stands,
) -> Cell {
    Cell {
        state,
        operation,
        phase,
        says,
        stands,
    }
}

/// The action `act` on the ConfigMap `name` in `namespace`.
fn act(operation: Operation, namespace: &str, data: &str) -> Action {
    let name = operation.name();
    let manifest = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: {namespace}\ndata:\n  {data}\n"
    );
    resource("act", operation.written(), &manifest)
}

/// Fails with all cells if one of them does not hold.
fn all_hold(outcomes: Vec<(Cell, anyhow::Result<()>)>) -> anyhow::Result<()> {
    if outcomes.iter().all(|(_, outcome)| outcome.is_ok()) {
        return Ok(());
    }
    let mut table = String::new();
    for (cell, outcome) in &outcomes {
        let outcome = outcome
            .as_ref()
            .map_or_else(|error| format!("{error:#}"), |()| "ok".to_owned());
        table.push_str(&format!("{:?} {:?}: {outcome}\n", cell.state, cell.operation));
    }
    bail!("what does not hold:\n{table}")
}

/// Waits for the end of the run and checks what users see of it.
async fn ends(t: &TestNamespace, run: &str, phase: &str, cell: &Cell) -> anyhow::Result<Value> {
    let ended = execution_until(t, run, phase).await?;
    released(t, run).await?;
    let name = cell.operation.name();
    let action = action_of(&ended, &format!("main/{name}[0]/act"));
    ensure!(
        text(action, "/phase") == cell.phase && text(action, "/message").contains(cell.says),
        "`{}` instead of {}: `{}`",
        action,
        cell.phase,
        cell.says
    );
    if cell.phase == "Failed" {
        let message = text(&ended, "/status/message");
        let named = format!("'main/{name}[0]/act' failed: ");
        ensure!(
            message.contains(&named)
                && message.contains(cell.says)
                && message.contains("; mend the cause, then"),
            "{message}"
        );
    }
    Ok(ended)
}

/// Checks what stands at the object's place, `left` being how somebody left it.
async fn stands(somebody: &Somebody, cell: &Cell, left: Option<&Value>, ended: &Value) -> anyhow::Result<()> {
    let name = cell.operation.name();
    let seen = somebody.sees(name).await?;
    let same = |pointer: &str| {
        let at = |object: Option<&Value>| object.and_then(|object| object.pointer(pointer)).cloned();
        ensure!(
            at(seen.as_ref()) == at(left),
            "{pointer} was {:?} and is {:?}",
            at(left),
            at(seen.as_ref())
        );
        Ok(())
    };
    let data = seen.as_ref().map(data_of).unwrap_or_default();
    match cell.stands {
        Nothing => ensure!(seen.is_none(), "it is there: {seen:?}"),
        Untouched => ensure!(seen.as_ref() == left, "{seen:?} instead of {left:?}"),
        Theirs(expected) | Leaving(expected) => {
            for kept in ["uid", "labels", "annotations", "finalizers", "ownerReferences"] {
                same(&format!("/metadata/{kept}"))?;
            }
            let seen = seen.as_ref().map_or(&Value::Null, |seen| seen);
            ensure!(data == expected, "{data} instead of {expected}");
            let is_leaving = matches!(cell.stands, Leaving(_));
            let deleted = seen["metadata"]["deletionTimestamp"].is_string();
            ensure!(deleted == is_leaving, "{seen}");
            ensure!(
                !is_leaving || seen["metadata"]["finalizers"] == serde_json::json!([HOLD]),
                "{seen}"
            );
        }
        Ours(expected) => {
            let seen = seen.as_ref().map_or(&Value::Null, |seen| seen);
            ensure!(data == expected, "{data} instead of {expected}");
            let action = action_of(ended, &format!("main/{name}[0]/act"));
            ensure!(
                seen["metadata"]["uid"] == action["outputs"]["resourceRef"]["uid"],
                "{seen} is not what {action} made"
            );
            let annotations = &seen["metadata"]["annotations"];
            let undone = text(ended, "/status/reverts/uid");
            let (uid, path) = match undone {
                "" => (
                    text(ended, "/metadata/uid").to_owned(),
                    format!("main/{name}[0]/act"),
                ),
                uid => (uid.to_owned(), format!("main/{name}[0]/act/undo")),
            };
            ensure!(
                annotations[ours("execution-uid")] == uid && annotations[ours("action-path")] == path,
                "{annotations}"
            );
            ensure!(seen["metadata"]["ownerReferences"].is_null(), "{seen}");
        }
    }
    Ok(())
}
