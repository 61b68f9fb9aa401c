//! From a plan and its workflows to a snapshot, or to all of their problems at once.

use std::collections::BTreeMap;

use drplan_api::{
    Problem, ProblemKind, Problems,
    canonical::{
        Parameter, ParameterType, ParameterValue, Plan, Stage, Work, Workflow, WorkflowFailurePolicy,
        WorkflowUse,
    },
    limits::{ACTION_MESSAGE_BYTES_MAX, OUTPUT_TEXTS_BYTES_MAX, RECORD_BYTES_MAX},
    names::too_long_for_label,
    problem::any_error,
    status::FORMAT_VERSION,
};

use crate::{
    check::{check_values, check_workflow},
    graph::topological,
    parameters::{Layer, resolve},
    run::Run,
    snapshot::{Snapshot, SnapshotStage, SnapshotUse, SnapshotWorkflow},
};

/// A workflow's namespace and name.
pub type WorkflowKey = (String, String);

/// What is known of a workflow that a plan refers to.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkflowSource {
    /// There is none of that name.
    Missing,
    /// It exists and has these problems.
    Invalid(Problems),
    /// It exists; its warnings are its own.
    Known(Workflow),
}

/// A plan with all that it refers to.
#[derive(Clone, Debug)]
pub struct PlanSource<'a> {
    /// The plan's namespace.
    pub namespace: &'a str,
    /// The plan's name.
    pub name: &'a str,
    /// Its canonical form.
    pub plan: &'a Plan,
    /// Every workflow that [`workflow_keys`] names.
    pub workflows: &'a BTreeMap<WorkflowKey, WorkflowSource>,
    /// The ServiceAccount that actions run as; none: the operator itself.
    pub service_account_name: Option<&'a str>,
    /// The namespaces that the operator serves; none: all.
    pub served_namespaces: Option<&'a [String]>,
}

/// The execution that a plan is compiled for.
#[derive(Clone, Debug, Default)]
pub struct ExecutionSource<'a> {
    /// Its name; empty where a plan is only checked.
    pub name: &'a str,
    /// Its UID; empty where a plan is only checked.
    pub uid: &'a str,
    /// The values it supplies.
    pub params: &'a [ParameterValue],
}

/// A snapshot and what the user should know about it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// All that the run will use.
    pub snapshot: Snapshot,
    /// Problems of severity Warning.
    pub warnings: Problems,
}

/// The workflows that `plan`, which stands in `namespace`, refers to, each once.
pub fn workflow_keys(plan: &Plan, namespace: &str) -> Vec<WorkflowKey> {
    let uses = plan.stages.iter().flat_map(|stage| &stage.workflows);
    let mut keys: Vec<WorkflowKey> = uses.map(|used| key_of(used, namespace)).collect();
    keys.sort();
    keys.dedup();
    keys
}

fn key_of(used: &WorkflowUse, namespace: &str) -> WorkflowKey {
    (
        used.namespace.clone().unwrap_or_else(|| namespace.to_owned()),
        used.name.clone(),
    )
}

