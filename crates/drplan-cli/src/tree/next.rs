//! What a run says of itself, and what can be done next.

use super::{Ink, Line, Look};
use crate::{
    screen::wrap,
    view::{Phase, RunView},
};

/// The last lines of a picture: the message of the run, what has become of it since, and the commands that fit.
pub(super) fn foot(run: &RunView, look: &Look) -> Vec<Line> {
    let mut lines = Vec::new();
    let ink = match run.phase {
        Phase::Failed => Ink::Bad,
        Phase::Cancelled | Phase::Unknown => Ink::Waiting,
        Phase::Pending
        | Phase::Running
        | Phase::Succeeded
        | Phase::Skipped
        | Phase::NothingToUndo
        | Phase::Other(_) => Ink::Plain,
    };
    let said = [(ink, run.message.clone()), (Ink::Plain, since(run))];
    for (ink, text) in said {
        let lines_of = wrap(&text, look.width).into_iter();
        lines.extend(lines_of.map(|line| Line::new(ink, line)));
    }
    lines.extend(commands(run, look));
    if look.live && !run.phase.is_terminal() {
        lines.push(Line::new(Ink::Dim, "Ctrl-C stops watching; the run goes on"));
    }
    lines
}

/// The commands that fit the phase of a run, each with what it is for.
pub(super) fn commands(run: &RunView, look: &Look) -> Vec<Line> {
    let mut lines = Vec::new();
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
    lines
}

/// What Reverts have done to a run since its end.
fn since(run: &RunView) -> String {
    match &run.undone {
        Some(undone) if undone.wholly && undone.by.is_empty() => {
            "undone: there was nothing to undo".to_owned()
        }
        Some(undone) if undone.wholly => format!("undone by {}", undone.by),
        Some(undone) if !undone.by.is_empty() => {
            format!(
                "undone in part by {}; another Revert goes on from there",
                undone.by
            )
        }
        Some(_) | None => String::new(),
    }
}

/// What can be done, and the command that does it.
fn steps(run: &RunView) -> Vec<(&'static str, String)> {
    let name = &run.name;
    match (&run.phase, run.cancelling) {
        (Phase::Running, Some(false)) => vec![("no waiting:", format!("cancel {name} --now"))],
        (Phase::Unknown, _) => vec![
            ("go on:", format!("resume {name}")),
            ("end it:", format!("cancel {name}")),
        ],
        (Phase::Failed | Phase::Cancelled, _) if run.is_revert() => after_revert(run),
        (Phase::Succeeded | Phase::Failed | Phase::Cancelled, _) if !run.is_revert() => after_execute(run),
        (
            Phase::Pending
            | Phase::Running
            | Phase::Succeeded
            | Phase::Failed
            | Phase::Cancelled
            | Phase::Skipped
            | Phase::NothingToUndo
            | Phase::Other(_),
            _,
        ) => Vec::new(),
    }
}

fn after_execute(run: &RunView) -> Vec<(&'static str, String)> {
    let is_partial = run.phase != Phase::Succeeded;
    let mut steps = Vec::new();
    // What never began has nothing to undo.
    let is_undone = run.undone.as_ref().is_some_and(|undone| undone.wholly);
    if run.start.is_some() && !is_undone {
        steps.push(("undo:", revert(&run.name, is_partial)));
    }
    if is_partial && !run.plan.is_empty() {
        steps.push(("run again:", format!("run {}", run.plan)));
    }
    steps
}

fn after_revert(run: &RunView) -> Vec<(&'static str, String)> {
    let target = &run.reverts;
    if target.is_empty() {
        return Vec::new();
    }
    if run.start.is_some() || run.phase == Phase::Cancelled {
        return vec![("go on:", revert(target, run.allow_partial))];
    }
    // A refusal begins with its reason.
    match run.message.split(':').next().unwrap_or_default() {
        "RevertTargetNotSucceeded" => vec![("undo it:", revert(target, true))],
        "RevertTargetNotEnded" => vec![("look at it:", format!("watch {target}"))],
        "AlreadyRan"
        | "Missing"
        | "Plan has an execution in progress"
        | "PlanSuspended"
        | "StartDeadlineExceeded" => {
            vec![("try again:", revert(target, run.allow_partial))]
        }
        _ => Vec::new(),
    }
}

fn revert(target: &str, allow_partial: bool) -> String {
    let partial = if allow_partial { " --allow-partial" } else { "" };
    format!("revert {target}{partial}")
}
