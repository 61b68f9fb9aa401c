//! A run ready to be advanced: its snapshot and the graph compiled from it.

use std::collections::{BTreeMap, BTreeSet};

use drplan_api::{
    ActionPath, Time,
    canonical::{Action, Work},
    status::{ActionStatus, DRPlanExecutionStatus, Reverts, StageStatus, WorkflowExecution, WorkflowRef},
};

use crate::{
    effect::EffectIdentity,
    graph::{ActionIndex, Graph, path_of},
    parameters::shown,
    revert::{Reverted, RevertedAction},
    sealed::SealedParameters,
    snapshot::{Snapshot, SnapshotError, SnapshotUse, SnapshotWorkflow},
    texts,
    undo::Undo,
};

/// A snapshot with its graph.
#[derive(Clone, Debug)]
pub struct Run {
    /// What was stored. That of a Revert is the snapshot of the execution it undoes.
    pub snapshot: Snapshot,
    /// What follows from it.
    pub graph: Graph,
    /// A Revert: what the execution did.
    pub reverted: Option<Reverted>,
    /// A Revert: what is done about each action.
    pub(crate) undos: BTreeMap<ActionIndex, Undo>,
    /// Actions whose response body a later template reads.
    bodies: BTreeSet<ActionIndex>,
}

impl Run {
    /// The run of `snapshot`.
    pub fn new(snapshot: Snapshot) -> Self {
        let graph = Graph::new(&snapshot);
        let bodies = kept_bodies(&snapshot, &graph);
        Self {
            snapshot,
            graph,
            reverted: None,
            undos: BTreeMap::new(),
            bodies,
        }
    }

    /// The Revert of `reverted`, which ran `snapshot`.
    ///
    /// # Errors
    /// [`SnapshotError::OfAnotherRun`] if it did not.
    pub fn revert(snapshot: Snapshot, reverted: Reverted) -> Result<Self, SnapshotError> {
        if !reverted.fits(&snapshot) {
            return Err(SnapshotError::OfAnotherRun);
        }
        let graph = Graph::reversed(&snapshot);
        let mut run = Self {
            snapshot,
            graph,
            reverted: Some(reverted),
            undos: BTreeMap::new(),
            bodies: BTreeSet::new(),
        };
        let owed: Vec<_> = run
            .graph
            .actions()
            .filter_map(|at| Some((at, run.owed(at)?)))
            .collect();
        run.undos.extend(owed);
        let wants_body = |at: &ActionIndex| {
            let work = run.written(*at).map(|doing| &doing.work);
            matches!(work, Some(Work::Http(http)) if http.save_body)
        };
        let bodies = run.graph.actions().filter(wants_body).collect();
        run.bodies = bodies;
        Ok(run)
    }

    /// What the action at `at` of the execution that is undone did.
    pub(crate) fn reverted_action(&self, at: ActionIndex) -> Option<&RevertedAction> {
        self.reverted.as_ref()?.action(at)
    }

    /// The action at `at`.
    pub fn action(&self, at: ActionIndex) -> &Action {
        &self.workflow(at).spec.actions[at.action]
    }

    /// The workflow that the action at `at` belongs to.
    pub fn workflow(&self, at: ActionIndex) -> &SnapshotWorkflow {
        &self.snapshot.workflows[self.used(at).workflow]
    }

    /// The use of a workflow that the action at `at` belongs to.
    pub fn used(&self, at: ActionIndex) -> &SnapshotUse {
        &self.snapshot.stages[at.stage].uses[at.workflow]
    }

    /// The parameters of that use whose values are read when they are sent.
    pub(crate) fn sealed_parameters(&self, at: ActionIndex) -> SealedParameters {
        SealedParameters::of(self.used(at), self.workflow(at))
    }

    /// The path of the action at `at`.
    pub fn path(&self, at: ActionIndex) -> ActionPath {
        path_of(&self.snapshot, at)
    }

    /// The identity of the effects of the action at `at`, or in a Revert of those of its undo.
    pub fn identity(&self, at: ActionIndex) -> EffectIdentity {
        let of_action = self.action_identity(at);
        match self.reverted {
            None => of_action,
            Some(_) => of_action.undo(),
        }
    }

    /// The identity of the effects of the action itself.
    pub(crate) fn action_identity(&self, at: ActionIndex) -> EffectIdentity {
        EffectIdentity {
            execution_uid: self.snapshot.execution_uid.clone(),
            path: self.path(at),
        }
    }

    /// Whether the response body of the action at `at` is kept.
    pub fn keeps_body(&self, at: ActionIndex) -> bool {
        self.bodies.contains(&at)
    }

    /// Whether `status` lists the stages, workflows and actions of this run: what else it says is of no use without.
    pub fn fits(&self, status: &DRPlanExecutionStatus) -> bool {
        let stages = &self.snapshot.stages;
        let recorded = &status.stage_statuses;
        recorded.len() == stages.len()
            && stages.iter().zip(recorded).all(|(stage, recorded)| {
                let executions = &recorded.workflow_executions;
                recorded.name == stage.name.as_str()
                    && executions.len() == stage.uses.len()
                    && stage.uses.iter().zip(executions).all(|(used, recorded)| {
                        let workflow = &self.snapshot.workflows[used.workflow];
                        let named = workflow.spec.actions.iter().map(|action| action.name.as_str());
                        recorded.workflow_ref.name == workflow.name
                            && named.eq(recorded.action_statuses.iter().map(|action| action.name.as_str()))
                    })
            })
    }

