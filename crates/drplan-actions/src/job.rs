//! Jobs: created once for each attempt, awaited, found again, stopped.
//!
//! Every function here may be called again for the same effect, by this process or its successor, at any time. What
//! cannot be known for sure is `OutcomeUnknown`, which nobody retries: a second Job beside a running one is worse
//! than a run that stops and asks.

mod await_end;
mod create;
mod end;
mod failed_container;
mod find;
mod patience;
mod server;
mod stop;
#[cfg(test)]
mod tests;

use std::time::Duration;

use drplan_api::{labels, status::ObjectRef};
use drplan_engine::effect::{ActionEffect, EffectIdentity};
use kube::Client;
use serde_json::json;

pub(crate) use await_end::await_end;
pub(crate) use create::create;
pub(crate) use end::{JobEnd, end_of};
pub(crate) use find::find;
pub(crate) use stop::stop;

use crate::{ApiError, JobWatch, job_watch::SlimJob};

/// What every look at Jobs needs.
pub(crate) struct Access {
    /// The identity's client.
    pub(crate) client: Client,
    pub(crate) watch: JobWatch,
    /// The longest time between two reads of a Job that is waited for.
    pub(crate) relist: Duration,
}

/// The attempt that a Job belongs to, as its annotations tell.
pub(crate) struct Maker<'a> {
    identity: &'a EffectIdentity,
    attempt: u32,
}

impl<'a> Maker<'a> {
    /// The attempt that `effect` is of.
    pub(crate) fn of(effect: &'a ActionEffect) -> Self {
        Self {
            identity: &effect.identity,
            attempt: effect.attempt,
        }
    }

    /// Whether `job` was made by this attempt, or by an earlier one of the same identity.
    ///
    /// Only an attempt whose predecessor is not known to have made a Job goes by its name. One that stands there then
    /// arrived after its request had seemed to fail.
    fn made(&self, job: &SlimJob) -> bool {
        let annotations = job.metadata.annotations.as_ref();
        let marked = self.marked(|key| annotations.and_then(|all| all.get(key)).map(String::as_str));
        marked.is_some_and(|attempt| (1..=self.attempt).contains(&attempt))
    }

    /// The attempt that the annotations which `annotation` looks up tell of, if they are those of this identity.
    fn marked<'b>(&self, annotation: impl Fn(&str) -> Option<&'b str>) -> Option<u32> {
        let is_ours = annotation(labels::EXECUTION_UID) == Some(self.identity.execution_uid.as_str())
            && annotation(labels::ACTION_PATH) == Some(self.identity.path.as_str());
        annotation(labels::ATTEMPT)?.parse().ok().filter(|_| is_ours)
    }
}

/// Sets `ttlSecondsAfterFinished` of `job`, if it is still the one with that UID.
pub(crate) async fn set_ttl(
    client: &Client,
    job: &ObjectRef,
    field_manager: &str,
    seconds: i32,
) -> Result<(), ApiError> {
    // A UID in the patch is a precondition: the API server refuses to change it if another Job has that name now.
    let metadata = job
        .uid
        .as_ref()
        .map_or_else(|| json!({}), |uid| json!({ "uid": uid }));
    let patch = json!({"metadata": metadata, "spec": {"ttlSecondsAfterFinished": seconds}});
    server::patch(client, job, field_manager, patch).await
}

/// `namespace/name`, for messages.
fn shown(job: &ObjectRef) -> String {
    format!("{}/{}", job.namespace.as_deref().unwrap_or_default(), job.name)
}
