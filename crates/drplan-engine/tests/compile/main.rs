//! From manifests to a snapshot, or to all problems at once.

#![expect(clippy::unwrap_used, reason = "a test harness: a panic is how it tells")]

use std::collections::BTreeMap;

use drplan_api::{
    Problem, Severity, canonical::ParameterValue, normalise_execution, normalise_plan, normalise_workflow,
    problem::any_error,
};
use drplan_engine::{
    Compiled, ExecutionSource, PlanSource, Run, Snapshot, SnapshotError, WorkflowKey, WorkflowSource,
    compile, snapshot::sha256_hex, workflow_keys,
};
use serde_json::{Value, json};

/// A plan of namespace `shop` with its workflows, as they are written.
struct Given {
    plan: Value,
    workflows: BTreeMap<WorkflowKey, WorkflowSource>,
    params: Vec<ParameterValue>,
    /// An execution compiles it, not only a check of the plan.
    executed: bool,
    served: Option<Vec<String>>,
}

/// `plan` is the plan's spec.
fn given(plan: Value) -> Given {
    Given {
        plan,
        workflows: BTreeMap::new(),
        params: Vec::new(),
        executed: false,
        served: None,
    }
}

impl Given {
    /// A workflow of namespace `shop`, or of the namespace before the `/`.
    fn workflow(mut self, name: &str, spec: Value) -> Self {
        let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
        let found = normalise_workflow(&serde_json::from_value(spec).unwrap());
        let source = match found.value {
            Some(workflow) if !any_error(&found.problems) => WorkflowSource::Known(workflow),
            _ => WorkflowSource::Invalid(found.problems),
        };
        self.workflows
            .insert((namespace.to_owned(), name.to_owned()), source);
        self
    }

    /// An execution with these values.
    fn executed(mut self, params: Value) -> Self {
        let spec = json!({"planRef": "failover", "operationType": "Execute", "params": params});
        let request = normalise_execution(&serde_json::from_value(spec).unwrap(), "shop");
        self.params = request.value.unwrap().params;
        self.executed = true;
        self
    }

    fn served(mut self, namespaces: &[&str]) -> Self {
        self.served = Some(namespaces.iter().map(ToString::to_string).collect());
        self
    }

    fn compile(&self) -> Result<Compiled, Vec<Problem>> {
        let plan = normalise_plan(&serde_json::from_value(self.plan.clone()).unwrap(), "shop");
        let plan = plan.value.unwrap_or_else(|| panic!("{:?}", plan.problems));
        let source = PlanSource {
            namespace: "shop",
            name: "failover",
            plan: &plan,
            workflows: &self.workflows,
            service_account_name: Some("dr-shop"),
            served_namespaces: self.served.as_deref(),
        };
        let (name, uid) = if self.executed {
            ("failover-1", "uid-1")
        } else {
            ("", "")
        };
        compile(
            &source,
            &ExecutionSource {
                name,
                uid,
                params: &self.params,
            },
        )
    }

    /// Everything that is said, in order; warnings with a mark.
    fn says(&self, expected: &[&str]) {
        let problems = match self.compile() {
            Ok(compiled) => compiled.warnings,
            Err(problems) => {
                assert!(any_error(&problems), "refused without an error");
                problems
            }
        };
        let said: Vec<String> = problems
            .iter()
            .map(|problem| match problem.severity {
                Severity::Error => problem.to_string(),
                Severity::Warning => format!("warning: {problem}"),
            })
            .collect();
        assert_eq!(said, expected, "\nsaid:\n{}\n", said.join("\n"));
    }

    fn snapshot(&self) -> Snapshot {
        self.compile()
            .unwrap_or_else(|problems| panic!("{problems:?}"))
            .snapshot
    }

    /// The values of the first use of a workflow.
    fn values(&self) -> Value {
        serde_json::to_value(&self.snapshot().stages[0].uses[0].values).unwrap()
    }
}

/// A workflow of one call.
fn calls(url: &str) -> Value {
    json!({"actions": [{"name": "call", "type": "HTTP", "http": {"url": url}}]})
}

