//! What is folded where a screen has too few rows.

use std::collections::BTreeSet;

use crate::view::{Phase, RunView};

/// What is folded.
#[derive(Clone, Debug, Default)]
pub(super) struct Folds {
    /// Stages of which only their own line is shown.
    pub(super) stages: BTreeSet<usize>,
    /// Workflows of which only their own line is shown.
    pub(super) workflows: BTreeSet<(usize, usize)>,
    /// Workflows whose actions of one phase in a row share a line.
    pub(super) actions: BTreeSet<(usize, usize)>,
    /// Workflows that name what runs in their own line.
    pub(super) inline: BTreeSet<(usize, usize)>,
    /// Whether folded stages of one phase in a row share a line, and folded workflows.
    pub(super) rows: bool,
}

#[derive(Clone, Copy)]
enum Fold {
    Stage(usize),
    Workflow(usize, usize),
    Actions(usize, usize),
    Rows,
    Inline(usize, usize),
}

/// The fewest folds with which `fits` holds, or all of them. More folds never give more lines.
pub(super) fn until(run: &RunView, fits: impl Fn(&Folds) -> bool) -> Folds {
    let steps = steps(run);
    let (mut enough, mut too_few) = (steps.len(), 0);
    if fits(&Folds::default()) {
        return Folds::default();
    }
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        if fits(&folded(&steps[..middle])) {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    folded(&steps[..enough])
}

fn folded(steps: &[Fold]) -> Folds {
    let mut folds = Folds::default();
    for step in steps {
        match *step {
            Fold::Stage(stage) => drop(folds.stages.insert(stage)),
            Fold::Workflow(stage, workflow) => drop(folds.workflows.insert((stage, workflow))),
            Fold::Actions(stage, workflow) => drop(folds.actions.insert((stage, workflow))),
            Fold::Rows => folds.rows = true,
            Fold::Inline(stage, workflow) => drop(folds.inline.insert((stage, workflow))),
        }
    }
    folds
}

/// Every fold in the order in which one can do without what it hides.
fn steps(run: &RunView) -> Vec<Fold> {
    let is_over = |phase: &Phase| matches!(phase, Phase::Succeeded | Phase::Skipped | Phase::NothingToUndo);
    let stages = || run.stages.iter().enumerate();
    let workflows = || {
        stages().flat_map(|(stage, of)| {
            let workflows = of.workflows.iter().enumerate();
            workflows.map(move |(index, workflow)| (stage, index, workflow))
        })
    };
    let mut steps = Vec::new();
    steps.extend(
        stages()
            .filter(|(_, of)| is_over(&of.phase))
            .map(|(stage, _)| Fold::Stage(stage)),
    );
    let pending = stages().rev().filter(|(_, of)| of.phase == Phase::Pending);
    steps.extend(pending.map(|(stage, _)| Fold::Stage(stage)));
    let over = workflows().filter(|(_, _, of)| is_over(&of.phase));
    steps.extend(over.map(|(stage, workflow, _)| Fold::Workflow(stage, workflow)));
    let mut pending: Vec<Fold> = workflows()
        .filter(|(_, _, of)| of.phase == Phase::Pending)
        .map(|(stage, workflow, _)| Fold::Workflow(stage, workflow))
        .collect();
    pending.reverse();
    steps.extend(pending);
    steps.extend(workflows().map(|(stage, workflow, _)| Fold::Actions(stage, workflow)));
    steps.push(Fold::Rows);
    let mut running: Vec<Fold> = workflows()
        .filter(|(_, _, of)| {
            of.phase == Phase::Running && of.actions.iter().all(|action| action.phase != Phase::Failed)
        })
        .map(|(stage, workflow, _)| Fold::Inline(stage, workflow))
        .collect();
    running.reverse();
    steps.extend(running);
    steps
}
