//! A plan as last seen, and what follows from its spec.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use drplan_api::{Account, DRPlan, DRPlanStatus, Problems, canonical::Plan, decode};
use drplan_engine::{
    Compiled, ExecutionSource, Needs, PlanSource, Reading, Run, WorkflowKey, WorkflowSource, compile, needs,
    read_plan, workflow_keys,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Index, Key, key_of};
use crate::{context::Settings, raw::Raw};

/// A plan as last seen.
#[derive(Clone, Debug)]
pub struct PlanEntry {
    /// Its metadata, without managed fields.
    pub meta: ObjectMeta,
    /// Its status, or that it cannot be read.
    pub status: Result<DRPlanStatus, String>,
    spec: Arc<Spec>,
}

/// What the spec of a plan says. The versions of a plan that differ in metadata and status alone have one.
#[derive(Debug)]
struct Spec {
    /// Its canonical form, or the problems that keep it from having one.
    plan: Result<Plan, Problems>,
    /// As far as it can be read. The form is not in here as well where `plan` has it.
    reading: Reading<Plan>,
    findings: Mutex<Option<(Versions, Arc<Findings>)>>,
}

/// By which versions of a plan's workflows something holds: UID and generation of each, none of one that is missing.
type Versions = Vec<Option<(Option<String>, Option<i64>)>>;

/// What is found in a plan and its workflows by themselves: the warnings of one that can run, or all problems.
pub type Findings = Result<Sound, Problems>;

/// A plan that can run, as far as it shows by itself.
#[derive(Debug)]
pub struct Sound {
    /// Problems of severity Warning.
    pub warnings: Problems,
    /// As whom its actions run, and the rights that they need; none where they run as the operator.
    pub actor: Option<(Account, Needs)>,
}

impl PlanEntry {
    /// Reads `raw`.
    pub fn of(raw: Raw<DRPlan>) -> Self {
        Self::after(raw, None)
    }

    /// Reads `raw`, but for a spec that `known` has too.
    pub(super) fn after(raw: Raw<DRPlan>, known: Option<&Self>) -> Self {
        let (meta, spec, status) = raw.into_parts();
        let known = known.filter(|known| has_the_spec_of(&meta, &known.meta));
        let spec = match known {
            Some(known) => Arc::clone(&known.spec),
            None => {
                let namespace = meta.namespace.as_deref().unwrap_or_default();
                Arc::new(Spec::of(read_plan(spec, namespace)))
            }
        };
        let status = if status.is_null() {
            Ok(DRPlanStatus::default())
        } else {
            decode(status).map_err(|problem| format!("status.{problem}"))
        };
        Self { meta, status, spec }
    }

    /// Its canonical form.
    ///
    /// # Errors
    /// The problems that keep its spec from having one.
    pub fn plan(&self) -> Result<&Plan, &Problems> {
        self.spec.plan.as_ref()
    }

    /// The workflows that it refers to, as far as it can be read.
    pub fn workflow_keys(&self) -> Vec<WorkflowKey> {
        self.spec
            .readable()
            .map(|plan| workflow_keys(plan, &self.key().0))
            .unwrap_or_default()
    }

    /// Everything there is to say about the plan: errors, or else warnings.
    pub fn problems(
        &self,
        workflows: &BTreeMap<WorkflowKey, WorkflowSource>,
        settings: &Settings,
    ) -> Problems {
        match self.compiled(workflows, settings) {
            Ok(compiled) => compiled.warnings,
            Err(problems) => problems,
        }
    }

    /// The plan together with `workflows`. Admission and the controller ask this.
    ///
    /// # Errors
    /// All problems, warnings included, if any of them is an error.
    pub fn compiled(
        &self,
        workflows: &BTreeMap<WorkflowKey, WorkflowSource>,
        settings: &Settings,
    ) -> Result<Compiled, Problems> {
        let Spec { plan, reading, .. } = &*self.spec;
        let mut problems = reading.problems.clone();
        let Some(readable) = self.spec.readable() else {
            return Err(problems);
        };
        let (namespace, name) = self.key();
        let source = plan_source(&namespace, &name, readable, workflows, settings);
        match compile(&source, &ExecutionSource::default()) {
            Ok(mut compiled) if plan.is_ok() => {
                problems.append(&mut compiled.warnings);
                compiled.warnings = problems;
                Ok(compiled)
            }
            Ok(Compiled { warnings: found, .. }) | Err(found) => {
                problems.extend(reading.sound(found));
                Err(problems)
            }
        }
    }

