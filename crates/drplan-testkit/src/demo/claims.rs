//! What the demo says about a run, each with the evidence that it is true.

use std::collections::{BTreeMap, BTreeSet};

use drplan_api::DRPlanExecutionStatus;
use drplan_api::status::{ActionStatus, ExecutionPhase, StepPhase};

use super::follow::actions;
use super::screen::{Ink, Screen};
use crate::stand_in::{Outcome, Recorded};

/// What was found at the end, from whoever saw it: the cluster's records, the site's journal, the audit log.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// The execution's record when the operator was dead.
    pub(super) at_kill: DRPlanExecutionStatus,
    /// Its record at the end.
    pub(super) end: DRPlanExecutionStatus,
    /// The site's journal: every call that arrived.
    pub(super) journal: Vec<Recorded>,
    /// The path of the call that was in flight at the kill.
    pub(super) call_in_flight: String,
    /// The action whose Job ended while no operator ran.
    pub(super) unattended: String,
    /// How many Jobs were created in the namespace, from the API server's audit log.
    pub(super) jobs_created: usize,
    /// The UIDs of the Jobs there are.
    pub(super) jobs: BTreeSet<String>,
    /// The messages of events `ActionRepeated` about the execution.
    pub(super) told_repeated: Vec<String>,
}

/// A sentence, and whether it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) text: String,
    /// What was seen instead, if it is not true.
    pub(super) instead: Option<String>,
}

impl Claim {
    pub(super) fn new(text: impl Into<String>, holds: bool, seen: impl std::fmt::Debug) -> Self {
        Self {
            text: text.into(),
            instead: (!holds).then(|| format!("{seen:?}")),
        }
    }
}

/// Prints `claims` and returns whether all of them are true.
pub(super) fn show(screen: &Screen, claims: &[Claim]) -> bool {
    for claim in claims {
        match &claim.instead {
            None => screen.line(format!("  {}  {}", screen.ink(Ink::Green, "true "), claim.text)),
            Some(seen) => {
                screen.line(format!("  {}  {}", screen.ink(Ink::Red, "FALSE"), claim.text));
                screen.line(format!("         seen: {seen}"));
            }
        }
    }
    claims.iter().all(|claim| claim.instead.is_none())
}

/// Judges everything that the demo claims about the run.
pub(super) fn claims(evidence: &Evidence) -> Vec<Claim> {
    vec![
        succeeded(evidence),
        arrived_twice(evidence),
        others_arrived_once(evidence),
        jobs_created_once(evidence),
        unattended_job_was_noticed(evidence),
        finished_stayed_as_it_was(evidence),
        another_process_went_on(evidence),
        repetition_was_told(evidence),
    ]
}

fn succeeded(evidence: &Evidence) -> Claim {
    let actions = actions(&evidence.end);
    let done = actions
        .values()
        .filter(|action| action.phase == StepPhase::Succeeded)
        .count();
    let holds = evidence.end.phase == ExecutionPhase::Succeeded && done == actions.len() && done > 0;
    let text = format!("the run Succeeded, with {done} of {} actions", actions.len());
    Claim::new(text, holds, (evidence.end.phase, &evidence.end.message))
}

fn arrived_twice(evidence: &Evidence) -> Claim {
    let arrivals: Vec<(&str, Outcome)> = evidence
        .journal
        .iter()
        .filter(|call| call.path == evidence.call_in_flight)
        .map(|call| (key(call), call.outcome))
        .collect();
    let holds = matches!(
        arrivals[..],
        [(first, Outcome::ClientGone), (second, Outcome::Answered)] if first == second && !first.is_empty()
    );
    let text = format!(
        "the call in flight, {}, arrived twice under one key",
        evidence.call_in_flight
    );
    Claim::new(text, holds, arrivals)
}

