//! The block `localization`.

use serde_json::{Map, Value};

use crate::{
    AnyObject, ProblemKind, action as written,
    any_shape::shape_name,
    canonical::{Deferred, Localization, Operation, Override, OverrideType},
    limits::MANIFEST_BYTES_MAX,
    normalise::{
        action::operation,
        override_text,
        report::{Place, Report},
        scalar::{self, choice, is_template, object_name, text, whole},
    },
};

/// The Localization that `written` describes.
pub(super) fn localization(
    report: &mut Report,
    at: &Place,
    written: &written::Localization,
) -> Option<Localization> {
    let operation = operation(report, at, written.operation.as_ref());
    let name = object_name(
        report,
        &at.field("name"),
        written.name.as_ref(),
        true,
        "write the Localization's name",
    );
    let namespace = namespace(report, at, written);
    let priority = priority(report, &at.field("priority"), written);
    let override_policy = override_policy(report, at, written, operation);
    let feed = match &written.feed {
        Some(feed) => {
            check_feed(report, &at.field("feed"), &feed.0);
            Some(Value::Object(feed.0.clone()))
        }
        None => {
            if operation == Some(Operation::Create) {
                report.missing(
                    &at.field("feed"),
                    "a new Localization needs the object it is for: write apiVersion, kind, name and namespace",
                );
            }
            None
        }
    };
    let overrides = overrides(report, &at.field("overrides"), written);
    let nothing = priority.is_none() && override_policy.is_none() && feed.is_none() && overrides.is_empty();
    if operation == Some(Operation::Patch) && nothing && written.overrides.as_ref().is_none_or(Vec::is_empty)
    {
        report.note(
            at,
            "is a Patch that changes nothing; write `overrides`, `priority`, `overridePolicy` or `feed`",
        );
    }
    Some(Localization {
        operation: operation?,
        name: name?,
        namespace,
        priority,
        override_policy,
        feed,
        overrides,
    })
}

fn namespace(report: &mut Report, at: &Place, written: &written::Localization) -> Option<String> {
    let spellings = [
        ("namespace", &written.namespace),
        ("clusterNamespace", &written.cluster_namespace),
    ];
    let read = spellings.map(|(field, written)| {
        let namespace = scalar::namespace(report, &at.field(field), written.as_ref(), true);
        (field.to_owned(), namespace)
    });
    let namespace = report.agreed(at, read);
    if namespace.is_none() {
        report.warn(
            &at.field("namespace"),
            "is missing, so the plan's namespace is used; Clusternet reads Localizations only in a ManagedCluster's \
             namespace, such as clusternet-abcde; write that one",
        );
    }
    namespace
}

fn priority(report: &mut Report, at: &Place, written: &written::Localization) -> Option<Deferred<i32>> {
    // The range of Clusternet's own schema.
    let priority = whole(report, at, written.priority.as_ref(), "the priority", (0, 1000))?;
    Some(match priority {
        Deferred::Value(priority) => Deferred::Value(i32::try_from(priority).unwrap_or(1000)),
        Deferred::Template(template) => Deferred::Template(template),
    })
}

fn override_policy(
    report: &mut Report,
    at: &Place,
    written: &written::Localization,
    operation: Option<Operation>,
) -> Option<String> {
    let at = at.field("overridePolicy");
    let Some(policy) = text(written.override_policy.as_ref()) else {
        if matches!(operation, Some(Operation::Create | Operation::Apply)) {
            report.warn(
                &at,
                "is missing, and Clusternet's default ApplyLater has no effect on an application that is already \
                 distributed; write ApplyNow to act on it, or ApplyLater to keep this",
            );
        }
        return None;
    };
    if !is_template(policy) {
        let choices = [("ApplyNow", ()), ("ApplyLater", ())];
        choice(report, &at, policy, &choices, "ApplyNow or ApplyLater")?;
    }
    Some(policy.to_owned())
}

