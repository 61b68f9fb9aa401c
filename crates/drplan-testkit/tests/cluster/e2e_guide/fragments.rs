//! The actions that the guide shows by themselves, in workflows and plans made for them.

use std::collections::BTreeSet;

use anyhow::ensure;
use serde_json::{Value, json};

use super::{NAMESPACES, run, undo};
use crate::{
    fixtures::text,
    guide::{self, Block, Is},
    hub::{Hub, LOCALIZATION, SUBSCRIPTION, Without, with_hub},
};

/// What fragments take as parameters, and of which type.
const VALUES: [(&str, &str, &str); 13] = [
    ("notifyURL", "string", "https://oncall.example.com/fragment"),
    ("token", "string", "t0ken"),
    ("targetCluster", "string", "backup-cluster-01"),
    ("targetNamespace", "string", "production"),
    ("dbHost", "string", "db.example.com"),
    ("dbName", "string", "orders"),
    ("drClusterNamespace", "string", "dr-cluster-shanghai"),
    ("replicas", "int", "7"),
    ("targetRegion", "string", "dr-region"),
    ("namespace", "string", "production"),
    ("drDbHost", "string", "dr-db.example.com"),
    ("drUsername", "string", "admin"),
    ("drPassword", "string", "no: \"plain\" #word"),
];

/// The parameter that only one fragment takes.
const BACKUP_LOCATION: (&str, &str, &str) = ("drBackupLocation", "string", "s3://backup/dr");

/// Covers US3.2, US6.1, US7.2, US9.4, US9.7, EC-7, FR-002, FR-003, FR-004, FR-004b, FR-004d, FR-004e,
/// FR-004f, FR-008, FR-009, FR-013, FR-013a, FR-013d, FR-013e.
#[tokio::test]
async fn the_actions_of_the_guide_run_in_workflows_that_declare_their_parameters() -> anyhow::Result<()> {
    let test = async |hub: &Hub<'_>| {
        // What the patches are of.
        let existing = json!({
            "apiVersion": LOCALIZATION.0, "kind": LOCALIZATION.1,
            "metadata": {"name": "existing-app-localization", "namespace": "dr-cluster-shanghai"},
            "spec": {"priority": 100, "overrides": []},
        });
        let config = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "app-config", "namespace": "production"},
            "data": {"mode": "normal", "kept": "yes"},
        });
        for object in [existing, config] {
            hub.apply(&object.to_string()).await?;
        }
        let blocks = guide::blocks()?;
        let fragments: Vec<&Block> = blocks.iter().filter(|block| block.is == Is::Actions).collect();
        assert_eq!(fragments.len(), 6);
        for block in fragments {
            let name = format!("actions-{}", block.line);
            hub.apply(&in_workflow(block, &name)?).await?;
            let plan = json!({
                "apiVersion": "dr.bkbcs.tencent.com/v1alpha1", "kind": "DRPlan",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {
                    "workflowRef": {"name": name},
                    "params": taken(&block.text).map(|(name, _, value)| json!({"name": name, "value": value}))
                        .collect::<Vec<_>>(),
                },
            });
            hub.apply(&plan.to_string()).await?;
            run(hub, "default", &name).await?;
            done_by_actions(hub, block).await?;
            undo(hub, "default", &name, &name).await?;
            undone_of_actions(hub, block).await?;
        }
        Ok(())
    };
    with_hub(
        "guide-actions",
        &NAMESPACES,
        &guide::hosts(guide::TEXT),
        Without::AsOperator,
        test,
    )
    .await
}

/// The parameters that a text takes, with types and values.
fn taken(text: &str) -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    let is_taken = |(name, _, _): &&(&str, &str, &str)| text.contains(&format!(".params.{name} "));
    VALUES.iter().chain([&BACKUP_LOCATION]).filter(is_taken)
}

/// A workflow of the fragment's actions, which declares what they take.
fn in_workflow(block: &Block, name: &str) -> anyhow::Result<String> {
    let declared = taken(&block.text).count();
    let names: BTreeSet<&str> = block
        .text
        .split(".params.")
        .skip(1)
        .filter_map(|rest| rest.split(' ').next())
        .collect();
    ensure!(declared == names.len(), "no value is known for all of {names:?}");
    let parameters: String = taken(&block.text)
        .map(|(name, kind, _)| format!("  - {{name: {name}, type: {kind}, required: true}}\n"))
        .collect();
    let actions: String = block.text.lines().map(|line| format!("  {line}\n")).collect();
    let head = "apiVersion: dr.bkbcs.tencent.com/v1alpha1\nkind: DRWorkflow\n";
    let metadata = format!("metadata: {{name: {name}, namespace: default}}\n");
    let parameters = match declared {
        0 => String::new(),
        _ => format!("  parameters:\n{parameters}"),
    };
    Ok(format!("{head}{metadata}spec:\n{parameters}{actions}"))
}

