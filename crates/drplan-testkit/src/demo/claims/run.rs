//! The claims about a run that another process carries to its end.

use std::collections::{BTreeMap, BTreeSet};

use drplan_api::DRPlanExecutionStatus;
use drplan_api::status::{ActionStatus, ExecutionPhase, StepPhase};

use super::Claim;
use crate::demo::follow::actions;
use crate::demo::objects::{Asked, Made, counted, object_of, object_uid};
use crate::demo::services::key;
use crate::stand_in::{Outcome, Recorded};

/// What was found at the end, from whoever saw it: the cluster's records, the services' journals, the audit log.
#[derive(Debug, Clone)]
pub(in crate::demo) struct Evidence {
    /// The execution's UID.
    pub(in crate::demo) uid: String,
    /// Its record when the operator was dead.
    pub(in crate::demo) at_kill: DRPlanExecutionStatus,
    /// Its record at the end.
    pub(in crate::demo) end: DRPlanExecutionStatus,
    /// The services' journals: every call that arrived.
    pub(in crate::demo) calls: Vec<Recorded>,
    /// The action whose call was in flight at the kill.
    pub(in crate::demo) caller: String,
    /// The action whose Job ended while no operator ran.
    pub(in crate::demo) unattended: String,
    /// The objects there are that the run made.
    pub(in crate::demo) made: Vec<Made>,
    /// What was asked of the API server as the plan's ServiceAccount, from the audit log.
    pub(in crate::demo) asked: Vec<Asked>,
    /// The messages of events `ActionRepeated` about the execution.
    pub(in crate::demo) told_repeated: Vec<String>,
}

/// Judges everything that the demo claims about the run.
pub(in crate::demo) fn claims(evidence: &Evidence) -> Vec<Claim> {
    vec![
        succeeded(evidence),
        arrived_twice(evidence),
        others_arrived_once(evidence),
        took_effect_once(&evidence.calls),
        objects_created_once(evidence),
        nothing_was_refused(evidence),
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
    let key_in_flight = format!("{}/{}", evidence.uid, evidence.caller);
    let arrivals: Vec<(Outcome, bool)> = evidence
        .calls
        .iter()
        .filter(|call| key(call) == key_in_flight)
        .map(|call| (call.outcome, call.is_repeat))
        .collect();
    let holds = matches!(
        arrivals[..],
        [(Outcome::ClientGone, false), (Outcome::Answered, true)]
    );
    Claim::new(
        "the call in flight at the kill arrived twice, under one key",
        holds,
        arrivals,
    )
}

fn others_arrived_once(evidence: &Evidence) -> Claim {
    let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
    for call in &evidence.calls {
        *arrived.entry(key(call).to_owned()).or_default() += 1;
    }
    let expected: BTreeMap<String, usize> = actions(&evidence.end)
        .into_iter()
        .filter(|(path, action)| object_of(action).is_none() && *path != evidence.caller)
        .map(|(path, _)| (format!("{}/{path}", evidence.uid), 1))
        .collect();
    arrived.remove(&format!("{}/{}", evidence.uid, evidence.caller));
    let text = format!(
        "every other call arrived once, under its own key: {} calls",
        expected.len()
    );
    Claim::new(text, arrived == expected && !expected.is_empty(), arrived)
}

/// Each key took effect once, as the services themselves tell.
pub(super) fn took_effect_once(calls: &[Recorded]) -> Claim {
    let mut effects: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls {
        *effects.entry(key(call)).or_default() += usize::from(!call.is_repeat);
    }
    let once = effects.iter().all(|(key, count)| *count == 1 && !key.is_empty());
    let text = format!("each of the {} Idempotency-Keys took effect once", effects.len());
    Claim::new(text, once && !effects.is_empty(), effects)
}

fn objects_created_once(evidence: &Evidence) -> Claim {
    let recorded: BTreeSet<String> = actions(&evidence.end).values().filter_map(object_uid).collect();
    let there: BTreeSet<String> = evidence.made.iter().map(|object| object.uid.clone()).collect();
    let mut created: Vec<&[String; 3]> = evidence
        .asked
        .iter()
        .filter(|asked| asked.verb == "create" && asked.code == 201)
        .map(|asked| &asked.id)
        .collect();
    created.sort();
    let mut expected: Vec<&[String; 3]> = evidence.made.iter().map(|object| &object.id).collect();
    expected.sort();
    let text = format!(
        "each of the {} objects was created once: {}",
        recorded.len(),
        counted(&evidence.made)
    );
    let holds = recorded == there && created == expected && !recorded.is_empty();
    Claim::new(text, holds, (created, recorded, there))
}

fn nothing_was_refused(evidence: &Evidence) -> Claim {
    let refused: Vec<&Asked> = evidence.asked.iter().filter(|asked| asked.code == 403).collect();
    let asked_for: BTreeSet<&[String; 3]> = evidence.asked.iter().map(|asked| &asked.id).collect();
    let all = evidence.made.iter().all(|object| asked_for.contains(&object.id));
    Claim::new(
        "all of them were made as the plan's ServiceAccount, which lacked no right",
        refused.is_empty() && all && !evidence.made.is_empty(),
        refused,
    )
}

fn unattended_job_was_noticed(evidence: &Evidence) -> Claim {
    let of = |status| actions(status).remove(&evidence.unattended).unwrap_or_default();
    let (before, after) = (of(&evidence.at_kill), of(&evidence.end));
    let same = object_uid(&before).is_some() && object_uid(&before) == object_uid(&after);
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
        "another process took the run over, and the record names it",
        holds,
        (before, after),
    )
}

