//! A failing scenario with as little in it as still fails.

use crate::{
    play::{Played, play},
    scenario::Scenario,
};

/// Tries at most.
const TRIES: usize = 400;

/// The smallest scenario found that still fails, and how it was played.
pub(crate) fn minimise(scenario: Scenario, played: Played) -> (Scenario, Played) {
    let (mut best, mut best_played) = (scenario, played);
    let mut tries = 0;
    loop {
        let mut smaller = None;
        for candidate in candidates(&best) {
            tries += 1;
            if tries > TRIES {
                return (best, best_played);
            }
            let played = play(candidate.clone(), true);
            if played.violation.is_some() {
                smaller = Some((candidate, played));
                break;
            }
        }
        match smaller {
            Some(found) => (best, best_played) = found,
            None => return (best, best_played),
        }
    }
}

/// Scenarios with one thing less.
fn candidates(scenario: &Scenario) -> Vec<Scenario> {
    let mut candidates = Vec::new();
    let mut with = |change: &dyn Fn(&mut Scenario)| {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        candidates.push(candidate);
    };
    for index in 0..scenario.faults.len() {
        with(&|candidate| {
            candidate.faults.remove(index);
        });
    }
    for index in 1..scenario.wishes.len() {
        with(&|candidate| {
            candidate.wishes.remove(index);
        });
    }
    if scenario.latency {
        with(&|candidate| candidate.latency = false);
    }
    if scenario.operators > 1 {
        with(&|candidate| candidate.operators -= 1);
    }
    if scenario.elects {
        with(&|candidate| candidate.elects = false);
    }
    let last = scenario.plan.stages.len() - 1;
    if last > 0 {
        with(&|candidate| {
            candidate.plan.stages.pop();
        });
    }
    for (s, stage) in scenario.plan.stages.iter().enumerate() {
        if stage.workflows.len() > 1 {
            with(&|candidate| {
                candidate.plan.stages[s].workflows.pop();
            });
        }
        for (w, workflow) in stage.workflows.iter().enumerate() {
            for a in 0..workflow.actions.len() {
                if workflow.actions.len() > 1 {
                    with(&|candidate| {
                        candidate.plan.stages[s].workflows[w].actions.remove(a);
                    });
                }
                if workflow.actions[a].retry.is_some() {
                    with(&|candidate| candidate.plan.stages[s].workflows[w].actions[a].retry = None);
                }
                if workflow.actions[a].rollback.is_some() {
                    with(&|candidate| candidate.plan.stages[s].workflows[w].actions[a].rollback = None);
                }
            }
        }
    }
    candidates
}

/// A scenario, for people.
pub(crate) fn shown(scenario: &Scenario) -> String {
    let mut lines = vec![format!(
        "{} operator(s){}, failurePolicy {}{}",
        scenario.operators,
        if scenario.elects {
            " that elect a leader"
        } else {
            ""
        },
        if scenario.plan.stop { "Stop" } else { "Continue" },
        scenario
            .plan
            .timeout_seconds
            .map_or_else(String::new, |seconds| format!(", timeout {seconds}s")),
    )];
    for (index, stage) in scenario.plan.stages.iter().enumerate() {
        lines.push(format!(
            "stage s{index} after {:?}, parallel {}",
            stage.after, stage.parallel
        ));
        for workflow in &stage.workflows {
            lines.push(format!(
                "  workflow {}, fail fast {}",
                workflow.name, workflow.fail_fast
            ));
            for action in &workflow.actions {
                lines.push(format!("    {action:?}"));
            }
        }
    }
    lines.extend(
        scenario
            .faults
            .iter()
            .map(|fault| format!("goes wrong: {fault:?}")),
    );
    lines.extend(scenario.wishes.iter().map(|wish| format!("wished: {wish:?}")));
    lines.join("\n")
}