/// Looks at what the fragment's actions did.
async fn done_by_actions(hub: &Hub<'_>, block: &Block) -> anyhow::Result<()> {
    let plan = format!("actions-{}", block.line);
    match block.line {
        268 => {
            let sent = hub.site.requests("/fragment");
            assert_eq!(sent.len(), 1);
            assert_eq!(sent[0].header("host"), Some("oncall.example.com"));
            assert_eq!(sent[0].header("authorization"), Some("Bearer t0ken"));
            let expect = json!({"event": "failover", "plan": plan, "cluster": "backup-cluster-01"});
            assert_eq!(sent[0].json()?, expect);
        }
        291 => {
            let made = hub.made_by(&plan).await?;
            let is_job = made
                .iter()
                .any(|made| made.starts_with("Job production/db-backup-"));
            assert!(is_job && made.len() == 1, "{made:?}");
        }
        315 => {
            let name = format!("app-{plan}");
            let made = hub.object(LOCALIZATION, "dr-cluster-shanghai", &name).await?;
            assert_eq!(made["spec"]["priority"], 500);
            assert_eq!(made["spec"]["overrides"][1]["type"], "MergePatch");
        }
        347 => {
            let name = "existing-app-localization";
            let patched = hub.object(LOCALIZATION, "dr-cluster-shanghai", name).await?;
            assert_eq!(patched["spec"]["priority"], 100, "a Patch leaves the rest alone");
            let value: Value = serde_saphyr::from_str(text(&patched, "/spec/overrides/0/value"))?;
            assert_eq!(
                value,
                json!([{"op": "replace", "path": "/spec/replicas", "value": 7}])
            );
        }
        380 => {
            let name = format!("app-dr-subscription-{plan}");
            let made = hub.object(SUBSCRIPTION, "default", &name).await?;
            assert_eq!(made["spec"]["feeds"].as_array().map(Vec::len), Some(3));
            let labels = &made["spec"]["subscribers"][0]["clusterAffinity"]["matchLabels"];
            assert_eq!(labels["region"], "dr-region");
        }
        417 => {
            let of = async |kind, name: &str| hub.object(kind, "production", name).await;
            let config = of(("v1", "ConfigMap"), &format!("dr-config-{plan}")).await?;
            assert_eq!(
                config["data"],
                json!({"dr-mode": "active", "dr-region": "dr-region", "db-host": "dr-db.example.com"})
            );
            let secret = of(("v1", "Secret"), "dr-credentials").await?;
            // `no: "plain" #word`: the value changes nothing of the manifest that it stands in.
            assert_eq!(text(&secret, "/data/password"), "bm86ICJwbGFpbiIgI3dvcmQ=");
            let policy = of(("custom.example.com/v1", "BackupPolicy"), "dr-backup-policy").await?;
            assert_eq!(policy["spec"]["retention"], 7);
            assert_eq!(policy["spec"]["destination"], "s3://backup/dr");
            let patched = of(("v1", "ConfigMap"), "app-config").await?;
            assert_eq!(patched["data"], json!({"mode": "dr", "kept": "yes"}));
        }
        other => anyhow::bail!("nobody knows what the actions at line {other} do"),
    }
    Ok(())
}

/// Looks at what the rollbacks of the fragment's actions did.
async fn undone_of_actions(hub: &Hub<'_>, block: &Block) -> anyhow::Result<()> {
    match block.line {
        347 => {
            let name = "existing-app-localization";
            let patched = hub.object(LOCALIZATION, "dr-cluster-shanghai", name).await?;
            let value: Value = serde_saphyr::from_str(text(&patched, "/spec/overrides/0/value"))?;
            assert_eq!(value[0]["value"], 1);
        }
        417 => {
            let config = hub
                .object(("v1", "ConfigMap"), "production", "app-config")
                .await?;
            assert_eq!(config["data"], json!({"mode": "normal", "kept": "yes"}));
            let gone = [
                (("v1", "ConfigMap"), format!("dr-config-actions-{}", block.line)),
                (("v1", "Secret"), "dr-credentials".to_owned()),
                (
                    ("custom.example.com/v1", "BackupPolicy"),
                    "dr-backup-policy".to_owned(),
                ),
            ];
            for (kind, name) in gone {
                let found = hub.api(kind, "production").get_opt(&name).await?;
                assert!(found.is_none(), "{found:?}");
            }
        }
        _ => {}
    }
    Ok(())
}
