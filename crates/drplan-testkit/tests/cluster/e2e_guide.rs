//! The user guide as it is written: every manifest in its copy is applied and run.
//!
//! Three things in it do not work as they stand: skeletons with `<…>`, which nobody can apply; the Revert that names no
//! execution, which is refused with the manifest to write instead; and `parameterized-workflow`, which is no YAML.

mod fragments;

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    fixtures::text,
    guide::{self, Block, Is},
    hub::{Hub, LOCALIZATION, SUBSCRIPTION, Without, with_hub},
};

/// Everything in the guide that is YAML, by its line.
const HOLDS: [&str; 28] = [
    "0140 DRWorkflow simple-notify",
    "0180 DRPlan my-first-plan",
    "0203 DRPlanExecution my-first-execution Execute",
    "0234 skeleton",
    "0268 actions",
    "0291 actions",
    "0315 actions",
    "0347 actions",
    "0380 actions",
    "0417 actions",
    "0525 DRWorkflow parameterized-workflow",
    "0570 skeleton",
    "0611 DRPlan failover-to-backup",
    "0636 DRPlan database-dr-plan",
    "0665 DRPlan multi-service-dr-plan",
    "0763 DRPlanExecution failover-execution-001 Execute",
    "0834 status",
    "0912 status",
    "0943 DRPlanExecution failover-revert-001 Revert",
    "1035 status",
    "1098 DRWorkflow app-failover",
    "1265 DRPlan app-dr-plan",
    "1309 DRPlanExecution app-dr-exec-$(date +%Y%m%d-%H%M%S) Execute",
    "1436 DRWorkflow notification-workflow",
    "1476 DRWorkflow mysql-failover",
    "1517 DRWorkflow service-failover",
    "1616 DRPlan ecommerce-dr-plan",
    "1771 DRPlanExecution ecommerce-dr-exec-$(date +%Y%m%d-%H%M%S) Execute",
];

/// The Reverts among them. Reverts of the guide's other runs are written by `undo`.
const REVERTS: [&str; 1] = ["0943 DRPlanExecution failover-revert-001 Revert"];

/// The line of `parameterized-workflow`, where a template stands outside quotes.
const NO_YAML: usize = 525;

/// Where the guide's objects live. The last three are those of clusters that Localizations are for.
const NAMESPACES: [&str; 5] = [
    "default",
    "production",
    "clusternet-dr-shanghai",
    "dr-cluster-shanghai",
    "backup-cluster-01",
];

/// Workflows that plans of the guide use and that it does not show; they tell the site what the plan gives them.
const NOT_SHOWN: [(&str, &[&str]); 4] = [
    ("cluster-failover-workflow", &["targetCluster", "notifyURL"]),
    (
        "db-failover-workflow",
        &["drClusterNamespace", "drDbHost", "replicas", "backupEnabled"],
    ),
    ("redis-failover", &["drRedisHost"]),
    ("health-check-workflow", &["targetRegion"]),
];

#[test]
fn the_guide_holds_what_is_run_here_and_no_more() -> anyhow::Result<()> {
    let blocks = guide::blocks()?;
    let titles: Vec<String> = blocks.iter().map(Block::title).collect();
    assert_eq!(titles, HOLDS);
    let reverts: Vec<&String> = titles.iter().filter(|title| title.ends_with(" Revert")).collect();
    assert_eq!(reverts, REVERTS.iter().collect::<Vec<_>>());
    Ok(())
}

#[test]
fn the_manifests_that_other_tests_read_are_those_of_the_guide() -> anyhow::Result<()> {
    let read = |name: String| {
        let file = format!(
            "{}/../drplan-api/tests/guide/{name}.yaml",
            env!("CARGO_MANIFEST_DIR")
        );
        std::fs::read_to_string(&file).with_context(|| file)
    };
    for block in guide::blocks()? {
        match &block.is {
            _ if block.line == NO_YAML => {}
            Is::Manifest { name, .. } => {
                let at = |text: &str| text.replace("$(date +%Y%m%d-%H%M%S)", "20260130-100000");
                let copy = read(format!("{:04}-{}", block.line, at(name)))?;
                assert_eq!(copy, at(&block.text));
            }
            Is::Actions => {
                let copy = read(format!("{:04}-actions", block.line))?;
                let indented: String = block.text.lines().map(|line| format!("  {line}\n")).collect();
                assert!(copy.ends_with(&indented), "{}: {copy}", block.title());
            }
            Is::Skeleton | Is::Status => {}
        }
    }
    Ok(())
}

