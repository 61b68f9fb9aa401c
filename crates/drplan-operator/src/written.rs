//! When an annotation was written, as far as the API server tells.

use drplan_api::Time;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

/// When an annotation was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// At the latest: whoever wrote it may have changed something else since.
    pub time: Time,
    /// Whether it came with the object: whoever wrote it wrote the spec as well, in the second of the creation.
    pub at_creation: bool,
}

/// When annotation `name` was last written, by `metadata.managedFields`; none if they do not tell.
pub fn written(meta: &ObjectMeta, name: &str) -> Option<Written> {
    let field = format!("f:{name}");
    let entries = meta.managed_fields.iter().flatten();
    let last = entries
        .filter(|entry| holds(entry, &["f:metadata", "f:annotations", &field]))
        .filter_map(|entry| Some((Time::new(entry.time.as_ref()?.0), holds(entry, &["f:spec"]))))
        .max_by_key(|(time, _)| *time);
    let created = meta.creation_timestamp.as_ref().map(|time| Time::new(time.0));
    last.map(|(time, with_spec)| Written {
        time,
        at_creation: with_spec && created.is_none_or(|created| time <= created),
    })
}

/// Whether the field at `path` is among those of `entry`.
fn holds(entry: &ManagedFieldsEntry, path: &[&str]) -> bool {
    let mut fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
    for step in path {
        fields = fields.and_then(|fields| fields.get(step));
    }
    fields.is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TRIGGER: &str = "dr.bkbcs.tencent.com/trigger";

    /// An entry of `seconds` past 10:00:00, the time of the creation.
    fn entry(seconds: u32, fields: Value) -> Value {
        json!({"manager": "m", "operation": "Update", "fieldsV1": fields, "time": format!("2026-01-30T10:00:{seconds:02}Z")})
    }

    fn annotated(with_spec: bool) -> Value {
        let mut fields = json!({"f:metadata": {"f:annotations": {".": {}, format!("f:{TRIGGER}"): {}}}});
        if with_spec {
            fields["f:spec"] = json!({"f:stages": {}});
        }
        fields
    }

    #[test]
    fn an_annotation_is_as_old_as_its_youngest_writer() {
        let check = |entries: Vec<Value>, expected: Option<(&str, bool)>| {
            let meta = json!({"creationTimestamp": "2026-01-30T10:00:00Z", "managedFields": entries});
            let meta: ObjectMeta = serde_json::from_value(meta).unwrap();
            let expected = expected.map(|(time, at_creation)| Written {
                time: time.parse().unwrap(),
                at_creation,
            });
            assert_eq!(written(&meta, TRIGGER), expected);
        };
        let others = json!({"f:metadata": {"f:annotations": {"f:other": {}}}, "f:spec": {}});
        check(vec![], None);
        check(vec![json!({})], None);
        check(vec![entry(0, others.clone())], None);
        check(
            vec![entry(0, others), entry(5, annotated(false))],
            Some(("2026-01-30T10:00:05Z", false)),
        );
        check(
            vec![entry(7, annotated(false)), entry(5, annotated(true))],
            Some(("2026-01-30T10:00:07Z", false)),
        );
        // Annotated at once, and annotated by whoever wrote the spec, are not the same as created with it.
        check(
            vec![entry(0, annotated(false))],
            Some(("2026-01-30T10:00:00Z", false)),
        );
        check(
            vec![entry(9, annotated(true))],
            Some(("2026-01-30T10:00:09Z", false)),
        );
        check(
            vec![entry(0, annotated(true))],
            Some(("2026-01-30T10:00:00Z", true)),
        );
    }
}
