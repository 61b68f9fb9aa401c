//! The CustomResourceDefinitions of the three kinds.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{DRPlan, DRPlanExecution, DRWorkflow};

/// The three definitions: workflows, plans, executions.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![DRWorkflow::crd(), DRPlan::crd(), DRPlanExecution::crd()]
}
