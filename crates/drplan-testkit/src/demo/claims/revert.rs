//! The claims about a Revert.

use std::collections::BTreeMap;

use drplan_api::status::{ActionStatus, ExecutionPhase, StepPhase};
use drplan_api::{DRPlanExecutionStatus, Time};

use jiff::Timestamp;

use super::Claim;
use crate::demo::follow::actions;
use crate::demo::objects::{Asked, Made, counted, object_of};
use crate::demo::services::key;
use crate::stand_in::{Outcome, Recorded};

/// What was found at the end of the Revert.
#[derive(Debug, Clone)]
pub(in crate::demo) struct Evidence {
    /// The UID of the run.
    pub(in crate::demo) run_uid: String,
    /// The run's record.
    pub(in crate::demo) run: DRPlanExecutionStatus,
    /// The Revert's name.
    pub(in crate::demo) revert_name: String,
    /// Its record.
    pub(in crate::demo) revert: DRPlanExecutionStatus,
    /// The services' journals since the Revert was created.
    pub(in crate::demo) calls: Vec<Recorded>,
    /// The objects that the run had made.
    pub(in crate::demo) made: Vec<Made>,
    /// What was asked of the API server as the plan's ServiceAccount since then, from the audit log.
    pub(in crate::demo) asked: Vec<Asked>,
    /// Those of the objects that are left.
    pub(in crate::demo) left: Vec<Made>,
}

/// Judges everything that the demo claims about the Revert.
pub(in crate::demo) fn claims(evidence: &Evidence) -> Vec<Claim> {
    vec![
        succeeded(evidence),
        skipped_says_why(evidence),
        calls_arrived_once(evidence),
        objects_are_gone(evidence),
        seen_in_reverse(evidence),
        recorded_in_reverse(evidence),
        run_says_so(evidence),
    ]
}

fn succeeded(evidence: &Evidence) -> Claim {
    let in_run = actions(&evidence.run).len();
    let actions = actions(&evidence.revert);
    let undone = undone(evidence).len();
    let nothing = actions.values().filter(|action| action.nothing_to_undo).count();
    let holds = evidence.revert.phase == ExecutionPhase::Succeeded
        && undone > 0
        && undone + nothing == actions.len()
        && actions.len() == in_run;
    let text = format!("the Revert Succeeded: {undone} actions undone, {nothing} had nothing to undo");
    Claim::new(text, holds, (evidence.revert.phase, &evidence.revert.message))
}

fn skipped_says_why(evidence: &Evidence) -> Claim {
    let silent: Vec<String> = actions(&evidence.revert)
        .into_iter()
        .filter(|(_, action)| action.phase == StepPhase::Skipped && action.message.is_empty())
        .map(|(path, _)| path)
        .collect();
    Claim::new("each action that was skipped says why", silent.is_empty(), silent)
}

fn calls_arrived_once(evidence: &Evidence) -> Claim {
    let run = actions(&evidence.run);
    let expected: BTreeMap<String, usize> = undone(evidence)
        .into_keys()
        .filter(|path| run.get(path).is_none_or(|action| object_of(action).is_none()))
        .map(|path| (format!("{}/{path}/undo", evidence.run_uid), 1))
        .collect();
    let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
    for call in &evidence.calls {
        *arrived.entry(key(call).to_owned()).or_default() += 1;
    }
    let answered = evidence
        .calls
        .iter()
        .all(|call| call.outcome == Outcome::Answered && !call.is_repeat);
    let text = format!(
        "each of the {} calls that undo a call arrived once, under its own key",
        expected.len()
    );
    let holds = answered && arrived == expected && !expected.is_empty();
    Claim::new(text, holds, arrived)
}

fn objects_are_gone(evidence: &Evidence) -> Claim {
    let mut deleted: Vec<&[String; 3]> = deletions(evidence).map(|asked| &asked.id).collect();
    deleted.sort();
    let mut expected: Vec<&[String; 3]> = evidence.made.iter().map(|object| &object.id).collect();
    expected.sort();
    let text = format!(
        "each of the {} objects was deleted once, and is gone: {}",
        expected.len(),
        counted(&evidence.made)
    );
    let holds = !expected.is_empty() && deleted == expected && evidence.left.is_empty();
    Claim::new(text, holds, (&deleted, &evidence.left))
}

/// Judged by the services' journals and the API server's audit log.
fn seen_in_reverse(evidence: &Evidence) -> Claim {
    let mut seen: BTreeMap<String, Timestamp> = BTreeMap::new();
    for call in &evidence.calls {
        let of_run = key(call).strip_prefix(&evidence.run_uid);
        if let Some(path) = of_run.and_then(|key| key.strip_prefix('/')?.strip_suffix("/undo")) {
            seen.insert(path.to_owned(), call.arrived);
        }
    }
    for asked in deletions(evidence) {
        let object = evidence.made.iter().find(|object| object.id == asked.id);
        if let Some(object) = object {
            seen.insert(object.path.clone(), asked.arrived);
        }
    }
    let expected = undone(evidence).len();
    let (pairs, wrong) = compare(evidence, &seen, |undo_of_later, undo_of_earlier| {
        undo_of_later < undo_of_earlier
    });
    Claim::new(
        format!("seen from outside, of two actions in order the later one was undone first: {pairs} pairs"),
        wrong.is_empty() && pairs > 0 && seen.len() == expected,
        wrong,
    )
}

