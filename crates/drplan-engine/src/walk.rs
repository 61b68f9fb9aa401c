//! The pass over the graph: what may begin begins, what cannot is skipped, what runs goes on.

use drplan_api::{
    canonical::{OnInterrupted, PlanFailurePolicy, Work},
    status::{ExecutionPhase, StepPhase},
};

use crate::{
    action_phase::{ActionEvent, IllegalTransition},
    advance::{InFlight, WaitingOn},
    announce::Level,
    effect::{ActionEffect, Command, EffectIdentity, JobWait},
    fold::Fold,
    graph::{ActionIndex, Needs, Node, Step},
    phases::{has_begun, is_doomed, stage_phase, workflow_phase},
    render::{self, Attempt},
    run::{Run, action_indices, action_status},
    settle::recorded_path,
};

/// Whether a step may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Wait,
    Shut(String),
}

impl<'a> Fold<'a> {
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
        let Some(run) = self.run else {
            for at in action_indices(&self.status) {
                self.go_on(None, at)?;
            }
            return Ok(());
        };
        let mut gates: Vec<Gate> = Vec::with_capacity(run.graph.nodes.len());
        for node in &run.graph.nodes {
            let parent = node.parent.map_or(Gate::Open, |parent| gates[parent].clone());
            let gate = match parent {
                Gate::Open => self.gate(run, node),
                Gate::Wait | Gate::Shut(_) => parent,
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
            Some(_) => "cancelled",
            None => "the plan's timeout has passed",
        };
        for at in action_indices(&self.status) {
            if action_status(&self.status, at).is_some_and(|action| action.phase == StepPhase::Pending) {
                self.apply(at, ActionEvent::Skipped)?.message = reason.to_owned();
            }
        }
        Ok(())
    }

    /// Whether the step of `node` may begin, its parent's gate being open.
    fn gate(&self, run: &Run, node: &Node) -> Gate {
        if self.is_begun(node.step) {
            return Gate::Open;
        }
        if let Some(failed) = self.failed_beside(run, node.step) {
            return Gate::Shut(failed);
        }
        let mut gate = Gate::Open;
        for (before, needs) in &node.after {
            let before = run.graph.nodes[*before].step;
            let phase = self.phase(before);
            if !phase.is_ended() {
                gate = Gate::Wait;
            } else if *needs == Needs::Success && phase != StepPhase::Succeeded {
                return Gate::Shut(format!("{} is {phase:?}", self.describe(before)));
            }
        }
        gate
    }

