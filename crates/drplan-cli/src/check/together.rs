//! What only several objects together show: plans with their workflows, executions with their plans.

use std::collections::BTreeMap;

use drplan_api::{
    Problem, ProblemKind, Problems,
    canonical::{ParameterType, Plan, Request, RunOperation},
};
use drplan_engine::{
    ExecutionSource, PlanSource, Reading, WorkflowKey, WorkflowSource, compile, workflow_keys,
};

use super::objects::{Body, Kind, Object};

/// How the engine begins the paths that speak of an execution.
const OF_EXECUTION: &str = "execution: ";

/// A problem with the object it stands in, by its index.
pub(crate) type Placed = (usize, Problem);

/// The problems of `objects` with each other.
pub(crate) fn check(objects: &[Object]) -> Vec<Placed> {
    let mut found = namesakes(objects);
    for (index, object) in objects.iter().enumerate() {
        match &object.body {
            Body::Workflow(_) | Body::Execution(None) => {}
            Body::Plan(reading) => check_plan(objects, index, reading, &mut found),
            Body::Execution(Some(request)) => check_execution(objects, index, request, &mut found),
        }
    }
    found
}

/// Two manifests of one object: the later one overwrites the other.
fn namesakes(objects: &[Object]) -> Vec<Placed> {
    let mut found = Vec::new();
    for (index, object) in objects
        .iter()
        .enumerate()
        .filter(|(_, object)| !object.name.is_empty())
    {
        let is_same = |other: &&Object| other.is(object.kind(), &object.namespace, &object.name);
        if objects[..index].iter().any(|other| is_same(&other)) {
            let message = format!(
                "{} is written twice in these files, and the one applied last would count; rename or remove one of them",
                object.label()
            );
            found.push((
                index,
                Problem::warning("metadata.name", ProblemKind::Note { message }),
            ));
        }
    }
    found
}

fn check_plan(objects: &[Object], index: usize, reading: &Reading<Plan>, found: &mut Vec<Placed>) {
    let Some(plan) = &reading.value else { return };
    let problems = compiled(objects, &objects[index], plan, &ExecutionSource::default());
    for mut problem in reading.sound(problems) {
        if let ProblemKind::Unknown {
            what: "workflow",
            name,
            ..
        } = &problem.kind
        {
            let message = format!(
                "DRWorkflow {name} is not among these files, so this use of it is not checked; give its file, too"
            );
            problem = Problem::warning(problem.path, ProblemKind::Note { message });
        }
        found.extend(place(objects, index, problem));
    }
}

fn check_execution(objects: &[Object], index: usize, request: &Request, found: &mut Vec<Placed>) {
    let object = &objects[index];
    let is_plan = |other: &&Object| other.is(Kind::Plan, &object.namespace, &request.plan);
    let Some(plan_object) = objects.iter().rfind(is_plan) else {
        let message = format!(
            "DRPlan {}/{} is not among these files, so the values are not checked against it; give its file, too",
            object.namespace, request.plan
        );
        found.push((
            index,
            Problem::warning("spec.planRef", ProblemKind::Note { message }),
        ));
        return;
    };
    let (Body::Plan(reading), RunOperation::Execute) = (&plan_object.body, &request.operation) else {
        return;
    };
    let Some(plan) = reading.value.as_ref().filter(|_| reading.is_whole()) else {
        return;
    };
    let execution = ExecutionSource {
        name: &object.name,
        uid: "",
        params: &request.params,
    };
    let alone = compiled(objects, plan_object, plan, &ExecutionSource::default());
    let with = compiled(objects, plan_object, plan, &execution);
    for mut problem in with.into_iter().filter(|problem| !alone.contains(problem)) {
        if let Some(path) = problem.path.strip_prefix(OF_EXECUTION) {
            problem.path = path.to_owned();
            found.push((index, problem));
        } else {
            found.extend(place(objects, index, problem));
        }
    }
}