/// Compiles `source` for `execution`.
///
/// # Errors
/// All problems, warnings included, if any of them is an error.
///
/// # Guarantees
/// The same arguments give the same snapshot.
pub fn compile(source: &PlanSource<'_>, execution: &ExecutionSource<'_>) -> Result<Compiled, Problems> {
    let mut problems: Problems = too_long_for_label("metadata.name", source.name)
        .into_iter()
        .collect();
    let after = order_stages(&source.plan.stages, &mut problems);
    let (mut workflows, positions) = gather_workflows(source, execution.params, &mut problems);
    let unchecked = workflows.len();
    let mut stages = Vec::new();
    for (index, stage) in source.plan.stages.iter().enumerate() {
        let mut uses = Vec::new();
        for (position, used) in stage.workflows.iter().enumerate() {
            let at = format!("spec.stages[{index}].workflows[{position}]");
            let layers = [
                Layer {
                    path: "spec.globalParams".to_owned(),
                    values: &source.plan.global_params,
                    from_execution: false,
                },
                Layer {
                    path: format!("{at}.params"),
                    values: &used.params,
                    from_execution: false,
                },
                Layer {
                    path: "execution: spec.params".to_owned(),
                    values: execution.params,
                    from_execution: true,
                },
            ];
            let workflow = positions[&key_of(used, source.namespace)];
            let spec: &SnapshotWorkflow = &workflows[workflow];
            let label = format!("{}/{}", spec.namespace, spec.name);
            let mut found = Problems::new();
            let resolved = resolve(&spec.spec, &label, &layers, &at, &mut found);
            let is_complete = !any_error(&found);
            // A value of the plan may be wrong for several uses.
            found.retain(|problem| !problems.contains(problem));
            problems.extend(found);
            uses.push(SnapshotUse {
                // What its templates make of values that are missing is not worth telling.
                workflow: if is_complete { workflow } else { unchecked },
                values: resolved.values,
                sources: resolved.sources,
            });
        }
        stages.push(SnapshotStage {
            name: stage.name.clone(),
            after: after[index].clone(),
            parallel: stage.parallel,
            uses,
        });
    }
    warn_of_unused_values(source, execution, &workflows, &mut problems);
    let is_whole = !any_error(&problems);
    if !is_whole {
        workflows.push(SnapshotWorkflow {
            namespace: String::new(),
            name: String::new(),
            spec: inert(Vec::new()),
        });
    }
    let snapshot = Snapshot {
        format_version: FORMAT_VERSION,
        namespace: source.namespace.to_owned(),
        plan: source.name.to_owned(),
        execution: execution.name.to_owned(),
        execution_uid: execution.uid.to_owned(),
        service_account_name: source.service_account_name.map(str::to_owned),
        failure_policy: source.plan.failure_policy,
        timeout: source.plan.timeout,
        stages,
        workflows,
    };
    let run = Run::new(snapshot);
    check_values(&run, source.served_namespaces, &mut problems);
    check_size(&run, &mut problems);
    if any_error(&problems) {
        return Err(problems);
    }
    Ok(Compiled {
        snapshot: run.snapshot,
        warnings: problems,
    })
}

/// For each stage the indices of those it waits for. In a plan without any dependsOn each waits for the one before.
fn order_stages(stages: &[Stage], problems: &mut Problems) -> Vec<Vec<usize>> {
    if stages.iter().all(|stage| stage.depends_on.is_empty()) {
        return (0..stages.len())
            .map(|index| index.checked_sub(1).into_iter().collect())
            .collect();
    }
    let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
    let mut after = Vec::new();
    for (index, stage) in stages.iter().enumerate() {
        let mut before = Vec::new();
        for (position, name) in stage.depends_on.iter().enumerate() {
            match names.iter().position(|known| known == name) {
                Some(found) if before.contains(&found) => {}
                Some(found) => before.push(found),
                None => {
                    let suggestion = format!("; this plan has {}", names.join(", "));
                    let kind = ProblemKind::Unknown {
                        what: "stage",
                        name: name.clone(),
                        suggestion,
                    };
                    problems.push(Problem::error(
                        format!("spec.stages[{index}].dependsOn[{position}]"),
                        kind,
                    ));
                }
            }
        }
        if before.is_empty() && index > 0 && stage.depends_on.is_empty() {
            let message = format!(
                "stage `{}` depends on nothing and so starts at once, beside the first stage",
                stage.name
            );
            problems.push(Problem::warning(
                format!("spec.stages[{index}]"),
                ProblemKind::Note { message },
            ));
        }
        after.push(before);
    }
    let borrowed: Vec<&[usize]> = after.iter().map(Vec::as_slice).collect();
    if let Err(circle) = topological(&borrowed) {
        let cycle = circle
            .circle
            .iter()
            .map(|index| names[*index].to_owned())
            .collect();
        problems.push(Problem::error("spec.stages", ProblemKind::Cycle { cycle }));
        // In no order at all the rest can still be looked at.
        return vec![Vec::new(); stages.len()];
    }
    after
}

