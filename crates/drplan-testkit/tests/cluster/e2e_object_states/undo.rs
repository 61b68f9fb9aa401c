//! What their undo does.

use anyhow::ensure;
use drplan_testkit::TestNamespace;
use futures::future::join_all;
use serde_json::{Value, json};

use super::{
    Apply, Cell, Changed, Create, Delete, Existed, Going, Held, Leaving, Nothing, Operation, Ours, Over,
    Patch, Recreated, Somebody, State, Theirs, Untouched, act, all_hold, cell, ends, stands,
};
use crate::{
    fixtures::{apply_plan, create, execution, execution_until, released, revert, text},
    shared,
};

const LEFT_ALONE: &str = "is another object by now and was left alone";
const IS_HELD: &str = "is still being deleted: held by finalizers: testkit.drplan/hold";

/// The run wrote `ours=v`, somebody `k=theirs`. Create and Apply are undone by deletion; the others have a rollback:
/// Over and Patch patch `ours=back`, Delete creates it with `ours=again`.
const CELLS: [Cell; 25] = [
    // Before the run. That failed to create it, and Apply has no rollback here.
    cell(
        Existed,
        Create,
        "Skipped",
        "it failed without any effect",
        Untouched,
    ),
    cell(
        Existed,
        Apply,
        "Skipped",
        "it was applied over an object that was there, and no rollback is defined",
        Untouched,
    ),
    cell(
        Existed,
        Over,
        "Succeeded",
        "over accepted",
        Theirs("k=theirs ours=back"),
    ),
    cell(
        Existed,
        Patch,
        "Succeeded",
        "patch accepted",
        Theirs("k=theirs ours=back"),
    ),
    cell(Existed, Delete, "Succeeded", "delete created", Ours("ours=again")),
    // After the run.
    cell(Recreated, Create, "Succeeded", LEFT_ALONE, Untouched),
    cell(Recreated, Apply, "Succeeded", LEFT_ALONE, Untouched),
    cell(
        Recreated,
        Over,
        "Succeeded",
        "over accepted",
        Theirs("k=theirs ours=back"),
    ),
    cell(
        Recreated,
        Patch,
        "Succeeded",
        "patch accepted",
        Theirs("k=theirs ours=back"),
    ),
    cell(
        Recreated,
        Delete,
        "Failed",
        "exists and was not made by this action of this execution: delete it",
        Untouched,
    ),
    // After the run. What Delete's rollback made is changed before it is recorded that it did.
    cell(Changed, Create, "Succeeded", "create deleted", Nothing),
    cell(Changed, Apply, "Succeeded", "apply deleted", Nothing),
    cell(
        Changed,
        Over,
        "Succeeded",
        "over accepted",
        Theirs("k=changed ours=back"),
    ),
    cell(
        Changed,
        Patch,
        "Succeeded",
        "patch accepted",
        Theirs("k=changed ours=back"),
    ),
    cell(
        Changed,
        Delete,
        "Succeeded",
        "delete created",
        Ours("k=changed ours=again"),
    ),
    // After the run; Over and Patch meet it when somebody has deleted it, and so does the rollback of Delete.
    cell(Held, Create, "Failed", IS_HELD, Leaving("ours=v")),
    cell(Held, Apply, "Failed", IS_HELD, Leaving("ours=v")),
    cell(
        Held,
        Over,
        "Succeeded",
        "over accepted",
        Leaving("k=theirs ours=back"),
    ),
    cell(
        Held,
        Patch,
        "Succeeded",
        "patch accepted",
        Leaving("k=theirs ours=back"),
    ),
    cell(Held, Delete, "Failed", IS_HELD, Untouched),
    // After the run. What Create made is let go while its undo waits, what Over wrote is held; the rest is gone.
    cell(Going, Create, "Succeeded", "create deleted", Nothing),
    cell(Going, Apply, "Succeeded", "apply was absent", Nothing),
    cell(
        Going,
        Over,
        "Succeeded",
        "over accepted",
        Leaving("k=theirs ours=back"),
    ),
    cell(Going, Patch, "Failed", "it does not exist: create it", Nothing),
    cell(Going, Delete, "Failed", "because it is being terminated", Nothing),
];

fn cells(state: State) -> impl Iterator<Item = Cell> {
    CELLS.into_iter().filter(move |cell| cell.state == state)
}

/// Whether somebody made the object before the run.
fn was_there(cell: &Cell) -> bool {
    cell.state == Existed || !matches!(cell.operation, Create | Apply)
}

