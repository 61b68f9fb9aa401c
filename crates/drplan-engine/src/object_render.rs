//! From Localization, Subscription and KubernetesResource actions to the object and what is done to it.

use drplan_api::{
    Time,
    canonical::{Localization, Operation, PatchType, Resource, Subscription, Work},
    labels,
    status::ObjectRef,
};
use drplan_template::Value;
use serde_json::{Map, Value as Json, json};

use crate::{
    fields,
    graph::ActionIndex,
    object::{Before, Look, ObjectCommand, ObjectDeletion, ObjectWrite, WriteHow, field_manager},
    render::{RenderError, number, plain, yaml},
    reserved::reserved,
    run::Run,
    sealed::Sealed,
};

/// The group and version of Clusternet's kinds.
const CLUSTERNET: &str = "apps.clusternet.io/v1alpha1";

/// An object action, rendered: which object, and what is done to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RenderedObject {
    /// The object.
    pub(crate) target: ObjectRef,
    operation: Operation,
    pub(crate) body: Json,
    patch_type: PatchType,
    force: bool,
}

impl RenderedObject {
    /// The look that precedes the intent.
    pub(crate) fn look(&self, deadline: Time) -> Look {
        let lists = match (self.operation, self.patch_type) {
            (Operation::Patch, PatchType::Merge) => lists_of(&self.body),
            (Operation::Patch | Operation::Create | Operation::Apply | Operation::Delete, _) => Vec::new(),
        };
        Look {
            target: self.target.clone(),
            await_gone: matches!(self.operation, Operation::Create | Operation::Apply),
            lists,
            deadline,
        }
    }

    /// The command for the action at `at`, `before` being what the look found.
    pub(crate) fn command(
        self,
        run: &Run,
        at: ActionIndex,
        attempt: u32,
        before: Before,
        deadline: Time,
        sealed: Option<Box<Sealed>>,
    ) -> ObjectCommand {
        let how = match self.operation {
            Operation::Create => WriteHow::Create(self.body),
            Operation::Apply => WriteHow::Apply {
                object: self.body,
                force: self.force,
            },
            Operation::Patch => WriteHow::Patch {
                patch: self.body,
                kind: self.patch_type,
            },
            Operation::Delete => {
                let uid = match before {
                    Before::Absent => None,
                    Before::Present(uid) => Some(uid),
                };
                let target = ObjectRef { uid, ..self.target };
                return ObjectCommand::Delete(ObjectDeletion {
                    target,
                    await_gone: false,
                    deadline,
                });
            }
        };
        let (snapshot, identity) = (&run.snapshot, run.identity(at));
        let (field_manager, plan_managers) =
            field_manager(&snapshot.namespace, &snapshot.plan, &run.path(at));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        ObjectCommand::Write(ObjectWrite {
            target: self.target,
            how,
            field_manager,
            plan_managers,
            before,
            labels: vec![
                pair(labels::EXECUTION, &snapshot.execution),
                pair(labels::PLAN, &snapshot.plan),
                pair(labels::PLAN_NAMESPACE, &snapshot.namespace),
            ],
            annotations: vec![
                pair(labels::EXECUTION_UID, &identity.execution_uid),
                pair(labels::ACTION_PATH, identity.path.as_str()),
                pair(labels::ATTEMPT, &attempt.to_string()),
            ],
            deadline,
            sealed,
        })
    }
}

/// Renders the object of `work`; none if it is no object action. `namespace` is that of the plan.
///
/// # Errors
/// [`RenderError`] for the first text that does not render, or a manifest that is no object.
pub(crate) fn render_object(
    work: &Work,
    namespace: &str,
    data: &Value,
) -> Result<Option<RenderedObject>, RenderError> {
    match work {
        Work::Http(_) | Work::Job(_) => Ok(None),
        Work::Localization(localization) => of_localization(localization, namespace, data).map(Some),
        Work::Subscription(subscription) => of_subscription(subscription, namespace, data).map(Some),
        Work::KubernetesResource(resource) => render_resource(resource, namespace, data).map(Some),
    }
}

