//! Every accepted spelling, as data for tests: of [`crate::normalise`], and of a real API
//! server that must not prune any of them.

use serde_json::{Value, json};

/// One row: manifests that mean the same, and manifests whose two spellings contradict each other.
#[derive(Clone, Debug)]
pub struct Row {
    /// What is spelled.
    pub name: &'static str,
    /// Complete manifests that normalise to one canonical form; the canonical spelling first. All are in namespace
    /// `default` and have the same metadata.
    pub same: Vec<Value>,
    /// Complete manifests that are refused, each with the two spellings that the problem names.
    pub different: Vec<(Value, &'static str, &'static str)>,
}

/// All rows.
pub fn rows() -> Vec<Row> {
    let mut rows = policies();
    rows.extend(parameters());
    rows.extend(executions());
    rows.extend(timeouts());
    rows.extend(retries());
    rows.push(success_codes());
    rows.extend(sources());
    rows.push(plan_of_one_workflow());
    rows.extend(job_templates());
    rows.extend(localizations());
    rows
}

/// A row of manifests that cannot contradict each other.
fn row(name: &'static str, same: Vec<Value>) -> Row {
    Row {
        name,
        same,
        different: Vec::new(),
    }
}

fn manifest(kind: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "dr.bkbcs.tencent.com/v1alpha1",
        "kind": kind,
        "metadata": {"name": "spelling", "namespace": "default"},
        "spec": spec,
    })
}

/// `action` and `more`, field by field, in a workflow that declares the parameters they may refer to.
fn action(base: Value, more: Value) -> Value {
    let parameters = json!([{"name": "timeout"}, {"name": "replicas"}]);
    let spec = json!({"parameters": parameters, "actions": [merged(base, more)]});
    manifest("DRWorkflow", spec)
}

/// `base` with the fields of `more`, objects merged.
fn merged(base: Value, more: Value) -> Value {
    match (base, more) {
        (Value::Object(mut base), Value::Object(more)) => {
            for (key, value) in more {
                let value = match base.remove(&key) {
                    Some(old) => merged(old, value),
                    None => value,
                };
                base.insert(key, value);
            }
            Value::Object(base)
        }
        (_, more) => more,
    }
}

fn http() -> Value {
    json!({"name": "call", "type": "HTTP", "http": {"url": "https://dns.example.com/switch"}})
}

fn job() -> Value {
    json!({"name": "load", "type": "Job", "job": {"template": {"spec": pod_spec()}}})
}

fn pod_spec() -> Value {
    json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "tool:1"}]})
}

fn policies() -> Vec<Row> {
    let workflow = |policy: &str| {
        let spec = json!({"failurePolicy": policy, "actions": [http()]});
        manifest("DRWorkflow", spec)
    };
    let plan = |policy: &str| {
        let spec = json!({"failurePolicy": policy, "workflowRef": {"name": "w"}});
        manifest("DRPlan", spec)
    };
    vec![
        row(
            "workflow failurePolicy",
            vec![workflow("FailFast"), workflow("Stop")],
        ),
        row("plan failurePolicy", vec![plan("Stop"), plan("FailFast")]),
    ]
}

fn parameters() -> Vec<Row> {
    let declared = |kind: &str| {
        let spec = json!({"parameters": [{"name": "p", "type": kind}], "actions": [http()]});
        manifest("DRWorkflow", spec)
    };
    let mut rows = vec![
        row(
            "parameter type int",
            vec![declared("int"), declared("integer"), declared("number")],
        ),
        row("parameter type bool", vec![declared("bool"), declared("boolean")]),
    ];
    // Scalars are kept as written until they are converted, so each is a row of its own.
    for scalar in [json!("text"), json!(3), json!(1.5), json!(true)] {
        let default = json!({"parameters": [{"name": "p", "default": scalar}], "actions": [http()]});
        rows.push(row("parameter default", vec![manifest("DRWorkflow", default)]));
        let value = json!([{"name": "p", "value": scalar}]);
        let plan = json!({"globalParams": value, "stages": [
            {"name": "s", "workflows": [{"workflowRef": {"name": "w"}, "params": value}]},
        ]});
        rows.push(row("parameter value in a plan", vec![manifest("DRPlan", plan)]));
        let execution = json!({"planRef": "shop", "operationType": "Execute", "params": value});
        rows.push(row(
            "parameter value in an execution",
            vec![manifest("DRPlanExecution", execution)],
        ));
    }
    rows
}

