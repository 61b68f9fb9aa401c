//! The fields of a kind, from its schema. Sentences of a description that begin with `Required`, `Type:`, `Default:`,
//! `Values:` or `Limit:` become columns.

use std::collections::BTreeMap;

use serde_json::Value;

use super::table::table;

/// The schema of a kind.
pub(super) fn schema(crd: &Value) -> &Value {
    &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

/// Everything about a kind: names, columns, spec and status.
pub(super) fn kind(page: &mut String, sections: &mut Sections, crd: &Value) {
    let names = &crd["spec"]["names"];
    let name = names["kind"].as_str().unwrap();
    let schema = schema(crd);
    let description = schema["description"].as_str().unwrap();
    let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
        .as_array()
        .unwrap();
    let columns: Vec<&str> = columns
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    page.push_str(&format!(
        "\n## {name}\n\n{description}\n\n`kubectl get {}`, or `{}` for short, shows the columns {}.\n",
        names["plural"].as_str().unwrap(),
        names["shortNames"][0].as_str().unwrap(),
        columns.join(", "),
    ));
    for part in ["spec", "status"] {
        sections.write(page, &format!("{name}.{part}"), &schema["properties"][part]);
    }
}

/// Calls `visit` with every field below `schema` and its path.
pub(super) fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        visit(&path, field);
        walk(&path, field, visit);
        walk(&format!("{path}[]"), &field["items"], visit);
    }
}

/// What is told of a field.
#[derive(Debug, Default)]
pub(super) struct Doc {
    text: String,
    kind: String,
    /// What holds without the field.
    default: String,
    /// All values that exist.
    pub(super) values: Vec<String>,
    /// Bounds.
    pub(super) limit: String,
}

impl Doc {
    /// That of the field with this schema.
    pub(super) fn of(schema: &Value) -> Self {
        let mut doc = Self::default();
        let description = schema["description"].as_str().unwrap_or_default();
        for sentence in description
            .trim_end_matches('.')
            .split(". ")
            .filter(|sentence| !sentence.is_empty())
        {
            if let Some(rest) = sentence.strip_prefix("Required") {
                doc.default = format!("required{rest}");
            } else if let Some(kind) = sentence.strip_prefix("Type: ") {
                doc.kind = kind.to_owned();
            } else if let Some(default) = sentence.strip_prefix("Default: ") {
                doc.default = default.to_owned();
            } else if let Some(values) = sentence.strip_prefix("Values: ") {
                doc.values = values.split(", ").map(str::to_owned).collect();
            } else if let Some(limit) = sentence.strip_prefix("Limit: ") {
                doc.limit = limit.to_owned();
            } else {
                doc.text.push_str(if doc.text.is_empty() { "" } else { " " });
                doc.text.push_str(sentence);
                doc.text.push('.');
            }
        }
        doc
    }

    /// What is needed comes first, what is not to be written last.
    fn rank(&self) -> u8 {
        let is_aside = ["Reserved", "Another"]
            .iter()
            .any(|start| self.text.starts_with(start));
        let is_required = self.default.starts_with("required") && !self.default.starts_with("required for");
        match (is_required, is_aside) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        }
    }

    fn row(self, name: &str, kind: String) -> Vec<String> {
        let values: Vec<String> = self.values.iter().map(|value| format!("`{value}`")).collect();
        let bounds = [values.join(", "), self.limit]
            .into_iter()
            .filter(|part| !part.is_empty());
        let bounds: Vec<String> = bounds.collect();
        vec![
            format!("`{name}`"),
            kind,
            self.default,
            bounds.join("; "),
            self.text,
        ]
    }
}

/// Where the fields of each object are told, by what is told of them: what is the same is not told twice.
#[derive(Default)]
pub(super) struct Sections(BTreeMap<Vec<(String, String)>, String>);

/// Objects whose section is still to be written, with their paths.
type Awaited<'a> = Vec<(String, &'a Value)>;

impl Sections {
    /// The section of the object at `path`, then those of the objects in it that have none.
    fn write(&mut self, page: &mut String, path: &str, schema: &Value) {
        page.push_str(&format!("\n### {path}\n\n"));
        let properties = schema["properties"].as_object().unwrap();
        let docs = properties
            .iter()
            .map(|(name, field)| (name, field, Doc::of(field)));
        let mut fields: Vec<(&String, &Value, Doc)> = docs.collect();
        fields.sort_by_key(|(name, _, doc)| (doc.rank(), *name));
        if fields.iter().all(|(_, _, doc)| doc.text.is_empty()) {
            let names: Vec<String> = fields.iter().map(|(name, _, _)| format!("`{name}`")).collect();
            page.push_str(&format!(
                "{}\n\nNumbers: {}.\n",
                Doc::of(schema).text,
                names.join(", ")
            ));
            return;
        }
        let mut awaited = Awaited::new();
        let rows = fields.into_iter().map(|(name, field, doc)| {
            let kind = self.kind(&format!("{path}.{name}"), field, &doc, &mut awaited);
            doc.row(name, kind)
        });
        let rows = rows.collect();
        table(page, &["field", "type", "default", "values, limits", "is"], rows);
        for (path, schema) in awaited {
            self.write(page, &path, schema);
        }
    }

    /// The type of the field at `path`.
    fn kind<'a>(&mut self, path: &str, schema: &'a Value, doc: &Doc, awaited: &mut Awaited<'a>) -> String {
        if !doc.kind.is_empty() {
            return doc.kind.clone();
        }
        match schema["type"].as_str() {
            None if doc.rank() == 2 => String::new(),
            None => panic!("{path} has any shape; tell its type in a sentence that begins with `Type: `"),
            Some("array") => {
                let one = self.kind(&format!("{path}[]"), &schema["items"], &Doc::default(), awaited);
                let plural = if one.starts_with('[') { "" } else { "s" };
                format!("list of {one}{plural}")
            }
            Some("object") if schema["additionalProperties"].is_object() => "map of strings".to_owned(),
            Some("object") if schema["properties"].is_object() => {
                let told = self.0.entry(told(schema)).or_insert_with(|| {
                    awaited.push((path.to_owned(), schema));
                    path.to_owned()
                });
                format!("[object](#{})", anchor(told))
            }
            Some("string") if schema["format"] == "date-time" => "time".to_owned(),
            Some(other) => other.to_owned(),
        }
    }
}

/// The names of an object's fields and what is told of them.
fn told(schema: &Value) -> Vec<(String, String)> {
    let fields = schema["properties"].as_object().into_iter().flatten();
    fields
        .map(|(name, field)| (name.clone(), field["description"].to_string()))
        .collect()
}

/// How a heading is linked to.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace(['.', '[', ']'], "")
}
