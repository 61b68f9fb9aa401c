//! What is spliced into YAML, JSON and bodies, place by place.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where something is not as it should be"
)]

use drplan_template::{Template, TemplateErrorKind, Value};

fn data() -> Value {
    let labels = Value::map().with("app", "shop").with("no", "no");
    let params = Value::map()
        .with("replicas", 3)
        .with("on", true)
        .with("ratio", 1.5)
        .with("whole", 2.0)
        .with("nothing", Value::Null)
        .with("name", "web")
        .with("number", "3")
        .with("mode", "0644")
        .with("yes", "yes")
        .with("evil", "x\n  injected: true")
        .with("quote", "it's \"x\"")
        .with("empty", "")
        .with("lines", "one\ntwo\n")
        .with("labels", labels)
        .with("none", Value::map())
        .with(
            "args",
            vec![Value::from("-v"), Value::from("a: b"), Value::from(1)],
        )
        .with("json", "{\"a\": [1, \"x\"]}");
    Value::map().with("params", params).with("planName", "shop")
}

fn yaml(source: &str, expected: &str) {
    let rendered = Template::parse(source).unwrap().render_yaml(&data());
    assert_eq!(rendered.as_deref(), Ok(expected), "{source}");
}

fn yaml_tree(source: &str, expected: &str) {
    let rendered = Template::parse(source).unwrap().render_yaml(&data()).unwrap();
    let read = |text: &str| {
        serde_saphyr::from_str::<serde_json::Value>(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    };
    assert_eq!(read(&rendered), read(expected), "{rendered}");
}

fn refused(source: &str) -> TemplateErrorKind {
    Template::parse(source)
        .unwrap()
        .render_yaml(&data())
        .unwrap_err()
        .kind
}

fn body(source: &str, expected: &str) {
    let rendered = Template::parse(source).unwrap().render_body(&data());
    assert_eq!(rendered.as_deref(), Ok(expected), "{source}");
}

#[test]
fn a_plain_scalar_of_one_expression_has_the_type_of_its_value() {
    yaml("replicas: {{ .params.replicas }}", "replicas: 3");
    yaml("on: {{ .params.on }}", "on: true");
    yaml(
        "ratio: {{ .params.ratio }} # {{ .params.whole }}",
        "ratio: 1.5 # 2",
    );
    yaml("nothing: {{ .params.nothing }}", "nothing: null");
    yaml("number: {{ .params.number }}", "number: \"3\"");
    yaml("mode: {{ .params.mode }}", "mode: \"0644\"");
    yaml("{{ \"...\" }} a: 1", "\"... a\": 1");
    yaml("yes: {{ .params.yes }}", "yes: \"yes\"");
    yaml("name: {{ .params.name }}", "name: web");
    yaml("empty: {{ .params.empty }}", "empty: \"\"");
    yaml("- {{ int .params.number }}", "- 3");
    yaml(
        "{a: {{ .params.replicas }}, b: [{{ .params.on }}]}",
        "{a: 3, b: [true]}",
    );
    yaml("if: {{ if .params.on }}{{ .params.replicas }}{{ end }}", "if: 3");
}

/// Covers EC-7.
#[test]
fn text_and_expressions_are_a_string() {
    yaml(
        "image: repo/{{ .params.name }}:v{{ .params.replicas }}",
        "image: repo/web:v3",
    );
    yaml("port: 80{{ .params.replicas }}", "port: \"803\"");
    yaml("two: {{ .params.replicas }}{{ .params.replicas }}", "two: \"33\"");
    yaml("quoted: \"{{ .params.replicas }}\"", "quoted: \"3\"");
    yaml("evil: a {{ .params.evil }}", "evil: \"a x\\n  injected: true\"");
    yaml("single: 'a {{ .params.quote }}'", "single: 'a it''s \"x\"'");
    yaml(
        "single: 'a {{ .params.evil }}'",
        "single: \"a x\\n  injected: true\"",
    );
}

#[test]
fn quote_and_squote_place_the_string_itself() {
    yaml("a: {{ .params.evil | quote }}", "a: \"x\\n  injected: true\"");
    yaml("a: {{ .params.replicas | quote }}", "a: \"3\"");
    yaml("a: {{ .params.quote | squote }}", "a: \"it's \\\"x\\\"\"");
    yaml("a: echo {{ .params.name | quote }}", "a: \"echo \\\"web\\\"\"");
}

#[test]
fn block_scalars_keep_their_form_where_they_can() {
    yaml(
        "text: |\n  a {{ .params.evil }}\n  b\n",
        "text: |\n  a x\n    injected: true\n  b\n",
    );
    yaml("text: |\n  {{ .params.lines }}\n", "text: \"one\\ntwo\\n\\n\"\n");
    yaml("text: |\n  {{ .params.empty }}\n  b\n", "text: \"\\nb\\n\"\n");
    yaml(
        "text: >\n  a {{ .params.name }}\n  b\n",
        "text: >\n  a web\n  b\n",
    );
    yaml(
        "text: >\n  a {{ .params.evil }}\n  b\n",
        "text: \"a x\\n  injected: true b\\n\"\n",
    );
    yaml(
        "conf: |\n  {{- toYaml .params.labels | nindent 2 }}\nx: 1\n",
        "conf: |\n  app: shop\n  \"no\": \"no\"\nx: 1\n",
    );
    yaml(
        "conf: |\n  a:\n  {{- toYaml .params.labels | nindent 4 }}\n",
        "conf: |\n  a:\n    app: shop\n    \"no\": \"no\"\n",
    );
    yaml(
        "conf: |\n  x\n  {{ .params.lines | indent 2 | trim }}\n",
        "conf: |\n  x\n  one\n    two\n",
    );
}

#[test]
fn a_comment_stays_one() {
    yaml(
        "a: 1 # {{ .params.evil }}\nb: 2",
        "a: 1 # x   injected: true\nb: 2",
    );
    yaml(
        "a: | # {{ .params.evil }}\n  {{ .params.name }}\n",
        "a: | # x   injected: true\n  web\n",
    );
}

#[test]
fn trees_are_placed_by_to_json_to_yaml_and_from_json() {
    yaml("a: {{ toJson .params.args }}", "a: [\"-v\",\"a: b\",1]");
    yaml_tree(
        "labels: {{ toYaml .params.labels }}",
        "labels: {app: shop, \"no\": \"no\"}",
    );
    yaml_tree(
        "labels: {{ .params.labels | toYaml | indent 2 }}",
        "labels: {app: shop, \"no\": \"no\"}",
    );
    yaml_tree(
        "labels:\n  {{- toYaml .params.labels | nindent 2 }}",
        "labels: {app: shop, \"no\": \"no\"}",
    );
    yaml_tree(
        "labels:\n{{ toYaml .params.labels | indent 2 }}\nx: 1",
        "labels: {app: shop, \"no\": \"no\"}\nx: 1",
    );
    yaml_tree("a: {{ fromJson .params.json }}", "a: {a: [1, x]}");
    yaml_tree("a: {{ (fromJson .params.json).a }}", "a: [1, x]");
    yaml_tree("a: {{ toJson .params.name }}", "a: web");
    yaml_tree("a: {{ toYaml .params.mode }}", "a: \"0644\"");
    yaml_tree("a: \"{{ toJson .params.args }}\"", "a: '[\"-v\",\"a: b\",1]'");
    yaml_tree(
        "a: 'x {{ toJson .params.labels }}'",
        "a: 'x {\"app\":\"shop\",\"no\":\"no\"}'",
    );
}

#[test]
fn entries_join_the_map_or_list_they_stand_in() {
    let expected = "labels: {role: db, app: shop, \"no\": \"no\", tier: x}\ny: 1";
    yaml_tree(
        "labels:\n  role: db\n  {{- toYaml .params.labels | nindent 2 }}\n  tier: x\ny: 1",
        expected,
    );
    yaml_tree(
        "labels:\n  {{- toYaml .params.labels | nindent 2 }}\n  role: db\n  tier: x\ny: 1",
        expected,
    );
    yaml_tree(
        "labels:\n  role: db\n{{ toYaml .params.labels | indent 2 }}\n  tier: x\ny: 1",
        expected,
    );
    yaml_tree(
        "args:\n- one\n{{ toYaml .params.args }}\n- two\n",
        "args: [one, -v, 'a: b', 1, two]",
    );
    yaml_tree(
        "args:\n  - one\n  {{- toYaml .params.args | nindent 2 }}\nx: 1",
        "args: [one, -v, 'a: b', 1]\nx: 1",
    );
    yaml_tree(
        "args:\n{{ toYaml .params.args }}\nx: 1",
        "args: [-v, 'a: b', 1]\nx: 1",
    );
    yaml_tree("a: 1\n{{ toYaml .params.none }}\nb: 2", "a: 1\nb: 2");
    assert!(matches!(
        refused("a: 1\n{{ toYaml .params.args }}\n"),
        TemplateErrorKind::Misplaced(_)
    ));
    assert!(matches!(
        refused("- 1\n{{ toYaml .params.labels }}\n"),
        TemplateErrorKind::Misplaced(_)
    ));
}

#[test]
fn a_value_cannot_take_the_place_of_a_key_that_is_there() {
    assert_eq!(
        refused("app: x\n{{ toYaml .params.labels }}\n"),
        TemplateErrorKind::DuplicateKey
    );
    assert_eq!(
        refused("web: 1\n{{ .params.name }}: 2\n"),
        TemplateErrorKind::DuplicateKey
    );
    assert_eq!(
        refused("{\"web\": 1, \"{{ .params.name }}\": 2}"),
        TemplateErrorKind::DuplicateKey
    );
    assert_eq!(
        refused("{web: 1, {{ .params.name }}: 2}"),
        TemplateErrorKind::DuplicateKey
    );
    yaml(
        "a:\n  web: 1\nb:\n  {{ .params.name }}: 2\n",
        "a:\n  web: 1\nb:\n  web: 2\n",
    );
    yaml("[{web: 1}, {{ .params.name }}: 2]", "[{web: 1}, web: 2]");
    yaml("{{ .params.replicas }}: x", "\"3\": x");
}

#[test]
fn control_structures_span_lines() {
    let source = "a:\n{{- range $k, $v := .params.labels }}\n  {{ $k }}: {{ $v }}\n{{- end }}\n{{- if .params.on }}\nb: {{ .params.evil }}\n{{- end }}\n";
    yaml(
        source,
        "a:\n  app: shop\n  \"no\": \"no\"\nb: \"x\\n  injected: true\"\n",
    );
    yaml(
        "list: [{{ range $i, $a := .params.args }}{{ if $i }}, {{ end }}{{ $a }}{{ end }}]",
        "list: [\"-v\", \"a: b\", 1]",
    );
    yaml(
        "{{ define \"x\" }}k: {{ . }}{{ end }}{{ template \"x\" .params.evil }}",
        "k: \"x\\n  injected: true\"",
    );
    yaml("{{ with .params.name }}name: {{ . }}\n{{ end }}", "name: web\n");
}

#[test]
fn a_value_has_no_place_in_the_syntax_of_yaml() {
    for source in [
        "a: &{{ .planName }} 1",
        "a: *{{ .planName }}",
        "a: !{{ .planName }} 1",
        "a: |{{ .params.replicas }}\n  x",
        "%YAML {{ .planName }}\n--- a",
        "a: \"\\{{ .planName }}\"",
        "a: \"\\u{{ .planName }}\"",
    ] {
        assert!(
            matches!(refused(source), TemplateErrorKind::Misplaced(_)),
            "{source}"
        );
    }
}

/// Covers EC-7.
#[test]
fn a_body_is_json_if_its_author_wrote_json() {
    body(
        "{\"a\": \"{{ .params.quote }}\", \"n\": {{ .params.replicas }}}",
        "{\"a\": \"it's \\\"x\\\"\", \"n\": 3}",
    );
    body("{\"a\": {{ .params.quote }}}", "{\"a\": \"it's \\\"x\\\"\"}");
    body("text {{ .params.evil }}", "text x\n  injected: true");
    body("{{ .params.json }}", "{\"a\": [1, \"x\"]}");
    body("{{ toJson .params.labels }}", "{\"app\":\"shop\",\"no\":\"no\"}");
    body(
        "{\"tree\": {{ fromJson .params.json }}}",
        "{\"tree\": {\"a\": [1,\"x\"]}}",
    );
    body("a={{ .params.name | urlquery }}&b=1", "a=web&b=1");
    body("x:{{ .params.lines | nindent 2 }}|", "x:\n  one\n  two\n  |");
}

#[test]
fn a_url_keeps_its_parts() {
    let url = |source: &str, value: &str| {
        let data = Value::map().with("v", value);
        Template::parse(source)
            .unwrap()
            .render_url(&data)
            .map_err(|error| error.kind)
    };
    assert_eq!(
        url("{{ .v }}/path", "https://host:1/x?y"),
        Ok("https://host:1/x?y/path".into())
    );
    assert_eq!(
        url("https://{{ .v }}.example.com/", "a"),
        Ok("https://a.example.com/".into())
    );
    for evil in ["a/b", "a?b", "a#b", "u@h", "a\\b", "a%2fb", "a\nb"] {
        assert!(url("https://{{ .v }}.example.com/", evil).is_err(), "{evil}");
        assert!(url("https://h/{{ .v }}", evil).is_err(), "{evil}");
        assert!(
            url("https://h/{{ .v | pathEscape }}?q={{ .v | urlquery }}", evil).is_ok(),
            "{evil}"
        );
    }
    assert_eq!(
        url("https://{{ .v | pathEscape }}/", "u@h"),
        Err(TemplateErrorKind::UrlCharacter('@'))
    );
    assert_eq!(
        url("https://h/a/{{ .v }}/b", ".."),
        Err(TemplateErrorKind::UrlDots)
    );
    assert_eq!(url("https://h/a/.{{ .v }}", "."), Err(TemplateErrorKind::UrlDots));
    assert!(url("https://h/a/v{{ .v }}", "..").is_ok());
    assert_eq!(
        url("{{ .v }}", "http://h/\r\nx"),
        Err(TemplateErrorKind::UrlCharacter('\r'))
    );
}
