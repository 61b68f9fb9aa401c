//! No value changes the structure it lands in. For any values, the tree that a reader gets has the author's shape and
//! the values' exact text. Readers are other people's: serde-saphyr for YAML and serde_json for JSON.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where something is not as it should be"
)]

use drplan_template::{Template, TemplateError, TemplateErrorKind, Value};
use proptest::prelude::*;
use serde_json::Value as Json;

/// YAML texts with the values `a`, `b` and `k` in every kind of place.
const YAML: &[&str] = &[
    "key: {{ .a }}",
    "key: {{ .a }}\nother: {{ .b }}\n",
    "key: x{{ .a }}y\n",
    "key: {{ .a }} and {{ .b }}\n",
    "key: {{ .a }}{{ .b }}\n",
    "key: 'x {{ .a }} y'\n",
    "key: \"x {{ .a }} y\"\n",
    "key: \"esc \\\"q\\\" \\t {{ .a }}\\n{{ .b }}\"\n",
    "key: 'it''s {{ .a }}'\n",
    "key: \"{{ .a }}\" # comment {{ .b }}\nnext: 1\n",
    "# {{ .a }}\nkey: 1\n# {{ .b }}",
    "- {{ .a }}\n- {{ .b }}\n- [{{ .a }}, {{ .b }}, x{{ .a }}]\n",
    "map: {one: {{ .a }}, two: \"{{ .b }}\", three: 'x{{ .a }}'}\n",
    "{\"a\":{{ .a }}, \"b\": [{{ .b }}, \"{{ .a }}\"]}",
    "{a: {{ .a }}, b: [1, {{ .b }}]}",
    "text: |\n  line {{ .a }}\n  more {{ .b }}\n",
    "text: |\n  {{ .a }}\n  more\nnext: 1\n",
    "text: |-\n  {{ .a }}\nnext: 1\n",
    "text: |+\n  {{ .a }}\n\nnext: 1\n",
    "text: |2\n   {{ .a }}\n  x\n",
    "text: >\n  folded {{ .a }}\n  line\n\n  para {{ .b }}\nnext: 1\n",
    "text: >-\n  {{ .a }}\n",
    "text: |\n    deep {{ .a }}\n      deeper {{ .b }}\n    back",
    "text: |+\n  {{ .a }}",
    "text: >+\n  {{ .a }}\n   more\n  {{ .b }}\n\n",
    "list:\n- |\n  {{ .a }}\n- >\n  {{ .b }}\n",
    "plain: several\n  lines {{ .a }}\n  of text\nnext: {{ .b }}\n",
    "quoted: \"several\n  lines {{ .a }}\n\n  of text\"\nnext: 1\n",
    "quoted: 'several\n  lines {{ .a }}\n  of text'\nnext: 1\n",
    "a: &anchor {{ .a }}\nb: *anchor\nc: &other x{{ .b }}\n",
    "nested:\n  deep:\n  - name: {{ .a }}\n    value: {{ .b }}\n  - name: \"{{ .b }}\"\n",
    "one: {{ .a }}\n---\ntwo: {{ .b }}\n",
    "url: http://{{ .a }}:80/x\nother: x:not\n",
    "image: registry/{{ .a }}:v1\n",
    "? explicit\n: {{ .a }}\n",
    "key:    {{ .a }}   \nnext:\n  {{ .b }}\n",
    "{{ if .yes }}key: {{ .a }}\n{{ end }}{{ range .list }}k{{ . }}: {{ $.b }}\n{{ end }}",
    "list:\n{{- range .list }}\n- {{ . }}: {{ $.a }}\n{{- end }}\n",
    "a: {{ .a | quote }}\nb: {{ .b | squote }}\nc: [{{ quote .a }}]\n",
    "a: {{ toJson .a }}\nb: {{ .b | toYaml }}\n",
    "- - {{ .a }}\n  - x\n- ? {{ .b }}\n",
    "key: {{ .a | upper }}\n",
    "crlf: {{ .a }}\r\nnext: \"{{ .b }}\"\r\nlast: |\r\n  x {{ .a }}\r\n",
    "empty:\nkey: \"\"\nvalue: \"{{ .a }}{{ .b }}\"\n",
    "{{ .a }}",
    "\"{{ .a }}\"",
    "- {{ .a }}",
    "--- {{ .a }}\n",
    "--- |\n {{ .a }}\n",
    "[{{ .a }}]",
    "{x{{ .a }}: 1}",
    "x{{ .a }}: {{ .b }}",
    "'{{ .a }}': 1\n",
    "\"{{ .a }}\": {{ .b }}\n",
];

