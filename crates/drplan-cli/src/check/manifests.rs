//! YAML's own surprises in the manifests of actions, as far as their templates let anybody see them.

use drplan_api::{Problem, ProblemKind};
use serde_json::Value;

use super::{
    objects::{Body, Object},
    yaml::{self, Node, Yaml},
};

/// What stands where a template writes a value: a text, also with digits around it.
const STAND_IN: &str = "z";
/// What a template begins with that writes nothing.
const CONTROL: [&str; 10] = [
    "if", "else", "end", "range", "with", "define", "block", "break", "continue", "/*",
];

/// What is repeated in the manifests of a workflow, and what YAML reads as something else than what seems to be written.
pub(crate) fn surprises(object: &Object) -> Vec<Problem> {
    let (Body::Workflow(_), Some(spec)) = (&object.body, object.yaml.get("spec")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (index, action) in spec.get("actions").into_iter().flat_map(Yaml::items).enumerate() {
        for (doing, below) in [(Some(action), ""), (action.get("rollback"), ".rollback")] {
            let manifest = doing.and_then(|doing| doing.get("resource")?.get("manifest")?.text());
            let path = format!("spec.actions[{index}]{below}.resource.manifest");
            found.extend(manifest.into_iter().flat_map(|text| of_text(text, &path)));
        }
    }
    found
}

fn of_text(manifest: &str, path: &str) -> Vec<Problem> {
    let (text, branches) = without_templates(manifest);
    // What is no YAML is told where it is rendered.
    let Ok(root) = yaml::read(&text) else {
        return Vec::new();
    };
    let note = |message: String| ProblemKind::Note { message };
    let mut found = Vec::new();
    // Of two branches one is written.
    if !branches {
        let repeated = yaml::repeated_keys(&text, &root).into_iter();
        found.extend(
            repeated.map(|error| Problem::error(path, note(format!("in the manifest: {}", error.message)))),
        );
    }
    let mut look = |place: &str, written: &str, value: &Value| {
        if let Some(read) = read_otherwise(written, value) {
            let message = format!(
                "YAML reads {written} at {place} of the manifest as {read}; write \"{written}\" in quotes, or {read} if \
                 that is meant"
            );
            found.push(Problem::warning(path, note(message)));
        }
    };
    walk(&text, &root, "", &mut look);
    found
}

/// `text` with stand-ins for what templates write, and whether templates choose what is written.
fn without_templates(text: &str) -> (String, bool) {
    let (mut out, mut branches) = (String::with_capacity(text.len()), false);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((inside, behind)) = after.split_once("}}") else {
            break;
        };
        let inside = inside.trim_start_matches('-').trim_start();
        let word = inside
            .split(|c: char| c.is_whitespace() || c == '-')
            .next()
            .unwrap_or_default();
        if CONTROL.contains(&word) || inside.starts_with("/*") {
            branches = true;
        } else if !(inside.starts_with('$') && inside.contains(":=")) {
            out.push_str(STAND_IN);
        }
        rest = behind;
    }
    out.push_str(rest);
    (out, branches)
}

/// Calls `look` for every plain scalar that is no text, with its place.
fn walk(text: &str, yaml: &Yaml, place: &str, look: &mut impl FnMut(&str, &str, &Value)) {
    match &yaml.node {
        Node::Scalar(value) => look(
            place,
            text.get(yaml.span.clone()).unwrap_or_default().trim(),
            value,
        ),
        Node::List(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(text, item, &format!("{place}[{index}]"), look);
            }
        }
        Node::Object(entries) => {
            for entry in entries {
                let dot = if place.is_empty() { "" } else { "." };
                walk(text, &entry.value, &format!("{place}{dot}{}", entry.key), look);
            }
        }
    }
}

/// What `written` is read as, if few would guess it: `on` is true, `0644` is 420.
fn read_otherwise(written: &str, value: &Value) -> Option<String> {
    let is_plain = written.starts_with(|c: char| c.is_ascii_alphanumeric() || "+-".contains(c));
    let surprises = match value {
        Value::Bool(_) => !["true", "false"].contains(&written.to_ascii_lowercase().as_str()),
        Value::Number(_) => {
            let digits = written.trim_start_matches(['+', '-']).as_bytes();
            matches!(digits, [b'0', b'0'..=b'9' | b'_', ..])
        }
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => false,
    };
    (is_plain && surprises).then(|| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(manifest: &str) -> Vec<String> {
        let found = of_text(manifest, "p");
        found.iter().map(|problem| problem.kind.to_string()).collect()
    }

    #[test]
    fn words_and_numbers_that_are_read_as_something_else_are_told_with_their_place() {
        let manifest = "data:\n  on: Yes\n  mode: 0644\n  list: [off, 'off', 010]\n  fine: [true, False, 0, 10, 1.50, 0x1f, ~]\n";
        assert_eq!(
            told(manifest),
            [
                "YAML reads Yes at data.on of the manifest as true; write \"Yes\" in quotes, or true if that is meant",
                "YAML reads 0644 at data.mode of the manifest as 420; write \"0644\" in quotes, or 420 if that is meant",
                "YAML reads off at data.list[0] of the manifest as false; write \"off\" in quotes, or false if that is meant",
                "YAML reads 010 at data.list[2] of the manifest as 8; write \"010\" in quotes, or 8 if that is meant",
            ]
        );
    }

    #[test]
    fn templates_stand_for_texts_and_branches_for_one_of_them() {
        let manifest = "{{- if .params.x }}\na: 1\n{{- else }}\na: 2\n{{- end }}\n{{ $y := 1 }}\nb: {{ .params.b }}\nc: 0{{ .params.c }}7\nd: \"{{ .params.d }}\"\n{{/* e: on */}}\nf: no\n";
        let found = told(manifest);
        assert!(
            found.len() == 1 && found[0].contains("reads no at f"),
            "{found:?}"
        );
        assert_eq!(told("a: {{ .params.a }}\nb: 1\na: 2\n").len(), 1);
        assert_eq!(told("a: [{{ .params.a }}\n"), Vec::<String>::new());
    }
}