/// Runs the cell's plan to its end. Returns what stands there then.
async fn execute(t: &TestNamespace, somebody: &Somebody, cell: &Cell) -> anyhow::Result<()> {
    let (operation, namespace) = (cell.operation, somebody.namespace.as_str());
    let name = operation.name();
    if was_there(cell) {
        somebody.makes(name).await?;
        if cell.state == Held {
            somebody.holds(name).await?;
        }
    }
    let timeout = if cell.says == IS_HELD { "5s" } else { "5m" };
    let bounded = |action: crate::fixtures::Action| action.timeout(timeout);
    let action = bounded(act(operation, namespace, "ours: v"));
    let action = match operation {
        Create | Apply => action,
        Over | Patch => {
            let mut back = act(operation, namespace, "ours: back");
            back.0["resource"]["operation"] = "Patch".into();
            action.undone_by(bounded(back))
        }
        Delete => {
            let mut again = act(operation, namespace, "ours: again");
            again.0["resource"]["operation"] = "Create".into();
            action.undone_by(bounded(again))
        }
    };
    apply_plan(t, name, &[action]).await?;
    create(t, &execution(name, name)).await?;
    let phase = match (cell.state, operation) {
        (Existed, Create) => "Failed",
        _ => "Succeeded",
    };
    execution_until(t, name, phase).await?;
    released(t, name).await?;
    Ok(())
}

/// Reverts the cell's run and checks the cell; `left` is what somebody left there.
async fn undo(t: &TestNamespace, somebody: &Somebody, cell: &Cell) -> anyhow::Result<()> {
    let left = somebody.sees(cell.operation.name()).await?;
    let name = begin_undo(t, cell, "back").await?;
    undone(t, somebody, cell, &name, left.as_ref()).await
}

async fn begin_undo(t: &TestNamespace, cell: &Cell, prefix: &str) -> anyhow::Result<String> {
    let run = cell.operation.name();
    let name = format!("{prefix}-{run}");
    create(t, &revert(&name, run, run).with("allowPartial", json!(true))).await?;
    Ok(name)
}

async fn undone(
    t: &TestNamespace,
    somebody: &Somebody,
    cell: &Cell,
    name: &str,
    left: Option<&Value>,
) -> anyhow::Result<()> {
    let phase = if cell.phase == "Failed" {
        "Failed"
    } else {
        "Succeeded"
    };
    let ended = ends(t, name, phase, cell).await?;
    if phase == "Failed" {
        let message = text(&ended, "/status/message");
        let run = cell.operation.name();
        let way_out = format!(
            "; not undone: main/{run}[0]/act; mend the cause, then create a new Revert, which goes on from there"
        );
        ensure!(message.ends_with(&way_out), "{message}");
    }
    stands(somebody, cell, left, &ended).await
}

/// Runs the plans of all cells of a state.
async fn execute_all(t: &TestNamespace, somebody: &Somebody, state: State) -> anyhow::Result<()> {
    let outcomes = cells(state).map(async |cell| (cell, execute(t, somebody, &cell).await));
    all_hold(join_all(outcomes).await)
}

async fn undo_all(t: &TestNamespace, somebody: &Somebody, cells: &[Cell]) -> anyhow::Result<()> {
    let outcomes = cells
        .iter()
        .map(async |cell| (*cell, undo(t, somebody, cell).await));
    all_hold(join_all(outcomes).await)
}

/// Covers FR-011, FR-013e.
#[tokio::test]
async fn what_existed_is_brought_back_by_its_rollback_alone() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        let somebody = Somebody::in_own(t);
        t.start_operator().await?;
        execute_all(t, &somebody, Existed).await?;
        undo_all(t, &somebody, &cells(Existed).collect::<Vec<_>>()).await
    };
    shared().await?.with_namespace("undo-existed", test).await
}

#[tokio::test]
async fn what_somebody_made_anew_is_no_objects_to_delete() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        let somebody = Somebody::in_own(t);
        t.start_operator().await?;
        execute_all(t, &somebody, Recreated).await?;
        for cell in cells(Recreated) {
            let name = cell.operation.name();
            match cell.operation {
                Delete => somebody.makes(name).await?,
                Create | Apply | Over | Patch => somebody.remakes(name).await?,
            }
        }
        undo_all(t, &somebody, &cells(Recreated).collect::<Vec<_>>()).await?;
        // The message told what to do.
        let name = Delete.name();
        somebody.deletes(name).await?;
        let mended = cell(
            Recreated,
            Delete,
            "Succeeded",
            "delete created",
            Ours("ours=again"),
        );
        let again = begin_undo(t, &mended, "again").await?;
        undone(t, &somebody, &mended, &again, None).await
    };
    shared().await?.with_namespace("undo-recreated", test).await
}

