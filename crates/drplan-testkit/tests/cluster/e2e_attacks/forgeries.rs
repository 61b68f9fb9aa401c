//! Objects that say of themselves what is not so.

use drplan_testkit::{Answer, object_until};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::town::in_town;
use crate::fixtures::{config_map, execution, ours, plan, post, resource, revert, text, workflow};

#[tokio::test]
async fn a_manifest_with_our_marks_or_an_owner_of_ours_is_refused() -> anyhow::Result<()> {
    in_town("attack-manifest", async |town| {
        let head = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: prize\n";
        let cases = [
            ("marks", "Patch", format!("{head}  annotations:\n    {}: '{{{{ .executionUID }}}}'\n", ours("execution-uid")), "by which undos know what they may delete"),
            ("labels", "Apply", format!("{head}  labels:\n    {}: x\n", ours("execution")), "by which undos know what they may delete"),
            (
                "owner",
                "Apply",
                format!(
                    "{head}  ownerReferences:\n  - apiVersion: dr.bkbcs.tencent.com/v1alpha1\n    kind: DRPlanExecution\n    \
                     name: '{{{{ .executionName }}}}'\n    uid: '{{{{ .executionUID }}}}'\n"
                ),
                "with whose record it would be deleted",
            ),
        ];
        for (name, operation, manifest, says) in cases {
            let mut action = resource("map", operation, &manifest);
            if operation == "Patch" {
                action = action.undone_by(post("", &town.t.stand_in.url("/back")));
            }
            let flow = workflow(name).action(post("call", &town.t.stand_in.url("/call"))).action(action);
            town.author_applies(&flow.0).await?;
            let used = plan(name).with("serviceAccountName", "dr".into());
            town.author_applies(&used.stage("main", &[name]).0).await?;
            town.plan_until(name, "Ready", says).await?;
            town.runner_creates(&execution(name, name).0).await?;
            town.refused_for(name, "PlanInvalid", says).await?;
        }
        assert_eq!(town.t.stand_in.all().len(), 0);
        assert_eq!(town.t.audit().impersonated(&town.dr()).entries()?.len(), 0);
        Ok(())
    })
    .await
}

/// Somebody who may patch an object, and not delete it, marks it as made by an action of a run, so that its Revert
/// deletes it.
#[tokio::test]
async fn an_object_that_stood_there_before_is_not_adopted_whatever_it_says() -> anyhow::Result<()> {
    in_town("attack-marks", async |town| {
        let prize = serde_json::from_value(json!({"metadata": {"name": "prize"}, "data": {"a": "theirs"}}))?;
        town.t
            .api::<ConfigMap>()
            .create(&PostParams::default(), &prize)
            .await?;
        let url = |path: &str| town.t.stand_in.url(path);
        let flow = workflow("shop")
            .action(post("call", &url("/call")).undone_by(post("", &url("/back"))))
            .action(resource("make", "Create", &config_map("prize", "a: b")));
        town.author_applies(&flow.0).await?;
        let used = plan("shop").with("serviceAccountName", "dr".into());
        town.author_applies(&used.stage("main", &["shop"]).0).await?;
        town.grant_what_is_printed("shop").await?;
        town.plan_until("shop", "Ready", "").await?;
        town.t.stand_in.script("/call", [Answer::ok().held()]);
        town.runner_creates(&execution("run", "shop").0).await?;
        town.t.stand_in.wait_for("/call", 1).await?;

        let editor = format!("editor:{}", town.t.name);
        let rules = json!([
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch"]},
            {"apiGroups": ["dr.bkbcs.tencent.com"], "resources": ["drplanexecutions"], "verbs": ["get"]},
        ]);
        town.grant(town.t, &editor, &rules).await?;
        let kubectl = drplan_testkit::Kubectl::of_user(&town.t.control_plane, &town.t.name, &editor)?;
        let uid = kubectl
            .run(&["get", "drpe", "run", "-o", "jsonpath={.metadata.uid}"])
            .await?;
        let marks = [
            ("execution-uid", uid.as_str()),
            ("action-path", "main/shop[0]/make"),
            ("attempt", "1"),
        ];
        let marks = marks.map(|(mark, value)| format!("{}={value}", ours(mark)));
        let [uid, path, attempt] = &marks;
        kubectl
            .run(&["annotate", "configmap", "prize", uid, path, attempt])
            .await?;
        town.t.stand_in.release("/call");

        let failed = town.ended("run", "Failed").await?;
        let message = text(&failed, "/status/message");
        assert!(
            message.contains("exists and was not made by this action"),
            "{message}"
        );
        crate::fixtures::released(town.t, "run").await?;
        let back = revert("back", "shop", "run").with("allowPartial", true.into());
        town.runner_creates(&back.0).await?;
        town.ended("back", "Succeeded").await?;
        assert_eq!(town.t.stand_in.requests("/back").len(), 1);
        let kept = town.t.api::<ConfigMap>().get("prize").await?;
        assert_eq!(kept.data.unwrap_or_default()["a"], "theirs");
        let deleted = town
            .t
            .audit()
            .resource("configmaps")
            .verb("delete")
            .impersonated(&town.dr());
        assert_eq!(deleted.entries()?.len(), 0);
        Ok(())
    })
    .await
}

/// Marks that somebody puts on after the fact change nothing about whose an object is: undos go by UIDs.
#[tokio::test]
async fn an_object_put_in_the_place_of_what_was_made_survives_the_revert() -> anyhow::Result<()> {
    in_town("attack-swap", async |town| {
        let flow = workflow("shop").action(resource("make", "Create", &config_map("made", "a: b")));
        town.author_applies(&flow.0).await?;
        let used = plan("shop").with("serviceAccountName", "dr".into());
        town.author_applies(&used.stage("main", &["shop"]).0).await?;
        town.grant_what_is_printed("shop").await?;
        town.plan_until("shop", "Ready", "").await?;
        town.runner_creates(&execution("run", "shop").0).await?;
        town.ended("run", "Succeeded").await?;
        crate::fixtures::released(town.t, "run").await?;
        let maps = town.t.api::<ConfigMap>();
        let made = maps.get("made").await?;
        maps.delete("made", &Default::default()).await?;
        object_until(&maps, "made", "is gone", |map| map.is_none().then_some(())).await?;
        let swapped = ConfigMap {
            metadata: kube::api::ObjectMeta {
                name: Some("made".to_owned()),
                labels: made.metadata.labels,
                annotations: made.metadata.annotations,
                ..Default::default()
            },
            data: Some([("a".to_owned(), "theirs".to_owned())].into()),
            ..Default::default()
        };
        maps.create(&PostParams::default(), &swapped).await?;
        maps.patch(
            "made",
            &PatchParams::default(),
            &Patch::Merge(json!({"data": {"b": "theirs"}})),
        )
        .await?;
        town.runner_creates(&revert("back", "shop", "run").0).await?;
        town.ended("back", "Succeeded").await?;
        assert_eq!(maps.get("made").await?.data.unwrap_or_default()["a"], "theirs");
        Ok(())
    })
    .await
}