/// A workflow of one call with these parameters.
fn with_parameters(parameters: Value, url: &str) -> Value {
    json!({"parameters": parameters, "actions": [{"name": "call", "type": "HTTP", "http": {"url": url}}]})
}

fn stages(stages: &[(&str, &[&str])]) -> Value {
    let stages: Vec<Value> = stages
        .iter()
        .map(|(name, depends_on)| {
            json!({"name": name, "dependsOn": depends_on, "workflows": [{"workflowRef": {"name": "w"}}]})
        })
        .collect();
    json!({ "stages": stages })
}

/// One stage with one workflow `w`.
fn simple() -> Value {
    json!({"workflowRef": {"name": "w"}})
}

const OBJECT: &str = "DRWorkflow shop/w as spec.stages[0].workflows[0]";

#[test]
fn stages_without_depends_on_wait_for_the_one_before() {
    let plan = given(stages(&[("a", &[]), ("b", &[]), ("c", &[])])).workflow("w", calls("http://x"));
    let after: Vec<Vec<usize>> = plan
        .snapshot()
        .stages
        .into_iter()
        .map(|stage| stage.after)
        .collect();
    assert_eq!(after, [vec![], vec![0], vec![1]]);
}

/// Covers FR-023b.
#[test]
fn with_depends_on_the_graph_rules_and_a_lone_stage_is_warned_of() {
    let plan = given(stages(&[("a", &[]), ("b", &["a", "a"]), ("c", &[])])).workflow("w", calls("http://x"));
    let after: Vec<Vec<usize>> = plan
        .snapshot()
        .stages
        .into_iter()
        .map(|stage| stage.after)
        .collect();
    assert_eq!(after, [vec![], vec![0], vec![]]);
    plan.says(&[
        "warning: spec.stages[2]: stage `c` depends on nothing and so starts at once, beside the first stage",
    ]);
}

/// Covers US4a.2, FR-022, FR-023c.
#[test]
fn circles_unknown_stages_and_missing_workflows_are_told_together() {
    let mut plan = stages(&[
        ("a", &["c"]),
        ("b", &["a", "nowhere"]),
        ("c", &["b"]),
        ("d", &["d"]),
    ]);
    plan["stages"][3]["workflows"][0]["workflowRef"]["name"] = json!("other");
    given(plan).says(&[
        "spec.stages[1].dependsOn[1]: stage `nowhere` does not exist; this plan has a, b, c, d",
        "spec.stages: stages wait for each other in a circle: b -> c -> a -> b; take one of these dependsOn out",
        "spec.stages[0].workflows[0].workflowRef: workflow `shop/w` does not exist; create it, or correct the reference",
        "spec.stages[3].workflows[0].workflowRef: workflow `shop/other` does not exist; create it, or correct the reference",
    ]);
}

#[test]
fn a_workflow_of_another_namespace_must_allow_the_plans() {
    let plan = || json!({"workflowRef": {"name": "w", "namespace": "lib"}});
    given(plan()).workflow("lib/w", calls("http://x")).says(&[
        "spec.stages[0].workflows[0].workflowRef: workflow `lib/w` does not allow plans of namespace `shop`; \
         add it to its spec.allowedNamespaces or copy the workflow",
    ]);
    let mut allowed = calls("http://x");
    allowed["allowedNamespaces"] = json!(["bank", "shop"]);
    given(plan()).workflow("lib/w", allowed).says(&[]);
}