#[tokio::test]
async fn what_somebody_changed_is_undone_and_the_rest_of_the_change_stays() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        let somebody = Somebody::in_own(t);
        let operator = t.start_operator().await?;
        execute_all(t, &somebody, Changed).await?;
        let (deleted, others): (Vec<_>, Vec<_>) = cells(Changed).partition(|cell| cell.operation == Delete);
        for cell in &others {
            let change = json!({"k": "changed", "ours": "changed"});
            somebody.changes(cell.operation.name(), change).await?;
        }
        undo_all(t, &somebody, &others).await?;

        operator.kill9().await?;
        let launch = t.operator_launch()?.env("DRPLAN_FAULT", "after-effect=kill");
        let operator = t.launch_operator(launch).await?;
        for cell in &deleted {
            let name = begin_undo(t, cell, "back").await?;
            ensure!(operator.ended().await? == 128 + 9, "it does not die");
            let object = cell.operation.name();
            somebody.changes(object, json!({"k": "changed"})).await?;
            let left = somebody.sees(object).await?;
            t.start_operator().await?;
            undone(t, &somebody, cell, &name, left.as_ref()).await?;
            ensure!(somebody.sees(object).await? == left, "it was written again");
        }
        Ok(())
    };
    shared().await?.with_namespace("undo-changed", test).await
}

#[tokio::test]
async fn what_a_finalizer_holds_is_told_and_undone_once_it_is_let_go() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        let somebody = Somebody::in_own(t);
        t.start_operator().await?;
        execute_all(t, &somebody, Held).await?;
        for cell in cells(Held) {
            let name = cell.operation.name();
            match cell.operation {
                Create | Apply => somebody.holds(name).await?,
                Over | Patch => somebody.deletes(name).await?,
                // The run deleted it.
                Delete => {}
            }
        }
        undo_all(t, &somebody, &cells(Held).collect::<Vec<_>>()).await?;
        for cell in cells(Held) {
            somebody.lets_go(cell.operation.name()).await?;
        }
        let mended = [
            cell(Held, Create, "Succeeded", "create was absent", Nothing),
            cell(Held, Apply, "Succeeded", "apply was absent", Nothing),
            cell(Held, Delete, "Succeeded", "delete created", Ours("ours=again")),
        ];
        let outcomes = mended.map(async |cell| {
            let outcome = async {
                let again = begin_undo(t, &cell, "again").await?;
                undone(t, &somebody, &cell, &again, None).await
            };
            (cell, outcome.await)
        });
        all_hold(join_all(outcomes).await)
    };
    shared().await?.with_namespace("undo-held", test).await
}

#[tokio::test]
async fn in_a_namespace_that_is_being_deleted_what_is_gone_is_undone() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        let somebody = Somebody::beside(t).await?;
        t.start_operator().await?;
        execute_all(t, &somebody, Going).await?;
        let held = [Create, Over].map(Operation::name);
        for name in held {
            somebody.holds(name).await?;
        }
        let outcome = async {
            let gone = [Apply, Patch, Delete].map(Operation::name);
            somebody.deletes_namespace(&held, &gone).await?;
            let (waits, others): (Vec<_>, Vec<_>) = cells(Going).partition(|cell| cell.operation == Create);
            undo_all(t, &somebody, &others).await?;
            for cell in &waits {
                let name = cell.operation.name();
                let by_operator = t
                    .control_plane
                    .audit()
                    .query()
                    .user(&format!("operator:{}", t.name));
                let gets = by_operator.namespace(&somebody.namespace).verb("get").name(name);
                let so_far = gets.entries()?.len();
                let back = begin_undo(t, cell, "back").await?;
                // The second read is that of the wait.
                gets.wait_for(so_far + 2).await?;
                somebody.lets_go(name).await?;
                undone(t, &somebody, cell, &back, None).await?;
            }
            Ok(())
        };
        let outcome = outcome.await;
        for name in held {
            if somebody.sees(name).await?.is_some() {
                somebody.lets_go(name).await?;
            }
        }
        outcome
    };
    shared().await?.with_namespace("undo-going", test).await
}
