//! The end of a pass: what follows from the phases of the actions is written beside them.

use drplan_api::{
    ActionPath, GoDuration, Time,
    status::{
        ActionStatus, Condition, DRPlanExecutionStatus, ExecutionPhase, NamedOutputs, StageStatus, StepPhase,
        WorkflowExecution, set_condition,
    },
};

use crate::{
    advance::Step,
    announce::{Announcement, Level},
    fold::Fold,
    graph::ActionIndex,
    phases::{is_doomed, stage_phase, summarise, workflow_phase},
    run::{action_indices, action_status},
    walk::{CANCELLED, TIMED_OUT},
};

/// The message of a group of a Revert in which nothing was owed.
const NOTHING_TO_UNDO: &str = "nothing to undo";
/// Actions of a plan of one workflow up to which the flat lists of the user guide are written: twice the record.
const FLAT_ACTIONS_MAX: usize = 50;

impl Fold<'_> {
    /// Derives phases, times, counts, message and conditions, and says what to do next.
    pub(crate) fn settle(mut self) -> Step {
        self.settle_stages();
        self.settle_run();
        derive(&mut self.status, self.now);
        if self.status.phase.is_terminal() {
            self.wake_at = None;
        }
        self.into_step()
    }

    /// What is decided, as it is.
    pub(crate) fn into_step(self) -> Step {
        Step {
            ends: self.status.phase.is_terminal() && !self.before.phase.is_terminal(),
            happened: self.happened,
            status: self.status,
            to_keep: self.to_keep,
            inquiries: self.inquiries,
            effects: self.effects,
            announcements: self.announcements,
            waiting_on: self.waiting_on,
            wake_at: self.wake_at,
        }
    }

    /// Derives the phases of workflows and stages, and tells of those that changed.
    pub(crate) fn settle_stages(&mut self) {
        let mut stages = std::mem::take(&mut self.status.stage_statuses);
        for stage in &mut stages {
            for (position, workflow) in stage.workflow_executions.iter_mut().enumerate() {
                let phase = workflow_phase(workflow);
                if phase != workflow.phase {
                    let name = format!("{}/{}[{position}]", stage.name, workflow.workflow_ref.name);
                    self.announce_group("Workflow", &name, phase, false);
                }
                settle_workflow(workflow, phase);
            }
            let phase = stage_phase(stage);
            if phase != stage.phase {
                self.announce_group("Stage", &stage.name, phase, true);
            }
            settle_stage(stage, phase);
        }
        self.status.stage_statuses = stages;
    }

    /// Tells that the stage and the workflow of the action at `at` begin, if it is their first.
    pub(crate) fn announce_begin(&mut self, at: ActionIndex) {
        let Some(stage) = self.status.stage_statuses.get_mut(at.stage) else {
            return;
        };
        let was = (
            std::mem::replace(&mut stage.phase, StepPhase::Running),
            stage
                .workflow_executions
                .get_mut(at.workflow)
                .map(|workflow| std::mem::replace(&mut workflow.phase, StepPhase::Running)),
        );
        let path = recorded_path(&self.status, at);
        let mut parts = path.as_str().split('/');
        let (stage, workflow) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if was.0 == StepPhase::Pending {
            self.announce_group("Stage", stage, StepPhase::Running, true);
        }
        if was.1 == Some(StepPhase::Pending) {
            self.announce_group(
                "Workflow",
                &format!("{stage}/{workflow}"),
                StepPhase::Running,
                false,
            );
        }
    }

    fn announce_group(&mut self, what: &str, name: &str, phase: StepPhase, event: bool) {
        let (level, reason, verb) = match (phase, what) {
            (StepPhase::Pending, _) => return,
            (StepPhase::Running, "Stage") => (Level::Info, "StageStarted", "started"),
            (StepPhase::Succeeded, "Stage") => (Level::Info, "StageSucceeded", "succeeded"),
            (StepPhase::Failed, "Stage") => (Level::Warning, "StageFailed", "failed"),
            (StepPhase::Skipped, "Stage") => (Level::Info, "StageSkipped", "skipped"),
            (StepPhase::Running, _) => (Level::Info, "WorkflowStarted", "started"),
            (StepPhase::Succeeded, _) => (Level::Info, "WorkflowSucceeded", "succeeded"),
            (StepPhase::Failed, _) => (Level::Warning, "WorkflowFailed", "failed"),
            (StepPhase::Skipped, _) => (Level::Info, "WorkflowSkipped", "skipped"),
        };
        let announcement = Announcement::new(level, reason, format!("{what} {name} {verb}"));
        self.announcements.push(if event {
            announcement
        } else {
            announcement.log_only()
        });
    }

    /// The phase of the run, once every action has ended.
    fn settle_run(&mut self) {
        if self.status.phase != ExecutionPhase::Running {
            return;
        }
        let summary = summarise(&self.status);
        if summary.pending_actions + summary.running_actions > 0 {
            let running = self.first(StepPhase::Running);
            self.status.message = match (&self.status.cancellation, running) {
                (Some(_), Some(at)) => format!("cancelling: waiting for {}", self.path_text(at)),
                (Some(_), None) | (None, _) => String::new(),
            };
            return;
        }
        self.end(&summary);
    }

    /// The first action of that phase, in plan order.
    pub(crate) fn first(&self, phase: StepPhase) -> Option<ActionIndex> {
        action_indices(&self.status)
            .into_iter()
            .find(|at| self.is(*at, phase))
    }

    pub(crate) fn is(&self, at: ActionIndex, phase: StepPhase) -> bool {
        action_status(&self.status, at).is_some_and(|action| action.phase == phase)
    }
}

