//! What a run says of itself, and what can be done next.

use super::{Ink, Line, Look};
use crate::{
    screen::wrap,
    view::{Phase, RunView},
};

/// The last lines of a picture: the message of the run, and the commands that fit its phase.
pub(super) fn foot(run: &RunView, look: &Look) -> Vec<Line> {
    let mut lines = Vec::new();
    let ink = match run.phase {
        Phase::Failed => Ink::Bad,
        Phase::Cancelled | Phase::Unknown => Ink::Waiting,
        Phase::Pending | Phase::Running | Phase::Succeeded | Phase::Skipped | Phase::Other(_) => Ink::Plain,
    };
    lines.extend(
        wrap(&run.message, look.width)
            .into_iter()
            .map(|line| Line::new(ink, line)),
    );
    for (what, command) in steps(run) {
        let command = format!("kubectl drplan {command}{}", look.flags);
        // A command is never broken: it is there to be copied.
        let line = format!("{what:<11} {command}");
        if line.len() <= look.width {
            lines.push(Line(vec![
                (Ink::Dim, format!("{what:<11} ")),
                (Ink::Plain, command),
            ]));
        } else {
            lines.push(Line::new(Ink::Dim, what));
            lines.push(Line::new(Ink::Plain, format!("  {command}")));
        }
    }
    if look.live && !run.phase.is_terminal() {
        lines.push(Line::new(Ink::Dim, "Ctrl-C stops watching; the run goes on"));
    }
    lines
}

/// What can be done, and the command that does it.
fn steps(run: &RunView) -> Vec<(&'static str, String)> {
    let name = &run.name;
    let is_revert = run.operation == "Revert";
    // What never began has nothing to undo.
    let began = run.start.is_some();
    match (&run.phase, run.cancelling) {
        (Phase::Running, Some(false)) => vec![("no waiting:", format!("cancel {name} --now"))],
        (Phase::Unknown, _) => vec![
            ("go on:", format!("resume {name}")),
            ("end it:", format!("cancel {name}")),
        ],
        (Phase::Succeeded, _) if !is_revert => vec![("undo:", format!("revert {name}"))],
        (Phase::Failed | Phase::Cancelled, _) if is_revert => Vec::new(),
        (Phase::Failed | Phase::Cancelled, _) => {
            let again = ("run again:", format!("run {}", run.plan));
            let undo = ("undo:", format!("revert {name} --allow-partial"));
            match (began, run.plan.is_empty()) {
                (true, true) => vec![undo],
                (true, false) => vec![undo, again],
                (false, true) => Vec::new(),
                (false, false) => vec![again],
            }
        }
        (Phase::Pending | Phase::Running | Phase::Succeeded | Phase::Skipped | Phase::Other(_), _) => {
            Vec::new()
        }
    }
}
