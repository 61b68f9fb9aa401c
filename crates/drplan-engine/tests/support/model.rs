//! What becomes of a plan without faults, written down a second time: by evaluating the plan instead of running it.

use std::collections::BTreeMap;

use drplan_api::{
    canonical::Operation,
    status::{DRPlanExecutionStatus, StepPhase},
};
use drplan_engine::effect::FailureKind;

use crate::{
    fates::{Fates, Initially},
    random_plan::{RandomAction, RandomPlan, RandomStage, RandomWorkflow, What, object_key},
    world::{TIMEOUT_SECONDS, World},
};

const TIMEOUT_MILLIS: u64 = TIMEOUT_SECONDS * 1000;

/// The run's phase, and each action's phase, attempts and time of its end in milliseconds.
#[derive(Debug, PartialEq)]
pub(crate) struct Ended {
    phase: String,
    actions: BTreeMap<String, (StepPhase, u32, Option<u64>)>,
}

/// The same, of a record.
pub(crate) fn outcome_of(status: &DRPlanExecutionStatus) -> Ended {
    let uses = status
        .stage_statuses
        .iter()
        .flat_map(|stage| &stage.workflow_executions);
    let start = status.start_time.unwrap();
    let actions = uses.flat_map(|used| &used.action_statuses).map(|action| {
        let end = action.completion_time.map(|end| end.millis_since(start));
        (action.name.clone(), (action.phase, action.attempts, end))
    });
    Ended {
        phase: status.phase.as_str().to_owned(),
        actions: actions.collect(),
    }
}

/// How the run of `plan` must end.
pub(crate) fn expected(plan: &RandomPlan, seed: u64) -> Ended {
    let fates = Fates(seed);
    let is_graph = plan.stages.iter().any(|stage| !stage.depends_on.is_empty());
    let mut actions = BTreeMap::new();
    // When each stage ended; none: it was skipped.
    let mut ends: Vec<Option<Option<u64>>> = vec![None; plan.stages.len()];
    // When the first action failed, anywhere.
    let mut first_failure: Option<u64> = None;
    // The stages in the order of their beginning: what one does cannot change what began before it.
    while let Some((start, index)) = next_stage(plan, is_graph, &ends) {
        // A stage behind one that was skipped has no time to begin.
        let too_late = start.is_none_or(|start| first_failure.is_some_and(|failure| failure <= start));
        let Some(start) = start.filter(|_| !(plan.stop && too_late)) else {
            skip_stage(&plan.stages[index], &mut actions);
            ends[index] = Some(None);
            continue;
        };
        let (end, failure) = stage(&plan.stages[index], start, &fates, &mut actions);
        ends[index] = Some(Some(end));
        first_failure = [first_failure, failure].into_iter().flatten().min();
    }
    let phase = if first_failure.is_some() {
        "Failed"
    } else {
        "Succeeded"
    };
    Ended {
        phase: phase.to_owned(),
        actions,
    }
}

type Actions = BTreeMap<String, (StepPhase, u32, Option<u64>)>;

/// The stage that begins next, and when.
fn next_stage(
    plan: &RandomPlan,
    is_graph: bool,
    ends: &[Option<Option<u64>>],
) -> Option<(Option<u64>, usize)> {
    let ready = (0..plan.stages.len())
        .filter(|index| ends[*index].is_none())
        .filter_map(|index| {
            let before: Vec<usize> = match is_graph {
                true => plan.stages[index].depends_on.clone(),
                false => index.checked_sub(1).into_iter().collect(),
            };
            let ended: Option<Vec<Option<u64>>> = before.iter().map(|before| ends[*before]).collect();
            let times: Option<Vec<u64>> = ended?.into_iter().collect();
            Some((times.map(|times| times.into_iter().max().unwrap_or(0)), index))
        });
    ready.min()
}

fn skip_stage(stage: &RandomStage, actions: &mut Actions) {
    stage
        .workflows
        .iter()
        .for_each(|workflow| skip(&workflow.actions, actions));
}

fn skip(skipped: &[RandomAction], actions: &mut Actions) {
    let record = |action: &RandomAction| (action.name.clone(), (StepPhase::Skipped, 0, None));
    actions.extend(skipped.iter().map(record));
}

/// When the stage ends, and when its first action fails.
fn stage(stage: &RandomStage, start: u64, fates: &Fates, actions: &mut Actions) -> (u64, Option<u64>) {
    let mut end = start;
    let mut first_failure: Option<u64> = None;
    for one in &stage.workflows {
        if !stage.parallel && first_failure.is_some() {
            skip(&one.actions, actions);
            continue;
        }
        let (its_end, failure) = workflow(one, if stage.parallel { start } else { end }, fates, actions);
        end = end.max(its_end);
        first_failure = [first_failure, failure].into_iter().flatten().min();
    }
    (end, first_failure)
}

