//! A plan that is created or changed.

use std::collections::BTreeMap;

use drplan_api::{DRPlan, Problem, ProblemKind, Severity};
use drplan_engine::{WorkflowKey, WorkflowSource};

use crate::{
    admission::answer::Verdict,
    context::{Context, Settings},
    execution::judge::{is_missing, read_workflows},
    index::PlanEntry,
    raw::Raw,
    store::StoreError,
};

pub(super) async fn judge(context: &Context, plan: &Raw<DRPlan>) -> Result<Verdict, StoreError> {
    let entry = PlanEntry::of(plan.clone());
    let workflows = read_workflows(context, &entry).await?;
    Ok(verdict(&entry, &workflows, &context.settings))
}

/// By what the plan shows together with its workflows.
pub fn verdict(
    entry: &PlanEntry,
    workflows: &BTreeMap<WorkflowKey, WorkflowSource>,
    settings: &Settings,
) -> Verdict {
    let mut problems = entry.problems(workflows, settings);
    for problem in problems.iter_mut().filter(|problem| is_missing(problem)) {
        admit_missing(problem);
    }
    Verdict::of(&problems)
}

/// A plan may come before its workflows.
fn admit_missing(problem: &mut Problem) {
    let message = format!("{}; until then the plan is Invalid", problem.kind);
    problem.severity = Severity::Warning;
    problem.kind = ProblemKind::Note { message };
}
