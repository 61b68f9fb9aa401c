//! From a problem's path to the bytes that it speaks of.

use std::ops::Range;

use drplan_api::{Problem, ProblemKind};

use super::{
    files::floor,
    yaml::{Entry, Node, Yaml},
};

/// Fields by their canonical name, and where else the same thing may stand.
const ELSEWHERE: [(&str, &[&str]); 12] = [
    ("successCodes", &["expectedStatusCodes"]),
    ("backoffMultiplier", &["backoff"]),
    ("operationType", &["operation"]),
    ("namespace", &["clusterNamespace"]),
    (
        "retryPolicy",
        &[
            "retry",
            "http.retryPolicy",
            "http.retry",
            "job.retryPolicy",
            "job.retry",
        ],
    ),
    ("timeout", &["http.timeout", "job.timeout"]),
    ("stages[0].workflows[0].workflowRef", &["workflowRef"]),
    ("stages[0].workflows[0].params", &["params"]),
    ("stages[0].workflows[0]", &["workflowRef"]),
    ("stages[0].workflows", &["workflowRef"]),
    ("stages[0]", &["workflowRef"]),
    ("stages", &["workflowRef"]),
];

/// Where in `text` the problem of the object `root` stands: the value it speaks of, the key if that is unknown, or the
/// nearest thing above what is missing. With whether that is the place in a template that the problem names.
pub(crate) fn locate(text: &str, root: &Yaml, problem: &Problem) -> (Range<usize>, bool) {
    let found = walk(root, None, &problem.path);
    let by_key = matches!(problem.kind, ProblemKind::Unknown { what: "field", .. });
    let span = match (found.entry, found.complete && by_key) {
        (Some(entry), true) => entry.key_span.clone(),
        _ => found.span(text),
    };
    if let ProblemKind::Template { message } = &problem.kind
        && found.complete
        && let Some(inside) = inside(text, found.yaml, message)
    {
        return (inside, true);
    }
    (span, false)
}

/// Where the value at `path` stands.
pub(crate) fn span_of(text: &str, root: &Yaml, path: &str) -> Range<usize> {
    walk(root, None, path).span(text)
}

/// How far a path leads.
#[derive(Clone, Copy)]
struct Found<'a> {
    yaml: &'a Yaml,
    /// The entry that `yaml` is the value of, unless it is an item or the whole.
    entry: Option<&'a Entry>,
    /// Whether the whole path exists.
    complete: bool,
}

impl Found<'_> {
    fn span(&self, text: &str) -> Range<usize> {
        let scalar = matches!(self.yaml.node, Node::Scalar(_)) && self.complete;
        match (&self.yaml.node, self.entry) {
            _ if scalar && !self.yaml.span.is_empty() => first_line(text, self.yaml.span.clone()),
            (_, Some(entry)) => entry.key_span.clone(),
            (Node::Object(entries), None) => match entries.first() {
                Some(first) => {
                    let end = first.value.span.end.max(first.key_span.end);
                    first_line(text, first.key_span.start..end)
                }
                None => first_line(text, self.yaml.span.clone()),
            },
            _ => first_line(text, self.yaml.span.clone()),
        }
    }
}

fn walk<'a>(yaml: &'a Yaml, entry: Option<&'a Entry>, path: &str) -> Found<'a> {
    let here = Found {
        yaml,
        entry,
        complete: path.is_empty(),
    };
    if here.complete {
        return here;
    }
    match &yaml.node {
        Node::Scalar(_) => here,
        Node::List(items) => {
            let number = path.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            let Some((number, rest)) = number else { return here };
            let item = number.parse().ok().and_then(|index: usize| items.get(index));
            item.map_or(here, |item| walk(item, None, rest.trim_start_matches('.')))
        }
        Node::Object(entries) => {
            // Keys may hold dots (labels, headers): the longest that fits is meant.
            let fits = |entry: &&Entry| {
                path.strip_prefix(entry.key.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            let longest = entries.iter().filter(fits).max_by_key(|entry| entry.key.len());
            if let Some(next) = longest {
                let rest = path[next.key.len()..].trim_start_matches('.');
                return walk(&next.value, Some(next), rest);
            }
            elsewhere(yaml, path).unwrap_or(here)
        }
    }
}

/// What stands under another spelling.
fn elsewhere<'a>(yaml: &'a Yaml, path: &str) -> Option<Found<'a>> {
    ELSEWHERE
        .iter()
        .filter_map(|(canonical, others)| Some((path.strip_prefix(canonical)?, others)))
        .filter(|(rest, _)| rest.is_empty() || rest.starts_with(['.', '[']))
        .flat_map(|(rest, others)| others.iter().map(move |other| format!("{other}{rest}")))
        .find_map(|path| {
            let key = path.split(['.', '[']).next()?;
            let next = yaml.entry(key)?;
            let found = walk(&next.value, Some(next), path[key.len()..].trim_start_matches('.'));
            (found.complete || key == "workflowRef").then_some(found)
        })
}

