//! The plans of scripts: from their first lines to a run.

use std::collections::BTreeMap;

use drplan_api::{
    GoDuration, ParameterName,
    canonical::{
        Action, Deferred, Doing, OnInterrupted, Operation, Parameter, ParameterType, ParameterValue,
        PlanFailurePolicy, RetryPolicy, Stage, Supplied, Work, Workflow, WorkflowFailurePolicy,
    },
};
use drplan_engine::Run;

use crate::{
    object_actions::{self, Kind},
    plans,
};

/// The run that the first lines of a script describe.
pub(crate) fn read_plan(lines: &[&String]) -> Run {
    let mut policy = PlanFailurePolicy::Stop;
    let mut timeout = None;
    let mut stages: Vec<Stage> = Vec::new();
    let mut workflows: BTreeMap<String, Workflow> = BTreeMap::new();
    let mut values = Vec::new();
    for line in lines {
        let (head, tail) = line.split_once(':').unwrap_or((line.as_str(), ""));
        let mut words = head.split(' ').filter(|word| !word.is_empty());
        match words.next() {
            Some("plan") => {
                while let Some(word) = words.next() {
                    match word {
                        "Continue" => policy = PlanFailurePolicy::Continue,
                        "timeout" => timeout = Some(duration(words.next().unwrap())),
                        other => panic!("unknown word {other} of a plan"),
                    }
                }
                let tail = tail.trim();
                if tail.starts_with('[') {
                    stages.push(read_stage("s", &[], false, tail, &mut workflows));
                } else if !tail.is_empty() {
                    stages.push(read_stage("s", &[], false, &format!("[{tail}]"), &mut workflows));
                }
            }
            Some("stage") => {
                let name = words.next().unwrap();
                let (mut parallel, mut after) = (false, Vec::new());
                while let Some(word) = words.next() {
                    match word {
                        "parallel" => parallel = true,
                        "after" => after = words.next().unwrap().split(',').collect(),
                        other => panic!("unknown word {other} of a stage"),
                    }
                }
                stages.push(read_stage(name, &after, parallel, tail, &mut workflows));
            }
            Some("action") => {
                let action = find_action(&mut workflows, words.next().unwrap());
                read_options(&mut action.doing, tail);
            }
            Some("rollback") => {
                let name = words.next().unwrap();
                let (what, options) = tail.split_once(',').unwrap_or((tail, ""));
                let what = what.trim();
                let mut rollback = match what {
                    "call" => plans::call(&format!("undo-{name}")).doing,
                    what => read_action(what).doing,
                };
                read_options(&mut rollback, options);
                find_action(&mut workflows, name).rollback = Some(rollback);
            }
            Some("value") => values.push(value(words.next().unwrap(), tail.trim())),
            other => panic!("unknown line {other:?}"),
        }
    }
    for workflow in workflows.values_mut() {
        let declared = values.iter().map(|value| parameter(value.name.as_str()));
        workflow.parameters = declared.collect();
    }
    let mut plan = plans::plan(policy, timeout, stages);
    plan.global_params = values;
    plans::run(&plan, &workflows)
}

fn find_action<'a>(workflows: &'a mut BTreeMap<String, Workflow>, name: &str) -> &'a mut Action {
    let mut actions = workflows.values_mut().flat_map(|workflow| &mut workflow.actions);
    actions
        .find(|action| action.name.as_str() == name)
        .unwrap_or_else(|| panic!("no action {name}"))
}

/// A parameter that the plan gives a value.
fn parameter(name: &str) -> Parameter {
    Parameter {
        name: ParameterName::new(name).unwrap(),
        kind: ParameterType::String,
        required: true,
        default: None,
        value_from: None,
        overridable: false,
    }
}

/// A value for all workflows of a plan that declare the parameter.
fn value(name: &str, value: &str) -> ParameterValue {
    ParameterValue {
        name: ParameterName::new(name).unwrap(),
        supplied: Supplied::Value(value.into()),
    }
}

