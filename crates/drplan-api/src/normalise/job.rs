//! The block `job`: one canonical JobSpec from a Pod template or a Job template.

mod template;

use serde_json::{Value, json};

use crate::{
    AnyShape, action as written,
    canonical::{Deferred, Job, JobName, RetryPolicy},
    normalise::{
        job::template::{Metadata, Template, template},
        report::{Place, Report},
        scalar::{self, bad_name, is_template, text, whole},
    },
};

/// The Job that `written` describes, in the action `action`.
pub(super) fn job(
    report: &mut Report,
    at: &Place,
    written: &written::Job,
    action: &str,
    retry: Option<&RetryPolicy>,
) -> Option<Job> {
    let template = template(report, &at.field("template"), written.template.as_ref());
    // Without a template the fields beside it are checked all the same.
    let Template {
        metadata,
        mut spec,
        is_job,
    } = template.clone().unwrap_or_default();
    let metadata = if is_job { metadata } else { Metadata::default() };
    let namespace = [
        ("namespace", text(written.namespace.as_ref())),
        ("template.metadata.namespace", metadata.namespace.as_deref()),
    ];
    let namespace = agreed_text(report, at, namespace);
    let namespace = scalar::namespace(report, &at.field("namespace"), namespace.as_ref(), true);
    let name = name(report, at, written, &metadata, action, retry);
    let mut both = |field: &'static str, written: Option<&AnyShape>| {
        let inside = spec.remove(field).map(AnyShape);
        let inside_path = format!("template.spec.{field}");
        let inside_at = inside_path
            .split('.')
            .fold(at.clone(), |at, field| at.field(field));
        let range = (0, i64::from(i32::MAX));
        let read = [
            (
                field.to_owned(),
                whole(report, &at.field(field), written, "the number", range),
            ),
            (
                inside_path,
                whole(report, &inside_at, inside.as_ref(), "the number", range),
            ),
        ];
        report.agreed(at, read)
    };
    let backoff_limit = both("backoffLimit", written.backoff_limit.as_ref());
    let ttl = both(
        "ttlSecondsAfterFinished",
        written.ttl_seconds_after_finished.as_ref(),
    );
    match backoff_limit {
        Some(Deferred::Value(limit)) => spec.insert("backoffLimit".to_owned(), json!(limit)),
        Some(Deferred::Template(limit)) => spec.insert("backoffLimit".to_owned(), json!(limit)),
        None => None,
    };
    template?;
    Some(Job {
        namespace,
        name: name?,
        labels: metadata.labels,
        annotations: metadata.annotations,
        spec: Value::Object(spec),
        ttl_seconds_after_finished: ttl.map(|ttl| match ttl {
            Deferred::Value(seconds) => Deferred::Value(i32::try_from(seconds).unwrap_or(i32::MAX)),
            Deferred::Template(template) => Deferred::Template(template),
        }),
    })
}

/// Where the Job's name comes from.
fn name(
    report: &mut Report,
    at: &Place,
    written: &written::Job,
    metadata: &Metadata,
    action: &str,
    retry: Option<&RetryPolicy>,
) -> Option<JobName> {
    let fixed = [
        ("name", text(written.name.as_ref())),
        ("template.metadata.name", metadata.name.as_deref()),
    ];
    let fixed = agreed_text(report, at, fixed);
    let prefix = [
        ("generateName", text(written.generate_name.as_ref())),
        (
            "template.metadata.generateName",
            metadata.generate_name.as_deref(),
        ),
    ];
    let prefix = agreed_text(report, at, prefix);
    match (fixed, prefix) {
        (Some(_), Some(_)) => {
            let remedy = "keep `name` for a name of your own, or `generateName` for a new name in every run";
            report.exclusive(at, "name", "generateName", remedy);
            None
        }
        (Some(name), None) => fixed_name(report, &at.field("name"), name, retry),
        (None, Some(prefix)) => {
            let at = at.field("generateName");
            if !is_template(&prefix) && !is_prefix(&prefix) {
                bad_name(
                    report,
                    &at,
                    &prefix,
                    "lower-case letters, digits, - and ., beginning with a letter or digit",
                );
                return None;
            }
            Some(JobName::Prefix(prefix))
        }
        (None, None) => Some(JobName::Prefix(format!("{action}-"))),
    }
}

fn fixed_name(report: &mut Report, at: &Place, name: String, retry: Option<&RetryPolicy>) -> Option<JobName> {
    /// Pods carry the Job's name as a label.
    const JOB_NAME_MAX: usize = 63;
    let name = scalar::object_name(report, at, Some(&name), true, "")?;
    if is_template(&name) {
        return Some(JobName::Fixed(name));
    }
    let suffix = match retry.map(|retry| &retry.limit) {
        Some(Deferred::Value(limit)) if *limit > 0 => format!("-{}", limit + 1).len(),
        Some(Deferred::Value(_) | Deferred::Template(_)) | None => 0,
    };
    report.bound(
        at,
        "the number of characters of the name (with the -2, -3 of its retries)",
        name.len() + suffix,
        JOB_NAME_MAX,
        "choose a shorter name",
    );
    Some(JobName::Fixed(name))
}

fn is_prefix(prefix: &str) -> bool {
    prefix.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && prefix
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
}

/// The text that two places agree on.
fn agreed_text(report: &mut Report, at: &Place, spellings: [(&str, Option<&str>); 2]) -> Option<String> {
    report.agreed(
        at,
        spellings.map(|(path, text)| (path.to_owned(), text.map(str::to_owned))),
    )
}
