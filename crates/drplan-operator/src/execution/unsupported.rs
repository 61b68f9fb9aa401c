//! What is told of a record that only a later release can read. Nothing of it is ever written.

use crate::{context::Context, events::EventNote, record::Record};

/// Tells that the execution `record` is left alone because of the format of `what`.
pub fn tell(context: &Context, record: &Record, what: &str, format: u64) {
    let (namespace, name) = record.key();
    let message = format!(
        "its {what} has format {format}, which this release does not know; it is left alone, run a release that reads it"
    );
    tracing::error!(
        namespace,
        execution = name,
        execution_uid = record.uid(),
        reason = "UnsupportedFormat",
        "{message}"
    );
    context.events.push(EventNote::execution(
        &record.meta,
        true,
        "UnsupportedFormat",
        message,
    ));
}
