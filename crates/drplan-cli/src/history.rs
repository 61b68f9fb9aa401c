//! The runs of a plan as a table: a function of what the API server holds, the time and the width of the screen.

use drplan_api::{GoDuration, Time};
use serde_json::Value;

use crate::{
    screen::{clean, pad, width},
    view::RunView,
};

/// The lines of the table, newest run first: the runs that the plan's `status` remembers, and `executions`. None if
/// there are no runs.
///
/// Where `columns` are too few for it, each run has a second line for what is not its name, phase and time.
pub fn lines(status: &Value, executions: &[Value], now: Time, columns: Option<usize>) -> Vec<String> {
    let mut runs: Vec<Run> = executions.iter().map(Run::of_execution).collect();
    let entries = status["executionHistory"].as_array();
    for entry in entries.into_iter().flatten().map(Run::of_entry) {
        match runs.iter_mut().find(|run| run.uid == entry.uid) {
            Some(run) => run.by = entry.by,
            None => runs.push(entry),
        }
    }
    runs.sort_by(|one, other| other.start.cmp(&one.start).then(one.name.cmp(&other.name)));
    if runs.is_empty() {
        return Vec::new();
    }
    let wide = table(&runs, &WIDE, now);
    if columns.is_none_or(|columns| wide.iter().all(|line| width(line) <= columns)) {
        return wide;
    }
    let seconds = runs.iter().map(|run| format!("  {}", run.story()));
    let mut lines = table(&runs, &NARROW, now);
    let rows = lines.split_off(1).into_iter();
    lines.extend(rows.zip(seconds).flat_map(|(row, second)| [row, second]));
    lines
}

/// A column: its heading, and what it says of a run.
type Column = (&'static str, fn(&Run, Time) -> String);

const NAME: Column = ("NAME", |run, _| run.name.clone());
const PHASE: Column = ("PHASE", |run, _| run.phase.clone());
const STARTED: Column = ("STARTED (UTC)", |run, _| run.started());
const TOOK: Column = ("TOOK", Run::took);
const WIDE: [Column; 7] = [
    NAME,
    ("OPERATION", |run, _| run.operation.clone()),
    ("PHASE", |run, _| run.lasting_phase()),
    STARTED,
    TOOK,
    ("BY", |run, _| run.by.clone()),
    ("NOTE", |run, _| run.note.clone()),
];
const NARROW: [Column; 4] = [NAME, PHASE, STARTED, TOOK];

/// A line of headings and one for each of `runs`. A column without anything is left out.
fn table(runs: &[Run], columns: &[Column], now: Time) -> Vec<String> {
    let mut lines = vec![String::new(); runs.len() + 1];
    for (heading, cell) in columns {
        let cells: Vec<String> = runs.iter().map(|run| cell(run, now)).collect();
        if cells.iter().all(String::is_empty) {
            continue;
        }
        let widest = cells.iter().map(|cell| width(cell)).max().unwrap_or(0);
        let widest = widest.max(width(heading));
        let cells = [(*heading).to_owned()].into_iter().chain(cells);
        for (line, cell) in lines.iter_mut().zip(cells) {
            line.push_str(&format!("{}   ", pad(&cell, widest)));
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

struct Run {
    uid: String,
    name: String,
    operation: String,
    phase: String,
    start: Option<Time>,
    end: Option<Time>,
    by: String,
    note: String,
    /// Whether the note names what it undoes.
    is_revert: bool,
    is_gone: bool,
}

impl Run {
    fn of_execution(object: &Value) -> Self {
        let view = RunView::read(object);
        let created = text(&object["metadata"], "creationTimestamp").parse().ok();
        Self {
            note: note(&view),
            is_revert: view.is_revert() && !view.reverts.is_empty(),
            uid: view.uid,
            name: view.name,
            operation: view.operation,
            phase: view.phase.as_str().to_owned(),
            start: view.start.or(created),
            end: view.end,
            by: String::new(),
            is_gone: false,
        }
    }

    fn of_entry(entry: &Value) -> Self {
        Self {
            uid: text(entry, "uid"),
            name: text(entry, "name"),
            operation: text(entry, "operationType"),
            phase: text(entry, "phase"),
            start: text(entry, "startTime").parse().ok(),
            end: text(entry, "completionTime").parse().ok(),
            by: text(entry, "requestedBy"),
            note: String::new(),
            is_revert: false,
            is_gone: true,
        }
    }

    fn lasting_phase(&self) -> String {
        if self.is_gone {
            format!("{} (deleted)", self.phase)
        } else {
            self.phase.clone()
        }
    }

    /// To the second.
    fn started(&self) -> String {
        let start = self.start.map(|start| start.to_string()).unwrap_or_default();
        start.get(..19).unwrap_or(&start).replace('T', " ")
    }

    fn took(&self, now: Time) -> String {
        let took = self.start.filter(|_| self.phase != "Pending").map(|start| {
            let end = self.end.unwrap_or(now);
            GoDuration::from_millis(end.millis_since(start) / 1000 * 1000).to_string()
        });
        took.unwrap_or_default()
    }

    /// What a narrow table has no column for.
    fn story(&self) -> String {
        let mut parts = if self.is_revert {
            vec![format!("{} {}", self.operation, self.note)]
        } else {
            vec![self.operation.clone(), self.note.clone()]
        };
        if self.is_gone {
            parts.push("deleted".to_owned());
        }
        if !self.by.is_empty() {
            parts.push(format!("by {}", self.by));
        }
        parts.retain(|part| !part.is_empty());
        parts.join(", ")
    }
}

/// What a Revert undoes, or what has been undone of an Execute.
fn note(run: &RunView) -> String {
    if run.is_revert() && !run.reverts.is_empty() {
        return format!("of {}", run.reverts);
    }
    match &run.undone {
        Some(undone) if undone.wholly && undone.by.is_empty() => "undone".to_owned(),
        Some(undone) if undone.wholly => format!("undone by {}", undone.by),
        Some(undone) if !undone.by.is_empty() => format!("undone in part by {}", undone.by),
        Some(_) | None => String::new(),
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().map(clean).unwrap_or_default()
}
