//! Reverts: what is undone, in which order, by what, and what is left.

use drplan_testkit::{Answer, TestNamespace, object_until};
use k8s_openapi::api::{batch::v1::Job, core::v1::ConfigMap};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::{
    fixtures::{
        Manifest, action_of, apply, apply_plan, call, config_map, create, event, execution, execution_until,
        executions, job, our_api, phases, plan, plans, post, released, resource, revert, text, workflow,
    },
    shared,
};

async fn map(t: &TestNamespace, name: &str) -> anyhow::Result<()> {
    let there = ConfigMap {
        metadata: kube::api::ObjectMeta {
            name: Some(name.to_owned()),
            ..Default::default()
        },
        data: Some([("mode".to_owned(), "normal".to_owned())].into()),
        ..Default::default()
    };
    t.api::<ConfigMap>()
        .create(&PostParams::default(), &there)
        .await?;
    Ok(())
}

/// The plan's phase and its condition Executed, once the phase is this.
async fn plan_is(t: &TestNamespace, name: &str, phase: &str) -> anyhow::Result<()> {
    object_until(&plans(t), name, &format!("phase {phase}"), |plan| {
        (text(&plan?.data, "/status/phase") == phase).then_some(())
    })
    .await
}

async fn undone(t: &TestNamespace, name: &str) -> anyhow::Result<Value> {
    Ok(executions(t).get(name).await?.data["status"]["undone"].clone())
}

/// Covers US3.1, US3.3, US3.4, US3.5, US9.5, US11.1, US11.3, FR-004g, FR-011, FR-012, FR-013d, FR-013e,
/// FR-014, FR-015, FR-016, FR-023.
#[tokio::test]
async fn what_was_done_is_undone_in_reverse_order() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        map(t, "patched").await?;
        map(t, "applied-over").await?;
        let url = |path: &str| t.stand_in.url(path);
        let parameter = json!({"name": "site", "type": "string", "default": "b"});
        let flow = workflow("db")
            .parameter(parameter.clone())
            .action(post("switch", &url("/switch/{{ .params.site }}")).undone_by(call(
                "",
                "PUT",
                &url("/back/{{ .params.site }}/{{ .executionName }}/{{ .outputs.switch.statusCode }}"),
            )))
            .action(post("tell", &url("/tell")))
            .action(resource("make", "Create", &config_map("made", "a: b")))
            .action(resource("apply", "Apply", &config_map("applied", "a: b")))
            .action(resource("over", "Apply", &config_map("applied-over", "site: b")))
            .action(
                resource("patch", "Patch", &config_map("patched", "mode: dr")).undone_by(resource(
                    "",
                    "Patch",
                    &config_map("patched", "mode: normal"),
                )),
            )
            .action(job("work"));
        apply(t, &flow).await?;
        let last = workflow("last").action(
            post("announce", &url("/announce")).undone_by(post("", &url("/announce-back/{{ .timestamp }}"))),
        );
        apply(t, &last).await?;
        apply(t, &plan("shop").stage("one", &["db"]).stage("two", &["last"])).await?;
        create(t, &execution("run", "shop")).await?;
        let done = execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        plan_is(t, "shop", "Executed").await?;
        // Nothing of the plan but its name is needed.
        our_api(t, "DRWorkflow")
            .delete("db", &DeleteParams::default())
            .await?;
        plan_is(t, "shop", "Invalid").await?;
        let made = text(action_of(&done, "one/db[0]/work"), "/outputs/jobRef/name").to_owned();
        assert!(t.api::<Job>().get_opt(&made).await?.is_some());

        create(t, &revert("back", "shop", "run")).await?;
        let reverted = execution_until(t, "back", "Succeeded").await?;
        released(t, "back").await?;
        assert_eq!(
            phases(&reverted),
            "switch Succeeded, tell Skipped, make Succeeded, apply Succeeded, over Skipped, patch Succeeded, \
             work Succeeded, announce Succeeded"
        );
        let maps = t.api::<ConfigMap>();
        assert!(maps.get_opt("made").await?.is_none());
        assert!(maps.get_opt("applied").await?.is_none());
        assert!(t.api::<Job>().get_opt(&made).await?.is_none());
        let mode =
            async |name: &str| anyhow::Ok(maps.get(name).await?.data.unwrap_or_default()["mode"].clone());
        assert_eq!(mode("patched").await?, "normal");
        let over = maps.get("applied-over").await?.data.unwrap_or_default();
        assert_eq!((over["mode"].as_str(), over["site"].as_str()), ("normal", "b"));
        let uid = text(&done, "/metadata/uid");
        let requests = t.stand_in.all();
        let undos: Vec<_> = requests.iter().skip(3).collect();
        assert!(undos[0].path.starts_with("/announce-back/20"), "{undos:?}");
        assert_eq!(undos[1].path, "/back/b/run/200");
        assert_eq!(
            undos
                .iter()
                .map(|undo| undo.idempotency_key().unwrap_or_default())
                .collect::<Vec<_>>(),
            [
                format!("{uid}/two/last[0]/announce/undo"),
                format!("{uid}/one/db[0]/switch/undo")
            ]
        );
        let message =
            |action: &str| text(action_of(&reverted, &format!("one/db[0]/{action}")), "/message").to_owned();
        assert!(
            message("tell").contains("no undo but its rollback"),
            "{}",
            message("tell")
        );
        assert!(message("over").contains("was there"), "{}", message("over"));
        let record = undone(t, "run").await?;
        assert_eq!(
            (&record["wholly"], record["actions"].as_array().map(Vec::len)),
            (&json!(true), Some(6))
        );
        assert!(
            text(&reverted, "/status/message")
                .starts_with("run is undone: 6 actions undone, 2 had nothing to undo")
        );
        assert_eq!(text(&reverted, "/status/reverts/uid"), uid);
        apply(t, &flow).await?;
        plan_is(t, "shop", "Ready").await?;
        for (reason, message) in [
            ("RevertStarted", "Revert started for plan shop"),
            ("RevertSucceeded", "Revert completed successfully"),
        ] {
            assert_eq!(event(t, "back", reason).await?, message);
        }

        create(t, &revert("again", "shop", "run")).await?;
        let refused = execution_until(t, "again", "Failed").await?;
        let message = text(&refused, "/status/message");
        assert!(
            message.starts_with("AlreadyReverted: execution `run` is undone already by back"),
            "{message}"
        );
        Ok(())
    };
    shared().await?.with_namespace("revert", test).await
}

