//! Whether an execution may begin, by live reads, before anything is written. Admission and the start ask this.

use std::collections::BTreeMap;

use drplan_api::{
    Problem, ProblemKind, Problems, Severity,
    canonical::{Request, RunOperation},
};
use drplan_engine::{Compiled, ExecutionSource, WorkflowKey, WorkflowSource, compile};

use crate::{
    context::Context,
    execution::revert::{Target, Wish},
    index::{PlanEntry, WorkflowEntry, plan_source},
    says,
    store::StoreError,
};

/// The execution that asks.
pub struct RunWish<'a> {
    /// Its namespace, which is its plan's.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
    /// What it asks for.
    pub request: &'a Request,
}

/// Why an execution does not begin.
#[derive(Debug)]
pub struct Refusal {
    /// The reason, one word.
    pub reason: &'static str,
    /// What is wrong and what to do.
    pub message: String,
    /// The problems that `message` tells, if it tells some.
    pub problems: Problems,
}

/// What was decided.
pub enum Judged {
    /// It may execute the plan, as compiled.
    Execute(Box<Compiled>),
    /// It may undo what it names.
    Revert,
    /// Something that it needs does not exist, and may come.
    Missing(String),
    /// It may not.
    Refused(Refusal),
}

/// Judges what `wish` asks for. Whether another run of the plan is in the way is the desk's to say.
///
/// # Errors
/// [`StoreError`] if something cannot be read now.
pub async fn judge(context: &Context, wish: &RunWish<'_>) -> Result<Judged, StoreError> {
    let found = context
        .stores
        .plans
        .get(wish.namespace, &wish.request.plan)
        .await?;
    judge_plan(context, wish, found.map(PlanEntry::of).as_ref(), Workflows::new()).await
}

/// The same, of the plan `entry` as just read; none if it does not exist. `read`: workflows that were just read too.
///
/// # Errors
/// [`StoreError`] if something else cannot be read now.
pub(super) async fn judge_plan(
    context: &Context,
    wish: &RunWish<'_>,
    entry: Option<&PlanEntry>,
    read: Workflows,
) -> Result<Judged, StoreError> {
    let plan = &wish.request.plan;
    let Some(entry) = entry else {
        let message = format!(
            "plan `{plan}` does not exist in namespace {}; create it",
            wish.namespace
        );
        return Ok(Judged::Missing(message));
    };
    if entry.plan().is_ok_and(|plan| plan.suspend) {
        return Ok(Judged::Refused(Refusal {
            reason: "PlanSuspended",
            message: format!(
                "plan `{plan}` is suspended; set spec.suspend to false, then create a new execution"
            ),
            problems: Problems::new(),
        }));
    }
    match &wish.request.operation {
        RunOperation::Execute => judge_execute(context, wish, entry, read).await,
        RunOperation::Revert { .. } => Ok(match target_of(context, wish).await? {
            Some(Err(refusal)) => Judged::Refused(refusal),
            Some(Ok(_)) | None => Judged::Revert,
        }),
    }
}

async fn judge_execute(
    context: &Context,
    wish: &RunWish<'_>,
    entry: &PlanEntry,
    read: Workflows,
) -> Result<Judged, StoreError> {
    let workflows = read_further(context, entry, read).await?;
    let Ok(plan) = entry.plan() else {
        let problems = entry.problems(&workflows, &context.settings);
        return Ok(Judged::Refused(invalid(&wish.request.plan, problems)));
    };
    let source = plan_source(
        wish.namespace,
        &wish.request.plan,
        plan,
        &workflows,
        &context.settings,
    );
    let execution = ExecutionSource {
        name: wish.name,
        uid: wish.uid,
        params: &wish.request.params,
    };
    Ok(match compile(&source, &execution) {
        Ok(compiled) => Judged::Execute(Box::new(compiled)),
        Err(problems) if errors(&problems).all(is_missing) => Judged::Missing(says::problems(&problems)),
        Err(problems) => Judged::Refused(invalid(&wish.request.plan, problems)),
    })
}

/// The execution that a Revert asks to undo, or why it may not; none if it is no Revert.
///
/// # Errors
/// [`StoreError`] if it cannot be read now.
pub(super) async fn target_of(
    context: &Context,
    wish: &RunWish<'_>,
) -> Result<Option<Result<Target, Refusal>>, StoreError> {
    let RunOperation::Revert {
        target,
        allow_partial,
    } = &wish.request.operation
    else {
        return Ok(None);
    };
    let wish = Wish {
        namespace: wish.namespace,
        plan: &wish.request.plan,
        target,
        allow_partial: *allow_partial,
    };
    wish.target(context).await.map(Some)
}

/// Workflows as they were read.
pub type Workflows = BTreeMap<WorkflowKey, WorkflowSource>;

/// The workflows of a plan, read live. Those that this operator does not serve are not read.
///
/// # Errors
/// [`StoreError`] if one of them cannot be read now.
pub async fn read_workflows(context: &Context, plan: &PlanEntry) -> Result<Workflows, StoreError> {
    read_further(context, plan, Workflows::new()).await
}

/// The same, where some were `read` already.
async fn read_further(
    context: &Context,
    plan: &PlanEntry,
    mut read: Workflows,
) -> Result<Workflows, StoreError> {
    let served = |key: &WorkflowKey| {
        let served = context.settings.served();
        served.is_none_or(|served| served.contains(&key.0))
    };
    let keys: Vec<WorkflowKey> = plan.workflow_keys().into_iter().filter(served).collect();
    read.retain(|key, _| keys.contains(key));
    let reads = keys
        .into_iter()
        .filter(|key| !read.contains_key(key))
        .map(|key| async move {
            let raw = context.stores.workflows.get(&key.0, &key.1).await?;
            let source = raw.map_or(WorkflowSource::Missing, |raw| WorkflowEntry::of(raw).source);
            Ok((key, source))
        });
    let found = futures::future::try_join_all(reads).await?;
    read.extend(found);
    Ok(read)
}

fn errors(problems: &Problems) -> impl Iterator<Item = &Problem> {
    problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
}

/// Whether what is wrong may be mended by creating a workflow.
pub fn is_missing(problem: &Problem) -> bool {
    matches!(problem.kind, ProblemKind::Unknown { what: "workflow", .. })
}

fn invalid(plan: &str, problems: Problems) -> Refusal {
    Refusal {
        problems: problems.clone(),
        ..invalid_plan(plan, says::problems(&problems))
    }
}

/// That a plan cannot run, and why.
pub(super) fn invalid_plan(plan: &str, why: String) -> Refusal {
    Refusal {
        reason: "PlanInvalid",
        message: format!("plan `{plan}` cannot run: {why}"),
        problems: Problems::new(),
    }
}
