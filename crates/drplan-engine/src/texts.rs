//! Every templated text of an action, with its place in the manifest and the kind of place its values land in.

use std::collections::BTreeSet;

use drplan_api::canonical::{Deferred, Doing, Job, JobName, Work};
use drplan_template::Template;
use serde_json::Value;

/// One text of an action that may hold templates.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text {
    /// The field below the action: `http.headers.Authorization`.
    pub field: String,
    /// As written.
    pub source: String,
    /// What the rendered text must be.
    pub place: Place,
}

/// What a text is, which decides how values land in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Free text.
    Plain,
    /// A URL.
    Url,
    /// A header's value.
    Header,
    /// An HTTP body: JSON if it is JSON, else text.
    Body,
    /// YAML or JSON text.
    Yaml,
    /// A string in an object.
    Field,
    /// A Go duration.
    Duration,
    /// A whole number.
    Integer,
    /// A number.
    Number,
}

/// Of which actions templates read an output.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutputsRead {
    /// A template computes which.
    any: bool,
    of: BTreeSet<String>,
}

impl OutputsRead {
    /// Adds what `text` reads of output `field`, or may.
    pub(crate) fn add(&mut self, text: &Text, field: &str) {
        let Ok(template) = Template::parse(&text.source) else {
            return;
        };
        let references = template.references();
        self.any |= references.outputs_dynamic.is_some() || references.root_dynamic.is_some();
        let of = references
            .outputs
            .keys()
            .filter(|(_, part)| part.as_deref().is_none_or(|part| part == field));
        self.of.extend(of.map(|(action, _)| action.clone()));
    }

    /// Whether that of `action` is read, or may be.
    pub(crate) fn may_be_of(&self, action: &str) -> bool {
        self.any || self.of.contains(action)
    }
}

/// Every text of `doing` that may hold templates, in manifest order.
pub(crate) fn texts(doing: &Doing) -> Vec<Text> {
    let mut found = Found(Vec::new());
    if let Some(timeout) = &doing.timeout {
        found.deferred("timeout", timeout, Place::Duration);
    }
    if let Some(retry) = &doing.retry {
        found.deferred("retryPolicy.limit", &retry.limit, Place::Integer);
        found.deferred("retryPolicy.interval", &retry.interval, Place::Duration);
        found.deferred(
            "retryPolicy.backoffMultiplier",
            &retry.backoff_multiplier,
            Place::Number,
        );
        found.deferred("retryPolicy.maxInterval", &retry.max_interval, Place::Duration);
    }
    match &doing.work {
        Work::Http(http) => {
            found.text("http.url", &http.url, Place::Url);
            found.text("http.method", &http.method, Place::Plain);
            for (name, value) in &http.headers {
                found.text(format!("http.headers.{name}"), value, Place::Header);
            }
            found.optional("http.body", http.body.as_ref(), Place::Body);
            found.optional("http.caBundle", http.ca_bundle.as_ref(), Place::Plain);
        }
        Work::Job(job) => found.job(job),
        Work::Localization(localization) => {
            found.text("localization.name", &localization.name, Place::Plain);
            found.optional(
                "localization.namespace",
                localization.namespace.as_ref(),
                Place::Plain,
            );
            if let Some(priority) = &localization.priority {
                found.deferred("localization.priority", priority, Place::Integer);
            }
            found.optional(
                "localization.overridePolicy",
                localization.override_policy.as_ref(),
                Place::Plain,
            );
            if let Some(feed) = &localization.feed {
                found.tree("localization.feed", feed);
            }
            for (index, one) in localization.overrides.iter().enumerate() {
                found.text(
                    format!("localization.overrides[{index}].name"),
                    &one.name,
                    Place::Plain,
                );
                found.text(
                    format!("localization.overrides[{index}].value"),
                    &one.value,
                    Place::Yaml,
                );
            }
        }
        Work::Subscription(subscription) => {
            found.text("subscription.name", &subscription.name, Place::Plain);
            found.optional(
                "subscription.namespace",
                subscription.namespace.as_ref(),
                Place::Plain,
            );
            found.optional(
                "subscription.schedulingStrategy",
                subscription.scheduling_strategy.as_ref(),
                Place::Plain,
            );
            if let Some(dividing) = &subscription.dividing_scheduling {
                found.tree("subscription.dividingScheduling", dividing);
            }
            found.trees("subscription.feeds", &subscription.feeds);
            found.trees("subscription.subscribers", &subscription.subscribers);
        }
        Work::KubernetesResource(resource) => {
            found.text("resource.manifest", &resource.manifest, Place::Yaml)
        }
    }
    found.0
}

struct Found(Vec<Text>);

impl Found {
    fn text(&mut self, field: impl Into<String>, source: &str, place: Place) {
        self.0.push(Text {
            field: field.into(),
            source: source.to_owned(),
            place,
        });
    }

    fn optional(&mut self, field: &str, source: Option<&String>, place: Place) {
        if let Some(source) = source {
            self.text(field, source, place);
        }
    }

    fn deferred<T>(&mut self, field: &str, value: &Deferred<T>, place: Place) {
        if let Deferred::Template(source) = value {
            self.text(field, source, place);
        }
    }

    fn job(&mut self, job: &Job) {
        self.optional("job.namespace", job.namespace.as_ref(), Place::Plain);
        match &job.name {
            JobName::Fixed(name) => self.text("job.name", name, Place::Plain),
            JobName::Prefix(prefix) => self.text("job.generateName", prefix, Place::Plain),
        }
        for (name, value) in &job.labels {
            self.text(
                format!("job.template.metadata.labels.{name}"),
                value,
                Place::Field,
            );
        }
        for (name, value) in &job.annotations {
            self.text(
                format!("job.template.metadata.annotations.{name}"),
                value,
                Place::Field,
            );
        }
        for (name, member) in job.spec.as_object().into_iter().flatten() {
            self.tree(&format!("job.{name}"), member);
        }
        if let Some(ttl) = &job.ttl_seconds_after_finished {
            self.deferred("job.ttlSecondsAfterFinished", ttl, Place::Integer);
        }
    }

    fn trees(&mut self, field: &str, trees: &[Value]) {
        for (index, tree) in trees.iter().enumerate() {
            self.tree(&format!("{field}[{index}]"), tree);
        }
    }

    fn tree(&mut self, field: &str, tree: &Value) {
        match tree {
            Value::String(text) => self.text(field, text, Place::Field),
            Value::Array(items) => self.trees(field, items),
            Value::Object(members) => {
                for (name, member) in members {
                    self.tree(&format!("{field}.{name}"), member);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}
