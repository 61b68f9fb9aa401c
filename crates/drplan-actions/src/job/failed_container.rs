//! Why a Job failed: the first container of its Pods that did, and the end of its log.

use std::time::Duration;

use drplan_api::{limits::OUTPUT_TEXT_BYTES_MAX, status::ObjectRef};
use drplan_engine::effect::{Failure, FailureKind};
use futures::AsyncReadExt;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod, PodStatus};
use kube::{
    Api, Client,
    api::{ListParams, LogParams},
    core::{ApiResource, NotUsed, Object},
};

use super::{server::bounded, shown};
use crate::{
    ApiError,
    text::{one_line, tail},
};

/// A Pod without its spec.
type SlimPod = Object<NotUsed, PodStatus>;

/// Lines asked of the end of a log: 4 KiB of lines of 8 bytes.
const LOG_LINES: i64 = 512;
/// Bytes of a log read at most: lines can be of any length.
const LOG_BYTES_READ_MAX: usize = 1024 * 1024;
/// The longest wait for the Pods or the log: the Job has failed already, this only explains it.
const EXPLANATION_SECONDS_MAX: u64 = 10;
/// Pods looked at: `backoffLimit` is 6 by default.
const PODS_MAX: u32 = 50;
/// Bytes of the Job controller's own message.
const MESSAGE_BYTES_MAX: usize = 200;

/// The failure of `job`, with what its Pods tell. What cannot be read of them is left out, and the message says so.
pub(super) async fn failed(client: &Client, job: &ObjectRef, reason: &str, message: &str) -> Failure {
    let mut failure = Failure::new(FailureKind::JobFailed, String::new());
    let mut explanation = one_line(message, MESSAGE_BYTES_MAX);
    match pods(client, job).await {
        Ok(pods) => {
            if let Some(first) = first_failed(&pods) {
                explanation = first.to_string();
                failure.exit_code = Some(first.exit_code);
                match log(client, job, &first).await {
                    Ok(log) => failure.log = (!log.is_empty()).then_some(log),
                    Err(error) => explanation += &format!(" (its log could not be read: {error})"),
                }
            }
        }
        Err(error) => explanation += &format!(" (its Pods could not be read: {error})"),
    }
    failure.message = format!("Job {} failed: {reason}: {explanation}", shown(job));
    failure
}

/// A container that ended with an error.
#[derive(Debug, PartialEq)]
struct FailedContainer {
    pod: String,
    container: String,
    exit_code: i32,
    reason: String,
    /// Whether it was started again since, so that its log is the previous one.
    previous: bool,
}

impl std::fmt::Display for FailedContainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "container {} exited with {}", self.container, self.exit_code)?;
        match self.reason.as_str() {
            "" | "Error" => Ok(()),
            reason => write!(f, " ({reason})"),
        }
    }
}

async fn pods(client: &Client, job: &ObjectRef) -> Result<Vec<SlimPod>, ApiError> {
    // The label that the Job controller selects its Pods by since Kubernetes 1.27.
    let selector = format!(
        "batch.kubernetes.io/controller-uid={}",
        job.uid.as_deref().unwrap_or_default()
    );
    let params = ListParams::default().labels(&selector).limit(PODS_MAX);
    let resource = ApiResource::erase::<Pod>(&());
    let api: Api<SlimPod> = Api::namespaced_with(client.clone(), namespace(client, job), &resource);
    Ok(
        bounded(Duration::from_secs(EXPLANATION_SECONDS_MAX), api.list(&params))
            .await?
            .items,
    )
}

/// The container that failed first, over all Pods.
fn first_failed(pods: &[SlimPod]) -> Option<FailedContainer> {
    let of_pod = |pod: &SlimPod| {
        let status = pod.status.clone().unwrap_or_default();
        let containers = [status.init_container_statuses, status.container_statuses];
        let name = pod.metadata.name.clone().unwrap_or_default();
        containers
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(move |container| {
                let now = container.state.and_then(failed_state).map(|ended| (ended, false));
                let (ended, previous) = container
                    .last_state
                    .and_then(failed_state)
                    .map(|ended| (ended, true))
                    .or(now)?;
                let failed = FailedContainer {
                    pod: name.clone(),
                    container: container.name,
                    exit_code: ended.exit_code,
                    reason: ended.reason.unwrap_or_default(),
                    previous,
                };
                Some((ended.finished_at, failed))
            })
    };
    // The first in time; at the same second, the first in name and order.
    let mut failed: Vec<_> = pods.iter().flat_map(of_pod).collect();
    failed.sort_by(|(one_time, one), (other_time, other)| {
        one_time.cmp(other_time).then_with(|| one.pod.cmp(&other.pod))
    });
    failed.into_iter().next().map(|(_, container)| container)
}

fn failed_state(state: ContainerState) -> Option<ContainerStateTerminated> {
    state.terminated.filter(|ended| ended.exit_code != 0)
}

/// The end of the log of `failed`, at most as much as is stored.
async fn log(client: &Client, job: &ObjectRef, failed: &FailedContainer) -> Result<String, ApiError> {
    let params = LogParams {
        container: Some(failed.container.clone()),
        previous: failed.previous,
        tail_lines: Some(LOG_LINES),
        ..LogParams::default()
    };
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace(client, job));
    let read = async {
        let mut stream = Box::pin(api.log_stream(&failed.pod, &params).await?);
        let mut end: Vec<u8> = Vec::new();
        let mut buffer = [0; 8 * 1024];
        let mut total = 0;
        while total < LOG_BYTES_READ_MAX {
            let read = stream.read(&mut buffer).await.map_err(kube::Error::ReadEvents)?;
            if read == 0 {
                break;
            }
            total += read;
            end.extend_from_slice(&buffer[..read]);
            end.drain(..end.len().saturating_sub(OUTPUT_TEXT_BYTES_MAX));
        }
        Ok(end)
    };
    let mut end = bounded(Duration::from_secs(EXPLANATION_SECONDS_MAX), read).await?;
    // The rest of a character that was cut in two.
    end.drain(..end.iter().take_while(|byte| **byte & 0xC0 == 0x80).count());
    Ok(tail(&String::from_utf8_lossy(&end), OUTPUT_TEXT_BYTES_MAX).to_owned())
}

fn namespace<'a>(client: &'a Client, job: &'a ObjectRef) -> &'a str {
    job.namespace
        .as_deref()
        .unwrap_or_else(|| client.default_namespace())
}