/// Writes what follows from the rest of `status`: progress, counts, duration, conditions, the flat lists.
pub fn derive(status: &mut DRPlanExecutionStatus, now: Time) {
    let summary = summarise(status);
    let ended = summary.completed_actions + summary.failed_actions + summary.skipped_actions;
    status.progress = if summary.total_actions > 0 {
        format!("{ended}/{}", summary.total_actions)
    } else {
        String::new()
    };
    status.summary = (summary.total_actions > 0).then_some(summary);
    status.duration = span(status.start_time, status.completion_time);
    let mut conditions: Vec<Condition> = std::mem::take(&mut status.conditions);
    let phase = status.phase.as_str();
    if let Some(cancellation) = &status.cancellation {
        set_condition(
            &mut conditions,
            "Cancelling",
            !status.phase.is_terminal(),
            "CancelRequested",
            &cancellation.reason,
            now,
        );
    }
    if status.phase.is_terminal() {
        set_condition(&mut conditions, "Complete", true, phase, "", now);
        set_condition(
            &mut conditions,
            "Succeeded",
            status.phase == ExecutionPhase::Succeeded,
            phase,
            "",
            now,
        );
    }
    status.conditions = conditions;
    flatten(status);
}

/// Fills the lists of the single workflow's actions: while it runs names and phases of what has begun, since each write
/// carries them beside the full record, and all of it at the end; of what failed all of it at once.
fn flatten(status: &mut DRPlanExecutionStatus) {
    let actions: &[ActionStatus] = match status.stage_statuses.as_slice() {
        [stage] => match stage.workflow_executions.as_slice() {
            [workflow] if workflow.action_statuses.len() <= FLAT_ACTIONS_MAX => &workflow.action_statuses,
            _ => &[],
        },
        _ => &[],
    };
    let has_ended = status.phase.is_terminal();
    let short = |action: &ActionStatus| match has_ended || action.phase == StepPhase::Failed {
        true => ActionStatus {
            outputs: Default::default(),
            ..action.clone()
        },
        false => ActionStatus {
            name: action.name.clone(),
            phase: action.phase,
            ..ActionStatus::default()
        },
    };
    let shown = actions
        .iter()
        .filter(|action| has_ended || action.phase != StepPhase::Pending);
    status.action_statuses = shown.map(short).collect();
    let with_outputs = actions
        .iter()
        .filter(|action| has_ended && !action.outputs.is_empty());
    status.outputs = with_outputs
        .map(|action| NamedOutputs {
            action_name: action.name.clone(),
            outputs: action.outputs.clone(),
        })
        .collect();
}

