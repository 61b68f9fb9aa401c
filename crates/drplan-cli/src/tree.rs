//! A run as a tree of lines: a function of the run, the time and the look, and of nothing else.
//!
//! Every stage with its workflows and their actions, what each of them does and for how long, the cause under whatever
//! failed, and at the end what can be done next. Where the lines are more than the screen has, what has ended well is
//! folded first, then what has not begun; what runs and what failed stays.

mod fold;
mod next;
mod rows;

use drplan_api::Time;

use crate::{
    screen::{fit, pad, width, wrap},
    view::{Phase, RunView},
};

use self::{
    fold::Folds,
    rows::{Row, rows},
};

/// How a run is to be shown.
#[derive(Clone, Debug)]
pub struct Look {
    /// Columns of the screen.
    pub width: usize,
    /// Rows that may be used; none: as many as it takes.
    pub height: Option<usize>,
    /// Whether more than ASCII can be shown.
    pub unicode: bool,
    /// What stands behind `kubectl drplan <command> <name>` to reach the same cluster, with a blank before it.
    pub flags: String,
    /// Whether somebody watches and Ctrl-C is a way out.
    pub live: bool,
}

impl Look {
    /// Of that many columns, without bound on rows.
    pub fn wide(width: usize) -> Self {
        Self {
            width,
            height: None,
            unicode: true,
            flags: String::new(),
            live: false,
        }
    }

    fn cut(&self) -> &'static str {
        if self.unicode { "…" } else { "~" }
    }
}

/// What a piece of text is, from which its colour follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// As the terminal shows text.
    Plain,
    /// A heading.
    Bold,
    /// What matters less now.
    Dim,
    /// What went well.
    Good,
    /// What goes on.
    Busy,
    /// What waits or is to be looked at.
    Waiting,
    /// What went wrong.
    Bad,
}

impl Ink {
    /// The parameters of SGR. Only colours that are legible on black and on white, and none for backgrounds.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("1"),
            Self::Dim => Some("2"),
            Self::Good => Some("32"),
            Self::Busy => Some("36"),
            Self::Waiting => Some("35"),
            Self::Bad => Some("1;31"),
        }
    }
}

/// One line of pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(pub Vec<(Ink, String)>);

impl Line {
    fn new(ink: Ink, text: impl Into<String>) -> Self {
        Self(vec![(ink, text.into())])
    }

    /// The text alone.
    pub fn plain(&self) -> String {
        let text: String = self.0.iter().map(|(_, text)| text.as_str()).collect();
        text.trim_end().to_owned()
    }

    /// The text with colours for a terminal.
    pub fn coloured(&self) -> String {
        let mut out = String::new();
        for (ink, text) in &self.0 {
            match ink.code() {
                Some(code) if !text.trim().is_empty() => {
                    out.push_str(&format!("\x1b[{code}m{text}\x1b[0m"));
                }
                Some(_) | None => out.push_str(text),
            }
        }
        out.trim_end().to_owned()
    }

    /// Columns it takes.
    pub fn width(&self) -> usize {
        width(&self.plain())
    }
}

/// The lines that show `run` at `now`. None is wider than the look allows, but for commands: they are there to be
/// copied.
pub fn render(run: &RunView, now: Time, look: &Look) -> Vec<Line> {
    let head = head(run, now, look);
    let foot = next::foot(run, look);
    let room = look
        .height
        .map(|height| height.saturating_sub(head.len() + foot.len() + 2));
    let folds = match room {
        None => Folds::default(),
        Some(room) => fold::until(run, |folds| body(run, now, look, folds).len() <= room),
    };
    let mut body = body(run, now, look, &folds);
    if let Some(room) = room.filter(|room| body.len() > *room) {
        body = crop(body, room, look);
    }
    let mut lines = head;
    if !body.is_empty() {
        lines.push(Line::default());
        lines.extend(body.into_iter().map(|(line, _)| line));
    }
    if !foot.is_empty() {
        lines.push(Line::default());
        lines.extend(foot);
    }
    if let Some(height) = look.height {
        lines.truncate(height.max(1));
    }
    lines
}

/// The commands that fit the phase of `run`, each with what it is for.
pub(crate) fn commands(run: &RunView, look: &Look) -> Vec<Line> {
    next::commands(run, look)
}

fn head(run: &RunView, now: Time, look: &Look) -> Vec<Line> {
    let what = run.what();
    let title = fit(&run.name, look.width, look.cut());
    let room = look.width.saturating_sub(width(&title) + 2);
    // What is undone is never cut where a line of its own shows it.
    let mut lines = if run.is_revert() && width(&what) > room {
        let what = Line::new(Ink::Plain, fit(&what, look.width, look.cut()));
        vec![Line::new(Ink::Bold, title), what]
    } else {
        let what = format!("  {}", fit(&what, room, look.cut()));
        vec![Line(vec![(Ink::Bold, title), (Ink::Plain, what)])]
    };
    let mut state = match (&run.phase, run.cancelling) {
        (Phase::Running, Some(false)) => "Cancelling".to_owned(),
        (Phase::Running, Some(true)) => "Cancelling now".to_owned(),
        (phase, _) => phase.as_str().to_owned(),
    };
    if let Some(start) = run.start {
        state.push_str(&format!("  {}", elapsed(start, run.end, now)));
    }
    state.push_str(&progress(run));
    if let Some(deadline) = run
        .deadline
        .filter(|_| run.phase == Phase::Running && run.cancelling.is_none())
    {
        let left = duration(deadline.millis_since(now), true);
        state.push_str(&format!("  timeout in {left}"));
    }
    let (symbol, ink) = rows::mark(&run.phase, now, look);
    let strong = match (&run.phase, run.cancelling) {
        (Phase::Running, Some(_)) => Ink::Waiting,
        (Phase::Running, None) => Ink::Bold,
        (_, _) => ink,
    };
    let state = fit(&state, look.width.saturating_sub(2), look.cut());
    let symbol = fit(&format!("{symbol} "), look.width, "");
    lines.push(Line(vec![(ink, symbol), (strong, state)]));
    lines
}

