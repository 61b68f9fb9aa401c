//! Random plans as the engine reads them.

use std::collections::BTreeMap;

use drplan_api::{
    GoDuration,
    canonical::{
        Action, Deferred, OnInterrupted, Plan, PlanFailurePolicy, RetryPolicy, Stage, Work, Workflow,
        WorkflowFailurePolicy,
    },
    status::FORMAT_VERSION,
};
use drplan_engine::{
    Run, Snapshot,
    snapshot::{SnapshotStage, SnapshotUse, SnapshotWorkflow},
};

use crate::{
    object_actions, plans,
    random_plan::{RandomAction, RandomPlan, What},
};

impl RandomPlan {
    /// The run of this plan, compiled.
    pub(crate) fn compiled(&self) -> Run {
        let (plan, workflows) = self.written();
        plans::run(&plan, &workflows)
    }

    /// The same without the checks of a compilation, which take longer than most runs of the simulation.
    pub(crate) fn run(&self) -> Run {
        let (plan, workflows) = self.written();
        let is_graph = self.stages.iter().any(|stage| !stage.depends_on.is_empty());
        let positions: Vec<&String> = workflows.keys().collect();
        let uses = |stage: &Stage| {
            let used = stage.workflows.iter().map(|used| SnapshotUse {
                workflow: positions.iter().position(|name| **name == used.name).unwrap(),
                values: BTreeMap::new(),
                sources: BTreeMap::new(),
            });
            used.collect()
        };
        let stages = plan
            .stages
            .iter()
            .enumerate()
            .map(|(index, stage)| SnapshotStage {
                name: stage.name.clone(),
                after: match is_graph {
                    true => self.stages[index].depends_on.clone(),
                    false => index.checked_sub(1).into_iter().collect(),
                },
                parallel: stage.parallel,
                uses: uses(stage),
            });
        let stages = stages.collect();
        let named = workflows.iter().map(|(name, spec)| SnapshotWorkflow {
            namespace: plans::NAMESPACE.to_owned(),
            name: name.clone(),
            spec: spec.clone(),
        });
        Run::new(Snapshot {
            format_version: FORMAT_VERSION,
            namespace: plans::NAMESPACE.to_owned(),
            plan: "failover".to_owned(),
            execution: "failover-1".to_owned(),
            execution_uid: plans::UID.to_owned(),
            service_account_name: None,
            failure_policy: plan.failure_policy,
            timeout: plan.timeout,
            stages,
            workflows: named.collect(),
        })
    }

    /// This plan and its workflows in canonical form.
    fn written(&self) -> (Plan, BTreeMap<String, Workflow>) {
        let mut workflows = BTreeMap::new();
        let mut stages = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            let used: Vec<String> = (0..stage.workflows.len())
                .map(|at| format!("w{index}-{at}"))
                .collect();
            for (name, workflow) in used.iter().zip(&stage.workflows) {
                let policy = match workflow.fail_fast {
                    true => WorkflowFailurePolicy::FailFast,
                    false => WorkflowFailurePolicy::Continue,
                };
                let actions = workflow.actions.iter().map(RandomAction::written).collect();
                workflows.insert(name.clone(), plans::workflow(policy, actions));
            }
            let before: Vec<String> = stage
                .depends_on
                .iter()
                .map(|before| format!("s{before}"))
                .collect();
            let before: Vec<&str> = before.iter().map(String::as_str).collect();
            let used: Vec<&str> = used.iter().map(String::as_str).collect();
            stages.push(plans::stage(&format!("s{index}"), &before, stage.parallel, &used));
        }
        let policy = match self.stop {
            true => PlanFailurePolicy::Stop,
            false => PlanFailurePolicy::Continue,
        };
        let timeout = self.timeout_seconds.map(GoDuration::from_secs);
        (plans::plan(policy, timeout, stages), workflows)
    }
}

impl RandomAction {
    fn written(&self) -> Action {
        let mut action = self.doing(&self.name, &self.what);
        let rollback = self.rollback.as_ref();
        action.rollback = rollback.map(|what| self.doing(&format!("undo-{}", self.name), what).doing);
        action
    }

    fn doing(&self, name: &str, what: &What) -> Action {
        let mut action = match what {
            What::Call => plans::call(name),
            What::Job => plans::job(name),
            What::Object {
                operation,
                kind,
                object,
                ..
            } => object_actions::object(name, *operation, *kind, object),
        };
        match (&mut action.doing.work, what) {
            (Work::Http(http), _) if self.fails_if_interrupted => http.on_interrupted = OnInterrupted::Fail,
            (Work::KubernetesResource(resource), What::Object { force, .. }) => resource.force = *force,
            _ => {}
        }
        action.doing.timeout = Some(Deferred::Value(GoDuration::from_secs(
            crate::world::TIMEOUT_SECONDS,
        )));
        action.doing.retry = self.retry.as_ref().map(|retry| RetryPolicy {
            interval: Deferred::Value(GoDuration::from_secs(retry.interval_seconds)),
            backoff_multiplier: Deferred::Value(retry.multiplier as f64),
            max_interval: Deferred::Value(GoDuration::from_secs(retry.max_seconds)),
            on_timeout: retry.on_timeout,
            ..plans::retries(retry.limit)
        });
        action
    }
}
