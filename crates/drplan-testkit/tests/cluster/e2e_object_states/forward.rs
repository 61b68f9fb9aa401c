//! What the operations do.

use anyhow::{Context, ensure};
use drplan_testkit::TestNamespace;
use futures::future::join_all;
use serde_json::json;

use super::{
    Apply, Cell, Changed, Create, Delete, Existed, Going, HOLD, Held, Leaving, Nothing, Operation, Ours,
    Patch, Recreated, Somebody, State, Theirs, Untouched, act, all_hold, cell, ends, stands,
};
use crate::{
    fixtures::{apply_plan, create, execution, revert},
    shared,
};

/// Why nothing is created over what is there, and what to do.
const EXISTS: &str =
    "exists and was not made by this action of this execution: delete it, or use operation Apply";
/// What somebody is told who waits for an object that does not go.
const IS_HELD: &str = "is still being deleted: held by finalizers: testkit.drplan/hold";
/// What the API server says of a namespace that is being deleted.
const TERMINATED: &str = "because it is being terminated";

/// Each operation writes `ours=v`, somebody `k=theirs`.
const CELLS: [Cell; 20] = [
    // Before the run.
    cell(Existed, Create, "Failed", EXISTS, Untouched),
    cell(
        Existed,
        Apply,
        "Succeeded",
        "apply accepted",
        Theirs("k=theirs ours=v"),
    ),
    cell(
        Existed,
        Patch,
        "Succeeded",
        "patch accepted",
        Theirs("k=theirs ours=v"),
    ),
    cell(Existed, Delete, "Succeeded", "delete deleted", Nothing),
    // Between the intent and its request.
    cell(Recreated, Create, "Failed", EXISTS, Untouched),
    cell(
        Recreated,
        Apply,
        "Succeeded",
        "apply accepted",
        Theirs("k=theirs ours=v"),
    ),
    cell(
        Recreated,
        Patch,
        "Succeeded",
        "patch accepted",
        Theirs("k=theirs ours=v"),
    ),
    cell(
        Recreated,
        Delete,
        "Succeeded",
        "delete is another object by now and was left alone",
        Untouched,
    ),
    // Between the request and its record, where the process died; for Delete before the request.
    cell(
        Changed,
        Create,
        "Succeeded",
        "create created",
        Ours("k=changed ours=v"),
    ),
    cell(
        Changed,
        Apply,
        "Failed",
        ".data.ours belongs to somebody; set force: true to take over, or leave it out of the manifest",
        Untouched,
    ),
    cell(
        Changed,
        Patch,
        "Succeeded",
        "patch accepted",
        Theirs("k=changed ours=v"),
    ),
    cell(Changed, Delete, "Succeeded", "delete deleted", Nothing),
    // Before the run; it is being deleted already, except for Delete.
    cell(Held, Create, "Failed", IS_HELD, Untouched),
    cell(Held, Apply, "Failed", IS_HELD, Untouched),
    cell(
        Held,
        Patch,
        "Succeeded",
        "patch accepted",
        Leaving("k=theirs ours=v"),
    ),
    cell(Held, Delete, "Succeeded", "delete deleted", Leaving("k=theirs")),
    // For Create and Apply it is not there, for the others it is held.
    cell(Going, Create, "Failed", TERMINATED, Nothing),
    cell(Going, Apply, "Failed", TERMINATED, Nothing),
    cell(
        Going,
        Patch,
        "Succeeded",
        "patch accepted",
        Leaving("k=theirs ours=v"),
    ),
    cell(Going, Delete, "Succeeded", "delete deleted", Untouched),
];

/// What a Revert with allowPartial does after that where the process died.
const UNDO: [Cell; 8] = [
    cell(
        Recreated,
        Create,
        "Skipped",
        "it failed without any effect",
        Untouched,
    ),
    cell(
        Recreated,
        Apply,
        "Skipped",
        "it was applied over an object that was there",
        Untouched,
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
        "Skipped",
        "a deletion has no undo but its rollback",
        Untouched,
    ),
    cell(Changed, Create, "Succeeded", "create deleted", Nothing),
    // Nobody recorded that it was made; it says so itself, but not of all of its fields.
    cell(
        Changed,
        Apply,
        "Skipped",
        "what stands there has fields of others and is left alone",
        Untouched,
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
        "Skipped",
        "a deletion has no undo but its rollback",
        Untouched,
    ),
];

fn cells(state: State) -> impl Iterator<Item = Cell> {
    CELLS.into_iter().filter(move |cell| cell.state == state)
}

/// Applies the cell's plan and runs it.
async fn begin(t: &TestNamespace, somebody: &Somebody, cell: &Cell) -> anyhow::Result<()> {
    let operation = cell.operation;
    let mut action = act(operation, &somebody.namespace, "ours: v");
    if operation == Patch {
        // A Patch without one is refused.
        action = action.undone_by(act(operation, &somebody.namespace, "ours: back"));
    }
    if cell.says == IS_HELD {
        action = action.timeout("3s");
    }
    apply_plan(t, operation.name(), &[action]).await?;
    create(t, &execution(operation.name(), operation.name())).await?;
    Ok(())
}

/// Runs all cells of a state at once; somebody did what is to be done before.
async fn run_all(t: &TestNamespace, somebody: &Somebody, state: State) -> anyhow::Result<()> {
    t.start_operator().await?;
    let run = async |cell: &Cell| {
        let name = cell.operation.name();
        let left = somebody.sees(name).await?;
        begin(t, somebody, cell).await?;
        let ended = ends(t, name, cell.phase, cell).await?;
        stands(somebody, cell, left.as_ref(), &ended).await
    };
    let outcomes = cells(state).map(async |cell| (cell, run(&cell).await));
    all_hold(join_all(outcomes).await)
}