/// Of `span` what stands on its first line.
fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let inside = text.get(span.clone()).unwrap_or_default();
    let line = inside.lines().next().unwrap_or_default().trim_end();
    if line.is_empty() {
        // Nothing to underline: up to the end of the line it stands on.
        let rest = text.get(span.start..).unwrap_or_default();
        let rest = rest.lines().next().unwrap_or_default().trim_end();
        return span.start..span.start + rest.len();
    }
    span.start..span.start + line.len()
}

/// The place in the manifest of the place in a template that `message` names as `line 1, column 5`. None where the
/// manifest writes the line in another way than the template reads it (escapes, folded lines).
fn inside(text: &str, yaml: &Yaml, message: &str) -> Option<Range<usize>> {
    let Node::Scalar(value) = &yaml.node else {
        return None;
    };
    let (line, column) = message.split("line ").skip(1).find_map(|rest| {
        let (line, rest) = rest.split_once(", column ")?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some((line.parse::<usize>().ok()?, rest[..digits].parse::<usize>().ok()?))
    })?;
    let template = value.as_str()?;
    let content = template.lines().nth(line.checked_sub(1)?)?;
    let written = text.get(yaml.span.clone())?;
    // The bytes of a block scalar begin with its first line, without the `|`.
    let start: usize = written.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let raw = written.get(start..)?.lines().next()?;
    let at = start + raw.find(content).filter(|_| !content.is_empty())?;
    let (offset, _) = content.char_indices().nth(column.checked_sub(1)?)?;
    let rest = &content[offset..];
    // Up to the end of the expression, or of the line.
    let length = rest.find("}}").unwrap_or(rest.len()).max(1);
    let length = rest[..floor(rest, length)]
        .trim_end()
        .len()
        .max(rest.chars().next()?.len_utf8());
    let begin = yaml.span.start + at + offset;
    Some(begin..begin + length)
}

#[cfg(test)]
mod tests {
    use super::{super::yaml::read, *};

    const TEXT: &str = r#"kind: DRWorkflow
spec:
  actions:
  - name: a
    http:
      url: "http://x/{{ .params.nope }}"
      headers: {X.Y-Z: v, X: w}
      expectedStatusCodes: [200, abc]
      body: |
        one
        two {{ .params.gone }} three
    timeout: 5
"#;

    fn check(path: &str, kind: ProblemKind, expect: &str) {
        let root = read(TEXT).unwrap();
        let (span, _) = locate(TEXT, &root, &Problem::error(path, kind));
        assert_eq!(&TEXT[span], expect, "{path}");
    }

    #[test]
    fn paths_lead_to_what_they_speak_of() {
        let missing = || ProblemKind::Missing {
            remedy: String::new(),
        };
        check("spec.actions[0].http.headers.X.Y-Z", missing(), "v");
        check("spec.actions[0].http.headers.X", missing(), "w");
        check("spec.actions[0].http.successCodes[1]", missing(), "abc");
        check("spec.actions[0].timeout", missing(), "5");
        check("spec.actions[0].type", missing(), "name: a");
        check("spec.actions[7]", missing(), "actions");
        check("spec.parameters[0].name", missing(), "spec");
        check("", missing(), "kind: DRWorkflow");
        let unknown = ProblemKind::Unknown {
            what: "field",
            name: String::new(),
            suggestion: String::new(),
        };
        check("spec.actions[0].http.headers", unknown, "headers");
    }

    #[test]
    fn places_in_templates_lead_into_the_manifest() {
        let template = |message: &str| ProblemKind::Template {
            message: message.to_owned(),
        };
        check(
            "spec.actions[0].http.url",
            template("x (line 1, column 13)"),
            ".params.nope",
        );
        check(
            "spec.actions[0].http.body",
            template("line 2, column 8: x"),
            ".params.gone",
        );
        check("spec.actions[0].http.body", template("no place"), "one");
    }
}