/// Covers US2.1, US4.1, US4a.1, US7.1, US8.1, FR-004, FR-004b, FR-009, FR-019.
#[tokio::test]
async fn the_manifests_of_the_guide_run_as_they_are_written() -> anyhow::Result<()> {
    let test = async |hub: &Hub<'_>| {
        let blocks = guide::blocks()?;
        let mut applied = BTreeSet::new();
        define(hub, &blocks, &mut applied).await?;
        for block in manifests(&blocks, "DRPlanExecution") {
            if REVERTS.contains(&block.title().as_str()) {
                refused_revert(hub, block).await?;
            } else {
                execute(hub, block).await?;
            }
            applied.insert(block.line);
        }
        // The guide shows no execution of these.
        for (name, actions) in [("database-dr-plan", 1), ("multi-service-dr-plan", 9)] {
            let namespace = "production";
            let done = run(hub, namespace, name).await?;
            assert_eq!(done["status"]["summary"]["completedActions"], actions, "{name}");
            undo(hub, namespace, name, name).await?;
        }
        parameterized(hub).await?;
        let all = blocks
            .iter()
            .filter(|block| matches!(block.is, Is::Manifest { .. }));
        assert_eq!(applied, all.map(|block| block.line).collect());
        Ok(())
    };
    with_hub(
        "guide",
        &NAMESPACES,
        &guide::hosts(guide::TEXT),
        Without::AsOperator,
        test,
    )
    .await
}

/// The manifests of a kind, in the order of the guide.
fn manifests<'a>(blocks: &'a [Block], wanted: &'a str) -> impl Iterator<Item = &'a Block> {
    let is_wanted = move |block: &&Block| matches!(&block.is, Is::Manifest { kind, .. } if kind == wanted);
    blocks.iter().filter(is_wanted)
}

/// Applies all workflows and plans, and waits until they are Ready.
async fn define(hub: &Hub<'_>, blocks: &[Block], applied: &mut BTreeSet<usize>) -> anyhow::Result<()> {
    for (name, parameters) in NOT_SHOWN {
        hub.apply(&telling(name, parameters).to_string()).await?;
    }
    for kind in ["DRWorkflow", "DRPlan"] {
        for block in manifests(blocks, kind) {
            let text = match block.line {
                NO_YAML => repaired(hub, block).await?,
                _ => block.text.clone(),
            };
            let said = hub.apply(&text).await?;
            ensure!(said.ends_with(" created\n"), "{}: {said}", block.title());
            applied.insert(block.line);
        }
        for block in manifests(blocks, kind) {
            let Is::Manifest { name, .. } = &block.is else {
                continue;
            };
            let namespace = match block.text.contains("\n  namespace: production\n") {
                true => "production",
                false => "default",
            };
            hub.ready(kind, namespace, name).await?;
        }
    }
    Ok(())
}

/// `parameterized-workflow` with its template in quotes and a feed, after kubectl has refused it as it stands.
async fn repaired(hub: &Hub<'_>, block: &Block) -> anyhow::Result<String> {
    let refusal = hub.apply(&block.text).await;
    let refusal = format!("{:#}", refusal.err().context("it is no YAML")?);
    ensure!(refusal.contains("error converting YAML to JSON"), "{refusal}");
    let feed = "        feed: {apiVersion: apps/v1, kind: Deployment, name: my-app, namespace: production}\n";
    let text = block
        .text
        .replace(
            "value: {{ .params.replicas }}",
            "value: \"{{ .params.replicas }}\"",
        )
        .replace("        overrides:\n", &format!("{feed}        overrides:\n"));
    Ok(text)
}

/// Runs `parameterized-workflow`, for which the guide has no plan.
async fn parameterized(hub: &Hub<'_>) -> anyhow::Result<()> {
    let (namespace, name) = ("default", "parameterized");
    let plan = json!({
        "apiVersion": "dr.bkbcs.tencent.com/v1alpha1", "kind": "DRPlan",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "workflowRef": {"name": "parameterized-workflow"},
            "params": [{"name": "targetCluster", "value": "backup-cluster-01"}],
        },
    });
    hub.apply(&plan.to_string()).await?;
    run(hub, namespace, name).await?;
    let made = hub
        .object(LOCALIZATION, "backup-cluster-01", "scaled-app")
        .await?;
    let value: Value = serde_saphyr::from_str(text(&made, "/spec/overrides/0/value"))?;
    assert_eq!(
        value,
        json!([{"op": "replace", "path": "/spec/replicas", "value": 3}])
    );
    undo(hub, namespace, name, name).await
}