fn settle_workflow(workflow: &mut WorkflowExecution, phase: StepPhase) {
    let actions = &workflow.action_statuses;
    let completed = actions
        .iter()
        .filter(|action| action.phase == StepPhase::Succeeded)
        .count();
    workflow.progress = format!("{completed}/{} actions completed", actions.len());
    workflow.current_action = actions
        .iter()
        .find(|action| action.phase == StepPhase::Running)
        .map(|action| action.name.clone());
    workflow.start_time = actions.iter().filter_map(|action| action.start_time).min();
    workflow.completion_time = phase
        .is_ended()
        .then(|| actions.iter().filter_map(|action| action.completion_time).max())
        .flatten();
    workflow.duration = span(workflow.start_time, workflow.completion_time);
    let failed = actions
        .iter()
        .filter(|action| action.phase == StepPhase::Failed)
        .count();
    let skipped = why_skipped(actions.iter());
    workflow.message = match phase {
        StepPhase::Failed => cut_short(skipped, failed, actions.len(), "actions"),
        StepPhase::Skipped => skipped.to_owned(),
        StepPhase::Pending | StepPhase::Running | StepPhase::Succeeded => String::new(),
    };
    workflow.phase = phase;
}

fn settle_stage(stage: &mut StageStatus, phase: StepPhase) {
    let workflows = &stage.workflow_executions;
    stage.start_time = workflows.iter().filter_map(|workflow| workflow.start_time).min();
    stage.completion_time = phase
        .is_ended()
        .then(|| {
            workflows
                .iter()
                .filter_map(|workflow| workflow.completion_time)
                .max()
        })
        .flatten();
    stage.duration = span(stage.start_time, stage.completion_time);
    let failed = workflows.iter().filter(|workflow| is_doomed(workflow)).count();
    let skipped = why_skipped(workflows.iter().flat_map(|workflow| &workflow.action_statuses));
    stage.message = match phase {
        StepPhase::Failed => cut_short(skipped, failed, workflows.len(), "workflows"),
        StepPhase::Skipped => skipped.to_owned(),
        StepPhase::Pending | StepPhase::Running | StepPhase::Succeeded => String::new(),
    };
    stage.phase = phase;
}

/// The message of the first action that did not begin; where all of these had nothing to undo, that.
fn why_skipped<'a>(mut actions: impl Iterator<Item = &'a ActionStatus>) -> &'a str {
    let skipped = actions.find(|action| action.phase == StepPhase::Skipped && !action.nothing_to_undo);
    skipped.map_or(NOTHING_TO_UNDO, |action| action.message.as_str())
}

/// Why a group failed: `failed` of its `total` members did, or it was cut short, or both. `skipped` is the message of
/// its first action that did not begin.
fn cut_short(skipped: &str, failed: usize, total: usize, members: &str) -> String {
    let counted = format!("{failed} of {total} {members} failed");
    match (failed, skipped) {
        (0, _) => skipped.to_owned(),
        (_, CANCELLED | TIMED_OUT) => format!("{skipped}; {counted}"),
        (_, _) => counted,
    }
}

fn span(start: Option<Time>, end: Option<Time>) -> Option<String> {
    Some(GoDuration::from_millis(end?.millis_since(start?)).to_string())
}

/// The path of the action at `at`, from the record alone.
pub(crate) fn recorded_path(status: &DRPlanExecutionStatus, at: ActionIndex) -> ActionPath {
    let stage = status.stage_statuses.get(at.stage);
    let workflow = stage.and_then(|stage| stage.workflow_executions.get(at.workflow));
    let action = workflow.and_then(|workflow| workflow.action_statuses.get(at.action));
    ActionPath::recorded(
        stage.map_or("", |stage| stage.name.as_str()),
        workflow.map_or("", |workflow| workflow.workflow_ref.name.as_str()),
        at.workflow,
        action.map_or("", |action| action.name.as_str()),
    )
}

/// The same as text.
pub(crate) fn path_text(status: &DRPlanExecutionStatus, at: ActionIndex) -> String {
    recorded_path(status, at).as_str().to_owned()
}
