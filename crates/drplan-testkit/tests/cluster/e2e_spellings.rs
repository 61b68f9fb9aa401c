//! Every accepted spelling, through a real API server: nothing is pruned, and what the operator makes of it.

use drplan_api::{
    DRPlan, DRPlanExecution, DRWorkflow, decode, normalise_execution, normalise_plan, normalise_workflow,
    spellings::rows,
};
use drplan_testkit::{TestNamespace, object_until};
use kube::api::DynamicObject;
use serde_json::Value;

use crate::fixtures::{apply, our_api, plan, post, text, workflow};
use crate::shared;

/// The manifest under another name in the test's namespace, which also stands for the namespaces that it refers to.
fn here(t: &TestNamespace, manifest: &Value, name: &str) -> Value {
    let mut manifest = in_namespace(manifest, &t.name);
    manifest["metadata"]["name"] = name.into();
    manifest
}

/// Values of `namespace` in references, not those in actions, which are not looked up here.
fn in_namespace(value: &Value, namespace: &str) -> Value {
    match value {
        Value::Object(fields) => {
            let is_known =
                |field: &str, value: &Value| field == "namespace" && (value == "default" || value == "other");
            let fields = fields.iter().map(|(field, value)| {
                let value = match is_known(field, value) {
                    true => namespace.into(),
                    false => in_namespace(value, namespace),
                };
                (field.clone(), value)
            });
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.iter().map(|item| in_namespace(item, namespace)).collect(),
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => scalar.clone(),
    }
}

/// Creates the object as kubectl does with `--validate=strict`: a field that the schema does not know is an error.
async fn create_strictly(t: &TestNamespace, manifest: &Value) -> anyhow::Result<()> {
    let plural = format!("{}s", text(manifest, "/kind").to_lowercase());
    let url = format!(
        "/apis/dr.bkbcs.tencent.com/v1alpha1/namespaces/{}/{plural}?fieldValidation=Strict",
        t.name
    );
    let request = http::Request::post(url)
        .header("content-type", "application/json")
        .body(serde_json::to_vec(manifest)?)?;
    t.client
        .request::<Value>(request)
        .await
        .map_err(|error| anyhow::anyhow!("{manifest}: {error}"))?;
    Ok(())
}

/// Waits until the operator has judged the object, and returns it.
async fn judged(t: &TestNamespace, manifest: &Value) -> anyhow::Result<Value> {
    let name = text(manifest, "/metadata/name");
    let seen: DynamicObject = object_until(
        &our_api(t, text(manifest, "/kind")),
        name,
        "a verdict",
        |object| {
            let object = object?;
            let phase = text(&object.data, "/status/phase");
            (!phase.is_empty() && phase != "Pending").then(|| object.clone())
        },
    )
    .await?;
    Ok(serde_json::to_value(seen)?)
}

/// The canonical form of an object as the API server returns it.
fn canonical(object: &Value) -> Option<Value> {
    let namespace = text(object, "/metadata/namespace");
    let as_json = |value: Option<Value>| value;
    match text(object, "/kind") {
        "DRWorkflow" => {
            let read: DRWorkflow = decode(object.clone()).ok()?;
            as_json(
                normalise_workflow(&read.spec)
                    .value
                    .and_then(|value| serde_json::to_value(value).ok()),
            )
        }
        "DRPlan" => {
            let read: DRPlan = decode(object.clone()).ok()?;
            as_json(
                normalise_plan(&read.spec, namespace)
                    .value
                    .and_then(|value| serde_json::to_value(value).ok()),
            )
        }
        _ => {
            let read: DRPlanExecution = decode(object.clone()).ok()?;
            let request = normalise_execution(&read.spec, namespace).value;
            as_json(request.and_then(|value| serde_json::to_value(value).ok()))
        }
    }
}

#[tokio::test]
async fn every_spelling_is_stored_as_written_and_means_what_the_canonical_one_means() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let used = serde_json::json!({"name": "p", "overridable": true});
        apply(
            t,
            &workflow("w")
                .parameter(used)
                .action(post("a", &t.stand_in.url("/a"))),
        )
        .await?;
        // What an execution asks for is read before it is refused.
        apply(
            t,
            &plan("shop").with("suspend", true.into()).stage("main", &["w"]),
        )
        .await?;
        for (number, row) in rows().iter().enumerate() {
            let mut first = None;
            for (spelling, manifest) in row.same.iter().enumerate() {
                let manifest = here(t, manifest, &format!("same-{number}-{spelling}"));
                create_strictly(t, &manifest).await?;
                let object = judged(t, &manifest).await?;
                assert_eq!(object["spec"], manifest["spec"], "{}", row.name);
                let form = canonical(&object);
                assert!(form.is_some(), "{}: {object}", row.name);
                assert_eq!(
                    *first.get_or_insert_with(|| form.clone()),
                    form,
                    "{}: {manifest}",
                    row.name
                );
                let (phase, message) = (text(&object, "/status/phase"), text(&object, "/status/message"));
                match text(&object, "/kind") {
                    "DRPlanExecution" => assert!(!message.starts_with("Invalid"), "{}: {message}", row.name),
                    _ => assert_eq!(phase, "Ready", "{}: {message}", row.name),
                }
            }
            for (spelling, (manifest, one, other)) in row.different.iter().enumerate() {
                let manifest = here(t, manifest, &format!("different-{number}-{spelling}"));
                create_strictly(t, &manifest).await?;
                let object = judged(t, &manifest).await?;
                assert_eq!(object["spec"], manifest["spec"], "{}", row.name);
                let (phase, message) = (text(&object, "/status/phase"), text(&object, "/status/message"));
                let expected = match text(&object, "/kind") {
                    "DRPlanExecution" => "Failed",
                    _ => "Invalid",
                };
                assert_eq!(phase, expected, "{}: {message}", row.name);
                for name in [one, other] {
                    assert!(message.contains(&format!("`{name}`")), "{}: {message}", row.name);
                }
            }
        }
        assert_eq!(t.stand_in.all().len(), 0);
        Ok(())
    };
    control_plane.with_namespace("spellings", test).await
}
