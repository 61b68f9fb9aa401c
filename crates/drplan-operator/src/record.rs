//! One execution as the API server holds it, read as far as it can be read.

use std::{collections::BTreeMap, time::Duration};

use drplan_api::{
    DRPlanExecution, DRPlanExecutionStatus, Problem, ProblemKind, Problems, Time,
    canonical::Request,
    decode, labels,
    problem::without_controls,
    status::{ExecutionPhase, FORMAT_VERSION, UNKNOWN_USER},
};
use drplan_engine::{CancelWish, read_execution};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::{clock, context::Settings, raw::Raw};

/// The finalizer that an execution has while it runs, and a plan while it is locked.
pub const FINALIZER: &str = "dr.bkbcs.tencent.com/running";

/// An execution, read.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its metadata.
    pub meta: ObjectMeta,
    /// What it asks for, or why that cannot be read.
    pub request: Result<Request, Problems>,
    /// What is recorded of it.
    pub status: Recorded,
}

/// A status, read as far as it can be.
#[derive(Clone, Debug)]
pub enum Recorded {
    /// Nothing, or that it waits to begin.
    NotStarted(Box<DRPlanExecutionStatus>),
    /// It began.
    Started(Box<DRPlanExecutionStatus>),
    /// It cannot be read.
    Unreadable {
        /// How far it had come, as far as can be told.
        progress: Progress,
        /// The place and shape of what cannot be read.
        problem: Box<Problem>,
    },
    /// It is of a format that this release does not know: not to be touched.
    UnsupportedFormat(u64),
}

/// How far a run had come whose status cannot be read, from what stands where the phase should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It had not begun.
    NotStarted,
    /// It had begun.
    Started,
    /// It is known to be Unknown.
    Unknown,
    /// It had ended.
    Ended,
}

impl Record {
    /// Reads `raw`.
    pub fn of(raw: Raw<DRPlanExecution>) -> Self {
        let Raw {
            metadata,
            spec,
            status,
            ..
        } = raw;
        let namespace = metadata.namespace.clone().unwrap_or_default();
        let reading = read_execution(spec, &namespace, metadata.name.as_deref());
        let is_whole = reading.is_whole();
        let request = reading.value.filter(|_| is_whole).ok_or(reading.problems);
        Self {
            meta: metadata,
            request,
            status: read_status(status),
        }
    }

    /// Namespace and name.
    pub fn key(&self) -> (String, String) {
        let (namespace, name) = crate::store::names(&self.meta);
        (namespace.to_owned(), name.to_owned())
    }

    /// Its UID.
    pub fn uid(&self) -> &str {
        self.meta.uid.as_deref().unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.meta.name.as_deref().unwrap_or_default()
    }

    /// Whether it is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.meta.deletion_timestamp.is_some()
    }

    /// Whether it has our finalizer.
    pub fn has_finalizer(&self) -> bool {
        has_finalizer(&self.meta)
    }

    /// When it was created.
    pub fn created(&self) -> Time {
        self.meta
            .creation_timestamp
            .as_ref()
            .map_or(Time::from_millis(0), |time| Time::new(time.0))
    }

    /// Whether more than `limit` has passed since its creation: the time it had to begin.
    pub fn is_late(&self, limit: Duration) -> bool {
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        clock::now() > self.created().plus_millis(limit)
    }

    /// Whether it asks for the same as `earlier` did, whatever else was edited: neither has begun.
    pub fn asks_the_same_as(&self, earlier: &Self) -> bool {
        let asks = |record: &Self| {
            let wishes = [labels::CANCEL, labels::RESUME, labels::STARTED_UID]
                .map(|name| record.annotation(name).map(str::to_owned));
            let meta = &record.meta;
            (meta.uid.clone(), meta.generation, record.is_deleting(), wishes)
        };
        matches!(self.status, Recorded::NotStarted(_)) && asks(self) == asks(earlier)
    }

    /// Whether it has all of these labels.
    pub fn has_labels(&self, wanted: &BTreeMap<&'static str, String>) -> bool {
        let labels = self.meta.labels.as_ref();
        wanted
            .iter()
            .all(|(name, value)| labels.and_then(|labels| labels.get(*name)) == Some(value))
    }

    /// The value of one of our annotations.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        annotation(&self.meta, name)
    }

    /// The cancellation that its annotation asks for.
    pub fn cancel_wish(&self, settings: &Settings) -> Option<CancelWish> {
        let value = self.annotation(labels::CANCEL)?;
        let who = self.who(labels::CANCELLED_BY, settings);
        let reason = match who.as_str() {
            UNKNOWN_USER => format!("by {who}"),
            _ => format!("by user {who}"),
        };
        Some(CancelWish {
            now: value.trim() == "now",
            reason,
        })
    }

    /// The user that stamp `name` names.
    pub fn who(&self, name: &str, settings: &Settings) -> String {
        who(&self.meta, name, settings)
    }

    /// The recorded phase, if the status can be read.
    pub fn phase(&self) -> Option<ExecutionPhase> {
        match &self.status {
            Recorded::NotStarted(status) | Recorded::Started(status) => Some(status.phase),
            Recorded::Unreadable { .. } | Recorded::UnsupportedFormat(_) => None,
        }
    }
}

