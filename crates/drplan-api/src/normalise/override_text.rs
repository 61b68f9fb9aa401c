//! The text of `{path, value}`, short for a JSONPatch that replaces one thing.

use serde_json::Value;

use crate::normalise::scalar::is_template;

/// A JSONPatch in YAML that replaces what is at `path` by `value`.
///
/// # Guarantees
/// The bytes of template expressions stay as they are. A text that is nothing but one expression becomes a plain
/// scalar, so that it takes the type of its value; every other text stays text.
pub(super) fn replace(path: &str, value: &Value) -> String {
    let mut yaml = "- op: replace\n  path:".to_owned();
    text(&mut yaml, path, 2, false);
    yaml.push_str("  value:");
    node(&mut yaml, value, 2);
    yaml
}

/// Writes ` value` after a key or a dash; `indent` is that of the key.
fn node(yaml: &mut String, value: &Value, indent: usize) {
    let margin = " ".repeat(indent + 2);
    match value {
        Value::String(string) => text(yaml, string, indent, true),
        Value::Object(object) if has_template(value) => {
            yaml.push('\n');
            for (key, value) in object {
                yaml.push_str(&margin);
                yaml.push_str(&quoted(key));
                yaml.push(':');
                node(yaml, value, indent + 2);
            }
        }
        Value::Array(items) if has_template(value) => {
            yaml.push('\n');
            for value in items {
                yaml.push_str(&margin);
                yaml.push('-');
                node(yaml, value, indent + 2);
            }
        }
        // Without an expression JSON does, which is YAML too.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) | Value::Array(_) => {
            yaml.push(' ');
            yaml.push_str(&value.to_string());
            yaml.push('\n');
        }
    }
}

fn has_template(value: &Value) -> bool {
    match value {
        Value::String(text) => is_template(text),
        Value::Array(items) => items.iter().any(has_template),
        Value::Object(object) => object
            .iter()
            .any(|(key, value)| is_template(key) || has_template(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn text(yaml: &mut String, text: &str, indent: usize, plain: bool) {
    if plain && is_one_expression(text) {
        yaml.push_str(&format!(" {text}\n"));
    } else if !is_template(text) || is_quotable(text) {
        yaml.push_str(&format!(" {}\n", quoted(text)));
    } else {
        block(yaml, text, indent);
    }
}

/// Whether `text` is nothing but one `{{ … }}`, on one line.
fn is_one_expression(text: &str) -> bool {
    let inner = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    inner.is_some_and(|inner| !inner.contains("{{") && !inner.contains("}}") && !inner.contains('\n'))
}

/// Whether `text` is the same in double quotes.
fn is_quotable(text: &str) -> bool {
    !text.contains(|c: char| c == '"' || c == '\\' || c.is_control())
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A block scalar: no byte needs an escape. The indentation is given, as the text may begin with a space.
fn block(yaml: &mut String, text: &str, indent: usize) {
    let body = text.trim_end_matches('\n');
    let chomping = if body.len() == text.len() { '-' } else { '+' };
    yaml.push_str(&format!(" |2{chomping}\n"));
    let margin = " ".repeat(indent + 2);
    for line in body.split('\n') {
        yaml.push_str(&format!("{margin}{line}\n"));
    }
    // One line break ends the body; the others are lines of their own.
    yaml.push_str(&"\n".repeat((text.len() - body.len()).saturating_sub(1)));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_replacement_keeps_expressions_and_types() {
        for (value, expect) in [
            (json!(3), " 3\n"),
            (json!("3"), " \"3\"\n"),
            (json!("{{ .params.replicas }}"), " {{ .params.replicas }}\n"),
            (json!("dr-{{ .planName }}"), " \"dr-{{ .planName }}\"\n"),
            (
                json!("a {{ index .params \"b\" }}"),
                " |2-\n    a {{ index .params \"b\" }}\n",
            ),
            (json!("{{ .a }}{{ .b }}"), " \"{{ .a }}{{ .b }}\"\n"),
            (json!("{{ .a }}\n\n"), " |2+\n    {{ .a }}\n\n"),
            (json!({"a": 1, "b": ["x"]}), " {\"a\":1,\"b\":[\"x\"]}\n"),
            (
                json!([{"name": "DB", "value": "{{ .params.db }}"}, 1]),
                "\n    -\n      \"name\": \"DB\"\n      \"value\": {{ .params.db }}\n    - 1\n",
            ),
        ] {
            let text = replace("/spec/replicas", &value);
            assert_eq!(
                text,
                format!("- op: replace\n  path: \"/spec/replicas\"\n  value:{expect}")
            );
            // With the expressions made plain words it is YAML of the same values.
            let plain = |text: &str| text.replace("{{ ", "").replace(" }}", "");
            let read: Value = serde_saphyr::from_str(&plain(&text)).unwrap();
            let expect: Value = serde_json::from_str(&plain(&value.to_string())).unwrap();
            assert_eq!(read[0]["value"], expect, "{text}");
        }
    }
}
