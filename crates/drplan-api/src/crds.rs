//! The CustomResourceDefinitions of the three kinds.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use crate::{DRPlan, DRPlanExecution, DRWorkflow};

/// The three definitions: workflows, plans, executions.
///
/// Their category is `drplan-all`. It must not be the name of a kind: kubectl would read `kubectl get drplan shop` as the
/// category and refuse it.
///
/// # Guarantees
/// No defaults: what a user wrote is stored as written. No number formats that Kubernetes does not know.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crds = full_crds();
    for crd in &mut crds {
        for version in &mut crd.spec.versions {
            let schema = version.schema.as_mut();
            let schema = schema.and_then(|schema| schema.open_api_v3_schema.as_mut());
            let properties = schema.and_then(|schema| schema.properties.as_mut());
            if let Some(status) = properties.and_then(|properties| properties.get_mut("status")) {
                lighten(status);
            }
        }
    }
    crds
}

/// The three definitions with every field of every status, for those who read about them.
pub fn full_crds() -> Vec<CustomResourceDefinition> {
    let mut crds = vec![DRWorkflow::crd(), DRPlan::crd(), DRPlanExecution::crd()];
    for crd in &mut crds {
        for version in &mut crd.spec.versions {
            let schema = version.schema.as_mut();
            if let Some(schema) = schema.and_then(|schema| schema.open_api_v3_schema.as_mut()) {
                tidy(schema);
            }
        }
    }
    crds
}

/// The lists of a status that grow with the run: one entry for each stage or action.
const RECORDS: [&str; 3] = ["stageStatuses", "actionStatuses", "outputs"];

/// Leaves the records of a run open, and the status to one owner as a whole.
///
/// The operator alone writes a status, and writes it at every step. An API server that holds each field of each record to
/// a schema and counts who owns it takes twice the time for that: measured with a run of 20 actions, 14 ms of its
/// processor time instead of 7.
fn lighten(status: &mut JSONSchemaProps) {
    status.x_kubernetes_map_type = Some("atomic".to_owned());
    for (name, property) in status.properties.iter_mut().flatten() {
        if RECORDS.contains(&name.as_str()) {
            *property = JSONSchemaProps {
                description: property
                    .description
                    .take()
                    .map(|text| format!("{text} Their fields are in docs/reference.md.")),
                x_kubernetes_preserve_unknown_fields: Some(true),
                ..JSONSchemaProps::default()
            };
        }
    }
}

/// The definitions as YAML of several documents, for `kubectl apply -f`; the same bytes every time.
///
/// # Errors
/// None that is known: the definitions hold nothing that YAML cannot.
pub fn crds_yaml() -> Result<String, serde_saphyr::ser::Error> {
    let mut yaml = String::new();
    for crd in crds() {
        yaml.push_str("---\n");
        yaml.push_str(&serde_saphyr::to_string(&crd)?);
    }
    Ok(yaml)
}

/// Takes out what the derivation adds and the API server would act on or does not know, and the line breaks of the
/// source from descriptions.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.default = None;
    if let Some(description) = &mut schema.description {
        *description = description.replace('\n', " ");
    }
    let unsigned = schema
        .format
        .as_deref()
        .is_some_and(|format| format.starts_with("uint"));
    if unsigned {
        schema.format = None;
        schema.minimum = None;
    }
    for property in schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
    {
        tidy(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => tidy(item),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}
