//! Templates in fields that are objects: a string that is nothing but one expression becomes a number or boolean
//! where the target's own type is one.

use std::sync::OnceLock;

use drplan_template::{Template, Value};
use k8s_openapi::api::batch::v1::JobSpec;
use serde_json::{Value as Json, json};

use crate::render::RenderError;

/// A JobSpec with its templates rendered, typed as `batch/v1` types its fields.
///
/// # Errors
/// [`RenderError`] for the first text that does not render.
pub(crate) fn render_job_spec(spec: &Json, data: &Value) -> Result<Json, RenderError> {
    static SCHEMA: OnceLock<Json> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| schemars::schema_for!(JobSpec).to_value());
    Types { root: schema }.render("job", spec, Some(schema), data)
}

/// A tree of texts with its templates rendered; every text stays a text.
///
/// # Errors
/// [`RenderError`] for the first text that does not render.
pub(crate) fn render_texts(field: &str, tree: &Json, data: &Value) -> Result<Json, RenderError> {
    Types { root: &Json::Null }.render(field, tree, None, data)
}

/// A part of a Clusternet Subscription with its templates rendered: every text stays a text, but a `weight` becomes
/// the number that it is there.
///
/// # Errors
/// [`RenderError`] for the first text that does not render.
pub(crate) fn render_weighted(field: &str, tree: &Json, data: &Value) -> Result<Json, RenderError> {
    static SCHEMA: OnceLock<Json> = OnceLock::new();
    let any = "#/$defs/any";
    let schema = SCHEMA.get_or_init(|| {
        json!({"$defs": {"any": {
            "properties": {"weight": {"type": "integer"}},
            "additionalProperties": {"$ref": any},
            "items": {"$ref": any},
        }}})
    });
    Types { root: schema }.render(field, tree, schema.pointer("/$defs/any"), data)
}

/// The JSON schema that says what type a field has.
struct Types<'a> {
    root: &'a Json,
}

impl<'a> Types<'a> {
    fn render(
        &self,
        field: &str,
        tree: &Json,
        schema: Option<&'a Json>,
        data: &Value,
    ) -> Result<Json, RenderError> {
        let schema = schema.map(|schema| self.resolve(schema));
        match tree {
            Json::String(source) => self.text(field, source, schema, data),
            Json::Array(items) => {
                let of_items = schema.and_then(|schema| schema.get("items"));
                let rendered = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.render(&format!("{field}[{index}]"), item, of_items, data));
                Ok(Json::Array(rendered.collect::<Result<_, _>>()?))
            }
            Json::Object(members) => {
                let mut rendered = serde_json::Map::new();
                for (name, member) in members {
                    let field = format!("{field}.{name}");
                    // Keys such as labels are texts too, but a rendered key could change the structure.
                    rendered.insert(
                        name.clone(),
                        self.render(&field, member, self.member(schema, name), data)?,
                    );
                }
                Ok(Json::Object(rendered))
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => Ok(tree.clone()),
        }
    }

    fn text(
        &self,
        field: &str,
        source: &str,
        schema: Option<&Json>,
        data: &Value,
    ) -> Result<Json, RenderError> {
        let problem = |message: String| RenderError {
            field: field.to_owned(),
            message,
        };
        let template = Template::parse(source).map_err(|error| problem(error.to_string()))?;
        if template.is_literal() {
            return template
                .render_text(data)
                .map(Json::String)
                .map_err(|error| problem(error.to_string()));
        }
        let wanted = schema.map_or(Wanted::Text, wanted);
        if wanted == Wanted::Text {
            return template
                .render_text(data)
                .map(Json::String)
                .map_err(|error| problem(error.to_string()));
        }
        let value = template
            .render_value(data)
            .map_err(|error| problem(error.to_string()))?;
        convert(wanted, value).ok_or_else(|| {
            problem(format!(
                "does not render to {}, which this field takes",
                wanted.name()
            ))
        })
    }

