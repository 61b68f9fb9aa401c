//! Stages, the order that they are in, and the workflows that they use.

use serde_json::json;

use crate::{Given, calls, given, simple, stages};

/// Which stages each stage waits for.
fn after(plan: &Given) -> Vec<Vec<usize>> {
    let stages = plan.snapshot().stages.into_iter();
    stages.map(|stage| stage.after).collect()
}

#[test]
fn stages_without_depends_on_wait_for_the_one_before() {
    let plan = given(stages(&[("a", &[]), ("b", &[]), ("c", &[])])).workflow("w", calls("http://x"));
    assert_eq!(after(&plan), [vec![], vec![0], vec![1]]);
}

/// Covers FR-023b.
#[test]
fn with_depends_on_the_graph_rules_and_a_lone_stage_is_warned_of() {
    let plan = given(stages(&[("a", &[]), ("b", &["a", "a"]), ("c", &[])])).workflow("w", calls("http://x"));
    assert_eq!(after(&plan), [vec![], vec![0], vec![]]);
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