fn executions() -> Vec<Row> {
    let execution = |spec: Value| manifest("DRPlanExecution", spec);
    let references = |name: &str| {
        [
            json!(name),
            json!({"name": name}),
            json!({"name": name, "namespace": "default"}),
        ]
    };
    let plan = |plan: Value| execution(json!({"planRef": plan, "operationType": "Execute"}));
    let revert = |target: Value| {
        let spec = json!({"planRef": "shop", "operationType": "Revert", "revertExecutionRef": target});
        execution(spec)
    };
    let operation = |fields: Value| execution(merged(json!({"planRef": "shop"}), fields));
    vec![
        row("planRef", references("shop").map(plan).to_vec()),
        row("revertExecutionRef", references("shop-001").map(revert).to_vec()),
        Row {
            name: "operationType",
            same: vec![
                operation(json!({"operationType": "Execute"})),
                operation(json!({"operation": "Execute"})),
                operation(json!({"operationType": "Execute", "operation": "Execute"})),
            ],
            different: vec![(
                operation(json!({"operationType": "Execute", "operation": "Revert"})),
                "operationType",
                "operation",
            )],
        },
    ]
}

fn timeouts() -> Vec<Row> {
    let in_http = |more: Value| action(http(), more);
    let in_job = |more: Value| action(job(), more);
    let in_rollback = |more: Value| {
        let rollback = merged(
            json!({"type": "HTTP", "http": {"url": "https://dns.example.com/back"}}),
            more,
        );
        action(http(), json!({"rollback": rollback}))
    };
    vec![
        Row {
            name: "timeout of HTTP",
            same: vec![
                in_http(json!({"timeout": "90s"})),
                in_http(json!({"timeout": "1m30s"})),
                in_http(json!({"http": {"timeout": "90s"}})),
                in_http(json!({"timeout": "90s", "http": {"timeout": "90s"}})),
            ],
            different: vec![(
                in_http(json!({"timeout": "90s", "http": {"timeout": "30s"}})),
                "timeout",
                "http.timeout",
            )],
        },
        Row {
            name: "timeout of Job",
            same: vec![
                in_job(json!({"timeout": "10m"})),
                in_job(json!({"job": {"timeout": "600s"}})),
                in_job(json!({"timeout": "10m", "job": {"timeout": "10m"}})),
            ],
            different: vec![(
                in_job(json!({"timeout": "10m", "job": {"timeout": "5m"}})),
                "timeout",
                "job.timeout",
            )],
        },
        Row {
            name: "timeout of a rollback",
            same: vec![
                in_rollback(json!({"timeout": "90s"})),
                in_rollback(json!({"http": {"timeout": "90s"}})),
                in_rollback(json!({"timeout": "90s", "http": {"timeout": "90s"}})),
            ],
            different: vec![(
                in_rollback(json!({"timeout": "90s", "http": {"timeout": "30s"}})),
                "timeout",
                "http.timeout",
            )],
        },
        row(
            "templated timeout",
            vec![
                in_http(json!({"timeout": "{{ .params.timeout }}"})),
                in_http(json!({"http": {"timeout": "{{ .params.timeout }}"}})),
            ],
        ),
    ]
}