/// Each workflow once, and where it is in that list. One that cannot be used is reported, at its first use; one that
/// takes every value and does nothing stands in for it, so that the rest can be looked at.
fn gather_workflows(
    source: &PlanSource<'_>,
    of_execution: &[ParameterValue],
    problems: &mut Problems,
) -> (Vec<SnapshotWorkflow>, BTreeMap<WorkflowKey, usize>) {
    let mut workflows = Vec::new();
    let mut positions = BTreeMap::new();
    for (index, stage) in source.plan.stages.iter().enumerate() {
        for (position, used) in stage.workflows.iter().enumerate() {
            let key = key_of(used, source.namespace);
            if positions.contains_key(&key) {
                continue;
            }
            let at = format!("spec.stages[{index}].workflows[{position}].workflowRef");
            let spec =
                usable(source, &key, &at, problems).unwrap_or_else(|| accepting(source, &key, of_execution));
            positions.insert(key.clone(), workflows.len());
            workflows.push(SnapshotWorkflow {
                namespace: key.0,
                name: key.1,
                spec,
            });
        }
    }
    (workflows, positions)
}

fn usable(source: &PlanSource<'_>, key: &WorkflowKey, at: &str, problems: &mut Problems) -> Option<Workflow> {
    let (namespace, name) = key;
    let label = format!("{namespace}/{name}");
    if source
        .served_namespaces
        .is_some_and(|served| !served.contains(namespace))
    {
        problems.push(Problem::error(
            at,
            ProblemKind::NamespaceNotServed {
                namespace: namespace.clone(),
            },
        ));
        return None;
    }
    match source.workflows.get(key) {
        None | Some(WorkflowSource::Missing) => {
            let suggestion = "; create it, or correct the reference".to_owned();
            problems.push(Problem::error(
                at,
                ProblemKind::Unknown {
                    what: "workflow",
                    name: label,
                    suggestion,
                },
            ));
            None
        }
        Some(WorkflowSource::Invalid(_)) if namespace != source.namespace => {
            // What is wrong with it is not told to those who may not read it.
            let message = format!("workflow `{label}` is Invalid; its own status tells what is to be mended");
            problems.push(Problem::error(at, ProblemKind::Note { message }));
            None
        }
        Some(WorkflowSource::Invalid(found)) => {
            problems.extend(
                found
                    .iter()
                    .cloned()
                    .map(|problem| problem.of(&format!("DRWorkflow {label}"))),
            );
            None
        }
        Some(WorkflowSource::Known(workflow)) => {
            let allowed = namespace == source.namespace
                || workflow
                    .allowed_namespaces
                    .iter()
                    .any(|one| one == source.namespace);
            if !allowed {
                let kind = ProblemKind::NamespaceNotAllowed {
                    workflow: label,
                    namespace: source.namespace.to_owned(),
                };
                problems.push(Problem::error(at, kind));
                return None;
            }
            let found: Problems = check_workflow(workflow)
                .into_iter()
                .map(|problem| problem.of(&format!("DRWorkflow {label}")))
                .collect();
            let usable = !any_error(&found);
            problems.extend(found);
            usable.then(|| workflow.clone())
        }
    }
}

/// A workflow that declares every value that `source` or an execution might have for `key`, and does nothing.
fn accepting(source: &PlanSource<'_>, key: &WorkflowKey, of_execution: &[ParameterValue]) -> Workflow {
    let uses = source.plan.stages.iter().flat_map(|stage| &stage.workflows);
    let here = uses.filter(|used| key_of(used, source.namespace) == *key);
    let values = here
        .flat_map(|used| &used.params)
        .chain(&source.plan.global_params)
        .chain(of_execution);
    let mut parameters: Vec<Parameter> = Vec::new();
    for value in values {
        if !parameters.iter().any(|known| known.name == value.name) {
            parameters.push(Parameter {
                name: value.name.clone(),
                kind: ParameterType::String,
                required: false,
                default: None,
                value_from: None,
                overridable: true,
            });
        }
    }
    inert(parameters)
}