/// Texts that are JSON, or nearly.
const JSON: &[&str] = &[
    "{\"a\": \"{{ .a }}\", \"b\": {{ .b }}}",
    "[\"x{{ .a }}y\", {{ .a }}, [{{ .b }}]]",
    "{\"{{ .a }}\": 1}",
    "{\"x\": \"\\n{{ .a }}\\u0041\", \"n\": 1.5e3, \"t\": [true, null]}",
    "\"{{ .a }}\"",
    "{\n  \"event\": \"failover\",\n  \"plan\": \"{{ .a }}\",\n  \"list\": [{{ range .list }}\"{{ . }}\", {{ end }}\"{{ .b }}\"]\n}\n",
    "{\"a\": {{ .a | quote }}, \"b\": {{ toJson .b }}}",
];

/// Pieces of text that mean something in YAML, JSON, URLs or templates.
const PIECES: &[&str] = &[
    "a",
    "b c",
    "no",
    "0644",
    "1",
    "-1.5",
    "1e3",
    "null",
    "~",
    "true",
    "a: b",
    "- x",
    ": ",
    "#",
    " #c",
    "'",
    "\"",
    "\\",
    "\n",
    "\n\n",
    "\n  ",
    "\t",
    " ",
    "  ",
    "\r",
    "\r\n",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{0}",
    "\u{7f}",
    "é",
    "数据",
    "😀",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a",
    "*a",
    "!t",
    "|",
    ">",
    "%",
    "@",
    "`",
    "---",
    "\n---\n",
    "...",
    "? ",
    "{{ .x }}",
    "}}",
    "x",
    "x: ",
    "key: v\nother: w",
    "\n  - y",
    "<<",
    "=",
    "2024-01-01",
    "12:30",
    ".inf",
    "\u{1b}[0m",
    "\\n",
    "''",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::sample::select(PIECES).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop_oneof![
        20 => proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat()),
        1 => (1usize..3000).prop_map(|length| "long text ".repeat(length / 10)),
    ]
}

fn data(a: &str, b: &str) -> Value {
    let list = Value::from(vec![Value::from("l1"), Value::from("l2")]);
    Value::map()
        .with("a", a)
        .with("b", b)
        .with("yes", true)
        .with("list", list)
}

/// What stands for the values when the author's shape is read. Neither occurs in a template.
const MARKS: [&str; 2] = ["markA", "markB"];

/// The tree with the values in the place of the marks.
fn substituted(tree: Json, a: &str, b: &str) -> Json {
    let text = |text: String| {
        let text = if text.contains("MARKA") {
            text.replace("MARKA", &upper(a))
        } else {
            text
        };
        text.replace(MARKS[0], "\u{1}A")
            .replace(MARKS[1], b)
            .replace("\u{1}A", a)
    };
    match tree {
        Json::String(string) => Json::String(text(string)),
        Json::Array(list) => list
            .into_iter()
            .map(|element| substituted(element, a, b))
            .collect(),
        Json::Object(map) => map
            .into_iter()
            .map(|(key, value)| (text(key), substituted(value, a, b)))
            .collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) => tree,
    }
}

/// The text in capitals as Go has it.
fn upper(text: &str) -> String {
    Template::parse("{{ upper .a }}")
        .unwrap()
        .render_text(&data(text, ""))
        .unwrap()
}

fn read_yaml(text: &str) -> Result<Vec<Json>, String> {
    serde_saphyr::from_multiple::<Json>(text).map_err(|error| format!("{error}\n{text:?}"))
}

fn check_yaml(source: &str, a: &str, b: &str) -> Result<(), TestCaseError> {
    let template = Template::parse(source).unwrap();
    let shape = template.render_text(&data(MARKS[0], MARKS[1])).unwrap();
    let shape = read_yaml(&shape).map_err(TestCaseError::fail)?;
    let rendered = match template.render_yaml(&data(a, b)) {
        // Two keys that the values make equal, and a key longer than YAML has them, are refused.
        Err(TemplateError {
            kind: TemplateErrorKind::DuplicateKey,
            ..
        }) => return Ok(()),
        Err(TemplateError {
            kind: TemplateErrorKind::Misplaced(reason),
            ..
        }) if reason.contains("1000") => {
            return Ok(());
        }
        other => other.map_err(|error| TestCaseError::fail(format!("{source:?}: {error}")))?,
    };
    let found = read_yaml(&rendered).map_err(|error| TestCaseError::fail(format!("{source:?}\n{error}")))?;
    let expected: Vec<Json> = shape.into_iter().map(|tree| substituted(tree, a, b)).collect();
    prop_assert_eq!(found, expected, "{:?} became {:?}", source, rendered);
    Ok(())
}