/// Checks that a feed names an object.
pub(super) fn check_feed(report: &mut Report, at: &Place, feed: &Map<String, Value>) {
    for (field, required, example) in [
        ("apiVersion", true, "such as apps/v1"),
        ("kind", true, "such as Deployment"),
        ("name", true, "the object's name"),
        ("namespace", false, ""),
    ] {
        let at = at.field(field);
        match feed.get(field) {
            Some(Value::String(text)) if !text.is_empty() => {}
            None | Some(Value::Null | Value::String(_)) if !required => {}
            None | Some(Value::Null | Value::String(_)) => {
                report.missing(&at, format!("write it, {example}"))
            }
            Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
                report.wrong_shape(&at, shape_name(other), "text");
            }
        }
    }
}

/// Checks and copies feeds.
pub(super) fn feeds(report: &mut Report, at: &Place, written: &[AnyObject]) -> Vec<Value> {
    let feeds = written.iter().enumerate().map(|(index, feed)| {
        check_feed(report, &at.item(index), &feed.0);
        Value::Object(feed.0.clone())
    });
    feeds.collect()
}

fn overrides(report: &mut Report, at: &Place, written: &written::Localization) -> Vec<Override> {
    let written = written.overrides.iter().flatten().enumerate();
    written
        .filter_map(|(index, written)| one_override(report, &at.item(index), written))
        .collect()
}

fn one_override(report: &mut Report, at: &Place, written: &written::Override) -> Option<Override> {
    const TYPES: &str = "JSONPatch, MergePatch, Helm, FieldJSONPatch or FieldMergePatch";
    let kind = text(written.kind.as_ref()).and_then(|kind| {
        let choices = [
            ("JSONPatch", OverrideType::JsonPatch),
            ("MergePatch", OverrideType::MergePatch),
            ("Helm", OverrideType::Helm),
            ("FieldJSONPatch", OverrideType::FieldJsonPatch),
            ("FieldMergePatch", OverrideType::FieldMergePatch),
        ];
        choice(report, &at.field("type"), kind, &choices, TYPES)
    });
    let path = text(written.path.as_ref());
    if path.is_some() && kind.is_some_and(|kind| kind != OverrideType::JsonPatch) {
        let remedy = "a path is short for a JSONPatch; take the path out, or write type: JSONPatch";
        report.exclusive(at, "path", "type", remedy);
        return None;
    }
    let value_at = at.field("value");
    let Some(value) = &written.value else {
        report.missing(
            &value_at,
            match path {
                Some(_) => "write the new value for the path",
                None => "write YAML or JSON text",
            },
        );
        return None;
    };
    let (kind, value) = match path {
        Some(path) => (
            OverrideType::JsonPatch,
            replacement(report, &at.field("path"), path, &value.0)?,
        ),
        None => {
            if text(written.kind.as_ref()).is_none() {
                report.missing(
                    &at.field("type"),
                    format!("write {TYPES}, or `path` and the new value"),
                );
            }
            let Value::String(text) = &value.0 else {
                report.wrong_shape(
                    &value_at,
                    shape_name(&value.0),
                    "it as text, in a block after `value: |`",
                );
                return None;
            };
            (kind?, text.clone())
        }
    };
    let bytes = value.len();
    report.bound(
        &value_at,
        "the number of bytes of the value",
        bytes,
        MANIFEST_BYTES_MAX,
        "split the override",
    );
    let name = match (text(written.name.as_ref()), path) {
        (Some(name), _) => name.to_owned(),
        (None, Some(path)) => format!("replace {path}"),
        (None, None) => {
            report.missing(&at.field("name"), "write a name for the override");
            return None;
        }
    };
    Some(Override { name, kind, value })
}

/// The JSONPatch that puts `value` at `path`.
fn replacement(report: &mut Report, at: &Place, path: &str, value: &Value) -> Option<String> {
    if !path.starts_with('/') && !is_template(path) {
        report.error(
            at,
            ProblemKind::WrongShape {
                found: "no JSON pointer".to_owned(),
                expected: "the path with slashes, such as /spec/replicas".to_owned(),
            },
        );
        return None;
    }
    Some(override_text::replace(path, value))
}