/// Covers US3.5, FR-016.
#[tokio::test]
async fn a_revert_that_failed_is_taken_up_by_the_next() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let url = |path: &str| t.stand_in.url(path);
        let undone = |name: &str| {
            post(name, &url(&format!("/{name}"))).undone_by(call("", "PUT", &url(&format!("/undo-{name}"))))
        };
        t.stand_in
            .script("/undo-second", [Answer::status(409).times(1), Answer::ok()]);
        apply_plan(t, "shop", &[undone("first"), undone("second"), undone("third")]).await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;

        create(t, &revert("back-1", "shop", "run")).await?;
        let failed = execution_until(t, "back-1", "Failed").await?;
        released(t, "back-1").await?;
        assert_eq!(phases(&failed), "first Skipped, second Failed, third Succeeded");
        let message = text(&failed, "/status/message");
        assert!(
            message.starts_with("Undo of 'main/shop[0]/second' failed:")
                && message.contains("not undone: main/shop[0]/first, main/shop[0]/second"),
            "{message}"
        );
        plan_is(t, "shop", "Executed").await?;

        create(t, &revert("back-2", "shop", "run")).await?;
        let done = execution_until(t, "back-2", "Succeeded").await?;
        assert_eq!(phases(&done), "first Succeeded, second Succeeded, third Skipped");
        assert_eq!(
            text(action_of(&done, "main/shop[0]/third"), "/message"),
            "undone by back-1"
        );
        assert_eq!(action_of(&done, "main/shop[0]/second")["attempts"], json!(2));
        let paths: Vec<String> = t.stand_in.all().into_iter().map(|request| request.path).collect();
        assert_eq!(
            paths[3..],
            ["/undo-third", "/undo-second", "/undo-second", "/undo-first"]
        );
        Ok(())
    };
    shared().await?.with_namespace("revert-again", test).await
}

/// Covers US11.4, FR-030.
#[tokio::test]
async fn what_cannot_be_reverted_is_refused_with_the_way_out() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let url = |path: &str| t.stand_in.url(path);
        t.stand_in.script("/fail", [Answer::status(400)]);
        apply_plan(t, "shop", &[post("first", &url("/first"))]).await?;
        apply_plan(t, "other", &[post("fail", &url("/fail"))]).await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        create(t, &execution("failed", "other")).await?;
        execution_until(t, "failed", "Failed").await?;
        released(t, "failed").await?;
        create(
            t,
            &execution("never", "no-plan").annotated(&crate::fixtures::ours("cancel"), "true"),
        )
        .await?;
        execution_until(t, "never", "Cancelled").await?;
        let partial = |manifest: Manifest| manifest.with("allowPartial", json!(true));
        for (name, manifest, told) in [
            (
                "r-missing",
                revert("r-missing", "shop", "nobody"),
                "RevertTargetMissing: 尚未执行预案",
            ),
            (
                "r-plan",
                revert("r-plan", "other", "run"),
                "RevertTargetOfOtherPlan: execution `run` is of plan `shop`",
            ),
            (
                "r-failed",
                revert("r-failed", "other", "failed"),
                "spec.allowPartial: true",
            ),
        ] {
            create(t, &manifest).await?;
            let refused = execution_until(t, name, "Failed").await?;
            let message = text(&refused, "/status/message");
            assert!(message.contains(told), "{message}");
        }
        create(t, &partial(revert("r-partial", "other", "failed"))).await?;
        let done = execution_until(t, "r-partial", "Succeeded").await?;
        released(t, "r-partial").await?;
        assert_eq!(phases(&done), "fail Skipped");
        create(t, &revert("r-revert", "other", "r-partial")).await?;
        let refused = execution_until(t, "r-revert", "Failed").await?;
        assert!(text(&refused, "/status/message").starts_with("RevertTargetIsRevert:"));
        let suspend = Patch::Merge(json!({"spec": {"suspend": true}}));
        plans(t).patch("shop", &PatchParams::default(), &suspend).await?;
        create(t, &revert("r-suspended", "shop", "run")).await?;
        let refused = execution_until(t, "r-suspended", "Failed").await?;
        assert!(text(&refused, "/status/message").starts_with("PlanSuspended:"));
        Ok(())
    };
    shared().await?.with_namespace("revert-refused", test).await
}
