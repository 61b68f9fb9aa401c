//! The door of the crate: what the engine calls.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where something is not as it should be"
)]

use drplan_template::{Template, Value};

fn data() -> Value {
    let params = Value::map()
        .with("region", "sz")
        .with("replicas", 3)
        .with("a-b", "dashed")
        .with("on", true);
    let outputs = Value::map().with("create-job", Value::map().with("exitCode", 0));
    Value::map()
        .with("params", params)
        .with("outputs", outputs)
        .with("planName", "shop")
}

fn check(template: &str, expected: &str) {
    let template = Template::parse(template).unwrap();
    assert_eq!(template.render_text(&data()).unwrap(), expected);
}

#[test]
fn text_is_rendered_as_go_renders_it() {
    check("app-{{ .planName }}", "app-shop");
    check("{{ .params.a-b | upper }}", "DASHED");
    check("{{ .outputs.create-job.exitCode }}", "0");
    check("{{ if eq .params.region \"sz\" }}yes{{ else }}no{{ end }}", "yes");
    check(
        "{{ range $i, $e := list 1 2.5 \"c\" }}{{ $i }}={{ $e }} {{ end }}",
        "0=1 1=2.5 2=c ",
    );
}

#[test]
fn a_lone_expression_keeps_its_type() {
    let value = |text: &str| Template::parse(text).unwrap().render_value(&data()).unwrap();
    assert_eq!(value("{{ .params.replicas }}"), Value::Int(3));
    assert_eq!(value("{{ .params.on }}"), Value::Bool(true));
    assert_eq!(value("{{ .params.replicas }} "), Value::String("3 ".into()));
    assert_eq!(value("plain"), Value::String("plain".into()));
}

#[test]
fn references_are_found_on_every_branch() {
    let text = "{{ if .params.a }}{{ .outputs.x.y }}{{ else }}\n{{ with .params }}{{ .b }}{{ end }}{{ .planName }}{{ end }}";
    let template = Template::parse(text).unwrap();
    let references = template.references();
    assert_eq!(references.params.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(references.params["b"].line, 2);
    assert_eq!(
        references.outputs.keys().next(),
        Some(&("x".into(), Some("y".into())))
    );
    assert!(references.fields.contains_key("planName"));
    assert_eq!(references.params_dynamic, None);
}