    /// The status of this run before anything has begun: every step Pending, the clock not started.
    pub fn initial_status(&self) -> DRPlanExecutionStatus {
        let stages = self.snapshot.stages.iter().map(|stage| StageStatus {
            name: stage.name.as_str().to_owned(),
            parallel: stage.parallel,
            depends_on: stage
                .after
                .iter()
                .map(|before| self.snapshot.stages[*before].name.as_str().to_owned())
                .collect(),
            workflow_executions: stage
                .uses
                .iter()
                .map(|used| self.initial_workflow(used))
                .collect(),
            ..StageStatus::default()
        });
        let mut status = DRPlanExecutionStatus {
            format_version: Some(drplan_api::status::FORMAT_VERSION),
            plan: self.snapshot.plan.clone(),
            operation_type: match self.reverted {
                None => "Execute".to_owned(),
                Some(_) => "Revert".to_owned(),
            },
            reverts: self.reverted.as_ref().map(|reverted| Reverts {
                name: reverted.execution.clone(),
                uid: reverted.execution_uid.clone(),
            }),
            service_account_name: self.snapshot.service_account_name.clone(),
            stage_statuses: stages.collect(),
            ..DRPlanExecutionStatus::default()
        };
        share_params(&mut status);
        status
    }

    fn initial_workflow(&self, used: &SnapshotUse) -> WorkflowExecution {
        let workflow = &self.snapshot.workflows[used.workflow];
        let action = |action: &Action| ActionStatus {
            name: action.name.as_str().to_owned(),
            ..ActionStatus::default()
        };
        WorkflowExecution {
            workflow_ref: WorkflowRef {
                name: workflow.name.clone(),
                namespace: workflow.namespace.clone(),
            },
            resolved_params: used
                .values
                .iter()
                .map(|(name, value)| (name.clone(), shown(value)))
                .chain(
                    used.sources
                        .iter()
                        .map(|(name, source)| (name.clone(), source.to_string())),
                )
                .collect(),
            action_statuses: workflow.spec.actions.iter().map(action).collect(),
            ..WorkflowExecution::default()
        }
    }

    /// When a run that began at `start` is over, if the plan bounds it.
    pub fn deadline(&self, start: Time) -> Option<Time> {
        self.snapshot
            .timeout
            .map(|timeout| start.plus_millis(timeout.as_millis()))
    }
}

/// Moves the values that every use agrees on to the plan-wide map; a use keeps what differs.
fn share_params(status: &mut DRPlanExecutionStatus) {
    let mut seen = std::collections::BTreeMap::<String, Option<String>>::new();
    let uses = || {
        status
            .stage_statuses
            .iter()
            .flat_map(|stage| &stage.workflow_executions)
    };
    for (name, value) in uses().flat_map(|used| &used.resolved_params) {
        seen.entry(name.clone())
            .and_modify(|one| {
                if one.as_ref() != Some(value) {
                    *one = None;
                }
            })
            .or_insert_with(|| Some(value.clone()));
    }
    status.resolved_params = seen
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    for used in status
        .stage_statuses
        .iter_mut()
        .flat_map(|stage| &mut stage.workflow_executions)
    {
        used.resolved_params
            .retain(|name, _| !status.resolved_params.contains_key(name));
    }
}

/// The HTTP actions whose response body is kept: they ask for it, or a template of their workflow reads it.
fn kept_bodies(snapshot: &Snapshot, graph: &Graph) -> BTreeSet<ActionIndex> {
    let kept: Vec<Vec<bool>> = snapshot.workflows.iter().map(keeps_bodies).collect();
    let is_kept = |at: &ActionIndex| {
        let used = &snapshot.stages[at.stage].uses[at.workflow];
        kept[used.workflow][at.action]
    };
    graph.actions().filter(is_kept).collect()
}

/// For each action of `workflow` whether its response body is kept.
fn keeps_bodies(workflow: &SnapshotWorkflow) -> Vec<bool> {
    let actions = &workflow.spec.actions;
    let doings = actions
        .iter()
        .flat_map(|action| std::iter::once(&action.doing).chain(&action.rollback));
    let mut read = texts::OutputsRead::default();
    for text in doings.flat_map(texts::texts) {
        read.add(&text, "body");
    }
    let keeps = |action: &Action| match &action.doing.work {
        Work::Http(http) => http.save_body || read.may_be_of(action.name.as_str()),
        Work::Job(_) | Work::Localization(_) | Work::Subscription(_) | Work::KubernetesResource(_) => false,
    };
    actions.iter().map(keeps).collect()
}

/// The status of the action at `at`; none if the record does not have it.
pub fn action_status(status: &DRPlanExecutionStatus, at: ActionIndex) -> Option<&ActionStatus> {
    status
        .stage_statuses
        .get(at.stage)?
        .workflow_executions
        .get(at.workflow)?
        .action_statuses
        .get(at.action)
}

/// The same, to change it.
pub(crate) fn action_status_mut(
    status: &mut DRPlanExecutionStatus,
    at: ActionIndex,
) -> Option<&mut ActionStatus> {
    let stage = status.stage_statuses.get_mut(at.stage)?;
    stage
        .workflow_executions
        .get_mut(at.workflow)?
        .action_statuses
        .get_mut(at.action)
}

/// The places of all actions of `status`, in plan order.
pub fn action_indices(status: &DRPlanExecutionStatus) -> Vec<ActionIndex> {
    let mut indices = Vec::new();
    for (stage, stage_status) in status.stage_statuses.iter().enumerate() {
        for (workflow, execution) in stage_status.workflow_executions.iter().enumerate() {
            let actions = 0..execution.action_statuses.len();
            indices.extend(actions.map(|action| ActionIndex {
                stage,
                workflow,
                action,
            }));
        }
    }
    indices
}