/// A workflow in `production` that declares these parameters and sends them to a site.
fn telling(name: &str, parameters: &[&str]) -> Value {
    let declared = parameters
        .iter()
        .map(|name| json!({"name": name, "required": true}));
    let sent = parameters
        .iter()
        .map(|name| format!("{name}: {{{{ .params.{name} }}}}"));
    json!({
        "apiVersion": "dr.bkbcs.tencent.com/v1alpha1", "kind": "DRWorkflow",
        "metadata": {"name": name, "namespace": "production"},
        "spec": {
            "parameters": declared.collect::<Vec<_>>(),
            "actions": [{"name": "tell", "type": "HTTP", "http": {
                "url": "https://oncall.example.com/told",
                "method": "POST",
                "body": sent.collect::<Vec<_>>().join("\n"),
            }}],
        },
    })
}

/// Runs an execution of the guide and looks at what it did.
async fn execute(hub: &Hub<'_>, block: &Block) -> anyhow::Result<()> {
    // What the shell makes of the here-document.
    let now = Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let text = block.text.replace("$(date +%Y%m%d-%H%M%S)", &now);
    let manifest: Value = serde_saphyr::from_str(&text)?;
    let of = |pointer| self::text(&manifest, pointer);
    let (namespace, name) = (of("/metadata/namespace"), of("/metadata/name"));
    let before = hub.site.all().len();
    hub.apply(&text).await?;
    let done = hub.ended(namespace, name, "Succeeded").await?;
    let calls = hub.site.all().split_off(before);
    let called: Vec<String> = calls
        .iter()
        .map(|call| {
            format!(
                "{} {}{}",
                call.method,
                call.header("host").unwrap_or_default(),
                call.path
            )
        })
        .collect();
    let plan = of("/spec/planRef/name");
    match plan {
        "my-first-plan" => {
            assert_eq!(called, ["POST notify.example.com/webhook"]);
            assert_eq!(calls[0].json()?["message"], "容灾预案已触发");
        }
        "failover-to-backup" => assert_eq!(called, ["POST oncall.example.com/told"]),
        "app-dr-plan" => {
            assert_eq!(called, ["POST oncall.example.com/drplan-webhook"; 2]);
            assert_eq!(calls[0].json()?["event"], "failover_started");
            assert_eq!(calls[1].json()?["event"], "failover_completed");
            one_application(hub).await?;
            assert_eq!(hub.made_by(name).await?.len(), 3, "{done}");
        }
        "ecommerce-dr-plan" => {
            ecommerce(&done, &called);
            assert_eq!(hub.made_by(name).await?.len(), 18, "{done}");
        }
        other => anyhow::bail!("nobody knows what an execution of {other} does"),
    }
    let switched = called.iter().filter(|call| call.ends_with("/failover")).count();
    let before = hub.site.all().len();
    undo(hub, namespace, plan, name).await?;
    let reverted = hub.site.all().split_off(before);
    assert!(reverted.iter().all(|call| call.path == "/revert"), "{reverted:?}");
    assert_eq!(reverted.len(), switched);
    Ok(())
}

/// What the plan of one application made.
async fn one_application(hub: &Hub<'_>) -> anyhow::Result<()> {
    let (namespace, name) = ("clusternet-dr-shanghai", "app-dr-localization-app-dr-plan");
    let localization = hub.object(LOCALIZATION, namespace, name).await?;
    let spec = &localization["spec"];
    assert_eq!(spec["priority"], 600);
    assert_eq!(
        spec["feed"],
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "my-app", "namespace": "production"})
    );
    let overrides = spec["overrides"].as_array().context("it has overrides")?;
    let of = |number: usize| -> anyhow::Result<Value> {
        Ok(serde_saphyr::from_str(text(&overrides[number], "/value"))?)
    };
    assert_eq!(
        of(0)?,
        json!([{"op": "replace", "path": "/spec/replicas", "value": 5}])
    );
    assert_eq!(
        of(1)?[0]["value"][0],
        json!({"name": "DB_HOST", "value": "dr-mysql.shanghai.example.com"})
    );
    assert_eq!(of(2)?["metadata"]["labels"]["failover-plan"], "app-dr-plan");

    let subscription = hub
        .object(SUBSCRIPTION, "default", "app-dr-subscription-app-dr-plan")
        .await?;
    let spec = &subscription["spec"];
    assert_eq!(spec["schedulingStrategy"], "Replication");
    assert_eq!(spec["feeds"][1]["name"], "my-app-config");
    assert_eq!(
        spec["subscribers"],
        json!([{"clusterAffinity": {"matchLabels": {"region": "dr-region", "purpose": "disaster-recovery"}}}])
    );
    Ok(())
}

