//! What is told of wrong manifests, word by word.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use drplan_testkit::TestNamespace;
use serde_json::Value;

use super::{start, try_create, unregister};
use crate::fixtures::{
    Manifest, apply, apply_plan, create, execution, execution_until, post, released, revert, workflow,
};
use crate::shared;

const RULE: &str = "\n----\n";
const END: &str = "====\n";
/// Set it to rewrite the file; then read the difference.
const UPDATE: &str = "DRPLAN_UPDATE_SNAPSHOTS";

/// `messages.txt` holds wrong manifests, each with the answer of the API server to whoever creates it: the code, the
/// words of the webhook or of the API server itself, and warnings.
///
/// Covers FR-043, US1.3, US2.3, US4.2, US4a.2, US7.6, US8.6, US9.6, US11.4, EC-8, FR-021, FR-030.
#[tokio::test]
async fn wrong_manifests_are_refused_with_everything_that_is_wrong_and_what_to_write() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        world(t).await?;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/e2e_admission/messages.txt");
        let old = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut new = String::new();
        let mut refused = 0;
        for case in old.split_inclusive(END) {
            let case = case.strip_suffix(END).unwrap_or(case);
            let (manifest, _) = case.split_once(RULE).unwrap_or((case.trim_end(), ""));
            let told = answer(t, manifest).await.with_context(|| manifest.to_owned())?;
            refused += usize::from(!told.starts_with("201"));
            write!(new, "{manifest}{RULE}{told}{END}")?;
        }
        if old != new {
            if std::env::var_os(UPDATE).is_some() {
                std::fs::write(&path, &new)?;
                anyhow::bail!("{} is rewritten: read the difference", path.display());
            }
            let differs = old.lines().zip(new.lines()).find(|(old, new)| old != new);
            anyhow::bail!(
                "{} is stale ({UPDATE}=1 rewrites it), first at {differs:#?}",
                path.display()
            );
        }
        assert!(refused >= 80, "{refused}");
        unregister(t).await
    };
    control_plane.with_namespace("admission-messages", test).await
}

/// What manifests may refer to: plans and executions in every state.
async fn world(t: &TestNamespace) -> anyhow::Result<()> {
    let ok = post("call", &t.stand_in.url("/ok"));
    let fails = post("call", "http://127.0.0.1:1/nobody-listens");
    apply_plan(t, "shop", std::slice::from_ref(&ok)).await?;
    apply_plan(t, "broken", &[fails]).await?;
    apply_plan(t, "other", &[ok]).await?;
    let typed = workflow("typed")
        .parameter(serde_json::json!({"name": "count", "type": "int", "required": true}))
        .parameter(serde_json::json!({"name": "flag", "type": "bool", "default": false}))
        .parameter(serde_json::json!({"name": "secretive", "default": "x", "overridable": false}))
        .action(post("call", "https://x.example.com/{{ .params.count }}").timeout("{{ .params.count }}s"));
    apply(t, &typed).await?;
    apply(
        t,
        &crate::fixtures::plan("counted")
            .stage("main", &["typed"])
            .with("globalParams", serde_json::json!([{"name": "count", "value": 1}])),
    )
    .await?;
    // One that was stored before there were webhooks.
    apply(t, &workflow("bad")).await?;
    apply(t, &crate::fixtures::plan("of-bad").stage("main", &["bad"])).await?;
    start(t).await?;
    create(t, &execution("done", "shop")).await?;
    execution_until(t, "done", "Succeeded").await?;
    released(t, "done").await?;
    create(t, &execution("undone", "shop")).await?;
    execution_until(t, "undone", "Succeeded").await?;
    released(t, "undone").await?;
    create(t, &revert("undoing", "shop", "undone")).await?;
    execution_until(t, "undoing", "Succeeded").await?;
    released(t, "undoing").await?;
    create(t, &execution("failed", "broken")).await?;
    execution_until(t, "failed", "Failed").await?;
    released(t, "failed").await?;
    Ok(())
}

/// The answer to the creation of `manifest`, as lines.
async fn answer(t: &TestNamespace, manifest: &str) -> anyhow::Result<String> {
    let here = manifest.replace("NAMESPACE", &t.name);
    let mut object: Value = serde_saphyr::from_str(&here)?;
    object["apiVersion"] = "dr.bkbcs.tencent.com/v1alpha1".into();
    if object.get("metadata").is_none() {
        object["metadata"]["name"] = "a".into();
    }
    let manifest = Manifest(object);
    let told = try_create(&t.client, &t.name, &manifest).await?;
    let mut lines = format!("{}", told.code);
    if !told.message.is_empty() {
        write!(lines, " {}", told.message)?;
    }
    for warning in told.warnings {
        write!(lines, "\nwarning: {warning}")?;
    }
    lines.push('\n');
    Ok(lines.replace(&t.name, "NAMESPACE"))
}
