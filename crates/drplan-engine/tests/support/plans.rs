//! Plans for tests: canonical forms from few words.

use std::collections::BTreeMap;

use drplan_api::{
    ActionName, GoDuration, StageName,
    canonical::{
        Action, Deferred, Doing, Http, Job, JobName, OnInterrupted, Plan, PlanFailurePolicy, RetryPolicy,
        Stage, Work, Workflow, WorkflowFailurePolicy, WorkflowUse,
    },
};
use drplan_engine::{ExecutionSource, PlanSource, Run, WorkflowSource, compile};
use serde_json::json;

pub(crate) const NAMESPACE: &str = "shop";
pub(crate) const UID: &str = "11111111-2222-3333-4444-555555555555";

/// An HTTP action: POST, one attempt.
pub(crate) fn call(name: &str) -> Action {
    let http = Http {
        url: format!("http://dr.example/{name}"),
        method: "POST".to_owned(),
        headers: BTreeMap::new(),
        headers_from: Vec::new(),
        body: None,
        body_from: None,
        success_codes: Vec::new(),
        follow_redirects: false,
        ca_bundle: None,
        insecure_skip_verify: false,
        save_body: false,
        on_interrupted: OnInterrupted::Repeat,
    };
    action(name, Work::Http(http))
}

/// A Job action with a written name, one attempt.
pub(crate) fn job(name: &str) -> Action {
    let pod = json!({"containers": [{"name": "c", "image": "busybox"}], "restartPolicy": "Never"});
    let job = Job {
        namespace: None,
        name: JobName::Fixed(name.to_owned()),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        spec: json!({"template": {"spec": pod}}),
        ttl_seconds_after_finished: None,
    };
    action(name, Work::Job(job))
}

/// An action, one attempt.
pub(crate) fn action(name: &str, work: Work) -> Action {
    Action {
        name: ActionName::new(name).unwrap(),
        doing: Doing {
            timeout: None,
            retry: None,
            work,
        },
        rollback: None,
    }
}

/// Retries after five seconds each.
pub(crate) fn retries(limit: u32) -> RetryPolicy {
    RetryPolicy {
        limit: Deferred::Value(limit),
        interval: Deferred::Value(GoDuration::from_secs(5)),
        backoff_multiplier: Deferred::Value(1.0),
        max_interval: Deferred::Value(GoDuration::from_secs(300)),
        codes: Vec::new(),
        on_timeout: false,
    }
}

/// A workflow without parameters.
pub(crate) fn workflow(failure_policy: WorkflowFailurePolicy, actions: Vec<Action>) -> Workflow {
    Workflow {
        parameters: Vec::new(),
        failure_policy,
        allowed_namespaces: Vec::new(),
        actions,
    }
}

/// A stage over workflows of the plan's namespace.
pub(crate) fn stage(name: &str, depends_on: &[&str], parallel: bool, workflows: &[&str]) -> Stage {
    let used = |name: &&str| WorkflowUse {
        name: (*name).to_owned(),
        namespace: None,
        params: Vec::new(),
    };
    Stage {
        name: StageName::new(name).unwrap(),
        depends_on: depends_on.iter().map(|name| (*name).to_owned()).collect(),
        parallel,
        workflows: workflows.iter().map(used).collect(),
    }
}

/// A plan without values.
pub(crate) fn plan(
    failure_policy: PlanFailurePolicy,
    timeout: Option<GoDuration>,
    stages: Vec<Stage>,
) -> Plan {
    Plan {
        service_account_name: None,
        suspend: false,
        timeout,
        global_params: Vec::new(),
        failure_policy,
        stages,
    }
}

/// The run of `plan` over `workflows` of its namespace, stored and read back.
pub(crate) fn run(plan: &Plan, workflows: &BTreeMap<String, Workflow>) -> Run {
    let workflows = workflows
        .iter()
        .map(|(name, workflow)| {
            let key = (NAMESPACE.to_owned(), name.clone());
            (key, WorkflowSource::Known(workflow.clone()))
        })
        .collect();
    let source = PlanSource {
        namespace: NAMESPACE,
        name: "failover",
        plan,
        workflows: &workflows,
        service_account_name: None,
        served_namespaces: None,
    };
    let execution = ExecutionSource {
        name: "failover-1",
        uid: UID,
        params: &[],
    };
    let compiled = compile(&source, &execution).unwrap_or_else(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", problems.join("\n"))
    });
    Run::new(compiled.snapshot)
}
