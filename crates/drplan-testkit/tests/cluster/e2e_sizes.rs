//! Large runs stay small: what the record has no room for stands beside it, and is found by templates and undos.

use drplan_testkit::{Answer, ControlPlane, Options, TestNamespace};
use k8s_openapi::api::{
    apps::v1::ControllerRevision,
    core::v1::{ConfigMap, Secret},
};
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

use crate::{
    fixtures::{
        Action, action_of, apply, apply_plan, call, config_map, create, execution, execution_until,
        executions, plan, post, released, resource, revert, text, workflow,
    },
    options,
};

/// What no request and no object may pass: a third of what etcd takes.
const BYTES_MAX: usize = 512 * 1024;
const WORKFLOWS: usize = 11;
const ACTIONS: usize = 20;

/// A body of 4 KiB that tells where it came from.
fn body(of: &str) -> String {
    // With what the API server writes in another way where it patches.
    let odd = "&<>\u{2028}\u{8}\u{7f}ü\"\\";
    format!("{of} {odd}{}", "x".repeat(4096 - of.len() - odd.len() - 1))
}

fn kept(workflow: usize, action: usize, t: &TestNamespace) -> Action {
    let name = format!("call-{action}");
    let path = format!("/{workflow}/{action}");
    let answer = Answer::ok().body(body(&path));
    // Every tenth is tried twice.
    match action % 10 {
        0 => t.stand_in.script(&path, [Answer::status(503).times(1), answer]),
        _ => t.stand_in.script(&path, [answer]),
    }
    post(&name, &t.stand_in.url(&path))
        .retried(3, "10ms")
        .doing("saveBody", json!(true))
        .doing("body", json!("{{ .params.payload }}"))
        .undone_by(call("", "PUT", &t.stand_in.url(&format!("/undo{path}"))).doing(
            "body",
            json!(format!("{{{{ index .outputs \"{name}\" \"body\" }}}}")),
        ))
}