/// How many actions have succeeded, and what became of the others where that is to be known. A Revert counts those
/// that there is something to undo of.
fn progress(run: &RunView) -> String {
    let (succeeded, all) = run.count(&[Phase::Succeeded]);
    if all == 0 {
        return String::new();
    }
    let (nothing, _) = run.count(&[Phase::NothingToUndo]);
    let (done, skipped) = if run.is_revert() {
        ("undone", "not undone")
    } else {
        ("actions done", "skipped")
    };
    let mut text = format!("  {succeeded} of {} {done}", all - nothing);
    for (phase, what) in [
        (Phase::Failed, "failed"),
        (Phase::Skipped, skipped),
        (Phase::NothingToUndo, "had nothing to undo"),
    ] {
        let (count, _) = run.count(&[phase]);
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

/// The lines of the tree, each with whether it must be seen.
fn body(run: &RunView, now: Time, look: &Look, folds: &Folds) -> Vec<(Line, bool)> {
    let rows = rows(run, now, look, folds);
    let widest = rows.iter().map(Row::name_width).max().unwrap_or(0);
    let columns = widest
        .min((look.width * 3 / 5).max(20))
        .min(look.width.saturating_sub(10));
    rows.iter()
        .flat_map(|row| row_lines(row, columns, look))
        .collect()
}

fn row_lines(row: &Row, columns: usize, look: &Look) -> Vec<(Line, bool)> {
    let room = columns.saturating_sub(width(&row.prefix) + 2);
    let name = pad(&fit(&row.name, room, look.cut()), room);
    let mut line = vec![
        (Ink::Dim, row.prefix.clone()),
        (row.ink, format!("{} ", row.symbol)),
        (row.name_ink, name),
        (Ink::Dim, format!(" {:>7}", row.time)),
    ];
    let room = look.width.saturating_sub(columns + 8 + 2);
    let mut note = row.note.clone();
    let mut details = row.details.clone();
    if !row.reason.is_empty() {
        let with_reason = format!("{note}: {}", row.reason);
        if width(&with_reason) <= room {
            note = with_reason;
        } else {
            details.push((row.note_ink, row.reason.clone()));
        }
    }
    if !note.is_empty() && room >= 4 {
        line.push((row.note_ink, format!("  {}", fit(&note, room, look.cut()))));
    }
    let mut lines = vec![(Line(line), row.important)];
    for (ink, detail) in &details {
        let room = look.width.saturating_sub(width(&row.rail) + 2);
        for part in wrap(detail, room).into_iter().take(rows::DETAIL_LINES_MAX) {
            let part = fit(&part, room, look.cut());
            lines.push((
                Line(vec![(Ink::Dim, row.rail.clone()), (*ink, format!("  {part}"))]),
                row.important,
            ));
        }
    }
    lines
}

/// At most `room` of the lines: those around the first that must be seen, and how many there are beside them.
fn crop(lines: Vec<(Line, bool)>, room: usize, look: &Look) -> Vec<(Line, bool)> {
    let Some(shown) = room.checked_sub(1).filter(|shown| *shown > 0) else {
        return lines.into_iter().take(room).collect();
    };
    let first = lines.iter().position(|(_, important)| *important).unwrap_or(0);
    // Two lines above it tell what it belongs to.
    let begin = first.saturating_sub(2).min(lines.len() - shown);
    let below = lines.len() - begin - shown;
    let more = match (begin, below) {
        (above, 0) => format!("{above} more above"),
        (0, below) => format!("{below} more below"),
        (above, below) => format!("{above} more above, {below} below"),
    };
    let mut kept: Vec<(Line, bool)> = lines.into_iter().skip(begin).take(shown).collect();
    kept.push((
        Line::new(Ink::Dim, fit(&format!("({more})"), look.width, look.cut())),
        true,
    ));
    kept
}

/// How long it took, or has taken until `now`.
fn elapsed(start: Time, end: Option<Time>, now: Time) -> String {
    duration(end.unwrap_or(now).millis_since(start), end.is_none())
}

/// A duration in at most seven characters; `whole` seconds for what changes while it is looked at.
fn duration(millis: u64, whole: bool) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..10 if !whole => format!("{}.{}s", seconds, millis % 1000 / 100),
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..360_000 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d", seconds / 86_400),
    }
}
