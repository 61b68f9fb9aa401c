//! Webhook, controller and `kubectl drplan check` find the same mistakes, whatever is written.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::{collections::BTreeMap, sync::LazyLock};

use drplan_api::{DRPlan, DRPlanExecution, DRWorkflow, Severity};
use drplan_cli::check::{Finding, SourceFile, check};
use drplan_operator::{
    admission::{
        answer::Verdict,
        judge::{execution, plan, workflow},
    },
    context::Settings,
    index::{Index, PlanEntry, WorkflowEntry},
    raw::Raw,
    record::Record,
    says,
    workflows::status_of,
};
use proptest::{prelude::*, test_runner::Config};
use regex::Regex;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[path = "fuzz/places.rs"]
mod places;

use places::places;

/// A workflow, a plan over it and over one that does not exist, and an execution, in which nothing is wrong.
fn sound() -> [Value; 3] {
    let object = |kind: &str, name: &str, spec: Value| {
        json!({"apiVersion": "dr.bkbcs.tencent.com/v1alpha1", "kind": kind,
               "metadata": {"name": name, "namespace": "shop"}, "spec": spec})
    };
    let job = json!({"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}});
    let flow = json!({
        "failurePolicy": "FailFast",
        "parameters": [
            {"name": "host", "type": "string", "required": true},
            {"name": "count", "type": "int", "default": 3},
            {"name": "flag", "type": "bool", "default": false, "overridable": false},
        ],
        "actions": [
            {"name": "call", "type": "HTTP", "timeout": "{{ .params.count }}s",
             "retryPolicy": {"limit": 3, "interval": "5s"},
             "http": {"url": "https://{{ .params.host }}/x", "method": "POST", "body": "{\"a\": {{ .params.count }}}",
                      "headers": {"X-A": "{{ .planName }}"}, "successCodes": [200]},
             "rollback": {"type": "HTTP", "http": {"url": "https://{{ .params.host }}/{{ .outputs.call.statusCode }}"}}},
            {"name": "work", "type": "Job", "job": job},
            {"name": "move", "type": "Localization",
             "localization": {"operation": "Patch", "name": "x", "namespace": "cluster-a", "priority": 600,
                              "overrides": [{"name": "o", "type": "MergePatch", "value": "{\"a\": 1}"}]},
             "rollback": {"type": "Localization", "localization": {"operation": "Patch", "name": "x",
                          "namespace": "cluster-a", "priority": 500}}},
            {"name": "map", "type": "KubernetesResource", "resource": {"operation": "Apply",
             "manifest": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: '{{ .params.host }}'}\n"}},
        ],
    });
    let used =
        json!({"workflowRef": {"name": "flow"}, "params": [{"name": "host", "value": "a.example.com"}]});
    let plan = json!({
        "timeout": "1h",
        "globalParams": [{"name": "count", "value": 5}],
        "stages": [
            {"name": "one", "workflows": [used.clone(), used]},
            {"name": "two", "dependsOn": ["one"], "parallel": true, "workflows": [{"workflowRef": {"name": "later"}}]},
        ],
    });
    let run =
        json!({"planRef": "plan", "operationType": "Execute", "params": [{"name": "count", "value": 7}]});
    [
        object("DRWorkflow", "flow", flow),
        object("DRPlan", "plan", plan),
        object("DRPlanExecution", "run", run),
    ]
}

/// What may be written where something else should stand.
fn written() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        any::<bool>().prop_map(Value::from),
        prop_oneof![Just(-1), Just(0), Just(7), Just(100_000)].prop_map(Value::from),
        Just(json!(0.5)),
        proptest::sample::select(vec![
            "",
            " ",
            "one",
            "two",
            "flow",
            "nope",
            "Bad Name",
            "HTTP",
            "Job",
            "Execute",
            "Revert",
            "Continue",
            "5s",
            "-5s",
            "48h",
            "soon",
            "true",
            "{{ .params.host }}",
            "{{ .params.nope }}",
            "{{ .params.count }}",
            "{{ .outputs.call.body }}",
            "{{ .outputs.work.nope }}",
            "{{ if }}",
            "{{ nope }}",
            "{{",
            "https://x.example.com",
            "ftp://x",
            "a: [b",
            "kind: X",
        ])
        .prop_map(Value::from),
    ]
}

/// One change at one of the places of an object, counted in its order.
#[derive(Clone, Debug)]
enum Change {
    Put(usize, Value),
    TakeOut(usize),
    Repeat(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let place = 0_usize..200;
    prop_oneof![
        4 => (place.clone(), written()).prop_map(|(place, value)| Change::Put(place, value)),
        2 => place.clone().prop_map(Change::TakeOut),
        1 => place.prop_map(Change::Repeat),
    ]
}

fn make(object: &mut Value, change: &Change) {
    let paths = places(&object["spec"], "/spec");
    let (Change::Put(place, _) | Change::TakeOut(place) | Change::Repeat(place)) = change;
    let Some(path) = paths.get(place % paths.len().max(1)) else {
        return;
    };
    let (parent, name) = path.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/").replace("~0", "~");
    let parent = object.pointer_mut(parent).unwrap();
    match (change, parent) {
        (Change::Put(_, value), Value::Object(fields)) => drop(fields.insert(name, value.clone())),
        (Change::Put(_, value), Value::Array(items)) => items[name.parse::<usize>().unwrap()] = value.clone(),
        (Change::TakeOut(_), Value::Object(fields)) => drop(fields.remove(&name)),
        (Change::TakeOut(_), Value::Array(items)) => drop(items.remove(name.parse().unwrap())),
        (Change::Repeat(_), Value::Array(items)) => items.push(items[name.parse::<usize>().unwrap()].clone()),
        (Change::Repeat(_), _) => {}
        (_, other) => panic!("{other} has no places"),
    }
}

fn raw<K>(object: &Value) -> Raw<K>
where
    Raw<K>: DeserializeOwned,
{
    serde_json::from_value(object.clone()).unwrap()
}

/// The lines of a refusal.
fn refused(verdict: Verdict) -> Vec<String> {
    match verdict {
        Verdict::Allow(_) => Vec::new(),
        Verdict::Refuse(refused) => match refused.message.split_once(" problems:\n- ") {
            None => vec![refused.message],
            Some((_, lines)) => lines.split("\n- ").map(str::to_owned).collect(),
        },
    }
}

/// Lines without the places in templates, which `check` turns into places in the file. In an order of their own.
fn comparable(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    static PLACE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r" \(line \d+, column \d+\)|line \d+, column \d+: ").unwrap());
    let plain = |line: String| {
        // A manifest to copy is shown in several lines where there are lines.
        let line = line.split("Write:").next().unwrap_or_default().trim_end();
        PLACE.replace(line, "").into_owned()
    };
    let mut lines: Vec<String> = lines.into_iter().map(plain).collect();
    lines.sort();
    lines
}