#[tokio::test]
async fn what_existed_is_written_over_only_as_far_as_was_written() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        let somebody = Somebody::in_own(t);
        for cell in cells(Existed) {
            somebody.makes(cell.operation.name()).await?;
        }
        run_all(t, &somebody, Existed).await
    };
    shared().await?.with_namespace("states-existed", test).await
}

#[tokio::test]
async fn what_a_finalizer_holds_is_waited_for_or_written() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        let somebody = Somebody::in_own(t);
        for cell in cells(Held) {
            let name = cell.operation.name();
            somebody.makes(name).await?;
            somebody.holds(name).await?;
            if cell.operation != Delete {
                somebody.deletes(name).await?;
            }
        }
        run_all(t, &somebody, Held).await?;
        for cell in cells(Held) {
            somebody.lets_go(cell.operation.name()).await?;
        }
        Ok(())
    };
    shared().await?.with_namespace("states-held", test).await
}

#[tokio::test]
async fn in_a_namespace_that_is_being_deleted_nothing_is_made() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        let somebody = Somebody::beside(t).await?;
        let held = [Patch, Delete].map(Operation::name);
        for name in held {
            somebody.makes(name).await?;
            somebody.holds(name).await?;
        }
        somebody.deletes_namespace(&held, &[]).await?;
        let outcome = run_all(t, &somebody, Going).await;
        for name in held {
            somebody.lets_go(name).await?;
        }
        outcome
    };
    shared().await?.with_namespace("states-going", test).await
}

/// Each cell of a state where the process dies in the action, and somebody is faster than its successor.
async fn interrupt_each(state: State) -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let outcomes = cells(state).map(async |cell| {
        let test = async |t: &TestNamespace| interrupted(t, &cell).await;
        let name = format!("states-cut-{}", cell.operation.name());
        (cell, control_plane.with_namespace(&name, test).await)
    });
    all_hold(join_all(outcomes).await)
}

async fn interrupted(t: &TestNamespace, cell: &Cell) -> anyhow::Result<()> {
    let (somebody, name) = (Somebody::in_own(t), cell.operation.name());
    if !matches!((cell.state, cell.operation), (_, Create) | (Changed, Apply)) {
        somebody.makes(name).await?;
    }
    let point = match (cell.state, cell.operation) {
        (Changed, Create | Apply | Patch) => "after-effect",
        _ => "before-effect",
    };
    let launch = t.operator_launch()?.env("DRPLAN_FAULT", format!("{point}=kill"));
    let operator = t.launch_operator(launch).await?;
    begin(t, &somebody, cell).await?;
    ensure!(operator.ended().await? == 128 + 9, "it does not die at {point}");
    match (cell.state, cell.operation) {
        (Recreated, Create) => somebody.makes(name).await?,
        (Recreated, _) => somebody.remakes(name).await?,
        (_, Apply) => somebody.changes(name, json!({"ours": "changed"})).await?,
        _ => somebody.changes(name, json!({"k": "changed"})).await?,
    }
    let left = somebody.sees(name).await?;
    t.start_operator().await?;
    let ended = ends(t, name, cell.phase, cell).await?;
    stands(&somebody, cell, left.as_ref(), &ended).await?;
    let undo = UNDO
        .into_iter()
        .find(|undo| (undo.state, undo.operation) == (cell.state, cell.operation));
    let undo = undo.context("every cell has its undo")?;
    let left = somebody.sees(name).await?;
    create(t, &revert("back", name, name).with("allowPartial", json!(true))).await?;
    let ended = ends(t, "back", "Succeeded", &undo).await?;
    stands(&somebody, &undo, left.as_ref(), &ended).await
}

#[tokio::test]
async fn what_somebody_made_anew_after_the_intent_stays_somebodys() -> anyhow::Result<()> {
    interrupt_each(Recreated).await
}

#[tokio::test]
async fn what_somebody_changed_before_the_record_keeps_the_change() -> anyhow::Result<()> {
    interrupt_each(Changed).await
}

#[tokio::test]
async fn what_is_let_go_while_it_is_waited_for_is_made_anew() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        let somebody = Somebody::in_own(t);
        t.start_operator().await?;
        let cells = [
            cell(Held, Create, "Succeeded", "create created", Ours("ours=v")),
            cell(Held, Apply, "Succeeded", "apply created", Ours("ours=v")),
        ];
        let run = async |cell: &Cell| {
            let name = cell.operation.name();
            somebody.makes(name).await?;
            somebody.holds(name).await?;
            somebody.deletes(name).await?;
            let by_operator = t.audit().user(&format!("operator:{}", t.name));
            let reads = by_operator.verb("get").resource("configmaps").name(name);
            begin(t, &somebody, cell).await?;
            // The second read is that of the wait.
            reads.wait_for(2).await?;
            ensure!(somebody.sees(name).await?.is_some(), "{HOLD} holds it");
            somebody.lets_go(name).await?;
            let ended = ends(t, name, "Succeeded", cell).await?;
            stands(&somebody, cell, None, &ended).await
        };
        let outcomes = cells.map(async |cell| (cell, run(&cell).await));
        all_hold(join_all(outcomes).await)
    };
    shared().await?.with_namespace("states-let-go", test).await
}
