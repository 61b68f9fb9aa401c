//! The rows of the tree, before they are laid out.

use drplan_api::Time;

use super::{Ink, Look, duration, elapsed, fold::Folds};
use crate::{
    screen::width,
    view::{ActionView, Phase, RunView, StageView, WorkflowView},
};

/// Lines of one cause. A message has 256 bytes at most; this is enough for it on 80 columns.
pub(super) const DETAIL_LINES_MAX: usize = 5;

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    /// The branches before the symbol.
    pub(super) prefix: String,
    /// The branches before the lines below.
    pub(super) rail: String,
    pub(super) symbol: String,
    pub(super) ink: Ink,
    pub(super) name: String,
    pub(super) name_ink: Ink,
    pub(super) time: String,
    pub(super) note: String,
    pub(super) note_ink: Ink,
    /// What the note says the reason of; below it where it has no room beside it.
    pub(super) reason: String,
    /// What stands below it, to be wrapped.
    pub(super) details: Vec<(Ink, String)>,
    /// Whether somebody who watches must see it.
    pub(super) important: bool,
}

impl Row {
    /// Columns up to the end of the name.
    pub(super) fn name_width(&self) -> usize {
        width(&self.prefix) + 2 + width(&self.name)
    }
}

/// The symbol of a phase and its colour.
pub(super) fn mark(phase: &Phase, now: Time, look: &Look) -> (String, Ink) {
    const TURNS: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    const ASCII_TURNS: [&str; 4] = ["-", "\\", "|", "/"];
    let frame = usize::try_from(now.as_millis().max(0) / 100).unwrap_or(0);
    let pick = |unicode: &'static str, ascii: &'static str| if look.unicode { unicode } else { ascii };
    let (symbol, ink) = match phase {
        Phase::Pending => (pick("·", "."), Ink::Dim),
        Phase::Running if look.unicode => (TURNS[frame % TURNS.len()], Ink::Busy),
        Phase::Running => (ASCII_TURNS[frame % ASCII_TURNS.len()], Ink::Busy),
        Phase::Succeeded => (pick("✔", "+"), Ink::Good),
        Phase::Failed => (pick("✘", "x"), Ink::Bad),
        Phase::Skipped | Phase::NothingToUndo => ("-", Ink::Dim),
        Phase::Cancelled => (pick("✘", "x"), Ink::Waiting),
        Phase::Unknown | Phase::Other(_) => ("?", Ink::Waiting),
    };
    (symbol.to_owned(), ink)
}

/// The rows of `run` with `folds` folded.
pub(super) fn rows(run: &RunView, now: Time, look: &Look, folds: &Folds) -> Vec<Row> {
    let mut shown = Rows {
        run,
        now,
        look,
        folds,
        rows: Vec::new(),
    };
    let mut index = 0;
    while let Some(stage) = run.stages.get(index) {
        let is_folded = |index: &usize| folds.stages.contains(index);
        let alike = (index..run.stages.len())
            .take_while(|next| folds.rows && is_folded(next) && run.stages[*next].phase == stage.phase)
            .count();
        if alike > 1 {
            let last = &run.stages[index + alike - 1];
            shown.together("", &stage.phase, alike, "stages", &stage.name, &last.name);
            index += alike;
            continue;
        }
        shown.stage(index, stage);
        index += 1;
    }
    shown.rows
}

struct Rows<'a> {
    run: &'a RunView,
    now: Time,
    look: &'a Look,
    folds: &'a Folds,
    rows: Vec<Row>,
}

