//! The block `subscription`.

use serde_json::Value;

use crate::{
    action as written,
    canonical::{Operation, Subscription},
    normalise::{
        action::operation,
        localization::feeds,
        report::{Place, Report},
        scalar::{self, choice, is_template, object_name, text},
    },
};

/// The Subscription that `written` describes.
pub(super) fn subscription(
    report: &mut Report,
    at: &Place,
    written: &written::Subscription,
) -> Option<Subscription> {
    let operation = operation(report, at, written.operation.as_ref());
    let name = object_name(
        report,
        &at.field("name"),
        written.name.as_ref(),
        true,
        "write the Subscription's name",
    );
    let namespace = scalar::namespace(report, &at.field("namespace"), written.namespace.as_ref(), true);
    let strategy = text(written.scheduling_strategy.as_ref());
    if let Some(strategy) = strategy.filter(|strategy| !is_template(strategy)) {
        let choices = [("Replication", ()), ("Dividing", ())];
        choice(
            report,
            &at.field("schedulingStrategy"),
            strategy,
            &choices,
            "Replication or Dividing",
        );
    }
    let feeds_written = written.feeds.as_deref().unwrap_or_default();
    let feeds = feeds(report, &at.field("feeds"), feeds_written);
    let subscribers = written.subscribers.as_deref().unwrap_or_default();
    for (index, subscriber) in subscribers.iter().enumerate() {
        if subscriber.0.get("clusterAffinity").is_none_or(Value::is_null) {
            report.missing(
                &at.field("subscribers").item(index).field("clusterAffinity"),
                "write a label selector for ManagedClusters, such as matchLabels: {purpose: dr}",
            );
        }
    }
    if operation == Some(Operation::Create) {
        if feeds.is_empty() {
            let remedy = "a new Subscription needs the objects to distribute: write at least one with apiVersion, kind \
                          and name";
            report.missing(&at.field("feeds"), remedy);
        }
        if subscribers.is_empty() {
            let remedy =
                "a new Subscription needs the clusters to distribute to: write at least one clusterAffinity";
            report.missing(&at.field("subscribers"), remedy);
        }
    }
    let nothing = strategy.is_none()
        && written.dividing_scheduling.is_none()
        && feeds.is_empty()
        && subscribers.is_empty();
    if operation == Some(Operation::Patch) && nothing {
        report.note(
            at,
            "is a Patch that changes nothing; write `feeds`, `subscribers` or `schedulingStrategy`",
        );
    }
    Some(Subscription {
        operation: operation?,
        name: name?,
        namespace,
        scheduling_strategy: strategy.map(str::to_owned),
        dividing_scheduling: written
            .dividing_scheduling
            .clone()
            .map(|object| Value::Object(object.0)),
        feeds,
        subscribers: subscribers
            .iter()
            .map(|subscriber| Value::Object(subscriber.0.clone()))
            .collect(),
    })
}