/// What the plan with stages did.
fn ecommerce(done: &Value, called: &[String]) {
    let summary = &done["status"]["summary"];
    for (counted, number) in [("Stages", 5), ("Workflows", 10), ("Actions", 22)] {
        assert_eq!(summary[format!("total{counted}")], number, "{summary}");
        assert_eq!(summary[format!("completed{counted}")], number, "{summary}");
    }
    let told = "POST oncall.example.com/drplan-webhook";
    let switched = "POST db-admin-api.example.com/failover";
    assert_eq!(called, [told, switched, switched, told]);
    let stages = done["status"]["stageStatuses"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for pair in stages.windows(2) {
        let (end, start) = (text(&pair[0], "/completionTime"), text(&pair[1], "/startTime"));
        assert!(end <= start, "each waits for the one before: {pair:?}");
    }
}

/// The Revert of the guide: refused, and what the refusal says to write instead is what can be written.
async fn refused_revert(hub: &Hub<'_>, block: &Block) -> anyhow::Result<()> {
    hub.apply(&block.text).await?;
    let (namespace, name) = ("production", "failover-revert-001");
    let refused = hub.ended(namespace, name, "Failed").await?;
    let message = text(&refused, "/status/message");
    let (_, shown) = message.split_once("Write: ").context("it shows what to write")?;
    let shown = shown.replace("<name of the execution to undo>", "failover-execution-001");
    let right: Value = serde_saphyr::from_str(&shown)?;
    assert_eq!(
        right["metadata"],
        json!({"name": name, "namespace": namespace}),
        "{message}"
    );
    assert_eq!(right["spec"]["revertExecutionRef"], "failover-execution-001");
    hub.kubectl
        .run(&["delete", "drplanexecution", name, "--namespace", namespace])
        .await?;
    revert(hub, &right).await
}

/// Applies a complete Revert and waits for its end.
async fn revert(hub: &Hub<'_>, manifest: &Value) -> anyhow::Result<()> {
    hub.apply(&manifest.to_string()).await?;
    let (namespace, name) = (
        text(manifest, "/metadata/namespace"),
        text(manifest, "/metadata/name"),
    );
    hub.ended(namespace, name, "Succeeded").await?;
    Ok(())
}

/// Undoes the execution, so that others of the guide find room: after it nothing is left that its actions created.
async fn undo(hub: &Hub<'_>, namespace: &str, plan: &str, execution: &str) -> anyhow::Result<()> {
    let manifest = json!({
        "apiVersion": "dr.bkbcs.tencent.com/v1alpha1", "kind": "DRPlanExecution",
        "metadata": {"name": format!("undo-{execution}"), "namespace": namespace},
        "spec": {"planRef": plan, "operationType": "Revert", "revertExecutionRef": execution},
    });
    // One whose Revert stands in the guide is undone by that.
    if execution != "failover-execution-001" {
        revert(hub, &manifest).await?;
    }
    assert_eq!(hub.made_by(execution).await?, Vec::<String>::new());
    Ok(())
}

/// Creates an execution of this plan and of its name, and waits until it has Succeeded.
async fn run(hub: &Hub<'_>, namespace: &str, plan: &str) -> anyhow::Result<Value> {
    hub.ready("DRPlan", namespace, plan).await?;
    let execution = json!({
        "apiVersion": "dr.bkbcs.tencent.com/v1alpha1", "kind": "DRPlanExecution",
        "metadata": {"name": plan, "namespace": namespace},
        "spec": {"planRef": plan, "operationType": "Execute"},
    });
    hub.apply(&execution.to_string()).await?;
    hub.ended(namespace, plan, "Succeeded").await
}
