//! An execution that is created or changed.

use drplan_api::{
    DRPlanExecution, Problem, ProblemKind, Problems,
    canonical::{Request, RunOperation},
};
use drplan_engine::{Reading, read_execution};

use crate::{
    admission::answer::Verdict,
    context::Context,
    desk::{self, Run, has_run, rival},
    execution::judge::{Judged, Refusal, RunWish, judge},
    index::PlanEntry,
    raw::Raw,
    store::{StoreError, names},
};

/// How the engine begins the paths that speak of an execution.
const OF_EXECUTION: &str = "execution: ";

/// What the operator would fail at once is refused. What may come about until it looks, and what it records as a run that
/// did not begin, is admitted with a warning.
pub(super) async fn created(context: &Context, new: &Raw<DRPlanExecution>) -> Result<Verdict, StoreError> {
    let (namespace, name) = names(&new.metadata);
    let reading = read(new);
    let Some(request) = reading.value.as_ref().filter(|_| reading.is_whole()) else {
        return Ok(Verdict::of(&reading.problems));
    };
    let uid = new.metadata.uid.as_deref().unwrap_or("not stored yet");
    let wish = RunWish {
        namespace,
        name,
        uid,
        request,
    };
    let mut warnings = reading.problems.clone();
    match judge(context, &wish).await? {
        Judged::Execute(compiled) => {
            warnings.extend(
                compiled
                    .warnings
                    .into_iter()
                    .map(|problem| of_plan(problem, &wish)),
            );
        }
        Judged::Revert => {}
        Judged::Missing(message) => warnings.push(warning(
            "spec.planRef",
            format!("{message}; the execution waits 30 s for it, then it fails"),
        )),
        Judged::Refused(refusal) if refusal.reason == "PlanSuspended" => {
            let message = format!("{}; this one will fail", refusal.message);
            warnings.push(warning("spec.planRef", message));
        }
        Judged::Refused(refusal) => return Ok(refused(refusal, &wish)),
    }
    if let Some(raw) = context.stores.plans.get(namespace, &request.plan).await? {
        let run = Run {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            plan: request.plan.clone(),
            operation: request.operation.name().to_owned(),
            requested_by: String::new(),
        };
        let plan = PlanEntry::of(raw);
        if let Some(other) = rival(context, &plan, &run).await? {
            let message = format!("{}; wait for its end, or cancel it", desk::busy(&other));
            return Ok(Verdict::forbid(message));
        }
        warnings.extend(of_history(&plan, &run, request));
    }
    Ok(Verdict::of(&warnings))
}

/// What the plan's own record lets expect.
fn of_history(plan: &PlanEntry, run: &Run, request: &Request) -> Problems {
    let mut warnings = Problems::new();
    let Ok(status) = &plan.status else {
        return warnings;
    };
    if has_run(status, run) {
        let message = format!(
            "an execution named `{}` was started before, so this one will fail; create one under a new name",
            run.name
        );
        warnings.push(warning("metadata.name", message));
    }
    let is_executed = |condition: &&drplan_api::status::Condition| {
        condition.kind == "Executed" && condition.status == "True"
    };
    if request.operation == RunOperation::Execute && status.conditions.iter().any(|one| is_executed(&one)) {
        let message = format!(
            "plan `{}` is executed already and not undone; it runs once more",
            request.plan
        );
        warnings.push(warning("spec.planRef", message));
    }
    warnings
}

/// By what the execution itself shows.
pub fn verdict(execution: &Raw<DRPlanExecution>) -> Verdict {
    Verdict::of(&read(execution).problems)
}

/// The normalised forms count: another spelling of the same is no change.
pub(super) fn changed(old: &Raw<DRPlanExecution>, new: &Raw<DRPlanExecution>) -> Verdict {
    let (old, new) = (read(old), read(new));
    if old.is_whole() && new.is_whole() && old.value == new.value {
        return Verdict::allow();
    }
    let message = "never changes; create a new execution".to_owned();
    Verdict::of(&vec![Problem::error("spec", ProblemKind::Note { message })])
}

fn read(execution: &Raw<DRPlanExecution>) -> Reading<Request> {
    let (namespace, name) = names(&execution.metadata);
    let name = Some(name).filter(|name| !name.is_empty());
    read_execution(execution.spec.clone(), namespace, name)
}

fn refused(refusal: Refusal, wish: &RunWish<'_>) -> Verdict {
    if refusal.problems.is_empty() {
        let path = match wish.request.operation {
            RunOperation::Execute => "spec.planRef",
            RunOperation::Revert { .. } => "spec.revertExecutionRef",
        };
        let message = refusal.message;
        return Verdict::of(&vec![Problem::error(path, ProblemKind::Note { message })]);
    }
    let problems = refusal.problems.into_iter();
    Verdict::of(&problems.map(|problem| of_plan(problem, wish)).collect())
}

/// A problem of the plan, said of the execution: its own fields by themselves, the plan's with its name.
fn of_plan(mut problem: Problem, wish: &RunWish<'_>) -> Problem {
    if let Some(own) = problem.path.strip_prefix(OF_EXECUTION) {
        problem.path = own.to_owned();
        return problem;
    }
    if problem.object.is_none() {
        problem.object = Some(format!("DRPlan {}/{}", wish.namespace, wish.request.plan));
    }
    problem
}

fn warning(path: &str, message: String) -> Problem {
    Problem::warning(path, ProblemKind::Note { message })
}