/// `[a -> b] [Continue: c -> job:d -> create:e]`.
fn read_stage(
    name: &str,
    after: &[&str],
    parallel: bool,
    text: &str,
    workflows: &mut BTreeMap<String, Workflow>,
) -> Stage {
    let mut used = Vec::new();
    for group in text.split('[').skip(1) {
        let inside = group.trim().trim_end_matches(']');
        let (policy, actions) = match inside.strip_prefix("Continue:") {
            Some(rest) => (WorkflowFailurePolicy::Continue, rest),
            None => (WorkflowFailurePolicy::FailFast, inside),
        };
        let actions = actions.split("->").map(|action| read_action(action.trim()));
        let key = format!("w{}", workflows.len());
        workflows.insert(key.clone(), plans::workflow(policy, actions.collect()));
        used.push(key);
    }
    let used: Vec<&str> = used.iter().map(String::as_str).collect();
    plans::stage(name, after, parallel, &used)
}

/// `call`, `job:sync`, `create:cm`, `apply:localization/east`, `patch:subscription/shop`, `delete:pod`.
fn read_action(text: &str) -> Action {
    let Some((what, of)) = text.split_once(':') else {
        return plans::call(text);
    };
    let (kind, name) = match of.split_once('/') {
        None => (Kind::ConfigMap, of),
        Some(("localization", name)) => (Kind::Localization, name),
        Some(("subscription", name)) => (Kind::Subscription, name),
        Some((other, _)) => panic!("unknown kind {other}"),
    };
    let operation = match what {
        "job" => return plans::job(of),
        "create" => Operation::Create,
        "apply" => Operation::Apply,
        "patch" => Operation::Patch,
        "delete" => Operation::Delete,
        other => panic!("unknown action {other}:"),
    };
    object_actions::object(name, operation, kind, name)
}

/// `retry 3, every 5s, x2, max 1m, codes 409 423, timeout 30s, method GET, onInterrupted Fail, onTimeout, body TEXT`;
/// of a call `save` (its answer is kept); of an action on an object `object NAME` (else it goes by the action's name), `force`.
fn read_options(doing: &mut Doing, text: &str) {
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (option, following) = match rest.strip_prefix("body ") {
            Some(_) => (rest, ""),
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        rest = following.trim();
        let (word, value) = option.split_once(' ').unwrap_or((option, ""));
        if word == "object" {
            act_on(doing, value);
            continue;
        }
        let mut retry =
            |change: &dyn Fn(&mut RetryPolicy)| change(doing.retry.as_mut().expect("`retry N` comes first"));
        match (word, &mut doing.work) {
            ("retry", _) => doing.retry = Some(plans::retries(value.parse().unwrap())),
            ("every", _) => retry(&|policy| policy.interval = Deferred::Value(duration(value))),
            ("max", _) => retry(&|policy| policy.max_interval = Deferred::Value(duration(value))),
            ("onTimeout", _) => retry(&|policy| policy.on_timeout = true),
            ("codes", _) => {
                retry(&|policy| policy.codes = value.split(' ').map(|code| code.parse().unwrap()).collect());
            }
            ("timeout", _) => doing.timeout = Some(Deferred::Value(duration(value))),
            ("force", Work::KubernetesResource(resource)) => resource.force = true,
            ("save", Work::Http(http)) => http.save_body = true,
            ("method", Work::Http(http)) => http.method = value.to_owned(),
            ("body", Work::Http(http)) => http.body = Some(value.to_owned()),
            ("onInterrupted", Work::Http(http)) if value == "Fail" => {
                http.on_interrupted = OnInterrupted::Fail
            }
            (factor, _) if factor.starts_with('x') => {
                let factor: f64 = factor[1..].parse().unwrap();
                retry(&|policy| policy.backoff_multiplier = Deferred::Value(factor));
            }
            (other, _) => panic!("unknown option {other}"),
        }
    }
}

/// Has `doing` act on the object that goes by `object`.
fn act_on(doing: &mut Doing, object: &str) {
    match &mut doing.work {
        Work::KubernetesResource(resource) => resource.manifest = object_actions::manifest(object),
        Work::Localization(localization) => localization.name = object.to_owned(),
        Work::Subscription(subscription) => subscription.name = object.to_owned(),
        Work::Http(_) | Work::Job(_) => panic!("there is no object {object} to act on"),
    }
}

pub(crate) fn duration(text: &str) -> GoDuration {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}