#[test]
fn references_and_jobs_outside_the_served_namespaces_name_the_flag() {
    let plan = json!({"workflowRef": {"name": "w", "namespace": "lib"}});
    given(plan).workflow("lib/w", calls("http://x")).served(&["shop"]).says(&[
        "spec.stages[0].workflows[0].workflowRef: namespace `lib` is outside the namespaces this operator serves; \
         add --namespace lib to it",
    ]);
    let job = json!({"parameters": [{"name": "ns", "default": "bank"}], "actions": [{
        "name": "sync", "type": "Job", "job": {"namespace": "{{ .params.ns }}", "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}},
    }]});
    given(simple()).workflow("w", job).served(&["shop"]).says(&[
        "DRWorkflow shop/w as spec.stages[0].workflows[0]: spec.actions[0].job.namespace: namespace `bank` is outside \
         the namespaces this operator serves; add --namespace bank to it",
    ]);
}

/// Covers US2.3, FR-009.
#[test]
fn problems_of_a_workflow_are_told_once_and_name_it() {
    let plan = json!({"stages": [{"name": "a", "workflows": [
        {"workflowRef": {"name": "w"}}, {"workflowRef": {"name": "w"}},
    ]}]});
    given(plan).workflow("w", calls("http://{{ .params.host }}")).says(&[
        "DRWorkflow shop/w: spec.actions[0].http.url: template: parameter `host` is not declared; add it to \
         spec.parameters of the workflow (it declares none) (line 1, column 11)",
    ]);
    given(simple())
        .workflow("w", json!({"actions": []}))
        .says(&["DRWorkflow shop/w: spec.actions: is missing; write at least one action"]);
}

/// Covers US4.1, US4a.6, FR-008, FR-020, FR-020a.
#[test]
fn values_override_each_other_from_default_to_execution() {
    let workflow = with_parameters(
        json!([
            {"name": "default", "default": "workflow"}, {"name": "global", "default": "workflow"},
            {"name": "stage", "default": "workflow"}, {"name": "execution", "default": "workflow"},
            {"name": "none"}, {"name": "number", "type": "integer", "default": "7"}, {"name": "yes", "type": "boolean", "default": true},
        ]),
        "http://x",
    );
    let value = |name: &str, value: &str| json!({"name": name, "value": value});
    let plan = json!({
        "globalParams": [value("global", "plan"), value("stage", "plan"), value("execution", "plan")],
        "stages": [{"name": "a", "workflows": [{"workflowRef": {"name": "w"}, "params": [
            value("stage", "stage"), value("execution", "stage"),
        ]}]}],
    });
    let given = given(plan)
        .workflow("w", workflow)
        .executed(json!([value("execution", "execution")]));
    assert_eq!(
        given.values(),
        json!({
            "default": "workflow", "global": "plan", "stage": "stage", "execution": "execution",
            "none": "", "number": 7, "yes": true,
        })
    );
    given.says(&[]);
}

/// Covers US2.2, US4.2, EC-8, FR-008, FR-021.
#[test]
fn values_that_are_missing_do_not_convert_or_may_not_be_set_are_told_together() {
    let workflow = with_parameters(
        json!([
            {"name": "must", "required": true},
            {"name": "fine", "required": true, "default": "x"},
            {"name": "count", "type": "int"},
            {"name": "flag", "type": "bool"},
            {"name": "fixed", "overridable": false},
        ]),
        "http://x",
    );
    let plan = json!({
        "workflowRef": {"name": "w"},
        "globalParams": [{"name": "count", "value": "many"}],
        "params": [{"name": "flag", "value": "yes"}],
    });
    given(plan)
        .workflow("w", workflow)
        .executed(json!([{"name": "fixed", "value": "x"}]))
        .says(&[
            "spec.stages[0].workflows[0]: parameter `must` of workflow `shop/w` is required and has no value; add it \
             to params or globalParams",
            "spec.globalParams[0].value: the value of parameter `count` is not of its type; write a whole number of 64 bits, such as 3",
            "spec.stages[0].workflows[0].params[0].value: the value of parameter `flag` is not of its type; write true or false",
            "execution: spec.params[0]: parameter `fixed` of workflow `shop/w` may not be set by an execution \
             (overridable: false); set it in the plan",
        ]);
}

/// Covers US2.2, FR-021, FR-021a.
#[test]
fn a_required_value_is_given_by_the_plan_or_by_the_stage() {
    let value = json!([{"name": "site", "value": "b"}]);
    let plan = |global: &Value, stage: &Value| {
        let used = json!({"workflowRef": {"name": "w"}, "params": stage});
        let plan = json!({"globalParams": global, "stages": [{"name": "s", "workflows": [used]}]});
        let workflow = with_parameters(json!([{"name": "site", "required": true}]), "http://x");
        given(plan).workflow("w", workflow)
    };
    let none = json!([]);
    plan(&value, &none).says(&[]);
    plan(&none, &value).says(&[]);
    plan(&none, &none).says(&[
        "spec.stages[0].workflows[0]: parameter `site` of workflow `shop/w` is required and has no value; add it to \
         params or globalParams",
    ]);
}

/// Covers US4.3.
#[test]
fn values_that_no_workflow_declares_are_warned_of() {
    let plan = json!({
        "globalParams": [{"name": "a", "value": 1}],
        "stages": [{"name": "s", "workflows": [{"workflowRef": {"name": "w"}, "params": [{"name": "b", "value": 1}]}]}],
    });
    let unused =
        |name: &str| format!("no workflow of this plan declares parameter `{name}`; the value is not used");
    given(plan)
        .workflow("w", calls("http://x"))
        .executed(json!([{"name": "c", "value": 1}]))
        .says(&[
            &format!("warning: spec.globalParams[0]: {}", unused("a")),
            &format!("warning: execution: spec.params[0]: {}", unused("c")),
            &format!("warning: spec.stages[0].workflows[0].params[0]: {}", unused("b")),
        ]);
}

/// Covers EC-9.
#[test]
fn values_never_refer_to_others_and_are_never_evaluated() {
    let workflow = with_parameters(json!([{"name": "a"}, {"name": "b"}]), "http://x");
    let plan = json!({"workflowRef": {"name": "w"}, "globalParams": [
        {"name": "a", "value": "{{ .params.b }}"}, {"name": "b", "value": "secret"},
    ]});
    assert_eq!(
        given(plan).workflow("w", workflow).values()["a"],
        "{{ .params.b }}"
    );
}

#[test]
fn templates_read_only_what_exists() {
    let url = |url: &str| json!({"url": url});
    let workflow = json!({
        "parameters": [{"name": "host", "default": "h"}],
        "actions": [
            {"name": "first", "type": "HTTP", "http": url("http://{{ .params.hots }}/{{ .outputs.second.statusCode }}")},
            {"name": "second", "type": "HTTP", "http": url("http://{{ .planNmae }}/{{ .outputs.first.status }}/{{ .outputs.first.statusCode }}"),
             "rollback": {"type": "HTTP", "http": url("http://h/{{ .outputs.second.statusCode }}{{ .outputs.third.body }}")}},
        ],
    });
    given(simple()).workflow("w", workflow).says(&[
        "DRWorkflow shop/w: spec.actions[0].http.url: template: parameter `hots` is not declared; add it to \
         spec.parameters of the workflow (it declares host) (line 1, column 11)",
        "DRWorkflow shop/w: spec.actions[0].http.url: template: `.outputs.second`: no action of that name runs earlier \
         in this workflow; none does (line 1, column 30)",
        "DRWorkflow shop/w: spec.actions[1].http.url: template: `.outputs.first.status` does not exist; outputs have \
         statusCode, duration, body, jobRef, exitCode, message, localizationRef, subscriptionRef, resourceRef \
         (line 1, column 27)",
        "DRWorkflow shop/w: spec.actions[1].http.url: template: `.planNmae` does not exist; templates see .params, \
         .outputs, .planName, .planNamespace, .executionName, .executionUID, .workflowName, .stageName, .timestamp, \
         .executionStartTime (line 1, column 11)",
        "DRWorkflow shop/w: spec.actions[1].rollback.http.url: template: `.outputs.third`: no action of that name runs \
         earlier in this workflow; those that do: first, second (line 1, column 45)",
    ]);
}

#[test]
fn a_text_that_is_no_template_is_told_where_it_stands() {
    let problems = given(simple())
        .workflow("w", calls("http://{{ .params.host"))
        .compile()
        .unwrap_err();
    let said = problems[0].to_string();
    let place = "DRWorkflow shop/w: spec.actions[0].http.url: template: line 1, column ";
    assert!(problems.len() == 1 && said.starts_with(place), "{said}");
}

#[test]
fn durations_and_numbers_by_template_are_checked_with_the_values() {
    let workflow = |timeout: &str, limit: &str| {
        json!({
            "parameters": [{"name": "timeout", "default": timeout}, {"name": "limit", "type": "int", "default": limit}],
            "actions": [{
                "name": "call", "type": "HTTP", "http": {"url": "http://x"}, "timeout": "{{ .params.timeout }}",
                "retryPolicy": {"limit": "{{ .params.limit }}", "interval": "{{ .params.timeout }}", "backoffMultiplier": "{{ .params.limit }}"},
            }],
        })
    };
    given(simple()).workflow("w", workflow("90s", "3")).says(&[]);
    let said = |field: &str, message: &str| format!("{OBJECT}: spec.actions[0].{field}: {message}");
    given(simple()).workflow("w", workflow("25h", "101")).says(&[
        &said("timeout", "template: renders to what is not at most 24h"),
        &said(
            "retryPolicy.limit",
            "template: renders to what is not a whole number from 0 to 100",
        ),
        &said(
            "retryPolicy.interval",
            "template: renders to what is not at most 24h",
        ),
    ]);
    given(simple()).workflow("w", workflow("soon", "0")).says(&[
        &said(
            "timeout",
            "is not a duration; write a number and a unit, such as 30s, 5m or 1h30m",
        ),
        &said(
            "retryPolicy.interval",
            "is not a duration; write a number and a unit, such as 30s, 5m or 1h30m",
        ),
        &said(
            "retryPolicy.backoffMultiplier",
            "template: renders to what is not a number of 1 or more",
        ),
    ]);
}

#[test]
fn what_would_not_render_warns_a_plan_and_refuses_an_execution() {
    let workflow = || {
        json!({"parameters": [{"name": "url"}, {"name": "n", "default": "x"}], "actions": [
            {"name": "call", "type": "HTTP", "http": {"url": "{{ .params.url }}"}},
            {"name": "job", "type": "Job", "job": {"template": {"spec": {"restartPolicy": "Never",
                "terminationGracePeriodSeconds": "{{ .params.n }}", "containers": [{"name": "c", "image": "i"}]}}}},
        ]})
    };
    let url = format!(
        "{OBJECT}: spec.actions[0].http.url: template: renders to what is not a URL that can be called, http://… or https://…"
    );
    let number = format!(
        "{OBJECT}: spec.actions[1].job.template.spec.terminationGracePeriodSeconds: template: does not render to a \
         whole number, which this field takes"
    );
    given(simple())
        .workflow("w", workflow())
        .says(&[&format!("warning: {url}"), &format!("warning: {number}")]);
    given(simple())
        .workflow("w", workflow())
        .executed(json!([]))
        .says(&[&url, &number]);
    let values = json!([{"name": "url", "value": "https://dr.example"}, {"name": "n", "value": 30}]);
    given(simple())
        .workflow("w", workflow())
        .executed(values)
        .says(&[]);
}

#[test]
fn what_depends_on_outputs_is_left_to_the_run() {
    let workflow = json!({"actions": [
        {"name": "a", "type": "HTTP", "http": {"url": "http://x"}},
        {"name": "b", "type": "HTTP", "http": {"url": "{{ .outputs.a.body }}"}, "timeout": "{{ .outputs.a.statusCode }}s"},
    ]});
    given(simple())
        .workflow("w", workflow)
        .executed(json!([]))
        .says(&[]);
}

#[test]
fn a_plan_whose_record_could_grow_too_large_is_refused_with_the_figure() {
    let actions: Vec<Value> = (0..150)
        .map(|index| json!({"name": format!("a{index}"), "type": "HTTP", "http": {"url": "http://x"}}))
        .collect();
    let plan = |workflows: usize| {
        let uses = vec![json!({"workflowRef": {"name": "w"}}); workflows];
        given(json!({"stages": [{"name": "s", "workflows": uses}]}))
            .workflow("w", json!({ "actions": actions }))
    };
    plan(2).says(&[]);
    let problems = plan(4).compile().unwrap_err();
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("spec.stages: the status could reach "),
        "{said:?}"
    );
    assert!(
        said[0].ends_with(" bytes, at most 524288 are stored; split the plan"),
        "{said:?}"
    );

    let body = "x".repeat(60 * 1024);
    let large: Vec<Value> = (0..10)
        .map(|index| json!({"name": format!("a{index}"), "type": "HTTP", "http": {"url": "http://x", "method": "POST", "body": body}}))
        .collect();
    let problems = given(simple())
        .workflow("w", json!({ "actions": large }))
        .compile()
        .unwrap_err();
    assert!(
        problems[0]
            .to_string()
            .starts_with("spec.stages: the snapshot could reach 61"),
        "{problems:?}"
    );
}