    /// What failed elsewhere and keeps a step from beginning: with plan policy Stop any failure keeps stages, and a
    /// failed workflow keeps those of its stage.
    fn failed_beside(&self, run: &Run, step: Step) -> Option<String> {
        let stages = &self.status.stage_statuses;
        match step {
            Step::Stage(_) if run.snapshot.failure_policy == PlanFailurePolicy::Stop => {
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
        let is_call = matches!(run.action(at).doing.work, Work::Http(_));
        if is_call && self.http_places == 0 {
            self.waiting_on.push(WaitingOn::HttpPlace(run.path(at)));
            return Ok(());
        }
        let attempt = Attempt {
            number: 1,
            time: self.now,
            first_start: self.now,
        };
        match render::render(run, &self.status, at, attempt) {
            Err(error) => self.fail(at, &error.to_string()),
            Ok(rendered) => {
                let now = self.now;
                let action = self.apply(at, ActionEvent::Started)?;
                action.start_time = Some(now);
                action.attempts = 1;
                action.attempt_time = Some(now);
                action.outputs.job_ref = rendered.target;
                let name = self.announced_name(at);
                self.announce_action(Level::Info, "ActionStarted", format!("Action {name} started"), at);
                self.http_places -= usize::from(is_call);
                self.emit(run, at, 1, rendered.command);
                Ok(())
            }
        }
    }

    /// A running action whose command is under way is awaited; one whose command is not is given it again, or ended.
    fn go_on(&mut self, run: Option<&Run>, at: ActionIndex) -> Result<(), IllegalTransition> {
        let Some(action) =
            action_status(&self.status, at).filter(|action| action.phase == StepPhase::Running)
        else {
            return Ok(());
        };
        let (attempt, job) = (action.attempts, action.outputs.job_ref.clone());
        let answered = self
            .seen
            .results
            .get(&at)
            .is_some_and(|seen| seen.attempt == attempt);
        let in_flight = self.seen.in_flight.get(&at).copied().filter(|_| !answered);
        let cancelled_now = self
            .status
            .cancellation
            .as_ref()
            .is_some_and(|cancellation| cancellation.now);
        match in_flight {
            Some(InFlight::Call) if cancelled_now => {
                return self.fail_unknown(at, "the call was dropped by cancel=now");
            }
            Some(InFlight::Await) if cancelled_now => {}
            Some(_) => {
                if let Some(run) = run {
                    self.waiting_on.push(WaitingOn::Result(run.path(at)));
                }
                return Ok(());
            }
            None => {}
        }
        if self.seen.draining {
            return Ok(());
        }
        let unsent = self.is_unsent(at, answered);
        if self.is_stopping() && unsent {
            return self.end_unsent(at);
        }
        match (job, run) {
            (Some(job), _) if cancelled_now && (job.uid.is_some() || !unsent) => {
                self.emit_for(at, attempt, Command::StopJob(job));
                Ok(())
            }
            (Some(job), Some(run)) if job.uid.is_some() => self.await_job(run, at, attempt, job),
            (Some(job), None) => {
                self.emit_for(at, attempt, Command::StopJob(job));
                Ok(())
            }
            (Some(job), Some(_)) if self.status.cancellation.is_some() => {
                self.emit_for(at, attempt, Command::FindJob(job));
                Ok(())
            }
            (_, None) => self.fail_unknown(at, "the process that sent it ended before the answer was stored"),
            (_, Some(run)) => self.send_again(run, at, attempt, unsent),
        }
    }

    /// Whether the newest intent has certainly not been acted on.
    fn is_unsent(&self, at: ActionIndex, answered: bool) -> bool {
        // What was answered in this very pass and still runs has just got the intent of its next attempt, or its Job.
        let has_job = action_status(&self.status, at)
            .and_then(|action| action.outputs.job_ref.as_ref())
            .is_some_and(|job| job.uid.is_some());
        !has_job && (self.seen.fresh.contains(&at) || (self.seen.results.contains_key(&at) && !answered))
    }

    /// Ends an action whose newest attempt was not sent and will not be.
    fn end_unsent(&mut self, at: ActionIndex) -> Result<(), IllegalTransition> {
        let Some(action) = action_status(&self.status, at) else {
            return Ok(());
        };
        let message = match action.attempts {
            0 | 1 => "cancelled before it was sent".to_owned(),
            _ => action.message.clone(),
        };
        self.fail(at, &message)
    }

    fn await_job(
        &mut self,
        run: &Run,
        at: ActionIndex,
        attempt: u32,
        job: drplan_api::status::ObjectRef,
    ) -> Result<(), IllegalTransition> {
        let Some(action) = action_status(&self.status, at) else {
            return Ok(());
        };
        let first_start = action.start_time.unwrap_or(self.now);
        let began = action.attempt_time.unwrap_or(first_start);
        let data = crate::data::data(run, &self.status, at, first_start);
        // It rendered when the Job was created, from the same data.
        let timeout = render::timeout(&run.action(at).doing, &data)
            .unwrap_or(render::default_timeout(&run.action(at).doing.work));
        self.waiting_on.push(WaitingOn::Result(run.path(at)));
        self.emit_for(
            at,
            attempt,
            Command::AwaitJob(JobWait {
                job,
                deadline: began.plus_millis(timeout.as_millis()),
            }),
        );
        Ok(())
    }

    /// Sends the newest attempt: a retry whose time has come, or one that a crash cut off.
    fn send_again(
        &mut self,
        run: &Run,
        at: ActionIndex,
        attempt: u32,
        unsent: bool,
    ) -> Result<(), IllegalTransition> {
        let Some(action) = action_status(&self.status, at) else {
            return Ok(());
        };
        let (first_start, time) = (
            action.start_time.unwrap_or(self.now),
            action.attempt_time.unwrap_or(self.now),
        );
        if time > self.now {
            self.waiting_on.push(WaitingOn::Retry(run.path(at), time));
            self.wake(time);
            return Ok(());
        }
        if let Work::Http(http) = &run.action(at).doing.work {
            if !unsent && self.status.cancellation.is_some() {
                return self.fail_unknown(at, "the process that sent it ended before the answer was stored");
            }
            if !unsent && http.on_interrupted == OnInterrupted::Fail {
                return self.fail_unknown(at, "the call was cut off (onInterrupted: Fail)");
            }
            if self.http_places == 0 {
                self.waiting_on.push(WaitingOn::HttpPlace(run.path(at)));
                return Ok(());
            }
            self.http_places -= 1;
        }
        match render::render(
            run,
            &self.status,
            at,
            Attempt {
                number: attempt,
                time,
                first_start,
            },
        ) {
            Err(error) => self.fail(at, &error.to_string()),
            Ok(rendered) => {
                let repeated = match &rendered.command {
                    Command::Call(call) if !unsent => Some(call.method.clone()),
                    Command::Call(_)
                    | Command::CreateJob(_)
                    | Command::AwaitJob(_)
                    | Command::FindJob(_)
                    | Command::StopJob(_) => None,
                };
                if let Some(method) = repeated.filter(|method| method == "POST" || method == "PATCH") {
                    let name = self.announced_name(at);
                    let message =
                        format!("Action {name}: {method} is sent again under the same Idempotency-Key");
                    self.announce_action(Level::Warning, "ActionRepeated", message, at);
                }
                self.emit(run, at, attempt, rendered.command);
                Ok(())
            }
        }
    }

    fn emit(&mut self, run: &Run, at: ActionIndex, attempt: u32, command: Command) {
        self.waiting_on.push(WaitingOn::Result(run.path(at)));
        self.emit_for(at, attempt, command);
    }

    fn emit_for(&mut self, at: ActionIndex, attempt: u32, command: Command) {
        let path = recorded_path(&self.status, at);
        let identity = EffectIdentity {
            execution_uid: self.seen.execution_uid.clone(),
            path,
        };
        self.effects.push((
            at,
            ActionEffect {
                identity,
                attempt,
                command,
            },
        ));
    }

    pub(crate) fn wake(&mut self, at: drplan_api::Time) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}
