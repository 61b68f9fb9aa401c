//! Actions on objects: created, applied, patched, deleted, and found again after a crash.

use drplan_testkit::TestNamespace;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::{
    fixtures::{
        action_of, apply_plan, config_map, create, execution, execution_until, phases, released, resource,
        text,
    },
    shared,
};

/// Covers US9.1, US9.2, US9.3, US9.4, FR-004d, FR-004e, FR-004f, FR-010, FR-017, FR-028.
#[tokio::test]
async fn objects_are_created_applied_patched_and_deleted() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let maps = t.api::<ConfigMap>();
        let there = |name: &str| ConfigMap {
            metadata: kube::api::ObjectMeta {
                name: Some(name.to_owned()),
                ..Default::default()
            },
            data: Some([("kept".to_owned(), "yes".to_owned())].into()),
            ..Default::default()
        };
        for name in ["patched", "deleted", "applied-over"] {
            maps.create(&PostParams::default(), &there(name)).await?;
        }
        let undo = json!({"type": "KubernetesResource", "resource": {
            "operation": "Patch", "manifest": config_map("patched", "mode: normal"),
        }});
        let actions = [
            resource("make", "Create", &config_map("made", "plan: \"{{ .planName }}\"")),
            resource("apply", "Apply", &config_map("applied", "mode: dr")),
            resource("over", "Apply", &config_map("applied-over", "mode: dr")),
            resource("patch", "Patch", &config_map("patched", "mode: dr")).with("rollback", undo),
            resource("delete", "Delete", &config_map("deleted", "x: y")),
            resource("absent", "Delete", &config_map("never-was", "x: y")),
        ];
        apply_plan(t, "shop", &actions).await?;
        create(t, &execution("run", "shop")).await?;
        let done = execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        let data = async |name: &str| anyhow::Ok(maps.get(name).await?.data.unwrap_or_default());
        assert_eq!(data("made").await?["plan"], "shop");
        assert_eq!(data("applied").await?["mode"], "dr");
        assert_eq!(
            data("applied-over").await?,
            [("kept".into(), "yes".into()), ("mode".into(), "dr".into())].into()
        );
        assert_eq!(
            data("patched").await?,
            [("kept".into(), "yes".into()), ("mode".into(), "dr".into())].into()
        );
        assert!(maps.get_opt("deleted").await?.is_none());
        let made = maps.get("made").await?.metadata;
        assert_eq!(
            made.labels.unwrap_or_default()["dr.bkbcs.tencent.com/execution"],
            "run"
        );
        assert!(
            made.owner_references.is_none(),
            "deleting the record must not undo the failover"
        );
        let over = maps.get("applied-over").await?.metadata;
        assert_eq!(over.labels, None, "our labels go only onto what was absent");
        let action = |name: &str| action_of(&done, &format!("main/shop[0]/{name}")).clone();
        assert_eq!(action("make")["outputs"]["resourceRef"]["uid"], json!(made.uid));
        assert_eq!(
            (&action("make")["created"], text(&action("make"), "/before")),
            (&json!(true), "absent")
        );
        assert_eq!(action("apply")["created"], json!(true));
        assert_eq!(action("over")["created"], json!(null));
        assert_eq!(text(&action("over"), "/before"), over.uid.unwrap_or_default());
        Ok(())
    };
    shared().await?.with_namespace("objects", test).await
}

#[tokio::test]
async fn what_exists_is_not_created_over() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let foreign = ConfigMap {
            metadata: kube::api::ObjectMeta {
                name: Some("taken".into()),
                ..Default::default()
            },
            ..Default::default()
        };
        t.api::<ConfigMap>()
            .create(&PostParams::default(), &foreign)
            .await?;
        apply_plan(
            t,
            "shop",
            &[resource("make", "Create", &config_map("taken", "a: b"))],
        )
        .await?;
        create(t, &execution("run", "shop")).await?;
        let failed = execution_until(t, "run", "Failed").await?;
        let message = text(action_of(&failed, "main/shop[0]/make"), "/message").to_owned();
        assert!(
            message.contains("taken") && message.contains("exists"),
            "{message}"
        );
        assert_eq!(t.api::<ConfigMap>().get("taken").await?.data, None);
        Ok(())
    };
    shared().await?.with_namespace("objects-taken", test).await
}

#[tokio::test]
async fn an_object_made_before_a_crash_is_found_not_made_again() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        for (point, name) in [
            ("after-intent", "a"),
            ("after-effect", "b"),
            ("after-result", "c"),
        ] {
            let operator = t
                .launch_operator(t.operator_launch()?.env("DRPLAN_FAULT", format!("{point}=kill")))
                .await?;
            let made = format!("made-{name}");
            let actions = [
                resource("make", "Create", &config_map(&made, "a: b")),
                resource("apply", "Apply", &config_map(&format!("applied-{name}"), "a: b")),
            ];
            apply_plan(t, name, &actions).await?;
            create(t, &execution(name, name)).await?;
            operator.ended().await?;
            let successor = t.start_operator().await?;
            let done = execution_until(t, name, "Succeeded").await?;
            released(t, name).await?;
            assert_eq!(phases(&done), "make Succeeded, apply Succeeded", "{point}");
            let uid = t.api::<ConfigMap>().get(&made).await?.metadata.uid;
            assert_eq!(
                action_of(&done, &format!("main/{name}[0]/make"))["outputs"]["resourceRef"]["uid"],
                json!(uid)
            );
            let created = t
                .audit()
                .verb("create")
                .resource("configmaps")
                .name(&made)
                .entries()?;
            assert_eq!(
                created.iter().filter(|entry| entry.code() == 201).count(),
                1,
                "{point}"
            );
            successor.kill9().await?;
        }
        Ok(())
    };
    shared().await?.with_namespace("objects-crash", test).await
}

#[tokio::test]
async fn what_cannot_be_looked_at_for_long_fails_the_action() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let held = ConfigMap {
            metadata: kube::api::ObjectMeta {
                name: Some("held".into()),
                finalizers: Some(vec!["example.com/hold".into()]),
                ..Default::default()
            },
            ..Default::default()
        };
        let maps = t.api::<ConfigMap>();
        maps.create(&PostParams::default(), &held).await?;
        maps.delete("held", &DeleteParams::default()).await?;
        let namesake = resource("make", "Create", &config_map("held", "a: b")).with("timeout", json!("7s"));
        let unserved = "apiVersion: nobody.example/v1\nkind: Nothing\nmetadata:\n  name: none\n";
        apply_plan(t, "held", &[namesake]).await?;
        apply_plan(t, "unserved", &[resource("make", "Create", unserved)]).await?;
        create(t, &execution("run-held", "held")).await?;
        create(t, &execution("run-unserved", "unserved")).await?;
        for (run, cause) in [
            ("run-held", "held by finalizers: example.com/hold"),
            ("run-unserved", "does not serve nobody.example/v1"),
        ] {
            let failed = execution_until(t, run, "Failed").await?;
            released(t, run).await?;
            let message = text(&failed, "/status/message");
            assert!(message.contains(cause), "{message}");
        }
        let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        maps.patch("held", &PatchParams::default(), &free).await?;
        Ok(())
    };
    shared().await?.with_namespace("objects-looked-at", test).await
}