fn retries() -> Vec<Row> {
    let policy = json!({
        "limit": 3, "interval": "5s", "backoffMultiplier": 2, "maxInterval": "5m", "codes": [409], "onTimeout": false,
    });
    let other = json!({"limit": 4});
    let with_backoff = |more: Value| {
        let retry = merged(json!({"limit": 3}), more);
        action(http(), json!({"retryPolicy": retry}))
    };
    let spelled = |base: fn() -> Value, block: &'static str, names: [&'static str; 4]| {
        let [on_action, short, in_block, short_in_block] = names;
        Row {
            name: if block == "http" {
                "retryPolicy of HTTP"
            } else {
                "retryPolicy of Job"
            },
            same: vec![
                action(base(), json!({"retryPolicy": policy})),
                action(base(), json!({"retry": policy})),
                action(base(), json!({block: {"retryPolicy": policy}})),
                action(base(), json!({block: {"retry": policy}})),
                action(base(), json!({"retryPolicy": policy, "retry": policy})),
                action(
                    base(),
                    json!({"retryPolicy": policy, block: {"retryPolicy": policy}}),
                ),
                action(base(), json!({"retryPolicy": policy, block: {"retry": policy}})),
            ],
            different: vec![
                (
                    action(base(), json!({"retryPolicy": policy, "retry": other})),
                    on_action,
                    short,
                ),
                (
                    action(
                        base(),
                        json!({"retryPolicy": policy, block: {"retryPolicy": other}}),
                    ),
                    on_action,
                    in_block,
                ),
                (
                    action(base(), json!({"retry": policy, block: {"retry": other}})),
                    short,
                    short_in_block,
                ),
            ],
        }
    };
    vec![
        spelled(
            http,
            "http",
            ["retryPolicy", "retry", "http.retryPolicy", "http.retry"],
        ),
        spelled(
            job,
            "job",
            ["retryPolicy", "retry", "job.retryPolicy", "job.retry"],
        ),
        Row {
            name: "backoffMultiplier",
            same: vec![
                with_backoff(json!({"backoffMultiplier": 2})),
                with_backoff(json!({"backoffMultiplier": "2"})),
                with_backoff(json!({"backoff": 2})),
                with_backoff(json!({"backoff": "2.0"})),
                with_backoff(json!({"backoffMultiplier": 2, "backoff": "2"})),
            ],
            different: vec![(
                with_backoff(json!({"backoffMultiplier": 2, "backoff": 3})),
                "backoffMultiplier",
                "backoff",
            )],
        },
    ]
}

fn success_codes() -> Row {
    let codes = |more: Value| action(http(), json!({"http": more}));
    Row {
        name: "successCodes",
        same: vec![
            codes(json!({"successCodes": [200, 202]})),
            codes(json!({"expectedStatusCodes": [200, 202]})),
            codes(json!({"successCodes": [200, 202], "expectedStatusCodes": [202, 200]})),
        ],
        different: vec![(
            codes(json!({"successCodes": [200], "expectedStatusCodes": [202]})),
            "successCodes",
            "expectedStatusCodes",
        )],
    }
}

fn sources() -> Vec<Row> {
    let key = json!({"name": "db", "key": "password"});
    let mut rows = Vec::new();
    for kind in ["secretKeyRef", "configMapKeyRef"] {
        let wrapped = json!({"valueFrom": {kind: key}});
        let short = json!({kind: key});
        let body = |from: &Value| action(http(), json!({"http": {"bodyFrom": from}}));
        rows.push(row("bodyFrom", vec![body(&short), body(&wrapped)]));
        let header = |from: &Value| {
            let header = merged(json!({"name": "Authorization"}), from.clone());
            action(http(), json!({"http": {"headersFrom": [header]}}))
        };
        rows.push(row("headersFrom", vec![header(&wrapped), header(&short)]));
        let value = json!([merged(json!({"name": "p"}), wrapped.clone())]);
        let plan = json!({"globalParams": value, "stages": [
            {"name": "s", "workflows": [{"workflowRef": {"name": "w"}, "params": value}]},
        ]});
        rows.push(row("valueFrom in a plan", vec![manifest("DRPlan", plan)]));
        let declared = json!({"parameters": value, "actions": [http()]});
        rows.push(row(
            "valueFrom of a parameter",
            vec![manifest("DRWorkflow", declared)],
        ));
    }
    rows
}

fn plan_of_one_workflow() -> Row {
    let workflow = json!({"name": "w", "namespace": "other"});
    let params = json!([{"name": "p", "value": "v"}]);
    let stages = json!({"stages": [
        {"name": "default", "workflows": [{"workflowRef": workflow, "params": params}]},
    ]});
    let short = json!({"workflowRef": workflow, "params": params});
    Row {
        name: "plan of one workflow",
        same: vec![
            manifest("DRPlan", stages.clone()),
            manifest("DRPlan", short.clone()),
        ],
        different: vec![(manifest("DRPlan", merged(stages, short)), "workflowRef", "stages")],
    }
}