/// 40 cases, each of which tries every text above; more if `PROPTEST_CASES` asks for them.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(40);
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// Covers EC-7.
    #[test]
    fn yaml_keeps_its_shape(a in text(), b in text()) {
        for source in YAML {
            check_yaml(source, &a, &b)?;
        }
    }

    /// Covers EC-7.
    #[test]
    fn json_keeps_its_shape(a in text(), b in text()) {
        for source in JSON {
            let template = Template::parse(source).unwrap();
            let shape = template.render_yaml(&data(MARKS[0], MARKS[1])).unwrap();
            let shape: Json = serde_json::from_str(&shape).unwrap();
            let expected = substituted(shape, &a, &b);
            for rendered in [template.render_yaml(&data(&a, &b)), template.render_body(&data(&a, &b))] {
                let rendered = rendered.unwrap();
                let found: Result<Json, _> = serde_json::from_str(&rendered);
                prop_assert_eq!(found.unwrap(), expected.clone(), "{:?} became {:?}", source, rendered);
            }
        }
    }

    #[test]
    fn urls_and_headers_keep_their_shape(a in text(), b in text()) {
        let render = |source: &str| Template::parse(source).unwrap().render_url(&data(&a, &b));
        if let Ok(url) = render("https://host/x/{{ .a }}/y?q={{ .b }}") {
            prop_assert_eq!(url.split(['/', '?', '#', '\\']).count(), 7, "{:?}", url);
            prop_assert!(!url.chars().any(char::is_control));
            prop_assert!(!url.split('/').any(|segment| matches!(segment, "." | "..")));
        }
        let dots = matches!(a.as_str(), "." | "..");
        match render("https://host/{{ .a | pathEscape }}?q={{ .b | urlquery }}") {
            Err(_) => prop_assert!(dots),
            Ok(url) => prop_assert!(url.bytes().all(|byte| byte.is_ascii_graphic()) && !dots),
        }
        let header = Template::parse("Bearer {{ .a }}").unwrap().render_header(&data(&a, &b));
        prop_assert_eq!(header.is_ok(), !a.chars().any(char::is_control));
    }
}

/// What YAML is made of, to be put into the texts above at random.
const TOKENS: &[&str] = &[
    " ", "  ", "\n", "\n  ", "\n    ", ":", ": ", "- ", "? ", "#", " # c", "'", "\"", "|\n  ", ">\n  ",
    "|-\n", "{", "}", "[", "]", ", ", "&a ", "*a", "!t ", "!!str ", "---\n", "...\n", "x", "{{ .a }}",
    "{{ .b }}", "\\", "\t", "\r\n", "%", "@", "key: ", "key:\n  ", "- - ", "''", "\"\"", "a: b\n",
];

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_yaml_keeps_its_shape(
        source in proptest::sample::select(YAML),
        edits in proptest::collection::vec((any::<u16>(), proptest::sample::select(TOKENS), 0usize..4), 1..4),
        a in text(),
        b in text(),
    ) {
        let mut source = source.to_owned();
        for (place, token, cut) in edits {
            let place = usize::from(place) % (source.len() + 1);
            let end = (place + cut).min(source.len());
            if source.is_char_boundary(place) && source.is_char_boundary(end) {
                source.replace_range(place..end, token);
            }
        }
        // In the middle of a text these functions place what they print, which is not the value itself.
        if ["toJson", "toYaml", "quote"].iter().any(|function| source.contains(function)) {
            return Ok(());
        }
        let Ok(template) = Template::parse(&source) else { return Ok(()) };
        // Only what is YAML with harmless values, and is read alike however they are placed, has a shape to keep.
        let marks = data(MARKS[0], MARKS[1]);
        let (Ok(shape), Ok(placed)) = (template.render_text(&marks), template.render_yaml(&marks)) else {
            return Ok(());
        };
        let (Ok(shape), Ok(placed)) = (read_yaml(&shape), read_yaml(&placed)) else { return Ok(()) };
        if shape != placed {
            return Ok(());
        }
        check_yaml(&source, &a, &b)?;
    }
}
