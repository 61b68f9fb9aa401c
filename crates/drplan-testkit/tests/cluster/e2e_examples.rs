//! The manifests in `examples/`, as a person applies them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use drplan_testkit::{AuditEntry, Kubectl, Seen, TestNamespace, eventually};
use serde_json::{Value, json};

use crate::fixtures::{execution_until, phases, text};
use crate::guide;
use crate::hub::{Hub, Without, with_hub};
use crate::rights::{Right, until_allowed};
use crate::shared;

pub(crate) const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
const FIRST_PLAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/first-plan");

/// The directories that a hub runs, each with its plan, the plan's namespace and the number of its actions. Some make
/// objects of the same names: each is undone before the next begins.
pub(crate) const ON_A_HUB: [(&str, &str, &str, u64); 7] = [
    ("first-steps", "first-steps", "first-steps", 6),
    ("quick-start", "default", "my-first-plan", 1),
    ("app-failover", "production", "app-dr-plan", 5),
    ("backup-cluster", "production", "failover-to-backup", 3),
    ("database", "production", "database-dr-plan", 3),
    ("multi-service", "production", "multi-service-dr-plan", 9),
    ("ecommerce", "production", "ecommerce-dr-plan", 22),
];

/// Directories that other tests run.
const ELSEWHERE: [&str; 2] = ["first-plan", "guide"];

#[tokio::test]
async fn the_first_plan_applies_without_starting_anything_and_runs_to_its_end() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let kubectl = Kubectl::new(&control_plane, &t.name);
        let applied = kubectl
            .run(&["apply", "--validate=strict", "-f", FIRST_PLAN])
            .await?;
        assert_eq!(applied.lines().count(), 4, "{applied}");
        assert!(
            applied.lines().all(|line| line.ends_with(" created")),
            "{applied}"
        );
        kubectl
            .run(&[
                "wait",
                "--for=condition=Ready",
                "--timeout=60s",
                "drplan/shop-failover",
            ])
            .await?;
        assert_eq!(kubectl.run(&["get", "drpe", "-o", "name"]).await?, "");

        let file = format!("{}/run/execution.yaml", FIRST_PLAN);
        let mut execution: Value = serde_saphyr::from_str(&std::fs::read_to_string(file)?)?;
        execution["spec"]["params"] = json!([{"name": "site", "value": t.stand_in.url("")}]);
        let created = kubectl
            .run_with(
                &["create", "--validate=strict", "-o", "name", "-f", "-"],
                &execution.to_string(),
            )
            .await?;
        let name = created.trim().rsplit('/').next().context("it has a name")?;
        let done = execution_until(t, name, "Succeeded").await?;
        assert_eq!(
            phases(&done).matches(" Succeeded").count(),
            9,
            "{}",
            phases(&done)
        );

        let called: Vec<String> = t
            .stand_in
            .all()
            .iter()
            .map(|call| format!("{} {}", call.method, call.path))
            .collect();
        // The category lists all kinds and hides none: `drplan` is the singular of one.
        let plan = kubectl
            .run(&["get", "drplan", "shop-failover", "-o", "name"])
            .await?;
        assert_eq!(plan, "drplan.dr.bkbcs.tencent.com/shop-failover\n");
        let all = kubectl.run(&["get", "drplan-all", "-o", "name"]).await?;
        assert_eq!(all.lines().count(), 5, "{all}");

        let (first, rest) = called.split_first().context("there are calls")?;
        assert_eq!(first, "PUT /shop/mode");
        let mut together = rest[..2].to_vec();
        together.sort();
        assert_eq!(
            together,
            [
                "POST /databases/customers/promote",
                "POST /databases/orders/promote"
            ]
        );
        assert_eq!(rest[2..], ["PUT /dns/shop", "POST /announcements"]);
        let sent = t.stand_in.requests("/announcements")[0].json()?;
        assert_eq!(sent["execution"], name);
        Ok(())
    };
    control_plane.with_namespace("examples", test).await
}

/// Every manifest in the directory itself, by its file, in the order in which kubectl reads them.
pub(crate) fn manifests(directory: &str) -> anyhow::Result<Vec<(PathBuf, Value)>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(Path::new(EXAMPLES).join(directory))?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    let mut manifests = Vec::new();
    for file in files {
        let documents: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(&file)?)?;
        manifests.extend(documents.into_iter().map(|document| (file.clone(), document)));
    }
    Ok(manifests)
}

