//! The runs of a plan as a table: a function of what the API server holds, the time and the width of the screen.

use drplan_api::{GoDuration, Time};
use serde_json::Value;

use crate::{
    screen::{clean, pad, width},
    view::RunView,
};

const HEADINGS: [&str; COLUMNS] = [
    "NAME",
    "OPERATION",
    "PHASE",
    "STARTED (UTC)",
    "TOOK",
    "BY",
    "NOTE",
];
const COLUMNS: usize = 7;

/// The lines of the table, newest run first: the runs that the plan's `status` remembers, and `executions`. None if
/// there are no runs.
///
/// Where a line is wider than `columns`, what is noted about a run stands below it.
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
    let rows = runs.iter().map(|run| run.row(now));
    let rows: Vec<[String; COLUMNS]> = [HEADINGS.map(str::to_owned)].into_iter().chain(rows).collect();
    let beside = laid_out(&rows, COLUMNS);
    let fits = columns.is_none_or(|columns| beside.iter().all(|line| width(line) <= columns));
    let has_notes = runs.iter().any(|run| !run.note.is_empty());
    if fits && has_notes {
        return beside;
    }
    let mut lines = Vec::new();
    let notes = [""].into_iter().chain(runs.iter().map(|run| run.note.as_str()));
    for (line, note) in laid_out(&rows, COLUMNS - 1).into_iter().zip(notes) {
        lines.push(line);
        if !note.is_empty() {
            lines.push(format!("  {note}"));
        }
    }
    lines
}

/// The first `count` cells of each row, in columns.
fn laid_out(rows: &[[String; COLUMNS]], count: usize) -> Vec<String> {
    let widths: Vec<usize> = (0..count)
        .map(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0))
        .collect();
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| pad(cell, *width));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
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
    is_gone: bool,
}

impl Run {
    fn of_execution(object: &Value) -> Self {
        let view = RunView::read(object);
        let created = text(&object["metadata"], "creationTimestamp").parse().ok();
        Self {
            note: note(&view),
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
            is_gone: true,
        }
    }

    fn row(&self, now: Time) -> [String; COLUMNS] {
        let took = self.start.filter(|_| self.phase != "Pending").map(|start| {
            let end = self.end.unwrap_or(now);
            GoDuration::from_millis(end.millis_since(start) / 1000 * 1000).to_string()
        });
        let start = self.start.map(|start| start.to_string()).unwrap_or_default();
        let phase = if self.is_gone {
            format!("{} (deleted)", self.phase)
        } else {
            self.phase.clone()
        };
        [
            self.name.clone(),
            self.operation.clone(),
            phase,
            // To the second.
            start.get(..19).unwrap_or(&start).replace('T', " "),
            took.unwrap_or_default(),
            self.by.clone(),
            self.note.clone(),
        ]
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
