//! Requests about Jobs, each bounded in time: a kube client by itself waits for ever.

use std::time::Duration;

use drplan_api::status::ObjectRef;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy},
    core::Request,
};
use serde_json::Value;

use crate::{
    ApiError,
    job_watch::{SlimJob, job_resource},
};

/// The longest wait for one answer. The API server itself gives up after 60 s; a healthy one answers within one
/// (Kubernetes' own objective), so more than this is a dead connection.
const ANSWER_SECONDS_MAX: u64 = 30;

/// Posts `manifest` as a Job, waiting at most `patience` for the answer.
pub(super) async fn create(
    client: &Client,
    target: &ObjectRef,
    manifest: &Value,
    field_manager: &str,
    patience: Duration,
) -> Result<SlimJob, ApiError> {
    let params = PostParams {
        field_manager: Some(field_manager.to_owned()),
        ..PostParams::default()
    };
    // The manifest is sent as it is: a typed Job would drop the fields that this build does not know.
    let request = Request::new(jobs(client, target).resource_url())
        .create(&params, manifest.to_string().into_bytes())
        .map_err(|error| ApiError::refused(error.to_string()))?;
    bounded(patience, client.request(request)).await
}

/// The Job of that name as the API server has it now, none if there is none.
pub(super) async fn read(client: &Client, job: &ObjectRef) -> Result<Option<SlimJob>, ApiError> {
    bounded(Duration::MAX, jobs(client, job).get_opt(&job.name)).await
}

/// Deletes `job`, its Pods first, if it is still exactly what was read: the same Job in the same version.
pub(super) async fn delete(client: &Client, target: &ObjectRef, read: &SlimJob) -> Result<(), ApiError> {
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Foreground),
        preconditions: Some(Preconditions {
            uid: read.metadata.uid.clone(),
            resource_version: read.metadata.resource_version.clone(),
        }),
        ..DeleteParams::default()
    };
    bounded(Duration::MAX, jobs(client, target).delete(&target.name, &params))
        .await
        .map(drop)
}

/// Sends `patch` as a JSON merge patch.
pub(super) async fn patch(
    client: &Client,
    job: &ObjectRef,
    field_manager: &str,
    patch: Value,
) -> Result<(), ApiError> {
    let params = PatchParams {
        field_manager: Some(field_manager.to_owned()),
        ..PatchParams::default()
    };
    bounded(
        Duration::MAX,
        jobs(client, job).patch(&job.name, &params, &Patch::Merge(patch)),
    )
    .await
    .map(drop)
}

fn jobs(client: &Client, job: &ObjectRef) -> Api<SlimJob> {
    let namespace = job
        .namespace
        .as_deref()
        .unwrap_or_else(|| client.default_namespace());
    Api::namespaced_with(client.clone(), namespace, &job_resource())
}

/// The answer of `request`, if it comes within `patience` and the bound of any request.
pub(super) async fn bounded<T>(
    patience: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, ApiError> {
    let patience = patience.min(Duration::from_secs(ANSWER_SECONDS_MAX));
    match tokio::time::timeout(patience, request).await {
        Ok(answer) => answer.map_err(|error| ApiError::of(&error)),
        Err(_) => Err(ApiError::timed_out(patience)),
    }
}