fn of_localization(
    localization: &Localization,
    plan_namespace: &str,
    data: &Value,
) -> Result<RenderedObject, RenderError> {
    let mut spec = Map::new();
    if let Some(policy) = text(
        "localization.overridePolicy",
        localization.override_policy.as_ref(),
        data,
    )? {
        spec.insert("overridePolicy".to_owned(), policy.into());
    }
    if let Some(priority) = &localization.priority {
        spec.insert(
            "priority".to_owned(),
            number("localization.priority", priority, data)?.into(),
        );
    }
    if let Some(feed) = &localization.feed {
        spec.insert(
            "feed".to_owned(),
            fields::render_texts("localization.feed", feed, data)?,
        );
    }
    if !localization.overrides.is_empty() {
        let overrides = localization.overrides.iter().enumerate().map(|(index, one)| {
            let field = format!("localization.overrides[{index}]");
            Ok(json!({
                "name": plain(&format!("{field}.name"), &one.name, data)?,
                "type": one.kind,
                "value": yaml(&format!("{field}.value"), &one.value, data)?,
            }))
        });
        spec.insert(
            "overrides".to_owned(),
            overrides.collect::<Result<Vec<_>, RenderError>>()?.into(),
        );
    }
    let namespace = text("localization.namespace", localization.namespace.as_ref(), data)?;
    let name = plain("localization.name", &localization.name, data)?;
    Ok(clusternet(
        "Localization",
        localization.operation,
        &name,
        namespace,
        plan_namespace,
        spec,
    ))
}

fn of_subscription(
    subscription: &Subscription,
    plan_namespace: &str,
    data: &Value,
) -> Result<RenderedObject, RenderError> {
    let mut spec = Map::new();
    if let Some(strategy) = text(
        "subscription.schedulingStrategy",
        subscription.scheduling_strategy.as_ref(),
        data,
    )? {
        spec.insert("schedulingStrategy".to_owned(), strategy.into());
    }
    if let Some(dividing) = &subscription.dividing_scheduling {
        let rendered = fields::render_weighted("subscription.dividingScheduling", dividing, data)?;
        spec.insert("dividingScheduling".to_owned(), rendered);
    }
    let list = |field: &str, items: &[Json]| {
        let rendered = items
            .iter()
            .enumerate()
            .map(|(index, item)| fields::render_weighted(&format!("{field}[{index}]"), item, data));
        rendered.collect::<Result<Vec<_>, RenderError>>()
    };
    if !subscription.feeds.is_empty() {
        spec.insert(
            "feeds".to_owned(),
            list("subscription.feeds", &subscription.feeds)?.into(),
        );
    }
    if !subscription.subscribers.is_empty() {
        spec.insert(
            "subscribers".to_owned(),
            list("subscription.subscribers", &subscription.subscribers)?.into(),
        );
    }
    let namespace = text("subscription.namespace", subscription.namespace.as_ref(), data)?;
    let name = plain("subscription.name", &subscription.name, data)?;
    Ok(clusternet(
        "Subscription",
        subscription.operation,
        &name,
        namespace,
        plan_namespace,
        spec,
    ))
}

fn clusternet(
    kind: &str,
    operation: Operation,
    name: &str,
    namespace: Option<String>,
    plan_namespace: &str,
    spec: Map<String, Json>,
) -> RenderedObject {
    let namespace = namespace.unwrap_or_else(|| plan_namespace.to_owned());
    let name = name.trim().to_owned();
    let body = match operation {
        Operation::Patch => json!({ "spec": spec }),
        Operation::Create | Operation::Apply | Operation::Delete => json!({
            "apiVersion": CLUSTERNET,
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }),
    };
    let target = ObjectRef {
        api_version: Some(CLUSTERNET.to_owned()),
        kind: Some(kind.to_owned()),
        name,
        namespace: Some(namespace),
        uid: None,
    };
    RenderedObject {
        target,
        operation,
        body,
        patch_type: PatchType::Merge,
        force: false,
    }
}

