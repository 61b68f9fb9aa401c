//! The example in namespaces of the test's own, as somebody applies it.

use std::path::Path;

use anyhow::Context;
use drplan_testkit::{Authority, HttpStandIn, Kubectl, OperatorLaunch, TestNamespace, object_until};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::{Value, json};

use super::rights;
use crate::fixtures::{ours, plans, text};
use crate::guide;
use crate::hub::{LOCALIZATION, SUBSCRIPTION};
use crate::shared;

/// The plan.
pub(super) const PLAN: &str = "ecommerce-dr-plan";
/// The namespaces in the example: of the plan, and of the other site's cluster.
const NAMESPACES: [&str; 2] = ["production", "clusternet-dr-shanghai"];
const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/ecommerce");

/// The example, and who answers its calls.
pub(super) struct Shop<'a> {
    /// In place of `production`.
    pub(super) t: &'a TestNamespace,
    /// In place of `clusternet-dr-shanghai`.
    pub(super) far: &'a TestNamespace,
    /// What answers HTTPS for all hosts.
    pub(super) site: HttpStandIn,
    /// How an operator runs that finds the site.
    pub(super) launch: OperatorLaunch,
}

/// Runs the test on a shop that is not applied yet.
pub(super) async fn with_shop(
    name: &str,
    test: impl AsyncFnOnce(&Shop<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let here = async |t: &TestNamespace| {
        let both = async |far: &TestNamespace| {
            let shop = Shop::find(t, far).await?;
            test(&shop).await
        };
        control_plane.with_namespace("far", both).await
    };
    control_plane.with_namespace(name, here).await
}

impl<'a> Shop<'a> {
    async fn find(t: &'a TestNamespace, far: &'a TestNamespace) -> anyhow::Result<Self> {
        let mut texts = String::new();
        for file in files()? {
            texts.push_str(&std::fs::read_to_string(file)?);
        }
        let hosts = guide::hosts(&texts);
        let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let authority = Authority::generate()?;
        let site = HttpStandIn::start_secure(&authority.server(&names)?).await?;
        let certificates = t.control_plane.dir().join(format!("{}-ca.pem", t.name));
        std::fs::write(&certificates, authority.certificate())?;
        let mut launch = t.operator_launch()?.default_identity();
        launch = launch.arg(format!("--http-ca={}", certificates.display()));
        for host in &hosts {
            launch = launch.arg(format!("--http-resolve={host}:443:{}", site.address()));
        }
        Ok(Self { t, far, site, launch })
    }

    /// The manifests as they are written, in the test's namespaces.
    pub(super) fn manifests(&self) -> anyhow::Result<Vec<Value>> {
        let mut manifests = Vec::new();
        for file in files()? {
            let documents: Vec<Value> =
                serde_saphyr::from_multiple(&self.here(&std::fs::read_to_string(file)?))?;
            manifests.extend(documents);
        }
        manifests.retain(|manifest| manifest["kind"] != "Namespace");
        Ok(manifests)
    }

    /// Applies manifests, and waits until what they grant is granted.
    pub(super) async fn apply(&self, manifests: Vec<Value>) -> anyhow::Result<()> {
        let texts: Vec<String> = manifests.iter().map(Value::to_string).collect();
        let kubectl = Kubectl::without_namespace(&self.t.control_plane);
        let strictly = ["apply", "--validate=strict", "-f", "-"];
        kubectl.run_with(&strictly, &texts.join("\n---\n")).await?;
        object_until(&plans(self.t), PLAN, "is there", |plan| plan.map(drop)).await?;
        rights::granted_now(self).await
    }

    /// A text of the example, with the test's namespaces.
    pub(super) fn here(&self, text: &str) -> String {
        text.replace(NAMESPACES[0], &self.t.name)
            .replace(NAMESPACES[1], &self.far.name)
    }

    /// A text from here, with the namespaces of the example.
    pub(super) fn as_written(&self, text: &str) -> String {
        text.replace(&self.far.name, NAMESPACES[1])
            .replace(&self.t.name, NAMESPACES[0])
    }

    /// What the actions of an execution made and still is there.
    pub(super) async fn made(&self, execution: &str) -> anyhow::Result<Vec<Value>> {
        let label = ListParams::default().labels(&format!("{}={execution}", ours("execution")));
        let mut made = Vec::new();
        for (api_version, kind) in [LOCALIZATION, SUBSCRIPTION, ("batch/v1", "Job")] {
            let (group, version) = api_version.split_once('/').context("it has a group")?;
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
            for t in [self.t, self.far] {
                let objects: Api<DynamicObject> = Api::namespaced_with(t.client.clone(), &t.name, &resource);
                for object in objects.list(&label).await? {
                    let mut object = serde_json::to_value(object)?;
                    object["kind"] = kind.into();
                    made.push(object);
                }
            }
        }
        made.sort_by_key(|object| action_path(object).to_owned());
        Ok(made)
    }
}

/// The action that made the object.
pub(super) fn action_path(object: &Value) -> &str {
    object["metadata"]["annotations"][ours("action-path")]
        .as_str()
        .unwrap_or_default()
}

/// Every action of the workflows.
pub(super) fn actions_mut(manifests: &mut [Value]) -> impl Iterator<Item = &mut Value> {
    manifests
        .iter_mut()
        .filter(|manifest| manifest["kind"] == "DRWorkflow")
        .flat_map(|workflow| items_mut(&mut workflow["spec"]["actions"]))
}

/// Puts the workflows into this namespace, and has the plan find them there.
pub(super) fn keep_workflows_in(manifests: &mut [Value], namespace: &str) {
    for manifest in manifests {
        match text(manifest, "/kind") {
            "DRWorkflow" => {
                manifest["spec"]["allowedNamespaces"] = json!([manifest["metadata"]["namespace"]]);
                manifest["metadata"]["namespace"] = namespace.into();
            }
            "DRPlan" => {
                for stage in items_mut(&mut manifest["spec"]["stages"]) {
                    for used in items_mut(&mut stage["workflows"]) {
                        used["workflowRef"]["namespace"] = namespace.into();
                    }
                }
            }
            _ => {}
        }
    }
}

fn files() -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut files: Vec<_> = std::fs::read_dir(Path::new(DIRECTORY))?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    Ok(files)
}