fn workflow(
    workflow: &RandomWorkflow,
    start: u64,
    fates: &Fates,
    actions: &mut Actions,
) -> (u64, Option<u64>) {
    let mut time = start;
    let mut first_failure = None;
    for (index, one) in workflow.actions.iter().enumerate() {
        let (well, attempts, end) = action(one, time, fates);
        time = end;
        let phase = if well {
            StepPhase::Succeeded
        } else {
            StepPhase::Failed
        };
        actions.insert(one.name.clone(), (phase, attempts, Some(end)));
        if !well {
            first_failure.get_or_insert(end);
            if workflow.fail_fast {
                skip(&workflow.actions[index + 1..], actions);
                break;
            }
        }
    }
    (time, first_failure)
}

/// Whether it succeeds, after how many attempts, and when.
fn action(action: &RandomAction, start: u64, fates: &Fates) -> (bool, u32, u64) {
    let mut time = start;
    // Whether it is known what stood at its object's place.
    let mut known = false;
    // A Job that was made although its creation failed.
    let mut late = None;
    for number in 1.. {
        let (failure, end) = match &action.what {
            What::Job => job_attempt(action, number, time, &mut late, fates),
            What::Call => {
                let fate = fates.call(&action.name, number, 0);
                (fate.failure, time + fate.millis)
            }
            What::Object { .. } => object_attempt(action, number, time, &mut known, fates),
        };
        let Some(failure) = failure else {
            return (true, number, end);
        };
        let again = action.retry.as_ref().filter(|retry| {
            number <= retry.limit
                && match failure {
                    FailureKind::NotConnected
                    | FailureKind::ConnectionLost
                    | FailureKind::Timeout
                    | FailureKind::HttpStatus
                    | FailureKind::ApiUnavailable
                    | FailureKind::ApiConflict
                    | FailureKind::JobFailed => true,
                    FailureKind::JobTimedOut => retry.on_timeout,
                    _ => false,
                }
        });
        let Some(retry) = again else {
            return (false, number, end);
        };
        let wait = retry.interval_seconds * retry.multiplier.pow(number - 1);
        time = end + 1000 * wait.min(retry.max_seconds);
    }
    unreachable!("every action ends")
}

/// The failure of an attempt at a Job, if it is one, and when it ends.
///
/// `late` is the end of a Job that was made although its creation failed: the next attempt finds and adopts it.
fn job_attempt(
    action: &RandomAction,
    number: u32,
    start: u64,
    late: &mut Option<JobEnd>,
    fates: &Fates,
) -> (Option<FailureKind>, u64) {
    let creation = fates.creation(&action.name, number, 0);
    let created = start + creation.millis;
    let made = fates.job(&action.name, number);
    let made = made.map(|fate| (fate.failure, created + fate.millis * 3));
    let end = match (late.take(), creation.failure) {
        (Some(found), _) => found,
        (None, None) => made,
        (None, Some(failure)) => {
            *late = World::arrives_late(fates, failure).then_some(made);
            return (Some(failure), created);
        }
    };
    let deadline = (start + TIMEOUT_MILLIS).max(created);
    match end {
        Some((failure, end)) if end <= deadline => (failure, end.max(created)),
        _ => (Some(FailureKind::JobTimedOut), deadline),
    }
}

/// How a Job ends and when; none: not by itself.
type JobEnd = Option<(Option<FailureKind>, u64)>;

/// The failure of an attempt at an object that nobody else acts on, if it is one, and when it ends.
fn object_attempt(
    action: &RandomAction,
    number: u32,
    start: u64,
    known: &mut bool,
    fates: &Fates,
) -> (Option<FailureKind>, u64) {
    let What::Object {
        operation,
        kind,
        object,
        force,
    } = &action.what
    else {
        unreachable!("{action:?} is about no object")
    };
    let initially = fates.initially(&object_key(*kind, object));
    let was_known = *known;
    let mut sent = start;
    for asked in 0.. {
        if *known {
            break;
        }
        let awaits_gone = matches!(operation, Operation::Create | Operation::Apply);
        let gone = match initially {
            Initially::Deleted(gone) if awaits_gone => gone,
            _ => 0,
        };
        let fate = fates.look(&action.name, number, asked);
        let deadline = TIMEOUT_MILLIS + if number == 1 { sent } else { start };
        let answered = sent + fate.millis;
        let (failure, end) = match fate.failure {
            Some(failure) => (Some(failure), answered),
            None if answered >= gone => (None, answered),
            None if gone <= deadline => (None, gone),
            None => (Some(FailureKind::Timeout), answered.max(deadline)),
        };
        if failure.is_some() {
            return (failure, end);
        }
        // What is older than five seconds is asked again.
        *known = end - sent <= 5_000;
        sent = end;
    }
    let is_there = match initially {
        Initially::Absent => false,
        Initially::Present { .. } => true,
        Initially::Deleted(gone) => sent < gone,
    };
    if *operation == Operation::Delete && !is_there && !was_known {
        // Nothing stood there when it was looked at, so nothing is sent.
        return (None, sent);
    }
    let refusal = match (operation, initially) {
        (Operation::Create, _) if is_there => Some(FailureKind::AlreadyExists),
        (Operation::Apply, Initially::Present { conflicts: true }) if !force => {
            Some(FailureKind::FieldConflict)
        }
        (Operation::Patch, _) if !is_there => Some(FailureKind::Invalid),
        _ => None,
    };
    let (fate, _) = fates.request(&action.name, number, 0);
    (fate.failure.or(refusal), sent + fate.millis)
}
