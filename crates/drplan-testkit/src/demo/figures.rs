//! What it took, in figures.

use drplan_api::DRPlanExecutionStatus;
use drplan_api::status::StepPhase;

use super::back::Revert;
use super::follow::actions;
use super::forth::Run;
use super::scene::{OPERATOR, Scene};
use super::screen::{Ink, Screen, seconds};
use super::services::Journals;

/// What one execution took.
struct Column {
    duration: String,
    actions: String,
    calls: usize,
    repeats: usize,
    objects: String,
    writes: usize,
}

/// The figures of a run and its Revert.
pub(super) struct Figures {
    run: Column,
    revert: Column,
    /// Seconds from the kill to the start of the next operator, and from there to its first call.
    dead: f64,
    went_on: f64,
}

impl Figures {
    /// Counts them.
    pub(super) async fn of(scene: &Scene, run: &Run, revert: &Revert) -> anyhow::Result<Self> {
        let objects = run.made.len();
        let column = async |name: &str, status: &DRPlanExecutionStatus, journals: &Journals, what: &str| {
            let (done, nothing, all) = done(status);
            let writes = scene.audit.query().user(OPERATOR).resource("drplanexecutions");
            let writes = writes.subresource("status").name(name).code(200);
            let writes = writes.verb("update").verb("patch");
            // The last one is entered a moment after the end.
            writes.wait_for(1).await?;
            let calls = journals.calls();
            anyhow::Ok(Column {
                duration: status.duration.clone().unwrap_or_default(),
                actions: match nothing {
                    0 => format!("{done} of {all}"),
                    _ => format!("{done} of {all}, {nothing} had nothing to undo"),
                },
                calls: calls.len(),
                repeats: calls.iter().filter(|call| call.is_repeat).count(),
                objects: format!("{objects} {what}"),
                writes: writes.entries()?.len(),
            })
        };
        Ok(Self {
            run: column(&run.name, &run.status, &run.journals, "made").await?,
            revert: column(&revert.name, &revert.status, &revert.journals, "deleted").await?,
            dead: seconds(run.killed.at, run.restarted),
            went_on: seconds(run.restarted, run.went_on),
        })
    }

    /// Prints them.
    pub(super) fn show(&self, screen: &Screen) {
        screen.heading("In figures");
        let row = |name: &str, of: &dyn Fn(&Column) -> String| {
            let name = screen.ink(Ink::Dim, format!("{name:<24}"));
            screen.line(format!("  {name}  {:<14}  {}", of(&self.run), of(&self.revert)));
        };
        screen.line(screen.ink(Ink::Bold, format!("  {:<24}  {:<14}  Revert", "", "run")));
        row("took", &|column| column.duration.clone());
        row("actions done or undone", &|column| column.actions.clone());
        row("calls that arrived", &|column| column.calls.to_string());
        row("of them sent again", &|column| column.repeats.to_string());
        row("objects", &|column| column.objects.clone());
        row("writes of the record", &|column| column.writes.to_string());
        let name = screen.ink(Ink::Dim, format!("{:<24}", "going on"));
        screen.line(format!(
            "  {name}  {:.2} s after a new operator was started, {:.2} s after the kill",
            self.went_on,
            self.dead + self.went_on
        ));
    }
}

/// How many actions have succeeded, how many had nothing to undo, and how many there are.
fn done(status: &DRPlanExecutionStatus) -> (usize, usize, usize) {
    let actions = actions(status);
    let done = actions
        .values()
        .filter(|action| action.phase == StepPhase::Succeeded);
    let nothing = actions.values().filter(|action| action.nothing_to_undo);
    (done.count(), nothing.count(), actions.len())
}