/// Every effect of a run of the plan as its fault points name it, or of its Revert.
pub(super) fn effects(manifests: &[Value], undo: bool) -> Vec<String> {
    let mut effects = Vec::new();
    for (path, action) in actions(manifests) {
        let kinds: &[&str] = match (text(action, "/type"), undo) {
            // What is undone by nothing is skipped.
            ("HTTP", true) if action["rollback"].is_null() => &[],
            ("HTTP", _) => &["Call"],
            ("Job", false) => &["FindOrCreate", "Await"],
            _ => &["Object"],
        };
        let end = if undo { "/undo" } else { "" };
        effects.extend(kinds.iter().map(|kind| format!("{kind}:{path}{end}")));
    }
    effects
}

/// Every action of the plan with its path, in the order in which they run.
pub(super) fn actions(manifests: &[Value]) -> Vec<(String, &Value)> {
    let mut actions = Vec::new();
    let plan = manifests.iter().find(|manifest| manifest["kind"] == "DRPlan");
    for stage in plan.into_iter().flat_map(|plan| items(&plan["spec"]["stages"])) {
        for (index, used) in items(&stage["workflows"]).iter().enumerate() {
            let name = text(used, "/workflowRef/name");
            let flow = manifests.iter().find(|manifest| {
                manifest["kind"] == "DRWorkflow" && text(manifest, "/metadata/name") == name
            });
            for action in flow.into_iter().flat_map(|flow| items(&flow["spec"]["actions"])) {
                let path = format!(
                    "{}/{name}[{index}]/{}",
                    text(stage, "/name"),
                    text(action, "/name")
                );
                actions.push((path, action));
            }
        }
    }
    actions
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

fn items_mut(list: &mut Value) -> &mut [Value] {
    list.as_array_mut().map_or(&mut [], Vec::as_mut_slice)
}