/// Renders the object of `resource`; `plan_namespace` is where it is if it does not say.
///
/// # Errors
/// As [`render_object`].
pub(crate) fn render_resource(
    resource: &Resource,
    plan_namespace: &str,
    data: &Value,
) -> Result<RenderedObject, RenderError> {
    let field = "resource.manifest";
    let problem = |message: String| RenderError {
        field: field.to_owned(),
        message,
    };
    let rendered = yaml(field, &resource.manifest, data)?;
    // The parser's message could quote the manifest, which may be a Secret.
    // As kubectl reads it: 0644 is 420.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let mut manifest: Json = serde_saphyr::from_str_with_options(&rendered, options)
        .map_err(|_| problem("does not render to one YAML document".to_owned()))?;
    let at = |pointer: &str| {
        manifest
            .pointer(pointer)
            .and_then(Json::as_str)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let missing = |what: &str| {
        problem(format!(
            "has no {what}; every manifest names apiVersion, kind and metadata.name"
        ))
    };
    let api_version = at("/apiVersion").ok_or_else(|| missing("apiVersion"))?;
    let kind = at("/kind").ok_or_else(|| missing("kind"))?;
    let name = at("/metadata/name").ok_or_else(|| missing("metadata.name"))?;
    let namespace = at("/metadata/namespace").unwrap_or_else(|| plan_namespace.to_owned());
    let body = match (resource.operation, resource.patch_type) {
        (Operation::Patch, PatchType::Json) => match manifest.get_mut("patch").map(Json::take) {
            Some(operations @ Json::Array(_)) => operations,
            _ => {
                return Err(problem(
                    "with patchType JSON takes its operations from a list `patch` beside apiVersion"
                        .to_owned(),
                ));
            }
        },
        (Operation::Create | Operation::Apply | Operation::Patch | Operation::Delete, _) => manifest,
    };
    let writes = resource.operation != Operation::Delete;
    if let Some(message) = reserved(&body).filter(|_| writes) {
        return Err(problem(message));
    }
    let target = ObjectRef {
        api_version: Some(api_version),
        kind: Some(kind),
        name,
        namespace: Some(namespace),
        uid: None,
    };
    let (patch_type, force) = (resource.patch_type, resource.force);
    Ok(RenderedObject {
        target,
        operation: resource.operation,
        body,
        patch_type,
        force,
    })
}

/// A text that may be left out; one that renders to nothing counts as left out.
fn text(field: &str, source: Option<&String>, data: &Value) -> Result<Option<String>, RenderError> {
    let rendered = source.map(|source| plain(field, source, data)).transpose()?;
    Ok(rendered
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty()))
}

/// JSON pointers to the lists of a merge patch: each replaces what stands there.
fn lists_of(patch: &Json) -> Vec<String> {
    fn walk(at: &str, value: &Json, found: &mut Vec<String>) {
        match value {
            Json::Array(_) => found.push(at.to_owned()),
            Json::Object(members) => {
                for (name, member) in members {
                    walk(
                        &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")),
                        member,
                        found,
                    );
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }
    let mut found = Vec::new();
    walk("", patch, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_kubectl_reads_it() {
        let manifest = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n\
                        mode: 0644\nquoted: '0644'\nswitch: on\nword: \"on\"\nplain: text\n";
        let resource = Resource {
            operation: Operation::Create,
            manifest: manifest.to_owned(),
            patch_type: PatchType::Merge,
            force: false,
        };
        let body = render_resource(&resource, "shop", &Value::Null).unwrap().body;
        let read = ["mode", "quoted", "switch", "word", "plain"].map(|key| body[key].clone());
        let expected = json!([420, "0644", true, "on", "text"]);
        assert_eq!(Json::from(read.to_vec()), expected);
    }
}
