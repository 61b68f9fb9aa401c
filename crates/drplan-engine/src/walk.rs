//! The pass over the graph: what may begin begins, what cannot is skipped, what runs goes on.

use drplan_api::{
    canonical::PlanFailurePolicy,
    status::{ActionStatus, ExecutionPhase, StepPhase, WorkflowExecution},
};

use crate::{
    action_phase::{ActionEvent, IllegalTransition},
    advance::WaitingOn,
    announce::Level,
    effect::Command,
    fold::Fold,
    graph::{ActionIndex, Needs, Node, Step},
    look::Known,
    phases::{has_begun, has_passed, is_doomed, stage_phase, workflow_phase},
    render::{self, Attempt},
    run::{Run, action_indices, action_status, action_status_mut},
};

/// The message of what a cancellation kept from beginning.
pub(crate) const CANCELLED: &str = "cancelled";
/// The message of a call that is about to begin.
const NO_PLACE: &str = "waits for one of the places under --max-http";
/// The message of what the plan's timeout kept from beginning.
pub(crate) const TIMED_OUT: &str = "the plan's timeout has passed";

/// Whether a step may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Wait,
    Shut(String),
}

impl Fold<'_> {
    /// Every step in graph order, so that what one decides is seen by those behind it.
    pub(crate) fn walk(&mut self) -> Result<(), IllegalTransition> {
        match self.status.phase {
            ExecutionPhase::Running => {}
            ExecutionPhase::Unknown => {
                self.waiting_on.push(WaitingOn::Person);
                return Ok(());
            }
            ExecutionPhase::Pending
            | ExecutionPhase::Succeeded
            | ExecutionPhase::Failed
            | ExecutionPhase::Cancelled => {
                return Ok(());
            }
        }
        if self.is_stopping() {
            self.skip_what_has_not_begun()?;
        } else if let Some(deadline) = self.status.deadline {
            self.wake(deadline);
        }
        let failures = self.failures;
        match self.run {
            Some(run) => self.walk_graph(run)?,
            None => {
                for at in action_indices(&self.status) {
                    self.go_on(None, at)?;
                }
            }
        }
        if self.failures > failures {
            // What failed on the way may keep steps from beginning that were asked before it.
            self.wake(self.now);
        }
        Ok(())
    }

    fn walk_graph(&mut self, run: &Run) -> Result<(), IllegalTransition> {
        let mut gates: Vec<Gate> = Vec::with_capacity(run.graph.nodes.len());
        for node in &run.graph.nodes {
            let parent = node.parent.map_or(&Gate::Open, |parent| &gates[parent]);
            let gate = match parent {
                Gate::Open => self.gate(run, node, &gates),
                Gate::Wait | Gate::Shut(_) => parent.clone(),
            };
            if let Step::Action(at) = node.step {
                self.decide(run, at, &gate)?;
            }
            gates.push(gate);
        }
        Ok(())
    }

    fn skip_what_has_not_begun(&mut self) -> Result<(), IllegalTransition> {
        let reason = match &self.status.cancellation {
            Some(_) => CANCELLED,
            None => TIMED_OUT,
        };
        for at in action_indices(&self.status) {
            if self.is(at, StepPhase::Pending) {
                self.apply(at, ActionEvent::Skipped)?.message = reason.to_owned();
            }
        }
        Ok(())
    }

    /// Whether the step of `node` may begin, its parent's gate being open. `gates` are those of all nodes before it.
    fn gate(&self, run: &Run, node: &Node, gates: &[Gate]) -> Gate {
        if self.is_begun(node.step) {
            return Gate::Open;
        }
        if let Some(failed) = self.failed_beside(run, node.step) {
            return Gate::Shut(failed);
        }
        let mut gate = Gate::Open;
        for (id, needs) in &node.after {
            let before = run.graph.nodes[*id].step;
            let phase = self.phase(before);
            if !phase.is_ended() {
                gate = Gate::Wait;
            } else if phase == StepPhase::Skipped && self.has_passed(before) {
                // What had nothing to undo ended before its turn: its successor waits for all before it.
                match &gates[*id] {
                    Gate::Open => {}
                    Gate::Wait => gate = Gate::Wait,
                    Gate::Shut(cause) => return Gate::Shut(cause.clone()),
                }
            } else if *needs == Needs::Success && !self.has_passed(before) {
                // The first cause, not that its victim was skipped.
                return match &gates[*id] {
                    Gate::Shut(cause) => Gate::Shut(cause.clone()),
                    Gate::Open | Gate::Wait => Gate::Shut(format!("{} failed", self.describe(before))),
                };
            }
        }
        gate
    }

    /// What failed elsewhere and keeps a step from beginning: with plan policy Stop any failure keeps stages, and a
    /// failed workflow keeps those of its stage. A failed action is enough, however long the rest still runs: its
    /// workflow can only end Failed.
    fn failed_beside(&self, run: &Run, step: Step) -> Option<String> {
        let stages = &self.status.stage_statuses;
        match step {
            // A Revert goes no further back than what could be undone.
            Step::Stage(_)
                if run.reverted.is_some() || run.snapshot.failure_policy == PlanFailurePolicy::Stop =>
            {
                let failed = stages
                    .iter()
                    .find(|stage| stage.workflow_executions.iter().any(is_doomed))?;
                Some(format!("stage {} failed", failed.name))
            }
            Step::Workflow(stage, index) => {
                let workflows = &stages.get(stage)?.workflow_executions;
                let failed = workflows
                    .iter()
                    .enumerate()
                    .position(|(other, workflow)| other != index && is_doomed(workflow))?;
                Some(format!(
                    "workflow {}[{failed}] failed",
                    workflows[failed].workflow_ref.name
                ))
            }
            Step::Stage(_) | Step::Action(_) => None,
        }
    }

    fn is_begun(&self, step: Step) -> bool {
        let stages = &self.status.stage_statuses;
        match step {
            Step::Stage(stage) => stages
                .get(stage)
                .is_some_and(|stage| stage.workflow_executions.iter().any(has_begun)),
            Step::Workflow(stage, workflow) => stages
                .get(stage)
                .and_then(|stage| stage.workflow_executions.get(workflow))
                .is_some_and(has_begun),
            Step::Action(_) => false,
        }
    }

    fn phase(&self, step: Step) -> StepPhase {
        let stages = &self.status.stage_statuses;
        let phase = match step {
            Step::Stage(stage) => stages.get(stage).map(stage_phase),
            Step::Workflow(stage, workflow) => stages
                .get(stage)
                .and_then(|stage| stage.workflow_executions.get(workflow))
                .map(workflow_phase),
            Step::Action(at) => action_status(&self.status, at).map(|action| action.phase),
        };
        phase.unwrap_or(StepPhase::Pending)
    }

    /// Whether what waits for the success of `step`, which has ended, may begin.
    fn has_passed(&self, step: Step) -> bool {
        let stages = &self.status.stage_statuses;
        let all = |workflow: &WorkflowExecution| workflow.action_statuses.iter().all(has_passed);
        match step {
            Step::Stage(stage) => stages
                .get(stage)
                .is_some_and(|stage| stage.workflow_executions.iter().all(all)),
            Step::Workflow(stage, workflow) => stages
                .get(stage)
                .and_then(|stage| stage.workflow_executions.get(workflow))
                .is_some_and(all),
            Step::Action(at) => action_status(&self.status, at).is_some_and(has_passed),
        }
    }

    fn describe(&self, step: Step) -> String {
        let stages = &self.status.stage_statuses;
        match step {
            Step::Stage(stage) => format!("stage {}", stages[stage].name),
            Step::Workflow(stage, workflow) => {
                format!(
                    "workflow {}[{workflow}]",
                    stages[stage].workflow_executions[workflow].workflow_ref.name
                )
            }
            Step::Action(at) => match action_status(&self.status, at) {
                Some(action) => format!("action {}", action.name),
                None => "action".to_owned(),
            },
        }
    }

    fn decide(&mut self, run: &Run, at: ActionIndex, gate: &Gate) -> Result<(), IllegalTransition> {
        let Some(phase) = action_status(&self.status, at).map(|action| action.phase) else {
            return Ok(());
        };
        match (phase, gate) {
            (StepPhase::Running, _) => self.go_on(Some(run), at),
            (StepPhase::Pending, Gate::Open) if self.seen.draining => Ok(()),
            (StepPhase::Pending, Gate::Open) => self.start(run, at),
            (StepPhase::Pending, Gate::Shut(reason)) => {
                self.apply(at, ActionEvent::Skipped)?.message = format!("skipped: {reason}");
                Ok(())
            }
            (StepPhase::Pending, Gate::Wait)
            | (StepPhase::Succeeded | StepPhase::Failed | StepPhase::Skipped, _) => Ok(()),
        }
    }

    /// Records the intent of the first attempt and asks for its effect.
    fn start(&mut self, run: &Run, at: ActionIndex) -> Result<(), IllegalTransition> {
        let task = run.task(at);
        let is_call = task.is_call();
        if is_call && self.http_places == 0 {
            self.waiting_on.push(WaitingOn::HttpPlace(run.path(at)));
            if let Some(action) = action_status_mut(&mut self.status, at) {
                action.message = NO_PLACE.to_owned();
            }
            return Ok(());
        }
        let now = self.now;
        let attempt = Attempt {
            number: run.earlier_attempts(at) + 1,
            time: now,
            counts_from: now,
            first_start: now,
        };
        let attempt = match self.know_before(run, at, attempt) {
            Ok(Known::Enough) => attempt,
            Ok(Known::Found(attempt)) => attempt,
            Ok(Known::Asked) => return Ok(()),
            Ok(Known::NothingToUndo(why)) => return self.skip_undo(at, why),
            Ok(Known::Failed(failure)) => {
                self.begin_attempt(at, attempt)?;
                return self.failed_look(at, &failure);
            }
            Err(error) => {
                self.announce_begin(at);
                return self.fail(at, &error.to_string());
            }
        };
        if let (Some(job), Some(action)) = (run.job_in_doubt(at), action_status_mut(&mut self.status, at)) {
            // It keeps its name, so that the API server lets only one of them be.
            action.outputs.job_ref = Some(Box::new(job));
        }
        match render::render(self.facts(run), at, attempt) {
            Err(error) => {
                self.announce_begin(at);
                self.fail(at, &error.to_string())
            }
            Ok(rendered) => {
                let action = self.begin_attempt(at, attempt)?;
                render::record_target(&mut action.outputs, task, rendered.target);
                if self.has_nothing_to_delete(run, at) {
                    return self.end_with_nothing_to_delete(at);
                }
                self.http_places -= usize::from(is_call);
                self.emit(run, at, attempt.number, rendered.command);
                Ok(())
            }
        }
    }

    /// Records the intent of the first attempt and tells of it.
    fn begin_attempt(
        &mut self,
        at: ActionIndex,
        attempt: Attempt,
    ) -> Result<&mut ActionStatus, IllegalTransition> {
        self.announce_begin(at);
        let action = self.apply(at, ActionEvent::Started)?;
        action.start_time = Some(attempt.first_start);
        action.message.clear();
        action.attempts = attempt.number;
        action.attempt_time = Some(attempt.time);
        let told = format!("{} started", self.subject(at));
        self.announce_action(Level::Info, "ActionStarted", told, at);
        let unknown = IllegalTransition {
            phase: StepPhase::Skipped,
            event: ActionEvent::Started,
        };
        action_status_mut(&mut self.status, at).ok_or(unknown)
    }

    /// Asks for an effect and waits for its result.
    pub(crate) fn emit(&mut self, run: &Run, at: ActionIndex, attempt: u32, command: Command) {
        self.waiting_on.push(WaitingOn::Result(run.path(at)));
        self.emit_for(at, attempt, command);
    }
}
