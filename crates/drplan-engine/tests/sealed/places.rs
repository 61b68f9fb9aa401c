//! Where values of Secrets may go, and what may be done with them.

use serde_json::{Value, json};

use super::{call, opened, resource, with_secret};

/// What is said of the action, which may not have the value; with its first words cut off.
fn refused(action: Value) -> String {
    let problems = with_secret(action.clone())
        .err()
        .unwrap_or_else(|| panic!("accepted: {action}"));
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let said = problems[0].strip_prefix("DRWorkflow shop/w as spec.stages[0].workflows[0]: spec.actions[0].");
    said.unwrap_or(&problems[0]).to_owned()
}

#[test]
fn a_value_goes_nowhere_else() {
    const PLACES: &str = "such a value may go into the query of http.url, http.headers, http.body, and data or \
                          stringData of a Secret's manifest only";
    let check = |action: Value, expect: &str| {
        let said = refused(action);
        assert!(said.starts_with(expect) && said.contains(PLACES), "{said}");
    };
    let http = |url: &str| call(json!({"url": url}));
    let before = "http.url: puts a value that is read when it is sent before the `?` or behind a `#`";
    check(http("http://a/{{ .params.s }}"), before);
    check(http("http://{{ .params.s }}/"), before);
    check(http("http://u:{{ .params.s }}@a/"), before);
    check(http("{{ .params.s }}?k=1"), before);
    check(http("http://a/?k=1#{{ .params.s }}"), before);
    check(http("http://a/#?k={{ .params.s }}"), before);
    check(
        call(json!({"url": "http://a/", "method": "{{ .params.s }}"})),
        "http.method: reads parameter `s`, which is secret:db/password",
    );
    check(
        call(json!({"url": "http://a/", "caBundle": "{{ .params.s }}"})),
        "http.caBundle: reads parameter `s`",
    );
    let mut late = http("http://a/");
    late["timeout"] = json!("{{ .params.s }}");
    check(late, "timeout: reads parameter `s`");
    let pod = json!({"restartPolicy": "Never", "containers": [
        {"name": "c", "image": "i", "env": [{"name": "S", "value": "{{ .params.s }}"}]},
    ]});
    let job = json!({"name": "job", "type": "Job", "job": {"template": {"spec": pod}}});
    check(
        job.clone(),
        "job.template.spec.containers[0].env[0].value: reads parameter `s`",
    );
    assert!(refused(job).ends_with("let the container read it: env with valueFrom, or a volume"));
    let localization = json!({"name": "l", "type": "Localization", "localization": {
        "operation": "Create", "name": "l", "overridePolicy": "ApplyNow", "feed": {"apiVersion": "v1", "kind": "Secret", "name": "a"},
        "overrides": [{"name": "o", "type": "MergePatch", "value": "{\"data\": {{ .params.s | toJson }}}"}],
    }});
    check(
        localization,
        "localization.overrides[0].value: reads parameter `s`",
    );

    let head = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n";
    let manifest = |text: &str| resource("Apply", text);
    check(
        manifest("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: '{{ .params.s }}'}\n"),
        "resource.manifest: puts a value that is read when it is sent at `data` of what is no Secret",
    );
    check(
        manifest("apiVersion: x/v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: '{{ .params.s }}'}\n"),
        "resource.manifest: puts a value that is read when it is sent at `data` of what is no Secret",
    );
    check(
        manifest("apiVersion: v1\nkind: Secret\nmetadata:\n  name: a{{ .params.s }}\n"),
        "resource.manifest: names the object",
    );
    check(
        manifest("apiVersion: v1\nkind: '{{ .params.s }}'\nmetadata:\n  name: a\n"),
        "resource.manifest: names the object",
    );
    let at = "resource.manifest: puts a value that is read when it is sent at ";
    check(
        manifest(&format!("{head}  labels: {{a: '{{{{ .params.s }}}}'}}\n")),
        &format!("{at}`metadata`"),
    );
    check(
        manifest(&format!("{head}type: '{{{{ .params.s }}}}'\n")),
        &format!("{at}`type`"),
    );
    check(
        manifest(&format!("{head}'{{{{ .params.s }}}}': a\n")),
        &format!("{at}a key"),
    );
    check(
        manifest(&format!("{head}stringData: {{'{{{{ .params.s }}}}': a}}\n")),
        &format!("{at}a key of `stringData`"),
    );
    check(
        manifest(&format!("{head}data: {{a: '{{{{ .params.s }}}}'}}\n")),
        &format!("{at}`data.a` as it is; data holds base64"),
    );
    let mut json_patch = resource(
        "Patch",
        &format!("{head}patch: [{{op: add, path: /data/a, value: '{{{{ .params.s | b64enc }}}}'}}]\n"),
    );
    json_patch["resource"]["patchType"] = json!("JSON");
    check(json_patch, &format!("{at}the whole"));
    let mut rollback = http("http://a/");
    rollback["rollback"] = json!({"type": "HTTP", "http": {"url": "http://a/{{ .params.s }}"}});
    check(rollback, &format!("rollback.{before}"));
}

#[test]
fn nothing_is_decided_or_computed_from_a_value() {
    let body = |body: &str| call(json!({"url": "http://a/", "method": "POST", "body": body}));
    for text in [
        "{{ if .params.s }}a{{ end }}",
        "{{ if eq .params.s \"x\" }}a{{ end }}",
        "{{ len .params.s }}",
        "{{ .params.s | sha256sum }}",
        "{{ $x := .params.s }}{{ $x }}",
        "{{ with .params.s }}{{ . }}{{ end }}",
        "{{ printf \"%s\" .params.s }}",
        "{{ index .params \"s\" }}",
    ] {
        let said = refused(body(text));
        assert!(
            said.starts_with(
                "http.body: parameter `s` is read when it is sent, so nothing can be decided or computed"
            ),
            "{text}: {said}"
        );
    }
    for text in [
        "{{ toJson .params }}",
        "{{ range $k, $v := .params }}{{ $v }}{{ end }}",
        "{{ toJson . }}",
    ] {
        let said = refused(body(text));
        assert!(
            said.starts_with("http.body: reads all parameters at once"),
            "{text}: {said}"
        );
    }
    // Other parameters may decide what they want, and a condition may stand around a value.
    opened(
        json!({"url": "http://a/", "method": "POST", "body": "{{ if eq .params.plain \"p\" }}{{ .params.s }}{{ end }}"}),
    );
}