/// Judged by the times in the record.
fn recorded_in_reverse(evidence: &Evidence) -> Claim {
    let (pairs, wrong) = compare(evidence, &undone(evidence), is_before);
    Claim::new(
        "by the record, each undo began when all that follows its action was undone",
        wrong.is_empty() && pairs > 0,
        wrong,
    )
}

/// Compares what is known of the undos of any two actions of which one follows the other in the plan. Returns how many
/// pairs there are, and those that are not in reverse.
fn compare<T>(
    evidence: &Evidence,
    undos: &BTreeMap<String, T>,
    is_in_reverse: impl Fn(&T, &T) -> bool,
) -> (usize, Vec<(String, String)>) {
    let places = places(&evidence.run);
    let (mut pairs, mut wrong) = (0, Vec::new());
    for (earlier, undo_of_earlier) in undos {
        for (later, undo_of_later) in undos {
            let follows = places
                .get(earlier)
                .zip(places.get(later))
                .is_some_and(|(a, b)| a.precedes(b));
            if follows {
                pairs += 1;
                if !is_in_reverse(undo_of_later, undo_of_earlier) {
                    wrong.push((earlier.clone(), later.clone()));
                }
            }
        }
    }
    (pairs, wrong)
}

/// The deletions of single objects that the API server accepted.
fn deletions(evidence: &Evidence) -> impl Iterator<Item = &Asked> {
    evidence
        .asked
        .iter()
        .filter(|asked| asked.verb == "delete" && asked.code == 200)
}

fn run_says_so(evidence: &Evidence) -> Claim {
    let record = evidence.run.undone.clone().unwrap_or_default();
    let done = record.actions.iter().filter(|action| action.done);
    let by_it = done.filter(|action| action.by == evidence.revert_name).count();
    Claim::new(
        "the record of the run says that it is wholly undone, and by which Revert",
        record.wholly && by_it == undone(evidence).len(),
        record,
    )
}

/// The actions that the Revert undid, by their paths.
fn undone(evidence: &Evidence) -> BTreeMap<String, ActionStatus> {
    let mut actions = actions(&evidence.revert);
    actions.retain(|_, action| action.phase == StepPhase::Succeeded);
    actions
}

/// Where an action stands in the plan, whose stages run one after another.
#[derive(Debug, Clone, Copy)]
struct Place {
    stage: usize,
    /// Whether the stage's workflows run together.
    together: bool,
    workflow: usize,
    action: usize,
}

impl Place {
    /// Whether what stands at `other` begins only after this has ended.
    fn precedes(self, other: &Self) -> bool {
        if self.stage != other.stage {
            return self.stage < other.stage;
        }
        if self.workflow != other.workflow {
            return !self.together && self.workflow < other.workflow;
        }
        self.action < other.action
    }
}

/// The places of all actions, by their paths.
fn places(run: &DRPlanExecutionStatus) -> BTreeMap<String, Place> {
    let mut places = BTreeMap::new();
    for (stage, of_stage) in run.stage_statuses.iter().enumerate() {
        for (workflow, used) in of_stage.workflow_executions.iter().enumerate() {
            for (action, recorded) in used.action_statuses.iter().enumerate() {
                let path = format!(
                    "{}/{}[{workflow}]/{}",
                    of_stage.name, used.workflow_ref.name, recorded.name
                );
                let place = Place {
                    stage,
                    together: of_stage.parallel,
                    workflow,
                    action,
                };
                places.insert(path, place);
            }
        }
    }
    places
}

/// Whether `one` had ended when `other` began.
fn is_before(one: &ActionStatus, other: &ActionStatus) -> bool {
    let times: Option<(Time, Time)> = one.completion_time.zip(other.start_time);
    times.is_some_and(|(end, begin)| end <= begin)
}

#[cfg(test)]
mod tests {
    use drplan_api::status::{Outputs, StageStatus, Undone, UndoneAction, WorkflowExecution};
    use jiff::Timestamp;

    use super::*;

    fn action(name: &str, phase: StepPhase, seconds: (i64, i64), job: bool) -> ActionStatus {
        let time = |second| Timestamp::from_second(second).ok().map(Time::new);
        ActionStatus {
            name: name.into(),
            phase,
            start_time: time(seconds.0),
            completion_time: time(seconds.1),
            nothing_to_undo: phase == StepPhase::Skipped,
            message: "because".into(),
            outputs: Outputs {
                job_ref: job.then(Box::default),
                ..Outputs::default()
            },
            ..ActionStatus::default()
        }
    }