/// What the operator would find about `plan`.
fn compiled(objects: &[Object], object: &Object, plan: &Plan, execution: &ExecutionSource<'_>) -> Problems {
    let sources = workflow_keys(plan, &object.namespace).into_iter().map(|key| {
        let known = objects
            .iter()
            .rfind(|other| other.is(Kind::Workflow, &key.0, &key.1));
        let source = known.map_or(WorkflowSource::Missing, |known| match &known.body {
            Body::Workflow(Some(workflow)) => WorkflowSource::Known(workflow.clone()),
            Body::Workflow(None) | Body::Plan(_) | Body::Execution(_) => {
                WorkflowSource::Invalid(known.problems.clone())
            }
        });
        (key, source)
    });
    let workflows: BTreeMap<WorkflowKey, WorkflowSource> = sources.collect();
    let source = PlanSource {
        namespace: &object.namespace,
        name: &object.name,
        plan,
        workflows: &workflows,
        service_account_name: plan.service_account_name.as_deref(),
        served_namespaces: None,
    };
    match compile(&source, execution) {
        Ok(compiled) => compiled.warnings,
        Err(problems) => problems,
    }
}

/// Where a problem of the `index`-th object stands: in itself, or in the workflow that it names. None for what that
/// workflow's own check tells.
fn place(objects: &[Object], index: usize, mut problem: Problem) -> Option<Placed> {
    let Some(label) = problem.object.take() else {
        return Some((index, problem));
    };
    let (name, used) = match label.split_once(" as ") {
        Some((name, used)) => (name, Some(used)),
        None => (label.as_str(), None),
    };
    let at = objects.iter().rposition(|other| other.label() == name)?;
    if objects[at].problems.contains(&problem) {
        return None;
    }
    if let Some(used) = used {
        problem.object = Some(format!("used by {} as {used}", objects[index].label()));
    }
    Some((at, problem))
}

/// The types that the workflows of these files declare for parameter `name` where the `index`-th object supplies a
/// value for all of its workflows, or for the `used`-th alone.
pub(crate) fn declared_types(
    objects: &[Object],
    index: usize,
    used: Option<(usize, usize)>,
    name: &str,
) -> Vec<ParameterType> {
    let object = &objects[index];
    let plan = match &object.body {
        Body::Plan(plan) => plan.value.as_ref().map(|plan| (object, plan)),
        Body::Execution(Some(request)) => objects.iter().rev().find_map(|other| match &other.body {
            Body::Plan(plan) if other.is(Kind::Plan, &object.namespace, &request.plan) => {
                plan.value.as_ref().map(|plan| (other, plan))
            }
            Body::Plan(_) | Body::Workflow(_) | Body::Execution(_) => None,
        }),
        Body::Workflow(_) | Body::Execution(None) => None,
    };
    let Some((object, plan)) = plan else {
        return Vec::new();
    };
    let keys = match used {
        None => workflow_keys(plan, &object.namespace),
        Some((stage, position)) => {
            let used = plan
                .stages
                .get(stage)
                .and_then(|stage| stage.workflows.get(position));
            let key = |used: &drplan_api::canonical::WorkflowUse| {
                let namespace = used.namespace.clone().unwrap_or_else(|| object.namespace.clone());
                (namespace, used.name.clone())
            };
            used.map(key).into_iter().collect()
        }
    };
    let workflows = objects.iter().filter_map(|other| match &other.body {
        Body::Workflow(Some(workflow)) => Some((other, workflow)),
        Body::Workflow(None) | Body::Plan(_) | Body::Execution(_) => None,
    });
    workflows
        .filter(|(other, _)| keys.iter().any(|key| other.is(Kind::Workflow, &key.0, &key.1)))
        .flat_map(|(_, workflow)| &workflow.parameters)
        .filter(|parameter| parameter.name.as_str() == name)
        .map(|parameter| parameter.kind)
        .collect()
}
