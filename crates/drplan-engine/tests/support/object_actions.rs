//! Actions on objects, from few words.

use drplan_api::canonical::{Action, Localization, Operation, PatchType, Resource, Subscription, Work};

use crate::plans;

/// The kinds of objects that plans of tests act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ConfigMap,
    Localization,
    Subscription,
}

/// An action on an object of the plan's namespace that goes by `object`; one attempt.
pub(crate) fn object(name: &str, operation: Operation, kind: Kind, object: &str) -> Action {
    let work = match kind {
        Kind::ConfigMap => Work::KubernetesResource(Resource {
            operation,
            manifest: manifest(object),
            patch_type: PatchType::Merge,
            force: false,
        }),
        Kind::Localization => Work::Localization(Localization {
            operation,
            name: object.to_owned(),
            namespace: None,
            priority: None,
            override_policy: Some("ApplyNow".to_owned()),
            feed: None,
            overrides: Vec::new(),
        }),
        Kind::Subscription => Work::Subscription(Subscription {
            operation,
            name: object.to_owned(),
            namespace: None,
            scheduling_strategy: None,
            dividing_scheduling: None,
            feeds: Vec::new(),
            subscribers: Vec::new(),
        }),
    };
    plans::action(name, work)
}

/// The manifest of a ConfigMap.
pub(crate) fn manifest(object: &str) -> String {
    format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {object}}}, data: {{site: b}}}}")
}