/// A workflow without actions.
fn inert(parameters: Vec<Parameter>) -> Workflow {
    Workflow {
        parameters,
        failure_policy: WorkflowFailurePolicy::default(),
        allowed_namespaces: Vec::new(),
        actions: Vec::new(),
    }
}

fn warn_of_unused_values(
    source: &PlanSource<'_>,
    execution: &ExecutionSource<'_>,
    workflows: &[SnapshotWorkflow],
    problems: &mut Problems,
) {
    let declared = |value: &ParameterValue| {
        workflows.iter().any(|workflow| {
            workflow
                .spec
                .parameters
                .iter()
                .any(|parameter| parameter.name == value.name)
        })
    };
    let unused = |value: &ParameterValue| ProblemKind::UnusedValue {
        parameter: value.name.as_str().to_owned(),
    };
    for (index, value) in source
        .plan
        .global_params
        .iter()
        .enumerate()
        .filter(|(_, value)| !declared(value))
    {
        problems.push(Problem::warning(
            format!("spec.globalParams[{index}]"),
            unused(value),
        ));
    }
    for (index, value) in execution
        .params
        .iter()
        .enumerate()
        .filter(|(_, value)| !declared(value))
    {
        problems.push(Problem::warning(
            format!("execution: spec.params[{index}]"),
            unused(value),
        ));
    }
    for (index, stage) in source.plan.stages.iter().enumerate() {
        for (position, used) in stage.workflows.iter().enumerate() {
            let key = key_of(used, source.namespace);
            let Some(workflow) = workflows
                .iter()
                .find(|known| known.namespace == key.0 && known.name == key.1)
            else {
                continue;
            };
            for (place, value) in used.params.iter().enumerate() {
                if !workflow
                    .spec
                    .parameters
                    .iter()
                    .any(|parameter| parameter.name == value.name)
                {
                    let path = format!("spec.stages[{index}].workflows[{position}].params[{place}]");
                    problems.push(Problem::warning(path, unused(value)));
                }
            }
        }
    }
}

/// The most bytes that one action can add to a status besides its name, message and stored texts: its four times,
/// counters, three object references with names of 253 characters at most one of which is ever used, the names of up to
/// two objects that keep texts, and the keys.
const ACTION_RECORD_BYTES: usize = 900;
/// The most bytes, besides the path, that a Revert enters about one action: a time, a counter, the name of the Revert,
/// and the keys.
const UNDONE_BYTES: usize = 200;
/// The same about a Job that its rollback makes: name and namespace, of 63 characters each, and the keys.
const UNDONE_JOB_BYTES: usize = 160;

fn check_size(run: &Run, problems: &mut Problems) {
    let snapshot = run.snapshot.to_text().len();
    if snapshot > RECORD_BYTES_MAX {
        let kind = ProblemKind::RecordTooLarge {
            what: "the snapshot",
            found: snapshot,
            max: RECORD_BYTES_MAX,
        };
        problems.push(Problem::error("spec.stages", kind));
    }
    let empty = serde_json::to_vec(&run.initial_status()).map_or(usize::MAX, |bytes| bytes.len());
    let actions = run.graph.actions().count();
    let full = actions.saturating_mul(ACTION_RECORD_BYTES + ACTION_MESSAGE_BYTES_MAX);
    let undone = run.graph.actions().map(|at| {
        let rollback = run.action(at).rollback.as_ref();
        let is_job = rollback.is_some_and(|rollback| matches!(rollback.work, Work::Job(_)));
        run.path(at).as_str().len() + UNDONE_BYTES + UNDONE_JOB_BYTES * usize::from(is_job)
    });
    let undone = undone.fold(0, usize::saturating_add);
    let status = empty
        .saturating_add(full)
        .saturating_add(undone)
        .saturating_add(OUTPUT_TEXTS_BYTES_MAX);
    if status > RECORD_BYTES_MAX {
        let kind = ProblemKind::RecordTooLarge {
            what: "the status",
            found: status,
            max: RECORD_BYTES_MAX,
        };
        problems.push(Problem::error("spec.stages", kind));
    }
}