fn repetition_was_told(evidence: &Evidence) -> Claim {
    let told = &evidence.told_repeated;
    let holds = matches!(&told[..], [message] if message.contains(&evidence.caller));
    Claim::new("a Warning event tells which call was repeated", holds, told)
}

#[cfg(test)]
mod tests {
    use drplan_api::status::{Epoch, ObjectRef, Outputs, StageStatus, WorkflowExecution, WorkflowRef};
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
            workflow_ref: WorkflowRef {
                name: "w".into(),
                ..WorkflowRef::default()
            },
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

    fn call(action: &str, outcome: Outcome, is_repeat: bool) -> Recorded {
        Recorded {
            arrived: Timestamp::UNIX_EPOCH,
            method: "POST".into(),
            path: "/failover".into(),
            query: String::new(),
            headers: vec![("idempotency-key".into(), format!("u/s/w[0]/{action}"))],
            body: Vec::new(),
            is_repeat,
            outcome,
        }
    }

    fn asked(verb: &str, name: &str, code: u16) -> Asked {
        Asked {
            verb: verb.into(),
            id: ["jobs".into(), "production".into(), name.into()],
            code,
            arrived: Timestamp::UNIX_EPOCH,
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
            uid: "u".into(),
            at_kill: status(ExecutionPhase::Running, "a", at_kill),
            end: status(ExecutionPhase::Succeeded, "b", end),
            calls: vec![
                call("first", Outcome::Answered, false),
                call("held", Outcome::ClientGone, false),
                call("held", Outcome::Answered, true),
            ],
            caller: "s/w[0]/held".into(),
            unattended: "s/w[0]/work".into(),
            made: vec![Made {
                id: asked("create", "job", 201).id,
                uid: "1".into(),
                path: "s/w[0]/work".into(),
            }],
            asked: vec![asked("create", "job", 201)],
            told_repeated: vec!["s/w[0]/held was repeated".into()],
        }
    }

    fn untrue(evidence: &Evidence) -> Vec<String> {
        let untrue = claims(evidence)
            .into_iter()
            .filter(|claim| claim.instead.is_some());
        untrue.map(|claim| claim.text).collect()
    }

    #[test]
    fn what_is_true_is_claimed() {
        assert_eq!(untrue(&all_is_well()), Vec::<String>::new());
    }

    /// Spoils the evidence and expects that this claim alone is untrue.
    fn check(spoil: impl FnOnce(&mut Evidence), text: &str) {
        let mut evidence = all_is_well();
        spoil(&mut evidence);
        let untrue = untrue(&evidence);
        assert!(
            matches!(&untrue[..], [claim] if claim.contains(text)),
            "{untrue:?} instead of {text}"
        );
    }

    #[test]
    fn each_claim_is_given_up_when_it_is_not_true() {
        check(|e| e.end.phase = ExecutionPhase::Failed, "the run Succeeded");
        check(|e| drop(e.calls.remove(2)), "arrived twice");
        check(|e| e.calls[1].outcome = Outcome::Answered, "arrived twice");
        check(
            |e| e.calls.push(call("held", Outcome::Answered, true)),
            "arrived twice",
        );
        check(
            |e| e.calls.push(call("first", Outcome::Answered, true)),
            "every other call",
        );
        check(
            |e| e.calls.push(call("stray", Outcome::Answered, false)),
            "every other call",
        );
        check(|e| drop(e.calls.remove(0)), "every other call");
        let no_key = |e: &mut Evidence| e.calls[0].headers.clear();
        assert_eq!(untrue(&spoiled(no_key)).len(), 2);
        let twice = |e: &mut Evidence| {
            // The call in flight is claimed to take effect at its first arrival, too.
            e.calls[2].is_repeat = false;
        };
        assert!(
            untrue(&spoiled(twice))
                .iter()
                .any(|claim| claim.contains("took effect once"))
        );
        check(
            |e| e.asked.push(asked("create", "job", 201)),
            "objects was created once",
        );
        let stray = |e: &mut Evidence| e.asked.push(asked("create", "stray", 201));
        check(stray, "objects was created once");
        let not_recorded = |e: &mut Evidence| e.made[0].uid = "2".into();
        check(not_recorded, "objects was created once");
        check(
            |e| e.asked.push(asked("get", "job", 403)),
            "the plan's ServiceAccount",
        );
        check(|e| e.unattended = "s/w[0]/first".into(), "while no operator ran");
        let repeated = |e: &mut Evidence| {
            e.end.stage_statuses[0].workflow_executions[0].action_statuses[0].attempts = 2;
        };
        check(repeated, "left alone");
        check(|e| e.end.epoch = e.at_kill.epoch.clone(), "another process");
        check(|e| e.told_repeated.clear(), "Warning event");
        check(|e| e.told_repeated = vec!["s/w[0]/first".into()], "Warning event");
    }

    fn spoiled(spoil: impl FnOnce(&mut Evidence)) -> Evidence {
        let mut evidence = all_is_well();
        spoil(&mut evidence);
        evidence
    }
}
