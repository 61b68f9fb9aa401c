//! Wrong templates and what their authors are told, in `tests/diagnostics.txt`; a stale file is rewritten.

use drplan_template::{Template, TemplateError, Value};

/// How a template is rendered.
type Render = fn(&Template, &Value) -> Result<String, TemplateError>;

const TEXT: Render = Template::render_text;
const YAML: Render = Template::render_yaml;
const URL: Render = Template::render_url;
const HEADER: Render = Template::render_header;

const WRONG: &[(Render, &str)] = &[
    (TEXT, "app-{{ .planName"),
    (TEXT, "app-{{ .planName }"),
    (TEXT, "{{ .params.region-}}"),
    (TEXT, "{{ params.region }}"),
    (TEXT, "{{ .param.region }}"),
    (TEXT, "{{ .params.regoin }}"),
    (TEXT, "{{ .outputs.backup.exitCode }}"),
    (TEXT, "{{ .params.region.name }}"),
    (TEXT, "{{ if .params.on }}\n  yes\n"),
    (TEXT, "{{ if .params.on }}yes{{ end }}{{ end }}"),
    (TEXT, "yes{{ else }}no"),
    (TEXT, "{{ if }}yes{{ end }}"),
    (TEXT, "{{ if .params.region == \"sz\" }}yes{{ end }}"),
    (TEXT, "{{ .params.count+1 }}"),
    (TEXT, "{{ .params.list[0] }}"),
    (TEXT, "{{ add(1, 2) }}"),
    (TEXT, "{{ upper .params.count }}"),
    (TEXT, "{{ trunc .params.count .params.region }}"),
    (TEXT, "{{ replace \"a\" \"b\" }}"),
    (TEXT, "{{ now | date \"2006\" }}"),
    (TEXT, "{{ .params.map | toYAML }}"),
    (TEXT, "{{ env \"HOME\" }}"),
    (TEXT, "{{ region }}"),
    (TEXT, "{{ eq .params.count \"3\" }}"),
    (TEXT, "{{ range .params.region }}{{ . }}{{ end }}"),
    (TEXT, "{{ range $i, $n := 3 }}{{ $n }}{{ end }}"),
    (TEXT, "{{ $x }}"),
    (TEXT, "{{ template \"labels\" . }}"),
    (TEXT, "{{ index .params.list 7 }}"),
    (TEXT, "{{ div .params.count 0 }}"),
    (TEXT, "{{ required \"set the parameter token\" .params.token }}"),
    (TEXT, "{{ fail (print \"bad: \" .params.secret) }}"),
    (TEXT, "{{ \"C:\\dir\" }}"),
    (TEXT, "{{ 'text' }}"),
    (TEXT, "{{ regexReplaceAll \"(\" .params.region \"\" }}"),
    (TEXT, "{{ range 100000 }}{{ range 100000 }}{{ end }}{{ end }}"),
    (TEXT, "{{ /* comment */ }}"),
    (TEXT, "{{ ternary \"a\" \"b\" .params.region }}"),
    (TEXT, "{{ (.params.map }}"),
    (TEXT, "{{ .params.region | \"x\" }}"),
    (YAML, "kind: ConfigMap\ndata: &{{ .params.region }} x"),
    (YAML, "app: a\n{{ .params.region }}: 1\nsz: 2"),
    (
        YAML,
        "labels:\n  app: a\n  {{- toYaml .params.list | nindent 2 }}",
    ),
    (YAML, "key: \"{{ .params.region }}\nother: 1"),
    (URL, "https://example.com/{{ .params.path }}"),
    (URL, "https://example.com/v1/{{ .params.dots }}/x"),
    (HEADER, "Bearer {{ .params.secret }}"),
];

#[test]
fn the_author_of_a_wrong_template_is_helped() {
    let list = vec![Value::from("one"), Value::from("two")];
    let params = Value::map()
        .with("region", "sz")
        .with("on", true)
        .with("count", 3)
        .with("list", list)
        .with("map", Value::map().with("a", 1))
        .with("token", "")
        .with("secret", "s3cr3t\nvalue")
        .with("path", "s3cr3t/value")
        .with("dots", "..");
    let data = Value::map()
        .with("params", params)
        .with("planName", "shop")
        .with("outputs", Value::map());
    let mut text = String::new();
    for (render, source) in WRONG {
        let rendered = Template::parse(source).and_then(|template| render(&template, &data));
        let error = rendered.expect_err(source);
        let message = error.to_string();
        assert!(!message.contains("s3cr3t"), "shows a value: {message}");
        text.push_str(&format!("{source}\n  → {message}\n\n"));
    }
    assert!(WRONG.len() >= 40);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/diagnostics.txt");
    let known = std::fs::read_to_string(file).unwrap_or_default();
    if known != text {
        std::fs::write(file, &text).unwrap();
        panic!("tests/diagnostics.txt was stale and is rewritten; read it again as a user would");
    }
}