#[test]
fn every_directory_is_run_by_a_test_and_says_what_it_is() -> anyhow::Result<()> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(EXAMPLES)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let readme = std::fs::read_to_string(entry.path().join("README.md"));
            readme.with_context(|| format!("README.md of {name}"))?;
            found.insert(name);
        }
    }
    let known = ON_A_HUB.iter().map(|(directory, ..)| *directory).chain(ELSEWHERE);
    assert_eq!(found, known.map(str::to_owned).collect());
    Ok(())
}

#[test]
fn an_object_of_two_directories_is_the_same_in_both() -> anyhow::Result<()> {
    let mut known: BTreeMap<String, (PathBuf, Value)> = BTreeMap::new();
    for (directory, ..) in ON_A_HUB {
        for (file, manifest) in manifests(directory)? {
            let of = |pointer| text(&manifest, pointer);
            let (namespace, name) = (of("/metadata/namespace"), of("/metadata/name"));
            let key = format!("{} {namespace}/{name}", of("/kind"));
            let (first, same) = known
                .entry(key)
                .or_insert_with(|| (file.clone(), manifest.clone()));
            assert_eq!(same, &manifest, "{} and {}", first.display(), file.display());
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_example_runs_and_is_undone_with_exactly_the_rights_of_its_service_account()
-> anyhow::Result<()> {
    let mut texts = String::new();
    for (directory, ..) in ON_A_HUB {
        for (_, manifest) in manifests(directory)? {
            texts.push_str(&manifest.to_string());
        }
    }
    let test = async |hub: &Hub<'_>| {
        for (directory, namespace, plan, _) in ON_A_HUB {
            apply_directory(hub, directory).await?;
            hub.ready("DRPlan", namespace, plan).await?;
            may_what_it_is_granted(hub, directory).await?;
        }
        let started = ["get", "drplanexecutions", "--all-namespaces", "-o", "name"];
        assert_eq!(hub.kubectl.run(&started).await?, "", "applying starts nothing");
        for (directory, namespace, plan, actions) in ON_A_HUB {
            let execution = format!("{EXAMPLES}/{directory}/run/execution.yaml");
            let create = ["create", "--validate=strict", "-o", "name", "-f", &execution];
            let created = hub.kubectl.run(&create).await?;
            let name = created.trim().rsplit('/').next().context("it has a name")?;
            let done = hub.ended(namespace, name, "Succeeded").await?;
            assert_eq!(done["status"]["summary"]["completedActions"], actions, "{plan}");
            if plan == "ecommerce-dr-plan" {
                ecommerce(hub, &done).await?;
            }
            let undo = format!("undo-{name}");
            let revert = json!({
                "apiVersion": "dr.bkbcs.tencent.com/v1alpha1", "kind": "DRPlanExecution",
                "metadata": {"name": undo, "namespace": namespace},
                "spec": {"planRef": plan, "operationType": "Revert", "revertExecutionRef": name},
            });
            hub.apply(&revert.to_string()).await?;
            hub.ended(namespace, &undo, "Succeeded").await?;
            assert_eq!(hub.made_by(name).await?, Vec::<String>::new(), "{plan}");
            used_its_rights(hub, directory).await?;
        }
        Ok(())
    };
    with_hub("examples", &[], &guide::hosts(&texts), Without::AsDefault, test).await
}

/// Applies the directory as its README says.
async fn apply_directory(hub: &Hub<'_>, directory: &str) -> anyhow::Result<()> {
    let path = format!("{EXAMPLES}/{directory}");
    hub.kubectl
        .run(&["apply", "--validate=strict", "-f", &path])
        .await?;
    for (_, manifest) in manifests(directory)? {
        if manifest["kind"] == "Namespace" {
            hub.t.beside(text(&manifest, "/metadata/name")).await?;
        }
    }
    Ok(())
}

/// The user that a directory's ServiceAccount is, if it has one.
fn user(directory: &str) -> anyhow::Result<Option<String>> {
    let mut accounts = manifests(directory)?.into_iter();
    let account = accounts.find(|(_, manifest)| manifest["kind"] == "ServiceAccount");
    Ok(account.map(|(_, manifest)| {
        let (namespace, name) = (
            text(&manifest, "/metadata/namespace"),
            text(&manifest, "/metadata/name"),
        );
        format!("system:serviceaccount:{namespace}:{name}")
    }))
}

/// What the Roles of a directory grant: `"create jobs in production"`, with the group of the resource.
pub(crate) fn granted(directory: &str) -> anyhow::Result<BTreeSet<Right>> {
    let manifests = manifests(directory)?;
    Ok(granted_by(manifests.iter().map(|(_, manifest)| manifest)))
}

/// What these Roles and ClusterRoles grant. Names of objects do not count.
pub(crate) fn granted_by<'a>(manifests: impl IntoIterator<Item = &'a Value>) -> BTreeSet<Right> {
    let list = |value: &Value| -> Vec<String> {
        let items = value.as_array().into_iter().flatten();
        items
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect()
    };
    let mut granted = BTreeSet::new();
    let roles = manifests
        .into_iter()
        .filter(|role| matches!(text(role, "/kind"), "Role" | "ClusterRole"));
    for role in roles {
        let namespace = text(role, "/metadata/namespace");
        for rule in role["rules"].as_array().into_iter().flatten() {
            for group in list(&rule["apiGroups"]) {
                for resource in list(&rule["resources"]) {
                    for verb in list(&rule["verbs"]) {
                        granted.insert([verb, group.clone(), resource.clone(), namespace.to_owned()]);
                    }
                }
            }
        }
    }
    granted
}

/// Waits until the API server knows of what was granted.
async fn may_what_it_is_granted(hub: &Hub<'_>, directory: &str) -> anyhow::Result<()> {
    match user(directory)? {
        Some(user) => until_allowed(&hub.t.client, &user, &granted(directory)?).await,
        None => Ok(()),
    }
}

/// Compares what the ServiceAccount of a directory asked for with what it is granted: neither more nor less.
async fn used_its_rights(hub: &Hub<'_>, directory: &str) -> anyhow::Result<()> {
    match user(directory)? {
        Some(user) => used_exactly(hub, &user, granted(directory)?).await,
        None => Ok(()),
    }
}

/// Waits until `user` has asked for everything that it needs and nothing else, and never in vain.
pub(crate) async fn used_exactly(
    hub: &Hub<'_>,
    user: &str,
    mut needed: BTreeSet<Right>,
) -> anyhow::Result<()> {
    let audit = hub.t.control_plane.audit().query().impersonated(user);
    // Why a Job failed is asked only of one that did.
    let explains = |[verb, _, resource, _]: &Right| {
        matches!(
            (verb.as_str(), resource.as_str()),
            ("list", "pods") | ("get", "pods/log")
        )
    };
    needed.retain(|right| !explains(right));
    // A watch is entered when it ends.
    eventually(&format!("{user} to have used {needed:?}"), async || {
        let used = used(&audit.entries()?);
        Ok(Seen::when((used == needed).then_some(()), || format!("{used:?}")))
    })
    .await?;
    assert_eq!(audit.code(403).entries()?.len(), 0, "{user}");
    Ok(())
}

/// What was asked for, as `granted` has it.
fn used(entries: &[AuditEntry]) -> BTreeSet<Right> {
    let mut used = BTreeSet::new();
    for entry in entries {
        let Some(object) = &entry.object_ref else { continue };
        let asked = |verb: &str| {
            let about = [&object.api_group, &object.resource, &object.namespace];
            let [group, resource, namespace] = about.map(String::clone);
            [verb.to_owned(), group, resource, namespace]
        };
        // An Apply that makes its object needs both rights.
        if entry.verb == "patch" && entry.code() == 201 {
            used.insert(asked("create"));
        }
        used.insert(asked(&entry.verb));
    }
    used
}

/// What the shop's run did, as its plan says.
async fn ecommerce(hub: &Hub<'_>, done: &Value) -> anyhow::Result<()> {
    let summary = &done["status"]["summary"];
    for (counted, number) in [("Stages", 5), ("Workflows", 10), ("Actions", 22)] {
        assert_eq!(summary[format!("total{counted}")], number, "{summary}");
        assert_eq!(summary[format!("completed{counted}")], number, "{summary}");
    }
    assert_eq!(text(done, "/status/serviceAccountName"), "ecommerce-dr");
    let name = text(done, "/metadata/name");
    assert_eq!(hub.made_by(name).await?.len(), 18);
    let sent: Vec<Value> = hub
        .site
        .all()
        .iter()
        .filter(|call| {
            call.idempotency_key()
                .is_some_and(|key| key.starts_with(text(done, "/metadata/uid")))
        })
        .map(|call| call.json())
        .collect::<anyhow::Result<_>>()?;
    assert_eq!(sent.len(), 4);
    assert_eq!(sent[0]["event"], "failover-start");
    let switched: BTreeSet<&str> = sent[1..3].iter().map(|sent| text(sent, "/service")).collect();
    assert_eq!(switched, ["mysql", "redis"].into());
    assert_eq!(sent[3]["event"], "failover-complete");
    assert_eq!(sent[3]["execution"], name);
    Ok(())
}