#[tokio::test]
async fn a_run_of_220_bodies_sends_and_stores_nothing_above_512_kib() -> anyhow::Result<()> {
    let options = Options {
        audit_bodies: true,
        ..options().await?
    };
    let control_plane = ControlPlane::start(options).await?;
    let test = async |t: &TestNamespace| {
        let names: Vec<String> = (0..WORKFLOWS).map(|index| format!("flow-{index}")).collect();
        for (index, name) in names.iter().enumerate() {
            let calls = (0..ACTIONS - 1).map(|action| kept(index, action, t));
            let payload = json!({"name": "payload", "type": "string", "required": true});
            let flow = calls.fold(
                workflow(name).parameter(payload),
                crate::fixtures::Manifest::action,
            );
            let reader = post("reader", &t.stand_in.url(&format!("/{index}/reader")))
                .doing("body", json!("{{ index .outputs \"call-18\" \"body\" }}"));
            apply(t, &flow.action(reader)).await?;
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let large = plan("large")
            .with(
                "globalParams",
                json!([{"name": "payload", "value": "y".repeat(4096)}]),
            )
            .stage_with("main", &names, json!({"parallel": true}));
        apply(t, &large).await?;

        // Whoever takes the run up finds what stands beside its record.
        let launch = t.operator_launch()?.env("DRPLAN_FAULT", "after-keep#40=kill");
        let first = t.launch_operator(launch).await?;
        create(t, &execution("run", "large")).await?;
        first.ended().await?;
        t.start_operator().await?;
        let done = execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        let beside = |execution: &Value| execution.to_string().matches("bodyStoredIn").count();
        assert!(
            beside(&done) > 150,
            "{} bodies stand beside the record",
            beside(&done)
        );
        for index in 0..WORKFLOWS {
            let read = t.stand_in.requests(&format!("/{index}/reader"));
            let expected = body(&format!("/{index}/18"));
            assert!(
                read.iter().all(|read| read.body == expected.as_bytes()),
                "workflow {index}"
            );
        }

        create(t, &revert("back", "large", "run")).await?;
        execution_until(t, "back", "Succeeded").await?;
        for (index, action) in
            (0..WORKFLOWS).flat_map(|index| (0..ACTIONS - 1).map(move |action| (index, action)))
        {
            let undone = t.stand_in.requests(&format!("/undo/{index}/{action}"));
            let expected = body(&format!("/{index}/{action}"));
            assert_eq!(undone.len(), 1);
            assert!(undone[0].body == expected.as_bytes(), "{index}/{action}");
        }

        let length = |object: &Option<Value>| object.as_ref().map_or(0, |object| object.to_string().len());
        // Lists are many objects.
        let audited = t.audit().entries()?;
        let single = audited.iter().filter(|entry| entry.verb != "list");
        let (sent, stored) = single.fold((0, 0), |(sent, stored), entry| {
            (
                sent.max(length(&entry.request_object)),
                stored.max(length(&entry.response_object)),
            )
        });
        assert!(sent > 64 * 1024, "the log holds what was sent: {sent}");
        assert!(
            sent < BYTES_MAX && stored < BYTES_MAX,
            "{sent} bytes sent, {stored} stored"
        );
        Ok(())
    };
    control_plane.with_namespace("sizes", test).await
}

#[tokio::test]
async fn lists_that_a_patch_replaces_are_kept_unless_they_are_secret() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let there = serde_json::from_value(json!({
            "metadata": {"name": "listed", "finalizers": ["example.com/a", "example.com/b"]},
        }))?;
        t.api::<ConfigMap>()
            .create(&PostParams::default(), &there)
            .await?;
        let patch = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: listed\n  finalizers: []\n";
        let undo = resource("", "Patch", &config_map("listed", "a: b"));
        apply_plan(t, "shop", &[resource("patch", "Patch", patch).undone_by(undo)]).await?;
        create(t, &execution("run", "shop")).await?;
        let done = execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        let name = text(action_of(&done, "main/shop[0]/patch"), "/replacedStoredIn").to_owned();
        let revisions = t.api::<ControllerRevision>();
        let kept = revisions
            .get(&name)
            .await?
            .data
            .map(|data| data.0)
            .unwrap_or_default();
        let lists: String = serde_json::from_str(text(&kept, "/text"))?;
        let lists: Value = serde_json::from_str(&lists)?;
        assert_eq!(
            lists,
            json!({"/metadata/finalizers": ["example.com/a", "example.com/b"]})
        );

        let secret = serde_json::from_value(json!({
            "metadata": {"name": "listed", "finalizers": ["example.com/a"]},
        }))?;
        t.api::<Secret>().create(&PostParams::default(), &secret).await?;
        let patch = patch.replace("ConfigMap", "Secret");
        let undo = resource(
            "",
            "Delete",
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: other\n",
        );
        apply_plan(t, "secret", &[resource("patch", "Patch", &patch).undone_by(undo)]).await?;
        create(t, &execution("secret-run", "secret")).await?;
        let done_with_secret = execution_until(t, "secret-run", "Succeeded").await?;
        assert_eq!(
            text(
                action_of(&done_with_secret, "main/secret[0]/patch"),
                "/replacedStoredIn"
            ),
            ""
        );
        released(t, "secret-run").await?;
        executions(t)
            .delete("secret-run", &DeleteParams::default())
            .await?;

        create(t, &revert("back", "shop", "run")).await?;
        execution_until(t, "back", "Succeeded").await?;
        released(t, "back").await?;
        // What a Revert shares outlives the execution, and goes with the last of both.
        executions(t).delete("run", &DeleteParams::default()).await?;
        let owners = revisions
            .get(&name)
            .await?
            .metadata
            .owner_references
            .unwrap_or_default();
        assert!(owners.iter().any(|owner| owner.name == "back"), "{owners:?}");
        executions(t).delete("back", &DeleteParams::default()).await?;
        drplan_testkit::eventually("no record of the runs", async || {
            let left = revisions.list(&ListParams::default()).await?.items;
            Ok(drplan_testkit::Seen::when(left.is_empty().then_some(()), || {
                format!("{} are left", left.len())
            }))
        })
        .await
    };
    crate::shared().await?.with_namespace("sizes-lists", test).await
}