    fn status(actions: Vec<ActionStatus>) -> DRPlanExecutionStatus {
        let workflow = WorkflowExecution {
            action_statuses: actions,
            ..WorkflowExecution::default()
        };
        DRPlanExecutionStatus {
            phase: ExecutionPhase::Succeeded,
            stage_statuses: vec![StageStatus {
                name: "s".into(),
                workflow_executions: vec![workflow],
                ..StageStatus::default()
            }],
            ..DRPlanExecutionStatus::default()
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn call(action: &str, second: i64) -> Recorded {
        Recorded {
            arrived: at(second),
            method: "POST".into(),
            path: format!("/{action}"),
            query: String::new(),
            headers: vec![("idempotency-key".into(), format!("u/s/[0]/{action}/undo"))],
            body: Vec::new(),
            is_repeat: false,
            outcome: Outcome::Answered,
        }
    }

    fn deleted(name: &str, second: i64) -> Asked {
        Asked {
            verb: "delete".into(),
            id: ["jobs".into(), "production".into(), name.into()],
            code: 200,
            arrived: at(second),
        }
    }

    fn all_is_well() -> Evidence {
        use StepPhase::{Skipped, Succeeded};
        let mut run = status(vec![
            action("a", Succeeded, (0, 1), false),
            action("b", Succeeded, (1, 2), false),
            action("work", Succeeded, (2, 3), true),
            action("told", Succeeded, (3, 4), false),
        ]);
        let undone = |path: &str| UndoneAction {
            path: path.into(),
            done: true,
            by: "back".into(),
            ..UndoneAction::default()
        };
        run.undone = Some(Undone {
            wholly: true,
            actions: vec![undone("s/[0]/a"), undone("s/[0]/b"), undone("s/[0]/work")],
        });
        Evidence {
            run_uid: "u".into(),
            run,
            revert_name: "back".into(),
            revert: status(vec![
                action("a", Succeeded, (12, 13), false),
                action("b", Succeeded, (11, 12), false),
                action("work", Succeeded, (10, 11), false),
                action("told", Skipped, (10, 10), false),
            ]),
            calls: vec![call("b", 11), call("a", 12)],
            made: vec![Made {
                id: deleted("job", 10).id,
                uid: "1".into(),
                path: "s/[0]/work".into(),
            }],
            asked: vec![deleted("job", 10)],
            left: Vec::new(),
        }
    }

    fn untrue(evidence: &Evidence) -> Vec<String> {
        let untrue = claims(evidence)
            .into_iter()
            .filter(|claim| claim.instead.is_some());
        untrue.map(|claim| claim.text).collect()
    }

    /// Spoils the evidence and expects that this claim alone is untrue.
    fn check(spoil: impl FnOnce(&mut Evidence), text: &str) {
        let mut evidence = all_is_well();
        spoil(&mut evidence);
        let untrue = untrue(&evidence);
        assert!(
            matches!(&untrue[..], [claim] if claim.contains(text)),
            "{untrue:?}"
        );
    }

    #[test]
    fn what_is_true_is_claimed() {
        assert_eq!(untrue(&all_is_well()), Vec::<String>::new());
    }

    #[test]
    fn each_claim_is_given_up_when_it_is_not_true() {
        let first =
            |e: &mut Evidence| e.revert.stage_statuses[0].workflow_executions[0].action_statuses[0].clone();
        check(
            |e| e.revert.phase = ExecutionPhase::Failed,
            "the Revert Succeeded",
        );
        let silent = |e: &mut Evidence| {
            e.revert.stage_statuses[0].workflow_executions[0].action_statuses[3]
                .message
                .clear();
        };
        check(silent, "says why");
        check(|e| e.calls.push(call("a", 12)), "arrived once");
        check(|e| e.calls[1].outcome = Outcome::ClientGone, "arrived once");
        check(|e| e.calls[1].is_repeat = true, "arrived once");
        let missing = |e: &mut Evidence| drop(e.calls.remove(0));
        let mut evidence = all_is_well();
        missing(&mut evidence);
        assert_eq!(untrue(&evidence).len(), 2);
        check(|e| e.calls[1].arrived = at(9), "seen from outside");
        check(|e| e.asked[0].arrived = at(13), "seen from outside");
        let early = |e: &mut Evidence| {
            let begun = ActionStatus {
                start_time: Timestamp::from_second(11).ok().map(Time::new),
                ..first(e)
            };
            e.revert.stage_statuses[0].workflow_executions[0].action_statuses[0] = begun;
        };
        check(early, "each undo began when");
        check(|e| e.left = e.made.clone(), "deleted once");
        check(|e| e.asked.push(deleted("job", 10)), "deleted once");
        check(|e| e.run.undone = None, "wholly undone");
    }
}