fn others_arrived_once(evidence: &Evidence) -> Claim {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for call in evidence
        .journal
        .iter()
        .filter(|call| call.path != evidence.call_in_flight)
    {
        *counts.entry((&call.path, key(call))).or_default() += 1;
    }
    let calls = actions(&evidence.end)
        .values()
        .filter(|action| !made_job(action))
        .count();
    let once = counts
        .iter()
        .all(|((_, key), count)| *count == 1 && !key.is_empty());
    let text = format!("every other call arrived once: {} calls", counts.len());
    Claim::new(text, once && counts.len() + 1 == calls, counts)
}

fn jobs_created_once(evidence: &Evidence) -> Claim {
    let recorded: BTreeSet<String> = actions(&evidence.end).values().filter_map(job_uid).collect();
    let count = evidence.jobs_created;
    let holds = recorded == evidence.jobs && count == recorded.len() && count > 0;
    let text = format!("each of the {} Jobs was created once", recorded.len());
    Claim::new(text, holds, (count, &evidence.jobs, recorded))
}

fn unattended_job_was_noticed(evidence: &Evidence) -> Claim {
    let of = |status| actions(status).remove(&evidence.unattended).unwrap_or_default();
    let (before, after) = (of(&evidence.at_kill), of(&evidence.end));
    let same = job_uid(&before).is_some() && job_uid(&before) == job_uid(&after);
    let holds = same && before.phase == StepPhase::Running && after.phase == StepPhase::Succeeded;
    Claim::new(
        "the Job that ended while no operator ran was noticed, not made again",
        holds,
        (before, after),
    )
}

fn finished_stayed_as_it_was(evidence: &Evidence) -> Claim {
    let end = actions(&evidence.end);
    let finished: Vec<(String, ActionStatus)> = actions(&evidence.at_kill)
        .into_iter()
        .filter(|(_, action)| action.phase.is_ended())
        .collect();
    let changed: Vec<&String> = finished
        .iter()
        .filter(|(path, action)| end.get(path) != Some(action))
        .map(|(path, _)| path)
        .collect();
    let text = format!(
        "the {} actions finished before the kill were left alone",
        finished.len()
    );
    Claim::new(text, changed.is_empty() && !finished.is_empty(), changed)
}

fn another_process_went_on(evidence: &Evidence) -> Claim {
    let (before, after) = (&evidence.at_kill.epoch, &evidence.end.epoch);
    let holds = before.is_some() && after.is_some() && before != after;
    Claim::new(
        "another process took the run over, and signed for it",
        holds,
        (before, after),
    )
}

fn repetition_was_told(evidence: &Evidence) -> Claim {
    let told = &evidence.told_repeated;
    Claim::new(
        "a Warning event tells which call was repeated",
        told.len() == 1,
        told,
    )
}

/// The call's key, empty if it has none.
pub(super) fn key(call: &Recorded) -> &str {
    call.idempotency_key().unwrap_or_default()
}

fn made_job(action: &ActionStatus) -> bool {
    action.outputs.job_ref.is_some()
}

fn job_uid(action: &ActionStatus) -> Option<String> {
    action.outputs.job_ref.as_ref().and_then(|job| job.uid.clone())
}

#[cfg(test)]
mod tests {
    use drplan_api::status::{Epoch, ObjectRef, Outputs, StageStatus, WorkflowExecution};
    use jiff::Timestamp;

    use super::*;

    fn action(name: &str, phase: StepPhase, job: Option<&str>) -> ActionStatus {
        let job_ref = job.map(|uid| ObjectRef {
            uid: Some(uid.into()),
            ..ObjectRef::default()
        });
        ActionStatus {
            name: name.into(),
            phase,
            attempts: 1,
            outputs: Outputs {
                job_ref: job_ref.map(Box::new),
                ..Outputs::default()
            },
            ..ActionStatus::default()
        }
    }

