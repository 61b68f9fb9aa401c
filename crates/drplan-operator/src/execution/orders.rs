//! Commands by annotation and by deletion: taken up, and taken off once they are recorded.

use drplan_api::{DRPlanExecutionStatus, labels, status::ExecutionPhase};
use drplan_engine::CancelWish;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde_json::json;

use crate::{
    context::Context,
    events::EventNote,
    record::{Record, annotation},
    store::{StoreError, bounded},
};

/// What the run's object asks for and the record does not hold yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    /// To end early.
    pub(super) cancel: Option<CancelWish>,
    /// To go on from Unknown.
    pub(super) resume: bool,
    /// Who asked for that.
    pub(super) resumed_by: Option<String>,
    /// The wish to resume that the annotation still shows was taken up.
    resumed: bool,
}

impl Orders {
    /// Takes up what the annotations of `record` and its deletion ask for. `has_run`: its snapshot is at hand, and fits.
    pub(super) async fn take(
        &mut self,
        context: &Context,
        record: &Record,
        status: &DRPlanExecutionStatus,
        has_run: bool,
    ) {
        if let Some(wish) = record.cancel_wish(&context.settings) {
            self.cancel = Some(wish);
        }
        self.resume =
            record.annotation(labels::RESUME).is_some() && status.phase == ExecutionPhase::Unknown && has_run;
        self.resumed_by = self
            .resume
            .then(|| record.who(labels::RESUMED_BY, &context.settings));
        let graceful = self.cancel.as_ref().is_none_or(|wish| !wish.now);
        if record.is_deleting() && graceful {
            let now = !has_run || namespace_ends(context, &record.key().0).await;
            let recorded = status.cancellation.as_ref();
            if recorded.is_none_or(|recorded| now && !recorded.now) {
                let reason = if now {
                    "by deletion, without waiting"
                } else {
                    "by deletion"
                };
                self.cancel = Some(CancelWish {
                    now,
                    reason: reason.to_owned(),
                });
            }
        } else if let Some(wish) = self.cancel.as_mut().filter(|_| !has_run) {
            // Without its snapshot a run can only end.
            wish.now = true;
        }
    }

    /// Takes annotations off that are recorded in `status`, or have nothing to act on; `record` has the metadata that
    /// follow. True if that could not be done now.
    pub(super) async fn clear(
        &mut self,
        context: &Context,
        record: &mut Record,
        status: &DRPlanExecutionStatus,
        has_run: bool,
    ) -> bool {
        self.cancel = None;
        if status.phase.is_terminal() {
            return false;
        }
        let cancel = record.annotation(labels::CANCEL).is_some() && status.cancellation.is_some();
        let unknown = status.phase == ExecutionPhase::Unknown && has_run;
        let resume = record.annotation(labels::RESUME).is_some() && !unknown;
        if !cancel && !resume {
            return false;
        }
        self.resumed |= resume && std::mem::take(&mut self.resume);
        let commands = [
            (labels::CANCEL, labels::CANCELLED_BY, cancel),
            (labels::RESUME, labels::RESUMED_BY, resume),
        ];
        let taken = commands.into_iter().filter(|(_, _, taken)| *taken);
        let annotations: serde_json::Map<_, _> = taken
            .flat_map(|(command, stamp, _)| [command, stamp])
            .map(|name| (name.to_owned(), serde_json::Value::Null))
            .collect();
        let patch = json!({ "annotations": annotations });
        match context
            .stores
            .executions
            .merge_metadata(&record.meta, patch)
            .await
        {
            // Read and tried again at once it would be refused again: the next write comes by here.
            Err(error @ StoreError::Refused { .. }) => {
                let (namespace, name) = record.key();
                tracing::warn!(namespace, execution = name, error = %error, "a command cannot be taken off yet");
                false
            }
            Err(_) => true,
            Ok(meta) => {
                record.meta = meta;
                if resume && !std::mem::take(&mut self.resumed) {
                    let message = if has_run {
                        "the execution is not Unknown"
                    } else {
                        "the snapshot of this execution is lost, or its record altered; cancel it"
                    };
                    let note =
                        EventNote::execution(&record.meta, true, "NothingToResume", message.to_owned());
                    context.events.push(note);
                }
                false
            }
        }
    }
}

/// Whether the metadata of an execution carry a command.
pub(super) fn is_ordered(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> bool {
    [labels::CANCEL, labels::RESUME]
        .iter()
        .any(|name| annotation(meta, name).is_some())
}

/// Whether the namespace is being deleted, or gone. One that may not be read counts as living.
async fn namespace_ends(context: &Context, namespace: &str) -> bool {
    let api: Api<Namespace> = Api::all(context.client.clone());
    match bounded(api.get(namespace)).await {
        Ok(namespace) => namespace.metadata.deletion_timestamp.is_some(),
        Err(StoreError::Gone) => true,
        Err(_) => false,
    }
}