impl Rows<'_> {
    fn stage(&mut self, index: usize, stage: &StageView) {
        let folded = self.folds.stages.contains(&index);
        let (done, all) = stage.workflows.iter().map(progress).fold((0, 0), add);
        let mut note = Vec::new();
        if stage.parallel && matches!(stage.phase, Phase::Running | Phase::Pending) {
            note.push("parallel".to_owned());
        }
        if stage.phase == Phase::Pending {
            let waits_for = self.open_before(stage);
            if !waits_for.is_empty() {
                note.push(format!("after {}", waits_for.join(", ")));
            }
        } else if !stage.message.is_empty() {
            note.push(stage.message.clone());
        }
        if folded || !matches!(stage.phase, Phase::Skipped | Phase::Pending) {
            note.insert(0, self.counted(&stage.phase, done, all));
        }
        let mut row = self.row("", &stage.phase, &stage.name);
        row.time = self.time(stage.start, stage.end);
        row.name_ink = strong(&stage.phase, Ink::Bold);
        row.note = note.join(self.dot());
        self.rows.push(row);
        if folded {
            return;
        }
        let mut position = 0;
        while let Some(workflow) = stage.workflows.get(position) {
            let is_folded = |next: &usize| self.folds.workflows.contains(&(index, *next));
            let alike = (position..stage.workflows.len())
                .take_while(|next| {
                    self.folds.rows && is_folded(next) && stage.workflows[*next].phase == workflow.phase
                })
                .count();
            if alike > 1 {
                let end = position + alike;
                let branch = self.branch(end == stage.workflows.len()).0;
                let last = &stage.workflows[end - 1];
                self.together(
                    branch,
                    &workflow.phase,
                    alike,
                    "workflows",
                    &workflow.name,
                    &last.name,
                );
                position = end;
                continue;
            }
            self.workflow((index, position), workflow, position + 1 == stage.workflows.len());
            position += 1;
        }
    }

    fn workflow(&mut self, at: (usize, usize), workflow: &WorkflowView, is_last: bool) {
        let (branch, rail) = self.branch(is_last);
        let (done, all) = progress(workflow);
        let inline = self.folds.inline.contains(&at);
        let folded = inline || self.folds.workflows.contains(&at);
        let mut row = self.row(branch, &workflow.phase, &workflow.name);
        row.rail = rail.to_owned();
        row.time = self.time(workflow.start, workflow.end);
        row.name_ink = strong(&workflow.phase, Ink::Plain);
        let mut note = Vec::new();
        if folded || !matches!(workflow.phase, Phase::Skipped | Phase::Pending) {
            note.push(self.counted(&workflow.phase, done, all));
        }
        if !workflow.message.is_empty() {
            note.push(workflow.message.clone());
        }
        if inline {
            row.important = true;
            let running = workflow
                .actions
                .iter()
                .filter(|action| action.phase == Phase::Running);
            note.extend(running.map(|action| match action.waits_until(self.now) {
                Some(until) => format!("{}: {}", action.name, self.next_attempt(action, until)),
                None => action.name.clone(),
            }));
        }
        row.note = note.join(self.dot());
        self.rows.push(row);
        if folded {
            return;
        }
        let shares = self.folds.actions.contains(&at);
        let mut position = 0;
        while let Some(action) = workflow.actions.get(position) {
            let is_quiet = matches!(
                action.phase,
                Phase::Succeeded | Phase::Pending | Phase::Skipped | Phase::NothingToUndo
            );
            let alike = workflow.actions[position..]
                .iter()
                .take_while(|next| shares && is_quiet && next.phase == action.phase)
                .count();
            let end = position + alike.max(1);
            let (branch, below) = self.branch(end == workflow.actions.len());
            let prefix = format!("{rail}{branch}");
            if alike > 1 {
                let last = &workflow.actions[end - 1];
                self.together(&prefix, &action.phase, alike, "actions", &action.name, &last.name);
            } else {
                // The reason of a skipped workflow stands in its own line.
                let told = workflow.phase == Phase::Skipped && workflow.message == action.message;
                self.action(prefix, format!("{rail}{below}"), action, told);
            }
            position = end;
        }
    }

    /// What the action works on, without the namespace that is the run's own.
    fn object(&self, action: &ActionView) -> Option<String> {
        let own = format!(" {}/", self.run.namespace);
        let object = action.object.replacen(&own, " ", 1);
        (!object.is_empty()).then_some(object)
    }

    fn action(&mut self, prefix: String, rail: String, action: &ActionView, told: bool) {
        let mut row = self.row(&prefix, &action.phase, &action.name);
        row.rail = rail;
        row.time = self.time(action.start, action.end);
        row.name_ink = strong(&action.phase, Ink::Plain);
        row.important = matches!(
            action.phase,
            Phase::Running | Phase::Failed | Phase::Unknown | Phase::Other(_)
        );
        let attempt = (action.attempt > 1).then(|| format!("attempt {}", action.attempt));
        let mut note: Vec<String> = Vec::new();
        if self.run.is_revert() && action.phase != Phase::Pending {
            note.push(action.phase.of_undo().to_owned());
        }
        match (&action.phase, action.waits_until(self.now)) {
            (Phase::Running, Some(until)) => {
                note.push(self.next_attempt(action, until));
                row.note_ink = Ink::Waiting;
                row.details.push((Ink::Waiting, action.message.clone()));
            }
            (Phase::Running, None) => {
                note.extend(attempt);
                note.extend(self.object(action));
                // The cause of the attempt before, or what is known of an action nobody answers for.
                if action.attempt > 1 || self.run.phase == Phase::Unknown {
                    row.details.push((Ink::Dim, action.message.clone()));
                }
            }
            (Phase::Failed | Phase::Unknown | Phase::Other(_), _) => {
                note.extend(attempt);
                note.extend(self.object(action));
                row.details.push((Ink::Bad, action.message.clone()));
            }
            (Phase::NothingToUndo, _) => row.reason = action.message.clone(),
            (Phase::Pending | Phase::Succeeded | Phase::Skipped | Phase::Cancelled, _) => {
                note.extend(attempt);
                note.extend(Some(action.message.clone()).filter(|message| !message.is_empty() && !told));
            }
        }
        row.note = note.join(self.dot());
        self.rows.push(row);
    }

    fn next_attempt(&self, action: &ActionView, until: Time) -> String {
        // Rounded up: the last second is 1s, not 0s.
        let left = duration(until.millis_since(self.now) + 999, true);
        format!("attempt {} in {left}", action.attempt)
    }

    /// Several neighbours of one phase in one row.
    fn together(&mut self, prefix: &str, phase: &Phase, count: usize, what: &str, first: &str, last: &str) {
        let mut row = self.row(prefix, phase, &format!("{count} {what}"));
        let dots = if self.look.unicode { "…" } else { "..." };
        row.note = format!("{first} {dots} {last}");
        row.name_ink = strong(phase, Ink::Plain);
        self.rows.push(row);
    }

    /// How many of a group's actions there are, or how many of them are done.
    fn counted(&self, phase: &Phase, done: usize, all: usize) -> String {
        let actions = if all == 1 { "action" } else { "actions" };
        let undone = if self.run.is_revert() { " undone" } else { "" };
        match phase {
            Phase::NothingToUndo => phase.of_undo().to_owned(),
            Phase::Pending => format!("{all} {actions}"),
            Phase::Skipped if self.run.is_revert() => format!("{all} {actions} {}", phase.of_undo()),
            Phase::Skipped => format!("{all} {actions}"),
            Phase::Succeeded => format!("{all} {actions}{undone}"),
            Phase::Running | Phase::Failed | Phase::Cancelled | Phase::Unknown | Phase::Other(_) => {
                format!("{done}/{all}{undone}")
            }
        }
    }

    fn row(&self, prefix: &str, phase: &Phase, name: &str) -> Row {
        // Of a run that is Unknown nobody knows whether its parts go on.
        let shown = match (&self.run.phase, phase) {
            (Phase::Unknown, Phase::Running) => &Phase::Unknown,
            (_, phase) => phase,
        };
        let (symbol, ink) = mark(shown, self.now, self.look);
        Row {
            prefix: prefix.to_owned(),
            rail: String::new(),
            symbol,
            ink,
            name: name.to_owned(),
            name_ink: Ink::Plain,
            time: String::new(),
            note: String::new(),
            note_ink: Ink::Dim,
            reason: String::new(),
            details: Vec::new(),
            important: false,
        }
    }

    fn time(&self, start: Option<Time>, end: Option<Time>) -> String {
        // A run that has ended goes no further, whatever its parts say.
        let now = self.run.end.unwrap_or(self.now);
        start.map(|start| elapsed(start, end, now)).unwrap_or_default()
    }

    /// The branch to a child, and what goes on below it.
    fn branch(&self, is_last: bool) -> (&'static str, &'static str) {
        match (self.look.unicode, is_last) {
            (true, false) => ("├─ ", "│  "),
            (true, true) => ("└─ ", "   "),
            (false, false) => ("|- ", "|  "),
            (false, true) => ("`- ", "   "),
        }
    }

    fn dot(&self) -> &'static str {
        if self.look.unicode { " · " } else { ", " }
    }

    /// The stages that `stage` still waits for, where it says which.
    fn open_before<'b>(&'b self, stage: &'b StageView) -> Vec<&'b str> {
        let is_open = |name: &&String| {
            let before = self.run.stages.iter().find(|other| other.name == **name);
            before.is_some_and(|before| matches!(before.phase, Phase::Pending | Phase::Running))
        };
        stage
            .depends_on
            .iter()
            .filter(is_open)
            .map(String::as_str)
            .collect()
    }
}

/// How many actions of a workflow have succeeded, and how many it has. What there is nothing to undo of does not count.
fn progress(workflow: &WorkflowView) -> (usize, usize) {
    let are = |phase: Phase| {
        workflow
            .actions
            .iter()
            .filter(move |action| action.phase == phase)
    };
    let all = workflow.actions.len() - are(Phase::NothingToUndo).count();
    (are(Phase::Succeeded).count(), all)
}

fn add(one: (usize, usize), other: (usize, usize)) -> (usize, usize) {
    (one.0 + other.0, one.1 + other.1)
}

/// What has not begun and what never will is dim, what failed stands out.
fn strong(phase: &Phase, otherwise: Ink) -> Ink {
    match phase {
        Phase::Pending | Phase::Skipped | Phase::NothingToUndo => Ink::Dim,
        Phase::Failed => Ink::Bad,
        Phase::Running | Phase::Succeeded | Phase::Cancelled | Phase::Unknown | Phase::Other(_) => otherwise,
    }
}
