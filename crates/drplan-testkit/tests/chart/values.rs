//! The values with their comments, as a table, and the schema held against them.

use anyhow::Context;
use serde_json::Value;

/// A value.
pub(crate) struct Described {
    /// `image.tag`.
    pub(crate) path: String,
    /// As it is written in values.yaml.
    pub(crate) default: String,
    /// What it is for.
    pub(crate) purpose: String,
}

/// Every value of a values.yaml, by the comments `# -- …` before them.
///
/// # Errors
/// A value without a comment.
pub(crate) fn read(yaml: &str) -> anyhow::Result<Vec<Described>> {
    let mut found = Vec::new();
    let mut parents: Vec<(usize, &str)> = Vec::new();
    let mut purpose: Option<&str> = None;
    for line in yaml.lines() {
        let text = line.trim_start();
        if let Some(comment) = text.strip_prefix("# -- ") {
            purpose = Some(comment);
            continue;
        }
        let Some((key, value)) = text.split_once(':').filter(|_| !text.starts_with('#')) else {
            continue;
        };
        let indent = line.len() - text.len();
        parents.retain(|(of_parent, _)| *of_parent < indent);
        let path: Vec<&str> = parents.iter().map(|(_, key)| *key).chain([key]).collect();
        let path = path.join(".");
        match (value.trim(), purpose.take()) {
            ("", None) => parents.push((indent, key)),
            ("", Some(_)) => anyhow::bail!("`{path}` holds others and needs no comment"),
            (_, None) => anyhow::bail!("`{path}` has no comment `# -- …`"),
            (default, Some(purpose)) => found.push(Described {
                path,
                default: default.to_owned(),
                purpose: purpose.to_owned(),
            }),
        }
    }
    Ok(found)
}

/// As a table of Markdown.
pub(crate) fn table(values: &[Described]) -> String {
    let mut table = "| value | default | what it is for |\n|---|---|---|\n".to_owned();
    for value in values {
        let purpose = value.purpose.replace('|', "\\|");
        table.push_str(&format!(
            "| `{}` | `{}` | {purpose} |\n",
            value.path, value.default
        ));
    }
    table
}

/// Whether the schema has this value, and nothing else beside the values of its group.
///
/// # Errors
/// It does not.
pub(crate) fn is_in_schema(schema: &Value, path: &str) -> anyhow::Result<()> {
    let mut place = schema;
    for key in path.split('.') {
        anyhow::ensure!(
            place["additionalProperties"] == false || path.starts_with("resources."),
            "beside `{path}` the schema takes anything"
        );
        // What a container may ask for is the API server's to say.
        if place["properties"].is_null() && path.starts_with("resources.") {
            return Ok(());
        }
        place = place["properties"]
            .get(key)
            .with_context(|| format!("the schema has no `{path}`"))?;
    }
    Ok(())
}
