//! Parameters that are written as they are, and those that a template does something with.

#![expect(clippy::unwrap_used, reason = "a test harness: a panic is how it tells")]

use drplan_template::{Template, Value};

fn involved(source: &str) -> bool {
    let template = Template::parse(source).unwrap();
    let references = template.references();
    let everything = references.params_dynamic.is_some() || references.root_dynamic.is_some();
    assert!(everything || references.params.contains_key("s"), "{source}");
    everything || references.involved.contains_key("s")
}

#[test]
fn an_expression_of_its_own_involves_no_parameter_in_a_decision() {
    for source in [
        "{{ .params.s }}",
        "Bearer {{- .params.s -}} !",
        "{{ $.params.s }}",
        "{{ .params.s | b64enc }}",
        "{{ b64enc .params.s }}",
        "{{ .params.s | trim | b64enc | quote }}",
        "{{ .params.s | urlquery }}{{ .params.s | toJson }}{{ .params.s | squote }}",
        "{{ if .params.other }}{{ .params.s }}{{ end }}",
        "{{ range .params.list }}{{ $.params.s }}{{ end }}",
        r#"{{ define "a" }}{{ .params.s }}{{ end }}{{ template "a" . }}"#,
    ] {
        assert!(!involved(source), "{source}");
    }
}

#[test]
fn whatever_could_decide_or_compute_does() {
    for source in [
        "{{ if .params.s }}x{{ end }}",
        "{{ with .params.s }}{{ . }}{{ end }}",
        "{{ range .params.s }}{{ end }}",
        "{{ $x := .params.s }}{{ $x }}",
        "{{ len .params.s }}",
        r#"{{ eq .params.s "x" }}"#,
        r#"{{ printf "%s" .params.s }}"#,
        "{{ print .params.s }}",
        "{{ .params.s | sha256sum }}",
        "{{ .params.s | b64dec }}",
        r#"{{ .params.s | trimPrefix "a" }}"#,
        r#"{{ index .params "s" }}"#,
        r#"{{ get .params "s" }}"#,
        "{{ (.params.s) }}",
        "{{ .params.s.deep }}",
        "{{ quote .params.s .params.other }}",
        "{{ .params.other | default .params.s }}",
        "{{ .params.s }}{{ if .params.s }}{{ end }}",
        "{{ with .params }}{{ .s }}{{ end }}",
        "{{ toJson .params }}",
        "{{ toJson . }}",
        "{{ index .params .params.s }}",
        r#"{{ define "a" }}{{ . }}{{ end }}{{ template "a" .params.s }}"#,
    ] {
        assert!(involved(source), "{source}");
    }
}

#[test]
fn chosen_parameters_are_percent_encoded_in_a_url_once() {
    let data = Value::map().with(
        "params",
        Value::map().with("s", "a/b c&d=é").with("plain", "p&q=1"),
    );
    let render = |source: &str| {
        let template = Template::parse(source).unwrap();
        template.render_url_encoding(&data, &|name| name == "s").unwrap()
    };
    let encoded = "a%2Fb+c%26d%3D%C3%A9";
    assert_eq!(
        render("http://h/?k={{ .params.s }}"),
        format!("http://h/?k={encoded}")
    );
    assert_eq!(
        render("http://h/?k={{ .params.s | urlquery }}"),
        format!("http://h/?k={encoded}")
    );
    assert_eq!(
        render("http://h/?k={{ .params.s | b64enc }}"),
        "http://h/?k=YS9iIGMmZD3DqQ%3D%3D"
    );
    assert_eq!(render("http://h/?{{ .params.plain }}&k=1"), "http://h/?p&q=1&k=1");
}
