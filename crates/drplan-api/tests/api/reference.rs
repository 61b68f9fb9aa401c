//! `docs/reference.md`: the fields of the three kinds from their schema, and the lists beside it.

mod events;
mod fields;
mod limits;
mod source;
mod spelled;
mod table;

use std::{collections::BTreeMap, fs};

use drplan_api::{GROUP, VERSION, full_crds};
use serde_json::{Value, json};

use self::{
    fields::{Doc, Sections},
    source::documented,
    table::table,
};
use crate::{lines, read};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference.md");
const LABELS: &str = include_str!("../../src/labels.rs");
const STATUS: &str = include_str!("../../src/status.rs");
const STATUS_OF_PLANS: &str = include_str!("../../src/status/plan.rs");

#[test]
fn the_reference_is_that_of_the_types() {
    let fresh = reference();
    if fs::read_to_string(FILE).unwrap_or_default() != fresh {
        fs::write(FILE, fresh).unwrap();
        panic!("docs/reference.md was stale and has been written anew: look at it and commit it");
    }
}

#[test]
fn the_checker_knows_the_values_that_fields_tell_and_no_others() {
    let mut fields = 0;
    for (path, doc) in docs() {
        let (kind, path) = path.split_once('.').unwrap();
        let said = |value: &str| {
            let mut manifest = json!({"kind": kind, "metadata": {"name": "a"}});
            put(&mut manifest, path, value);
            lines(&read(&manifest).problems)
        };
        for value in &doc.values {
            let said = said(value);
            assert!(!said.contains("is not known"), "{kind} {path}: {said}");
            assert!(!said.contains("is not supported"), "{kind} {path}: {said}");
        }
        if !doc.values.is_empty() {
            fields += 1;
            assert!(
                said("Nonsense").contains("`Nonsense` is not known"),
                "{kind} {path}"
            );
        }
    }
    assert!(fields >= 12, "{fields} fields tell their values");
}

#[test]
fn fields_tell_the_limits_that_hold() {
    let docs = docs();
    for limit in limits::ALL {
        for path in limit.fields {
            let doc = &docs[*path];
            let figure = limit.figure();
            assert!(
                doc.limit.contains(&figure),
                "{path}: {:?} without {figure}",
                doc.limit
            );
        }
    }
}

/// What is said of every field below `spec`, by its path: `DRPlan.spec.stages[].name`.
fn docs() -> BTreeMap<String, Doc> {
    let mut docs = BTreeMap::new();
    for crd in definitions() {
        let kind = crd["spec"]["names"]["kind"].as_str().unwrap();
        let spec = &fields::schema(&crd)["properties"]["spec"];
        fields::walk(&format!("{kind}.spec"), spec, &mut |path, schema| {
            docs.insert(path.to_owned(), Doc::of(schema));
        });
    }
    docs
}

/// `value` at `path` of `manifest`, with lists of one item where there are lists.
fn put(manifest: &mut Value, path: &str, value: &str) {
    let mut place = manifest;
    for name in path.split('.') {
        place = match name.strip_suffix("[]") {
            None => &mut place[name],
            Some(list) => {
                place[list] = json!([{}]);
                &mut place[list][0]
            }
        };
    }
    *place = json!(value);
}

fn definitions() -> Vec<Value> {
    full_crds()
        .iter()
        .map(|crd| serde_json::to_value(crd).unwrap())
        .collect()
}

fn reference() -> String {
    let mut page = INTRODUCTION.replace("GROUP_VERSION", &format!("{GROUP}/{VERSION}"));
    let mut sections = Sections::default();
    for crd in definitions() {
        fields::kind(&mut page, &mut sections, &crd);
    }
    page.push_str(SPELLINGS);
    spelled::rows(&mut page);
    page.push_str("\n## Limits\n\nEach is refused with the figure, before anything runs.\n\n");
    limits::rows(&mut page);
    page.push_str("\n## Phases\n");
    for (of, source, name) in [
        ("Of a DRPlanExecution", STATUS, "ExecutionPhase"),
        (
            "Of a stage, a workflow or an action in an execution",
            STATUS,
            "StepPhase",
        ),
        ("Of a DRPlan", STATUS_OF_PLANS, "PlanPhase"),
        ("Of a DRWorkflow", STATUS_OF_PLANS, "WorkflowPhase"),
    ] {
        page.push_str(&format!("\n{of}:\n\n"));
        let variants = source::variants(source, name);
        assert!(!variants.is_empty(), "{name}");
        let rows = variants
            .iter()
            .map(|(doc, name)| vec![format!("`{name}`"), doc.clone()]);
        table(&mut page, &["phase", "means"], rows.collect());
    }
    page.push_str(CONDITIONS);
    page.push_str("\n## Labels and annotations\n\n");
    let rows = documented(LABELS, "pub const ").into_iter().map(|(doc, item)| {
        let value = item.split('"').nth(1).unwrap();
        vec![format!("`{value}`"), doc]
    });
    table(&mut page, &["name", "is"], rows.collect());
    page.push_str(EVENTS);
    events::rows(&mut page);
    page
}

const INTRODUCTION: &str = "\
# Reference

<!-- Generated from the types in crates/drplan-api; a test rewrites it. -->

Every field of the three kinds of `GROUP_VERSION`. The [guide](guide.md) tells how to use them,
[actions.md](actions.md) what actions do, [templates.md](templates.md) what may stand in double braces.
`kubectl explain drplans.spec` and so on shows the same descriptions.

- [DRWorkflow](#drworkflow), [DRPlan](#drplan), [DRPlanExecution](#drplanexecution)
- [Spellings](#spellings), [Limits](#limits), [Phases](#phases), [Conditions](#conditions)
- [Labels and annotations](#labels-and-annotations), [Events](#events)

How to read the tables:

- A *duration* is written as in Go: `30s`, `5m`, `1h30m`. A *time* is RFC 3339 in UTC with milliseconds.
- *Template*: an expression in double braces may stand for the value. Every string of an action may hold them, but
  `name`, `type`, `operation`, `patchType` and `onInterrupted`.
- *Required* fields come first, other spellings and reserved fields last. A reserved field is refused.
- The schema holds shapes only. Everything else is refused by `kubectl drplan check` and by the operator, with the place
  and what to write instead.
- All kinds are namespaced. `kubectl get drplan-all` lists them together.
";

const SPELLINGS: &str = "
## Spellings

Read alike; the spec is stored as it was written. Two spellings in one object must agree, else it is refused and both are
named. `{…}` and `[…]` stand for an object and a list that are the same in each spelling. `actions[].` is left out.

";

const CONDITIONS: &str = "
## Conditions

`kubectl wait --for=condition=Complete drpe/NAME` returns at any end of a run.

| of | condition | True means | reason |
|---|---|---|---|
| DRPlanExecution | `Complete` | it has ended, well or not | the phase: `Succeeded`, `Failed`, `Cancelled` |
| | `Succeeded` | it has Succeeded; False at any other end, absent before | the phase |
| | `Cancelling` | its cancellation is recorded and it has not ended | `CancelRequested` |
| DRPlan | `Ready` | it can run | `Valid`, `Invalid` |
| | `Executed` | some successful Execute of it exists that is not wholly undone | `Executed`, `NotExecuted` |
| DRWorkflow | `Ready` | it can be used | `Valid`, `Invalid` |
";

const EVENTS: &str = "
## Events

On the object that they tell of: `kubectl events --for drplanexecution/NAME`. An action is named by its plain name in a
plan of one workflow, else by its path, `stage/workflow[index]/action`. In a Revert, what is told of an action is told of
its undo.

";