/// A plan that uses one workflow twice and another once.
fn rich() -> Given {
    let plan = json!({
        "timeout": "2h", "failurePolicy": "Continue",
        "globalParams": [{"name": "host", "value": "dr"}],
        "stages": [
            {"name": "a", "parallel": true, "workflows": [{"workflowRef": {"name": "w"}}, {"workflowRef": {"name": "v"}}]},
            {"name": "b", "workflows": [{"workflowRef": {"name": "w", "namespace": "shop"}, "params": [{"name": "host", "value": "other"}]}]},
        ],
    });
    given(plan)
        .workflow(
            "w",
            with_parameters(
                json!([{"name": "host"}, {"name": "port", "type": "int", "default": 80}]),
                "http://{{ .params.host }}",
            ),
        )
        .workflow("v", calls("http://x"))
        .executed(json!([]))
}

#[test]
fn compiling_twice_gives_the_same_bytes_and_each_workflow_once() {
    let (one, two) = (rich().snapshot(), rich().snapshot());
    assert_eq!(one.to_text(), two.to_text());
    assert_eq!(one.workflows.len(), 2);
    assert_eq!(one.service_account_name.as_deref(), Some("dr-shop"));
    let plan = normalise_plan(&serde_json::from_value(rich().plan).unwrap(), "shop")
        .value
        .unwrap();
    let keys: Vec<String> = workflow_keys(&plan, "shop")
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(keys, ["v", "w"]);
}

