//! The rights that a plan needs, as manifests.

mod kinds;

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use drplan_api::{
    Account, DRPlan, DRWorkflow, Grant, Problems, Right,
    canonical::{ParameterValue, Plan, Workflow},
    decode, normalise_plan, normalise_workflow,
    problem::one_line,
    rights::to_yaml,
};
use drplan_engine::{
    ExecutionSource, Needs, PlanSource, Rights, Run, WorkflowKey, WorkflowSource, compile, needs,
    rights::{Kind, Served},
    workflow_keys,
};
use kube::{Resource, api::DynamicObject};
use serde_json::json;

use crate::{
    check::{SourceFile, plans_and_workflows},
    cluster::{Cluster, answer},
};

pub use kinds::by_convention;

/// A plan with what is needed to tell its rights.
#[derive(Debug)]
pub struct Planned {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    plan: Plan,
    workflows: BTreeMap<WorkflowKey, WorkflowSource>,
}

/// What a plan's ServiceAccount needs.
#[derive(Debug)]
pub struct Needed {
    /// The plan's name.
    pub plan: String,
    /// Who needs it.
    pub account: Account,
    /// What the actions ask for.
    pub needs: Needs,
}

impl Planned {
    /// The plan `name` among `files`, or the only one; `namespace` is that of objects which name none.
    ///
    /// # Errors
    /// There is none of the name, or more than one and no name.
    pub fn of_files(files: &[SourceFile], namespace: &str, name: Option<&str>) -> anyhow::Result<Self> {
        let (plans, workflows) = plans_and_workflows(files, namespace);
        let mut found = plans
            .into_iter()
            .filter(|((_, plan), _)| name.is_none_or(|name| plan == name));
        let Some(((namespace, name), plan)) = found.next() else {
            match name {
                Some(name) => bail!("there is no plan `{name}` that can be read in these files"),
                None => bail!("there is no plan that can be read in these files"),
            }
        };
        if let Some(((_, other), _)) = found.next() {
            bail!(
                "there are several plans in these files, `{name}` and `{other}`; say which: kubectl drplan rbac PLAN -f …"
            );
        }
        let known = workflows.into_iter();
        Ok(Self {
            namespace,
            name,
            plan,
            workflows: known
                .map(|(key, workflow)| (key, WorkflowSource::Known(workflow)))
                .collect(),
        })
    }

    /// The plan `name` of the cluster, with its workflows.
    ///
    /// # Errors
    /// It, or a workflow, does not exist, cannot be read, or there is no answer.
    pub(crate) async fn of_cluster(cluster: &Cluster, name: &str) -> anyhow::Result<Self> {
        let namespace = cluster.namespace.clone();
        let object = read::<DRPlan>(cluster, &namespace, name).await?;
        let plan = normalise_plan(&spec(&object, name)?, &namespace);
        let plan = usable(plan.value, &plan.problems, name)?;
        let mut workflows = BTreeMap::new();
        for key in workflow_keys(&plan, &namespace) {
            let label = format!("{}/{}", key.0, key.1);
            let object = read::<DRWorkflow>(cluster, &key.0, &key.1).await?;
            let workflow = normalise_workflow(&spec(&object, &label)?);
            let workflow: Workflow = usable(workflow.value, &workflow.problems, &label)?;
            workflows.insert(key, WorkflowSource::Known(workflow));
        }
        Ok(Self {
            namespace,
            name: name.to_owned(),
            plan,
            workflows,
        })
    }

    /// What it needs with these values of an execution. `default_account` is that of plans which name none.
    ///
    /// # Errors
    /// What is wrong with the plan.
    pub fn needed(&self, params: &[ParameterValue], default_account: &str) -> anyhow::Result<Needed> {
        let account = self
            .plan
            .service_account_name
            .as_deref()
            .unwrap_or(default_account);
        let source = PlanSource {
            namespace: &self.namespace,
            name: &self.name,
            plan: &self.plan,
            workflows: &self.workflows,
            service_account_name: Some(account),
            served_namespaces: None,
        };
        let execution = ExecutionSource {
            params,
            ..ExecutionSource::default()
        };
        let compiled = compile(&source, &execution)
            .map_err(|problems| anyhow::anyhow!("the plan cannot run: {}", one_line(&problems)))?;
        Ok(Needed {
            plan: self.name.clone(),
            account: Account {
                namespace: self.namespace.clone(),
                name: account.to_owned(),
            },
            needs: needs(&Run::new(compiled.snapshot)),
        })
    }
}

async fn read<K: Resource<DynamicType = ()>>(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> anyhow::Result<DynamicObject> {
    let kind = K::kind(&());
    let found = answer(cluster.objects_in::<K>(namespace).get_opt(name)).await;
    let found = found.with_context(|| format!("failed to read {kind} {namespace}/{name}"))?;
    found.with_context(|| format!("there is no {kind} `{name}` in namespace {namespace}"))
}

fn spec<S: serde::de::DeserializeOwned>(object: &DynamicObject, label: &str) -> anyhow::Result<S> {
    let spec = object.data.get("spec").cloned().unwrap_or_else(|| json!({}));
    decode(spec).map_err(|problem| anyhow::anyhow!("{label} cannot be read: spec.{problem}"))
}

fn usable<T>(value: Option<T>, problems: &Problems, label: &str) -> anyhow::Result<T> {
    value.with_context(|| format!("{label} cannot be used: {}", one_line(problems)))
}

/// The manifests for `kubectl apply -f -`, with what they leave open as comments.
pub fn text(needed: &Needed, served: impl Fn(&Kind) -> Option<Served>) -> anyhow::Result<String> {
    let Rights { needed: rights, open } = needed.needs.rights(served);
    let Account { namespace, name } = &needed.account;
    let grant = Grant {
        account: needed.account.clone(),
        plan: needed.plan.clone(),
        rights: rights.into_keys().collect(),
    };
    let mut manifests = Vec::new();
    // Kubernetes makes the one called `default` by itself.
    if name != "default" {
        manifests.push(json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace},
        }));
    }
    manifests.extend(grant.manifests());
    let mut text = format!(
        "# What ServiceAccount {namespace}/{name} needs for plan {}: its actions, and undoing them.\n",
        needed.plan
    );
    for (path, why) in open {
        text.push_str(&format!("# Left open, grant it by hand: {path} {why}.\n"));
    }
    if manifests.is_empty() {
        text.push_str("# Nothing.\n");
    }
    text.push_str(&to_yaml(&manifests).context("failed to write the manifests as YAML")?);
    Ok(text)
}

/// The rights that the account does not have, as the cluster tells.
///
/// # Errors
/// Whoever asks may not, or there is no answer.
pub(crate) async fn missing(
    cluster: &Cluster,
    needed: &Needed,
    served: impl Fn(&Kind) -> Option<Served>,
) -> anyhow::Result<Vec<Right>> {
    let mut missing = Vec::new();
    for right in needed.needs.rights(served).needed.into_keys() {
        let spec = right.review_of(&needed.account);
        let review = answer(cluster.review(&spec))
            .await
            .context("failed to ask for the rights of the ServiceAccount (create subjectaccessreviews)")?;
        if !review.status.is_some_and(|status| status.allowed) {
            missing.push(right);
        }
    }
    Ok(missing)
}