/// Whether `meta` has our finalizer.
pub fn has_finalizer(meta: &ObjectMeta) -> bool {
    meta.finalizers
        .iter()
        .flatten()
        .any(|finalizer| finalizer == FINALIZER)
}

/// The value of annotation `name`.
pub fn annotation<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    meta.annotations
        .as_ref()
        .and_then(|annotations| annotations.get(name))
        .map(String::as_str)
}

/// Bytes of a user's name that are told. A ServiceAccount's, the longest that Kubernetes makes, has up to 340.
const USER_BYTES_MAX: usize = 400;

/// The user that stamp `name` of an object names. Without admission nobody keeps others from writing one, so none counts.
pub fn who(meta: &ObjectMeta, name: &str, settings: &Settings) -> String {
    let stamp = annotation(meta, name).filter(|stamp| settings.stamps && !stamp.is_empty());
    stamp.map_or_else(
        || UNKNOWN_USER.to_owned(),
        |user| without_controls(&user[..user.floor_char_boundary(USER_BYTES_MAX)]),
    )
}

/// The finalizers of `meta` with or without ours, as a merge patch takes them.
pub fn finalizers(meta: &ObjectMeta, with_ours: bool) -> Vec<String> {
    let others = meta
        .finalizers
        .iter()
        .flatten()
        .filter(|finalizer| *finalizer != FINALIZER)
        .cloned();
    others.chain(with_ours.then(|| FINALIZER.to_owned())).collect()
}

/// The labels that an execution of `plan` carries.
pub fn execution_labels(plan: &str, operation: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        (labels::PLAN, plan.to_owned()),
        (labels::DRPLAN, plan.to_owned()),
        (labels::OPERATION, operation.to_owned()),
    ])
}

/// Whether a status has what the first write of a run brings, whatever its phase says.
fn has_begun(status: &Value) -> bool {
    let has = |field: &str| status.get(field).is_some_and(|value| !value.is_null());
    let stages = status.get("stageStatuses").and_then(Value::as_array);
    ["startTime", "epoch", "snapshot"].into_iter().any(has) || stages.is_some_and(|stages| !stages.is_empty())
}

/// Reads a status: the format first, and nothing else of one that is unknown.
fn read_status(status: Value) -> Recorded {
    let format = status.get("formatVersion").and_then(Value::as_u64);
    if let Some(unknown) = format.filter(|format| !(1..=u64::from(FORMAT_VERSION)).contains(format)) {
        return Recorded::UnsupportedFormat(unknown);
    }
    if status.is_null() {
        return Recorded::NotStarted(Box::default());
    }
    let has_begun = has_begun(&status);
    let progress = match status.get("phase") {
        None if has_begun => Progress::Started,
        None => Progress::NotStarted,
        Some(phase) => match phase.as_str() {
            Some("Pending") if has_begun => Progress::Started,
            Some("Pending") => Progress::NotStarted,
            Some("Succeeded" | "Failed" | "Cancelled") => Progress::Ended,
            Some("Unknown") => Progress::Unknown,
            Some(_) | None => Progress::Started,
        },
    };
    match decode::<DRPlanExecutionStatus>(status) {
        Ok(status) if status.phase == ExecutionPhase::Pending && has_begun => Recorded::Unreadable {
            progress: Progress::Started,
            problem: Box::new(Problem::error(
                "status.phase",
                ProblemKind::WrongShape {
                    found: "that of a run that has not begun, beside what only one that has begun has"
                        .to_owned(),
                    expected: "Unknown to have it looked at".to_owned(),
                },
            )),
        },
        Ok(status) if status.phase == ExecutionPhase::Pending => Recorded::NotStarted(Box::new(status)),
        Ok(status) => Recorded::Started(Box::new(status)),
        Err(mut problem) => {
            problem.path = format!("status.{}", problem.path);
            Recorded::Unreadable {
                progress,
                problem: Box::new(problem),
            }
        }
    }
}
