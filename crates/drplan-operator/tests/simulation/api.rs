//! A simulated API server: objects with versions, conflicts, watches.

mod answer;
mod apply;
mod patch;
mod request;
mod store;

use serde_json::{Value, json};

pub(crate) use answer::{Answer, Body};
pub(crate) use request::{Request, Verb};
pub(crate) use store::{Change, Delivery, Key, Store, field, text};

/// The kinds that it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Workflow,
    Plan,
    Execution,
    Job,
    Revision,
    Lease,
    Namespace,
    Pod,
    Event,
    ConfigMap,
    Subscription,
    Localization,
}

impl Kind {
    pub(crate) const ALL: [(Self, &'static str, &'static str, &'static str); 12] = [
        (
            Self::Workflow,
            "dr.bkbcs.tencent.com/v1alpha1",
            "drworkflows",
            "DRWorkflow",
        ),
        (Self::Plan, "dr.bkbcs.tencent.com/v1alpha1", "drplans", "DRPlan"),
        (
            Self::Execution,
            "dr.bkbcs.tencent.com/v1alpha1",
            "drplanexecutions",
            "DRPlanExecution",
        ),
        (Self::Job, "batch/v1", "jobs", "Job"),
        (
            Self::Revision,
            "apps/v1",
            "controllerrevisions",
            "ControllerRevision",
        ),
        (Self::Lease, "coordination.k8s.io/v1", "leases", "Lease"),
        (Self::Namespace, "v1", "namespaces", "Namespace"),
        (Self::Pod, "v1", "pods", "Pod"),
        (Self::Event, "v1", "events", "Event"),
        (Self::ConfigMap, "v1", "configmaps", "ConfigMap"),
        (
            Self::Subscription,
            "apps.clusternet.io/v1alpha1",
            "subscriptions",
            "Subscription",
        ),
        (
            Self::Localization,
            "apps.clusternet.io/v1alpha1",
            "localizations",
            "Localization",
        ),
    ];

    /// The kind of this group and version with this plural.
    pub(crate) fn served_at(api_version: &str, plural: &str) -> Option<Self> {
        let mut kinds = Self::ALL.iter();
        let found = kinds.find(|(_, version, name, _)| *version == api_version && *name == plural)?;
        Some(found.0)
    }

    /// Group and version, plural, kind.
    pub(crate) fn names(self) -> (&'static str, &'static str, &'static str) {
        let mut kinds = Self::ALL.iter();
        let (_, version, plural, kind) = kinds.find(|(kind, ..)| *kind == self).unwrap();
        (version, plural, kind)
    }

    /// Whether actions write it.
    pub(crate) fn is_object(self) -> bool {
        matches!(self, Self::ConfigMap | Self::Subscription | Self::Localization)
    }

    /// Whether its status is written apart from the rest.
    pub(crate) fn has_status(self) -> bool {
        matches!(self, Self::Workflow | Self::Plan | Self::Execution | Self::Job)
    }
}

/// What is served of a group and version, if `path` asks for that.
pub(crate) fn discovery(path: &str) -> Option<String> {
    let api_version = path
        .strip_prefix("/apis/")
        .or_else(|| path.strip_prefix("/api/"))?;
    let served = Kind::ALL
        .iter()
        .filter(|(_, version, ..)| *version == api_version);
    let resources: Vec<Value> = served
        .map(|(kind, _, plural, name)| {
            json!({
                "name": plural, "singularName": "", "kind": name, "verbs": [],
                "namespaced": *kind != Kind::Namespace,
            })
        })
        .collect();
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": resources,
    });
    (!resources.is_empty()).then(|| list.to_string())
}