    fn status(phase: ExecutionPhase, process: &str, actions: Vec<ActionStatus>) -> DRPlanExecutionStatus {
        let workflow = WorkflowExecution {
            action_statuses: actions,
            ..WorkflowExecution::default()
        };
        let stage = StageStatus {
            name: "s".into(),
            workflow_executions: vec![workflow],
            ..StageStatus::default()
        };
        DRPlanExecutionStatus {
            phase,
            epoch: Some(Epoch {
                process: process.into(),
                lease_transitions: 0,
            }),
            stage_statuses: vec![stage],
            ..DRPlanExecutionStatus::default()
        }
    }

    fn call(path: &str, key: &str, outcome: Outcome) -> Recorded {
        Recorded {
            arrived: Timestamp::UNIX_EPOCH,
            method: "POST".into(),
            path: path.into(),
            query: String::new(),
            headers: vec![("idempotency-key".into(), key.into())],
            body: Vec::new(),
            outcome,
        }
    }

    fn all_is_well() -> Evidence {
        use StepPhase::{Running, Succeeded};
        let at_kill = vec![
            action("first", Succeeded, None),
            action("held", Running, None),
            action("work", Running, Some("1")),
        ];
        let end = vec![
            action("first", Succeeded, None),
            action("held", Succeeded, None),
            action("work", Succeeded, Some("1")),
        ];
        Evidence {
            at_kill: status(ExecutionPhase::Running, "a", at_kill),
            end: status(ExecutionPhase::Succeeded, "b", end),
            journal: vec![
                call("/first", "1", Outcome::Answered),
                call("/held", "2", Outcome::ClientGone),
                call("/held", "2", Outcome::Answered),
            ],
            call_in_flight: "/held".into(),
            unattended: "s/[0]/work".into(),
            jobs_created: 1,
            jobs: BTreeSet::from(["1".to_owned()]),
            told_repeated: vec!["repeated".into()],
        }
    }

    #[test]
    fn what_is_true_is_claimed() {
        let untrue: Vec<Claim> = claims(&all_is_well())
            .into_iter()
            .filter(|claim| claim.instead.is_some())
            .collect();
        assert_eq!(untrue, []);
    }

    /// Spoils the evidence and expects that this claim alone is untrue.
    fn check(spoil: impl FnOnce(&mut Evidence), text: &str) {
        let mut evidence = all_is_well();
        spoil(&mut evidence);
        let untrue: Vec<String> = claims(&evidence)
            .into_iter()
            .filter(|claim| claim.instead.is_some())
            .map(|claim| claim.text)
            .collect();
        assert!(
            matches!(&untrue[..], [claim] if claim.contains(text)),
            "{untrue:?}"
        );
    }

    #[test]
    fn each_claim_is_given_up_when_it_is_not_true() {
        check(|e| e.end.phase = ExecutionPhase::Failed, "the run Succeeded");
        check(|e| drop(e.journal.remove(1)), "arrived twice");
        check(
            |e| e.journal[2] = call("/held", "3", Outcome::Answered),
            "arrived twice",
        );
        check(
            |e| e.journal.push(call("/held", "2", Outcome::Answered)),
            "arrived twice",
        );
        check(
            |e| e.journal.push(call("/first", "1", Outcome::Answered)),
            "every other call",
        );
        check(
            |e| e.journal.push(call("/stray", "4", Outcome::Answered)),
            "every other call",
        );
        check(|e| drop(e.journal.remove(0)), "every other call");
        check(|e| e.jobs_created = 2, "Jobs was created once");
        let stray = |e: &mut Evidence| {
            e.jobs.insert("2".into());
        };
        check(stray, "Jobs was created once");
        check(|e| e.unattended = "s/[0]/first".into(), "while no operator ran");
        let repeated = |e: &mut Evidence| {
            e.end.stage_statuses[0].workflow_executions[0].action_statuses[0].attempts = 2;
        };
        check(repeated, "left alone");
        check(|e| e.end.epoch = e.at_kill.epoch.clone(), "another process");
        check(|e| e.told_repeated.clear(), "Warning event");
    }
}