/// The errors of the object `label` as `check` finds them, in the operator's words.
fn checked(findings: &[Finding], label: &str) -> Vec<String> {
    let line = |finding: &Finding| {
        // What was meant is shown beside what should be.
        let message = finding.message.split(" in quotes: ").next().unwrap_or_default();
        let place = match finding.path.as_str() {
            "" => message.to_owned(),
            path => format!("{path}: {message}"),
        };
        let object = finding.object.as_deref().unwrap_or_default();
        match &finding.used_by {
            None => (object == label).then_some(place),
            Some(used_by) => {
                let rest = used_by.strip_prefix(&format!("used by {label} as "))?;
                // One that several uses show is told once.
                let used = rest.split(", and ").next()?;
                Some(format!("{object} as {used}: {place}"))
            }
        }
    };
    findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .filter_map(line)
        .collect()
}

/// Of lines about several uses of a workflow the first of each.
fn once_for_all_uses(lines: Vec<String>) -> Vec<String> {
    static USE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r" as spec\.stages\[\d+\]\.workflows\[\d+\]").unwrap());
    let mut known: Vec<String> = Vec::new();
    let first = |line: &String| {
        let told = USE.replace(line, "").into_owned();
        let is_new = !USE.is_match(line) || !known.contains(&told);
        known.push(told);
        is_new
    };
    lines.into_iter().filter(first).collect()
}

proptest! {
    #![proptest_config(Config { cases: 300, failure_persistence: None, ..Config::default() })]

    /// Covers FR-043.
    #[test]
    fn what_is_wrong_is_found_by_all_three(changes in prop::collection::vec((0_usize..3, change()), 0..6)) {
        let mut objects = sound();
        for (object, change) in &changes {
            make(&mut objects[*object], change);
        }
        let [flow, shop, run] = &objects;
        let settings = Settings::default();

        // The webhooks.
        let of_flow = refused(workflow::judge(&raw::<DRWorkflow>(flow)));
        let flow_entry = WorkflowEntry::of(raw(flow));
        let plan_entry = PlanEntry::of(raw::<DRPlan>(shop));
        let key = ("shop".to_owned(), "flow".to_owned());
        let sources = BTreeMap::from([(key, flow_entry.source.clone())]);
        let of_plan = refused(plan::verdict(&plan_entry, &sources, &settings));
        let of_run = refused(execution::verdict(&raw::<DRPlanExecution>(run)));

        // The controllers: what is in a status, a missing workflow being an error by now.
        let told = |lines: &[String]| lines.join("; ");
        let flow_status = status_of(&flow_entry);
        let index = Index::default();
        index.put_workflow(flow_entry);
        let found = match plan_entry.compiled(&index.sources(&plan_entry), &settings) {
            Ok(compiled) => compiled.warnings,
            Err(problems) => problems,
        };
        let missing = "does not exist; create it, or correct the reference";
        let found = found.into_iter().filter(|problem| !problem.to_string().ends_with(missing)).collect();
        let of_controller = |message: String, lines: &[String], what: &str| {
            if message.ends_with(" more") {
                return Ok(());
            }
            let message = if message.starts_with("warning: ") { String::new() } else { message };
            prop_assert_eq!(message, told(lines), "{}", what);
            Ok(())
        };
        of_controller(flow_status.message, &of_flow, "workflow")?;
        of_controller(says::problems(&found), &of_plan, "plan")?;
        let request = Record::of(raw::<DRPlanExecution>(run)).request;
        of_controller(request.err().map(|problems| says::problems(&problems)).unwrap_or_default(), &of_run, "execution")?;

        // The command, which reads one file.
        let text: Vec<String> = objects.iter().map(|object| serde_json::to_string_pretty(object).unwrap()).collect();
        let file = SourceFile::new("m.yaml", text.join("\n---\n").into_bytes());
        let found = check(&[file], "shop").findings;
        prop_assert_eq!(comparable(checked(&found, "DRWorkflow shop/flow")), comparable(of_flow));
        // What is wrong with the workflow itself is told there alone.
        let of_plan = of_plan.into_iter().filter(|line| !line.starts_with("DRWorkflow shop/flow: ")).collect();
        prop_assert_eq!(
            comparable(once_for_all_uses(checked(&found, "DRPlan shop/plan"))),
            comparable(once_for_all_uses(of_plan))
        );
        // What its plan thinks of it is told of one that is fine by itself.
        if !of_run.is_empty() {
            prop_assert_eq!(comparable(checked(&found, "DRPlanExecution shop/run")), comparable(of_run));
        }
    }
}
