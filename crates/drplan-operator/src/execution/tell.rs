//! Tells what happened in a run: log lines, and events beside them.

use std::sync::Arc;

use drplan_engine::{Announcement, Level};
use k8s_openapi::api::core::v1::ObjectReference;

use crate::{context::Context, events::EventNote, record::Record};

/// Tells each of `announcements` about the run `record` of `plan`; its events are about `regarding`.
pub(super) fn tell(
    context: &Context,
    record: &Record,
    regarding: &Arc<ObjectReference>,
    plan: &str,
    announcements: &[Announcement],
) {
    let (namespace, execution) = record.key();
    for told in announcements {
        let path = told.path.as_ref().map(|path| path.as_str());
        let (execution_uid, reason, attempt) = (record.uid(), told.reason, told.attempt);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    plan,
                    namespace,
                    execution,
                    execution_uid,
                    path,
                    attempt,
                    reason,
                    "{}",
                    told.message
                )
            };
        }
        match told.level {
            Level::Info => line!(info),
            Level::Warning => line!(warn),
            Level::Error => line!(error),
        }
        if told.event {
            let warning = told.level != Level::Info;
            let (regarding, message) = (Arc::clone(regarding), told.message.clone());
            let note = EventNote::about(regarding, warning, told.reason, message);
            context.events.push(note.of_action(path, attempt));
        }
    }
}