    /// The schema behind references and single-branch `anyOf`s (how optional fields are described).
    fn resolve(&self, mut schema: &'a Json) -> &'a Json {
        // A schema refers at most a few times before it says something.
        const HOPS_MAX: usize = 8;
        for _ in 0..HOPS_MAX {
            if let Some(name) = schema
                .get("$ref")
                .and_then(Json::as_str)
                .and_then(|path| path.rsplit('/').next())
            {
                match self
                    .root
                    .get("$defs")
                    .and_then(|definitions| definitions.get(name))
                {
                    Some(target) => schema = target,
                    None => return schema,
                }
            } else if let Some(branch) = ["anyOf", "allOf"]
                .iter()
                .find_map(|key| sole_branch(schema.get(key)?))
            {
                schema = branch;
            } else {
                return schema;
            }
        }
        schema
    }

    fn member(&self, schema: Option<&'a Json>, name: &str) -> Option<&'a Json> {
        let schema = schema?;
        let named = schema
            .get("properties")
            .and_then(|properties| properties.get(name));
        named
            .or_else(|| schema.get("additionalProperties"))
            .filter(|schema| schema.is_object())
    }
}

/// The only branch that is not `null`.
fn sole_branch(branches: &Json) -> Option<&Json> {
    let mut kept = branches
        .as_array()?
        .iter()
        .filter(|branch| branch.get("type").and_then(Json::as_str) != Some("null"));
    let first = kept.next()?;
    kept.next().is_none().then_some(first)
}

/// What a field takes, as far as a lone expression is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Text,
    Integer,
    Boolean,
    IntOrString,
}

impl Wanted {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Boolean => "true or false",
            Self::IntOrString => "a whole number or a text",
        }
    }
}

fn wanted(schema: &Json) -> Wanted {
    let is = |name: &str| match schema.get("type") {
        Some(Json::String(one)) => one == name,
        Some(Json::Array(several)) => several.iter().any(|one| one == name),
        _ => false,
    };
    let int_or_string = schema.get("x-kubernetes-int-or-string") == Some(&Json::Bool(true))
        || schema.get("format").and_then(Json::as_str) == Some("int-or-string");
    if int_or_string || (is("integer") && is("string")) {
        Wanted::IntOrString
    } else if is("integer") {
        Wanted::Integer
    } else if is("boolean") {
        Wanted::Boolean
    } else {
        Wanted::Text
    }
}

fn convert(wanted: Wanted, value: Value) -> Option<Json> {
    let text = match value {
        Value::Int(number) => return (wanted != Wanted::Boolean).then(|| Json::from(number)),
        Value::Bool(value) => return (wanted == Wanted::Boolean).then_some(Json::Bool(value)),
        Value::String(text) => text,
        Value::Null | Value::Float(_) | Value::List(_) | Value::Map(_) => return None,
    };
    match wanted {
        Wanted::Integer => text.trim().parse::<i64>().ok().map(Json::from),
        Wanted::Boolean => text.trim().parse::<bool>().ok().map(Json::from),
        Wanted::IntOrString => Some(
            text.trim()
                .parse::<i64>()
                .map_or(Json::String(text.clone()), Json::from),
        ),
        Wanted::Text => Some(Json::String(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_expression_becomes_what_the_field_takes() {
        let params = json!({"n": 3, "s": "5", "b": "true", "word": "x", "yes": true});
        let data = Value::from(json!({ "params": params }));
        let spec = json!({
            "parallelism": "{{ .params.n }}",
            "backoffLimit": "{{ .params.s }}",
            "suspend": "{{ .params.b }}",
            "template": {"metadata": {"labels": {"n": "{{ .params.n }}"}}, "spec": {
                "terminationGracePeriodSeconds": "{{ .params.n }}",
                "hostNetwork": "{{ .params.yes }}",
                "containers": [{
                    "name": "c{{ .params.n }}",
                    "env": [{"name": "N", "value": "{{ .params.n }}"}],
                    "ports": [{"containerPort": "{{ .params.n }}"}],
                    "readinessProbe": {"httpGet": {"port": "{{ .params.s }}"}},
                }],
            }},
        });
        let rendered = render_job_spec(&spec, &data).unwrap();
        assert_eq!(
            rendered,
            json!({
                "parallelism": 3, "backoffLimit": 5, "suspend": true,
                "template": {"metadata": {"labels": {"n": "3"}}, "spec": {
                    "terminationGracePeriodSeconds": 3, "hostNetwork": true,
                    "containers": [{
                        "name": "c3",
                        "env": [{"name": "N", "value": "3"}],
                        "ports": [{"containerPort": 3}],
                        "readinessProbe": {"httpGet": {"port": 5}},
                    }],
                }},
            })
        );
        let wrong = json!({"parallelism": "{{ .params.word }}"});
        let error = render_job_spec(&wrong, &data).unwrap_err();
        assert_eq!(
            error.to_string(),
            "job.parallelism: does not render to a whole number, which this field takes"
        );
    }
}
