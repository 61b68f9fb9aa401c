//! Where something stands in a value.

use serde_json::Value;

/// The JSON pointers of everything below `value`, which itself stands at `at`.
pub(crate) fn places(value: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(value, at, &mut found);
    found
}

fn collect(value: &Value, at: &str, found: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| (index.to_string(), item))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (name, value) in below {
        let path = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        found.push(path.clone());
        collect(value, &path, found);
    }
}