#[test]
fn a_snapshot_is_read_back_as_it_was_or_not_at_all() {
    let snapshot = rich().snapshot();
    let text = snapshot.to_text();
    let sha256 = sha256_hex(text.as_bytes());
    assert_eq!(Snapshot::from_text(&text, &sha256).unwrap(), snapshot);

    let altered = text.replace("\"dr\"", "\"ev\"");
    assert_ne!(altered, text);
    assert!(matches!(
        Snapshot::from_text(&altered, &sha256),
        Err(SnapshotError::Altered { .. })
    ));

    let read = |text: &str| Snapshot::from_text(text, &sha256_hex(text.as_bytes()));
    let newer = text.replacen("\"formatVersion\":1", "\"formatVersion\":2", 1);
    assert!(matches!(
        read(&newer),
        Err(SnapshotError::UnsupportedFormat { found: 2, known: 1 })
    ));
    assert!(matches!(
        read("{}"),
        Err(SnapshotError::UnsupportedFormat { found: 0, .. })
    ));
    assert!(matches!(
        read("{\"formatVersion\":1}"),
        Err(SnapshotError::Unreadable { .. })
    ));
    assert!(matches!(read("no JSON"), Err(SnapshotError::Unreadable { .. })));
}

/// Covers FR-026.
#[test]
fn the_first_record_shows_every_step_and_the_values_once_where_they_agree() {
    let status = Run::new(rich().snapshot()).initial_status();
    let shown = serde_json::to_value(&status).unwrap();
    assert_eq!(shown["phase"], "Pending");
    assert_eq!(shown["resolvedParams"], json!({"port": "80"}));
    let of = |stage: usize, workflow: usize| &shown["stageStatuses"][stage]["workflowExecutions"][workflow];
    assert_eq!(of(0, 0)["resolvedParams"], json!({"host": "dr"}));
    assert_eq!(of(1, 0)["resolvedParams"], json!({"host": "other"}));
    assert_eq!(of(0, 1)["resolvedParams"], Value::Null);
    assert_eq!(shown["stageStatuses"][1]["dependsOn"], json!(["a"]));
    assert_eq!(
        of(1, 0)["actionStatuses"][0],
        json!({"name": "call", "phase": "Pending"})
    );
}
