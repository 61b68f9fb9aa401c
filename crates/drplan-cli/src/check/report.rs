//! Findings as text with the piece of YAML, and as JSON.

use annotate_snippets::{
    AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet, renderer::DecorStyle,
};
use drplan_api::Severity;
use serde_json::{Value, json};

use super::{Checked, Finding, SourceFile, files::floor};
use crate::screen::{clean, wrap};

/// Lines longer than this are not shown, only told: one file of one line is nothing to look at.
const LINE_BYTES_MAX: usize = 1_000;

/// Every finding with its place and what to write instead, and a last line that counts them.
pub fn text(files: &[SourceFile], checked: &Checked, colours: bool, width: usize) -> String {
    let renderer = if colours {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(width);
    let mut out = String::new();
    for finding in &checked.findings {
        out.push_str(&renderer.render(&[group(&files[finding.file], finding, width)]));
        out.push_str("\n\n");
    }
    out.push_str(&summary(checked));
    out.push('\n');
    out
}

fn group<'a>(file: &'a SourceFile, finding: &Finding, width: usize) -> Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    // The remedy stands behind the first semicolon of a message.
    let (what, remedy) = match finding.message.split_once("; ") {
        Some((what, remedy)) => (what, Some(remedy)),
        None => (finding.message.as_str(), None),
    };
    let is_verb = ["is ", "could ", "refers ", "would ", "must "]
        .iter()
        .any(|verb| what.starts_with(verb));
    let title = match (finding.path.as_str(), is_verb) {
        ("", true) => format!("this {what}"),
        ("", false) => what.to_owned(),
        (path, true) => format!("{path} {what}"),
        (path, false) => format!("{path}: {what}"),
    };
    let mut group = level.primary_title(clean(&title)).element(place(file, finding));
    if let Some(object) = &finding.object {
        group = group.element(Level::NOTE.message(format!("in {}", clean(object))));
    }
    if let Some(used_by) = &finding.used_by {
        group = group.element(Level::NOTE.message(clean(used_by)));
    }
    if let Some(remedy) = remedy {
        group = group.element(Level::HELP.message(broken(remedy, width)));
    }
    group
}

/// `text` with its long lines broken; the others (a manifest) as they are.
fn broken(text: &str, width: usize) -> String {
    let room = width.saturating_sub(14);
    let lines = text.lines().flat_map(|line| match line.len() > room {
        true => wrap(&clean(line), room),
        false => vec![clean(line)],
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The lines of the finding, underlined; only their number if they are too long to look at.
fn place<'a>(file: &'a SourceFile, finding: &Finding) -> Element<'a> {
    let text = file.text.as_str();
    let start = floor(text, finding.span.start);
    let end = floor(text, finding.span.end.max(start));
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[end..].find('\n').map_or(text.len(), |newline| end + newline);
    let (line, column) = file.line_and_column(start);
    let name = clean(&file.name);
    if line_end - line_start > LINE_BYTES_MAX {
        return Origin::path(name).line(line).char_column(column).into();
    }
    let annotation = AnnotationKind::Primary.span(start - line_start..end - line_start);
    Snippet::source(&text[line_start..line_end])
        .path(name)
        .line_start(line)
        .annotation(annotation)
        .into()
}

fn summary(checked: &Checked) -> String {
    let [workflows, plans, executions] = checked.objects;
    let counted = [
        (workflows, "workflow"),
        (plans, "plan"),
        (executions, "execution"),
    ];
    let counted: Vec<String> = counted
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| number(*count, what))
        .collect();
    let mut what = match counted.is_empty() {
        true => "no workflow, plan or execution".to_owned(),
        false => counted.join(", "),
    };
    if checked.foreign > 0 {
        what.push_str(&format!(
            " ({} of other kinds passed over)",
            number(checked.foreign, "object")
        ));
    }
    let errors = checked.count(Severity::Error);
    let warnings = checked.count(Severity::Warning);
    match (errors, warnings) {
        (0, 0) => format!("{what}: no problems"),
        (0, _) => format!("{what}: {}, no errors", number(warnings, "warning")),
        (_, 0) => format!("{what}: {}", number(errors, "error")),
        (_, _) => format!(
            "{what}: {}, {}",
            number(errors, "error"),
            number(warnings, "warning")
        ),
    }
}

fn number(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// The same for programs.
pub fn json(files: &[SourceFile], checked: &Checked) -> Value {
    let finding = |finding: &Finding| {
        let file = &files[finding.file];
        let (line, column) = file.line_and_column(finding.span.start);
        let (end_line, end_column) = file.line_and_column(finding.span.end);
        json!({
            "file": file.name,
            "line": line,
            "column": column,
            "endLine": end_line,
            "endColumn": end_column,
            "severity": match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "object": finding.object,
            "path": finding.path,
            "message": finding.message,
            "usedBy": finding.used_by,
        })
    };
    json!({
        "problems": checked.findings.iter().map(finding).collect::<Vec<_>>(),
        "errors": checked.count(Severity::Error),
        "warnings": checked.count(Severity::Warning),
        "objects": {
            "workflows": checked.objects[0],
            "plans": checked.objects[1],
            "executions": checked.objects[2],
            "other": checked.foreign,
        },
    })
}