    /// What is found in the plan together with its workflows as last seen; once for each version of their specs.
    pub fn findings(&self, index: &Index, settings: &Settings) -> Arc<Findings> {
        let version = |key| {
            let known = index.workflow(&key)?;
            Some((known.meta.uid.clone(), known.meta.generation))
        };
        let versions: Versions = self.workflow_keys().into_iter().map(version).collect();
        let mut kept = self.spec.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, findings)) = &*kept
            && *known == versions
        {
            return Arc::clone(findings);
        }
        let compiled = self.compiled(&index.sources(self), settings);
        let findings = Arc::new(compiled.map(|Compiled { snapshot, warnings }| {
            let account = snapshot.service_account_name.clone().map(|name| Account {
                namespace: snapshot.namespace.clone(),
                name,
            });
            Sound {
                warnings,
                actor: account.map(|account| (account, needs(&Run::new(snapshot)))),
            }
        }));
        *kept = Some((versions, Arc::clone(&findings)));
        findings
    }

    /// Namespace and name.
    pub fn key(&self) -> Key {
        key_of(&self.meta)
    }
}

impl Spec {
    fn of(mut reading: Reading<Plan>) -> Self {
        let whole = if reading.is_whole() {
            reading.value.take()
        } else {
            None
        };
        Self {
            plan: whole.ok_or_else(|| reading.problems.clone()),
            reading,
            findings: Mutex::default(),
        }
    }

    /// The plan as far as it can be read.
    fn readable(&self) -> Option<&Plan> {
        self.plan.as_ref().ok().or(self.reading.value.as_ref())
    }
}

/// Whether two versions of a plan have the same spec: the API server counts the generation up with each other one.
fn has_the_spec_of(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    one.uid.is_some()
        && one.uid == other.uid
        && one.generation.is_some()
        && one.generation == other.generation
}

/// A plan with all that it refers to, as this operator's flags have it.
pub fn plan_source<'a>(
    namespace: &'a str,
    name: &'a str,
    plan: &'a Plan,
    workflows: &'a BTreeMap<WorkflowKey, WorkflowSource>,
    settings: &'a Settings,
) -> PlanSource<'a> {
    PlanSource {
        namespace,
        name,
        plan,
        workflows,
        service_account_name: plan
            .service_account_name
            .as_deref()
            .or(settings.default_service_account.as_deref()),
        served_namespaces: settings.served(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::index::WorkflowEntry;

    fn read<K>(kind: &str, name: &str, (generation, version): (i64, u64), spec: Value) -> Raw<K> {
        let object = json!({
            "apiVersion": "dr.bkbcs.tencent.com/v1alpha1", "kind": kind, "spec": spec,
            "metadata": {
                "name": name, "namespace": "town", "uid": name,
                "generation": generation, "resourceVersion": version.to_string(),
            },
        });
        serde_json::from_value(object).unwrap()
    }

    fn plan(count: (i64, u64), stage: &str) -> Raw<DRPlan> {
        let workflows = json!([{"workflowRef": {"name": "flow"}}]);
        read(
            "DRPlan",
            "shop",
            count,
            json!({"stages": [{"name": stage, "workflows": workflows}]}),
        )
    }

    fn workflow(count: (i64, u64), url: &str) -> WorkflowEntry {
        let action = json!({"name": "call", "type": "HTTP", "http": {"url": url, "method": "POST"}});
        WorkflowEntry::of(read("DRWorkflow", "flow", count, json!({"actions": [action]})))
    }

    #[test]
    fn a_spec_is_read_once_for_all_versions_of_a_plan_that_have_it() {
        let index = Index::default();
        let first = index.plan_of(plan((1, 1), "one"));
        assert!(index.put_plan(first.clone()));
        let later = index.plan_of(plan((1, 2), "one"));
        assert_eq!(later.meta.resource_version.as_deref(), Some("2"));
        assert!(Arc::ptr_eq(&later.spec, &first.spec));
        let edited = index.plan_of(plan((2, 3), "two"));
        assert_eq!(edited.plan().unwrap().stages[0].name.as_str(), "two");
        // Without a generation nobody knows.
        let mut raw = plan((1, 4), "three");
        raw.metadata.generation = None;
        assert_eq!(
            index.plan_of(raw).plan().unwrap().stages[0].name.as_str(),
            "three"
        );
    }

    #[test]
    fn findings_are_those_of_the_workflows_as_last_seen() {
        let (index, settings) = (Index::default(), Settings::default());
        let entry = index.plan_of(plan((1, 1), "one"));
        assert!(entry.findings(&index, &settings).is_err(), "it is missing");
        index.put_workflow(workflow((1, 2), "https://a.example.com"));
        let sound = entry.findings(&index, &settings);
        assert!(sound.is_ok());
        // Only its status has changed.
        index.put_workflow(workflow((1, 3), "https://a.example.com"));
        assert!(Arc::ptr_eq(&sound, &entry.findings(&index, &settings)));
        index.put_workflow(workflow((2, 4), "{{ .params.none }}"));
        assert!(entry.findings(&index, &settings).is_err(), "it has become wrong");
    }
}