fn job_templates() -> Vec<Row> {
    let base = || json!({"name": "load", "type": "Job"});
    let pod = json!({"metadata": {"labels": {"app": "load"}}, "spec": pod_spec()});
    let pod_template = |more: Value| action(base(), json!({"job": merged(json!({"template": pod}), more)}));
    let job_template = |more: Value| {
        let template = json!({"template": {"spec": {"template": pod}}});
        action(base(), json!({"job": merged(template, more)}))
    };
    let spec = |more: Value| json!({"template": {"spec": more}});
    let metadata = |more: Value| json!({"template": {"metadata": more}});
    let field =
        |name: &'static str, inside_name: &'static str, beside: Value, inside: Value, other: Value| Row {
            name,
            same: vec![
                pod_template(beside.clone()),
                job_template(beside.clone()),
                job_template(inside.clone()),
                job_template(merged(beside, inside.clone())),
            ],
            different: vec![(job_template(merged(other, inside)), name, inside_name)],
        };
    vec![
        row(
            "Job template",
            vec![pod_template(json!({})), job_template(json!({}))],
        ),
        field(
            "backoffLimit",
            "template.spec.backoffLimit",
            json!({"backoffLimit": 2}),
            spec(json!({"backoffLimit": 2})),
            json!({"backoffLimit": 0}),
        ),
        field(
            "ttlSecondsAfterFinished",
            "template.spec.ttlSecondsAfterFinished",
            json!({"ttlSecondsAfterFinished": 60}),
            spec(json!({"ttlSecondsAfterFinished": 60})),
            json!({"ttlSecondsAfterFinished": 0}),
        ),
        field(
            "namespace",
            "template.metadata.namespace",
            json!({"namespace": "jobs"}),
            metadata(json!({"namespace": "jobs"})),
            json!({"namespace": "others"}),
        ),
        field(
            "name",
            "template.metadata.name",
            json!({"name": "load-data"}),
            metadata(json!({"name": "load-data"})),
            json!({"name": "load-more"}),
        ),
        field(
            "generateName",
            "template.metadata.generateName",
            json!({"generateName": "load-"}),
            metadata(json!({"generateName": "load-"})),
            json!({"generateName": "fetch-"}),
        ),
    ]
}

fn localizations() -> Vec<Row> {
    let base = || {
        json!({"name": "scale", "type": "Localization", "localization": {
            "operation": "Create", "name": "shop", "overridePolicy": "ApplyNow",
            "feed": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "namespace": "prod"},
        }})
    };
    let localization = |more: Value| action(base(), json!({"localization": more}));
    let replace = |value: Value, text: &str| {
        let name = "replace /spec/replicas";
        let long = json!({"overrides": [{"name": name, "type": "JSONPatch", "value": text}]});
        let short = json!({"overrides": [{"path": "/spec/replicas", "value": value}]});
        let typed = json!({"overrides": [{"path": "/spec/replicas", "type": "JSONPatch", "value": value}]});
        [long, short, typed]
            .map(|more| localization(merged(json!({"namespace": "c1"}), more)))
            .to_vec()
    };
    vec![
        Row {
            name: "Localization namespace",
            same: vec![
                localization(json!({"namespace": "c1"})),
                localization(json!({"clusterNamespace": "c1"})),
                localization(json!({"namespace": "c1", "clusterNamespace": "c1"})),
            ],
            different: vec![(
                localization(json!({"namespace": "c1", "clusterNamespace": "c2"})),
                "namespace",
                "clusterNamespace",
            )],
        },
        row(
            "override by path",
            replace(
                json!(3),
                "- op: replace\n  path: \"/spec/replicas\"\n  value: 3\n",
            ),
        ),
        row(
            "override by path, templated",
            replace(
                json!("{{ .params.replicas }}"),
                "- op: replace\n  path: \"/spec/replicas\"\n  value: {{ .params.replicas }}\n",
            ),
        ),
    ]
}
