//! From manifests to a snapshot, or to all problems at once.

#![expect(clippy::unwrap_used, reason = "a test harness: a panic is how it tells")]

mod snapshots;
mod stages;
mod templates;
mod values;

use std::collections::BTreeMap;

use drplan_api::{
    Problem, Severity, canonical::ParameterValue, normalise_execution, normalise_plan, normalise_workflow,
    problem::any_error,
};
use drplan_engine::{Compiled, ExecutionSource, PlanSource, Snapshot, WorkflowKey, WorkflowSource, compile};
use serde_json::{Value, json};

/// A plan of namespace `shop` with its workflows, as they are written.
struct Given {
    plan: Value,
    workflows: BTreeMap<WorkflowKey, WorkflowSource>,
    params: Vec<ParameterValue>,
    /// An execution compiles it, not only a check of the plan.
    executed: bool,
    served: Option<Vec<String>>,
}

/// `plan` is the plan's spec.
fn given(plan: Value) -> Given {
    Given {
        plan,
        workflows: BTreeMap::new(),
        params: Vec::new(),
        executed: false,
        served: None,
    }
}

impl Given {
    /// A workflow of namespace `shop`, or of the namespace before the `/`.
    fn workflow(mut self, name: &str, spec: Value) -> Self {
        let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
        let found = normalise_workflow(&serde_json::from_value(spec).unwrap());
        let source = match found.value {
            Some(workflow) if !any_error(&found.problems) => WorkflowSource::Known(workflow),
            _ => WorkflowSource::Invalid(found.problems),
        };
        self.workflows
            .insert((namespace.to_owned(), name.to_owned()), source);
        self
    }

    /// An execution with these values.
    fn executed(mut self, params: Value) -> Self {
        let spec = json!({"planRef": "failover", "operationType": "Execute", "params": params});
        let request = normalise_execution(&serde_json::from_value(spec).unwrap(), "shop");
        self.params = request.value.unwrap().params;
        self.executed = true;
        self
    }

    fn served(mut self, namespaces: &[&str]) -> Self {
        self.served = Some(namespaces.iter().map(ToString::to_string).collect());
        self
    }

    fn compile(&self) -> Result<Compiled, Vec<Problem>> {
        let plan = normalise_plan(&serde_json::from_value(self.plan.clone()).unwrap(), "shop");
        let plan = plan.value.unwrap_or_else(|| panic!("{:?}", plan.problems));
        let source = PlanSource {
            namespace: "shop",
            name: "failover",
            plan: &plan,
            workflows: &self.workflows,
            service_account_name: Some("dr-shop"),
            served_namespaces: self.served.as_deref(),
        };
        let (name, uid) = if self.executed {
            ("failover-1", "uid-1")
        } else {
            ("", "")
        };
        compile(
            &source,
            &ExecutionSource {
                name,
                uid,
                params: &self.params,
            },
        )
    }

    /// Everything that is said, in order; warnings with a mark.
    fn says(&self, expected: &[&str]) {
        let problems = match self.compile() {
            Ok(compiled) => compiled.warnings,
            Err(problems) => {
                assert!(any_error(&problems), "refused without an error");
                problems
            }
        };
        let said: Vec<String> = problems
            .iter()
            .map(|problem| match problem.severity {
                Severity::Error => problem.to_string(),
                Severity::Warning => format!("warning: {problem}"),
            })
            .collect();
        assert_eq!(said, expected, "\nsaid:\n{}\n", said.join("\n"));
    }

    fn snapshot(&self) -> Snapshot {
        self.compile()
            .unwrap_or_else(|problems| panic!("{problems:?}"))
            .snapshot
    }

    /// The values of the first use of a workflow.
    fn values(&self) -> Value {
        serde_json::to_value(&self.snapshot().stages[0].uses[0].values).unwrap()
    }
}

/// A workflow of one call.
fn calls(url: &str) -> Value {
    json!({"actions": [{"name": "call", "type": "HTTP", "http": {"url": url}}]})
}

/// A workflow of one call with these parameters.
fn with_parameters(parameters: Value, url: &str) -> Value {
    json!({"parameters": parameters, "actions": [{"name": "call", "type": "HTTP", "http": {"url": url}}]})
}

fn stages(stages: &[(&str, &[&str])]) -> Value {
    let stages: Vec<Value> = stages
        .iter()
        .map(|(name, depends_on)| {
            json!({"name": name, "dependsOn": depends_on, "workflows": [{"workflowRef": {"name": "w"}}]})
        })
        .collect();
    json!({ "stages": stages })
}

/// One stage with one workflow `w`.
fn simple() -> Value {
    json!({"workflowRef": {"name": "w"}})
}
