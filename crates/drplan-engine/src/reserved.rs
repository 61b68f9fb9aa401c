//! What no manifest may say: the marks by which the product knows what it made, and owners whose deletion would undo a
//! failover.

use drplan_api::{GROUP, labels};
use serde_json::Value as Json;

/// Labels and annotations by which an undo knows whose an object is.
const MARKS: [&str; 6] = [
    labels::EXECUTION,
    labels::PLAN,
    labels::PLAN_NAMESPACE,
    labels::EXECUTION_UID,
    labels::ACTION_PATH,
    labels::ATTEMPT,
];

/// What `body`, an object, a patch of one or a list of JSON patch operations, says and may not; as the end of a sentence
/// about it.
pub(crate) fn reserved(body: &Json) -> Option<String> {
    match body.as_array() {
        Some(operations) => operations.iter().find_map(in_operation),
        None => in_metadata(body.get("metadata")?),
    }
}

fn in_metadata(metadata: &Json) -> Option<String> {
    let mark = ["labels", "annotations"].into_iter().find_map(|field| {
        let keys = metadata.get(field)?.as_object()?.keys();
        let mark = keys
            .into_iter()
            .find_map(|key| MARKS.iter().find(|mark| *mark == key))?;
        Some(forged(field, mark))
    });
    mark.or_else(|| owned(metadata.get("ownerReferences")?))
}

/// A JSON patch reaches single fields by paths, and whole parents by values.
fn in_operation(operation: &Json) -> Option<String> {
    let whole = ["path", "from"].iter().find_map(|field| {
        let path = operation.get(*field)?.as_str()?;
        let segments = path
            .split('/')
            .map(|segment| segment.replace("~1", "/").replace("~0", "~"));
        let segments: Vec<String> = segments.collect();
        let mark = MARKS
            .iter()
            .find(|mark| segments.iter().any(|segment| segment == *mark));
        mark.map(|mark| forged("metadata", mark))
    });
    whole.or_else(|| {
        let value = operation.get("value")?;
        match operation.get("path")?.as_str()? {
            "" => in_metadata(value.get("metadata")?),
            "/metadata" => in_metadata(value),
            "/metadata/labels" | "/metadata/annotations" => {
                let field = operation.get("path")?.as_str()?.rsplit('/').next()?;
                in_metadata(&serde_json::json!({ field: value }))
            }
            "/metadata/ownerReferences" => owned(value),
            path if path.starts_with("/metadata/ownerReferences/") => {
                owned(&Json::Array(vec![value.clone()]))
            }
            _ => None,
        }
    })
}

fn forged(field: &str, mark: &str) -> String {
    format!("writes `{mark}` into its {field}, by which undos know what they may delete; take it out")
}

/// Whether one of the owners is ours.
fn owned(owners: &Json) -> Option<String> {
    let is_ours = |owner: &Json| {
        let version = owner.get("apiVersion").and_then(Json::as_str).unwrap_or_default();
        version.split('/').next() == Some(GROUP) || version.is_empty() && is_our_kind(owner)
    };
    owners.as_array()?.iter().any(is_ours).then(|| {
        format!("names an owner of {GROUP} in metadata.ownerReferences, with whose record it would be deleted; take it out")
    })
}

/// A JSON patch may name the kind alone.
fn is_our_kind(owner: &Json) -> bool {
    let kind = owner.get("kind").and_then(Json::as_str).unwrap_or_default();
    ["DRWorkflow", "DRPlan", "DRPlanExecution"].contains(&kind)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn marks_and_our_owners_are_found_wherever_a_write_can_put_them() {
        let uid = "dr.bkbcs.tencent.com/execution-uid";
        let path = "/metadata/annotations/dr.bkbcs.tencent.com~1execution-uid";
        let owner =
            json!({"apiVersion": "dr.bkbcs.tencent.com/v1alpha1", "kind": "DRPlanExecution", "name": "run"});
        for body in [
            json!({"metadata": {"annotations": {uid: "x"}}}),
            json!({"metadata": {"annotations": {uid: null}}}),
            json!({"metadata": {"labels": {"dr.bkbcs.tencent.com/plan": "x"}}}),
            json!({"metadata": {"ownerReferences": [{"apiVersion": "v1"}, owner]}}),
            json!([{"op": "test", "path": "/a"}, {"op": "add", "path": path, "value": "x"}]),
            json!([{"op": "copy", "from": path, "path": "/metadata/annotations/other"}]),
            json!([{"op": "add", "path": "/metadata/annotations", "value": {uid: "x"}}]),
            json!([{"op": "add", "path": "/metadata", "value": {"annotations": {uid: "x"}}}]),
            json!([{"op": "replace", "path": "", "value": {"metadata": {"annotations": {uid: "x"}}}}]),
            json!([{"op": "add", "path": "/metadata/ownerReferences", "value": [owner]}]),
            json!([{"op": "add", "path": "/metadata/ownerReferences/-", "value": owner}]),
        ] {
            let found = reserved(&body);
            assert!(found.is_some_and(|found| found.contains("take it out")), "{body}");
        }
        for body in [
            json!({}),
            json!({"metadata": {"annotations": {"dr.bkbcs.tencent.com/cancel": "true", "a": uid}}}),
            json!({"metadata": {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment"}]}}),
            json!({"spec": {"template": {"metadata": {"labels": {"dr.bkbcs.tencent.com/plan": "x"}}}}}),
            json!([{"op": "add", "path": "/metadata/annotations/a", "value": "x"}]),
            json!([{"op": "remove", "path": "/metadata/ownerReferences/0"}]),
        ] {
            assert_eq!(reserved(&body), None, "{body}");
        }
    }
}
