//! A plan.

use crate::{
    DRPlanSpec, GoDuration, ProblemKind, StageName,
    canonical::{Plan, PlanFailurePolicy, Stage, WorkflowUse},
    limits::{STAGES_MAX, WORKFLOWS_IN_STAGE_MAX},
    normalise::{
        parameters::{self, Reading},
        report::{Place, Report},
        scalar::{self, bad_name, choice, object_name, plain_duration, text, zero_timeout},
        workflow::executor,
    },
    plan as written,
};

/// The stage that stands for `workflowRef`.
const ONLY_STAGE: &str = "default";

/// The plan that `spec` describes.
pub(super) fn plan(report: &mut Report, at: &Place, spec: &DRPlanSpec, namespace: &str) -> Option<Plan> {
    let account_at = at.field("serviceAccountName");
    let service_account_name = text(spec.service_account_name.as_ref())
        .and_then(|name| object_name(report, &account_at, Some(&name.to_owned()), false, ""));
    let timeout_at = at.field("timeout");
    let timeout = plain_duration(report, &timeout_at, spec.timeout.as_ref());
    if timeout == Some(GoDuration::default()) {
        zero_timeout(report, &timeout_at);
    }
    let global_params = parameters::supplied(
        report,
        &at.field("globalParams"),
        spec.global_params.as_ref(),
        Reading::Allowed,
    );
    let failure_policy = match text(spec.failure_policy.as_ref()) {
        None => Some(PlanFailurePolicy::default()),
        Some(policy) => choice(
            report,
            &at.field("failurePolicy"),
            policy,
            &[
                ("Stop", PlanFailurePolicy::Stop),
                ("FailFast", PlanFailurePolicy::Stop),
                ("Continue", PlanFailurePolicy::Continue),
            ],
            "Stop (or FailFast) or Continue",
        ),
    };
    executor(report, at, spec.executor.as_ref());
    let mut stages = match &spec.workflow_ref {
        Some(workflow) => only_stage(report, at, spec, workflow),
        None => stages(report, at, spec),
    };
    // Written or not, the plan's own namespace has one form.
    for used in stages.iter_mut().flat_map(|stage| &mut stage.workflows) {
        used.namespace.take_if(|other| other == namespace);
    }
    Some(Plan {
        service_account_name,
        suspend: spec.suspend.unwrap_or(false),
        timeout,
        global_params,
        failure_policy: failure_policy?,
        stages,
    })
}

/// A plan of one workflow.
fn only_stage(
    report: &mut Report,
    at: &Place,
    spec: &DRPlanSpec,
    workflow: &written::WorkflowRef,
) -> Vec<Stage> {
    if spec.stages.as_ref().is_some_and(|stages| !stages.is_empty()) {
        let remedy = "keep `stages` and name the workflow in one of them, or keep `workflowRef` alone";
        report.exclusive(at, "workflowRef", "stages", remedy);
        stages(report, at, spec);
    }
    let params = parameters::supplied(
        report,
        &at.field("params"),
        spec.params.as_ref(),
        Reading::Allowed,
    );
    let used = workflow_use(report, &at.field("workflowRef"), Some(workflow), params);
    let stage = StageName::new(ONLY_STAGE).zip(used).map(|(name, used)| Stage {
        name,
        depends_on: Vec::new(),
        parallel: false,
        workflows: vec![used],
    });
    stage.into_iter().collect()
}

fn stages(report: &mut Report, at: &Place, spec: &DRPlanSpec) -> Vec<Stage> {
    let written = spec.stages.as_deref().unwrap_or_default();
    let stages_at = at.field("stages");
    if written.is_empty() {
        report.missing(
            &stages_at,
            "write at least one stage, or `workflowRef` for a plan of one workflow",
        );
    }
    if spec.workflow_ref.is_none() && spec.params.as_ref().is_some_and(|params| !params.is_empty()) {
        report.note(
            &at.field("params"),
            "goes with `workflowRef`; in a plan of stages write `globalParams`, or `params` beside a stage's workflowRef",
        );
    }
    report.bound(
        &stages_at,
        "the number of stages",
        written.len(),
        STAGES_MAX,
        "join some, or split the plan",
    );
    let mut stages = Vec::with_capacity(written.len());
    for (index, stage) in written.iter().enumerate() {
        let at = stages_at.item(index);
        let name = stage_name(report, &at.field("name"), &written[..index], stage);
        let workflows = workflows(report, &at.field("workflows"), stage);
        stages.extend(name.map(|name| Stage {
            name,
            depends_on: stage.depends_on.clone().unwrap_or_default(),
            parallel: stage.parallel.unwrap_or(false),
            workflows,
        }));
    }
    stages
}

fn stage_name(
    report: &mut Report,
    at: &Place,
    before: &[written::Stage],
    stage: &written::Stage,
) -> Option<StageName> {
    let Some(name) = text(stage.name.as_ref()) else {
        report.missing(at, "write a name that is unique in the plan");
        return None;
    };
    if let Some(first) = before
        .iter()
        .position(|other| other.name.as_deref() == Some(name))
    {
        report.error(
            at,
            ProblemKind::DuplicateName {
                name: name.to_owned(),
                first: format!("spec.stages[{first}].name"),
            },
        );
    }
    let valid = StageName::new(name);
    if valid.is_none() {
        let rule =
            "lower-case letters, digits and -, at most 63, beginning and ending with a letter or digit";
        bad_name(report, at, name, rule);
    }
    valid
}

fn workflows(report: &mut Report, at: &Place, stage: &written::Stage) -> Vec<WorkflowUse> {
    let written = stage.workflows.as_deref().unwrap_or_default();
    if written.is_empty() {
        report.missing(at, "write at least one entry with `workflowRef`");
    }
    report.bound(
        at,
        "the number of workflows in the stage",
        written.len(),
        WORKFLOWS_IN_STAGE_MAX,
        "split the stage",
    );
    let mut workflows = Vec::with_capacity(written.len());
    for (index, written) in written.iter().enumerate() {
        let at = at.item(index);
        let reference = written.workflow_ref.as_ref();
        let params_at = at.field("params");
        let workflow_at = at.field("workflowRef");
        // In the order of the fields, though the values come out inside.
        let checked = workflow_use(report, &workflow_at, reference, Vec::new());
        let params = parameters::supplied(report, &params_at, written.params.as_ref(), Reading::Allowed);
        workflows.extend(checked.map(|used| WorkflowUse { params, ..used }));
    }
    workflows
}

fn workflow_use(
    report: &mut Report,
    at: &Place,
    written: Option<&written::WorkflowRef>,
    params: Vec<crate::canonical::ParameterValue>,
) -> Option<WorkflowUse> {
    let Some(written) = written else {
        report.missing(
            at,
            "write the workflow's `name`, and its `namespace` if that is not the plan's",
        );
        return None;
    };
    let name = object_name(
        report,
        &at.field("name"),
        written.name.as_ref(),
        false,
        "write the workflow's name",
    );
    let namespace = scalar::namespace(report, &at.field("namespace"), written.namespace.as_ref(), false);
    Some(WorkflowUse {
        name: name?,
        namespace,
        params,
    })
}
