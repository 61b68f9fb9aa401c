//! What the demo says about a Revert, each with the evidence that it is true.

use std::collections::BTreeMap;

use drplan_api::status::{ActionStatus, ExecutionPhase, StepPhase};
use drplan_api::{DRPlanExecutionStatus, Time};

use crate::demo::claims::{Claim, key};
use crate::demo::follow::actions;
use crate::stand_in::{Outcome, Recorded};

/// What was found at the end of the Revert.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// The UID of the run.
    pub(super) run_uid: String,
    /// The run's record.
    pub(super) run: DRPlanExecutionStatus,
    /// The Revert's name.
    pub(super) revert_name: String,
    /// Its record.
    pub(super) revert: DRPlanExecutionStatus,
    /// The site's journal since the Revert was created.
    pub(super) journal: Vec<Recorded>,
    /// How many Jobs there were.
    pub(super) jobs_before: usize,
    /// How many deletions of Jobs the API server accepted, from its audit log.
    pub(super) jobs_deleted: usize,
    /// How many Jobs there are.
    pub(super) jobs_left: usize,
}

/// Judges everything that the demo claims about the Revert.
pub(super) fn claims(evidence: &Evidence) -> Vec<Claim> {
    vec![
        succeeded(evidence),
        calls_arrived_once(evidence),
        calls_in_reverse(evidence),
        all_in_reverse(evidence),
        jobs_are_gone(evidence),
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

fn calls_arrived_once(evidence: &Evidence) -> Claim {
    let run = actions(&evidence.run);
    let expected: BTreeMap<String, usize> = undone(evidence)
        .into_keys()
        .filter(|path| {
            run.get(path)
                .is_none_or(|action| action.outputs.job_ref.is_none())
        })
        .map(|path| (format!("{}/{path}/undo", evidence.run_uid), 1))
        .collect();
    let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
    for call in &evidence.journal {
        *arrived.entry(key(call).to_owned()).or_default() += 1;
    }
    let answered = evidence
        .journal
        .iter()
        .all(|call| call.outcome == Outcome::Answered);
    let text = format!(
        "each of the {} calls that undo a call arrived once, under its own key",
        expected.len()
    );
    let holds = answered && arrived == expected && !expected.is_empty();
    Claim::new(text, holds, arrived)
}

fn calls_in_reverse(evidence: &Evidence) -> Claim {
    let places = places(&evidence.run);
    let of = |call: &Recorded| {
        let path = key(call).strip_prefix(&evidence.run_uid)?.strip_suffix("/undo")?;
        places.get(path.trim_start_matches('/'))
    };
    let mut wrong = Vec::new();
    for (position, earlier) in evidence.journal.iter().enumerate() {
        for later in &evidence.journal[position + 1..] {
            let in_order = of(earlier)
                .zip(of(later))
                .is_some_and(|(earlier, later)| !earlier.precedes(later));
            if !in_order {
                wrong.push((earlier.path.clone(), later.path.clone()));
            }
        }
    }
    Claim::new(
        "the site was asked in reverse: what it did last was undone first",
        wrong.is_empty() && !evidence.journal.is_empty(),
        wrong,
    )
}

fn all_in_reverse(evidence: &Evidence) -> Claim {
    let places = places(&evidence.run);
    let undone = undone(evidence);
    let mut wrong = Vec::new();
    let mut pairs = 0;
    for (first, undo_of_first) in &undone {
        for (second, undo_of_second) in &undone {
            let follows = places
                .get(first)
                .zip(places.get(second))
                .is_some_and(|(a, b)| a.precedes(b));
            if follows {
                pairs += 1;
                if !is_before(undo_of_second, undo_of_first) {
                    wrong.push((first, second));
                }
            }
        }
    }
    Claim::new(
        "no undo began before everything that follows its action in the plan was undone, Jobs too",
        wrong.is_empty() && pairs > 0,
        wrong,
    )
}

fn jobs_are_gone(evidence: &Evidence) -> Claim {
    let (before, deleted, left) = (evidence.jobs_before, evidence.jobs_deleted, evidence.jobs_left);
    let text = format!("each of the {before} Jobs was deleted once, and is gone");
    Claim::new(
        text,
        before > 0 && deleted == before && left == 0,
        (before, deleted, left),
    )
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

    fn call(action: &str) -> Recorded {
        Recorded {
            arrived: Timestamp::UNIX_EPOCH,
            method: "POST".into(),
            path: format!("/{action}"),
            query: String::new(),
            headers: vec![("idempotency-key".into(), format!("u/s/[0]/{action}/undo"))],
            body: Vec::new(),
            outcome: Outcome::Answered,
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
            journal: vec![call("b"), call("a")],
            jobs_before: 1,
            jobs_deleted: 1,
            jobs_left: 0,
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
        check(|e| drop(e.journal.remove(0)), "arrived once");
        check(|e| e.journal.push(call("a")), "arrived once");
        check(|e| e.journal[1].outcome = Outcome::ClientGone, "arrived once");
        check(|e| e.journal.reverse(), "in reverse");
        let early = |e: &mut Evidence| {
            let begun = ActionStatus {
                start_time: Timestamp::from_second(11).ok().map(Time::new),
                ..first(e)
            };
            e.revert.stage_statuses[0].workflow_executions[0].action_statuses[0] = begun;
        };
        check(early, "no undo began before");
        check(|e| e.jobs_left = 1, "Jobs was deleted once");
        check(|e| e.jobs_deleted = 2, "Jobs was deleted once");
        check(|e| e.run.undone = None, "wholly undone");
    }
}
